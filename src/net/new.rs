//! Making networks: their names, addresses and options as they fit what is there.

use std::net::Ipv6Addr;
use std::path::Path;

use super::bridge;
use super::bridge_options::{BridgeOptions, Gateway};
use super::error::NetError;
use super::helper::is_rootless;
use super::netlink::Netlink;
use super::network::{Driver, Network, NewNetwork, local};
use super::networks::{DEFAULT, Networks, short};
use super::parent::{self, Kind};
use super::pool::{NewPool, Pool};
use super::subnet::{Address, Subnet};

impl Networks {
    /// Makes a network; a bridge appears with its first container, a parent interface that is missing at once.
    ///
    /// # Errors
    /// The name is taken, the addresses overlap others or don't fit each other, no pool is free, or an option or the
    /// parent is none.
    pub fn create(&self, new: NewNetwork) -> Result<Network, NetError> {
        self.list()?;
        let new = self.configured(new)?;
        self.make(new)
    }

    /// Fills in what another network is there to give.
    fn configured(&self, new: NewNetwork) -> Result<NewNetwork, NetError> {
        if new.config_from.is_empty() {
            return Ok(new);
        }
        let missing =
            || NetError::Invalid(format!("configuration network {:?} does not exist", new.config_from));
        let from = self.find(&new.config_from).map_err(|_| missing())?;
        let template = *from.template.ok_or_else(missing)?;
        Ok(NewNetwork {
            name: new.name,
            driver: new.driver,
            internal: new.internal,
            attachable: new.attachable,
            scope: new.scope,
            config_from: from.name,
            ..template
        })
    }

    /// Makes a network that takes nothing from others.
    pub(super) fn make(&self, new: NewNetwork) -> Result<Network, NetError> {
        let _changing = self.change()?;
        let others = self.stored()?;
        if others.iter().any(|other| other.name == new.name) {
            return Err(NetError::Exists(new.name));
        }
        let id = super::random_id()?;
        let mut network = bare(&new, &id);
        match new.driver {
            Driver::Bridge => network.bridge = self.bridge_name(&new, &id),
            Driver::Macvlan | Driver::Ipvlan => {
                network.parent = parent::chosen(new.driver, &new.options, &id, &others)?;
                // As docker has it: such a network's containers reach each other alone.
                network.internal |= new.options.get("parent").is_none_or(String::is_empty);
            }
            Driver::Host | Driver::Null => {}
        }
        if network.can_be_joined() {
            addresses(&mut network, new, &others)?;
        }
        if network.kind().is_some() && !is_rootless()? {
            let mut netlink =
                Netlink::open().map_err(|errno| NetError::kernel("ask for interfaces", errno))?;
            parent::bring_up(&network, &self.store, &mut netlink)?;
        }
        self.keep(&network)?;
        Ok(network)
    }

    /// Makes a network that is there for others to be made like it.
    ///
    /// # Errors
    /// The name is taken.
    pub fn create_template(&self, new: NewNetwork) -> Result<Network, NetError> {
        self.list()?;
        let _changing = self.change()?;
        if self.stored()?.iter().any(|other| other.name == new.name) {
            return Err(NetError::Exists(new.name));
        }
        let mut network = bare(&new, &super::random_id()?);
        network.driver = Driver::Null;
        network.template = Some(Box::new(new));
        self.keep(&network)?;
        Ok(network)
    }

    fn keep(&self, network: &Network) -> Result<(), NetError> {
        let kept = self.all.create_dir_all(format!("{}/endpoints", network.id), 0o711);
        kept.map_err(NetError::from).and_then(|_| self.save(network)).inspect_err(|_| {
            let _ = self.all.remove_tree(&network.id);
        })
    }

    /// Root's own store has a bridge whose name people can remember; others must not take it.
    fn bridge_name(&self, new: &NewNetwork, id: &str) -> String {
        match new.options.get("com.docker.network.bridge.name") {
            Some(name) => name.clone(),
            None if new.name == DEFAULT && self.store == Path::new("/var/lib/skiff") => "skiff0".to_owned(),
            None => format!("br-{}", short(id)),
        }
    }
}

/// Returns a network without addresses.
fn bare(new: &NewNetwork, id: &str) -> Network {
    Network {
        id: id.to_owned(),
        name: new.name.clone(),
        created: super::now(),
        driver: new.driver,
        bridge: String::new(),
        parent: String::new(),
        four: None,
        six: None,
        further: Vec::new(),
        further6: Vec::new(),
        internal: new.internal,
        attachable: new.attachable,
        template: None,
        config_from: new.config_from.clone(),
        scope: if new.scope.is_empty() { local() } else { new.scope.clone() },
        ipam_options: new.ipam_options.clone(),
        labels: new.labels.clone(),
        options: new.options.clone(),
    }
}

/// Gives a network its addresses, none of which others have.
fn addresses(network: &mut Network, new: NewNetwork, others: &[Network]) -> Result<(), NetError> {
    let refuse = |why: &str| Err(NetError::Invalid(why.to_owned()));
    let (mut first, mut first6) = (true, true);
    if network.is_bridge() {
        let options = BridgeOptions::read(&network.options)?;
        options.fits(network.internal)?;
        first = options.gateway != Gateway::Isolated;
        first6 = options.gateway6 != Gateway::Isolated;
        if new.four.len() > 1 || new.six.as_ref().is_some_and(|six| six.len() > 1) {
            return refuse("bridge driver doesn't support multiple subnets");
        }
    } else if network.kind().is_some_and(Kind::is_routed) {
        (first, first6) = (false, false);
    }
    if new.without_four && new.six.is_none() {
        return refuse("IPv4 or IPv6 must be enabled");
    }
    if !new.without_four {
        let mut known: Vec<Subnet> = others.iter().flat_map(Network::pools).map(|pool| pool.subnet).collect();
        let mut pools = fitting(new.four, &mut known, first, bridge::free_subnet)?.into_iter();
        network.four = pools.next();
        network.further = pools.collect();
    }
    if let Some(six) = new.six {
        let mut known: Vec<Subnet<Ipv6Addr>> =
            others.iter().flat_map(Network::pools6).map(|pool| pool.subnet).collect();
        let id = network.id.clone();
        let mut pools = fitting(six, &mut known, first6, |_| Ok(Subnet::local(&id)))?.into_iter();
        network.six = pools.next();
        network.further6 = pools.collect();
    }
    Ok(())
}

/// Returns the pools that are asked for, or one that is free; `known` are others' subnets.
fn fitting<A: Address>(
    wanted: Vec<NewPool<A>>,
    known: &mut Vec<Subnet<A>>,
    first: bool,
    free: impl Fn(&[Subnet<A>]) -> Result<Subnet<A>, NetError>,
) -> Result<Vec<Pool<A>>, NetError> {
    let wanted = if wanted.is_empty() { vec![NewPool::default()] } else { wanted };
    let mut pools = Vec::new();
    for one in wanted {
        let subnet = match one.subnet {
            Some(subnet) => subnet,
            None => free(known)?,
        };
        if known.iter().any(|other| other.overlaps(subnet)) {
            return Err(NetError::Overlaps);
        }
        known.push(subnet);
        pools.push(Pool::new(one, subnet, first)?);
    }
    Ok(pools)
}
