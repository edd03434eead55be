//! What can go wrong while files are copied.

use crate::builder::context::ContextError;

/// An error of `COPY` or `ADD`.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A source without wildcards is not there.
    #[error("failed to compute cache key: failed to calculate checksum of ref {label}: {path:?}: not found")]
    NotFound {
        /// What the tree is called.
        label: String,
        /// The source, absolute.
        path: String,
    },
    /// `--chmod` is neither octal nor symbolic.
    #[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
    Chmod(String),
    /// A source pattern is malformed.
    #[error("invalid source pattern {pattern:?}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What Go says of it.
        source: crate::builder::context::glob::BadPattern,
    },
    /// A number in `--chown` is no user or group id.
    #[error("invalid user or group id {0:?}")]
    Owner(String),
    /// A file would take a directory's place.
    #[error("cannot replace to directory {path} with file")]
    FileOverDirectory {
        /// Path in the destination.
        path: String,
    },
    /// A directory would take the place of something else.
    #[error("cannot copy to non-directory: {path}")]
    NotDirectory {
        /// Path in the destination.
        path: String,
    },
    /// A name that means a deletion in a layer.
    #[error("cannot copy {path}: names that begin with \".wh.\" mean deleted files in image layers")]
    WhiteoutName {
        /// Path in the destination.
        path: String,
    },
    /// A file's bytes could not be read.
    #[error("failed to read {path}")]
    Read {
        /// Path below the root.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The layer could not be written.
    #[error(transparent)]
    Layer(#[from] crate::layers::LayerError),
    /// The source could not be read.
    #[error(transparent)]
    Context(#[from] ContextError),
}
