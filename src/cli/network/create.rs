//! `network create`

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::pools::{PoolText, both, pools};
use crate::cli::volume::{labels, pairs};
use crate::containers::volumes::is_name;
use crate::net::{Driver, Network, NewNetwork};

/// Create a network
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Driver to manage the Network: bridge, macvlan, ipvlan
    #[arg(short, long, value_name = "DRIVER", default_value = "bridge")]
    pub driver: String,
    /// Enable or disable IPv6 address assignment
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false")]
    pub ipv6: bool,
    /// Enable or disable IPv4 address assignment
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", action = clap::ArgAction::Set)]
    pub ipv4: bool,
    /// Subnet in CIDR format that represents a network segment
    #[arg(long, value_name = "SUBNET")]
    pub subnet: Vec<String>,
    /// IPv4 or IPv6 Gateway for the master subnet
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<String>,
    /// Allocate container ip from a sub-range
    #[arg(long, value_name = "SUBNET")]
    pub ip_range: Vec<String>,
    /// Auxiliary IPv4 or IPv6 addresses used by Network driver
    #[arg(long, value_name = "NAME=ADDRESS")]
    pub aux_address: Vec<String>,
    /// Restrict external access to the network
    #[arg(long)]
    pub internal: bool,
    /// Enable manual container attachment
    #[arg(long)]
    pub attachable: bool,
    /// Set metadata on a network
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Set driver specific options
    #[arg(short = 'o', long = "opt", value_name = "KEY=VALUE")]
    pub opt: Vec<String>,
    /// Create a configuration only network
    #[arg(long)]
    pub config_only: bool,
    /// The network from which to copy the configuration
    #[arg(long, value_name = "NETWORK", default_value = "", hide_default_value = true)]
    pub config_from: String,
    /// Control the network's scope
    #[arg(long, value_name = "SCOPE", default_value = "", hide_default_value = true)]
    pub scope: String,
    /// Create swarm routing-mesh network; there is no swarm
    #[arg(long)]
    pub ingress: bool,
    /// IP Address Management Driver
    #[arg(long, value_name = "DRIVER", default_value = "default")]
    pub ipam_driver: String,
    /// Set IPAM driver specific options
    #[arg(long, value_name = "KEY=VALUE")]
    pub ipam_opt: Vec<String>,
    /// Network
    #[arg(value_name = "NETWORK")]
    pub name: String,
}

/// Runs the command.
pub fn run(args: &CreateArgs, global: &Global) -> Result<(), CliError> {
    let (network, warning) = create(args, global)?;
    if let Some(warning) = warning {
        output::talk(&format!("WARNING: {warning}"));
    }
    output::line(&network.id)
}

/// Makes a network, and returns it with what has no effect.
///
/// # Errors
/// It can't be as it is wanted, or there is one of the name.
pub fn create(args: &CreateArgs, global: &Global) -> Result<(Network, Option<String>), CliError> {
    // Unlike a volume's, a network's name may be one letter.
    let letter = args.name.len() == 1 && args.name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !letter && !is_name(&args.name) {
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
    let pools = pools(args)?;
    let new = wanted(args, &pools)?;
    let useless = new.six.is_none() && pools.iter().any(PoolText::is_six);
    let networks = super::all(global)?;
    let made = if args.config_only { networks.create_template(new) } else { networks.create(new) };
    let network = made.map_err(|e| CliError::engine(&e))?;
    super::event(global, &network, "create", &[]);
    Ok((network, useless.then(|| "without --ipv6 the network has no IPv6 addresses".to_owned())))
}

/// Returns what the flags ask for, when they fit each other.
fn wanted(args: &CreateArgs, pools: &[PoolText]) -> Result<NewNetwork, CliError> {
    let driver = driver(args)?;
    beyond(args)?;
    templates(args, pools)?;
    managed(args, pools)?;
    let options = pairs(&args.opt);
    let on = |key: &str| options.get(key).map(|value| value == "true" || value == "1");
    let six = on("com.docker.network.enable_ipv6").unwrap_or(args.ipv6);
    let four = on("com.docker.network.enable_ipv4").unwrap_or(args.ipv4);
    let (pools4, pools6) = both(pools)?;
    Ok(NewNetwork {
        name: args.name.clone(),
        driver,
        four: pools4,
        without_four: !four,
        six: six.then_some(pools6),
        internal: args.internal,
        attachable: args.attachable,
        config_from: args.config_from.clone(),
        scope: args.scope.clone(),
        ipam_options: pairs(&args.ipam_opt),
        labels: labels(&args.label)?,
        options,
    })
}

fn engine<T>(text: impl std::fmt::Display) -> Result<T, CliError> {
    Err(CliError::new(format!("Error response from daemon: {text}")))
}

const NO_SWARM: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect \
                        this node to swarm and try again.";

/// Reads the driver; what others are made like has none.
fn driver(args: &CreateArgs) -> Result<Driver, CliError> {
    match args.driver.as_str() {
        _ if args.config_only => Ok(Driver::Null),
        "" | "bridge" => Ok(Driver::Bridge),
        "macvlan" => Ok(Driver::Macvlan),
        "ipvlan" => Ok(Driver::Ipvlan),
        only @ ("host" | "null") => engine(format!("only one instance of {only:?} network is allowed")),
        "overlay" => engine(NO_SWARM),
        other => engine(format!("plugin {other:?} not found")),
    }
}

/// Refuses networks beyond this machine.
fn beyond(args: &CreateArgs) -> Result<(), CliError> {
    if args.ingress && args.scope != "swarm" {
        return engine("Ingress network can only be global scope network");
    }
    if args.scope == "swarm" {
        return engine("cannot create a swarm scoped network when swarm is not active");
    }
    Ok(())
}

/// Checks what is said of networks that are made like others, and of those others.
fn templates(args: &CreateArgs, pools: &[PoolText]) -> Result<(), CliError> {
    let from = !args.config_from.is_empty();
    if args.config_only && from {
        return engine("a configuration network cannot depend on another configuration network");
    }
    if args.config_only && (args.ingress || args.internal || args.attachable || !args.scope.is_empty()) {
        return engine(
            "configuration network can only contain network specific fields. Network operator fields like [ ingress | \
             internal | attachable | scope ] are not supported.",
        );
    }
    if from && !args.opt.is_empty() {
        return engine(
            "network driver options are not supported if the network depends on a configuration network",
        );
    }
    let own =
        args.ipv6 || !args.ipv4 || !pools.is_empty() || !args.label.is_empty() || !args.ipam_opt.is_empty();
    if from && (own || args.ipam_driver != "default") {
        return engine(
            "user specified configurations are not supported if the network depends on a configuration network",
        );
    }
    Ok(())
}

/// Checks who gives the addresses.
fn managed(args: &CreateArgs, pools: &[PoolText]) -> Result<(), CliError> {
    match args.ipam_driver.as_str() {
        "" | "default" => Ok(()),
        _ if args.config_only => {
            engine("an IPAM driver of a configuration network is not available in this version")
        }
        "null" if !pools.is_empty() => {
            engine("null ipam driver does not handle specific address pool requests")
        }
        "null" => engine("ipv4 pool is empty"),
        other => engine(format!("plugin {other:?} not found")),
    }
}
