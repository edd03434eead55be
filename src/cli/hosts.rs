//! `--add-host`

use super::error::CliError;
use crate::builder::AddHost;

/// Returns the name of `NAME:host-gateway`.
pub fn gateway(text: &str) -> Option<&str> {
    let (name, address) = text.split_once('=').or_else(|| text.split_once(':'))?;
    (address == "host-gateway").then_some(name)
}

/// `NAME:IP` or `NAME=IP`, several addresses separated by commas.
pub fn add_host(text: &str) -> Result<AddHost, CliError> {
    let bad = |why: &str, what: &str| CliError::flag("--add-host", text, format!("{why} add-host: {what:?}"));
    let pair = text.split_once('=').or_else(|| text.split_once(':'));
    let (name, addresses) =
        pair.filter(|(name, _)| !name.is_empty()).ok_or_else(|| bad("bad format for", text))?;
    let wrong = |address: &str| bad("invalid IP address in", address);
    let addresses = addresses
        .split(',')
        .map(|address| address.trim_matches(['[', ']']).parse().map_err(|_| wrong(address)))
        .collect::<Result<_, _>>()?;
    Ok(AddHost { name: name.to_owned(), addresses })
}
