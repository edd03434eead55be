//! Bridges, pairs of virtual interfaces, their addresses and routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoData, InfoIpVlan, InfoKind, InfoMacVlan, InfoPortData, InfoPortKind,
    InfoVeth, InfoVlan, IpVlanFlags, IpVlanMode, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    MacVlanMode,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

use super::netlink::Netlink;
use super::network::Mac;
use super::parent::{Kind, Layer, Macvlan, Reach};
use super::subnet::Subnet;

/// One end of a pair of interfaces: its name, and where it is.
pub struct Inside<'a> {
    /// Its name there, e.g. `eth0`.
    pub name: &'a str,
    /// Its hardware address; none if it has its parent's.
    pub mac: Option<Mac>,
    /// Bytes of its largest packet.
    pub mtu: Option<u32>,
    /// The namespace where it appears.
    pub namespace: BorrowedFd<'a>,
}

/// A way to other machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By way of another machine.
    Gateway(IpAddr),
    /// Straight out of an interface.
    Interface { index: u32, six: bool },
}

impl Inside<'_> {
    fn attributes(&self) -> Vec<LinkAttribute> {
        let mut attributes = vec![
            LinkAttribute::IfName(self.name.to_owned()),
            LinkAttribute::NetNsFd(self.namespace.as_raw_fd()),
        ];
        attributes.extend(self.mac.map(|mac| LinkAttribute::Address(mac.to_vec())));
        attributes.extend(self.mtu.map(LinkAttribute::Mtu));
        attributes
    }
}

impl Netlink {
    /// Returns an interface's number, none if there is no such interface.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn index(&mut self, name: &str) -> Result<Option<u32>, Errno> {
        let message = link(0, vec![LinkAttribute::IfName(name.to_owned())]);
        match self.get(RouteNetlinkMessage::GetLink(message)) {
            Ok(Some(RouteNetlinkMessage::NewLink(found))) => Ok(Some(found.header.index)),
            Ok(_) | Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Makes a bridge that is up.
    ///
    /// # Errors
    /// `EXIST` if an interface has the name.
    pub fn add_bridge(&mut self, name: &str, mac: Mac, mtu: Option<u32>) -> Result<(), Errno> {
        let kind = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]);
        let mut attributes =
            vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::Address(mac.to_vec()), kind];
        attributes.extend(mtu.map(LinkAttribute::Mtu));
        let mut message = link(0, attributes);
        up(&mut message);
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Writes down whose an interface is.
    ///
    /// # Errors
    /// There is none of this number.
    pub fn set_owner(&mut self, index: u32, owner: &str) -> Result<(), Errno> {
        // IFALIASZ, the zero included.
        let owner = owner.chars().take(200).collect();
        self.change(RouteNetlinkMessage::NewLink(link(index, vec![LinkAttribute::IfAlias(owner)])), 0)
    }

    /// Returns the names of interfaces somebody wrote down as theirs, with what they wrote.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn owned(&mut self) -> Result<Vec<(String, String)>, Errno> {
        let mut found = Vec::new();
        for entry in self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))? {
            let RouteNetlinkMessage::NewLink(message) = entry else { continue };
            let (mut name, mut owner) = (None, None);
            for attribute in message.attributes {
                match attribute {
                    LinkAttribute::IfName(text) => name = Some(text),
                    LinkAttribute::IfAlias(text) => owner = Some(text),
                    _ => {}
                }
            }
            found.extend(name.zip(owner));
        }
        Ok(found)
    }

    /// Makes a pair of interfaces: `outside` here, up and a port of `bridge`, the other in a namespace.
    ///
    /// # Errors
    /// The kernel refuses; nothing is left then.
    pub fn add_pair(&mut self, outside: &str, bridge: u32, inside: &Inside<'_>) -> Result<(), Errno> {
        let mtu = inside.mtu.map(LinkAttribute::Mtu);
        let of_peer = inside.attributes();
        let mut attributes = vec![
            LinkAttribute::IfName(outside.to_owned()),
            LinkAttribute::Controller(bridge),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(link(0, of_peer)))),
            ]),
        ];
        attributes.extend(mtu);
        let mut message = link(0, attributes);
        up(&mut message);
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Makes an interface in a namespace that belongs to a parent here.
    ///
    /// # Errors
    /// The kernel refuses; nothing is left then.
    pub fn add_child(&mut self, parent: u32, kind: Kind, inside: &Inside<'_>) -> Result<(), Errno> {
        let mut attributes = inside.attributes();
        attributes.push(LinkAttribute::Link(parent));
        attributes.push(LinkAttribute::LinkInfo(match kind {
            Kind::Macvlan(mode) => {
                let mode = InfoMacVlan::Mode(match mode {
                    Macvlan::Bridge => MacVlanMode::Bridge,
                    Macvlan::Vepa => MacVlanMode::Vepa,
                    Macvlan::Private => MacVlanMode::Private,
                    Macvlan::Passthru => MacVlanMode::Passthrough,
                });
                vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(InfoData::MacVlan(vec![mode]))]
            }
            Kind::Ipvlan(layer, reach) => {
                let mode = InfoIpVlan::Mode(match layer {
                    Layer::Two => IpVlanMode::L2,
                    Layer::Three => IpVlanMode::L3,
                    Layer::ThreeSymmetric => IpVlanMode::L3S,
                });
                let flags = InfoIpVlan::Flags(match reach {
                    Reach::Bridge => IpVlanFlags::empty(),
                    Reach::Private => IpVlanFlags::Private,
                    Reach::Vepa => IpVlanFlags::Vepa,
                });
                vec![LinkInfo::Kind(InfoKind::IpVlan), LinkInfo::Data(InfoData::IpVlan(vec![mode, flags]))]
            }
        }));
        self.change(RouteNetlinkMessage::NewLink(link(0, attributes)), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Makes an interface that is up and leads nowhere.
    ///
    /// # Errors
    /// `OPNOTSUPP` if the kernel has none such.
    pub fn add_dummy(&mut self, name: &str) -> Result<(), Errno> {
        let kind = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Dummy)]);
        let mut message = link(0, vec![LinkAttribute::IfName(name.to_owned()), kind]);
        up(&mut message);
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Makes an interface, which is up, for one VLAN of another.
    ///
    /// # Errors
    /// `OPNOTSUPP` if the kernel has none such.
    pub fn add_vlan(&mut self, name: &str, parent: u32, number: u16) -> Result<(), Errno> {
        let kind =
            vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(number)]))];
        let attributes = vec![
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Link(parent),
            LinkAttribute::LinkInfo(kind),
        ];
        let mut message = link(0, attributes);
        up(&mut message);
        self.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Keeps a bridge's port from others that are kept so.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn isolate(&mut self, port: u32) -> Result<(), Errno> {
        let message = link(
            port,
            vec![LinkAttribute::LinkInfo(vec![
                LinkInfo::PortKind(InfoPortKind::Bridge),
                LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::Isolated(true)])),
            ])],
        );
        self.change(RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Lets nothing pass a bridge's port any more, and lets the bridge forget who was behind it; `NODEV` if it is gone.
    ///
    /// Unlike its removal this waits for nothing in the kernel.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn cut_off(&mut self, name: &str) -> Result<(), Errno> {
        let message = link(
            0,
            vec![
                LinkAttribute::IfName(name.to_owned()),
                LinkAttribute::LinkInfo(vec![
                    LinkInfo::PortKind(InfoPortKind::Bridge),
                    LinkInfo::PortData(InfoPortData::BridgePort(vec![
                        InfoBridgePort::State(BridgePortState::Disabled),
                        InfoBridgePort::Flush,
                    ])),
                ]),
            ],
        );
        self.change(RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Removes an interface; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&mut self, name: &str) -> Result<(), Errno> {
        let message = link(0, vec![LinkAttribute::IfName(name.to_owned())]);
        match self.change(RouteNetlinkMessage::DelLink(message), 0) {
            Err(Errno::NODEV) => Ok(()),
            other => other,
        }
    }

    /// Sets an interface up.
    ///
    /// # Errors
    /// There is none of this number.
    pub fn set_up(&mut self, index: u32) -> Result<(), Errno> {
        let mut message = link(index, Vec::new());
        up(&mut message);
        self.change(RouteNetlinkMessage::NewLink(message), 0)
    }

    /// Gives an interface an IPv6 address of a subnet, which it has at once: nobody else can have it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_address6(&mut self, index: u32, address: Ipv6Addr, prefix: u8) -> Result<(), Errno> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet6;
        message.header.prefix_len = prefix;
        message.header.index = index;
        message.attributes = vec![
            AddressAttribute::Local(IpAddr::V6(address)),
            AddressAttribute::Address(IpAddr::V6(address)),
            AddressAttribute::Flags(AddressFlags::Nodad),
        ];
        self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Gives an interface an address of a subnet.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add_address(&mut self, index: u32, address: Ipv4Addr, subnet: Subnet) -> Result<(), Errno> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = subnet.prefix();
        message.header.index = index;
        message.attributes = vec![
            AddressAttribute::Local(IpAddr::V4(address)),
            AddressAttribute::Address(IpAddr::V4(address)),
            AddressAttribute::Broadcast(subnet.last()),
        ];
        self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Sends what is for nowhere else to a gateway, or out of an interface.
    ///
    /// # Errors
    /// The gateway can't be reached directly.
    pub fn add_default_route(&mut self, way: Way) -> Result<(), Errno> {
        let (family, attribute, scope) = match way {
            Way::Gateway(IpAddr::V4(address)) => {
                let address = RouteAddress::Inet(address);
                (AddressFamily::Inet, RouteAttribute::Gateway(address), RouteScope::Universe)
            }
            Way::Gateway(IpAddr::V6(address)) => {
                let address = RouteAddress::Inet6(address);
                (AddressFamily::Inet6, RouteAttribute::Gateway(address), RouteScope::Universe)
            }
            Way::Interface { index, six } => {
                let family = if six { AddressFamily::Inet6 } else { AddressFamily::Inet };
                (
                    family,
                    RouteAttribute::Oif(index),
                    if six { RouteScope::Universe } else { RouteScope::Link },
                )
            }
        };
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family,
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Boot,
            scope,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes = vec![attribute];
        self.change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Takes the default route of a kind of addresses away; that there is none is no error.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_default_route(&mut self, six: bool) -> Result<(), Errno> {
        let family = if six { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family,
            table: RouteHeader::RT_TABLE_MAIN,
            scope: RouteScope::NoWhere,
            ..RouteHeader::default()
        };
        match self.change(RouteNetlinkMessage::DelRoute(message), 0) {
            // No such route, or no table of routes yet.
            Err(Errno::SRCH | Errno::NOENT) => Ok(()),
            other => other,
        }
    }

    /// Whether there is an IPv4 route by way of another machine.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn has_gateway(&mut self) -> Result<bool, Errno> {
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        let by_another = |entry: &RouteNetlinkMessage| match entry {
            RouteNetlinkMessage::NewRoute(route) => {
                route.attributes.iter().any(|one| matches!(one, RouteAttribute::Gateway(_)))
            }
            _ => false,
        };
        Ok(self.dump(RouteNetlinkMessage::GetRoute(message))?.iter().any(by_another))
    }

    /// Returns the subnets that this machine has routes to, the default route left out.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn subnets(&mut self) -> Result<Vec<Subnet>, Errno> {
        let of = |address: &RouteAddress, prefix| match address {
            RouteAddress::Inet(address) => Some(Subnet::of(*address, prefix)),
            _ => None,
        };
        self.routes(AddressFamily::Inet, of)
    }

    /// Returns the IPv6 subnets that this machine has routes to, the default route left out.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn subnets6(&mut self) -> Result<Vec<Subnet<Ipv6Addr>>, Errno> {
        let of = |address: &RouteAddress, prefix| match address {
            RouteAddress::Inet6(address) => Some(Subnet::of(*address, prefix)),
            _ => None,
        };
        self.routes(AddressFamily::Inet6, of)
    }

    fn routes<T>(
        &mut self,
        family: AddressFamily,
        of: impl Fn(&RouteAddress, u8) -> Option<T>,
    ) -> Result<Vec<T>, Errno> {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        let mut found = Vec::new();
        for entry in self.dump(RouteNetlinkMessage::GetRoute(message))? {
            let RouteNetlinkMessage::NewRoute(route) = entry else { continue };
            for attribute in &route.attributes {
                if let RouteAttribute::Destination(address) = attribute {
                    found.extend(of(address, route.header.destination_prefix_length));
                }
            }
        }
        Ok(found)
    }
}

fn link(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

fn up(message: &mut LinkMessage) {
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
}
