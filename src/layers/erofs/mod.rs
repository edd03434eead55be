//! An index over a layer's tar: an EROFS image of metadata alone, whose file data stay in the tar.
//!
//! The kernel mounts it with the tar as the image's extra device ([`crate::fs::mount::erofs`]), so that a layer is
//! usable without creating a single file. It is derived from the tar's headers as they pass.
//!
//! # Layout
//!
//! Blocks have 512 bytes, as a tar's records have, so that a file's data always start at a block of the tar.
//! All numbers are little-endian; an inode's number (nid) is its offset in the image divided by 32.
//!
//! ```text
//!  0        1024         1152          1280                         n * 512             end
//!  | zeros  | superblock | device slot | inodes, root first         | directory blocks  |
//!           | (crc32c)   | tar blocks  | in breadth-first order     | that fit no inode |
//!
//!  inode:   | 32 or 64 bytes | xattrs, if any | what the kind needs                     |
//!             regular file     12 + entries     chunk indexes: 8 bytes each, 8-aligned,
//!                                               normally one: (device 1, first tar block)
//!             directory                         the last block of its entries, if it fits
//!             symlink                           the target, if it fits
//!             device, fifo, whiteout            nothing
//!
//!  directory block: | 12 bytes an entry: nid, offset of the name, kind | names, unterminated |
//! ```
//!
//! - An inode takes the small form where mode, owner (16 bits), size, links and time fit. The small form has no time of
//!   its own but the image's, so the image takes the time that most inodes have.
//! - A chunk spans 2^n blocks, with the least n that makes the file one chunk.
//! - What is stored in an inode's own block never crosses into the next one, as the kernel demands.
//! - A whiteout is the character device 0/0, an opaque directory has `trusted.overlay.opaque=y`: overlayfs reads both.
//! - Hard links are entries with one nid. `.` and `..` are entries like the others, and all are sorted by bytes.
//!
//! # Invariants
//!
//! The same entries give the same bytes; the volume's UUID is a hash of them. No overlayfs mark comes from the tar's own
//! attributes: `trusted.overlay.*` and `user.overlay.*` there are dropped.
//!
//! # What is left to unpacking
//!
//! [`IndexError::wants_unpacking`] tells of layers that are refused though they may be fine: sparse files, data
//! at odd offsets, entries below a symlink of the same layer, hard links into other layers, attributes outside the
//! namespaces that EROFS knows, names or numbers too large for it. A root directory that is opaque is marked so, which
//! overlayfs ignores; whoever stacks layers leaves out those below.
//!
//! The format is that of Linux's `fs/erofs/erofs_fs.h`, here with the features of Linux 5.16 only.

mod error;
mod format;
mod image;
mod layout;
mod tree;
mod xattr;

#[cfg(test)]
mod tests;

pub use error::IndexError;
pub use tree::{IndexBuilder, NO_DATA};
