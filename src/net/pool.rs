//! The addresses of a network, of one kind: which are its own, and a container's place among them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::NetError;
use super::subnet::{Address, Subnet};

/// What is asked for of a network's addresses.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "A: Address + Serialize + for<'a> Deserialize<'a>")]
pub struct NewPool<A> {
    /// The subnet; one that is free unless given.
    pub subnet: Option<Subnet<A>>,
    /// The way to other machines; the first address unless given.
    pub gateway: Option<A>,
    /// Where containers' addresses come from.
    pub range: Option<Subnet<A>>,
    /// Addresses that no container gets, by name.
    pub reserved: BTreeMap<String, A>,
}

impl<A> Default for NewPool<A> {
    fn default() -> Self {
        Self { subnet: None, gateway: None, range: None, reserved: BTreeMap::new() }
    }
}

/// Addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "A: Address + Serialize + for<'a> Deserialize<'a>")]
pub struct Pool<A> {
    /// Their subnet.
    pub subnet: Subnet<A>,
    /// The way to other machines, on a bridge the bridge's own address.
    pub gateway: Option<A>,
    /// Where containers' addresses come from, if not from all of the subnet.
    pub range: Option<Subnet<A>>,
    /// Addresses that no container gets, by name.
    #[serde(default = "BTreeMap::new")]
    pub reserved: BTreeMap<String, A>,
    /// Whether the subnet was asked for rather than found.
    pub fixed: bool,
}

impl<A> From<Pool<A>> for NewPool<A> {
    fn from(pool: Pool<A>) -> Self {
        Self { subnet: Some(pool.subnet), gateway: pool.gateway, range: pool.range, reserved: pool.reserved }
    }
}

/// A container's place among a network's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place<A> {
    /// Its address.
    pub address: A,
    /// Bits of the address that all in the network share.
    pub prefix: u8,
    /// The way to other machines, if there is one.
    pub gateway: Option<A>,
}

impl<A: Address> Pool<A> {
    /// Returns the addresses of a new network; `subnet` is the one it gets, `first` whether its first address is the
    /// gateway unless another one is given.
    ///
    /// # Errors
    /// The addresses don't fit each other.
    pub(super) fn new(wanted: NewPool<A>, subnet: Subnet<A>, first: bool) -> Result<Self, NetError> {
        let invalid = |what: String| Err(NetError::Invalid(format!("no matching subnet for {what}")));
        if let Some(range) = wanted.range
            && (!subnet.overlaps(range) || range.prefix() < subnet.prefix())
        {
            return invalid(format!("range {range}"));
        }
        if let Some(address) = wanted.reserved.values().find(|address| !subnet.contains(**address)) {
            return invalid(format!("aux-address {address}"));
        }
        if let Some(address) = wanted.gateway.filter(|address| !subnet.contains(*address)) {
            return invalid(format!("gateway {address}"));
        }
        let mut pool = Self {
            subnet,
            gateway: wanted.gateway,
            range: wanted.range,
            reserved: wanted.reserved,
            fixed: wanted.subnet.is_some(),
        };
        if pool.gateway.is_none() && first {
            pool.gateway = Some(pool.free(None, &[])?);
        }
        Ok(pool)
    }

    /// Returns an address that is not among those that are taken.
    ///
    /// # Errors
    /// There is none, or the wanted one is none or taken.
    pub(super) fn free(&self, wanted: Option<A>, taken: &[A]) -> Result<A, NetError> {
        let is_taken = |address: A| {
            self.gateway == Some(address)
                || self.reserved.values().any(|other| *other == address)
                || taken.contains(&address)
        };
        match wanted {
            Some(address) if !self.subnet.contains(address) => Err(NetError::NotInside(address.into())),
            Some(address) if is_taken(address) => Err(NetError::AddressInUse),
            Some(address) => Ok(address),
            None => {
                let edges = [self.subnet.base(), self.subnet.last()];
                let mut all = self.range.unwrap_or(self.subnet).addresses();
                all.find(|address| !is_taken(*address) && !edges.contains(address))
                    .ok_or_else(|| NetError::NoAddress { kind: A::KIND, subnet: self.subnet.to_string() })
            }
        }
    }

    fn place(&self, address: A, outward: bool) -> Place<A> {
        Place { address, prefix: self.subnet.prefix(), gateway: self.gateway.filter(|_| outward) }
    }
}

/// Returns a place in the first of several pools that has a free address; none without pools. `outward` tells whether
/// there is a way to other machines.
///
/// # Errors
/// No pool has one, or the wanted one is in none or taken.
pub(super) fn free<A: Address>(
    pools: &[Pool<A>],
    wanted: Option<A>,
    taken: &[A],
    outward: bool,
) -> Result<Option<Place<A>>, NetError> {
    let fitting = |pool: &&Pool<A>| wanted.is_none_or(|address| pool.subnet.contains(address));
    let mut result = match wanted {
        Some(address) => Err(NetError::NotInside(address.into())),
        None => Ok(None),
    };
    for pool in pools.iter().filter(fitting) {
        result = pool.free(wanted, taken).map(|address| Some(pool.place(address, outward)));
        if result.is_ok() {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn pool<A: Address>(subnet: &str) -> Pool<A> {
        let subnet = subnet.parse().unwrap();
        Pool::new(NewPool { subnet: Some(subnet), ..NewPool::default() }, subnet, true).unwrap()
    }

    #[test]
    fn addresses_are_given_in_order_and_once() {
        let six: Pool<Ipv6Addr> = pool("fd00::/126");
        assert_eq!(six.gateway.unwrap().to_string(), "fd00::1");
        let first = six.free(None, &[]).unwrap();
        assert_eq!(first.to_string(), "fd00::2");
        assert!(matches!(six.free(None, &[first]), Err(NetError::NoAddress { kind: "IPv6", .. })));
        assert!(matches!(six.free(Some(first), &[first]), Err(NetError::AddressInUse)));
        assert!(six.free(Some("fd01::2".parse().unwrap()), &[]).is_err());
        let four: Pool<Ipv4Addr> = pool("10.0.0.0/30");
        assert_eq!(four.free(None, &[]).unwrap().to_string(), "10.0.0.2");
    }

    #[test]
    fn further_pools_are_taken_when_the_first_is_full() {
        let pools: Vec<Pool<Ipv4Addr>> = vec![pool("10.0.0.0/30"), pool("10.1.0.0/30")];
        let of = |wanted: Option<&str>, taken: &[Ipv4Addr]| {
            let found = free(&pools, wanted.map(|text| text.parse().unwrap()), taken, true)?;
            Ok::<_, NetError>(
                found.map(|place| format!("{}/{} {:?}", place.address, place.prefix, place.gateway)),
            )
        };
        let first: Ipv4Addr = "10.0.0.2".parse().unwrap();
        assert_eq!(of(None, &[]).unwrap().unwrap(), "10.0.0.2/30 Some(10.0.0.1)");
        assert_eq!(of(None, &[first]).unwrap().unwrap(), "10.1.0.2/30 Some(10.1.0.1)");
        assert_eq!(of(Some("10.1.0.2"), &[]).unwrap().unwrap(), "10.1.0.2/30 Some(10.1.0.1)");
        assert!(matches!(of(Some("10.2.0.2"), &[]), Err(NetError::NotInside(_))));
        assert!(free::<Ipv4Addr>(&[], None, &[], true).unwrap().is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let subnet: Subnet = "10.0.0.0/24".parse().unwrap();
        let other: Subnet = "10.1.0.0/24".parse().unwrap();
        for (wanted, said) in [
            (NewPool { gateway: Some(other.base()), ..NewPool::default() }, "gateway 10.1.0.0"),
            (NewPool { range: Some(other), ..NewPool::default() }, "range 10.1.0.0/24"),
            (
                NewPool { reserved: [("a".to_owned(), other.base())].into(), ..NewPool::default() },
                "aux-address 10.1.0.0",
            ),
        ] {
            let why = Pool::new(wanted, subnet, true).unwrap_err().to_string();
            assert_eq!(why, format!("no matching subnet for {said}"));
        }
    }
}
