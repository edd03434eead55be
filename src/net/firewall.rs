//! The rules of a network: one nftables table for each, so that removing a network removes its rules, and no other
//! table is touched.
//!
//! Published ports are elements of a map, not rules: a packet is matched by one look-up however many there are.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::process::{Command, Stdio};

use netlink_packet_core::NLM_F_REQUEST;
use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::error::NetError;
use super::port::Published;
use super::subnet::Subnet;

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
        let mut script = self.table();
        for (port, address) in ports {
            script.push_str(&element("add", self.bridge, port, address));
        }
        nft(self.bridge, &script)
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
/// `nft` is not there or refuses, e.g. for a network without a table.
pub fn publish(bridge: &str, ports: &[Published], address: Ipv4Addr, there: bool) -> Result<(), NetError> {
    let verb = if there { "add" } else { "delete" };
    let script: String = ports.iter().map(|port| element(verb, bridge, port, address)).collect();
    if script.is_empty() { Ok(()) } else { nft(bridge, &script) }
}

/// Whether a network's rules are there. Where the kernel does not tell, they are taken to be.
pub fn is_there(bridge: &str) -> bool {
    !matches!(ask_for(&table(bridge)), Err(Errno::NOENT))
}

/// Asks the kernel for a table by name (nfnetlink, `NFT_MSG_GETTABLE`): a tenth of a millisecond, where `nft` takes ten.
fn ask_for(table: &str) -> Result<(), Errno> {
    /// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE`
    const GET_TABLE: u16 = 10 << 8 | 1;
    /// `NFPROTO_INET`, version 0, no resource.
    const FAMILY: [u8; 4] = [1, 0, 0, 0];
    /// `NFTA_TABLE_NAME`
    const NAME: u16 = 1;
    let name = [table.as_bytes(), &[0]].concat();
    let mut body = FAMILY.to_vec();
    body.extend_from_slice(&(4 + name.len() as u16).to_ne_bytes());
    body.extend_from_slice(&NAME.to_ne_bytes());
    body.extend_from_slice(&name);
    body.resize(body.len().next_multiple_of(4), 0);
    let mut message = (16 + body.len() as u32).to_ne_bytes().to_vec();
    message.extend_from_slice(&GET_TABLE.to_ne_bytes());
    message.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    // Sequence and sender.
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&body);
    let family = AddressFamily::NETLINK;
    let socket = rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?;
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 4096];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    match (answer.get(4..6), answer.get(16..20).filter(|_| length >= 20)) {
        // `NLMSG_ERROR` and its number, which is negative.
        (Some([2, 0]), Some(&[a, b, c, d])) => match i32::from_ne_bytes([a, b, c, d]) {
            0 => Ok(()),
            code => Err(Errno::from_raw_os_error(-code)),
        },
        _ => Ok(()),
    }
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

fn element(verb: &str, bridge: &str, port: &Published, address: Ipv4Addr) -> String {
    let target = SocketAddrV4::new(address, port.container);
    let (protocol, host) = (port.protocol, port.host);
    let value = match verb {
        "add" => format!(" : {} . {}", target.ip(), target.port()),
        _ => String::new(),
    };
    match port.address {
        // The proxy alone serves these.
        IpAddr::V6(_) => String::new(),
        IpAddr::V4(own) if own.is_loopback() => String::new(),
        IpAddr::V4(own) if own.is_unspecified() => {
            format!("{verb} element inet {} any {{ {protocol} . {host}{value} }}\n", table(bridge))
        }
        IpAddr::V4(own) => {
            format!("{verb} element inet {} bound {{ {own} . {protocol} . {host}{value} }}\n", table(bridge))
        }
    }
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
