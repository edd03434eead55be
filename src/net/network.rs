//! What a network and a container's place in it are, as they are kept.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::bridge_options::BridgeOptions;
use super::pool::{NewPool, Place, Pool};
use super::port::Published;

/// What a network does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A bridge of this machine.
    #[default]
    Bridge,
    /// Further hardware addresses on one of this machine's interfaces.
    Macvlan,
    /// Further addresses on one of this machine's interfaces, which keeps its hardware address.
    Ipvlan,
    /// The machine's own interfaces.
    Host,
    /// Nothing.
    Null,
}

impl Driver {
    /// Returns docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

/// A network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, in nanoseconds since 1970.
    pub created: i128,
    /// What it does.
    pub driver: Driver,
    /// Name of its bridge, if it has one.
    pub bridge: String,
    /// The interface that containers' interfaces belong to, if it has no bridge.
    #[serde(default)]
    pub parent: String,
    /// Its IPv4 addresses, if it has any.
    #[serde(flatten)]
    pub four: Option<Pool<Ipv4Addr>>,
    /// Its IPv6 addresses, if it has any.
    #[serde(default)]
    pub six: Option<Pool<Ipv6Addr>>,
    /// Further IPv4 addresses, when the first are all taken or one of these is asked for.
    #[serde(default)]
    pub further: Vec<Pool<Ipv4Addr>>,
    /// The same of IPv6.
    #[serde(default)]
    pub further6: Vec<Pool<Ipv6Addr>>,
    /// Whether it has no way to other machines.
    pub internal: bool,
    /// Whether it may be attached to by hand; it always may.
    #[serde(default)]
    pub attachable: bool,
    /// What others are to be that are made like it; nobody is in it then.
    #[serde(default)]
    pub template: Option<Box<NewNetwork>>,
    /// Name of the network that it was made like.
    #[serde(default)]
    pub config_from: String,
    /// Where it is known, `local` if that was not said.
    #[serde(default = "local")]
    pub scope: String,
    /// Options for who gives addresses, as given.
    #[serde(default)]
    pub ipam_options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver, as given.
    pub options: BTreeMap<String, String>,
}

/// The scope of networks of which nothing was said.
pub(super) fn local() -> String {
    "local".to_owned()
}

impl Network {
    /// Whether it is there without having been made.
    pub fn is_predefined(&self) -> bool {
        ["bridge", "host", "none"].contains(&self.name.as_str())
    }

    /// Whether its containers are connected by a bridge.
    pub fn is_bridge(&self) -> bool {
        self.driver == Driver::Bridge
    }

    /// Whether containers can be in it beside others.
    pub fn can_be_joined(&self) -> bool {
        !matches!(self.driver, Driver::Host | Driver::Null)
    }

    /// Whether names of its containers are known in it.
    pub fn has_names(&self) -> bool {
        self.can_be_joined() && !self.is_predefined()
    }

    /// Whether its containers have IPv4 addresses.
    pub fn has_four(&self) -> bool {
        match &self.template {
            Some(template) => !template.without_four,
            None => self.four.is_some() || !self.can_be_joined(),
        }
    }

    /// Whether its containers have IPv6 addresses.
    pub fn has_six(&self) -> bool {
        self.six.is_some() || self.template.as_ref().is_some_and(|template| template.six.is_some())
    }

    /// Returns all of its IPv4 addresses.
    pub fn pools(&self) -> Vec<Pool<Ipv4Addr>> {
        let own = self.four.iter().filter(|_| self.can_be_joined());
        own.chain(&self.further).cloned().collect()
    }

    /// Returns all of its IPv6 addresses.
    pub fn pools6(&self) -> Vec<Pool<Ipv6Addr>> {
        self.six.iter().chain(&self.further6).cloned().collect()
    }

    /// Returns what its options ask of the bridge; those that can't be read have been refused when it was made.
    pub(super) fn bridge_options(&self) -> BridgeOptions {
        BridgeOptions::read(&self.options).unwrap_or_default()
    }

    /// Returns the largest packet of its interfaces, if one was asked for.
    pub(super) fn mtu(&self) -> Option<u32> {
        self.options.get("com.docker.network.driver.mtu")?.parse().ok().filter(|mtu| *mtu > 0)
    }

    /// Returns what its interfaces' names begin with in containers.
    pub(super) fn prefix(&self) -> &str {
        self.options.get("com.docker.network.container_iface_prefix").map_or("eth", String::as_str)
    }
}

/// What a new network is to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NewNetwork {
    /// Its name.
    pub name: String,
    /// What it does.
    pub driver: Driver,
    /// Its IPv4 addresses; one pool at most for a bridge.
    pub four: Vec<NewPool<Ipv4Addr>>,
    /// Whether it has no IPv4.
    pub without_four: bool,
    /// Its IPv6 addresses, if it is to have any.
    pub six: Option<Vec<NewPool<Ipv6Addr>>>,
    /// Whether it has no way to other machines.
    pub internal: bool,
    /// Whether it may be attached to by hand.
    pub attachable: bool,
    /// Name of the network that it is made like.
    pub config_from: String,
    /// Where it is known.
    pub scope: String,
    /// Options for who gives addresses.
    pub ipam_options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// A container's place in a network, as it is kept while the container runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The network's name.
    pub network: String,
    /// The network's id.
    pub network_id: String,
    /// The container's id.
    pub container: String,
    /// The container's name.
    pub name: String,
    /// Its place among the network's IPv4 addresses.
    #[serde(flatten)]
    pub four: Option<Place<Ipv4Addr>>,
    /// Its place among the network's IPv6 addresses.
    #[serde(default)]
    pub six: Option<Place<Ipv6Addr>>,
    /// Its hardware address, in the usual notation; empty if it has none of its own.
    pub mac: String,
    /// Names by which others in the network find it, its own left out.
    pub names: Vec<String>,
    /// Ports of this machine that lead to it.
    pub ports: Vec<Published>,
    /// The end of its pair of interfaces that is the bridge's port; empty if it has none.
    #[serde(default)]
    pub interface: String,
}

impl Endpoint {
    /// Returns its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let four = self.four.map(|place| IpAddr::V4(place.address));
        four.into_iter().chain(self.six.map(|place| IpAddr::V6(place.address)))
    }
}

/// A hardware address.
pub type Mac = [u8; 6];

/// Returns the hardware address that belongs to an address of a network.
///
/// It is always the same, so that nobody's memory of it is wrong when the address goes to another container.
pub(super) fn mac_of(network: &str, address: impl Into<IpAddr>) -> Mac {
    let address = address.into();
    let hash = blake3::hash(format!("{network} {address}").as_bytes());
    let [a, b, c, d, e, f, ..] = *hash.as_bytes();
    // Locally administered, and no group.
    [(a & 0xfc) | 2, b, c, d, e, f]
}

/// Writes a hardware address in the usual notation.
pub fn mac_text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Reads a hardware address.
pub fn mac_from(text: &str) -> Option<Mac> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next().filter(|part| part.len() == 2)?, 16).ok()?;
    }
    (parts.next().is_none() && mac[0] & 1 == 0).then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        let mac = mac_of("n", Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac[0] & 3, 2, "locally administered, no group");
        assert_eq!(mac_from(&mac_text(mac)), Some(mac));
        assert_eq!(mac_from("92:d0:c6:0a:29:33"), Some([0x92, 0xd0, 0xc6, 0x0a, 0x29, 0x33]));
        for wrong in ["", "92:d0:c6:0a:29", "92:d0:c6:0a:29:33:00", "93:d0:c6:0a:29:33", "x2:d0:c6:0a:29:33"]
        {
            assert_eq!(mac_from(wrong), None, "{wrong}");
        }
    }
}
