//! IPv6 inside a network: its subnet, and a container's place there.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::NetError;

/// An IPv6 address range in CIDR notation, e.g. `fd00:1::/64`; the bits beyond the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet6 {
    base: u128,
    prefix: u8,
}

impl Subnet6 {
    /// Returns the subnet of an address.
    pub fn of(address: Ipv6Addr, prefix: u8) -> Self {
        let prefix = prefix.min(128);
        Self { base: u128::from(address) & mask(prefix), prefix }
    }

    /// Returns the subnet that a network gets by itself: one of those that are free to use (RFC 4193), named by its id.
    pub fn local(id: &str) -> Self {
        let hash = blake3::hash(id.as_bytes());
        let mut address = [0; 16];
        address[0] = 0xfd;
        address[1..8].copy_from_slice(&hash.as_bytes()[..7]);
        Self::of(address.into(), 64)
    }

    /// Returns the number of leading bits that its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Returns the bits that its addresses share, as an address.
    pub fn mask(self) -> Ipv6Addr {
        mask(self.prefix).into()
    }

    /// Returns its first address, which names the subnet itself.
    pub fn base(self) -> Ipv6Addr {
        self.base.into()
    }

    /// Whether an address is in it.
    pub fn contains(self, address: Ipv6Addr) -> bool {
        u128::from(address) & mask(self.prefix) == self.base
    }

    /// Whether some address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.base & shorter == other.base & shorter
    }

    /// Returns the addresses that hosts may have, in order.
    pub fn hosts(self) -> impl Iterator<Item = Ipv6Addr> {
        let last = self.base | !mask(self.prefix);
        (self.base.saturating_add(1)..last).map(Ipv6Addr::from)
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.prefix)
    }
}

impl FromStr for Subnet6 {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let invalid = || NetError::Invalid(format!("invalid CIDR address: {text}"));
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: Ipv6Addr = address.parse().map_err(|_| invalid())?;
        let prefix: u8 = prefix.parse().ok().filter(|bits| *bits <= 128).ok_or_else(invalid)?;
        let subnet = Self::of(address, prefix);
        if subnet.base() != address {
            return Err(NetError::Invalid(format!("invalid subnet {text}: it should be {subnet}")));
        }
        Ok(subnet)
    }
}

impl TryFrom<String> for Subnet6 {
    type Error = NetError;

    fn try_from(text: String) -> Result<Self, NetError> {
        text.parse()
    }
}

impl From<Subnet6> for String {
    fn from(subnet: Subnet6) -> Self {
        subnet.to_string()
    }
}

/// What is asked for of a network's IPv6.
#[derive(Debug, Clone, Default)]
pub struct NewSix {
    /// Its addresses; one's own unless given.
    pub subnet: Option<Subnet6>,
    /// The bridge's address; the first of the subnet unless given.
    pub gateway: Option<Ipv6Addr>,
    /// Where containers' addresses come from.
    pub range: Option<Subnet6>,
    /// Addresses that no container gets, by name.
    pub reserved: BTreeMap<String, Ipv6Addr>,
}

/// A network's IPv6.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Six {
    /// Its addresses.
    pub subnet: Subnet6,
    /// The bridge's own address.
    pub gateway: Ipv6Addr,
    /// Where containers' addresses come from, if not from all of the subnet.
    pub range: Option<Subnet6>,
    /// Addresses that no container gets, by name.
    pub reserved: BTreeMap<String, Ipv6Addr>,
    /// Whether the subnet was asked for rather than made up.
    pub fixed: bool,
}

/// A container's place in a network's IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place6 {
    /// Its address.
    pub address: Ipv6Addr,
    /// Bits of the address that all in the network share.
    pub prefix: u8,
    /// The way to other machines, if there is one.
    pub gateway: Option<Ipv6Addr>,
}

impl Six {
    /// Returns the IPv6 of a new network.
    ///
    /// # Errors
    /// The addresses overlap those of others, or don't fit each other.
    pub(super) fn new(wanted: NewSix, id: &str, others: &[Subnet6]) -> Result<Self, NetError> {
        let fixed = wanted.subnet.is_some();
        let subnet = wanted.subnet.unwrap_or_else(|| Subnet6::local(id));
        if others.iter().any(|other| other.overlaps(subnet)) {
            return Err(NetError::Overlaps);
        }
        let taken = |address: &Ipv6Addr| wanted.reserved.values().any(|other| other == address);
        let first = || subnet.hosts().find(|address| !taken(address));
        let gateway =
            wanted.gateway.or_else(first).ok_or_else(|| NetError::NoAddress6(subnet.to_string()))?;
        if !subnet.contains(gateway) {
            return Err(NetError::Invalid(format!("no matching subnet for gateway {gateway}")));
        }
        if let Some(range) = wanted.range
            && (!subnet.overlaps(range) || range.prefix() < subnet.prefix())
        {
            return Err(NetError::Invalid(format!("no matching subnet for range {range}")));
        }
        if let Some(address) = wanted.reserved.values().find(|address| !subnet.contains(**address)) {
            return Err(NetError::Invalid(format!("no matching subnet for aux-address {address}")));
        }
        Ok(Self { subnet, gateway, range: wanted.range, reserved: wanted.reserved, fixed })
    }

    /// Returns an address that is not among those that are taken.
    ///
    /// # Errors
    /// There is none, or the wanted one is none or taken.
    pub(super) fn free(&self, wanted: Option<Ipv6Addr>, taken: &[Ipv6Addr]) -> Result<Ipv6Addr, NetError> {
        let is_taken = |address: Ipv6Addr| {
            address == self.gateway
                || self.reserved.values().any(|other| *other == address)
                || taken.contains(&address)
        };
        match wanted {
            Some(address) if !self.subnet.contains(address) => Err(NetError::NotInside(address.into())),
            Some(address) if is_taken(address) => Err(NetError::AddressInUse),
            Some(address) => Ok(address),
            None => {
                let mut all = self.range.unwrap_or(self.subnet).hosts();
                all.find(|address| !is_taken(*address) && *address != self.subnet.base())
                    .ok_or_else(|| NetError::NoAddress6(self.subnet.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for text in ["fd00::/64", "2001:db8:1::/48", "::/0", "fd00::1/128"] {
            assert_eq!(text.parse::<Subnet6>().unwrap().to_string(), text);
        }
        for wrong in ["fd00::", "fd00::1/64", "fd00::/129", "10.0.0.0/8", "x/8", ""] {
            assert!(wrong.parse::<Subnet6>().is_err(), "{wrong}");
        }
        let own = Subnet6::local("abc");
        assert!(own.to_string().starts_with("fd") && own.prefix() == 64, "{own}");
        assert!(own.overlaps(own) && !own.overlaps(Subnet6::local("abd")));
    }

    #[test]
    fn addresses_are_given_in_order_and_once() {
        let subnet: Subnet6 = "fd00::/126".parse().unwrap();
        let six = Six::new(NewSix { subnet: Some(subnet), ..NewSix::default() }, "id", &[]).unwrap();
        assert_eq!(six.gateway.to_string(), "fd00::1");
        let first = six.free(None, &[]).unwrap();
        assert_eq!(first.to_string(), "fd00::2");
        assert!(matches!(six.free(None, &[first]), Err(NetError::NoAddress6(_))));
        assert!(matches!(six.free(Some(first), &[first]), Err(NetError::AddressInUse)));
        assert!(six.free(Some("fd01::2".parse().unwrap()), &[]).is_err());
        assert!(Six::new(NewSix { subnet: Some(subnet), ..NewSix::default() }, "id", &[subnet]).is_err());
    }
}
