//! Networks and ports of the body.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cli::error::CliError;
use crate::cli::run::args::ContainerArgs;
use crate::cli::run::network;
use crate::cli::run::shown::bindings;
use crate::containers::{Attachment, NetworkConfig};
use crate::image::ContainerConfig;

/// What the flags ask for.
pub struct Wanted(NetworkConfig);

impl Wanted {
    /// Reads the flags.
    ///
    /// # Errors
    /// A value is none, or flags contradict each other.
    pub fn new(args: &ContainerArgs) -> Result<Self, CliError> {
        // With `-P` the engine knows what the image exposes.
        Ok(Self(network::config(args, &ContainerConfig::default())?))
    }

    /// The mode; `default` is the engine's to choose.
    pub fn mode(&self, args: &ContainerArgs) -> String {
        if args.network.network.is_empty() { "default".to_owned() } else { self.0.mode.clone() }
    }

    /// The ports to expose.
    pub fn exposed(&self) -> Value {
        let ports: BTreeMap<&str, Value> =
            self.0.exposed.iter().map(|port| (port.as_str(), json!({}))).collect();
        json!(ports)
    }

    /// Further lines of `/etc/hosts`.
    pub fn hosts(&self) -> Vec<String> {
        self.0.hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect()
    }

    /// The ports to publish.
    pub fn bindings(&self) -> Value {
        bindings(&self.0.publish)
    }

    /// The endpoints; an engine before 1.44 takes only the first.
    pub fn endpoints(&self, args: &ContainerArgs, several: bool) -> Value {
        let flags = &args.network;
        let mut found = Map::new();
        for (number, attachment) in self.0.attachments.iter().enumerate() {
            let mut endpoint = endpoint(attachment, several);
            if number == 0 && !flags.link.is_empty() && !flags.network.is_empty() {
                endpoint["Links"] = json!(flags.link);
            }
            let named = !flags.network.is_empty();
            let name = if named { attachment.network.clone() } else { "default".to_owned() };
            if number == 0 || several {
                found.insert(name, endpoint);
            }
        }
        Value::Object(found)
    }
}

/// The networks behind the first, for engines that are told of them after the container was made.
///
/// # Errors
/// A value is none.
pub fn further(args: &ContainerArgs) -> Result<Vec<(String, Value)>, CliError> {
    let wanted = Wanted::new(args)?;
    let rest = wanted.0.attachments.iter().skip(1);
    Ok(rest.map(|attachment| (attachment.network.clone(), endpoint(attachment, false))).collect())
}

/// Returns what is asked of a place in a network, with a hardware address if the engine takes one there.
pub fn endpoint(attachment: &Attachment, mac: bool) -> Value {
    let mut endpoint = json!({});
    let mut addresses = json!({});
    if let Some(address) = attachment.address {
        addresses["IPv4Address"] = json!(address);
    }
    if let Some(address) = attachment.address6 {
        addresses["IPv6Address"] = json!(address);
    }
    if !attachment.link_local.is_empty() {
        addresses["LinkLocalIPs"] = json!(attachment.link_local);
    }
    if addresses != json!({}) {
        endpoint["IPAMConfig"] = addresses;
    }
    if !attachment.aliases.is_empty() {
        endpoint["Aliases"] = json!(attachment.aliases);
    }
    if attachment.priority != 0 {
        endpoint["GwPriority"] = json!(attachment.priority);
    }
    if let Some(address) = attachment.mac.as_ref().filter(|_| mac) {
        endpoint["MacAddress"] = json!(address);
    }
    if !attachment.options.is_empty() {
        endpoint["DriverOpts"] = json!(attachment.options);
    }
    if !attachment.links.is_empty() {
        let links = attachment.links.iter().map(|(name, alias)| format!("{name}:{alias}"));
        endpoint["Links"] = json!(links.collect::<Vec<_>>());
    }
    endpoint
}
