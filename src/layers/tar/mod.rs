//! Tar in and out (POSIX.1-2001 pax, ustar; GNU's and Docker's habits read too).
//!
//! The writer is deterministic and writes the plainest form that holds an
//! entry. The reader believes nothing: names become paths without `.`, `..`
//! or leading slashes, sizes and counts are bounded.

mod convert;
mod limits;
mod read;
mod sparse;
mod write;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

pub use limits::TarLimits;
pub use read::TarReader;
pub use sparse::copy_with_holes;
pub use write::TarWriter;

/// Prefix of a whiteout's name.
pub(super) const WHITEOUT: &[u8] = b".wh.";
/// Name of an opaque marker.
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";
/// Bytes of a tar block.
pub(super) const BLOCK: u64 = 512;

/// Returns the number of bytes up to the next block.
pub(super) fn padding(size: u64) -> usize {
    ((BLOCK - size % BLOCK) % BLOCK) as usize
}
