//! `--subnet`, `--gateway`, `--ip-range` and `--aux-address`: which belongs to which.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::error::CliError;
use super::create::CreateArgs;
use crate::net::{Address, NewPool, Subnet};

/// A subnet with what was given for it, as it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolText {
    /// The subnet.
    pub subnet: String,
    /// The part of it that containers' addresses are of.
    pub range: Option<String>,
    /// The way to other machines.
    pub gateway: Option<String>,
    /// Addresses that no container gets.
    pub reserved: BTreeMap<String, String>,
}

impl PoolText {
    /// Whether it is of IPv6.
    pub fn is_six(&self) -> bool {
        self.subnet.contains(':')
    }

    /// Whether an address, maybe with a length, is in it; what can't be read is the engine's to refuse.
    fn has(&self, text: &str) -> bool {
        let address = text.split('/').next().unwrap_or_default();
        match address.parse() {
            Ok(IpAddr::V4(address)) => self.holds(address),
            Ok(IpAddr::V6(address)) => self.holds(address),
            Err(_) => false,
        }
    }

    fn holds<A: Address>(&self, address: A) -> bool {
        self.subnet.parse::<Subnet<A>>().is_ok_and(|subnet| subnet.contains(address))
    }

    /// Reads it.
    ///
    /// # Errors
    /// Something in it is no address.
    pub fn read<A: Address>(&self) -> Result<NewPool<A>, CliError> {
        let subnet = |text: &String| {
            text.parse::<Subnet<A>>().map_err(|e| CliError::new(format!("Error response from daemon: {e}")))
        };
        let address = |what: &str, text: &String| {
            text.parse::<A>()
                .map_err(|_| CliError::new(format!("Error response from daemon: invalid {what} {text}")))
        };
        let mut reserved = BTreeMap::new();
        for (name, text) in &self.reserved {
            reserved.insert(name.clone(), address("aux-address", text)?);
        }
        Ok(NewPool {
            subnet: Some(subnet(&self.subnet)?),
            gateway: self.gateway.as_ref().map(|text| address("gateway", text)).transpose()?,
            range: self.range.as_ref().map(subnet).transpose()?,
            reserved,
        })
    }
}

/// Puts gateways, ranges and further addresses to their subnets, with docker's words for what has none.
///
/// # Errors
/// Something belongs to no subnet, or two things to one that can have one.
pub fn pools(args: &CreateArgs) -> Result<Vec<PoolText>, CliError> {
    if args.subnet.is_empty() && !(args.gateway.is_empty() && args.ip_range.is_empty()) {
        return Err(CliError::new("every ip-range or gateway must have a corresponding subnet"));
    }
    let mut pools: Vec<PoolText> = Vec::new();
    for subnet in &args.subnet {
        let new = PoolText { subnet: subnet.clone(), ..PoolText::default() };
        if pools.iter().any(|pool| pool.has(subnet) || new.has(&pool.subnet)) {
            return Err(CliError::new("multiple overlapping subnet configuration is not supported"));
        }
        pools.push(new);
    }
    for (range, what) in args.ip_range.iter().map(|text| (text, "range")) {
        let pool = of(&mut pools, range, what)?;
        if let Some(other) = pool.range.replace(range.clone()) {
            return Err(CliError::new(format!(
                "cannot configure multiple ranges ({range}, {other}) on the same subnet ({})",
                pool.subnet
            )));
        }
    }
    for gateway in &args.gateway {
        let pool = of(&mut pools, gateway, "gateway")?;
        if let Some(other) = pool.gateway.replace(gateway.clone()) {
            return Err(CliError::new(format!(
                "cannot configure multiple gateways ({gateway}, {other}) for the same subnet ({})",
                pool.subnet
            )));
        }
    }
    for text in &args.aux_address {
        let bad = || CliError::new(format!("invalid aux-address {text}: expected name=address"));
        let (name, address) = text.split_once('=').ok_or_else(bad)?;
        let pool = of(&mut pools, address, "aux-address")?;
        pool.reserved.insert(name.to_owned(), address.to_owned());
    }
    Ok(pools)
}

fn of<'a>(pools: &'a mut [PoolText], text: &str, what: &str) -> Result<&'a mut PoolText, CliError> {
    let missing = || CliError::new(format!("no matching subnet for {what} {text}"));
    pools.iter_mut().find(|pool| pool.has(text)).ok_or_else(missing)
}

/// What is asked for of both kinds of addresses.
pub type Both = (Vec<NewPool<Ipv4Addr>>, Vec<NewPool<Ipv6Addr>>);

/// Reads pools of both kinds.
///
/// # Errors
/// Something is no address.
pub fn both(texts: &[PoolText]) -> Result<Both, CliError> {
    let (six, four): (Vec<&PoolText>, Vec<&PoolText>) = texts.iter().partition(|pool| pool.is_six());
    Ok((
        four.into_iter().map(PoolText::read).collect::<Result<_, _>>()?,
        six.into_iter().map(PoolText::read).collect::<Result<_, _>>()?,
    ))
}
