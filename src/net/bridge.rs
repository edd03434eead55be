//! Making a network's bridge and taking it down.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use rustix::io::Errno;

use super::error::NetError;
use super::firewall::{self, Rules, Side};
use super::netlink::Netlink;
use super::network::{Endpoint, Network, mac_of};
use super::subnet::Subnet;
use crate::fs::Root;

/// Where the settings of the calling thread's network are.
const SETTINGS: &str = "/proc/sys/net";
/// What the owner of our bridges begins with.
pub(super) const OWNER: &str = "skiff ";

/// Makes the bridge of a network, with rules for those who are in it.
pub(super) fn make(
    network: &Network,
    store: &Path,
    inside: &[Endpoint],
    netlink: &mut Netlink,
) -> Result<u32, NetError> {
    let bridge = network.bridge.as_str();
    let failed = |errno| match errno {
        Errno::PERM => NetError::MayNot,
        errno => NetError::kernel(format!("make the bridge {bridge}"), errno),
    };
    let options = network.bridge_options();
    let own = network.four.as_ref().map(|pool| IpAddr::V4(pool.gateway.unwrap_or(pool.subnet.base())));
    let mac = mac_of(&network.id, own.unwrap_or(Ipv4Addr::UNSPECIFIED.into()));
    netlink.add_bridge(bridge, mac, network.mtu()).map_err(failed)?;
    let mut set_up = || {
        let index = netlink.index(bridge).map_err(failed)?.ok_or_else(|| failed(Errno::NODEV))?;
        let four = network.four.as_ref().filter(|_| !options.inhibit_ipv4);
        if let Some((gateway, pool)) = four.and_then(|pool| pool.gateway.zip(Some(pool))) {
            netlink.add_address(index, gateway, pool.subnet).map_err(failed)?;
        }
        if let Some(six) = &network.six {
            set("ipv6/conf", &format!("{bridge}/disable_ipv6"), "0")?;
            if let Some(gateway) = six.gateway {
                netlink.add_address6(index, gateway, six.subnet.prefix()).map_err(failed)?;
            }
            forward6()?;
        }
        netlink.set_owner(index, &format!("{OWNER}{}", store.display())).map_err(failed)?;
        set("ipv4", "ip_forward", "1")?;
        install(network, inside)?;
        Ok(index)
    };
    let made = set_up();
    if made.is_err() {
        // Without rules a bridge would seem to be ready.
        netlink.remove(bridge).map_err(failed)?;
    }
    made
}

/// Writes the rules of a network, with the ports of those who are in it.
pub(super) fn install(network: &Network, inside: &[Endpoint]) -> Result<(), NetError> {
    let options = network.bridge_options();
    let rules = Rules {
        bridge: &network.bridge,
        four: network.four.as_ref().map(|pool| Side { subnet: pool.subnet, gateway: options.gateway }),
        six: network.six.as_ref().map(|pool| Side { subnet: pool.subnet, gateway: options.gateway6 }),
        internal: network.internal,
        masquerade: options.masquerade,
        talk: options.talk,
        trusted: &options.trusted,
    };
    rules.install(inside)
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

/// Removes the bridges, and what was made for networks without them, of stores that are gone.
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

/// Removes our bridges whose networks are gone.
pub(super) fn clear_unknown(known: &[&str], netlink: &mut Netlink) -> Result<(), NetError> {
    let failed = |errno| NetError::kernel("list interfaces", errno);
    for (name, owner) in netlink.owned().map_err(failed)? {
        if owner.starts_with(OWNER) && !known.contains(&name.as_str()) {
            firewall::remove(&name)?;
            netlink.remove(&name).map_err(failed)?;
        }
    }
    Ok(())
}

/// Whether this machine has a way to a network's addresses that is not its own bridge.
pub(super) fn collides(network: &Network, netlink: &mut Netlink) -> Result<bool, NetError> {
    let failed = |errno| NetError::kernel("list routes", errno);
    if let Some(six) = &network.six
        && netlink.subnets6().map_err(failed)?.iter().any(|route| route.overlaps(six.subnet))
    {
        // Nobody gave another one than the one that it has.
        return Err(NetError::Overlaps);
    }
    let Some(four) = &network.four else { return Ok(false) };
    let routes = netlink.subnets().map_err(failed)?;
    Ok(routes.iter().any(|route| route.overlaps(four.subnet)))
}

/// Returns the first pool that overlaps neither others' subnets nor routes of this machine.
pub(super) fn free_subnet(others: &[Subnet]) -> Result<Subnet, NetError> {
    let failed = |errno| NetError::kernel("list routes", errno);
    let routes = Netlink::open().and_then(|mut netlink| netlink.subnets()).map_err(failed)?;
    let known = || others.iter().chain(&routes);
    Subnet::pools().find(|pool| !known().any(|s| s.overlaps(*pool))).ok_or(NetError::NoSubnet)
}

/// Lets IPv6 packets pass between interfaces.
///
/// A machine that forwards hears no routers any more; those interfaces that do now shall go on.
fn forward6() -> Result<(), NetError> {
    const FOLDER: &str = "ipv6/conf";
    let settings = Root::open(&Path::new(SETTINGS).join(FOLDER))?;
    if settings.read("all/forwarding", 16)?.trim_ascii() == b"1" {
        return Ok(());
    }
    for interface in settings.entries(".")? {
        let path = format!("{}/accept_ra", String::from_utf8_lossy(&interface.name));
        // An interface may go at any time.
        if settings.read(&path, 16).is_ok_and(|value| value.trim_ascii() == b"1") {
            let _ = set(FOLDER, &path, "2");
        }
    }
    set(FOLDER, "all/forwarding", "1")
}

/// Gives a setting of the network a value, unless it has it.
pub(super) fn set(folder: &str, path: &str, value: &str) -> Result<(), NetError> {
    let settings = Root::open(&Path::new(SETTINGS).join(folder))?;
    if settings.read(path, 16)?.trim_ascii() != value.as_bytes() {
        let mut file = settings.open_rw(path, false)?;
        std::io::Write::write_all(&mut file, value.as_bytes())
            .map_err(|source| NetError::Kernel { action: format!("set {path}"), source })?;
    }
    Ok(())
}
