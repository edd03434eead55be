//! `network create`

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::super::refused::{self, Unavailable};
use crate::containers::volumes::is_name;
use crate::net::{NewNetwork, Subnet};

/// Options of the driver that mean something here.
const OPTIONS: [&str; 5] = [
    "com.docker.network.bridge.name",
    "com.docker.network.bridge.enable_ip_masquerade",
    "com.docker.network.bridge.enable_icc",
    "com.docker.network.driver.mtu",
    "com.docker.network.container_iface_prefix",
];

/// Create a network
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Driver to manage the Network: bridge
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    driver: String,
    /// Subnet in CIDR format that represents a network segment
    #[arg(long, value_name = "SUBNET")]
    subnet: Vec<String>,
    /// IPv4 Gateway for the master subnet
    #[arg(long, value_name = "ADDRESS")]
    gateway: Vec<String>,
    /// Allocate container ip from a sub-range
    #[arg(long, value_name = "SUBNET")]
    ip_range: Vec<String>,
    /// Auxiliary IPv4 addresses used by Network driver
    #[arg(long, value_name = "NAME=ADDRESS")]
    aux_address: Vec<String>,
    /// Restrict external access to the network
    #[arg(long)]
    internal: bool,
    /// Enable manual container attachment
    #[arg(long)]
    attachable: bool,
    /// Set metadata on a network
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Set driver specific options
    #[arg(short = 'o', long = "opt", value_name = "KEY=VALUE")]
    opt: Vec<String>,
    #[command(flatten)]
    refused: refused::Refused<OfNetworks>,
    /// Network
    #[arg(value_name = "NETWORK")]
    name: String,
}

/// What docker's networks have and ours have not.
#[derive(Debug, Default)]
pub struct OfNetworks;

impl Unavailable for OfNetworks {
    const ALWAYS: &'static [(&'static str, &'static str)] =
        &[("config-from", ""), ("config-only", ""), ("ingress", ""), ("ipam-opt", "")];
    const WITHOUT_EFFECT: &'static [(&'static str, &'static [&'static str])] =
        &[("ipam-driver", &["default"]), ("ipv6", &["false"]), ("ipv4", &["true"]), ("scope", &["local"])];
    const BOOLEAN: &'static [&'static str] = &["config-only", "ingress", "ipv6", "ipv4"];
}

/// Runs the command.
pub fn run(args: &CreateArgs, global: &Global) -> Result<(), CliError> {
    args.refused.check()?;
    if args.driver != "bridge" {
        return Err(CliError::new(format!(
            "Error response from daemon: the driver {} is not available in this version (bridge is)",
            args.driver
        )));
    }
    if !is_name(&args.name) {
        return Err(CliError::new(format!(
            "Error response from daemon: \"{}\" includes invalid characters for a network name, only \
             \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed",
            args.name
        )));
    }
    if ["bridge", "host", "none", "default", "container"].contains(&args.name.as_str()) {
        return Err(CliError::new(format!(
            "Error response from daemon: operation is not permitted on predefined {} network",
            args.name
        )));
    }
    let new = NewNetwork {
        name: args.name.clone(),
        subnet: one("subnet", &args.subnet)?.map(subnet).transpose()?,
        gateway: one("gateway", &args.gateway)?.map(address).transpose()?,
        range: one("ip-range", &args.ip_range)?.map(subnet).transpose()?,
        reserved: reserved(&args.aux_address)?,
        internal: args.internal,
        attachable: args.attachable,
        labels: pairs(&args.label),
        options: options(&args.opt)?,
    };
    if new.subnet.is_none() && (new.gateway.is_some() || new.range.is_some() || !new.reserved.is_empty()) {
        return Err(CliError::new(
            "Error response from daemon: invalid network config: every ip-range, gateway or aux-address must have a \
             corresponding subnet",
        ));
    }
    let network = super::all(global)?.create(new).map_err(|e| CliError::engine(&e))?;
    super::event(global, &network, "create", &[]);
    output::line(&network.id)
}

/// Returns the value of a flag that docker lets repeat for networks of several subnets.
fn one<'a>(flag: &str, values: &'a [String]) -> Result<Option<&'a str>, CliError> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => Err(CliError::new(format!("several --{flag} are not available in this version"))),
    }
}

fn subnet(text: &str) -> Result<Subnet, CliError> {
    if text.contains(':') {
        return Err(CliError::new(format!("{text}: IPv6 networks are not available in this version")));
    }
    text.parse().map_err(|e| CliError::engine(&e))
}

fn address(text: &str) -> Result<Ipv4Addr, CliError> {
    text.parse().map_err(|_| CliError::new(format!("Error response from daemon: invalid gateway {text}")))
}

fn reserved(texts: &[String]) -> Result<BTreeMap<String, Ipv4Addr>, CliError> {
    let mut found = BTreeMap::new();
    for text in texts {
        let bad = || CliError::new(format!("invalid aux-address {text}: expected name=address"));
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        found.insert(name.to_owned(), value.parse().map_err(|_| bad())?);
    }
    Ok(found)
}

fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    texts.iter().map(pair).collect()
}

fn options(texts: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let found = pairs(texts);
    for (key, value) in &found {
        if !OPTIONS.contains(&key.as_str()) {
            return Err(CliError::new(format!("the option {key} is not available in this version")));
        }
        let named = key.ends_with("bridge.name") || key.ends_with("iface_prefix");
        let limit = if key.ends_with("iface_prefix") { 11 } else { 15 };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if named && (value.is_empty() || value.len() > limit || !value.chars().all(plain)) {
            return Err(CliError::new(format!(
                "Error response from daemon: invalid interface name {value:?}"
            )));
        }
        if key.ends_with("mtu") && value.parse::<u32>().is_err() {
            return Err(CliError::new(format!("Error response from daemon: invalid MTU {value:?}")));
        }
        if key.contains(".enable_") && !["true", "false"].contains(&value.as_str()) {
            return Err(CliError::new(format!("Error response from daemon: {key} must be true or false")));
        }
    }
    Ok(found)
}
