//! Why an archive could not be written or read.

use crate::fs::FsError;
use crate::image::{DiffId, Digest, ManifestError};
use crate::layers::LayerError;
use crate::store::StoreError;

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file of the store failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// Reading or writing a tar failed.
    #[error("cannot {action} {what}")]
    Layer {
        /// What was attempted.
        action: &'static str,
        /// On which part of the archive.
        what: String,
        /// Why.
        #[source]
        source: LayerError,
    },
    /// The stream failed.
    #[error("cannot {action} the archive")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A document of the archive does not parse.
    #[error("invalid {name} in the archive")]
    Json {
        /// Which one.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A manifest of the archive does not parse.
    #[error("invalid manifest {digest} in the archive")]
    Manifest {
        /// Which one.
        digest: Digest,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// Neither an OCI layout nor a docker archive.
    #[error(
        "unrecognized image format: the archive has neither {} nor {}",
        super::format::OCI_LAYOUT,
        super::format::DOCKER_MANIFEST
    )]
    Unrecognized,
    /// An archive from before docker 1.10.
    #[error(
        "the archive has only a {} file (docker before 1.10); load and save it with a newer docker first",
        super::format::REPOSITORIES
    )]
    Ancient,
    /// A part that something names is not there.
    #[error("the archive lacks {what}, which {named_by} names")]
    Missing {
        /// What is not there.
        what: String,
        /// Who names it.
        named_by: String,
    },
    /// Bytes do not have the digest that their name gives.
    #[error("{name} in the archive has digest {found}")]
    WrongDigest {
        /// The part.
        name: String,
        /// The digest of its bytes.
        found: Digest,
    },
    /// Config and manifest disagree about the number of layers.
    #[error("invalid manifest, layers length mismatch: expected {expected}, got {found}")]
    LayerCount {
        /// As the config says.
        expected: usize,
        /// As the manifest says.
        found: usize,
    },
    /// A layer is not the one that the config names; docker's text.
    #[error("invalid diffID for layer {index}: expected {expected:?}, got {found:?}", expected = .expected.to_string(), found = .found.to_string())]
    WrongDiffId {
        /// Which layer, counted from 0.
        index: usize,
        /// As the config says.
        expected: DiffId,
        /// Of the bytes.
        found: DiffId,
    },
    /// Too much to keep in memory.
    #[error("the documents of the archive have more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A name that is none.
    #[error("invalid name {name:?} in the archive")]
    Name {
        /// As it stands there.
        name: String,
        /// Why.
        #[source]
        source: crate::image::ReferenceError,
    },
    /// An image is in the archive, but not for the platform; docker's words.
    #[error("image {image} doesn't provide the requested platform ({platform})")]
    Platform {
        /// Its name, or its digest.
        image: String,
        /// The platform that was asked for.
        platform: String,
    },
}
