//! The rules of a network: one nftables table for each, so that removing a network removes its rules, and no other
//! table is touched.
//!
//! Published ports are elements of a map, not rules: a packet is matched by one look-up however many there are.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use rustix::io::Errno;

use super::error::NetError;
use super::port::Published;
use super::subnet::Subnet;
use super::tables::{self, Element};

/// What the rules of a network are made of.
#[derive(Debug)]
pub struct Rules<'a> {
    /// The bridge, which also names the table.
    pub bridge: &'a str,
    /// Its addresses.
    pub subnet: Subnet,
    /// Whether nothing passes between its containers and other machines.
    pub internal: bool,
    /// Whether packets to other machines carry this machine's address.
    pub masquerade: bool,
    /// Whether containers of it reach each other.
    pub talk: bool,
}

impl Rules<'_> {
    /// Makes the table, or makes it anew with the ports that are published now.
    ///
    /// # Errors
    /// `nft` is not there or refuses.
    pub fn install<'p>(
        &self,
        ports: impl Iterator<Item = (&'p Published, Ipv4Addr)>,
    ) -> Result<(), NetError> {
        nft(self.bridge, &self.table())?;
        let elements: Vec<Element> = ports.filter_map(|(port, address)| element(port, address)).collect();
        tables::change(&table(self.bridge), &elements, true)
            .map_err(|errno| NetError::kernel(format!("publish ports of {}", self.bridge), errno))
    }

    fn table(&self) -> String {
        let Self { bridge, subnet, .. } = self;
        let name = table(bridge);
        // `add` before `delete`, so that neither fails.
        let mut text = format!("add table inet {name}\ndelete table inet {name}\ntable inet {name} {{\n");
        text.push_str(concat!(
            " map bound { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }\n",
            " map any { type inet_proto . inet_service : ipv4_addr . inet_service; }\n",
            " chain publish {\n",
            "  dnat ip to ip daddr . meta l4proto . th dport map @bound\n",
            "  meta nfproto ipv4 dnat ip to meta l4proto . th dport map @any\n",
            " }\n",
        ));
        // This machine itself, and containers of the network, are served by the proxy.
        let _ = writeln!(
            text,
            " chain prerouting {{ type nat hook prerouting priority dstnat; iifname != \"{bridge}\" \
             meta l4proto {{ tcp, udp, sctp }} fib daddr type local jump publish; }}"
        );
        let _ = writeln!(text, " chain postrouting {{ type nat hook postrouting priority srcnat;");
        if self.masquerade && !self.internal {
            let _ = writeln!(text, "  ip saddr {subnet} oifname != \"{bridge}\" masquerade");
        }
        text.push_str(" }\n");
        let _ = writeln!(text, " chain forward {{ type filter hook forward priority filter;");
        if !self.talk {
            let _ = writeln!(text, "  iifname \"{bridge}\" oifname \"{bridge}\" drop");
        }
        let _ = writeln!(text, "  iifname \"{bridge}\" oifname \"{bridge}\" accept");
        if self.internal {
            let _ = writeln!(text, "  iifname \"{bridge}\" drop\n  oifname \"{bridge}\" drop");
        } else {
            let _ = writeln!(text, "  oifname \"{bridge}\" ct state established,related accept");
            let _ = writeln!(text, "  oifname \"{bridge}\" ct status dnat accept");
            let _ = writeln!(text, "  oifname \"{bridge}\" drop");
        }
        text.push_str(" }\n}\n");
        text
    }
}

/// Publishes ports of a container, or takes them back.
///
/// # Errors
/// The kernel refuses, e.g. for a network without a table.
pub fn publish(bridge: &str, ports: &[Published], address: Ipv4Addr, there: bool) -> Result<(), NetError> {
    let elements: Vec<Element> = ports.iter().filter_map(|port| element(port, address)).collect();
    tables::change(&table(bridge), &elements, there)
        .map_err(|errno| NetError::kernel(format!("change the published ports of {bridge}"), errno))
}

/// Whether a network's rules are there. Where the kernel does not tell, they are taken to be.
pub fn is_there(bridge: &str) -> bool {
    !matches!(tables::ask_for(&table(bridge)), Err(Errno::NOENT))
}

/// Removes a network's rules.
///
/// # Errors
/// `nft` is not there or refuses.
pub fn remove(bridge: &str) -> Result<(), NetError> {
    let name = table(bridge);
    nft(bridge, &format!("add table inet {name}\ndelete table inet {name}\n"))
}

fn table(bridge: &str) -> String {
    format!("skiff-{bridge}")
}

/// Returns what leads a port to a container; none for those that the proxy alone serves.
fn element(port: &Published, address: Ipv4Addr) -> Option<Element> {
    let number = |value: u16| {
        let [high, low] = value.to_be_bytes();
        [high, low, 0, 0]
    };
    let mut key = vec![[port.protocol.number(), 0, 0, 0], number(port.host)];
    let map = match port.address {
        IpAddr::V6(_) => return None,
        IpAddr::V4(own) if own.is_loopback() => return None,
        IpAddr::V4(own) if own.is_unspecified() => "any",
        IpAddr::V4(own) => {
            key.insert(0, own.octets());
            "bound"
        }
    };
    Some(Element { map, key, value: vec![address.octets(), number(port.container)] })
}

/// Runs a script as one transaction: all of it or nothing.
fn nft(network: &str, script: &str) -> Result<(), NetError> {
    let program = super::program("nft").ok_or(NetError::NoFirewall { source: None })?;
    let mut child = Command::new(program)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| NetError::NoFirewall { source: Some(source) })?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends early says why.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(|source| NetError::NoFirewall { source: Some(source) })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
    Err(NetError::Firewall { network: network.to_owned(), said })
}
