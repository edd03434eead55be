//! Which ports of the machine lead to a container's, by its network's options.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bridge_options::Gateway;
use super::error::NetError;
use super::firewall;
use super::network::{Endpoint, Network};
use super::port::{Published, Reserved, Wanted};
use super::proxy::{Proxy, Target};

/// Ports to publish: those of this machine that nobody else has now, and those of the container's own address.
pub(super) struct Ports {
    reserved: Vec<Reserved>,
    routed: Vec<Published>,
}

impl Ports {
    /// Reserves what a container wants of a network.
    pub fn reserve(network: &Network, wanted: &[Wanted]) -> Result<Self, NetError> {
        let mut ports = Self { reserved: Vec::new(), routed: Vec::new() };
        // Docker ignores them elsewhere: containers there are reached at their own addresses.
        if !network.is_bridge() {
            return Ok(ports);
        }
        let options = network.bridge_options();
        let mut anywhere: Vec<IpAddr> = options.binding.into_iter().collect();
        if anywhere.is_empty() {
            anywhere.extend(network.four.as_ref().map(|_| IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
            anywhere.push(Ipv6Addr::UNSPECIFIED.into());
        }
        let is_routed = |address: &IpAddr| match address {
            IpAddr::V4(_) => network.four.is_some() && options.gateway == Gateway::Routed,
            IpAddr::V6(_) => network.six.is_some() && options.gateway6 == Gateway::Routed,
        };
        for port in wanted {
            let addresses = port.address.map_or_else(|| anywhere.clone(), |address| vec![address]);
            let (routed, bound): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(is_routed);
            ports.routed.extend(routed.into_iter().map(|address| Published {
                address: if address.is_ipv4() {
                    Ipv4Addr::UNSPECIFIED.into()
                } else {
                    Ipv6Addr::UNSPECIFIED.into()
                },
                host: 0,
                container: port.container,
                protocol: port.protocol,
            }));
            ports.reserved.extend(port.reserve(&bound)?);
        }
        Ok(ports)
    }

    /// Returns them as they are kept and shown.
    pub fn published(&self) -> Vec<Published> {
        self.routed.iter().chain(self.reserved.iter().map(|port| &port.published)).cloned().collect()
    }

    /// Publishes them for a container that is connected.
    pub fn publish(self, network: &Network, endpoint: &Endpoint) -> Result<Option<Proxy>, NetError> {
        if endpoint.ports.is_empty() {
            return Ok(None);
        }
        firewall::publish(&network.bridge, endpoint, true)?;
        let Endpoint { four, six, .. } = endpoint;
        let target = Target { four: four.map(|place| place.address), six: six.map(|place| place.address) };
        Proxy::start(self.reserved, target, None).map(Some)
    }
}
