//! Subnets of both kinds of addresses: their text, their addresses, and the ones that new networks take.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::NetError;

/// An address of either kind, as bits.
pub trait Address: Copy + Ord + fmt::Debug + fmt::Display + FromStr + Into<IpAddr> {
    /// How many bits it has.
    const BITS: u8;
    /// What its kind is called.
    const KIND: &'static str;

    /// Returns its bits, the last ones lowest.
    fn bits(self) -> u128;

    /// Returns the address of bits, of which those beyond its own are not looked at.
    fn from_bits(bits: u128) -> Self;
}

impl Address for Ipv4Addr {
    const BITS: u8 = 32;
    const KIND: &'static str = "IPv4";

    fn bits(self) -> u128 {
        u32::from(self).into()
    }

    fn from_bits(bits: u128) -> Self {
        (bits as u32).into()
    }
}

impl Address for Ipv6Addr {
    const BITS: u8 = 128;
    const KIND: &'static str = "IPv6";

    fn bits(self) -> u128 {
        self.into()
    }

    fn from_bits(bits: u128) -> Self {
        bits.into()
    }
}

/// An address range in CIDR notation, e.g. `172.17.0.0/16` or `fd00:1::/64`; the bits beyond the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "A: Address")]
pub struct Subnet<A = Ipv4Addr> {
    base: A,
    prefix: u8,
}

impl<A: Address> Subnet<A> {
    /// Returns the subnet of an address.
    pub fn of(address: A, prefix: u8) -> Self {
        let prefix = prefix.min(A::BITS);
        Self { base: A::from_bits(address.bits() & mask::<A>(prefix)), prefix }
    }

    /// Returns the number of leading bits that its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Returns the bits that its addresses share, as an address.
    pub fn mask(self) -> A {
        A::from_bits(mask::<A>(self.prefix))
    }

    /// Returns its first address, which names the subnet itself.
    pub fn base(self) -> A {
        self.base
    }

    /// Returns its last address, to which all hosts of an IPv4 subnet listen.
    pub fn last(self) -> A {
        A::from_bits(self.base.bits() | !mask::<A>(self.prefix) & mask::<A>(A::BITS))
    }

    /// Whether an address is in it.
    pub fn contains(self, address: A) -> bool {
        address.bits() & mask::<A>(self.prefix) == self.base.bits()
    }

    /// Whether some address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let shorter = mask::<A>(self.prefix.min(other.prefix));
        self.base.bits() & shorter == other.base.bits() & shorter
    }

    /// Returns all of its addresses, in order.
    pub fn addresses(self) -> impl Iterator<Item = A> {
        (self.base.bits()..=self.last().bits()).map(A::from_bits)
    }
}

impl Subnet {
    /// Returns the subnets that new networks take, in docker's order.
    pub fn pools() -> impl Iterator<Item = Self> {
        let sixteen = (17..=31).map(|second| Self::of(Ipv4Addr::new(172, second, 0, 0), 16));
        let twenty = (0..16).map(|n| Self::of(Ipv4Addr::new(192, 168, n * 16, 0), 20));
        sixteen.chain(twenty)
    }
}

impl Subnet<Ipv6Addr> {
    /// Returns the subnet that a network gets by itself: one of those that are free to use (RFC 4193), named by its id.
    pub fn local(id: &str) -> Self {
        let hash = blake3::hash(id.as_bytes());
        let mut address = [0; 16];
        address[0] = 0xfd;
        address[1..8].copy_from_slice(&hash.as_bytes()[..7]);
        Self::of(address.into(), 64)
    }
}

fn mask<A: Address>(prefix: u8) -> u128 {
    let ones = u128::MAX >> (128 - u32::from(A::BITS));
    ones & u128::MAX.checked_shl(u32::from(A::BITS - prefix)).unwrap_or(0)
}

impl<A: Address> fmt::Display for Subnet<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl<A: Address> FromStr for Subnet<A> {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let invalid = || NetError::Invalid(format!("invalid CIDR address: {text}"));
        let (address, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let address: A = address.parse().map_err(|_| invalid())?;
        let prefix: u8 = prefix.parse().ok().filter(|bits| *bits <= A::BITS).ok_or_else(invalid)?;
        let subnet = Self::of(address, prefix);
        if subnet.base != address {
            return Err(NetError::Invalid(format!("invalid subnet {text}: it should be {subnet}")));
        }
        Ok(subnet)
    }
}

impl<A: Address> TryFrom<String> for Subnet<A> {
    type Error = NetError;

    fn try_from(text: String) -> Result<Self, NetError> {
        text.parse()
    }
}

impl<A: Address> From<Subnet<A>> for String {
    fn from(subnet: Subnet<A>) -> Self {
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
        for text in ["fd00::/64", "2001:db8:1::/48", "::/0", "fd00::1/128"] {
            assert_eq!(text.parse::<Subnet<Ipv6Addr>>().unwrap().to_string(), text);
        }
        for wrong in ["fd00::", "fd00::1/64", "fd00::/129", "10.0.0.0/8", "x/8", ""] {
            assert!(wrong.parse::<Subnet<Ipv6Addr>>().is_err(), "{wrong}");
        }
        let own = Subnet::local("abc");
        assert!(own.to_string().starts_with("fd") && own.prefix() == 64, "{own}");
        assert!(own.overlaps(own) && !own.overlaps(Subnet::local("abd")));
    }

    #[test]
    fn subnets_know_their_addresses() {
        let small: Subnet = "10.0.0.8/30".parse().unwrap();
        let all: Vec<String> = small.addresses().map(|a| a.to_string()).collect();
        assert_eq!(all, ["10.0.0.8", "10.0.0.9", "10.0.0.10", "10.0.0.11"]);
        assert_eq!(
            (small.last().to_string(), small.mask().to_string()),
            ("10.0.0.11".into(), "255.255.255.252".into())
        );
        assert!(
            small.contains("10.0.0.10".parse().unwrap()) && !small.contains("10.0.0.12".parse().unwrap())
        );
        let one: Subnet = "10.0.0.1/32".parse().unwrap();
        assert_eq!(one.addresses().count(), 1);
        let all: Subnet = "0.0.0.0/0".parse().unwrap();
        assert_eq!((all.mask(), all.last()), (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
        let all: Subnet<Ipv6Addr> = "::/0".parse().unwrap();
        assert!(all.contains("ff::1".parse().unwrap()) && all.mask().is_unspecified());
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
