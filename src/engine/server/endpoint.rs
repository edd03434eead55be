//! Where the service listens.

use std::path::PathBuf;

use crate::engine::EngineError;

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A TCP port: `HOST:PORT`.
    Tcp(String),
    /// The sockets that the service manager has passed (sd_listen_fds(3)).
    Passed,
}

/// Port without and with TLS.
const PORTS: [u16; 2] = [2375, 2376];

impl Endpoint {
    /// Reads `unix://PATH`, `tcp://HOST[:PORT]`, `fd://`, or `HOST:PORT`; `tls` says which port stands for none.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str, tls: bool) -> Result<Self, EngineError> {
        let bad = || EngineError::Endpoint(text.to_owned());
        let (scheme, place) = text.split_once("://").unwrap_or(("tcp", text));
        match scheme {
            "unix" if !place.is_empty() => Ok(Self::Unix(PathBuf::from(place))),
            "tcp" => tcp(place, tls).map(Self::Tcp).ok_or_else(bad),
            "fd" => Ok(Self::Passed),
            _ => Err(bad()),
        }
    }
}

fn tcp(place: &str, tls: bool) -> Option<String> {
    let place = place.trim_end_matches('/');
    let default = PORTS[usize::from(tls)];
    if place.contains(['/', '@']) || place.is_empty() {
        return None;
    }
    // An address of IPv6 stands in brackets, so that its colons are none before a port.
    let behind = place.rfind(']').map_or(place, |end| &place[end + 1..]);
    match behind.rsplit_once(':') {
        Some((host, port)) => {
            port.parse::<u16>().ok()?;
            let anywhere = host.is_empty() && !place.starts_with('[');
            Some(if anywhere { format!("0.0.0.0:{port}") } else { place.to_owned() })
        }
        None => Some(format!("{place}:{default}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_docker_reads_them() {
        let unix = |path: &str| Some(Endpoint::Unix(path.into()));
        let tcp = |place: &str| Some(Endpoint::Tcp(place.to_owned()));
        for (text, expected) in [
            ("unix:///run/x.sock", unix("/run/x.sock")),
            ("unix://rel/x.sock", unix("rel/x.sock")),
            ("unix://", None),
            ("tcp://0.0.0.0:2375", tcp("0.0.0.0:2375")),
            ("tcp://127.0.0.1", tcp("127.0.0.1:2375")),
            ("tcp://:4000", tcp("0.0.0.0:4000")),
            ("tcp://[::1]:4000", tcp("[::1]:4000")),
            ("tcp://[::1]", tcp("[::1]:2375")),
            ("localhost:2375", tcp("localhost:2375")),
            ("fd://", Some(Endpoint::Passed)),
            ("http://x", None),
            ("tcp://x:y", None),
            ("tcp://", None),
        ] {
            assert_eq!(Endpoint::parse(text, false).ok(), expected, "{text}");
        }
        assert_eq!(Endpoint::parse("tcp://h", true).ok(), tcp("h:2376"));
    }
}
