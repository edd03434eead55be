//! `network create`

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::super::refused::{self, Unavailable};
use crate::containers::volumes::is_name;
use crate::net::{NewNetwork, NewSix};

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
    /// Enable or disable IPv6 address assignment
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    ipv6: bool,
    /// Subnet in CIDR format that represents a network segment; one of IPv4 and one of IPv6
    #[arg(long, value_name = "SUBNET")]
    subnet: Vec<String>,
    /// IPv4 or IPv6 Gateway for the master subnet
    #[arg(long, value_name = "ADDRESS")]
    gateway: Vec<String>,
    /// Allocate container ip from a sub-range
    #[arg(long, value_name = "SUBNET")]
    ip_range: Vec<String>,
    /// Auxiliary IPv4 or IPv6 addresses used by Network driver
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
        &[("ipam-driver", &["default"]), ("ipv4", &["true"]), ("scope", &["local"])];
    const BOOLEAN: &'static [&'static str] = &["config-only", "ingress", "ipv4"];
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
    let new = wanted(args)?;
    let lost = |subnet: bool, others: bool| !subnet && others;
    let six = new.six.as_ref();
    if lost(new.subnet.is_some(), new.gateway.is_some() || new.range.is_some() || !new.reserved.is_empty())
        || six.is_some_and(|six| {
            lost(
                six.subnet.is_some(),
                six.gateway.is_some() || six.range.is_some() || !six.reserved.is_empty(),
            )
        })
    {
        return Err(CliError::new(
            "Error response from daemon: invalid network config: every ip-range, gateway or aux-address must have a \
             corresponding subnet",
        ));
    }
    let unused = [&args.subnet, &args.gateway, &args.ip_range, &args.aux_address].into_iter().flatten();
    if !args.ipv6 && unused.into_iter().any(|text| text.contains(':')) {
        output::talk("WARNING: without --ipv6 the network has no IPv6 addresses");
    }
    let network = super::all(global)?.create(new).map_err(|e| CliError::engine(&e))?;
    super::event(global, &network, "create", &[]);
    output::line(&network.id)
}

/// Returns what the flags ask for.
fn wanted(args: &CreateArgs) -> Result<NewNetwork, CliError> {
    let (reserved, reserved6) = reserved(&args.aux_address)?;
    let six = NewSix {
        subnet: one("subnet", &args.subnet, true, "subnet")?,
        gateway: one("gateway", &args.gateway, true, "gateway")?,
        range: one("ip-range", &args.ip_range, true, "range")?,
        reserved: reserved6,
    };
    Ok(NewNetwork {
        name: args.name.clone(),
        subnet: one("subnet", &args.subnet, false, "subnet")?,
        gateway: one("gateway", &args.gateway, false, "gateway")?,
        range: one("ip-range", &args.ip_range, false, "range")?,
        reserved,
        six: args.ipv6.then_some(six),
        internal: args.internal,
        attachable: args.attachable,
        labels: pairs(&args.label),
        options: options(&args.opt)?,
    })
}

/// Returns the value of a flag that docker lets repeat, once for each kind of addresses here.
fn one<T: FromStr>(flag: &str, values: &[String], six: bool, what: &str) -> Result<Option<T>, CliError>
where
    T::Err: std::fmt::Display,
{
    let mut of_kind = values.iter().filter(|text| text.contains(':') == six);
    let Some(text) = of_kind.next() else { return Ok(None) };
    if of_kind.next().is_some() {
        let kind = if six { "IPv6" } else { "IPv4" };
        return Err(CliError::new(format!("several --{flag} of {kind} are not available in this version")));
    }
    let bad = |e: T::Err| match what {
        // It says what it is.
        "subnet" | "range" => CliError::new(format!("Error response from daemon: {e}")),
        _ => CliError::new(format!("Error response from daemon: invalid {what} {text}")),
    };
    text.parse().map(Some).map_err(bad)
}

/// Addresses that no container gets, by name.
type Reserved = (BTreeMap<String, Ipv4Addr>, BTreeMap<String, Ipv6Addr>);

fn reserved(texts: &[String]) -> Result<Reserved, CliError> {
    let (mut four, mut six) = Reserved::default();
    for text in texts {
        let bad = || CliError::new(format!("invalid aux-address {text}: expected name=address"));
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        match value.parse().map_err(|_| bad())? {
            IpAddr::V4(address) => drop(four.insert(name.to_owned(), address)),
            IpAddr::V6(address) => drop(six.insert(name.to_owned(), address)),
        }
    }
    Ok((four, six))
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
