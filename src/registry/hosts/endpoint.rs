//! Where the requests for a domain go.

use url::Url;

use super::certificates;
use super::insecure::is_loopback;
use super::{HUB, HUB_ORIGIN, HostsConfig, HostsError};

/// One server that can be asked for a domain's repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Root URL without a path; for an insecure host `https` is tried before `http`.
    pub base: Url,
    /// The name under which credentials and certificates are kept: `docker.io`, `host:port`.
    pub name: String,
    /// Whether plain HTTP and unverified TLS are allowed.
    pub insecure: bool,
    /// Whether it stands in for the domain's own registry, read-only and without its credentials.
    pub mirror: bool,
}

impl HostsConfig {
    /// Returns the servers to ask for `domain`, mirrors first, its own registry last.
    ///
    /// # Errors
    /// A mirror is no root URL.
    pub fn endpoints(&self, domain: &str) -> Result<Vec<Endpoint>, HostsError> {
        let mut endpoints = Vec::new();
        if domain == HUB {
            for mirror in &self.mirrors {
                endpoints.push(self.mirror(mirror)?);
            }
        }
        endpoints.push(self.origin(domain)?);
        Ok(endpoints)
    }

    /// Returns the registry of `domain` itself.
    ///
    /// # Errors
    /// The domain makes no URL.
    pub fn origin(&self, domain: &str) -> Result<Endpoint, HostsError> {
        let text = match self.origins.get(domain) {
            Some(origin) => origin.clone(),
            None if domain == HUB => HUB_ORIGIN.to_owned(),
            None => format!("https://{domain}"),
        };
        let base = Url::parse(&text).map_err(|e| HostsError::Setup(format!("{text}: {e}")))?;
        let insecure = self.is_listed_insecure(domain) || self.is_unverified(&base);
        Ok(Endpoint { base, name: domain.to_owned(), insecure, mirror: false })
    }

    fn mirror(&self, text: &str) -> Result<Endpoint, HostsError> {
        let base = check_mirror(text)?;
        let name = authority(&base);
        let insecure = base.scheme() == "http" || self.is_unverified(&base);
        Ok(Endpoint { base, name, insecure, mirror: true })
    }

    /// Whether the server of a URL may be talked to without verified TLS: it is listed, or it is this
    /// machine and no certificates were given for it.
    pub fn is_unverified(&self, url: &Url) -> bool {
        let name = authority(url);
        self.is_listed_insecure(&name)
            || (is_loopback(&name) && !certificates::has_roots(&self.certificates, url))
    }

    /// Whether `domain` may be talked to without verified TLS.
    pub fn is_insecure(&self, domain: &str) -> bool {
        is_loopback(domain) || self.is_listed_insecure(domain)
    }

    /// Whether the configuration says so, not only that it is this machine.
    pub fn is_listed_insecure(&self, domain: &str) -> bool {
        self.insecure.iter().any(|entry| entry.covers(domain))
    }
}

/// Reads a mirror: a root URL and nothing more, as docker wants it.
///
/// # Errors
/// It is something else; the text is docker's.
pub fn check_mirror(text: &str) -> Result<Url, HostsError> {
    let bad =
        |why: &str| HostsError::Mirror(format!("{why}: {}", crate::registry::client::redacted_text(text)));
    let url = Url::parse(text).map_err(|e| bad(&format!("unable to parse as a URL ({e})")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("must use http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("username/password not allowed in URI"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("path, query, or fragment at end of the URI not allowed"));
    }
    Ok(url)
}

/// Returns `host[:port]` of a URL; the port only where it is not the scheme's own.
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

impl Endpoint {
    /// Returns the URL of `path` below `/v2/`.
    ///
    /// # Errors
    /// The path makes no URL; checked names always do.
    pub fn api(&self, path: &str) -> Result<Url, HostsError> {
        self.base.join(&format!("/v2/{path}")).map_err(|e| HostsError::Setup(format!("{path}: {e}")))
    }
}
