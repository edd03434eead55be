//! `network connect`, `network disconnect`

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clap::Args;

use super::super::container::{self, ask};
use super::super::error::CliError;
use super::super::global::Global;
use super::{all, event};
use crate::containers::{Attachment, Container, Request};
use crate::net::Network;

/// Connect a container to a network
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// IPv4 address (e.g., "172.30.100.104")
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address (e.g., "2001:db8::33")
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<Ipv6Addr>,
    /// Add network-scoped alias for the container
    #[arg(long, value_name = "NAME")]
    pub alias: Vec<String>,
    /// Highest gw-priority provides the default gateway
    #[arg(long, value_name = "N", allow_hyphen_values = true, default_value_t = 0)]
    pub gw_priority: i32,
    /// Add link to another container
    #[arg(long, value_name = "CONTAINER[:ALIAS]")]
    pub link: Vec<String>,
    /// Add a link-local address for the container
    #[arg(long, value_name = "ADDRESS")]
    pub link_local_ip: Vec<String>,
    /// driver options for the network
    #[arg(long, value_name = "KEY=VALUE")]
    pub driver_opt: Vec<String>,
    /// Network
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// Disconnect a container from a network
#[derive(Debug, Args)]
pub struct DisconnectArgs {
    /// Force the container to disconnect from a network
    #[arg(short, long)]
    pub force: bool,
    /// Network
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// Runs `network connect`.
pub fn connect(args: &ConnectArgs, global: &Global) -> Result<(), CliError> {
    join(Attachment { network: args.network.clone(), ..asked(args)? }, &args.container, global)
}

/// Lets a container into a network.
///
/// # Errors
/// There is no such network or container, or it can't be there as it is asked for.
pub fn join(asked: Attachment, container: &str, global: &Global) -> Result<(), CliError> {
    let network = all(global)?.find(&asked.network).map_err(|e| CliError::engine(&e))?;
    let containers = container::all(global)?;
    let mut container = container::find(&containers, container, global)?;
    check(&container, &network)?;
    let engine = |text: String| Err(CliError::new(format!("Error response from daemon: {text}")));
    let known = |attachment: &Attachment| attachment.network == network.name;
    if container.config.network.attachments.iter().any(known) {
        return engine(format!(
            "endpoint with name {} already exists in network {}",
            container.config.name, network.name
        ));
    }
    let attachment = Attachment { network: network.name.clone(), ..asked };
    if let Err(why) = attachment.fits(&network) {
        return engine(format!("invalid endpoint settings:\n{why}"));
    }
    container.config.network.attachments.push(attachment);
    change(&mut container, |container| container.config.network.attachments.retain(|one| !known(one)))?;
    event(global, &network, "connect", &[("container", &container.config.id)]);
    Ok(())
}

/// Runs `network disconnect`.
pub fn disconnect(args: &DisconnectArgs, global: &Global) -> Result<(), CliError> {
    let network = all(global)?.find(&args.network).map_err(|e| CliError::engine(&e))?;
    let containers = container::all(global)?;
    let mut container = container::find(&containers, &args.container, global)?;
    check(&container, &network)?;
    let attachments = &mut container.config.network.attachments;
    let Some(place) = attachments.iter().position(|one| one.network == network.name) else {
        return Err(CliError::new(format!(
            "Error response from daemon: container {} is not connected to network {}",
            container.config.id, network.name
        )));
    };
    let removed = attachments.remove(place);
    change(&mut container, |container| container.config.network.attachments.insert(place, removed))?;
    event(global, &network, "disconnect", &[("container", &container.config.id)]);
    Ok(())
}

/// Returns what is asked of the place in the network.
///
/// # Errors
/// A value is none.
pub fn asked(args: &ConnectArgs) -> Result<Attachment, CliError> {
    Ok(Attachment {
        aliases: args.alias.clone(),
        address: args.ip,
        address6: args.ip6,
        links: args.link.iter().map(|text| link(text)).collect(),
        link_local: args.link_local_ip.iter().map(|text| link_local(text)).collect::<Result<_, _>>()?,
        options: driver_options(&args.driver_opt)?,
        priority: args.gw_priority,
        ..Attachment::default()
    })
}

/// Reads `CONTAINER[:ALIAS]`.
pub fn link(text: &str) -> (String, String) {
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    (name.trim_start_matches('/').to_owned(), alias.trim_start_matches('/').to_owned())
}

/// Reads an address for one interface.
///
/// # Errors
/// It is none.
pub fn link_local(text: &str) -> Result<IpAddr, CliError> {
    let bad = |_| {
        CliError::new(format!(
            "Error response from daemon: invalid endpoint settings:\ninvalid link-local IP address: {text}"
        ))
    };
    text.parse().map_err(bad)
}

/// Reads options of a driver, `KEY=VALUE`.
///
/// # Errors
/// It is none.
pub fn driver_options(texts: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for text in texts {
        let bad = || CliError::new("invalid key/value pair format in driver options");
        let (key, value) = text.split_once('=').ok_or_else(bad)?;
        if key.is_empty() {
            return Err(bad());
        }
        found.insert(key.to_owned(), value.to_owned());
    }
    Ok(found)
}

fn check(container: &Container, network: &Network) -> Result<(), CliError> {
    let mode = container.config.network.mode.as_str();
    let engine = |text: &str| Err(CliError::new(format!("Error response from daemon: {text}")));
    if network.template.is_some() {
        return engine("cannot create endpoint on configuration-only network");
    }
    if !network.can_be_joined() {
        return engine(
            "container cannot be connected to host network or disconnected from it: its network can't be changed",
        );
    }
    if mode == "host" || mode.starts_with("container:") {
        return engine(
            "container sharing network namespace with another container or host cannot be connected to any other \
             network",
        );
    }
    if mode == "none" {
        return Err(CliError::new(
            "Error response from daemon: container cannot be connected to multiple networks with one of the networks \
             in private (none) mode",
        ));
    }
    Ok(())
}

/// Writes the container's networks down and lets a running one adapt; if it can't, all is as before.
fn change(container: &mut Container, undo: impl FnOnce(&mut Container)) -> Result<(), CliError> {
    container.write_config().map_err(|e| CliError::engine(&e))?;
    let Some(Err(why)) = ask(container, &Request::Networks)? else { return Ok(()) };
    undo(container);
    container.write_config().map_err(|e| CliError::engine(&e))?;
    let _ = ask(container, &Request::Networks)?;
    Err(CliError::new(format!("Error response from daemon: {why}")))
}
