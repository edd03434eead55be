//! A container's network namespace: made, connected, and taken out of its networks again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::bridge;
use super::common::{Common, within};
use super::error::NetError;
use super::firewall;
use super::helper;
use super::interface::InterfaceOptions;
use super::link::{Inside, Way};
use super::netlink::Netlink;
use super::network::{Endpoint, Mac, Network, mac_from, mac_of, mac_text};
use super::networks::{Held, Networks};
use super::parent::Kind;
use super::pool::Place;
use super::port::Wanted;
use super::proxy::Proxy;
use super::publish::Ports;
use super::resolver::{Known, Link, Resolver};
use super::subnet::Subnet;
use crate::fs::network_namespace;

/// What a container wants of a network.
#[derive(Debug, Clone, Default)]
pub struct Joining {
    /// The container's id.
    pub container: String,
    /// The container's name.
    pub name: String,
    /// The address that it is to have.
    pub address: Option<Ipv4Addr>,
    /// The IPv6 address that it is to have.
    pub address6: Option<Ipv6Addr>,
    /// The hardware address that it is to have.
    pub mac: Option<Mac>,
    /// Further names by which others find it.
    pub names: Vec<String>,
    /// Ports to publish.
    pub ports: Vec<Wanted>,
    /// What is asked of its interface there.
    pub interface: InterfaceOptions,
    /// Other containers by id, and what it calls them there.
    pub links: Vec<(String, String)>,
    /// Networks of a higher number have the way to other machines; among equal ones the first by name.
    pub priority: i32,
}

/// A network namespace for one container; it ends when the last process in it and this are gone.
#[derive(Debug)]
pub struct Sandbox {
    namespace: Arc<OwnedFd>,
    /// Reaches the namespace's interfaces from anywhere.
    inner: Netlink,
    joined: Vec<Joined>,
    /// The ways to other machines, of IPv4 and of IPv6.
    ways: [Option<Way>; 2],
    resolver: Option<Resolver>,
    /// Where the bridges are, if not where this process is.
    common: Option<Arc<Common>>,
}

/// A container's place in a network.
#[derive(Debug)]
struct Joined {
    network: Network,
    endpoint: Endpoint,
    priority: i32,
    inside: String,
    links: Vec<(String, String)>,
    _held: Held,
    _proxy: Option<Proxy>,
}

impl Sandbox {
    /// Makes a namespace with the loopback interface up; the bridges are in the `common` one, if there is one.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new(common: Option<Arc<Common>>) -> Result<Self, NetError> {
        let make = || {
            let failed = |errno| NetError::kernel("make a network namespace", errno);
            // Of this thread alone, which ends here.
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
                .map_err(|errno| failed(Errno::from_raw_os_error(errno as i32)))?;
            without_ipv6();
            let namespace = network_namespace()?;
            let mut inner = Netlink::open().map_err(failed)?;
            inner.set_up(1).map_err(failed)?;
            Ok(Self {
                namespace: Arc::new(namespace),
                inner,
                joined: Vec::new(),
                ways: [None, None],
                resolver: None,
                common,
            })
        };
        std::thread::scope(|scope| scope.spawn(make).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> Arc<OwnedFd> {
        self.namespace.clone()
    }

    /// Connects it to a network, as `eth0` and so on.
    ///
    /// # Errors
    /// A port or address is taken, or the kernel refuses; the network is as it was then.
    pub fn join(
        &mut self,
        networks: &Networks,
        network: &Network,
        wanted: &Joining,
    ) -> Result<&Endpoint, NetError> {
        if network.template.is_some() {
            return Err(NetError::ConfigOnly);
        }
        let ports = Ports::reserve(network, &wanted.ports)?;
        if let Some(common) = self.common.as_ref().filter(|_| !network.internal) {
            common.open_outward()?;
        }
        // The ports are those of the machine, all else is where the bridges are.
        let common = self.common.clone();
        within(common.as_deref(), || self.join_here(networks, network, wanted, ports))?;
        Ok(&self.joined[self.joined.len() - 1].endpoint)
    }

    fn join_here(
        &mut self,
        networks: &Networks,
        network: &Network,
        wanted: &Joining,
        ports: Ports,
    ) -> Result<(), NetError> {
        let mut outer = Netlink::open().map_err(|errno| NetError::kernel("ask for interfaces", errno))?;
        let changing = networks.change()?;
        let (network, over) = networks.bring_up(network, &mut outer, &changing)?;
        let places = networks.free_places(&network, (wanted.address, wanted.address6), &changing)?;
        let endpoint = endpoint(&network, wanted, places, &ports)?;
        let held = networks.add(&endpoint, &changing)?;
        drop(changing);
        let inside = match &wanted.interface.name {
            Some(name) => name.clone(),
            None => self.free_name(network.prefix()),
        };
        let mut joined = Joined {
            inside,
            network,
            endpoint,
            priority: wanted.priority,
            links: wanted.links.clone(),
            _held: held,
            _proxy: None,
        };
        let connected = self.connect(&mut outer, over, &wanted.interface, &joined);
        match connected.and_then(|()| ports.publish(&joined.network, &joined.endpoint)) {
            Ok(proxy) => joined._proxy = proxy,
            Err(error) => {
                let _ = self.disconnect(&joined);
                networks.leave(&joined.endpoint)?;
                return Err(error);
            }
        }
        self.joined.push(joined);
        self.choose_ways()
    }

    /// Has the place of the bridges connected to the outside, if it is not the machine and anything here wants that.
    ///
    /// # Errors
    /// There is no program that does it, or it fails.
    pub fn open_outward(&self) -> Result<(), NetError> {
        match &self.common {
            Some(common) if self.joined.iter().any(|joined| !joined.network.internal) => {
                common.open_outward()
            }
            _ => Ok(()),
        }
    }

    /// Returns where names are asked for in it, if that is not where the host asks.
    pub fn server(&self) -> Option<Ipv4Addr> {
        self.common.as_ref().map(|_| helper::SERVER)
    }

    fn free_name(&self, prefix: &str) -> String {
        let taken = |name: &String| self.joined.iter().any(|joined| joined.inside == *name);
        (0..).map(|number| format!("{prefix}{number}")).find(|name| !taken(name)).unwrap_or_default()
    }

    fn connect(
        &mut self,
        outer: &mut Netlink,
        over: u32,
        options: &InterfaceOptions,
        joined: &Joined,
    ) -> Result<(), NetError> {
        let (network, name) = (&joined.network, joined.inside.as_str());
        let failed = |errno| NetError::kernel(format!("connect a container to {}", network.name), errno);
        if joined.endpoint.six.is_none()
            && let Some(address) = options.link_local.iter().find(|address| address.is_ipv6())
        {
            return Err(NetError::Invalid(format!(
                "the address {address} needs IPv6, which the network {} does not have",
                network.name
            )));
        }
        if self.inner.index(name).map_err(failed)?.is_some() {
            return Err(NetError::Invalid(format!("the container has an interface {name} already")));
        }
        let mac = mac_from(&joined.endpoint.mac);
        let inside = Inside { name, mac, mtu: network.mtu(), namespace: self.namespace.as_fd() };
        match network.kind() {
            None => outer.add_pair(&joined.endpoint.interface, over, &inside).map_err(failed)?,
            Some(kind) => outer
                .add_child(over, kind, &inside)
                .map_err(|errno| NetError::link(network.driver.word(), "port", errno))?,
        }
        if joined.endpoint.six.is_some() {
            with_ipv6(&self.namespace, name)?;
        }
        let mut finish = || -> Result<(), Errno> {
            if network.is_bridge() && !network.bridge_options().talk {
                let port = outer.index(&joined.endpoint.interface)?.ok_or(Errno::NODEV)?;
                outer.isolate(port)?;
            }
            let index = self.inner.index(name)?.ok_or(Errno::NODEV)?;
            if let Some(place) = joined.endpoint.four {
                self.inner.add_address(index, place.address, Subnet::of(place.address, place.prefix))?;
            }
            self.inner.set_up(index)?;
            if let Some(place) = joined.endpoint.six {
                self.inner.add_address6(index, place.address, place.prefix)?;
            }
            for address in &options.link_local {
                match address {
                    IpAddr::V4(address) => {
                        self.inner.add_address(index, *address, Subnet::of(*address, 16))?
                    }
                    IpAddr::V6(address) => self.inner.add_address6(index, *address, 64)?,
                }
            }
            Ok(())
        };
        finish().map_err(failed)?;
        options.set_in(&self.namespace, name)
    }

    /// Removes a container's interface of a network, from whichever side it can be.
    fn disconnect(&mut self, joined: &Joined) -> Result<(), NetError> {
        if joined.network.is_bridge() {
            return remove(&joined.endpoint.interface);
        }
        let name = &joined.inside;
        self.inner
            .remove(name)
            .map_err(|errno| NetError::kernel(format!("remove the interface {name}"), errno))
    }

    /// Lets the ways to other machines lead through the right networks, one for each kind of addresses.
    fn choose_ways(&mut self) -> Result<(), NetError> {
        let failed = |errno| NetError::kernel("set the way to other machines", errno);
        for six in [false, true] {
            let mut best: Option<(&Joined, Way)> = None;
            for joined in &self.joined {
                let order = |joined: &Joined| (-joined.priority, joined.network.name.clone());
                if let Some(way) = joined.way(six, &mut self.inner).map_err(failed)?
                    && best.as_ref().is_none_or(|(other, _)| order(joined) < order(other))
                {
                    best = Some((joined, way));
                }
            }
            let best = best.map(|(_, way)| way);
            let now = &mut self.ways[usize::from(six)];
            if *now == best {
                continue;
            }
            if now.take().is_some() {
                self.inner.remove_default_route(six).map_err(failed)?;
            }
            if let Some(way) = best {
                self.inner.add_default_route(way).map_err(failed)?;
                *now = best;
            }
        }
        Ok(())
    }

    /// Answers questions about names in it, if one of its networks knows names; `servers` are asked for all others.
    /// Whether it does.
    ///
    /// # Errors
    /// The place where questions are asked can't be had.
    pub fn serve_names(&mut self, networks: &Networks, servers: &[IpAddr]) -> Result<bool, NetError> {
        let knowing = self.joined.iter().filter(|joined| joined.network.has_names());
        let ids: Vec<String> = knowing.map(|joined| joined.network.id.clone()).collect();
        let links = self.joined.iter().flat_map(|joined| {
            let link = |(container, alias): &(String, String)| Link {
                network: joined.network.id.clone(),
                container: container.clone(),
                alias: alias.to_lowercase(),
            };
            joined.links.iter().map(link).collect::<Vec<_>>()
        });
        let known = Known { networks: ids, links: links.collect() };
        match &self.resolver {
            Some(resolver) => resolver.serve(known),
            None if known.networks.is_empty() => return Ok(false),
            None => {
                let outward = self.joined.iter().any(|joined| !joined.network.internal);
                let servers = if outward { servers.to_vec() } else { Vec::new() };
                self.resolver = Some(Resolver::start(&self.namespace, networks, known, servers)?);
            }
        }
        Ok(true)
    }

    /// Whether it is in a network.
    pub fn is_in(&self, network: &str) -> bool {
        self.joined.iter().any(|joined| joined.network.id == network)
    }

    /// Returns its places, in the order in which they were taken.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.joined.iter().map(|joined| joined.endpoint.clone()).collect()
    }

    /// Lets others find the container by another name.
    ///
    /// # Errors
    /// The files can't be written.
    pub fn rename(&mut self, networks: &Networks, name: &str) -> Result<(), NetError> {
        for joined in &mut self.joined {
            name.clone_into(&mut joined.endpoint.name);
            joined._held = networks.replace(&joined.endpoint)?;
        }
        Ok(())
    }

    /// Takes it out of one network; whether it was in it.
    ///
    /// # Errors
    /// The first thing that could not be removed; the rest is removed all the same.
    pub fn part(&mut self, networks: &Networks, network: &str) -> Result<bool, NetError> {
        let Some(place) = self.joined.iter().position(|joined| joined.network.id == network) else {
            return Ok(false);
        };
        let joined = self.joined.remove(place);
        for six in [false, true] {
            let way = joined.way(six, &mut self.inner).ok().flatten();
            if way.is_some() && self.ways[usize::from(six)] == way {
                // The kernel takes the route away with the interface.
                self.ways[usize::from(six)] = None;
            }
        }
        let common = self.common.clone();
        let left = within(common.as_deref(), || {
            let left = leave(networks, &joined);
            let removed = self.disconnect(&joined);
            left.and(removed).and(networks.retire(&joined.network))
        });
        let routed = self.choose_ways();
        left.and(routed).map(|()| true)
    }

    /// Takes it out of its networks, whose rules for it go; what is left of its interfaces leads nowhere.
    ///
    /// # Errors
    /// The first thing that could not be removed; the rest is removed all the same.
    pub fn leave(mut self, networks: &Networks, remains: &mut Remains) -> Result<(), NetError> {
        let all: Vec<Joined> = self.joined.drain(..).collect();
        // What has no end outside would answer to its address until the namespace is gone.
        let inside = all.iter().filter(|joined| !joined.network.is_bridge());
        let cut_off = inside.map(|joined| self.disconnect(joined)).fold(Ok(()), Result::and);
        let left = within(self.common.as_deref(), || {
            all.iter().map(|joined| leave(networks, joined)).fold(cut_off, Result::and)
        });
        remains.common.clone_from(&self.common);
        remains.places.extend(
            all.into_iter().map(|joined| (networks.clone(), joined.network, joined.endpoint.interface)),
        );
        left
    }
}

/// What containers that have left their networks may leave: interfaces, and networks' rules.
///
/// The kernel takes some 20 ms to remove a pair of interfaces, which nobody has to wait for.
#[derive(Debug, Default)]
pub struct Remains {
    places: Vec<(Networks, Network, String)>,
    common: Option<Arc<Common>>,
}

impl Remains {
    /// Removes them, those included that the kernel removes with their namespace at the same time.
    ///
    /// # Errors
    /// The first thing that can't be removed; the rest is removed all the same.
    pub fn remove(&mut self) -> Result<(), NetError> {
        let places = std::mem::take(&mut self.places);
        if places.is_empty() {
            return Ok(());
        }
        let remove = |(networks, network, interface): &(Networks, Network, String)| {
            remove(interface).and(networks.retire(network))
        };
        within(self.common.as_deref(), || places.iter().map(remove).fold(Ok(()), Result::and))
    }
}

impl Joined {
    /// Returns the way to other machines through it, if there is one for a kind of addresses.
    fn way(&self, six: bool, inner: &mut Netlink) -> Result<Option<Way>, Errno> {
        let Endpoint { four, six: place6, .. } = &self.endpoint;
        let has = if six { place6.is_some() } else { four.is_some() };
        if self.network.internal || !has {
            return Ok(None);
        }
        if self.network.kind().is_some_and(Kind::is_routed) {
            let index = inner.index(&self.inside)?;
            return Ok(index.map(|index| Way::Interface { index, six }));
        }
        let gateway = if six {
            place6.and_then(|place| place.gateway).map(IpAddr::V6)
        } else {
            four.and_then(|place| place.gateway).map(IpAddr::V4)
        };
        Ok(gateway.map(Way::Gateway))
    }
}

/// Takes a container out of a network. Its address is another one's from now on: nothing may reach this one there.
fn leave(networks: &Networks, joined: &Joined) -> Result<(), NetError> {
    let Joined { network, endpoint, .. } = joined;
    if !network.is_bridge() {
        return networks.leave(endpoint);
    }
    let unpublished = firewall::publish(&network.bridge, endpoint, false);
    let cut_off = match Netlink::open().and_then(|mut netlink| netlink.cut_off(&endpoint.interface)) {
        // The namespace has taken it along.
        Ok(()) | Err(Errno::NODEV) => Ok(()),
        // A port that can't be told so is removed at once.
        Err(_) => remove(&endpoint.interface),
    };
    let left = networks.leave(endpoint);
    unpublished.and(cut_off).and(left)
}

/// Removes the pair of which an interface is the end that is here.
pub(super) fn remove(interface: &str) -> Result<(), NetError> {
    if interface.is_empty() {
        return Ok(());
    }
    Netlink::open()
        .and_then(|mut netlink| netlink.remove(interface))
        .map_err(|errno| NetError::kernel(format!("remove the interface {interface}"), errno))
}

fn endpoint(
    network: &Network,
    wanted: &Joining,
    (four, six): (Option<Place<Ipv4Addr>>, Option<Place<Ipv6Addr>>),
    ports: &Ports,
) -> Result<Endpoint, NetError> {
    let address = four.map(|place| IpAddr::V4(place.address)).or(six.map(|place| IpAddr::V6(place.address)));
    let own = || mac_of(&network.id, address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
    let mac = match network.kind() {
        Some(Kind::Ipvlan(..)) => String::new(),
        _ => mac_text(wanted.mac.unwrap_or_else(own)),
    };
    let interface = match network.is_bridge() {
        true => format!("veth{}", &super::random_id()?[..7]),
        false => String::new(),
    };
    Ok(Endpoint {
        id: super::random_id()?,
        network: network.name.clone(),
        network_id: network.id.clone(),
        container: wanted.container.clone(),
        name: wanted.name.clone(),
        four,
        six,
        mac,
        names: wanted.names.clone(),
        ports: ports.published(),
        interface,
    })
}

/// Interfaces that come into the calling thread's namespace have no IPv6 addresses: most networks have none.
pub(super) fn without_ipv6() {
    // A kernel without IPv6 has nothing to turn off.
    let _ = bridge::set("ipv6/conf", "default/disable_ipv6", "1");
}

/// Lets an interface in a namespace have the IPv6 addresses that it is given, and no others.
fn with_ipv6(namespace: &OwnedFd, interface: &str) -> Result<(), NetError> {
    let set = || {
        let kind = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind))
            .map_err(|errno| NetError::kernel("enter a network namespace", errno))?;
        bridge::set("ipv6/conf", &format!("{interface}/accept_ra"), "0")?;
        bridge::set("ipv6/conf", &format!("{interface}/disable_ipv6"), "0")
    };
    // Of this thread alone, which ends here.
    std::thread::scope(|scope| scope.spawn(set).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
