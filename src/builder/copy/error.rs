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
    /// The source could not be read.
    #[error(transparent)]
    Context(#[from] ContextError),
}
