//! Why a registry can't be started.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::storage::StorageError;

/// Errors of starting and keeping a registry.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file could not be used.
    #[error(transparent)]
    Fs(#[from] crate::fs::FsError),
    /// The storage could not be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Nobody may listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line of a file of users is wrong.
    #[error("{path}, line {line}: expected USER:HASH with a bcrypt hash, as `htpasswd -B` writes it")]
    Htpasswd {
        /// The file.
        path: PathBuf,
        /// The line; 0 where the file has no user.
        line: usize,
    },
    /// The URL of the registry behind this one is wrong.
    #[error("invalid upstream {url}: expected http://HOST[:PORT] or https://HOST[:PORT]")]
    Upstream {
        /// The text.
        url: String,
    },
}
