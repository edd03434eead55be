//! What can go wrong while a context is found, read or matched.

use std::io;

use super::glob::BadPattern;

/// An error of a build context or of another source of files.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A `!` without a pattern.
    #[error("illegal exclusion pattern: \"!\"")]
    LoneException,
    /// A pattern of an ignore file or of `--exclude` is malformed.
    #[error("invalid pattern {pattern:?}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What Go says of it.
        source: BadPattern,
    },
    /// A file could not be read.
    #[error("failed to read {path}")]
    Read {
        /// Path below the root.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A lookup below a root failed.
    #[error("failed to look up {path}")]
    Lookup {
        /// Path below the root.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file was written, replaced or removed between being listed and being read.
    #[error("{path} changed while it was being read; run the build again when nothing writes to the context")]
    Changed {
        /// Path below the root.
        path: String,
    },
    /// Too many symlinks.
    #[error("too many levels of symbolic links: {path}")]
    Loop {
        /// Path below the root.
        path: String,
    },
}
