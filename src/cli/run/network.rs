//! `--network`, `--publish` and what goes with them: from flags to a container's networks.

use super::super::error::CliError;
use super::super::hosts;
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
    if mode == "host" && !publish.is_empty() {
        super::super::output::talk("WARNING: Published ports are discarded when using host network mode");
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
        attachments: attachments(flags, &mode)?,
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

/// Looks up the containers that the flags name, and checks that the networks are there.
///
/// # Errors
/// One is not there.
pub fn resolve(config: &mut Config, args: &NetworkArgs, containers: &Containers) -> Result<(), CliError> {
    let engine = |e: &dyn std::error::Error| CliError::engine(e);
    if let Some(name) = config.network.mode.strip_prefix("container:") {
        let other = containers.find(name).map_err(|e| engine(&e))?;
        config.network.mode = format!("container:{}", other.config.id);
        config.hostname = other.config.hostname;
        config.domainname = other.config.domainname;
    }
    for text in &args.link {
        let (name, alias) = text.split_once(':').unwrap_or((text, text.trim_start_matches('/')));
        let other = containers
            .find(name)
            .map_err(|e| CliError::new(format!("could not get container for {name}: {e}")))?;
        config.network.links.push((other.config.id, alias.to_owned()));
    }
    if config.network.attachments.iter().any(|attachment| attachment.network != net::DEFAULT) {
        let networks = net::Networks::open(containers.store().name()).map_err(|e| engine(&e))?;
        for attachment in &mut config.network.attachments {
            let network = networks.find(&attachment.network).map_err(|e| engine(&e))?;
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

fn attachments(flags: &NetworkArgs, mode: &str) -> Result<Vec<Attachment>, CliError> {
    if ALONE.contains(&mode) || mode.starts_with("container:") {
        return Ok(Vec::new());
    }
    let texts = if flags.network.is_empty() { vec![net::DEFAULT.to_owned()] } else { flags.network.clone() };
    let mut all = texts.iter().map(|text| attachment(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some(first) = all.first_mut() {
        first.aliases.extend(flags.network_alias.iter().cloned());
        first.address = first.address.or(flags.ip);
        first.address6 = first.address6.or(flags.ip6);
        if let Some(mac) = &flags.mac_address {
            first.mac = Some(checked_mac(mac)?);
        }
    }
    if all.iter().any(|one| one.network == net::DEFAULT && !one.aliases.is_empty()) {
        return Err(CliError::new(
            "Error response from daemon: network-scoped alias is supported only for containers in user defined networks",
        ));
    }
    Ok(all)
}

/// Reads `NAME`, or `name=NAME,alias=..,ip=..,ip6=..,mac-address=..,gw-priority=..`.
pub fn attachment(text: &str) -> Result<Attachment, CliError> {
    let bad =
        |why: String| CliError::new(format!("invalid argument \"{text}\" for \"--network\" flag: {why}"));
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
            "link-local-ip" | "driver-opt" => {
                return Err(bad(format!("{key} is not available in this version")));
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
    if !mode.starts_with("container:") {
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
