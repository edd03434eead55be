//! The rules of a network: one nftables table for each, so that removing it removes all rules, and no other
//! table is touched.
//!
//! Published ports are elements of maps, not rules: a packet is matched by one look-up however many there are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;

use super::bridge_options::Gateway;
use super::error::NetError;
use super::expression::{Expression, Load, Verdict};
use super::network::Endpoint;
use super::passage;
use super::port::Published;
use super::subnet::{Address, Subnet};
use super::tables::{self, Batch, Element, Hook, INET, IPV4, IPV6};

/// `nft`'s numbers of types: `ipv4_addr`, `ipv6_addr`, `inet_proto`, `inet_service`.
const ADDRESS: u32 = 7;
const ADDRESS6: u32 = 8;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
/// Where packets come in, are forwarded, and go out.
const PREROUTING: Hook = Hook { kind: "nat", number: 0, priority: -100 };
const FORWARD: Hook = Hook { kind: "filter", number: 2, priority: 0 };
const POSTROUTING: Hook = Hook { kind: "nat", number: 4, priority: 100 };

/// A kind of addresses: where they are in packets, and the maps of their ports.
struct Kind {
    family: u8,
    type_of_address: u32,
    /// Bytes of an address.
    size: u32,
    /// Where a packet's header has its sender and its target.
    sender: u32,
    target: u32,
    bound: &'static str,
    any: &'static str,
    open: &'static str,
    /// Number of the protocol of its control messages.
    control: u8,
}

const FOUR: Kind = Kind {
    family: IPV4,
    type_of_address: ADDRESS,
    size: 4,
    sender: 12,
    target: 16,
    bound: "bound",
    any: "any",
    open: "open",
    control: 1,
};
const SIX: Kind = Kind {
    family: IPV6,
    type_of_address: ADDRESS6,
    size: 16,
    sender: 8,
    target: 24,
    bound: "bound6",
    any: "any6",
    open: "open6",
    control: 58,
};

/// What the rules of a network are made of.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The bridge, which also names the table.
    pub bridge: &'a str,
    /// Its IPv4.
    pub four: Option<Side<Ipv4Addr>>,
    /// Its IPv6.
    pub six: Option<Side<Ipv6Addr>>,
    /// Whether nothing passes between its containers and other machines.
    pub internal: bool,
    /// Whether packets to other machines carry this machine's address.
    pub masquerade: bool,
    /// Whether containers of it reach each other.
    pub talk: bool,
    /// Interfaces from which all may pass to containers.
    pub trusted: &'a [String],
}

/// One kind of a network's addresses, and how packets come there and go.
#[derive(Debug, Clone, Copy)]
pub struct Side<A> {
    /// The addresses.
    pub subnet: Subnet<A>,
    /// The ways.
    pub gateway: Gateway,
}

impl Rules<'_> {
    /// Makes the table, or makes it anew with the ports that are published now.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn install(&self, inside: &[Endpoint]) -> Result<(), NetError> {
        let mut batch = Batch::new(INET, &table(self.bridge));
        // Made before it is removed, so that neither fails.
        batch.add_table();
        batch.delete_table();
        batch.add_table();
        self.publishing(&mut batch);
        self.leaving(&mut batch);
        self.passing(&mut batch);
        batch.change_elements(&elements(inside), true);
        batch.commit().map_err(|errno| match errno {
            Errno::PERM => NetError::MayNot,
            errno => NetError::kernel(format!("write the rules of {}", self.bridge), errno),
        })?;
        passage::open(self.bridge)
    }

    /// Packets from other machines to published ports; this machine itself, and containers of the network, are served
    /// by the proxy.
    fn publishing(&self, batch: &mut Batch) {
        batch.add_chain("prerouting", PREROUTING);
        if self.four.is_some() {
            self.publishing_for(&FOUR, batch);
        }
        if self.six.is_some() {
            self.publishing_for(&SIX, batch);
        }
    }

    fn publishing_for(&self, kind: &Kind, batch: &mut Batch) {
        let value = (kind.type_of_address << 6 | SERVICE, kind.size + 4);
        let bound = kind.type_of_address << 12 | PROTOCOL << 6 | SERVICE;
        batch.add_map(kind.bound, (bound, kind.size + 8), value);
        batch.add_map(kind.any, (PROTOCOL << 6 | SERVICE, 8), value);
        // Its values are not looked at: what it has may pass.
        batch.add_map(kind.open, (bound, kind.size + 8), value);
        let local = [
            Expression::Load(Load::InterfaceIn, 0),
            Expression::Compare { same: false, with: name(self.bridge) },
            Expression::Load(Load::TargetKind, 0),
            // RTN_LOCAL
            Expression::Compare { same: true, with: 2u32.to_ne_bytes().to_vec() },
            Expression::Load(Load::Family, 0),
            Expression::Compare { same: true, with: vec![kind.family] },
        ];
        let registers = kind.size / 4;
        let found =
            |map| [Expression::Find(map), Expression::Redirect { family: kind.family, port: registers }];
        let (protocol, port) = (Load::Protocol, Load::Transport(2, 2));
        let target = [
            Expression::Load(Load::Network(kind.target, kind.size), 0),
            Expression::Load(protocol, registers),
            Expression::Load(port, registers + 1),
        ];
        batch.add_rule("prerouting", &[&local[..], &target, &found(kind.bound)].concat());
        let alone = [Expression::Load(protocol, 0), Expression::Load(port, 1)];
        batch.add_rule("prerouting", &[&local[..], &alone, &found(kind.any)].concat());
    }

    /// Packets to other machines.
    fn leaving(&self, batch: &mut Batch) {
        batch.add_chain("postrouting", POSTROUTING);
        if self.masquerade && !self.internal {
            if let Some(side) = self.four.filter(Side::is_translated) {
                self.masquerading(&FOUR, &side.subnet.mask().octets(), &side.subnet.base().octets(), batch);
            }
            if let Some(side) = self.six.filter(Side::is_translated) {
                self.masquerading(&SIX, &side.subnet.mask().octets(), &side.subnet.base().octets(), batch);
            }
        }
    }

    fn masquerading(&self, kind: &Kind, mask: &[u8], base: &[u8], batch: &mut Batch) {
        let steps = [
            Expression::Load(Load::Family, 0),
            Expression::Compare { same: true, with: vec![kind.family] },
            Expression::Load(Load::Network(kind.sender, kind.size), 0),
            Expression::Mask(mask.to_vec()),
            Expression::Compare { same: true, with: base.to_vec() },
            Expression::Load(Load::InterfaceOut, 0),
            Expression::Compare { same: false, with: name(self.bridge) },
            Expression::Masquerade,
        ];
        batch.add_rule("postrouting", &steps);
    }

    /// Packets that pass this machine.
    fn passing(&self, batch: &mut Batch) {
        batch.add_chain("forward", FORWARD);
        let (from, to) = (is_of(Load::InterfaceIn, self.bridge), is_of(Load::InterfaceOut, self.bridge));
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
            for name in self.trusted {
                rule(&[&is_of(Load::InterfaceIn, name), &to], Verdict::Accept);
            }
            let sides =
                [(&FOUR, self.four.map(|side| side.gateway)), (&SIX, self.six.map(|side| side.gateway))];
            for (kind, gateway) in sides {
                for steps in kind.openings(gateway) {
                    rule(&[&to, &steps], Verdict::Accept);
                }
            }
        }
        rule(&[&to], Verdict::Drop);
    }
}

impl<A: Address> Side<A> {
    /// Whether packets to other machines may carry this machine's address.
    fn is_translated(&self) -> bool {
        matches!(self.gateway, Gateway::Nat | Gateway::Unprotected)
    }
}

impl Kind {
    /// Returns what may come to containers' own addresses from other machines, as steps of a rule each.
    fn openings(&self, gateway: Option<Gateway>) -> Vec<Vec<Expression>> {
        let own =
            [Expression::Load(Load::Family, 0), Expression::Compare { same: true, with: vec![self.family] }];
        match gateway {
            Some(Gateway::Unprotected) => vec![own.to_vec()],
            Some(Gateway::Routed) => {
                let registers = self.size / 4;
                let port = [
                    Expression::Load(Load::Network(self.target, self.size), 0),
                    Expression::Load(Load::Protocol, registers),
                    Expression::Load(Load::Transport(2, 2), registers + 1),
                    Expression::Find(self.open),
                ];
                let control = [
                    Expression::Load(Load::Protocol, 0),
                    Expression::Compare { same: true, with: vec![self.control] },
                ];
                vec![[&own[..], &port].concat(), [&own[..], &control].concat()]
            }
            _ => Vec::new(),
        }
    }
}

/// Returns the steps that go on with one interface's packets alone.
fn is_of(side: Load, interface: &str) -> Vec<Expression> {
    vec![Expression::Load(side, 0), Expression::Compare { same: true, with: name(interface) }]
}

/// Publishes ports of a container, or takes them back.
///
/// # Errors
/// The kernel refuses, e.g. for a network without a table.
pub fn publish(bridge: &str, endpoint: &Endpoint, there: bool) -> Result<(), NetError> {
    let elements = elements(std::slice::from_ref(endpoint));
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

/// Returns what leads ports to containers, by map.
fn elements(inside: &[Endpoint]) -> Vec<Element> {
    let each = |endpoint: &Endpoint| {
        endpoint.ports.iter().filter_map(|port| element(port, endpoint)).collect::<Vec<_>>()
    };
    let mut all: Vec<Element> = inside.iter().flat_map(each).collect();
    all.sort_by_key(|element| element.map);
    all
}

/// Returns what leads a port to a container; none for those that the proxy alone serves.
fn element(port: &Published, endpoint: &Endpoint) -> Option<Element> {
    let number = |value: u16| {
        let [high, low] = value.to_be_bytes();
        [high, low, 0, 0]
    };
    let (kind, own, target) = match port.address {
        IpAddr::V4(own) => (FOUR, own.octets().to_vec(), endpoint.four?.address.octets().to_vec()),
        IpAddr::V6(own) => (SIX, own.octets().to_vec(), endpoint.six?.address.octets().to_vec()),
    };
    let protocol = [port.protocol.number(), 0, 0, 0];
    let value = [&target[..], &number(port.container)].concat();
    if port.host == 0 {
        // Its own address is routed to.
        let key = [&target[..], &protocol, &number(port.container)].concat();
        return Some(Element { map: kind.open, key, value });
    }
    let mut key = [protocol, number(port.host)].concat();
    let map = match port.address {
        own if own.is_loopback() => return None,
        own if own.is_unspecified() => kind.any,
        _ => {
            key.splice(0..0, own);
            kind.bound
        }
    };
    Some(Element { map, key, value })
}
