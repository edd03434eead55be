//! Which registries may be talked to without verified TLS.

use std::net::IpAddr;

use super::HostsError;

/// An entry of `insecure-registries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InsecureHost {
    /// `host` or `host:port`, as references write it.
    Host(String),
    /// Every address of a network.
    Network {
        /// The network's address.
        address: IpAddr,
        /// Bits that count.
        prefix: u8,
    },
}

impl InsecureHost {
    /// Reads an entry: `host`, `host:port`, or `address/bits`.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, HostsError> {
        let bad = |why: &str| HostsError::Insecure(text.to_owned(), why.to_owned());
        let text = text.trim();
        if let Some((address, bits)) = text.split_once('/')
            && let Ok(address) = address.parse::<IpAddr>()
        {
            let prefix: u8 = bits.parse().map_err(|_| bad("the network's length is no number"))?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            return if prefix <= most {
                Ok(Self::Network { address, prefix })
            } else {
                Err(bad("the network's length is too large"))
            };
        }
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
        let host = host.trim_end_matches('/');
        if host.is_empty() || host.starts_with('-') || host.contains(['/', '@', '?', '#', ' ']) {
            return Err(bad("expected host[:port] or a CIDR"));
        }
        Ok(Self::Host(host.to_ascii_lowercase()))
    }

    /// Whether `domain` (with its port, if it was written) is meant.
    pub fn covers(&self, domain: &str) -> bool {
        match self {
            Self::Host(host) => host.eq_ignore_ascii_case(domain),
            Self::Network { address, prefix } => {
                literal_address(domain).is_some_and(|candidate| within(candidate, *address, *prefix))
            }
        }
    }
}

/// Whether `domain` is this machine: `localhost`, `127.0.0.0/8`, `::1`.
pub fn is_loopback(domain: &str) -> bool {
    let name = host_of(domain);
    name.eq_ignore_ascii_case("localhost") || literal_address(domain).is_some_and(|a| a.is_loopback())
}

/// Returns the host without its port; an IPv6 address without its brackets.
pub fn host_of(domain: &str) -> &str {
    match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => domain.split_once(':').map_or(domain, |(host, _)| host),
    }
}

fn literal_address(domain: &str) -> Option<IpAddr> {
    host_of(domain).parse().ok()
}

fn within(candidate: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let (a, b, bits) = match (candidate, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let shift = bits - u32::from(prefix);
    a.checked_shr(shift).unwrap_or(0) == b.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_networks() {
        let covers = |entry: &str, domain: &str| InsecureHost::parse(entry).unwrap().covers(domain);
        assert!(covers("a.test:5000", "A.test:5000"));
        assert!(!covers("a.test", "a.test:5000"), "a port is part of the name");
        assert!(covers("http://a.test/", "a.test"));
        assert!(covers("10.0.0.0/8", "10.1.2.3:5000"));
        assert!(!covers("10.0.0.0/8", "11.1.2.3:5000"));
        assert!(!covers("10.0.0.0/8", "ten.test"));
        assert!(covers("0.0.0.0/0", "8.8.8.8"));
        assert!(covers("fd00::/8", "[fd12::1]:5000"));
        for bad in ["", "-x", "10.0.0.0/33", "10.0.0.0/x", "a/b"] {
            assert!(InsecureHost::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_this_machine() {
        for domain in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(domain), "{domain}");
        }
        for domain in ["localhost.test", "128.0.0.1", "[fe80::1]", "docker.io"] {
            assert!(!is_loopback(domain), "{domain}");
        }
    }
}
