//! Why a layer could not be made, read or unpacked.

use std::io;

use crate::fs::FsError;

/// Why a layer could not be made, read or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A stream failed.
    #[error("cannot {action}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A tar does not follow the format, or goes over a limit.
    #[error("invalid tar near byte {offset}: {reason}")]
    Tar {
        /// Where, counted from the tar's start.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// A tar ends in the middle.
    #[error("the tar ends early, after {offset} bytes")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// An entry can't stand in a layer.
    #[error("entry {:?}: {reason}", String::from_utf8_lossy(path))]
    Entry {
        /// Its path.
        path: Vec<u8>,
        /// Why not.
        reason: String,
    },
    /// A source file is not what it was when its size was taken.
    #[error("{:?} changed while it was read", String::from_utf8_lossy(path))]
    Changed {
        /// Its path.
        path: Vec<u8>,
    },
    /// More than the caller accepts.
    #[error("the tar has more than {limit} {unit}")]
    Limit {
        /// The limit.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// The index could not be made.
    #[error("cannot index the layer")]
    Index(#[source] super::erofs::IndexError),
}

impl LayerError {
    /// Returns a closure that turns an I/O error of `action` into a [`LayerError`].
    pub fn io(action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}
