//! Why the store could not do what it was asked.

use std::path::PathBuf;

use crate::fs::FsError;
use crate::image::{DiffId, Digest, ManifestDigest, ManifestError};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store was written by another version of this program.
    #[error("{} has format version {found:?}, this program knows only {known}", path.display())]
    Version {
        /// The store's directory.
        path: PathBuf,
        /// What its version file says.
        found: String,
        /// What is known here.
        known: u32,
    },
    /// The directory holds other things and no store.
    #[error("{} is not empty and not a store: it holds {name:?}", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// Something in it that is not of a store.
        name: String,
    },
    /// A file below the store's directory failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// Another operation of the system failed.
    #[error("{action} {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A database failed.
    #[error("{action} in {}", path.display())]
    Database {
        /// What was attempted.
        action: &'static str,
        /// The database file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
    /// No such blob.
    #[error("blob {0} is not in the store")]
    NoBlob(Digest),
    /// No such layer.
    #[error("layer {0} is not in the store")]
    NoLayer(DiffId),
    /// No such manifest or index.
    #[error("manifest {0} is not in the store")]
    NoManifest(ManifestDigest),
    /// Bytes do not have the digest that names them.
    #[error("{what} has digest {found}, not {expected}")]
    WrongDigest {
        /// What was read or written.
        what: &'static str,
        /// The digest that was named.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// A layer can't be compressed.
    #[error("cannot compress layer {layer}")]
    Compress {
        /// Which layer.
        layer: DiffId,
        /// Why.
        #[source]
        source: crate::layers::LayerError,
    },
    /// A blob is larger than the caller takes.
    #[error("blob {digest} has {size} bytes, more than the {limit} that are accepted")]
    BlobTooLarge {
        /// Which blob.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The caller's limit.
        limit: u64,
    },
    /// A manifest or an index does not parse.
    #[error("invalid manifest {digest}")]
    Manifest {
        /// Which one.
        digest: ManifestDigest,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// A config does not parse.
    #[error("invalid image config {digest}")]
    Config {
        /// Which one.
        digest: Digest,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Parts of an image contradict each other.
    #[error("inconsistent image {digest}: {reason}")]
    Inconsistent {
        /// Its manifest.
        digest: ManifestDigest,
        /// What does not fit.
        reason: String,
    },
    /// No image of that name; docker's text.
    #[error("No such image: {0}")]
    NoImage(String),
    /// Several images' ids begin so; docker's text.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// The image is there, but not for the platform; docker's text.
    #[error(
        "image with reference {reference} was found but does not match the specified platform: \
         wanted {wanted}, actual: {actual}"
    )]
    WrongPlatform {
        /// As typed.
        reference: String,
        /// The platform that was asked for.
        wanted: String,
        /// The platforms that are there.
        actual: String,
    },
    /// A platform that is to go is not there; docker's text.
    #[error(
        "failed to delete platform {platform} for image {target}: image with reference {reference} was found but does \
         not provide the specified platform ({platform})"
    )]
    NoPlatform {
        /// As typed.
        reference: String,
        /// What it means.
        target: ManifestDigest,
        /// The platform.
        platform: String,
    },
    /// A reference without a tag cannot be written.
    #[error("reference {0} has no tag")]
    Untagged(String),
    /// An image is still needed; docker's text.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A record that the store wrote itself does not read.
    #[error("damaged record in {place}: {reason}")]
    Damaged {
        /// Where.
        place: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Tar, index or unpacking of a layer failed.
    #[error("cannot {action} layer {layer}")]
    Layer {
        /// What was attempted.
        action: &'static str,
        /// Which layer.
        layer: DiffId,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A tree whose marks another kind of user wrote; an overlay here would not see what they hide.
    #[error("layer {0} was made by another kind of user (root or not); remove it or use another store")]
    ForeignMarks(DiffId),
    /// A mount that shows layers failed.
    #[error("cannot mount {what}")]
    Mount {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether it failed because the disk or a quota is full.
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let kind = match self {
            Self::Io { source, .. } => source.kind(),
            Self::Fs(e) => e.kind(),
            Self::Database { source, .. } => {
                return source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
            }
            _ => return false,
        };
        matches!(kind, QuotaExceeded | StorageFull)
    }
}
