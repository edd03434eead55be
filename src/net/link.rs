//! Bridges, pairs of virtual interfaces, their addresses and routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{
    BridgePortState, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::io::Errno;

use super::netlink::Netlink;
use super::network::Mac;
use super::six::Subnet6;
use super::subnet::Subnet;

/// One end of a pair of interfaces: its name, and where it is.
pub struct Inside<'a> {
    /// Its name there, e.g. `eth0`.
    pub name: &'a str,
    /// Its hardware address.
    pub mac: Mac,
    /// Bytes of its largest packet.
    pub mtu: Option<u32>,
    /// The namespace where it appears.
    pub namespace: BorrowedFd<'a>,
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
        let mut of_peer = vec![
            LinkAttribute::IfName(inside.name.to_owned()),
            LinkAttribute::Address(inside.mac.to_vec()),
            LinkAttribute::NetNsFd(inside.namespace.as_raw_fd()),
        ];
        of_peer.extend(mtu.clone());
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
            AddressAttribute::Broadcast(subnet.broadcast()),
        ];
        self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Sends what is for nowhere else to a gateway.
    ///
    /// # Errors
    /// The gateway can't be reached directly.
    pub fn add_default_route(&mut self, gateway: IpAddr) -> Result<(), Errno> {
        let (family, gateway) = match gateway {
            IpAddr::V4(address) => (AddressFamily::Inet, RouteAddress::Inet(address)),
            IpAddr::V6(address) => (AddressFamily::Inet6, RouteAddress::Inet6(address)),
        };
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family,
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Boot,
            scope: RouteScope::Universe,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        message.attributes = vec![RouteAttribute::Gateway(gateway)];
        self.change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Takes the default routes away; that there is none is no error.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove_default_routes(&mut self) -> Result<(), Errno> {
        self.remove_default_route(AddressFamily::Inet)?;
        self.remove_default_route(AddressFamily::Inet6)
    }

    fn remove_default_route(&mut self, family: AddressFamily) -> Result<(), Errno> {
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
    pub fn subnets6(&mut self) -> Result<Vec<Subnet6>, Errno> {
        let of = |address: &RouteAddress, prefix| match address {
            RouteAddress::Inet6(address) => Some(Subnet6::of(*address, prefix)),
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
