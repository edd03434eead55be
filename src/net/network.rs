//! What a network and a container's place in it are, as they are kept.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::port::Published;
use super::six::{NewSix, Place6, Six};
use super::subnet::Subnet;

/// What a network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A bridge of this machine.
    Bridge,
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
    /// Name of its bridge.
    pub bridge: String,
    /// Its addresses.
    pub subnet: Subnet,
    /// The bridge's own address.
    pub gateway: Ipv4Addr,
    /// Where containers' addresses come from, if not from all of the subnet.
    pub range: Option<Subnet>,
    /// Addresses that no container gets, by name.
    #[serde(default)]
    pub reserved: BTreeMap<String, Ipv4Addr>,
    /// Its IPv6 addresses, if it has any.
    #[serde(default)]
    pub six: Option<Six>,
    /// Whether the subnet was asked for rather than found.
    pub fixed: bool,
    /// Whether it has no way to other machines.
    pub internal: bool,
    /// Whether it may be attached to by hand; it always may.
    #[serde(default)]
    pub attachable: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver, as given.
    pub options: BTreeMap<String, String>,
}

impl Network {
    /// Whether it is there without having been made.
    pub fn is_predefined(&self) -> bool {
        ["bridge", "host", "none"].contains(&self.name.as_str())
    }

    /// Whether names of its containers are known in it.
    pub fn has_names(&self) -> bool {
        self.driver == Driver::Bridge && !self.is_predefined()
    }

    /// Whether a boolean option of docker's bridge driver is on, which it is unless it is set to false.
    pub(super) fn option(&self, name: &str) -> bool {
        self.options.get(name).is_none_or(|value| value != "false")
    }

    /// Returns the largest packet of its interfaces, if one was asked for.
    pub(super) fn mtu(&self) -> Option<u32> {
        self.options.get("com.docker.network.driver.mtu")?.parse().ok()
    }

    /// Returns what its interfaces' names begin with in containers.
    pub(super) fn prefix(&self) -> &str {
        self.options.get("com.docker.network.container_iface_prefix").map_or("eth", String::as_str)
    }
}

/// What a new network is to be.
#[derive(Debug, Clone, Default)]
pub struct NewNetwork {
    /// Its name.
    pub name: String,
    /// Its addresses; a free pool unless given.
    pub subnet: Option<Subnet>,
    /// The bridge's address; the first of the subnet unless given.
    pub gateway: Option<Ipv4Addr>,
    /// Where containers' addresses come from.
    pub range: Option<Subnet>,
    /// Addresses that no container gets, by name.
    pub reserved: BTreeMap<String, Ipv4Addr>,
    /// Its IPv6, if it is to have any.
    pub six: Option<NewSix>,
    /// Whether it has no way to other machines.
    pub internal: bool,
    /// Whether it may be attached to by hand.
    pub attachable: bool,
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
    /// Its address.
    pub address: Ipv4Addr,
    /// Bits of the address that all in the network share.
    pub prefix: u8,
    /// The way to other machines, if there is one.
    pub gateway: Option<Ipv4Addr>,
    /// Its hardware address, in the usual notation.
    pub mac: String,
    /// Names by which others in the network find it, its own left out.
    pub names: Vec<String>,
    /// Ports of this machine that lead to it.
    pub ports: Vec<Published>,
    /// Its place in the network's IPv6.
    #[serde(default)]
    pub six: Option<Place6>,
    /// The end of its pair of interfaces that is the bridge's port; empty if it has none.
    #[serde(default)]
    pub interface: String,
}

/// A hardware address.
pub type Mac = [u8; 6];

/// Returns the hardware address that belongs to an address of a network.
///
/// It is always the same, so that nobody's memory of it is wrong when the address goes to another container.
pub(super) fn mac_of(network: &str, address: Ipv4Addr) -> Mac {
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
