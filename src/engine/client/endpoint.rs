//! Where an engine is, as people write it.

use std::path::PathBuf;

use rustls::ClientConfig;

use super::ClientError;
use crate::tls::{self, Identity, TlsError, Trust};

/// Certificates for TLS, in PEM.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// Authorities that the engine's certificate is checked against; none are the system's.
    pub ca: Option<Vec<u8>>,
    /// This side's certificate and key.
    pub own: Option<(Vec<u8>, Vec<u8>)>,
}

/// How TLS is spoken.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Whether the engine's certificate is checked.
    pub verify: bool,
    /// The certificates.
    pub material: Material,
}

impl Tls {
    /// Returns the settings of a connection.
    pub(super) fn config(&self) -> Result<ClientConfig, TlsError> {
        let trust = match &self.material.ca {
            _ if !self.verify => Trust::Anybody,
            Some(ca) => Trust::Only(tls::certificates("ca.pem", ca)?),
            None => Trust::MachineAnd(Vec::new()),
        };
        let own = self.material.own.as_ref();
        let pair = own.map(|(chain, key)| Identity::parse(("cert.pem", chain), ("key.pem", key)));
        tls::client_config(trust, pair.transpose()?)
    }
}

/// Where an engine is.
#[derive(Debug, Clone)]
pub enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A host and a port.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// None for plain text.
        tls: Option<Tls>,
    },
    /// The engine of another machine, through `ssh`.
    Ssh {
        /// `[USER@]HOST`
        destination: String,
        /// The port, if it is named.
        port: Option<u16>,
        /// The socket over there, if it is not docker's own.
        path: Option<String>,
    },
}

impl Endpoint {
    /// Reads `unix://PATH`, `tcp://HOST[:PORT]`, `http://`, `https://`, `ssh://[USER@]HOST[:PORT][/PATH]` or `HOST:PORT`.
    ///
    /// # Errors
    /// It is none of these.
    pub fn parse(url: &str, tls: Option<Tls>) -> Result<Self, ClientError> {
        let bad = || ClientError::Endpoint(format!("unable to parse docker host `{url}`"));
        let (scheme, place) = url.split_once("://").unwrap_or(("tcp", url));
        match scheme {
            "unix" if place.is_empty() => Ok(Self::Unix(PathBuf::from("/var/run/docker.sock"))),
            "unix" => Ok(Self::Unix(PathBuf::from(place))),
            "tcp" | "http" | "https" => {
                let tls = if scheme == "https" { tls.or_else(|| Some(Tls::default())) } else { tls };
                let place = place.split('/').next().unwrap_or(place);
                let default = if tls.is_some() { 2376 } else { 2375 };
                let (host, port) = host_and_port(place).ok_or_else(bad)?;
                let host = if host.is_empty() { "localhost".to_owned() } else { host };
                Ok(Self::Tcp { host, port: port.unwrap_or(default), tls })
            }
            "ssh" => {
                let (place, path) = place.split_once('/').map_or((place, None), |(a, b)| (a, Some(b)));
                let (user, place) = place.rsplit_once('@').map_or((None, place), |(u, p)| (Some(u), p));
                let (host, port) = host_and_port(place).ok_or_else(bad)?;
                if host.is_empty() || host.starts_with('-') || user.is_some_and(|u| u.contains(':')) {
                    return Err(bad());
                }
                let destination = user.map_or(host.clone(), |user| format!("{user}@{host}"));
                let path = path.filter(|path| !path.is_empty()).map(|path| format!("/{path}"));
                Ok(Self::Ssh { destination, port, path })
            }
            "fd" | "npipe" => {
                Err(ClientError::Endpoint(format!("protocol not available: {scheme} in `{url}`")))
            }
            _ => Err(ClientError::Endpoint(format!("invalid bind address format: {url}"))),
        }
    }

    /// The URL as messages show it.
    pub fn url(&self) -> String {
        match self {
            Self::Unix(path) => format!("unix://{}", path.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => format!("tcp://[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("tcp://{host}:{port}"),
            Self::Ssh { destination, port, path } => {
                let port = port.map_or(String::new(), |port| format!(":{port}"));
                format!("ssh://{destination}{port}{}", path.as_deref().unwrap_or_default())
            }
        }
    }

    /// What stands in the header `Host`.
    pub(super) fn host_header(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            _ => "api.moby.localhost".to_owned(),
        }
    }
}

/// Takes `HOST`, `HOST:`, `HOST:PORT` and `[ADDRESS]:PORT` apart.
fn host_and_port(place: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { "" } else { rest.strip_prefix(':')? })
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let port = if port.is_empty() { None } else { Some(port.parse().ok().filter(|port| *port > 0)?) };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (url, expected) in [
            ("unix:///run/d.sock", "unix:///run/d.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("tcp://h", "tcp://h:2375"),
            ("tcp://h:99/v1", "tcp://h:99"),
            ("https://h", "tcp://h:2376"),
            ("h:5", "tcp://h:5"),
            (":5", "tcp://localhost:5"),
            ("tcp://[::1]:7", "tcp://[::1]:7"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
            ("ssh://u@h:22", "ssh://u@h:22"),
            ("ssh://h/run/d.sock", "ssh://h/run/d.sock"),
            ("ssh://-oProxyCommand=x", "bad"),
            ("ssh://u:p@h", "bad"),
            ("tcp://h:0", "bad"),
            ("tcp://h:70000", "bad"),
            ("fd://", "bad"),
            ("gopher://h", "bad"),
        ] {
            let found = Endpoint::parse(url, None).map_or("bad".to_owned(), |endpoint| endpoint.url());
            assert_eq!(found, expected, "{url}");
        }
    }
}
