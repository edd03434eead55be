use std::io;

use thiserror::Error;

/// Why a layer gets no index.
#[derive(Debug, Error)]
pub enum IndexError {
    /// An entry that EROFS, or a tar as its device, cannot show as unpacking it would.
    #[error("{path:?} cannot be indexed: {why}")]
    Entry { path: String, why: &'static str },
    /// An entry whose data lie outside the tar.
    #[error("{path:?} cannot be indexed: its last block ends at byte {end} of a tar of {size}")]
    Truncated { path: String, end: u64, size: u64 },
    /// The index outgrew what its 32-bit block addresses reach.
    #[error("too many entries to index: {count}")]
    TooMany { count: usize },
    /// The index could not be written.
    #[error("cannot write the index")]
    Write(#[source] io::Error),
}

impl IndexError {
    pub(super) fn entry(path: &[u8], why: &'static str) -> IndexError {
        IndexError::Entry { path: String::from_utf8_lossy(path).into_owned(), why }
    }

    /// Says whether the layer may well be fine and only wants to be unpacked rather than indexed.
    pub fn wants_unpacking(&self) -> bool {
        !matches!(self, IndexError::Write(_))
    }
}
