//! The column PORTS, and `port`.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use crate::containers::{Container, State};
use crate::net::{Protocol, Published, number_error};

/// A stretch of ports: address and first port of the host if published, first and last of the container.
pub struct Group {
    host: Option<SocketAddr>,
    first: u16,
    last: u16,
    protocol: Protocol,
}

impl Group {
    /// Whether a port goes on where this ends.
    fn takes(&self, host: Option<SocketAddr>, port: u16, protocol: Protocol) -> bool {
        let offset = self.last - self.first + 1;
        let hosts_fit = match (self.host, host) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => {
                ours.ip() == theirs.ip() && ours.port().checked_add(offset) == Some(theirs.port())
            }
            _ => false,
        };
        !self.moved() && hosts_fit && self.protocol == protocol && self.last.checked_add(1) == Some(port)
    }

    /// Whether the host has it at another port than the container.
    fn moved(&self) -> bool {
        self.host.is_some_and(|host| host.port() != self.first)
    }

    /// How it is written.
    pub fn text(&self) -> String {
        let Self { first, last, protocol, .. } = self;
        let stretch = |first: u16, last: u16| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let inside = stretch(*first, *last);
        match self.host {
            None => format!("{inside}/{protocol}"),
            Some(host) => {
                let address = SocketAddr::new(host.ip(), 0).to_string();
                let address = address.trim_end_matches(":0");
                let outside = stretch(host.port(), host.port().saturating_add(last - first));
                format!("{address}:{outside}->{inside}/{protocol}")
            }
        }
    }
}

/// Returns exposed and published ports as docker lists them, equal consecutive ones together.
pub fn column(container: &Container, state: &State) -> String {
    let published = published(state);
    let known: BTreeSet<(u16, Protocol)> =
        published.iter().map(|port| (port.container, port.protocol)).collect();
    let mut all: Vec<(Option<SocketAddr>, u16, Protocol)> = Vec::new();
    for port in &published {
        all.push((Some(SocketAddr::new(port.address, port.host)), port.container, port.protocol));
    }
    for text in &container.config.network.exposed {
        for (port, protocol) in crate::net::parse_exposed(text).unwrap_or_default() {
            if !known.contains(&(port, protocol)) {
                all.push((None, port, protocol));
            }
        }
    }
    grouped(all).iter().map(Group::text).collect::<Vec<_>>().join(", ")
}

/// Puts consecutive ports that are the same inside and outside together. Docker's order: those that are not stand behind
/// all others, one by one.
pub fn grouped(mut all: Vec<(Option<SocketAddr>, u16, Protocol)>) -> Vec<Group> {
    all.sort_by_key(|(host, port, protocol)| (host.map(|host| host.ip()), *protocol, *port));
    let mut groups: Vec<Group> = Vec::new();
    for (host, port, protocol) in all {
        match groups.last_mut() {
            Some(group) if group.takes(host, port, protocol) => group.last = port,
            _ => groups.push(Group { host, first: port, last: port, protocol }),
        }
    }
    groups.sort_by_key(|group| (group.moved(), group.first, group.protocol, group.host));
    groups
}

/// Returns the ports that a container publishes while it runs, by port of the container.
pub fn published(state: &State) -> Vec<&Published> {
    let mut all: Vec<&Published> = state.endpoints.iter().flat_map(|endpoint| &endpoint.ports).collect();
    all.sort_by_key(|port| (port.container, port.protocol, port.address, port.host));
    all
}

/// List port mappings or a specific mapping for the container
#[derive(Debug, Args)]
pub struct PortArgs {
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Port of the container
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    pub port: Option<String>,
}

/// Says of a word that it is no port.
pub fn no_port(word: &str) -> CliError {
    CliError::new(format!("Error: invalid port ({word}): {}", number_error(word)))
}

/// Runs `port`.
///
/// # Errors
/// There is no such container, or the port is not published.
pub fn port(args: &PortArgs, global: &Global) -> Result<(), CliError> {
    let containers = super::all(global)?;
    let container = super::find(&containers, &args.container, global)?;
    let state = container.state().map_err(|e| CliError::engine(&e))?;
    let published = published(&state);
    let host = |port: &Published| match SocketAddr::new(port.address, port.host).to_string() {
        // The container's own address is reached.
        text if port.host == 0 => text.trim_end_matches('0').to_owned(),
        text => text,
    };
    let Some(wanted) = &args.port else {
        let line = |port: &&Published| format!("{}/{} -> {}\n", port.container, port.protocol, host(port));
        return output::data(&published.iter().map(line).collect::<String>());
    };
    let (number, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    let number: u16 = number.parse().map_err(|_| no_port(number))?;
    let fits = |port: &&&Published| port.container == number && port.protocol.to_string() == protocol;
    let lines: Vec<String> = published.iter().filter(fits).map(|port| host(port)).collect();
    if lines.is_empty() {
        return Err(CliError::new(format!(
            "Error: No public port '{wanted}' published for {}",
            args.container
        )));
    }
    output::line(&lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_stand_in_groups() {
        let shown = |ports: &[(&str, u16, Protocol)]| {
            let one = |(host, port, protocol): &(&str, u16, Protocol)| {
                ((!host.is_empty()).then(|| host.parse().expect("an address")), *port, *protocol)
            };
            grouped(ports.iter().map(one).collect()).iter().map(Group::text).collect::<Vec<_>>().join(", ")
        };
        let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
        for (ports, expected) in [
            (&[("", 72, tcp), ("", 70, tcp), ("", 71, tcp), ("", 71, udp)][..], "70-72/tcp, 71/udp"),
            (
                &[
                    ("0.0.0.0:81", 81, tcp),
                    ("[::]:80", 80, tcp),
                    ("0.0.0.0:80", 80, tcp),
                    ("[::]:81", 81, tcp),
                ],
                "0.0.0.0:80-81->80-81/tcp, [::]:80-81->80-81/tcp",
            ),
            (
                &[("0.0.0.0:8081", 81, tcp), ("0.0.0.0:8080", 80, tcp), ("0.0.0.0:443", 443, tcp)],
                "0.0.0.0:443->443/tcp, 0.0.0.0:8080->80/tcp, 0.0.0.0:8081->81/tcp",
            ),
        ] {
            assert_eq!(shown(ports), expected);
        }
    }
}
