//! What can be wrong with certificates and keys.

use crate::fs::FsError;

/// TLS can't be spoken with what was given.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key can't be used.
    #[error("{what}: {reason}")]
    Unusable {
        /// The file, or what it is where it has no name.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The library refuses to begin.
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// A file can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl TlsError {
    pub(super) fn unusable(what: impl std::fmt::Display, reason: impl std::fmt::Display) -> Self {
        Self::Unusable { what: what.to_string(), reason: reason.to_string() }
    }
}
