//! What can go wrong with a shared cache.

use crate::fs::FsError;
use crate::image::{DiffId, Digest};
use crate::layers::LayerError;
use crate::store::StoreError;

/// A failure of a shared cache.
#[derive(Debug, thiserror::Error)]
pub enum SharedCacheError {
    /// `--cache-from` or `--cache-to` is wrong.
    #[error("{0}")]
    Invalid(String),
    /// A folder failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A layer could not be packed or unpacked.
    #[error("layer {diff_id} of cache {cache}")]
    Layer {
        /// The layer.
        diff_id: DiffId,
        /// The cache's name.
        cache: String,
        /// Why.
        source: LayerError,
    },
    /// A file of the cache can't be read or written.
    #[error("{action} cache {cache}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The cache's name.
        cache: String,
        /// Why.
        source: std::io::Error,
    },
    /// A registry failed.
    #[error("cache {cache}")]
    Registry {
        /// The cache's name.
        cache: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An entry is not what it should be.
    #[error("cache {cache}: an entry is damaged: {reason}")]
    Entry {
        /// The cache's name.
        cache: String,
        /// What is wrong.
        reason: String,
    },
    /// A blob does not have its digest.
    #[error("cache {cache}: blob {expected} has the digest {found}")]
    WrongBlob {
        /// The cache's name.
        cache: String,
        /// What the entry says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A layer is in no cache.
    #[error("layer {0} is in no cache any more")]
    Gone(DiffId),
}
