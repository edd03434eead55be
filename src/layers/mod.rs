//! A layer as a stream and as a directory: pack, unpack, index, diff, compress.

mod entry;
pub mod erofs;

pub use entry::{Entry, EntryKind, Metadata, Mtime};
