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
    let bad = || CliError::new(format!("invalid host {text:?}: expected host:ip"));
    let (name, addresses) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(bad)?;
    let addresses = addresses
        .split(',')
        .map(|address| address.trim_matches(['[', ']']).parse().map_err(|_| bad()))
        .collect::<Result<_, _>>()?;
    Ok(AddHost { name: name.to_owned(), addresses })
}
