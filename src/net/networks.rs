//! The networks that are there, in `networks/` of the store: `<id>/config.json`, and `<id>/endpoints/<container>.json`
//! for each running container.
//!
//! An endpoint's file is locked (flock) by the process that owns the container.
//! When it is gone, however it ended, the lock is free and the next change of
//! the network takes file and rules away; the kernel itself removes interfaces
//! with their namespace. Changes of a store's networks are under one lock,
//! the making of bridges under another one that all stores of the machine share.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::de::DeserializeOwned;

use super::bridge;
use super::error::NetError;
use super::firewall;
use super::netlink::Netlink;
use super::network::{Driver, Endpoint, Network, NewNetwork};
use super::passage;
use super::sandbox;
use super::six::{Place6, Six, Subnet6};
use super::subnet::Subnet;
use crate::fs::{Root, write_atomic};

/// Name of the network that containers are in unless they ask for another.
pub const DEFAULT: &str = "bridge";

/// Bytes that a file of ours may have.
const LIMIT: usize = 1 << 20;

/// All networks of a store.
#[derive(Debug, Clone)]
pub struct Networks {
    all: Root,
    store: PathBuf,
}

/// Held while networks are changed.
pub(super) struct Changing {
    _lock: File,
}

/// An endpoint's file; its container counts as running while this lives.
#[derive(Debug)]
pub(super) struct Held {
    _file: File,
}

impl Networks {
    /// Opens the networks of the store in `root`.
    ///
    /// # Errors
    /// The folder can't be made.
    pub fn open(root: &Path) -> Result<Self, NetError> {
        let store = Root::open(root)?;
        let all = match store.dir("networks") {
            Err(error) if error.is_not_found() => {
                store.create_dir_all("networks", 0o711)?;
                store.dir("networks")?
            }
            other => other?,
        };
        Ok(Self { all, store: root.to_owned() })
    }

    /// Returns the networks by name; those that are always there too.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn list(&self) -> Result<Vec<Network>, NetError> {
        let mut found = self.stored()?;
        let missing = |name: &str| found.iter().all(|network| network.name != name);
        let missing: Vec<&str> = [DEFAULT, "host", "none"].into_iter().filter(|name| missing(name)).collect();
        for name in missing {
            found.push(self.predefined(name)?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn stored(&self) -> Result<Vec<Network>, NetError> {
        let mut found = Vec::new();
        for entry in self.all.entries(".")? {
            let id = String::from_utf8_lossy(&entry.name).into_owned();
            if let Some(network) = self.read(&format!("{id}/config.json"))? {
                found.push(network);
            }
        }
        Ok(found)
    }

    /// Returns the network of a full id, a name, or the beginning of an id.
    ///
    /// # Errors
    /// There is none, or several.
    pub fn find(&self, wanted: &str) -> Result<Network, NetError> {
        let all = self.stored()?;
        let exact = all.iter().find(|n| n.id == wanted).or_else(|| all.iter().find(|n| n.name == wanted));
        if let Some(network) = exact {
            return Ok(network.clone());
        }
        if [DEFAULT, "host", "none"].contains(&wanted) {
            return self.predefined(wanted);
        }
        let mut matches = all.into_iter().filter(|n| !wanted.is_empty() && n.id.starts_with(wanted));
        let (first, others) = (matches.next(), matches.count());
        match first {
            Some(network) if others == 0 => Ok(network),
            Some(_) => Err(NetError::Ambiguous { name: wanted.to_owned(), count: others + 1 }),
            None => Err(NetError::NotFound(wanted.to_owned())),
        }
    }

    /// Makes one of the networks that are always there, at its first use.
    fn predefined(&self, name: &str) -> Result<Network, NetError> {
        let driver = match name {
            DEFAULT => Driver::Bridge,
            "host" => Driver::Host,
            _ => Driver::Null,
        };
        match self.make(NewNetwork { name: name.to_owned(), ..NewNetwork::default() }, driver) {
            Err(NetError::Exists(_)) => {
                let all = self.stored()?;
                all.into_iter().find(|n| n.name == name).ok_or_else(|| NetError::NotFound(name.to_owned()))
            }
            other => other,
        }
    }

    /// Makes a bridge network; its bridge appears with its first container.
    ///
    /// # Errors
    /// The name is taken, the addresses overlap others or don't fit each other, or no pool is free.
    pub fn create(&self, new: NewNetwork) -> Result<Network, NetError> {
        self.list()?;
        self.make(new, Driver::Bridge)
    }

    fn make(&self, new: NewNetwork, driver: Driver) -> Result<Network, NetError> {
        let _changing = self.change()?;
        let others = self.stored()?;
        if others.iter().any(|other| other.name == new.name) {
            return Err(NetError::Exists(new.name));
        }
        let id = super::random_id()?;
        let bridges: Vec<&Network> = others.iter().filter(|other| other.driver == Driver::Bridge).collect();
        let fixed = new.subnet.is_some();
        let subnet = match new.subnet {
            _ if driver != Driver::Bridge => Subnet::of(Ipv4Addr::UNSPECIFIED, 32),
            Some(subnet) if bridges.iter().any(|other| other.subnet.overlaps(subnet)) => {
                return Err(NetError::Overlaps);
            }
            Some(subnet) => subnet,
            None => bridge::free_subnet(&bridges)?,
        };
        let gateway = match new.gateway {
            _ if driver != Driver::Bridge => Ipv4Addr::UNSPECIFIED,
            Some(address) if !subnet.contains(address) => {
                return Err(NetError::Invalid(format!("no matching subnet for gateway {address}")));
            }
            Some(address) => address,
            None => {
                let taken = |address: &Ipv4Addr| new.reserved.values().any(|other| other == address);
                let mut hosts = subnet.hosts();
                hosts.find(|a| !taken(a)).ok_or_else(|| NetError::NoAddress(subnet.to_string()))?
            }
        };
        if let Some(range) = new.range
            && (!subnet.overlaps(range) || range.prefix() < subnet.prefix())
        {
            return Err(NetError::Invalid(format!("no matching subnet for range {range}")));
        }
        if let Some(address) = new.reserved.values().find(|address| !subnet.contains(**address)) {
            return Err(NetError::Invalid(format!("no matching subnet for aux-address {address}")));
        }
        let others6: Vec<Subnet6> =
            bridges.iter().filter_map(|other| other.six.as_ref()).map(|six| six.subnet).collect();
        let six = match &new.six {
            Some(wanted) if driver == Driver::Bridge => Some(Six::new(wanted.clone(), &id, &others6)?),
            _ => None,
        };
        let network = Network {
            six,
            bridge: self.bridge_name(&new, &id, driver),
            id,
            name: new.name,
            created: super::now(),
            driver,
            subnet,
            gateway,
            range: new.range,
            reserved: new.reserved,
            fixed,
            internal: new.internal,
            attachable: new.attachable,
            labels: new.labels,
            options: new.options,
        };
        self.all.create_dir_all(format!("{}/endpoints", network.id), 0o711)?;
        self.save(&network)?;
        Ok(network)
    }

    /// Root's own store has a bridge whose name people can remember; others must not take it.
    fn bridge_name(&self, new: &NewNetwork, id: &str, driver: Driver) -> String {
        match new.options.get("com.docker.network.bridge.name") {
            _ if driver != Driver::Bridge => String::new(),
            Some(name) => name.clone(),
            None if new.name == DEFAULT && self.store == Path::new("/var/lib/skiff") => "skiff0".to_owned(),
            None => format!("br-{}", short(id)),
        }
    }

    pub(super) fn save(&self, network: &Network) -> Result<(), NetError> {
        let dir = self.all.dir(&network.id)?;
        let text = serde_json::to_vec(network).expect("a network serialises");
        Ok(write_atomic(&dir, "config.json", &text, true)?)
    }

    /// Removes a network with its bridge and rules.
    ///
    /// # Errors
    /// It is always there, or containers are in it.
    pub fn remove(&self, network: &Network) -> Result<(), NetError> {
        if network.is_predefined() {
            return Err(NetError::Predefined(network.name.clone()));
        }
        let changing = self.change()?;
        let inside = self.endpoints(network, &changing)?;
        if !inside.is_empty() {
            let name = |e: &Endpoint| format!("name:{:?} id:{:?}", e.name, short(&e.id));
            let endpoints = inside.iter().map(name).collect::<Vec<_>>().join(", ");
            return Err(NetError::InUse { network: network.name.clone(), id: network.id.clone(), endpoints });
        }
        bridge::take_down(network)?;
        Ok(self.all.remove_tree(&network.id)?)
    }

    /// Takes the bridges and rules of networks away that no container is in; the networks stay.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn rest(&self) -> Result<(), NetError> {
        let changing = self.change()?;
        for network in self.stored()? {
            if network.driver == Driver::Bridge && self.endpoints(&network, &changing)?.is_empty() {
                bridge::take_down(&network)?;
            }
        }
        Ok(())
    }

    /// Takes the rules of a network away when its last container has left; its bridge stays for the next one.
    pub(super) fn retire(&self, network: &Network) -> Result<(), NetError> {
        let changing = self.change()?;
        if self.endpoints(network, &changing)?.is_empty() {
            firewall::remove(&network.bridge)
        } else {
            Ok(())
        }
    }

    /// Returns the running containers of a network, by address.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn running(&self, network: &Network) -> Result<Vec<Endpoint>, NetError> {
        self.endpoints(network, &self.change()?)
    }

    /// Returns who is in a network now, without setting anything right: for name service.
    pub(super) fn glance(&self, id: &str) -> Vec<Endpoint> {
        let folder = format!("{id}/endpoints");
        let entries = self.all.entries(&folder).unwrap_or_default();
        let path = |name: &[u8]| format!("{folder}/{}", String::from_utf8_lossy(name));
        entries.iter().filter_map(|entry| self.read(&path(&entry.name)).ok().flatten()).collect()
    }

    /// Makes the bridge of a network ready; the network as it is then, and the bridge's number.
    pub(super) fn bring_up(
        &self,
        network: &Network,
        netlink: &mut Netlink,
        changing: &Changing,
    ) -> Result<(Network, u32), NetError> {
        if let Some(index) = netlink
            .index(&network.bridge)
            .map_err(|errno| NetError::kernel(format!("look for the bridge {}", network.bridge), errno))?
        {
            if !firewall::is_there(&network.bridge) {
                // It is the first container, or somebody has flushed all rules of the machine.
                bridge::install(network, &self.endpoints(network, changing)?)?;
            } else {
                // iptables may have been loaded anew.
                passage::open(&network.bridge)?;
            }
            return Ok((network.clone(), index));
        }
        let inside = self.endpoints(network, changing)?;
        let _machine = machine_lock()?;
        let mut network = network.clone();
        bridge::clear_forgotten(netlink)?;
        if bridge::collides(&network, netlink)? {
            if network.fixed || !inside.is_empty() {
                return Err(NetError::Overlaps);
            }
            let others = self.stored()?;
            let others: Vec<&Network> =
                others.iter().filter(|n| n.driver == Driver::Bridge && n.id != network.id).collect();
            network.subnet = bridge::free_subnet(&others)?;
            network.gateway = network
                .subnet
                .hosts()
                .next()
                .ok_or_else(|| NetError::NoAddress(network.subnet.to_string()))?;
            self.save(&network)?;
        }
        let index = bridge::make(&network, &self.store, &inside, netlink)?;
        Ok((network, index))
    }

    /// Returns an address that no running container of a network has.
    pub(super) fn free_address(
        &self,
        network: &Network,
        wanted: Option<Ipv4Addr>,
        changing: &Changing,
    ) -> Result<Ipv4Addr, NetError> {
        let inside = self.endpoints(network, changing)?;
        let taken = |address: Ipv4Addr| {
            address == network.gateway
                || network.reserved.values().any(|other| *other == address)
                || inside.iter().any(|e| e.address == address)
        };
        match wanted {
            Some(address) if !network.subnet.contains(address) => Err(NetError::NotInside(address.into())),
            Some(address) if taken(address) => Err(NetError::AddressInUse),
            Some(address) => Ok(address),
            None => {
                let edges = [network.subnet.base(), network.subnet.broadcast()];
                let mut all = network.range.unwrap_or(network.subnet).hosts();
                all.find(|address| !taken(*address) && !edges.contains(address))
                    .ok_or_else(|| NetError::NoAddress(network.subnet.to_string()))
            }
        }
    }

    /// Returns a place in a network's IPv6 that no running container has; none if it has no IPv6.
    pub(super) fn free_place6(
        &self,
        network: &Network,
        wanted: Option<Ipv6Addr>,
        changing: &Changing,
    ) -> Result<Option<Place6>, NetError> {
        let Some(six) = &network.six else { return Ok(None) };
        let inside = self.endpoints(network, changing)?;
        let taken: Vec<Ipv6Addr> = inside.iter().filter_map(|e| e.six).map(|place| place.address).collect();
        let address = six.free(wanted, &taken)?;
        let gateway = (!network.internal).then_some(six.gateway);
        Ok(Some(Place6 { address, prefix: six.subnet.prefix(), gateway }))
    }

    /// Notes a container as running in a network.
    pub(super) fn add(&self, endpoint: &Endpoint, _changing: &Changing) -> Result<Held, NetError> {
        let network = &endpoint.network_id;
        let (path, making) = (endpoint_path(endpoint), format!("{network}/making"));
        let _ = self.all.remove_file(&making);
        let mut file = self.all.create_file(&making, 0o644)?;
        lock(&file, FlockOperation::LockExclusive, &path)?;
        let text = serde_json::to_vec(endpoint).expect("an endpoint serialises");
        std::io::Write::write_all(&mut file, &text)
            .map_err(|source| NetError::Kernel { action: format!("write {path}"), source })?;
        self.all.rename(&making, &path)?;
        Ok(Held { _file: file })
    }

    /// Writes a container's place anew, e.g. with another name.
    pub(super) fn replace(&self, endpoint: &Endpoint) -> Result<Held, NetError> {
        let changing = self.change()?;
        self.add(endpoint, &changing)
    }

    /// Takes a container out of a network again.
    pub(super) fn leave(&self, endpoint: &Endpoint) -> Result<(), NetError> {
        match self.all.remove_file(endpoint_path(endpoint)) {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Takes away what containers left in networks whose owners were killed.
    ///
    /// # Errors
    /// The files can't be changed.
    pub fn sweep<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), NetError> {
        for name in names {
            if let Ok(network) = self.find(name) {
                self.retire(&network)?;
            }
        }
        Ok(())
    }

    /// Waits until nobody else changes networks.
    pub(super) fn change(&self) -> Result<Changing, NetError> {
        let file = self.all.open_or_create("lock", 0o600)?;
        lock(&file, FlockOperation::LockExclusive, "networks/lock")?;
        Ok(Changing { _lock: file })
    }

    /// Returns the endpoints whose container runs; those of others are removed with their rules.
    fn endpoints(&self, network: &Network, _changing: &Changing) -> Result<Vec<Endpoint>, NetError> {
        let folder = format!("{}/endpoints", network.id);
        let names = match self.all.entries(&folder) {
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for entry in names {
            let path = format!("{folder}/{}", String::from_utf8_lossy(&entry.name));
            let file = match self.all.open_file(&path) {
                // It left just now.
                Err(error) if error.is_not_found() => continue,
                other => other?,
            };
            let Some(endpoint) = self.read::<Endpoint>(&path)? else { continue };
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                found.push(endpoint);
                continue;
            }
            // Rules that are gone already, as after a boot, can't be taken back.
            let _ = firewall::publish(&network.bridge, &endpoint, false);
            if !endpoint.interface.is_empty() {
                // Its address may be another one's next; the kernel keeps an interface while
                // another container shares the namespace.
                sandbox::remove(&endpoint.interface)?;
            }
            self.leave(&endpoint)?;
        }
        found.sort_by_key(|endpoint: &Endpoint| endpoint.address);
        Ok(found)
    }

    /// Returns what a file holds, none if it is not there.
    fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, NetError> {
        let bytes = match self.all.read(path, LIMIT) {
            Err(error) if error.is_not_found() || error.is_not_directory() => return Ok(None),
            other => other?,
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| NetError::Damaged { path: format!("networks/{path}"), source })
    }
}

/// Waits until no other store of this machine makes a bridge.
fn machine_lock() -> Result<File, NetError> {
    let file = Root::open(Path::new("/run"))?.open_or_create("skiff-networks.lock", 0o600)?;
    lock(&file, FlockOperation::LockExclusive, "/run/skiff-networks.lock")?;
    Ok(file)
}

fn lock(file: &File, operation: FlockOperation, path: &str) -> Result<(), NetError> {
    rustix::fs::flock(file, operation).map_err(|errno| NetError::kernel(format!("lock {path}"), errno))
}

fn endpoint_path(endpoint: &Endpoint) -> String {
    format!("{}/endpoints/{}.json", endpoint.network_id, endpoint.container)
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
