//! The rules of a network: one nftables table for each, so that removing it removes all rules, and no other
//! table is touched.
//!
//! Published ports are elements of maps, not rules: a packet is matched by one look-up however many there are.

use std::net::{IpAddr, Ipv4Addr};

use rustix::io::Errno;

use super::error::NetError;
use super::expression::{Expression, Load, Verdict};
use super::passage;
use super::port::Published;
use super::subnet::Subnet;
use super::tables::{self, Batch, Element, Hook, INET, IPV4};

/// `nft`'s numbers of types: `ipv4_addr`, `inet_proto`, `inet_service`.
const ADDRESS: u32 = 7;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
/// Where packets come in, are forwarded, and go out.
const PREROUTING: Hook = Hook { kind: "nat", number: 0, priority: -100 };
const FORWARD: Hook = Hook { kind: "filter", number: 2, priority: 0 };
const POSTROUTING: Hook = Hook { kind: "nat", number: 4, priority: 100 };

/// What the rules of a network are made of.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The bridge, which also names the table.
    pub bridge: &'a str,
    /// Its addresses.
    pub subnet: Subnet,
    /// Whether nothing passes between its containers and other machines.
    pub internal: bool,
    /// Whether packets to other machines carry this machine's address.
    pub masquerade: bool,
    /// Whether containers of it reach each other.
    pub talk: bool,
}

impl Rules<'_> {
    /// Makes the table, or makes it anew with the ports that are published now.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn install<'p>(
        &self,
        ports: impl Iterator<Item = (&'p Published, Ipv4Addr)>,
    ) -> Result<(), NetError> {
        let mut batch = Batch::new(INET, &table(self.bridge));
        // Made before it is removed, so that neither fails.
        batch.add_table();
        batch.delete_table();
        batch.add_table();
        self.publishing(&mut batch);
        self.leaving(&mut batch);
        self.passing(&mut batch);
        let mut elements: Vec<Element> = ports.filter_map(|(port, address)| element(port, address)).collect();
        elements.sort_by_key(|element| element.map);
        batch.change_elements(&elements, true);
        batch.commit().map_err(|errno| match errno {
            Errno::PERM => NetError::MayNot,
            errno => NetError::kernel(format!("write the rules of {}", self.bridge), errno),
        })?;
        passage::open(self.bridge)
    }

    /// Packets from other machines to published ports; this machine itself, and containers of the network, are served
    /// by the proxy.
    fn publishing(&self, batch: &mut Batch) {
        let value = (ADDRESS << 6 | SERVICE, 8);
        batch.add_map("bound", (ADDRESS << 12 | PROTOCOL << 6 | SERVICE, 12), value);
        batch.add_map("any", (PROTOCOL << 6 | SERVICE, 8), value);
        batch.add_chain("prerouting", PREROUTING);
        let local = [
            Expression::Load(Load::InterfaceIn, 0),
            Expression::Compare { same: false, with: name(self.bridge) },
            Expression::Load(Load::TargetKind, 0),
            // RTN_LOCAL
            Expression::Compare { same: true, with: 2u32.to_ne_bytes().to_vec() },
            Expression::Load(Load::Family, 0),
            Expression::Compare { same: true, with: vec![IPV4] },
        ];
        let by = |map, key: &[Expression]| {
            let found = [Expression::Find(map), Expression::Redirect { family: IPV4, port: 1 }];
            [&local[..], key, &found].concat()
        };
        let (protocol, port) = (Load::Protocol, Load::Transport(2, 2));
        let bound = [
            Expression::Load(Load::Network(16, 4), 0),
            Expression::Load(protocol, 1),
            Expression::Load(port, 2),
        ];
        batch.add_rule("prerouting", &by("bound", &bound));
        batch.add_rule("prerouting", &by("any", &[Expression::Load(protocol, 0), Expression::Load(port, 1)]));
    }

    /// Packets to other machines.
    fn leaving(&self, batch: &mut Batch) {
        batch.add_chain("postrouting", POSTROUTING);
        if self.masquerade && !self.internal {
            let steps = [
                Expression::Load(Load::Family, 0),
                Expression::Compare { same: true, with: vec![IPV4] },
                Expression::Load(Load::Network(12, 4), 0),
                Expression::Mask(self.subnet.mask().octets().to_vec()),
                Expression::Compare { same: true, with: self.subnet.base().octets().to_vec() },
                Expression::Load(Load::InterfaceOut, 0),
                Expression::Compare { same: false, with: name(self.bridge) },
                Expression::Masquerade,
            ];
            batch.add_rule("postrouting", &steps);
        }
    }

    /// Packets that pass this machine.
    fn passing(&self, batch: &mut Batch) {
        batch.add_chain("forward", FORWARD);
        let is = |what| {
            vec![Expression::Load(what, 0), Expression::Compare { same: true, with: name(self.bridge) }]
        };
        let (from, to) = (is(Load::InterfaceIn), is(Load::InterfaceOut));
        let mut rule = |steps: &[&[Expression]], verdict| {
            batch.add_rule("forward", &[&steps.concat()[..], &[Expression::Decide(verdict)]].concat());
        };
        let among = if self.talk { Verdict::Accept } else { Verdict::Drop };
        rule(&[&from, &to], among);
        if self.internal {
            rule(&[&from], Verdict::Drop);
        } else {
            let some = |what, bits: u32| {
                let mask = Expression::Mask(bits.to_ne_bytes().to_vec());
                [Expression::Load(what, 0), mask, Expression::Compare { same: false, with: vec![0; 4] }]
            };
            // Established or related; with another target than the sender saw.
            rule(&[&to, &some(Load::ConnectionState, 2 | 4)], Verdict::Accept);
            rule(&[&to, &some(Load::ConnectionStatus, 0x20)], Verdict::Accept);
        }
        rule(&[&to], Verdict::Drop);
    }
}

/// Publishes ports of a container, or takes them back.
///
/// # Errors
/// The kernel refuses, e.g. for a network without a table.
pub fn publish(bridge: &str, ports: &[Published], address: Ipv4Addr, there: bool) -> Result<(), NetError> {
    let mut elements: Vec<Element> = ports.iter().filter_map(|port| element(port, address)).collect();
    elements.sort_by_key(|element| element.map);
    let mut batch = Batch::new(INET, &table(bridge));
    batch.change_elements(&elements, there);
    batch.commit().map_err(|errno| NetError::kernel(format!("change the published ports of {bridge}"), errno))
}

/// Whether a network's rules are there. Where the kernel does not tell, they are taken to be.
pub fn is_there(bridge: &str) -> bool {
    !matches!(tables::ask_for(&table(bridge)), Err(Errno::NOENT))
}

/// Removes a network's rules, if there are any.
///
/// # Errors
/// The kernel refuses.
pub fn remove(bridge: &str) -> Result<(), NetError> {
    let mut batch = Batch::new(INET, &table(bridge));
    batch.delete_table();
    let removed = match batch.commit() {
        Err(Errno::NOENT) => Ok(()),
        other => other.map_err(|errno| NetError::kernel(format!("remove the rules of {bridge}"), errno)),
    };
    removed.and(passage::close(bridge))
}

fn table(bridge: &str) -> String {
    format!("skiff-{bridge}")
}

/// Returns an interface's name as the kernel compares it.
pub(super) fn name(interface: &str) -> Vec<u8> {
    let mut bytes = interface.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

/// Returns what leads a port to a container; none for those that the proxy alone serves.
fn element(port: &Published, address: Ipv4Addr) -> Option<Element> {
    let number = |value: u16| {
        let [high, low] = value.to_be_bytes();
        [high, low, 0, 0]
    };
    let mut key = [[port.protocol.number(), 0, 0, 0], number(port.host)].concat();
    let map = match port.address {
        IpAddr::V6(_) => return None,
        IpAddr::V4(own) if own.is_loopback() => return None,
        IpAddr::V4(own) if own.is_unspecified() => "any",
        IpAddr::V4(own) => {
            key.splice(0..0, own.octets());
            "bound"
        }
    };
    Some(Element { map, key, value: [address.octets(), number(port.container)].concat() })
}
