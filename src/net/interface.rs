//! What may be asked of a container's interface in a network: its name, settings of the kernel, further addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use super::bridge_options::interface;
use super::error::NetError;
use crate::fs::Root;

/// The option that names it.
const NAME: &str = "com.docker.network.endpoint.ifname";
/// The option of its settings.
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// What stands for its name in settings.
const PLACEHOLDER: &str = "ifname";

/// What is asked of an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterfaceOptions {
    /// Its name; a number behind the network's prefix unless given.
    pub name: Option<String>,
    /// Its settings.
    pub settings: Vec<Setting>,
    /// Addresses that it has beside those of the network.
    pub link_local: Vec<IpAddr>,
}

/// A setting of an interface: `net.FAMILY.KIND.IFNAME.KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// As it was written.
    text: String,
    family: String,
    kind: String,
    key: String,
    /// None if it was left out, which is said when it is to be set, as docker does.
    value: Option<String>,
}

impl InterfaceOptions {
    /// Reads options of the driver and addresses; options that are not known are nobody's, as docker has it.
    ///
    /// # Errors
    /// A value is none, with docker's words.
    pub fn read(options: &BTreeMap<String, String>, link_local: &[IpAddr]) -> Result<Self, NetError> {
        let mut read = Self::default();
        if let Some(name) = options.get(NAME).filter(|name| !name.is_empty()) {
            interface(name, 15)?;
            read.name = Some(name.clone());
        }
        for text in options.get(SYSCTLS).into_iter().flat_map(|all| all.split(',')) {
            read.settings.push(setting(text)?);
        }
        let stranger = |address: &&IpAddr| match address {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        };
        if let Some(address) = link_local.iter().find(stranger) {
            return Err(NetError::Invalid(format!("invalid link local IP address: {address}")));
        }
        read.link_local = link_local.to_vec();
        Ok(read)
    }

    /// Gives an interface in a namespace its settings.
    pub(super) fn set_in(&self, namespace: &OwnedFd, name: &str) -> Result<(), NetError> {
        if self.settings.is_empty() {
            return Ok(());
        }
        let set = || {
            let kind = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind))
                .map_err(|errno| NetError::kernel("enter a network namespace", errno))?;
            self.settings.iter().try_for_each(|setting| setting.set(name))
        };
        // Of this thread alone, which ends here.
        std::thread::scope(|scope| scope.spawn(set).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Setting {
    fn set(&self, interface: &str) -> Result<(), NetError> {
        let Self { text, family, kind, key, value } = self;
        let value = value.as_ref().ok_or_else(|| {
            NetError::Invalid(format!("expected sysctl '{text}' to have format name=value"))
        })?;
        let path = format!("{family}/{kind}/{interface}/{key}");
        let all = Root::open(Path::new("/proc/sys/net"))?;
        let mut file = all
            .open_rw(&path, false)
            .map_err(|_| NetError::Invalid(format!("/proc/sys/net/{path} is not a sysctl file")))?;
        std::io::Write::write_all(&mut file, value.as_bytes())
            .map_err(|source| NetError::Kernel { action: format!("set {path}"), source })
    }
}

/// Reads one setting.
fn setting(text: &str) -> Result<Setting, NetError> {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let parts: Vec<&str> = name.split('.').collect();
    let known =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    match parts.as_slice() {
        &["net", family @ ("ipv4" | "ipv6" | "mpls"), kind, placeholder, key]
            if placeholder.eq_ignore_ascii_case(PLACEHOLDER) && known(kind) && known(key) =>
        {
            Ok(Setting {
                text: text.to_owned(),
                family: family.to_owned(),
                kind: kind.to_owned(),
                key: key.to_owned(),
                value: value.map(str::to_owned),
            })
        }
        _ => Err(NetError::Invalid(format!(
            "unrecognised network interface sysctl '{text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' \
             must be 'ipv4', 'ipv6' or 'mpls'"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused_as_docker_does() {
        let read = |key: &str, value: &str| {
            InterfaceOptions::read(&[(key.to_owned(), value.to_owned())].into(), &[])
        };
        assert_eq!(read("foo", "bar").unwrap(), InterfaceOptions::default());
        assert_eq!(read(NAME, "").unwrap().name, None);
        assert_eq!(read(NAME, "foo0").unwrap().name.as_deref(), Some("foo0"));
        let two = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.ifname.locktime=0";
        assert_eq!(read(SYSCTLS, two).unwrap().settings.len(), 2);
        for (key, value, said) in [
            (NAME, "a/b", "invalid interface name \"a/b\""),
            (NAME, "toolongnameforalink", "invalid interface name"),
            (
                SYSCTLS,
                "net.ipv4.conf.eth0.x=1",
                "unrecognised network interface sysctl 'net.ipv4.conf.eth0.x=1'",
            ),
            (SYSCTLS, "kernel.conf.IFNAME.x=1", "'X' must be 'ipv4', 'ipv6' or 'mpls'"),
            (SYSCTLS, "net.ipv4...IFNAME.x=1", "unrecognised"),
            (SYSCTLS, "net.ipv4.conf.IFNAME.a/../b=1", "unrecognised"),
        ] {
            let why = read(key, value).unwrap_err().to_string();
            assert!(why.contains(said), "{value}: {why}");
        }
        for (address, fits) in
            [("169.254.1.2", true), ("fe80::5", true), ("10.3.4.5", false), ("fd00::1", false)]
        {
            let read = InterfaceOptions::read(&BTreeMap::new(), &[address.parse().unwrap()]);
            assert_eq!(read.is_ok(), fits, "{address}");
        }
    }
}
