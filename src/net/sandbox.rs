//! A container's network namespace: made, connected, and taken out of its networks again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::bridge;
use super::error::NetError;
use super::firewall;
use super::helper::{self, Helper};
use super::link::Inside;
use super::netlink::Netlink;
use super::network::{Endpoint, Mac, Network, mac_of, mac_text};
use super::networks::{Held, Networks};
use super::port::{Published, Reserved, Wanted};
use super::proxy::{Proxy, Target};
use super::resolver::Resolver;
use super::six::Place6;
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
    /// Which network has the way to other machines.
    route: Option<String>,
    resolver: Option<Resolver>,
    /// What serves it instead of networks.
    helped: Option<Helped>,
}

/// What serves an ordinary user's container.
#[derive(Debug)]
struct Helped {
    endpoint: Endpoint,
    _helper: Helper,
    _proxy: Option<Proxy>,
}

/// A container's place in a network.
#[derive(Debug)]
struct Joined {
    network: Network,
    endpoint: Endpoint,
    priority: i32,
    inside: String,
    _held: Held,
    _proxy: Option<Proxy>,
}

impl Sandbox {
    /// Makes a namespace with the loopback interface up.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn new() -> Result<Self, NetError> {
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
                route: None,
                resolver: None,
                helped: None,
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
        let mut ports = Vec::new();
        for port in &wanted.ports {
            ports.extend(port.reserve()?);
        }
        let mut outer = Netlink::open().map_err(|errno| NetError::kernel("ask for interfaces", errno))?;
        let changing = networks.change()?;
        let (network, bridge) = networks.bring_up(network, &mut outer, &changing)?;
        let address = networks.free_address(&network, wanted.address, &changing)?;
        let mac = wanted.mac.unwrap_or_else(|| mac_of(&network.id, address));
        let six = networks.free_place6(&network, wanted.address6, &changing)?;
        let endpoint = Endpoint { six, ..endpoint(&network, wanted, address, mac, &ports)? };
        let held = networks.add(&endpoint, &changing)?;
        drop(changing);
        let mut joined = Joined {
            inside: self.free_name(network.prefix()),
            network,
            endpoint,
            priority: wanted.priority,
            _held: held,
            _proxy: None,
        };
        match self.connect(&mut outer, bridge, mac, &joined).and_then(|()| publish(&joined, ports)) {
            Ok(proxy) => joined._proxy = proxy,
            Err(error) => {
                let _ = outer.remove(&joined.endpoint.interface);
                networks.leave(&joined.endpoint)?;
                return Err(error);
            }
        }
        self.joined.push(joined);
        self.choose_route()?;
        Ok(&self.joined[self.joined.len() - 1].endpoint)
    }

    /// Lets a program of the user's carry its packets, where there are no bridges.
    ///
    /// # Errors
    /// There is no such program, or a port is taken.
    pub fn join_by_helper(&mut self, wanted: &Joining) -> Result<(), NetError> {
        let mut ports = Vec::new();
        for port in &wanted.ports {
            ports.extend(port.reserve()?);
        }
        let helper = Helper::start(&self.namespace, &mut self.inner)?;
        let endpoint = Endpoint {
            id: super::random_id()?,
            network: super::DEFAULT.to_owned(),
            network_id: String::new(),
            container: wanted.container.clone(),
            name: wanted.name.clone(),
            address: helper::ADDRESS,
            prefix: helper::PREFIX,
            gateway: Some(helper::GATEWAY),
            mac: String::new(),
            names: Vec::new(),
            ports: ports.iter().map(|port| port.published.clone()).collect(),
            six: None,
            interface: String::new(),
        };
        let target = Target { four: helper::ADDRESS, six: None };
        let proxy = match ports.is_empty() {
            true => None,
            false => Some(Proxy::start(ports, target, Some(self.namespace()))?),
        };
        self.helped = Some(Helped { endpoint, _helper: helper, _proxy: proxy });
        Ok(())
    }

    /// Returns where names are asked for in it, if that is not where the host asks.
    pub fn server(&self) -> Option<Ipv4Addr> {
        self.helped.as_ref().map(|_| helper::SERVER)
    }

    fn free_name(&self, prefix: &str) -> String {
        let taken = |name: &String| self.joined.iter().any(|joined| joined.inside == *name);
        (0..).map(|number| format!("{prefix}{number}")).find(|name| !taken(name)).unwrap_or_default()
    }

    fn connect(
        &mut self,
        outer: &mut Netlink,
        bridge: u32,
        mac: Mac,
        joined: &Joined,
    ) -> Result<(), NetError> {
        let (network, name) = (&joined.network, joined.inside.as_str());
        let failed = |errno| NetError::kernel(format!("connect a container to {}", network.name), errno);
        let inside = Inside { name, mac, mtu: network.mtu(), namespace: self.namespace.as_fd() };
        outer.add_pair(&joined.endpoint.interface, bridge, &inside).map_err(failed)?;
        if joined.endpoint.six.is_some() {
            with_ipv6(&self.namespace, name)?;
        }
        let mut finish = || -> Result<(), Errno> {
            if !network.option("com.docker.network.bridge.enable_icc") {
                let port = outer.index(&joined.endpoint.interface)?.ok_or(Errno::NODEV)?;
                outer.isolate(port)?;
            }
            let index = self.inner.index(name)?.ok_or(Errno::NODEV)?;
            self.inner.add_address(index, joined.endpoint.address, network.subnet)?;
            self.inner.set_up(index)?;
            match joined.endpoint.six {
                Some(Place6 { address, prefix, .. }) => self.inner.add_address6(index, address, prefix),
                None => Ok(()),
            }
        };
        finish().map_err(failed)
    }

    /// Lets the way to other machines lead through the right network.
    fn choose_route(&mut self) -> Result<(), NetError> {
        let order = |joined: &&Joined| (-joined.priority, joined.network.name.clone());
        let best = self.joined.iter().filter(|joined| !joined.network.internal).min_by_key(order);
        let best = best.map(|joined| {
            let six = joined.network.six.as_ref().map(|six| IpAddr::V6(six.gateway));
            (joined.network.id.clone(), [Some(IpAddr::V4(joined.network.gateway)), six])
        });
        if self.route.as_ref() == best.as_ref().map(|(id, _)| id) {
            return Ok(());
        }
        let failed = |errno| NetError::kernel("set the way to other machines", errno);
        if self.route.take().is_some() {
            self.inner.remove_default_routes().map_err(failed)?;
        }
        if let Some((id, gateways)) = best {
            for gateway in gateways.into_iter().flatten() {
                self.inner.add_default_route(gateway).map_err(failed)?;
            }
            self.route = Some(id);
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
        match &self.resolver {
            Some(resolver) => resolver.serve(ids),
            None if ids.is_empty() => return Ok(false),
            None => {
                let outward = self.joined.iter().any(|joined| !joined.network.internal);
                let servers = if outward { servers.to_vec() } else { Vec::new() };
                self.resolver = Some(Resolver::start(&self.namespace, networks, ids, servers)?);
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
        let helped = self.helped.iter().map(|helped| &helped.endpoint);
        self.joined.iter().map(|joined| &joined.endpoint).chain(helped).cloned().collect()
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
        if self.route.as_deref() == Some(network) {
            // The kernel takes the route away with the interface.
            self.route = None;
        }
        let left = leave(networks, &joined);
        let removed = remove(&joined.endpoint.interface);
        let retired = networks.retire(&joined.network);
        let routed = self.choose_route();
        left.and(removed).and(retired).and(routed).map(|()| true)
    }

    /// Takes it out of its networks, whose rules for it go; what is left of its interfaces leads nowhere.
    ///
    /// # Errors
    /// The first thing that could not be removed; the rest is removed all the same.
    pub fn leave(mut self, networks: &Networks, remains: &mut Remains) -> Result<(), NetError> {
        let mut result = Ok(());
        for joined in self.joined.drain(..) {
            result = result.and(leave(networks, &joined));
            remains.places.push((networks.clone(), joined.network, joined.endpoint.interface));
        }
        result
    }
}

/// What containers that have left their networks may leave: interfaces, and networks' rules.
///
/// The kernel takes some 20 ms to remove a pair of interfaces, which nobody has to wait for.
#[derive(Debug, Default)]
pub struct Remains {
    places: Vec<(Networks, Network, String)>,
}

impl Remains {
    /// Removes them, those included that the kernel removes with their namespace at the same time.
    ///
    /// # Errors
    /// The first thing that can't be removed; the rest is removed all the same.
    pub fn remove(&mut self) -> Result<(), NetError> {
        let mut result = Ok(());
        for (networks, network, interface) in self.places.drain(..) {
            let removed = remove(&interface);
            result = result.and(removed).and(networks.retire(&network));
        }
        result
    }
}

/// Publishes the ports of a container that is connected.
fn publish(joined: &Joined, ports: Vec<Reserved>) -> Result<Option<Proxy>, NetError> {
    if ports.is_empty() {
        return Ok(None);
    }
    firewall::publish(&joined.network.bridge, &joined.endpoint, true)?;
    let Endpoint { address, six, .. } = joined.endpoint;
    let target = Target { four: address, six: six.map(|six| six.address) };
    Proxy::start(ports, target, None).map(Some)
}

/// Takes a container out of a network. Its address is another one's from now on: nothing may reach this one there.
fn leave(networks: &Networks, joined: &Joined) -> Result<(), NetError> {
    let Joined { network, endpoint, .. } = joined;
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
    Netlink::open()
        .and_then(|mut netlink| netlink.remove(interface))
        .map_err(|errno| NetError::kernel(format!("remove the interface {interface}"), errno))
}

fn endpoint(
    network: &Network,
    wanted: &Joining,
    address: Ipv4Addr,
    mac: Mac,
    ports: &[Reserved],
) -> Result<Endpoint, NetError> {
    let published: Vec<Published> = ports.iter().map(|port| port.published.clone()).collect();
    Ok(Endpoint {
        id: super::random_id()?,
        network: network.name.clone(),
        network_id: network.id.clone(),
        container: wanted.container.clone(),
        name: wanted.name.clone(),
        address,
        prefix: network.subnet.prefix(),
        gateway: (!network.internal).then_some(network.gateway),
        mac: mac_text(mac),
        names: wanted.names.clone(),
        ports: published,
        six: None,
        interface: format!("veth{}", &super::random_id()?[..7]),
    })
}

/// Interfaces that come into the calling thread's namespace have no IPv6 addresses: most networks have none.
fn without_ipv6() {
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
