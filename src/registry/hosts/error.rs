//! What can be wrong with the description of hosts.

use crate::fs::FsError;
use crate::tls::TlsError;

/// The description of a host is wrong or can't be read.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// A mirror is no plain root URL.
    #[error("invalid mirror: {0}")]
    Mirror(String),
    /// An entry of `insecure-registries` is neither a host nor a CIDR.
    #[error("insecure registry {0} is not valid: {1}")]
    Insecure(String, String),
    /// A client certificate without its key, or the reverse; the text is docker's.
    #[error("{0}")]
    HalfPair(String),
    /// TLS can't be spoken with the certificates that are given.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A proxy's URL is wrong.
    #[error("invalid proxy URL {0}")]
    Proxy(String),
    /// The HTTP client can't be set up.
    #[error("the HTTP client can't be set up: {0}")]
    Setup(String),
    /// A file can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}
