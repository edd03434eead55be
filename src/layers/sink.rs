//! Making a layer: one sequential pass that writes `layer.tar`, its index and its digest.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};

use super::entry::{Entry, EntryKind};
use super::erofs::IndexBuilder;
use super::error::LayerError;
use super::hash::HashingWriter;
use super::tar::{TarLimits, TarReader, TarWriter};
use crate::fs::Root;
use crate::image::{DiffId, Digest};

/// Name of a layer's tar.
pub const LAYER_TAR: &str = "layer.tar";
/// Name of the mountable index into it.
pub const LAYER_INDEX: &str = "index.erofs";

/// How a layer is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct SinkOptions {
    /// Whether to write `index.erofs` beside the tar.
    pub index: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// Its size in bytes.
    pub size: u64,
    /// Number of entries.
    pub entries: u64,
}

/// Writes a layer from entries; parents come before what they hold, and no path twice.
pub struct LayerSink {
    tar: TarWriter<HashingWriter<File>>,
    dir: Root,
    index: Option<IndexBuilder>,
    seen: HashSet<Vec<u8>>,
    entries: u64,
}

impl LayerSink {
    /// Begins a layer in `dir`, which has none yet.
    ///
    /// # Errors
    /// `layer.tar` can't be made.
    pub fn create(dir: &Root, options: SinkOptions) -> Result<Self, LayerError> {
        let file = dir.create_file(LAYER_TAR, 0o644)?;
        Ok(Self {
            tar: TarWriter::new(HashingWriter::new(file)),
            dir: dir.try_clone()?,
            index: options.index.then(IndexBuilder::new),
            seen: HashSet::new(),
            entries: 0,
        })
    }

    /// Adds an entry; the content of a file is read from `data`.
    ///
    /// # Errors
    /// The path was added before, `data` has not the entry's size, or writing fails.
    pub fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<(), LayerError> {
        self.check(entry)?;
        let at = self.tar.append(entry, data)?;
        self.entries += 1;
        indexed(&mut self.index, entry, at)
    }

    /// Adds an entry whose content is at hand.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_bytes(&mut self, entry: &Entry, data: &[u8]) -> Result<(), LayerError> {
        self.check(entry)?;
        let at = self.tar.append_bytes(entry, data)?;
        self.entries += 1;
        indexed(&mut self.index, entry, at)
    }

    fn check(&mut self, entry: &Entry) -> Result<(), LayerError> {
        let reason = |reason: &str| LayerError::Entry { path: entry.path.clone(), reason: reason.to_owned() };
        if entry.kind == EntryKind::Opaque {
            return Ok(());
        }
        if !self.seen.insert(entry.path.clone()) {
            return Err(reason("it was added before"));
        }
        Ok(())
    }

    /// Ends the layer.
    ///
    /// # Errors
    /// Writing fails.
    pub fn finish(self) -> Result<Written, LayerError> {
        let writer = self.tar.finish()?;
        let (digest, size) = writer.finish()?;
        if let Some(index) = self.index {
            write_index(&self.dir, index, size)?;
        }
        Ok(Written { diff_id: DiffId::of_tar(digest), size, entries: self.entries })
    }
}

/// Adds an entry to an index; a layer that an index can't show goes without one.
fn indexed(index: &mut Option<IndexBuilder>, entry: &Entry, at: u64) -> Result<(), LayerError> {
    let Some(builder) = index else { return Ok(()) };
    match builder.add(entry, at) {
        Ok(()) => Ok(()),
        Err(error) if error.wants_unpacking() => {
            *index = None;
            Ok(())
        }
        Err(error) => Err(LayerError::Index(error)),
    }
}

fn write_index(dir: &Root, index: IndexBuilder, tar_size: u64) -> Result<(), LayerError> {
    let file = dir.create_file(LAYER_INDEX, 0o644)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    match index.finish(&mut out, tar_size) {
        Ok(()) => out.flush().map_err(LayerError::io("write index")),
        Err(error) if error.wants_unpacking() => Ok(dir.remove_file(LAYER_INDEX)?),
        Err(error) => Err(LayerError::Index(error)),
    }
}

/// Keeps a tar that comes from elsewhere, byte for byte, and indexes it on the way.
///
/// A tar that an index can't point into (sparse files) is kept without one.
///
/// # Errors
/// It is no whole tar, goes over a limit, or writing fails.
pub fn store_tar(dir: &Root, tar: &mut dyn Read, options: SinkOptions) -> Result<Written, LayerError> {
    let file = dir.create_file(LAYER_TAR, 0o644)?;
    let mut writer = HashingWriter::new(file);
    let mut index = options.index.then(IndexBuilder::new);
    let mut entries = 0;
    {
        let tee = Tee { source: tar, out: &mut writer };
        let mut reader = TarReader::with_limits(tee, TarLimits::default());
        while let Some((entry, at)) = reader.next_entry()? {
            entries += 1;
            if reader.is_sparse() {
                index = None;
            }
            indexed(&mut index, &entry, at)?;
        }
        reader.drain()?;
    }
    let (digest, size) = writer.finish()?;
    // An index points at whole blocks; a tar without its last padding is unpacked instead.
    if let Some(index) = index.filter(|_| size.is_multiple_of(512)) {
        write_index(dir, index, size)?;
    }
    Ok(Written { diff_id: DiffId::of_tar(digest), size, entries })
}

/// As [`store_tar`] for a blob that may be compressed; returns the digest of the blob's own bytes too.
///
/// # Errors
/// As [`store_tar`].
pub fn store_blob(
    dir: &Root,
    blob: impl Read + Send,
    options: SinkOptions,
) -> Result<(Digest, Written), LayerError> {
    let mut hashing = super::hash::HashingReader::new(blob);
    let mut head = [0u8; super::compress::MAGIC];
    let count = read_up_to(&mut hashing, &mut head)?;
    if super::compress::Format::of(&head[..count]) == super::compress::Format::Plain {
        // An uncompressed layer is its own blob: one digest serves.
        let (head, rest) = (std::io::Cursor::new(head[..count].to_vec()), hashing.into_unhashed());
        let written = store_tar(dir, &mut head.chain(rest), options)?;
        return Ok((written.diff_id.as_digest(), written));
    }
    let written = {
        let whole = std::io::Cursor::new(head[..count].to_vec()).chain(&mut hashing);
        let (_, mut plain) = super::compress::decompress(whole)?;
        store_tar(dir, &mut plain, options)?
    };
    std::io::copy(&mut hashing, &mut std::io::sink()).map_err(LayerError::io("read blob"))?;
    Ok((hashing.finish(), written))
}

fn read_up_to(source: &mut impl Read, out: &mut [u8]) -> Result<usize, LayerError> {
    let mut filled = 0;
    while filled < out.len() {
        let count = source.read(&mut out[filled..]).map_err(LayerError::io("read blob"))?;
        if count == 0 {
            break;
        }
        filled += count;
    }
    Ok(filled)
}

/// Writes what it reads.
struct Tee<'a> {
    source: &'a mut dyn Read,
    out: &'a mut HashingWriter<File>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.out.write_all(&buffer[..count])?;
        Ok(count)
    }
}
