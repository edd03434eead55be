//! Networks without a bridge: macvlan and ipvlan, whose containers' interfaces belong to one of this machine's.
//!
//! The parent is an interface of the machine, a VLAN of one (`eth0.10`) that is made when it is missing, or a link of
//! the network's own that leads nowhere (`dm-<id>`). What was made here carries the store's name and goes with the
//! last network that needs it; an interface of the machine is never changed.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::io::Errno;

use super::bridge::OWNER;
use super::bridge_options;
use super::error::NetError;
use super::helper::is_rootless;
use super::netlink::Netlink;
use super::network::{Driver, Network};

/// How macvlan's interfaces reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Macvlan {
    Bridge,
    Vepa,
    Private,
    Passthru,
}

/// Where ipvlan looks up packets' ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Two,
    Three,
    ThreeSymmetric,
}

/// Whom ipvlan's interfaces reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Bridge,
    Private,
    Vepa,
}

/// What containers' interfaces are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Interfaces with hardware addresses of their own.
    Macvlan(Macvlan),
    /// Interfaces with the parent's.
    Ipvlan(Layer, Reach),
}

impl Kind {
    /// Reads the options of a driver.
    ///
    /// # Errors
    /// A mode is none, with docker's words.
    pub fn read(driver: Driver, options: &BTreeMap<String, String>) -> Result<Self, NetError> {
        let value = |key: &str| options.get(key).map_or("", String::as_str);
        let invalid = |name: &str, driver: &str, what: &str, default: &str| {
            let text = format!("requested {driver} {name} '{what}' is not valid, '{default}' ");
            let end = if name == "flag" {
                "is the ipvlan driver default".to_owned()
            } else {
                format!("mode is the {driver} driver default")
            };
            Err(NetError::Invalid(text + &end))
        };
        let key = "com.docker.network.driver.mtu";
        options.get(key).map_or(Ok(()), |value| bridge_options::mtu(key, value))?;
        let prefix = options.get("com.docker.network.container_iface_prefix");
        prefix.map_or(Ok(()), |prefix| bridge_options::interface(prefix, 11))?;
        if driver != Driver::Ipvlan {
            return Ok(Self::Macvlan(match value("macvlan_mode") {
                "" | "bridge" => Macvlan::Bridge,
                "vepa" => Macvlan::Vepa,
                "private" => Macvlan::Private,
                "passthru" => Macvlan::Passthru,
                other => return invalid("mode", "macvlan", other, "bridge"),
            }));
        }
        let layer = match value("ipvlan_mode") {
            "" | "l2" => Layer::Two,
            "l3" => Layer::Three,
            "l3s" => Layer::ThreeSymmetric,
            other => return invalid("mode", "ipvlan", other, "l2"),
        };
        let reach = match value("ipvlan_flag") {
            "" | "bridge" => Reach::Bridge,
            "private" => Reach::Private,
            "vepa" => Reach::Vepa,
            other => return invalid("flag", "ipvlan", other, "bridge"),
        };
        Ok(Self::Ipvlan(layer, reach))
    }

    /// Whether the way to other machines is the interface itself, without a gateway.
    pub fn is_routed(self) -> bool {
        matches!(self, Self::Ipvlan(Layer::Three | Layer::ThreeSymmetric, _))
    }
}

impl Network {
    /// Returns what its containers' interfaces are, if it has no bridge.
    pub(super) fn kind(&self) -> Option<Kind> {
        let vlan = matches!(self.driver, Driver::Macvlan | Driver::Ipvlan);
        // What can't be read was refused when it was made.
        vlan.then(|| Kind::read(self.driver, &self.options).ok()).flatten()
    }
}

/// Returns the parent that a new network has, by its options or its id.
///
/// # Errors
/// Other networks use it in a way that this one can't have beside them, with docker's words.
pub(super) fn chosen(
    driver: Driver,
    options: &BTreeMap<String, String>,
    id: &str,
    others: &[Network],
) -> Result<String, NetError> {
    let refuse = |why: String| Err(NetError::Invalid(why));
    let kind = Kind::read(driver, options)?;
    let parent = match options.get("parent").map_or("", String::as_str) {
        "" => return Ok(format!("dm-{}", &id[..12])),
        "lo" => return refuse(format!("loopback interface is not a valid {} parent link", driver.word())),
        name => name,
    };
    bridge_options::interface(parent, 15)?;
    if is_rootless()? {
        return refuse(format!(
            "an ordinary user's networks have no interfaces of this machine: {parent} can be no parent (without -o \
             parent the network's containers reach each other alone)"
        ));
    }
    for other in others.iter().filter(|other| other.driver == driver && other.parent == parent) {
        match (kind, other.kind()) {
            (Kind::Ipvlan(..), _) => {
                return refuse(format!(
                    "network di-{} is already using parent interface {parent}",
                    &other.id[..12]
                ));
            }
            (Kind::Macvlan(Macvlan::Passthru), _) => {
                return refuse(format!(
                    "cannot use mode passthru, macvlan network {} is already using parent interface {parent}",
                    other.id
                ));
            }
            (_, Some(Kind::Macvlan(Macvlan::Passthru))) => {
                return refuse(format!(
                    "macvlan network {} is already using parent interface {parent} in mode passthru",
                    other.id
                ));
            }
            _ => {}
        }
    }
    Ok(parent.to_owned())
}

/// Returns the number of a network's parent, which is made if it is missing and can be.
///
/// # Errors
/// It is not there and can't be made, with docker's words.
pub(super) fn bring_up(network: &Network, store: &Path, netlink: &mut Netlink) -> Result<u32, NetError> {
    let name = network.parent.as_str();
    let failed = |errno| match errno {
        Errno::PERM => NetError::MayNot,
        errno => NetError::kernel(format!("look for the interface {name}"), errno),
    };
    if let Some(index) = netlink.index(name).map_err(failed)? {
        return Ok(index);
    }
    if network.options.get("parent").is_none_or(String::is_empty) {
        netlink.add_dummy(name).map_err(|source| NetError::link("dummy", name, source))?;
    } else {
        let (of, number) = vlan(name)?;
        let missing = || NetError::Invalid(format!("-o parent interface was not found on the host: {of}"));
        let parent = netlink.index(of).map_err(failed)?.ok_or_else(missing)?;
        netlink.add_vlan(name, parent, number).map_err(|source| NetError::link("vlan", name, source))?;
    }
    let made = netlink.index(name).map_err(failed)?.ok_or_else(|| failed(Errno::NODEV))?;
    match netlink.set_owner(made, &format!("{OWNER}{}", store.display())) {
        Ok(()) => Ok(made),
        Err(errno) => {
            // Nobody would know whose it is.
            let _ = netlink.remove(name);
            Err(failed(errno))
        }
    }
}

/// Removes the parent of a network if it was made here and none of the others has it.
///
/// # Errors
/// The kernel refuses.
pub(super) fn take_down(network: &Network, others: &[Network]) -> Result<(), NetError> {
    let name = network.parent.as_str();
    if others.iter().any(|other| other.id != network.id && other.parent == name) {
        return Ok(());
    }
    let failed = |errno| NetError::kernel(format!("remove the interface {name}"), errno);
    let mut netlink = Netlink::open().map_err(failed)?;
    let owned = netlink.owned().map_err(failed)?;
    if owned.iter().any(|(link, owner)| link == name && owner.starts_with(OWNER)) {
        netlink.remove(name).map_err(failed)?;
    }
    Ok(())
}

/// Reads the name of a VLAN: the interface that it is of, and its number.
fn vlan(name: &str) -> Result<(&str, u16), NetError> {
    let parts: Vec<&str> = name.split('.').collect();
    let &[of, number] = parts.as_slice() else {
        return Err(NetError::Invalid(format!(
            "invalid subinterface vlan name {name}, example formatting is eth0.10"
        )));
    };
    let read: i64 = number.parse().map_err(|_| {
        NetError::Invalid(format!("unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)"))
    })?;
    match u16::try_from(read) {
        Ok(number) if (1..=4094).contains(&number) => Ok((of, number)),
        _ => Err(NetError::Invalid(format!("vlan id must be between 1-4094, received: {read}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_named_by_parent_and_number() {
        assert_eq!(vlan("eth0.10").unwrap(), ("eth0", 10));
        for (name, said) in [
            ("eth0", "invalid subinterface vlan name eth0, example formatting is eth0.10"),
            ("eth0.1.2", "invalid subinterface vlan name eth0.1.2, example formatting is eth0.10"),
            ("eth0.abc", "unable to parse a valid vlan id from: abc (ex. eth0.10 for vlan 10)"),
            ("eth0.9999", "vlan id must be between 1-4094, received: 9999"),
            ("eth0.0", "vlan id must be between 1-4094, received: 0"),
        ] {
            assert_eq!(vlan(name).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn modes_are_read_or_refused_as_docker_does() {
        let read = |driver, options: &[(&str, &str)]| {
            Kind::read(driver, &options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        use Kind::{Ipvlan, Macvlan as Mac};
        for (driver, options, expected) in [
            (Driver::Macvlan, &[][..], Mac(Macvlan::Bridge)),
            (Driver::Macvlan, &[("macvlan_mode", "passthru")], Mac(Macvlan::Passthru)),
            (Driver::Macvlan, &[("ipvlan_mode", "foo")], Mac(Macvlan::Bridge)),
            (Driver::Ipvlan, &[], Ipvlan(Layer::Two, Reach::Bridge)),
            (
                Driver::Ipvlan,
                &[("ipvlan_mode", "l3s"), ("ipvlan_flag", "vepa")],
                Ipvlan(Layer::ThreeSymmetric, Reach::Vepa),
            ),
        ] {
            assert_eq!(read(driver, options).unwrap(), expected, "{options:?}");
        }
        for (driver, key, said) in [
            (
                Driver::Macvlan,
                "macvlan_mode",
                "requested macvlan mode 'foo' is not valid, 'bridge' mode is the macvlan driver default",
            ),
            (
                Driver::Ipvlan,
                "ipvlan_mode",
                "requested ipvlan mode 'foo' is not valid, 'l2' mode is the ipvlan driver default",
            ),
            (
                Driver::Ipvlan,
                "ipvlan_flag",
                "requested ipvlan flag 'foo' is not valid, 'bridge' is the ipvlan driver default",
            ),
        ] {
            assert_eq!(read(driver, &[(key, "foo")]).unwrap_err().to_string(), said);
        }
    }
}
