//! Published ports: their flags' text, and keeping them from others.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use serde::{Deserialize, Serialize};

use super::error::NetError;

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Returns its number in packets' headers.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A port of a container that is to be reached through this machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Address of this machine; none is all.
    pub address: Option<IpAddr>,
    /// Ports of this machine of which one is taken, first and last; none is any free one.
    pub host: Option<(u16, u16)>,
    /// Port of the container.
    pub container: u16,
    /// Of which protocol.
    pub protocol: Protocol,
}

/// A port of a container that can be reached through this machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Address of this machine; an unspecified one is all of its kind.
    pub address: IpAddr,
    /// Port of this machine; zero if the container's own address is reached.
    pub host: u16,
    /// Port of the container.
    pub container: u16,
    /// Of which protocol.
    pub protocol: Protocol,
}

/// Reads `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, ranges included.
///
/// # Errors
/// It is written otherwise, with docker's words.
pub fn parse(text: &str) -> Result<Vec<Wanted>, NetError> {
    let (ports, protocol) = protocol_of(text)?;
    let (address, host, container) = parts(ports);
    let (host_text, container_text) = (host, container);
    let container = range(container).ok_or_else(|| invalid(format!("Invalid containerPort: {container}")))?;
    let address = match address {
        "" => None,
        text => {
            let bare = text.trim_start_matches('[').trim_end_matches(']');
            Some(bare.parse().map_err(|_| invalid(format!("Invalid ip address: {bare}")))?)
        }
    };
    let host = match host {
        "" => None,
        text => Some(range(text).ok_or_else(|| invalid(format!("Invalid hostPort: {text}")))?),
    };
    let count = container.1 - container.0;
    let each = |offset: u16| {
        let host = match host {
            None => None,
            Some((first, last)) if count == 0 => Some((first, last)),
            Some((first, _)) => Some((first + offset, first + offset)),
        };
        Wanted { address, host, container: container.0 + offset, protocol }
    };
    if host.is_some_and(|(first, last)| count > 0 && last - first != count) {
        let (host, container) = (host_text, container_text);
        return Err(invalid(format!(
            "Invalid ranges specified for container and host Ports: {container} and {host}"
        )));
    }
    Ok((0..=count).map(each).collect())
}

/// Reads `CONTAINER[-LAST][/PROTOCOL]`, as `--expose` and `EXPOSE` have it.
///
/// # Errors
/// It is written otherwise.
pub fn parse_exposed(text: &str) -> Result<Vec<(u16, Protocol)>, NetError> {
    let (ports, protocol) = protocol_of(text)?;
    let (first, last) = range(ports).ok_or_else(|| {
        invalid(format!("invalid range format for --expose: {text}, error: {}", number_error(ports)))
    })?;
    Ok((first..=last).map(|port| (port, protocol)).collect())
}

/// Says of a word that is no port what docker's language says of it.
pub fn number_error(text: &str) -> String {
    let part = text.split('-').find(|part| part.parse::<u16>().is_err()).unwrap_or(text);
    match !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()) {
        true => format!("strconv.ParseUint: parsing {part:?}: value out of range"),
        false => format!("strconv.ParseUint: parsing {part:?}: invalid syntax"),
    }
}

fn invalid(text: String) -> NetError {
    NetError::Invalid(text)
}

fn protocol_of(text: &str) -> Result<(&str, Protocol), NetError> {
    let (ports, name) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    match name.to_ascii_lowercase().as_str() {
        "tcp" => Ok((ports, Protocol::Tcp)),
        "udp" => Ok((ports, Protocol::Udp)),
        "sctp" => Ok((ports, Protocol::Sctp)),
        _ => Err(invalid(format!("Invalid proto: {name}"))),
    }
}

/// Cuts address, host's port and container's port apart; an address may have colons in brackets.
fn parts(text: &str) -> (&str, &str, &str) {
    let Some((before, container)) = text.rsplit_once(':') else { return ("", "", text) };
    match before.rsplit_once(':') {
        Some((address, host)) => (address, host, container),
        None => ("", before, container),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (first, last): (u16, u16) = (number(first)?, number(last)?);
    (first > 0 && first <= last).then_some((first, last))
}

/// A port of this machine that nobody else can take while this lives.
#[derive(Debug)]
pub struct Reserved {
    /// Which, and for what.
    pub published: Published,
    /// Bound, and for TCP listening. Packets from other machines are redirected before they get here.
    pub(super) socket: OwnedFd,
}

impl Wanted {
    /// Takes the first port that is free at all of some addresses; nothing at none.
    ///
    /// # Errors
    /// All are taken, or this machine does not have an address.
    pub fn reserve(&self, addresses: &[IpAddr]) -> Result<Vec<Reserved>, NetError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let (first, last) = self.host.unwrap_or((0, 0));
        let mut result = Err((SocketAddr::new(addresses[0], first), Errno::ADDRINUSE));
        // One that is free for one kind of addresses may be taken for the other.
        let tries = if first == 0 { 20 } else { u32::from(last - first) + 1 };
        for number in 0..tries {
            let port = if first == 0 { 0 } else { first + u16::try_from(number).unwrap_or(0) };
            result = self.take(addresses, port);
            if !matches!(result, Err((_, Errno::ADDRINUSE))) {
                break;
            }
        }
        result.map_err(|(address, errno)| match errno {
            Errno::ADDRINUSE => NetError::PortInUse { address: address.to_string() },
            Errno::ACCESS => NetError::PortForbidden { address: address.to_string() },
            errno => NetError::Port { address: address.to_string(), source: errno.into() },
        })
    }

    fn take(&self, addresses: &[IpAddr], port: u16) -> Result<Vec<Reserved>, (SocketAddr, Errno)> {
        let mut all: Vec<Reserved> = Vec::new();
        let mut port = port;
        for address in addresses {
            let socket = match bind(SocketAddr::new(*address, port), self.protocol) {
                // A machine may have no IPv6 at all.
                Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if !all.is_empty() => continue,
                other => other.map_err(|errno| (SocketAddr::new(*address, port), errno))?,
            };
            port = socket.1;
            let published = Published {
                address: *address,
                host: port,
                container: self.container,
                protocol: self.protocol,
            };
            all.push(Reserved { published, socket: socket.0 });
        }
        Ok(all)
    }
}

fn bind(address: SocketAddr, protocol: Protocol) -> Result<(OwnedFd, u16), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, rustix::net::ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, rustix::net::ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, rustix::net::ipproto::SCTP),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, Some(number))?;
    if protocol != Protocol::Udp {
        // Connections that are just ending do not keep the port.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    if protocol != Protocol::Udp {
        // With reuse, only a listening socket keeps others away.
        rustix::net::listen(&socket, 128)?;
    }
    let bound: SocketAddr = rustix::net::getsockname(&socket)?.try_into()?;
    Ok((socket, bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Err(error) => error.to_string(),
            Ok(all) => {
                let each = |w: &Wanted| {
                    let address = w.address.map(|a| format!("{a} ")).unwrap_or_default();
                    let host = match w.host {
                        None => "free".to_owned(),
                        Some((first, last)) if first == last => first.to_string(),
                        Some((first, last)) => format!("{first}-{last}"),
                    };
                    format!("{address}{host}>{}/{}", w.container, w.protocol)
                };
                all.iter().map(each).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn flags_are_read_as_docker_does() {
        for (text, expected) in [
            ("80", "free>80/tcp"),
            ("8080:80", "8080>80/tcp"),
            ("8080:80/udp", "8080>80/udp"),
            ("127.0.0.1:8080:80", "127.0.0.1 8080>80/tcp"),
            ("127.0.0.1::80", "127.0.0.1 free>80/tcp"),
            ("[::1]:80:80", "::1 80>80/tcp"),
            ("8000-8001:90-91", "8000>90/tcp 8001>91/tcp"),
            ("8000-8010:80", "8000-8010>80/tcp"),
            ("90-91", "free>90/tcp free>91/tcp"),
            ("8000-8002:90-91", "Invalid ranges specified for container and host Ports: 90-91 and 8000-8002"),
            ("x", "Invalid containerPort: x"),
            ("0", "Invalid containerPort: 0"),
            ("70000", "Invalid containerPort: 70000"),
            ("x:80", "Invalid hostPort: x"),
            ("1.2.3:1:80", "Invalid ip address: 1.2.3"),
            ("80/x", "Invalid proto: x"),
            ("+8:80", "Invalid hostPort: +8"),
            ("", "Invalid containerPort: "),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert_eq!(parse_exposed("80-82/udp").unwrap().len(), 3);
        assert!(parse_exposed("82-80").is_err());
    }

    #[test]
    fn a_port_is_had_once() {
        let wanted = parse("127.0.0.1::80").unwrap().remove(0);
        let here = [IpAddr::from([127, 0, 0, 1])];
        let first = wanted.reserve(&here).unwrap();
        let port = first[0].published.host;
        let same = Wanted { host: Some((port, port)), ..wanted.clone() };
        let refused = same.reserve(&here).unwrap_err().to_string();
        assert_eq!(refused, format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        let range = Wanted { host: Some((port, port.saturating_add(20))), ..wanted };
        assert_ne!(range.reserve(&here).unwrap()[0].published.host, port);
        drop(first);
        assert_eq!(same.reserve(&here).unwrap()[0].published.host, port);
    }
}
