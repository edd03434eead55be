//! `network connect`, `network disconnect`

use std::net::{Ipv4Addr, Ipv6Addr};

use clap::Args;

use super::super::container::{self, ask};
use super::super::error::CliError;
use super::super::global::Global;
use super::super::refused::{self, Unavailable};
use super::{all, event};
use crate::containers::{Attachment, Container, Request};
use crate::net::{Driver, Network};

/// Connect a container to a network
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// IPv4 address (e.g., "172.30.100.104")
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// IPv6 address (e.g., "2001:db8::33")
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// Add network-scoped alias for the container
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// Highest gw-priority provides the default gateway
    #[arg(long, value_name = "N", allow_hyphen_values = true, default_value_t = 0)]
    gw_priority: i32,
    #[command(flatten)]
    refused: refused::Refused<OfConnect>,
    /// Network
    #[arg(value_name = "NETWORK")]
    network: String,
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// What docker's `connect` has and ours has not.
#[derive(Debug, Default)]
pub struct OfConnect;

impl Unavailable for OfConnect {
    const ALWAYS: &'static [(&'static str, &'static str)] = &[
        ("link", "names of containers in the network resolve without links"),
        ("link-local-ip", ""),
        ("driver-opt", ""),
    ];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static [&'static str])] = &[];
    const BOOLEAN: &'static [&'static str] = &[];
}

/// Disconnect a container from a network
#[derive(Debug, Args)]
pub struct DisconnectArgs {
    /// Force the container to disconnect from a network
    #[arg(short, long)]
    force: bool,
    /// Network
    #[arg(value_name = "NETWORK")]
    network: String,
    /// Container
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// Runs `network connect`.
pub fn connect(args: &ConnectArgs, global: &Global) -> Result<(), CliError> {
    args.refused.check()?;
    let network = all(global)?.find(&args.network).map_err(|e| CliError::engine(&e))?;
    let containers = container::all(global)?;
    let mut container = container::find(&containers, &args.container, global)?;
    check(&container, &network)?;
    let engine = |text: String| Err(CliError::new(format!("Error response from daemon: {text}")));
    let known = |attachment: &Attachment| attachment.network == network.name;
    if container.config.network.attachments.iter().any(known) {
        return engine(format!(
            "endpoint with name {} already exists in network {}",
            container.config.name, network.name
        ));
    }
    let attachment = Attachment {
        network: network.name.clone(),
        aliases: args.alias.clone(),
        address: args.ip,
        address6: args.ip6,
        priority: args.gw_priority,
        ..Attachment::default()
    };
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

fn check(container: &Container, network: &Network) -> Result<(), CliError> {
    let mode = container.config.network.mode.as_str();
    if network.driver != Driver::Bridge || mode == "host" || mode.starts_with("container:") {
        return Err(CliError::new(
            "Error response from daemon: container cannot be connected to host network or disconnected from it: its \
             network can't be changed",
        ));
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
