//! IP networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Takes::{Number as Num, String as Str};
use super::{Arguments, Fail, Function, fixed, variadic};
use crate::bake::value::Value;

pub(super) const TABLE: &[Function] = &[
    fixed("cidrhost", &[("prefix", Str), ("hostnum", Num)], host),
    fixed("cidrnetmask", &[("prefix", Str)], |a| {
        let network = Network::parse(a.text(0))?;
        Ok(Value::string(network.with(network.mask()).address().to_string()))
    }),
    fixed("cidrsubnet", &[("prefix", Str), ("newbits", Num), ("netnum", Num)], |a| {
        let network = Network::parse(a.text(0))?;
        let (bits, number) = (a.integer(1)?, a.integer(2)?);
        let length = network.longer(bits)?;
        let number =
            u128::try_from(number).ok().filter(|n| bits >= 128 || n >> bits == 0).ok_or_else(|| {
                format!("prefix extension of {bits} does not accommodate a subnet numbered {number}")
            })?;
        let bits = number.checked_shl(network.width() - length).unwrap_or(0);
        let subnet = Network { length, ..network.with(network.bits | bits) };
        Ok(Value::string(format!("{}/{length}", subnet.address())))
    }),
    variadic("cidrsubnets", &[("prefix", Str)], ("newbits", Num), subnets),
];

/// An address and the length of its prefix.
#[derive(Clone, Copy)]
struct Network {
    bits: u128,
    length: u32,
    v6: bool,
}

impl Network {
    fn parse(text: &str) -> Result<Self, Fail> {
        let bad = || Fail::Call(format!("invalid CIDR expression: invalid CIDR address: {text}"));
        let (address, length) = text.split_once('/').ok_or_else(bad)?;
        let length: u32 = length.parse().map_err(|_| bad())?;
        let (bits, v6) = match address.parse::<IpAddr>().map_err(|_| bad())? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), false),
            IpAddr::V6(address) => (u128::from(address), true),
        };
        let network = Self { bits, length, v6 };
        if length > network.width() {
            return Err(bad());
        }
        Ok(network.with(bits & network.mask()))
    }

    fn width(&self) -> u32 {
        if self.v6 { 128 } else { 32 }
    }

    fn mask(&self) -> u128 {
        let ones = u128::MAX.checked_shl(self.width() - self.length).unwrap_or(0);
        if self.v6 { ones } else { ones & u128::from(u32::MAX) }
    }

    fn with(&self, bits: u128) -> Self {
        Self { bits, ..*self }
    }

    fn address(&self) -> IpAddr {
        if self.v6 {
            IpAddr::V6(Ipv6Addr::from(self.bits))
        } else {
            IpAddr::V4(Ipv4Addr::from(u32::try_from(self.bits & u128::from(u32::MAX)).expect("masked")))
        }
    }

    /// The prefix's length with more bits.
    fn longer(&self, more: i64) -> Result<u32, Fail> {
        let length = u32::try_from(i64::from(self.length).saturating_add(more)).ok().filter(|_| more >= 0);
        length.filter(|length| *length <= self.width()).ok_or_else(|| {
            format!("insufficient address space to extend prefix of {} by {more}", self.length).into()
        })
    }
}

fn host(a: &Arguments<'_>) -> Result<Value, Fail> {
    let network = Network::parse(a.text(0))?;
    let number = a.integer(1)?;
    let free = network.width() - network.length;
    let fits = |n: u128| free >= 128 || n >> free == 0;
    let room = || format!("prefix of {} does not accommodate a host numbered {number}", network.length);
    let magnitude = u128::from(number.unsigned_abs());
    // A negative number counts from the network's end.
    let bits = if number >= 0 {
        network.bits | Some(magnitude).filter(|n| fits(*n)).ok_or_else(room)?
    } else {
        let all = if free >= 128 { u128::MAX } else { (1 << free) - 1 };
        let back = Some(magnitude - 1).filter(|n| fits(*n)).ok_or_else(room)?;
        network.bits | (all - back)
    };
    Ok(Value::string(network.with(bits).address().to_string()))
}

/// Consecutive networks of the given sizes, each at the next place where it fits.
fn subnets(a: &Arguments<'_>) -> Result<Value, Fail> {
    let network = Network::parse(a.text(0))?;
    let mut found = Vec::new();
    let mut next = network.bits;
    for index in 1..a.values.len() {
        let bits = a.integer(index)?;
        if bits < 1 {
            return Err(Fail::Argument(index, "must extend prefix by at least one bit".to_owned()));
        }
        let length = network.longer(bits).map_err(|_| {
            Fail::Argument(
                index,
                format!(
                    "would extend prefix to {} bits, which is too long",
                    i64::from(network.length) + bits
                ),
            )
        })?;
        let size = 1_u128.checked_shl(network.width() - length).unwrap_or(0);
        let start = next.checked_add(size - 1).map(|n| n / size * size);
        let start = start.filter(|start| start & network.mask() == network.bits);
        let start = start.ok_or_else(|| {
            Fail::Argument(
                index,
                "not enough remaining address space for a subnet with a prefix of that length".to_owned(),
            )
        })?;
        found.push(Value::string(format!("{}/{length}", network.with(start).address())));
        next = start.saturating_add(size);
    }
    Ok(Value::list(found))
}
