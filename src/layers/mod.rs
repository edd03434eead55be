//! A layer as a stream and as a directory: pack, unpack, index, diff, compress.
//!
//! A layer is a tar with a change set (OCI image spec, layer.md). Here it comes
//! in two shapes. [`LayerSink`] and [`store_tar`] write `layer.tar`, and beside
//! it `index.erofs`, a mountable index into that tar, in one pass. [`pack_upper`]
//! turns an overlay's upper directory into the same tar, [`unpack`] a tar into
//! an overlay lower directory.
//!
//! Invariants: the same tree gives the same bytes on any machine with any
//! number of threads; a tar that came from elsewhere keeps its bytes; nothing
//! that a tar names is touched but through [`crate::fs::Root`].

mod ahead;
mod compress;
mod copy;
mod entry;
pub mod erofs;
mod error;
mod hash;
mod pack;
mod sink;
mod tar;
mod unpack;

#[cfg(test)]
mod tests;

pub use ahead::in_order;
pub use compress::{Compression, Format, compress, decompress};
pub use copy::copy_tree;
pub use entry::{Entry, EntryKind, Metadata, Mtime};
pub use error::LayerError;
pub use hash::{HashingReader, HashingWriter};
pub use pack::{PackOptions, append_tree, pack_tree, pack_upper};
pub use sink::{LAYER_INDEX, LAYER_TAR, LayerSink, SinkOptions, Written, store_blob, store_tar};
pub use tar::{TarLimits, TarReader, TarWriter, copy_with_holes};
pub use unpack::{ChownPolicy, UnpackOptions, UnpackStats, WhiteoutStyle, unpack};
