//! IPv4 subnets: their text, their addresses, and the pools that new networks take theirs from.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::NetError;

/// An address range in CIDR notation, e.g. `172.17.0.0/16`; the bits beyond the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// Returns the subnet of an address.
    pub fn of(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self { base: u32::from(address) & mask(prefix), prefix }
    }

    /// Returns the number of leading bits that its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Returns the bits that its addresses share, as an address.
    pub fn mask(self) -> Ipv4Addr {
        mask(self.prefix).into()
    }

    /// Returns its first address, which names the subnet itself.
    pub fn base(self) -> Ipv4Addr {
        self.base.into()
    }

    /// Returns its last address, to which all its hosts listen.
    pub fn broadcast(self) -> Ipv4Addr {
        (self.base | !mask(self.prefix)).into()
    }

    /// Whether an address is in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.base
    }

    /// Whether some address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.base & shorter == other.base & shorter
    }

    /// Returns the addresses that hosts may have, in order.
    pub fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        let last = self.base | !mask(self.prefix);
        (self.base.saturating_add(1)..last).map(Ipv4Addr::from)
    }

    /// Returns the subnets that new networks take, in docker's order.
    pub fn pools() -> impl Iterator<Item = Self> {
        let sixteen = (17..=31).map(|second| Self::of(Ipv4Addr::new(172, second, 0, 0), 16));
        let twenty = (0..16).map(|n| Self::of(Ipv4Addr::new(192, 168, n * 16, 0), 20));
        sixteen.chain(twenty)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let invalid = || NetError::Invalid(format!("invalid CIDR address: {text}"));
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: Ipv4Addr = address.parse().map_err(|_| invalid())?;
        let prefix: u8 = prefix.parse().ok().filter(|bits| *bits <= 32).ok_or_else(invalid)?;
        let subnet = Self::of(address, prefix);
        if subnet.base() != address {
            return Err(NetError::Invalid(format!("invalid subnet {text}: it should be {subnet}")));
        }
        Ok(subnet)
    }
}

impl TryFrom<String> for Subnet {
    type Error = NetError;

    fn try_from(text: String) -> Result<Self, NetError> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for text in ["172.17.0.0/16", "10.1.2.0/24", "0.0.0.0/0", "10.0.0.1/32"] {
            assert_eq!(text.parse::<Subnet>().unwrap().to_string(), text);
        }
        for wrong in ["172.17.0.0", "172.17.0.1/16", "172.17.0.0/33", "a/8", "::1/64", ""] {
            assert!(wrong.parse::<Subnet>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn subnets_know_their_addresses() {
        let small: Subnet = "10.0.0.8/30".parse().unwrap();
        let hosts: Vec<String> = small.hosts().map(|a| a.to_string()).collect();
        assert_eq!(hosts, ["10.0.0.9", "10.0.0.10"]);
        assert_eq!(small.broadcast().to_string(), "10.0.0.11");
        assert!(
            small.contains("10.0.0.10".parse().unwrap()) && !small.contains("10.0.0.12".parse().unwrap())
        );
        let one: Subnet = "10.0.0.1/32".parse().unwrap();
        assert_eq!(one.hosts().count(), 0);
        let wide: Subnet = "10.0.0.0/8".parse().unwrap();
        assert!(
            wide.overlaps(small) && small.overlaps(wide) && !small.overlaps("10.0.0.0/29".parse().unwrap())
        );
    }

    #[test]
    fn pools_are_dockers() {
        let pools: Vec<String> = Subnet::pools().map(|pool| pool.to_string()).collect();
        assert_eq!(pools.len(), 31);
        assert_eq!(pools[0], "172.17.0.0/16");
        assert_eq!(pools[14], "172.31.0.0/16");
        assert_eq!(pools[15], "192.168.0.0/20");
        assert_eq!(pools[30], "192.168.240.0/20");
    }
}
