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
use super::helper::is_rootless;
use super::netlink::Netlink;
use super::network::{Driver, Endpoint, Network, NewNetwork};
use super::parent;
use super::passage;
use super::pool::{self, NewPool, Place, Pool};
use super::sandbox;
use super::subnet::Subnet;
use crate::fs::{Root, write_atomic};

/// Name of the network that containers are in unless they ask for another.
pub const DEFAULT: &str = "bridge";

/// Bytes that a file of ours may have.
const LIMIT: usize = 1 << 20;

/// All networks of a store.
#[derive(Debug, Clone)]
pub struct Networks {
    pub(super) all: Root,
    pub(super) store: PathBuf,
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
        // Where nothing can be written there are only those that were used before.
        found.extend(missing.into_iter().filter_map(|name| self.predefined(name).ok()));
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    pub(super) fn stored(&self) -> Result<Vec<Network>, NetError> {
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
        match self.make(NewNetwork { name: name.to_owned(), driver, ..NewNetwork::default() }) {
            Err(NetError::Exists(_)) => {
                let all = self.stored()?;
                all.into_iter().find(|n| n.name == name).ok_or_else(|| NetError::NotFound(name.to_owned()))
            }
            other => other,
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
        let others = self.stored()?;
        if network.template.is_some() && others.iter().any(|other| other.config_from == network.name) {
            return Err(NetError::ConfigInUse(network.name.clone()));
        }
        let inside = self.endpoints(network, &changing)?;
        if !inside.is_empty() {
            let name = |e: &Endpoint| format!("name:{:?} id:{:?}", e.name, short(&e.id));
            let endpoints = inside.iter().map(name).collect::<Vec<_>>().join(", ");
            return Err(NetError::InUse { network: network.name.clone(), id: network.id.clone(), endpoints });
        }
        match network.kind() {
            Some(_) => parent::take_down(network, &others)?,
            None => bridge::take_down(network)?,
        }
        Ok(self.all.remove_tree(&network.id)?)
    }

    /// Takes the bridges and rules of networks away that no container is in; the networks stay.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn rest(&self) -> Result<(), NetError> {
        let changing = self.change()?;
        for network in self.stored()? {
            if network.is_bridge() && self.endpoints(&network, &changing)?.is_empty() {
                bridge::take_down(&network)?;
            }
        }
        Ok(())
    }

    /// Takes the rules of a network away when its last container has left; its bridge stays for the next one.
    pub(super) fn retire(&self, network: &Network) -> Result<(), NetError> {
        let changing = self.change()?;
        let inside = self.endpoints(network, &changing)?;
        if inside.is_empty() && network.is_bridge() { firewall::remove(&network.bridge) } else { Ok(()) }
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

    /// Makes what connects the containers of a network ready; the network as it is then, and the number of its bridge
    /// or parent.
    pub(super) fn bring_up(
        &self,
        network: &Network,
        netlink: &mut Netlink,
        changing: &Changing,
    ) -> Result<(Network, u32), NetError> {
        // It may have got another subnet, or be gone.
        let network: Network = self
            .read(&format!("{}/config.json", network.id))?
            .ok_or_else(|| NetError::NotFound(network.name.clone()))?;
        if network.kind().is_some() {
            let index = parent::bring_up(&network, &self.store, netlink)?;
            return Ok((network, index));
        }
        if let Some(index) = netlink
            .index(&network.bridge)
            .map_err(|errno| NetError::kernel(format!("look for the bridge {}", network.bridge), errno))?
        {
            if !firewall::is_there(&network.bridge) {
                // It is the first container, or somebody has flushed all rules of the machine.
                bridge::install(&network, &self.endpoints(&network, changing)?)?;
            } else {
                // iptables may have been loaded anew.
                passage::open(&network.bridge)?;
            }
            return Ok((network, index));
        }
        let inside = self.endpoints(&network, changing)?;
        // Nobody else has bridges where an ordinary user's are.
        let rootless = is_rootless()?;
        let _machine = if rootless { None } else { Some(machine_lock()?) };
        let others = self.stored()?;
        if rootless {
            let known: Vec<&str> =
                others.iter().flat_map(|network| [network.bridge.as_str(), &network.parent]).collect();
            bridge::clear_unknown(&known, netlink)?;
        } else {
            bridge::clear_forgotten(netlink)?;
        }
        let network = self.at_a_free_subnet(network, &inside, &others, netlink)?;
        let index = bridge::make(&network, &self.store, &inside, netlink)?;
        Ok((network, index))
    }

    /// Gives a network another subnet, if this machine has a way to its own and nobody asked for that.
    fn at_a_free_subnet(
        &self,
        mut network: Network,
        inside: &[Endpoint],
        others: &[Network],
        netlink: &mut Netlink,
    ) -> Result<Network, NetError> {
        if !bridge::collides(&network, netlink)? {
            return Ok(network);
        }
        let Some(pool) = network.four.as_mut().filter(|pool| !pool.fixed && inside.is_empty()) else {
            return Err(NetError::Overlaps);
        };
        let others: Vec<Subnet> = others
            .iter()
            .filter(|other| other.id != network.id)
            .flat_map(|other| other.pools().into_iter().map(|pool| pool.subnet))
            .collect();
        *pool = Pool::new(NewPool::default(), bridge::free_subnet(&others)?, pool.gateway.is_some())?;
        self.save(&network)?;
        Ok(network)
    }

    /// Returns places in a network's IPv4 and IPv6 that no running container has, of those kinds that it has.
    pub(super) fn free_places(
        &self,
        network: &Network,
        wanted: (Option<Ipv4Addr>, Option<Ipv6Addr>),
        changing: &Changing,
    ) -> Result<(Option<Place<Ipv4Addr>>, Option<Place<Ipv6Addr>>), NetError> {
        let inside = self.endpoints(network, changing)?;
        let taken: Vec<Ipv4Addr> = inside.iter().filter_map(|e| e.four).map(|place| place.address).collect();
        let taken6: Vec<Ipv6Addr> = inside.iter().filter_map(|e| e.six).map(|place| place.address).collect();
        let outward = !network.internal;
        let four = pool::free(&network.pools(), wanted.0, &taken, outward)?;
        let six = pool::free(&network.pools6(), wanted.1, &taken6, outward)?;
        Ok((four, six))
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
            if network.is_bridge() {
                let _ = firewall::publish(&network.bridge, &endpoint, false);
            }
            if !endpoint.interface.is_empty() {
                // Its address may be another one's next; the kernel keeps an interface while
                // another container shares the namespace.
                match sandbox::remove(&endpoint.interface) {
                    // An ordinary user's are seen in the common namespace alone, and gone with the container's.
                    Err(error) if !is_rootless()? => return Err(error),
                    _ => {}
                }
            }
            self.leave(&endpoint)?;
        }
        found.sort_by_key(|endpoint: &Endpoint| endpoint.addresses().next());
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

pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
