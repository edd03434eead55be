//! The column PORTS, and `port`.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::containers::{Container, State};
use crate::net::{Protocol, Published};

/// A stretch of ports: address and first port of the host if published, first and last of the container.
struct Group {
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
        hosts_fit && self.protocol == protocol && self.last.checked_add(1) == Some(port)
    }

    fn text(&self) -> String {
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
    all.sort_by_key(|(host, port, protocol)| (host.map(|host| host.ip()), *protocol, *port));
    let mut groups: Vec<Group> = Vec::new();
    for (host, port, protocol) in all {
        match groups.last_mut() {
            Some(group) if group.takes(host, port, protocol) => group.last = port,
            _ => groups.push(Group { host, first: port, last: port, protocol }),
        }
    }
    groups.sort_by_key(|group| (group.first, group.protocol, group.host));
    groups.iter().map(Group::text).collect::<Vec<_>>().join(", ")
}

/// Returns the ports that a container publishes while it runs, by port of the container.
pub fn published(state: &State) -> Vec<&Published> {
    let mut all: Vec<&Published> = state.endpoints.iter().flat_map(|endpoint| &endpoint.ports).collect();
    all.sort_by_key(|port| (port.container, port.protocol, port.address, port.host));
    all
}
