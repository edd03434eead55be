//! How registries are reached: mirrors, certificates, proxies, and which may be talked to without TLS.

mod certificates;
mod endpoint;
mod error;
mod insecure;
mod pool;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use endpoint::{Endpoint, authority, check_mirror};
pub use error::HostsError;
pub use insecure::InsecureHost;
pub(crate) use pool::Pool;

/// The domain under which images of Docker Hub are named.
const HUB: &str = "docker.io";
/// Where Docker Hub's registry is.
const HUB_ORIGIN: &str = "https://registry-1.docker.io";

/// What the configuration says of registries.
#[derive(Debug, Clone, Default)]
pub struct HostsConfig {
    /// Root URLs that are asked before Docker Hub (`registry-mirrors`).
    pub mirrors: Vec<String>,
    /// Registries that may be talked to without verified TLS (`insecure-registries`); loopback is built in.
    pub insecure: Vec<InsecureHost>,
    /// Folders that have a folder of certificates for a registry, `HOST[:PORT]/*.crt`.
    pub certificates: Vec<PathBuf>,
    /// How hosts are reached through proxies.
    pub proxies: Proxies,
    /// Where a domain's registry is, if it is not `https://DOMAIN`.
    pub origins: BTreeMap<String, String>,
}

/// Proxies, as the environment of most programs says it.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `http:` URLs (`HTTP_PROXY`).
    pub http: Option<String>,
    /// For `https:` URLs (`HTTPS_PROXY`).
    pub https: Option<String>,
    /// Hosts that are reached directly (`NO_PROXY`).
    pub no_proxy: Option<String>,
}
