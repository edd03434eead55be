//! `--network`, `--publish` and what goes with them: from flags to a container's networks.

use super::super::error::CliError;
use super::super::hosts;
use super::super::network::connect::link_local;
use super::args::{ContainerArgs, NetworkArgs};
use crate::containers::{Attachment, Config, Containers, NetworkConfig};
use crate::image::ContainerConfig;
use crate::net::{self, Protocol, Wanted};

/// The built-in ways that are no networks one could have beside another.
const ALONE: [&str; 2] = ["host", "none"];

/// Reads the flags; `exposed` are the image's ports and those of `--expose`.
///
/// # Errors
/// A value is none, or flags contradict each other.
pub fn config(args: &ContainerArgs, image: &ContainerConfig) -> Result<NetworkConfig, CliError> {
    let flags = &args.network;
    let mode = flags.mode()?;
    conflicts(flags, &mode)?;
    let mut exposed = exposed(flags, image)?;
    let mut publish = Vec::new();
    for text in &flags.publish {
        publish.extend(published(text)?);
    }
    for wanted in &publish {
        exposed.push(format!("{}/{}", wanted.container, wanted.protocol));
    }
    exposed.sort();
    exposed.dedup();
    if flags.publish_all {
        publish.extend(all(&exposed, &publish)?);
    }
    if mode == "host" {
        // The user is told: see `discards_ports`.
        publish.clear();
    }
    let mut extra = Vec::new();
    for text in &flags.add_host {
        match hosts::gateway(text) {
            Some(name) => extra.push((name.to_owned(), "host-gateway".to_owned())),
            None => {
                let entry = hosts::add_host(text)?;
                extra.extend(entry.addresses.iter().map(|ip| (entry.name.clone(), ip.to_string())));
            }
        }
    }
    Ok(NetworkConfig {
        attachments: attachments(flags, &args.given.endpoints, &mode)?,
        mode,
        exposed,
        publish,
        hosts: extra,
        links: Vec::new(),
        dns: flags.dns.clone(),
        dns_search: flags.dns_search.clone(),
        dns_options: flags.dns_option.clone(),
    })
}

/// Whether ports are to be published that the host's network makes pointless.
pub fn discards_ports(args: &ContainerArgs) -> bool {
    let flags = &args.network;
    (!flags.publish.is_empty() || flags.publish_all) && flags.mode().is_ok_and(|mode| mode == "host")
}

/// Looks up the containers that the flags name, and checks that the networks are there.
///
/// A client elsewhere learns of a missing network when the container starts.
///
/// # Errors
/// One is not there.
pub fn resolve(
    config: &mut Config,
    args: &NetworkArgs,
    remote: bool,
    containers: &Containers,
) -> Result<(), CliError> {
    let engine = |e: &dyn std::error::Error| CliError::engine(e);
    if let Some(name) = config.network.mode.strip_prefix("container:") {
        if name.is_empty() {
            let why = "invalid network mode: invalid container format container:<name|id>";
            return Err(CliError::new(format!("Error response from daemon: {why}")));
        }
        let other = containers.find(name).map_err(|e| {
            CliError::new(format!("Error response from daemon: joining network namespace of container: {e}"))
        })?;
        config.network.mode = format!("container:{}", other.config.id);
        config.hostname = other.config.hostname;
        config.domainname = other.config.domainname;
    }
    for text in &args.link {
        let (name, alias) = text.split_once(':').unwrap_or((text, text.trim_start_matches('/')));
        let other = containers.find(name).map_err(|e| {
            CliError::new(format!("Error response from daemon: could not get container for {name}: {e}"))
        })?;
        // Networks that know names know this one as well; on the default network it is a line of `/etc/hosts`.
        match config.network.attachments.first_mut().filter(|first| first.network != net::DEFAULT) {
            Some(first) => {
                let link = (other.config.name, alias.to_owned());
                if !first.links.contains(&link) {
                    first.links.push(link);
                }
            }
            None => config.network.links.push((other.config.id, alias.to_owned())),
        }
    }
    if config.network.attachments.iter().any(|attachment| attachment.network != net::DEFAULT) {
        let networks = net::Networks::open(containers.store().name()).map_err(|e| engine(&e))?;
        for attachment in &mut config.network.attachments {
            let network = match networks.find(&attachment.network) {
                // It may yet come to be.
                Err(net::NetError::NotFound(_)) if remote => continue,
                Err(error @ net::NetError::NotFound(_)) => {
                    return Err(CliError::new(format!(
                        "Error response from daemon: failed to set up container networking: {error}"
                    )));
                }
                other => other.map_err(|e| engine(&e))?,
            };
            attachment.fits(&network).map_err(|why| invalid(&network.name, why))?;
            attachment.network = network.name;
        }
    }
    Ok(())
}

impl NetworkArgs {
    /// Returns the way that was asked for first: `bridge` unless another.
    ///
    /// # Errors
    /// Ways are mixed that can't be.
    pub fn mode(&self) -> Result<String, CliError> {
        let names: Vec<String> =
            self.network.iter().map(|text| Ok(attachment(text)?.network)).collect::<Result<_, CliError>>()?;
        let alone = |name: &String| ALONE.contains(&name.as_str()) || name.starts_with("container:");
        if names.len() > 1 && names.iter().any(alone) {
            return Err(CliError::new(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
            ));
        }
        Ok(names.into_iter().next().unwrap_or_else(|| net::DEFAULT.to_owned()))
    }

    /// Whether the container has a network namespace of its own.
    pub fn is_own(&self) -> bool {
        self.mode().is_ok_and(|mode| mode != "host" && !mode.starts_with("container:"))
    }
}

fn attachments(flags: &NetworkArgs, given: &[Attachment], mode: &str) -> Result<Vec<Attachment>, CliError> {
    let local = flags.link_local_ip.iter().map(|text| link_local(text).map_err(|_| local(mode, text)));
    let local = local.collect::<Result<Vec<_>, _>>()?;
    if ALONE.contains(&mode) || mode.starts_with("container:") {
        return Ok(Vec::new());
    }
    let texts = if flags.network.is_empty() { vec![net::DEFAULT.to_owned()] } else { flags.network.clone() };
    let mut all = texts.iter().map(|text| attachment(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some(first) = all.first_mut() {
        first.aliases.extend(flags.network_alias.iter().cloned());
        first.address = first.address.or(flags.ip);
        first.address6 = first.address6.or(flags.ip6);
        first.link_local.extend(local);
        if let Some(mac) = &flags.mac_address {
            first.mac = Some(checked_mac(mac)?);
        }
    }
    for endpoint in given {
        match all.iter_mut().find(|one| one.network == endpoint.network) {
            Some(known) => *known = endpoint.clone(),
            None => all.push(endpoint.clone()),
        }
    }
    if all.iter().any(|one| one.network == net::DEFAULT && !one.aliases.is_empty()) {
        return Err(CliError::new("network-scoped aliases are only supported for user-defined networks"));
    }
    Ok(all)
}

/// Reads `NAME`, or `name=NAME,alias=..,ip=..,ip6=..,mac-address=..,link-local-ip=..,driver-opt=..,gw-priority=..`.
pub fn attachment(text: &str) -> Result<Attachment, CliError> {
    let bad = |why: String| CliError::flag("--network", text, why);
    let named = |name: &str| if name == "default" { net::DEFAULT.to_owned() } else { name.to_owned() };
    if !text.contains('=') {
        return Ok(Attachment { network: named(text), ..Attachment::default() });
    }
    let mut found = Attachment::default();
    for field in text.split(',') {
        let (key, value) = field.split_once('=').ok_or_else(|| bad(format!("invalid field {field}")))?;
        match key.trim().to_lowercase().as_str() {
            "name" => found.network = named(value),
            "alias" => found.aliases.push(value.to_owned()),
            "ip" => {
                found.address = Some(value.parse().map_err(|_| bad(format!("invalid IP address {value}")))?)
            }
            "mac-address" => found.mac = Some(checked_mac(value)?),
            "gw-priority" => {
                found.priority = value.parse().map_err(|_| bad(format!("invalid gw-priority {value}")))?;
            }
            "ip6" => {
                found.address6 =
                    Some(value.parse().map_err(|_| bad(format!("invalid IPv6 address {value}")))?);
            }
            "link-local-ip" => {
                found.link_local.push(link_local(value).map_err(|_| local(&found.network, value))?);
            }
            "driver-opt" => {
                let (key, value) = value
                    .split_once('=')
                    .ok_or_else(|| bad("invalid key value pair format in driver options".to_owned()))?;
                found.options.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            _ => return Err(bad(format!("invalid field key {key}"))),
        }
    }
    if found.network.is_empty() {
        return Err(bad("network name/id is not specified".to_owned()));
    }
    Ok(found)
}

fn invalid(network: &str, why: impl std::fmt::Display) -> CliError {
    CliError::new(format!(
        "Error response from daemon: invalid config for network {network}: invalid endpoint settings:\n{why}"
    ))
}

fn local(network: &str, text: &str) -> CliError {
    invalid(network, format!("invalid link-local IP address: {text}"))
}

fn checked_mac(text: &str) -> Result<String, CliError> {
    let mac =
        net::mac_from(text).ok_or_else(|| CliError::new(format!("{text} is not a valid mac address")))?;
    Ok(net::mac_text(mac))
}

fn conflicts(flags: &NetworkArgs, mode: &str) -> Result<(), CliError> {
    let refuse = |what: &str| Err(CliError::new(format!("conflicting options: {what}")));
    let chosen = flags.ip.is_some() || flags.ip6.is_some();
    if chosen && (ALONE.contains(&mode) || mode == net::DEFAULT) {
        return Err(invalid(mode, "user specified IP address is supported on user defined networks only"));
    }
    let shared = mode.starts_with("container:");
    if let Some(text) = flags.link_local_ip.first().filter(|_| shared || ALONE.contains(&mode)) {
        link_local(text).map_err(|_| local(mode, text))?;
        return Err(invalid(mode, "link-local addresses are for containers with an interface in a network"));
    }
    if !shared {
        return Ok(());
    }
    for (given, what) in [
        (flags.hostname.is_some(), "hostname and the network mode"),
        (
            !flags.link.is_empty(),
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (!flags.dns.is_empty(), "dns and the network mode"),
        (!flags.add_host.is_empty(), "custom host-to-IP mapping and the network mode"),
        (flags.mac_address.is_some(), "mac-address and the network mode"),
        (
            !flags.publish.is_empty() || flags.publish_all,
            "port publishing and the container type network mode",
        ),
        (!flags.expose.is_empty(), "port exposing and the container type network mode"),
    ] {
        if given {
            return refuse(what);
        }
    }
    Ok(())
}

/// Reads `--expose PORT[-PORT][/PROTOCOL]` and adds what the image exposes.
fn exposed(flags: &NetworkArgs, image: &ContainerConfig) -> Result<Vec<String>, CliError> {
    let mut all: Vec<String> = Vec::new();
    let of_image = image.exposed_ports.keys();
    for text in of_image.chain(&flags.expose) {
        let ports = net::parse_exposed(text).map_err(|e| CliError::new(e.to_string()))?;
        all.extend(ports.into_iter().map(|(port, protocol)| format!("{port}/{protocol}")));
    }
    Ok(all)
}

/// Reads `-p`, its long form too.
fn published(text: &str) -> Result<Vec<Wanted>, CliError> {
    let bad = |e: net::NetError| CliError::new(format!("invalid publish opts format: {e}"));
    if !text.contains('=') {
        return net::parse_ports(text).map_err(|e| CliError::new(e.to_string()));
    }
    let (mut target, mut host, mut protocol) = (None, "", "tcp");
    for field in text.split(',') {
        match field.split_once('=').unwrap_or((field, "")) {
            ("target", port) => target = Some(port),
            ("published", port) => host = port,
            ("protocol", name) => protocol = name,
            ("mode", "host" | "ingress") => {}
            (key, value) => {
                return Err(CliError::new(format!(
                    "invalid publish opts format (unknown field {key}={value})"
                )));
            }
        }
    }
    let target = target.filter(|port| !port.is_empty());
    let target = target.ok_or_else(|| CliError::new("missing mandatory field target"))?;
    net::parse_ports(&format!("{host}:{target}/{protocol}")).map_err(bad)
}

/// Returns a wish for each exposed port that is not yet published.
fn all(exposed: &[String], publish: &[Wanted]) -> Result<Vec<Wanted>, CliError> {
    let mut found = Vec::new();
    for text in exposed {
        let ports = net::parse_exposed(text).map_err(|e| CliError::new(e.to_string()))?;
        let known = |port: u16, protocol: Protocol| {
            publish.iter().any(|wanted| (wanted.container, wanted.protocol) == (port, protocol))
        };
        for (container, protocol) in ports.into_iter().filter(|(port, protocol)| !known(*port, *protocol)) {
            found.push(Wanted { address: None, host: None, container, protocol });
        }
    }
    Ok(found)
}
