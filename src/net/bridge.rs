//! Making a network's bridge and taking it down.

use std::path::Path;

use rustix::io::Errno;

use super::error::NetError;
use super::firewall::{self, Rules};
use super::netlink::Netlink;
use super::network::{Endpoint, Network, mac_of};
use super::subnet::Subnet;
use crate::fs::Root;

/// What the owner of our bridges begins with.
const OWNER: &str = "skiff ";

/// Makes the bridge of a network, with rules for those who are in it.
pub(super) fn make(
    network: &Network,
    store: &Path,
    inside: &[Endpoint],
    netlink: &mut Netlink,
) -> Result<u32, NetError> {
    let bridge = network.bridge.as_str();
    let failed = |errno| NetError::kernel(format!("make the bridge {bridge}"), errno);
    netlink.add_bridge(bridge, mac_of(&network.id, network.gateway), network.mtu()).map_err(|errno| {
        match errno {
            Errno::PERM => NetError::MayNot,
            errno => failed(errno),
        }
    })?;
    let made = set_up(network, store, inside, netlink);
    if made.is_err() {
        // Without rules a bridge would seem to be ready.
        netlink.remove(bridge).map_err(failed)?;
    }
    made
}

fn set_up(
    network: &Network,
    store: &Path,
    inside: &[Endpoint],
    netlink: &mut Netlink,
) -> Result<u32, NetError> {
    let bridge = network.bridge.as_str();
    let failed = |errno| NetError::kernel(format!("set up the bridge {bridge}"), errno);
    let index = netlink.index(bridge).map_err(failed)?.ok_or_else(|| failed(Errno::NODEV))?;
    netlink.add_address(index, network.gateway, network.subnet).map_err(failed)?;
    netlink.set_owner(index, &format!("{OWNER}{}", store.display())).map_err(failed)?;
    forward()?;
    install(network, inside)?;
    Ok(index)
}

/// Writes the rules of a network, with the ports of those who are in it.
pub(super) fn install(network: &Network, inside: &[Endpoint]) -> Result<(), NetError> {
    let rules = Rules {
        bridge: &network.bridge,
        subnet: network.subnet,
        internal: network.internal,
        masquerade: network.option("com.docker.network.bridge.enable_ip_masquerade"),
        talk: network.option("com.docker.network.bridge.enable_icc"),
    };
    rules.install(inside.iter().flat_map(|e| e.ports.iter().map(|port| (port, e.address))))
}

/// Removes the bridge and the rules of a network; the network stays.
pub(super) fn take_down(network: &Network) -> Result<(), NetError> {
    let failed = |errno| NetError::kernel(format!("remove the bridge {}", network.bridge), errno);
    if network.bridge.is_empty() {
        return Ok(());
    }
    let mut netlink = Netlink::open().map_err(failed)?;
    if netlink.index(&network.bridge).map_err(failed)?.is_some() {
        firewall::remove(&network.bridge)?;
        netlink.remove(&network.bridge).map_err(failed)?;
    }
    Ok(())
}

/// Removes the bridges of stores that are gone.
pub(super) fn clear_forgotten(netlink: &mut Netlink) -> Result<(), NetError> {
    let failed = |errno| NetError::kernel("list interfaces", errno);
    for (name, owner) in netlink.owned().map_err(failed)? {
        let Some(store) = owner.strip_prefix(OWNER) else { continue };
        if !crate::fs::is_there(Path::new(store)) {
            firewall::remove(&name)?;
            netlink.remove(&name).map_err(failed)?;
        }
    }
    Ok(())
}

/// Whether this machine has a way to a network's addresses that is not its own bridge.
pub(super) fn collides(network: &Network, netlink: &mut Netlink) -> Result<bool, NetError> {
    let routes = netlink.subnets().map_err(|errno| NetError::kernel("list routes", errno))?;
    Ok(routes.iter().any(|route| route.overlaps(network.subnet)))
}

/// Returns the first pool that overlaps neither networks nor routes of this machine.
pub(super) fn free_subnet(others: &[&Network]) -> Result<Subnet, NetError> {
    let failed = |errno| NetError::kernel("list routes", errno);
    let routes = Netlink::open().and_then(|mut netlink| netlink.subnets()).map_err(failed)?;
    let known = || others.iter().map(|other| other.subnet).chain(routes.iter().copied());
    Subnet::pools().find(|pool| !known().any(|s| s.overlaps(*pool))).ok_or(NetError::NoSubnet)
}

/// Lets packets pass between interfaces.
fn forward() -> Result<(), NetError> {
    const PATH: &str = "ip_forward";
    let settings = Root::open(Path::new("/proc/sys/net/ipv4"))?;
    if settings.read(PATH, 16)?.trim_ascii() != b"1" {
        let mut file = settings.open_rw(PATH, false)?;
        std::io::Write::write_all(&mut file, b"1")
            .map_err(|source| NetError::Kernel { action: format!("set {PATH}"), source })?;
    }
    Ok(())
}
