//! What a container with a network of its own finds in `/etc/hosts` and `/etc/resolv.conf`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::config::NetworkConfig;
use super::error::ContainerError;
use super::files::Container;
use crate::fs::Root;
use crate::net::Endpoint;

/// The beginning of `/etc/hosts`.
pub const HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// The name server of networks that know their containers' names.
const OWN_SERVER: &str = "127.0.0.11";
/// Where names are asked for on a machine that names no server others could ask.
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// A copy of `resolv.conf` as it was written here, to see whether somebody has changed it since.
const WRITTEN: &str = "resolv.conf.written";

/// Writes the files of a container that has just joined its networks.
pub(super) fn write(
    container: &Container,
    endpoints: &[Endpoint],
    names: bool,
    server: Option<Ipv4Addr>,
) -> Result<(), ContainerError> {
    let config = &container.config;
    let gateway = endpoints.first().and_then(|endpoint| {
        let four = endpoint.four.and_then(|place| place.gateway).map(IpAddr::V4);
        four.or(endpoint.six.and_then(|place| place.gateway).map(IpAddr::V6))
    });
    let gateway = gateway.map_or_else(|| "127.0.0.1".to_owned(), |address| address.to_string());
    let mut text = HOSTS.to_owned();
    for (name, address) in &config.network.hosts {
        let address = if address == "host-gateway" { &gateway } else { address };
        text.push_str(&format!("{address}\t{name}\n"));
    }
    text.push_str(&links(container)?);
    let own = match (&config.hostname, &config.domainname) {
        (Some(host), Some(domain)) => format!("{host}.{domain} {host}"),
        (Some(host), None) => host.clone(),
        (None, _) => container.short_id().to_owned(),
    };
    for endpoint in endpoints {
        text.extend(endpoint.addresses().map(|address| format!("{address}\t{own}\n")));
    }
    replace(container, "hosts", &text)?;
    resolver(container, &resolver_text(&config.network, names, server)?)
}

/// Returns what belongs into `resolv.conf`; `names` tells that containers' names are to be known, `server` where names
/// are asked for if not where the host asks.
pub(super) fn resolver_text(
    config: &NetworkConfig,
    names: bool,
    server: Option<Ipv4Addr>,
) -> Result<String, ContainerError> {
    let host = Root::open(Path::new("/"))?.read("etc/resolv.conf", 1 << 20).unwrap_or_default();
    let mut host = String::from_utf8_lossy(&host).into_owned();
    if let Some(server) = server {
        let others = host.lines().filter(|line| !line.starts_with("nameserver"));
        host = others.map(|line| format!("{line}\n")).collect();
        host.push_str(&format!("nameserver {server}\n"));
    }
    Ok(resolv_conf(config, &host, names))
}

/// Returns the lines of the containers that it is linked to and that run.
fn links(container: &Container) -> Result<String, ContainerError> {
    let mut text = String::new();
    for (id, alias) in &container.config.network.links {
        let Ok(other) = container.all().find(id) else { continue };
        let state = other.written_state()?;
        if let Some(endpoint) = state.endpoints.first() {
            let mut names = vec![alias.clone()];
            for name in [other.config.hostname.clone().unwrap_or_default(), other.config.name.clone()] {
                if !name.is_empty() && !names.contains(&name) {
                    names.push(name);
                }
            }
            let names = names.join(" ");
            text.extend(endpoint.addresses().map(|address| format!("{address}\t{names}\n")));
        }
    }
    Ok(text)
}

/// Takes the line of a link out of `hosts`.
pub(super) fn remove_link(container: &Container, alias: &str) -> Result<(), ContainerError> {
    if container.config.network.hosts.iter().any(|(name, _)| name == alias) {
        return Ok(());
    }
    let Ok(text) = container.dir().read("hosts", 1 << 20) else { return Ok(()) };
    let text = String::from_utf8_lossy(&text).into_owned();
    let stays =
        |line: &&str| line.split_once('\t').is_none_or(|(_, names)| names.split(' ').next() != Some(alias));
    let kept: String = text.lines().filter(stays).map(|line| format!("{line}\n")).collect();
    if kept == text { Ok(()) } else { replace(container, "hosts", &kept) }
}

/// Writes `resolv.conf`, unless somebody has changed it.
fn resolver(container: &Container, text: &str) -> Result<(), ContainerError> {
    let dir = container.dir();
    let read = |name: &str| dir.read(name, 1 << 20).ok();
    if let (Some(written), Some(now)) = (read(WRITTEN), read("resolv.conf"))
        && written != now
    {
        return Ok(());
    }
    replace(container, "resolv.conf", text)?;
    replace(container, WRITTEN, text)
}

/// Replaces what a file holds; the file itself stays, for it may be mounted.
fn replace(container: &Container, name: &str, text: &str) -> Result<(), ContainerError> {
    let file = container.dir().open_or_create(name, 0o644)?;
    file.set_len(0).map_err(|e| ContainerError::io(format!("write {name}"), e))?;
    std::io::Write::write_all(&mut &file, text.as_bytes())
        .map_err(|e| ContainerError::io(format!("write {name}"), e))
}

/// Returns the servers that are asked for names that are no containers'.
pub(super) fn upstream(config: &NetworkConfig) -> Vec<IpAddr> {
    if !config.dns.is_empty() {
        return config.dns.clone();
    }
    let host = Root::open(Path::new("/")).and_then(|root| root.read("etc/resolv.conf", 1 << 20));
    let host = host.unwrap_or_default();
    // They are asked from the host, where its loopback addresses mean something.
    all_servers(&String::from_utf8_lossy(&host)).collect()
}

fn all_servers(host: &str) -> impl Iterator<Item = IpAddr> + '_ {
    host.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next())??.parse().ok()
    })
}

/// Returns the name servers that a host's `resolv.conf` names and that containers can reach.
fn servers(host: &str) -> Vec<IpAddr> {
    all_servers(host).filter(|address| !address.is_loopback() && address.is_ipv4()).collect()
}

fn lines_of(host: &str, kind: &str) -> Option<String> {
    let line = host.lines().rev().find(|line| line.split_whitespace().next() == Some(kind))?;
    Some(line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).filter(|rest| !rest.is_empty())
}

/// Returns the text of `resolv.conf`; `names` tells that containers' names are to be known.
fn resolv_conf(config: &NetworkConfig, host: &str, names: bool) -> String {
    let mut addresses: Vec<String> = config.dns.iter().map(ToString::to_string).collect();
    if addresses.is_empty() {
        addresses = servers(host).iter().map(ToString::to_string).collect();
    }
    if addresses.is_empty() {
        addresses = PUBLIC.map(str::to_owned).to_vec();
    }
    if names {
        addresses = vec![OWN_SERVER.to_owned()];
    }
    let mut text: String = addresses.iter().map(|address| format!("nameserver {address}\n")).collect();
    let search = match config.dns_search.as_slice() {
        [] => lines_of(host, "search").or_else(|| lines_of(host, "domain")),
        // A single dot says: no search domains.
        [dot] if dot == "." => None,
        given => Some(given.join(" ")),
    };
    text.extend(search.map(|search| format!("search {search}\n")));
    let mut options = match config.dns_options.as_slice() {
        [] => lines_of(host, "options").unwrap_or_default(),
        given => given.join(" "),
    };
    if names && !options.contains("ndots:") {
        options = format!("{options} ndots:0");
    }
    if !options.trim().is_empty() {
        text.push_str(&format!("options {}\n", options.trim()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_follow_host_flags_and_network() {
        let host = "# c\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch a b\noptions edns0\n";
        let with = |dns: &str, search: &str, options: &str| NetworkConfig {
            dns: dns.split_whitespace().map(|text| text.parse().expect("an address")).collect(),
            dns_search: search.split_whitespace().map(str::to_owned).collect(),
            dns_options: options.split_whitespace().map(str::to_owned).collect(),
            ..NetworkConfig::default()
        };
        for (config, host, names, expected) in [
            (with("", "", ""), host, false, "nameserver 10.0.0.1\nsearch a b\noptions edns0\n"),
            (with("", "", ""), "nameserver ::1\n", false, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
            (with("1.1.1.1", ".", "x"), host, false, "nameserver 1.1.1.1\noptions x\n"),
            (with("", "", ""), host, true, "nameserver 127.0.0.11\nsearch a b\noptions edns0 ndots:0\n"),
            (with("", "c", "ndots:2"), host, true, "nameserver 127.0.0.11\nsearch c\noptions ndots:2\n"),
        ] {
            assert_eq!(resolv_conf(&config, host, names), expected);
        }
    }
}
