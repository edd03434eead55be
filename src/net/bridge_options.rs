//! Options of docker's bridge driver, as they are read.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::error::NetError;

/// What the options of bridges begin with.
const BRIDGE: &str = "com.docker.network.bridge.";
/// Bytes of an interface's name (IFNAMSIZ, the zero left out).
const NAME: usize = 15;

/// How packets come to containers from other machines, and go to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Gateway {
    /// With this machine's address, and to published ports of this machine.
    #[default]
    Nat,
    /// The same, and to all ports of the container's own address.
    Unprotected,
    /// With the container's own address, and to its published ports there.
    Routed,
    /// Not at all; the bridge has no address.
    Isolated,
}

/// What is asked of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BridgeOptions {
    /// Whether packets to other machines carry this machine's address.
    pub masquerade: bool,
    /// Whether containers reach each other.
    pub talk: bool,
    /// Whether the bridge has no IPv4 address.
    pub inhibit_ipv4: bool,
    /// How IPv4 packets come and go.
    pub gateway: Gateway,
    /// The same of IPv6.
    pub gateway6: Gateway,
    /// Where ports are published that name no address.
    pub binding: Option<IpAddr>,
    /// Interfaces from which containers' own addresses are reached.
    pub trusted: Vec<String>,
}

impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            masquerade: true,
            talk: true,
            inhibit_ipv4: false,
            gateway: Gateway::Nat,
            gateway6: Gateway::Nat,
            binding: None,
            trusted: Vec::new(),
        }
    }
}

impl BridgeOptions {
    /// Reads them; those that are not known are nobody's.
    ///
    /// # Errors
    /// A value is none, with docker's words; or it asks for what is not there.
    pub fn read(options: &BTreeMap<String, String>) -> Result<Self, NetError> {
        let mut read = Self::default();
        for (key, value) in options {
            let failed =
                |why: String| NetError::Invalid(format!("failed to parse {key} value: {value} ({why})"));
            match key.strip_prefix(BRIDGE).unwrap_or(key) {
                "enable_ip_masquerade" => read.masquerade = boolean(value).map_err(failed)?,
                "enable_icc" => read.talk = boolean(value).map_err(failed)?,
                "inhibit_ipv4" => read.inhibit_ipv4 = boolean(value).map_err(failed)?,
                "gateway_mode_ipv4" => read.gateway = gateway(value).map_err(failed)?,
                "gateway_mode_ipv6" => read.gateway6 = gateway(value).map_err(failed)?,
                "host_binding_ipv4" => {
                    let address = value.parse::<std::net::Ipv4Addr>();
                    read.binding = Some(address.map_err(|_| failed("nil ip".to_owned()))?.into());
                }
                "trusted_host_interfaces" => {
                    read.trusted =
                        value.split(':').filter(|name| !name.is_empty()).map(str::to_owned).collect();
                    read.trusted.iter().try_for_each(|name| interface(name, NAME))?;
                }
                "name" => interface(value, NAME)?,
                "com.docker.network.container_iface_prefix" => interface(value, NAME - 4)?,
                "com.docker.network.driver.mtu" => mtu(key, value)?,
                "com.docker.network.host_ipv4" | "com.docker.network.host_ipv6" => {
                    return Err(NetError::Invalid(format!(
                        "the option {key} is not available in this version"
                    )));
                }
                _ => {}
            }
        }
        Ok(read)
    }

    /// Checks that they fit the network.
    ///
    /// # Errors
    /// They don't, with docker's words.
    pub fn fits(&self, internal: bool) -> Result<(), NetError> {
        if !internal && [self.gateway, self.gateway6].contains(&Gateway::Isolated) {
            return Err(NetError::Invalid(
                "gateway mode 'isolated' can only be used for an internal network".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Checks the size of the largest packet.
pub(super) fn mtu(key: &str, value: &str) -> Result<(), NetError> {
    match value.parse::<i64>() {
        Ok(mtu) if (0..=65535).contains(&mtu) => Ok(()),
        Ok(mtu) => Err(NetError::Invalid(format!("invalid MTU number: {mtu}"))),
        Err(_) => Err(NetError::Invalid(format!(
            "failed to parse {key} value: {value} (strconv.Atoi: parsing {value:?}: invalid syntax)"
        ))),
    }
}

/// Checks the name of an interface.
///
/// # Errors
/// No interface can have it.
pub(super) fn interface(name: &str, longest: usize) -> Result<(), NetError> {
    let plain = |c: char| c.is_ascii_graphic() && !"/:".contains(c);
    if name.is_empty() || name.len() > longest || !name.chars().all(plain) || [".", ".."].contains(&name) {
        return Err(NetError::Invalid(format!("invalid interface name {name:?}")));
    }
    Ok(())
}

/// Reads a boolean as Go does.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

fn gateway(text: &str) -> Result<Gateway, String> {
    match text {
        "" | "nat" => Ok(Gateway::Nat),
        "nat-unprotected" => Ok(Gateway::Unprotected),
        "routed" => Ok(Gateway::Routed),
        "isolated" => Ok(Gateway::Isolated),
        other => Err(format!("unknown gateway mode {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused_as_docker_does() {
        let read = |text: &str| {
            let (key, value) = text.split_once('=').unwrap();
            let key = if key.starts_with("com.") { key.to_owned() } else { format!("{BRIDGE}{key}") };
            BridgeOptions::read(&[(key, value.to_owned())].into())
        };
        let none = BridgeOptions::default;
        for (text, expected) in [
            ("enable_icc=false", BridgeOptions { talk: false, ..none() }),
            ("enable_ip_masquerade=0", BridgeOptions { masquerade: false, ..none() }),
            ("inhibit_ipv4=true", BridgeOptions { inhibit_ipv4: true, ..none() }),
            ("gateway_mode_ipv4=routed", BridgeOptions { gateway: Gateway::Routed, ..none() }),
            ("gateway_mode_ipv6=nat-unprotected", BridgeOptions { gateway6: Gateway::Unprotected, ..none() }),
            (
                "trusted_host_interfaces=a:b",
                BridgeOptions { trusted: vec!["a".into(), "b".into()], ..none() },
            ),
            ("host_binding_ipv4=10.0.0.1", BridgeOptions { binding: Some([10, 0, 0, 1].into()), ..none() }),
            ("foo=x", none()),
            ("com.docker.network.driver.mtu=1400", none()),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        for (text, said) in [
            ("enable_icc=foo", "value: foo (strconv.ParseBool: parsing \"foo\": invalid syntax)"),
            ("gateway_mode_ipv4=foo", "gateway_mode_ipv4 value: foo (unknown gateway mode foo)"),
            ("host_binding_ipv4=foo", "value: foo (nil ip)"),
            ("com.docker.network.driver.mtu=foo", "(strconv.Atoi: parsing \"foo\": invalid syntax)"),
            ("com.docker.network.driver.mtu=-1", "invalid MTU number: -1"),
            ("name=a/b", "invalid interface name \"a/b\""),
            ("com.docker.network.container_iface_prefix=waytoolongprefix", "invalid interface name"),
            ("com.docker.network.host_ipv4=10.0.0.1", "host_ipv4 is not available"),
        ] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.contains(said), "{text}: {why}");
        }
    }
}
