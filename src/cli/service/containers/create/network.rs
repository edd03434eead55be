//! Ports, networks and names of a request.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::super::super::super::global::Global;
use super::super::super::super::network;
use super::super::super::super::network::connect::link;
use super::super::super::super::run::args::NetworkArgs;
use super::super::super::super::run::given::Given;
use super::super::fields::Fields;
use crate::containers::Attachment;
use crate::engine::{ApiError, ApiVersion};
use crate::net::{DEFAULT, NetError, mac_from, mac_text};

/// What a request says of networks: `Config`, `HostConfig`, `NetworkingConfig`.
pub struct Parts<'a> {
    pub config: &'a Fields<'a>,
    pub host: &'a Fields<'a>,
    pub endpoints: &'a Fields<'a>,
    pub version: ApiVersion,
}

/// Reads it all.
///
/// # Errors
/// Something is none, or a network is not there.
pub fn read(parts: &Parts<'_>, given: &mut Given, global: &Global) -> Result<NetworkArgs, ApiError> {
    let Parts { config, host, .. } = parts;
    let mode = match host.text("NetworkMode")?.as_str() {
        "" | "default" => DEFAULT.to_owned(),
        text => text.to_owned(),
    };
    let mode = if config.flag("NetworkDisabled")? { "none".to_owned() } else { mode };
    let mode = real_name(&mode, global)?;
    given.endpoints = endpoints(parts, &mode, global)?;
    let mac = config.some_text("MacAddress")?;
    let expose = config.object("ExposedPorts")?.each().map(|(port, _)| port.clone()).collect();
    Ok(NetworkArgs {
        network: vec![mode],
        mac_address: mac.filter(|_| given.endpoints.iter().all(|one| one.mac.is_none())),
        link: host.words("Links")?,
        hostname: config.some_text("Hostname")?,
        domainname: config.some_text("Domainname")?,
        add_host: host.words("ExtraHosts")?,
        dns: addresses(&host.words("Dns")?)?,
        dns_search: host.words("DnsSearch")?,
        dns_option: host.words("DnsOptions")?,
        publish: published(host)?,
        publish_all: host.flag("PublishAllPorts")?,
        expose,
        ..NetworkArgs::default()
    })
}

/// Returns the name of a network that may have been named by its id.
fn real_name(text: &str, global: &Global) -> Result<String, ApiError> {
    if [DEFAULT, "host", "none"].contains(&text) || text.starts_with("container:") {
        return Ok(text.to_owned());
    }
    if text == "default" {
        return Ok(DEFAULT.to_owned());
    }
    match network::all(global)?.find(text) {
        Ok(network) => Ok(network.name),
        // That is said at the start: a client would take it for the image that is missing.
        Err(NetError::NotFound(_)) => Ok(text.to_owned()),
        Err(error) => Err(ApiError::bad(error.to_string())),
    }
}

fn addresses(texts: &[String]) -> Result<Vec<IpAddr>, ApiError> {
    let bad = |text: &String| ApiError::bad(format!("bad format for DNS server: {text}: invalid IP address"));
    texts.iter().map(|text| text.parse().map_err(|_| bad(text))).collect()
}

/// Returns the ports to publish, as `-p` has them.
fn published(host: &Fields<'_>) -> Result<Vec<String>, ApiError> {
    let bad =
        |port: &str| ApiError::bad(format!("invalid JSON: HostConfig.PortBindings[{port:?}] must be a list"));
    let mut found = Vec::new();
    for (port, bindings) in host.object("PortBindings")?.each() {
        let bindings = match bindings {
            // An absent list means one binding with all left open.
            Value::Null => &Vec::new(),
            Value::Array(list) => list,
            _ => return Err(bad(port)),
        };
        if bindings.is_empty() {
            found.push(port.clone());
        }
        for binding in bindings {
            let binding = Fields::of(binding, "PortBindings")?;
            let (address, mut number) = (binding.text("HostIp")?, binding.text("HostPort")?);
            if number == "0" {
                number.clear();
            }
            found.push(match (address.as_str(), number.as_str()) {
                ("", "") => port.clone(),
                ("", number) => format!("{number}:{port}"),
                (address, number) if address.contains(':') => format!("[{address}]:{number}:{port}"),
                (address, number) => format!("{address}:{number}:{port}"),
            });
        }
    }
    Ok(found)
}

/// Returns the endpoints, each with the network's own name.
fn endpoints(parts: &Parts<'_>, mode: &str, global: &Global) -> Result<Vec<Attachment>, ApiError> {
    let mut found: Vec<Attachment> = Vec::new();
    for (name, value) in parts.endpoints.each() {
        let attachment = attachment(real_name(name, global)?, &Fields::of(value, "EndpointsConfig")?)?;
        let own = !["host", "none"].contains(&mode) && !mode.starts_with("container:");
        if !own {
            if attachment.network != mode && ![DEFAULT, "host", "none"].contains(&attachment.network.as_str())
            {
                return Err(ApiError::bad(
                    "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
                ));
            }
            continue;
        }
        found.push(attachment);
    }
    if found.len() > 1 && !parts.version.since(44) {
        let names: Vec<&str> = found.iter().map(|one| one.network.as_str()).collect();
        return Err(ApiError::bad(format!(
            "Container cannot be created with multiple network endpoints: {}",
            names.join(", ")
        )));
    }
    Ok(found)
}

/// Reads what is wished of a place in a network, as `network connect` has it as well.
///
/// # Errors
/// A value is none, or not available.
pub fn attachment(network: String, endpoint: &Fields<'_>) -> Result<Attachment, ApiError> {
    let ipam = endpoint.object("IPAMConfig")?;
    let wrong = |why: String| {
        ApiError::bad(format!("invalid config for network {network}: invalid endpoint settings:\n{why}"))
    };
    let four = ipam.some_text("IPv4Address")?;
    let six = ipam.some_text("IPv6Address")?;
    let mut link_local = Vec::new();
    for text in ipam.words("LinkLocalIPs")? {
        let address = text.parse().map_err(|_| wrong(format!("invalid link-local IP address: {text}")))?;
        link_local.push(address);
    }
    let mut options = BTreeMap::new();
    for (key, value) in endpoint.object("DriverOpts")?.each() {
        let value =
            value.as_str().ok_or_else(|| ApiError::bad(format!("DriverOpts[{key:?}] must be a string")))?;
        options.insert(key.clone(), value.to_owned());
    }
    if network == DEFAULT && (four.is_some() || six.is_some()) {
        return Err(wrong("user specified IP address is supported on user defined networks only".to_owned()));
    }
    let invalid = |kind: &str, text: &str| wrong(format!("invalid {kind} address: {text}"));
    let four = four.map(|text| text.parse::<Ipv4Addr>().map_err(|_| invalid("IPv4", &text))).transpose()?;
    let six = six.map(|text| text.parse::<Ipv6Addr>().map_err(|_| invalid("IPv6", &text))).transpose()?;
    let mac = endpoint.some_text("MacAddress")?;
    let mac = mac
        .map(|text| mac_from(&text).ok_or_else(|| ApiError::bad(format!("invalid MAC address: {text}"))))
        .transpose()?;
    Ok(Attachment {
        aliases: endpoint.words("Aliases")?,
        address: four,
        address6: six,
        mac: mac.map(mac_text),
        links: endpoint.words("Links")?.iter().map(|text| link(text)).collect(),
        link_local,
        options,
        priority: endpoint.number("GwPriority")?.and_then(|n| i32::try_from(n).ok()).unwrap_or(0),
        network,
    })
}
