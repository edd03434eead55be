//! Other forms of a layer, made from the one that is there: a tree from the tar, an index, a tar from the tree.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Store;
use super::error::StoreError;
use super::file::GcLock;
use super::layer::{INDEX, Layer, State, TAR, TREE, layer_name};
use super::tmp::{Temporary, is_taken};
use crate::fs::{Follow, Root};
use crate::image::{DiffId, Digest};
use crate::layers::erofs::IndexBuilder;
use crate::layers::{
    HashingReader, LayerError, PackOptions, TarReader, UnpackOptions, WhiteoutStyle, pack_upper, unpack,
};

/// Pieces of a packed tar that wait for their reader.
const PIECES: usize = 8;
const PIECE: usize = 256 << 10;

impl Layer {
    /// Returns the exact bytes of the uncompressed tar.
    ///
    /// A layer that is only a tree is packed on the way; its bytes end with an
    /// error if they are not what the layer's id names.
    ///
    /// # Errors
    /// The tar can't be opened.
    pub fn tar(&self) -> Result<Box<dyn Read + Send>, StoreError> {
        match self.shared.dir.open_file_nofollow(TAR) {
            Ok(file) => Ok(Box::new(file)),
            Err(e) if e.is_not_found() => Ok(Box::new(self.pack()?)),
            Err(e) => Err(e.into()),
        }
    }

    /// Returns the file that holds the exact bytes of the uncompressed tar; none for a layer that is only a tree.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn tar_file(&self) -> Result<Option<File>, StoreError> {
        match self.shared.dir.open_file_nofollow(TAR) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Packs the tree on a thread of its own.
    fn pack(&self) -> Result<Packed, StoreError> {
        let tree = self.shared.dir.dir(TREE)?;
        let expected = self.diff_id();
        let options = PackOptions { clamp: self.shared.clamp };
        let (sender, receiver) = sync_channel(PIECES);
        std::thread::Builder::new()
            .name("pack".to_owned())
            .spawn(move || {
                let mut out = Pieces { buffer: Vec::with_capacity(PIECE), sender };
                let end = match pack_upper(&tree, &mut out, &options) {
                    Ok(written) if written.diff_id == expected => out.flush(),
                    Ok(written) => Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        StoreError::WrongDigest {
                            what: "the stored tree",
                            expected: expected.as_digest(),
                            found: written.diff_id.as_digest(),
                        },
                    )),
                    Err(error) => Err(io::Error::other(error)),
                };
                // A reader that went away does not care how it ended.
                let _ = out.sender.send(end.map(|()| Vec::new()));
            })
            .map_err(|source| self.failure("pack", source))?;
        Ok(Packed { receiver, piece: Vec::new(), position: 0, ended: false })
    }

    /// Unpacks the tar into `fs/`, once for all processes, whole or not at all.
    pub(super) fn materialise(&self) -> Result<OwnedFd, StoreError> {
        let _lock = self.store.inner.name_lock(&format!("layer-{}", self.diff_id().hex()))?;
        if let Some(tree) = self.own_tree()? {
            return Ok(tree);
        }
        let user = self.store.userxattr()?;
        let (mut temporary, root, _guard) = Temporary::directory(&self.store.inner)?;
        root.set_mode(".", 0o755)?;
        let mut tar = self.shared.dir.open_file_nofollow(TAR)?;
        let options = UnpackOptions {
            style: if user { WhiteoutStyle::User } else { WhiteoutStyle::Trusted },
            chown: self.store.inner.options.chown,
            ..UnpackOptions::default()
        };
        unpack(&mut tar, &root, &options).map_err(|e| self.failure("unpack", e))?;
        // The tree is not synced: from now on the layer is what this boot made of it.
        let state = State {
            size: self.size(),
            boot: self.store.inner.boot()?.to_owned(),
            user_marks: user,
            clamp: self.shared.clamp,
        };
        state.write(&self.shared.dir, false)?;
        match temporary.publish(&self.shared.dir, TREE) {
            Err(e) if is_taken(&e) => {}
            other => other?,
        }
        Ok(self.shared.dir.dir(TREE)?.to_owned_fd()?)
    }

    /// Makes the index of a tar that has none; says whether it can have one.
    pub(super) fn make_index(&self) -> Result<bool, StoreError> {
        let _lock = self.store.inner.name_lock(&format!("layer-{}", self.diff_id().hex()))?;
        if self.shared.dir.stat(INDEX, Follow::No)?.is_some() {
            return Ok(true);
        }
        let tar = self.shared.dir.open_file_nofollow(TAR)?;
        let (index, _, size) = read_tar(tar).map_err(|e| self.failure("index", e))?;
        let Some(index) = index else { return Ok(false) };
        write_index(&self.store, &self.shared.dir, self.diff_id(), index, size)
    }
}

impl Store {
    /// Checks a layer that may have lost data in a crash; says whether it is sound, and removes it if not.
    pub(super) fn recheck(&self, id: DiffId, dir: &Root) -> Result<Option<State>, StoreError> {
        let _lock = self.inner.name_lock(&format!("layer-{}", id.hex()))?;
        let state = State::read(dir)?;
        if state.is_trusted(self.inner.boot()?) {
            return Ok(Some(state));
        }
        let failure = |source| StoreError::Layer { action: "check", layer: id, source };
        let found = match dir.open_file_nofollow(TAR) {
            Ok(tar) => self.recheck_tar(id, dir, tar).map_err(|e| failure(Box::new(e)))?,
            Err(e) if e.is_not_found() => recheck_tree(dir, &state),
            Err(e) => return Err(e.into()),
        };
        match found {
            Some((found, size)) if found == id => {
                let boot = super::layer::DURABLE.to_owned();
                let state = State { size, boot, ..state };
                state.write(dir, true)?;
                Ok(Some(state))
            }
            _ => {
                let (temporary, _root, _guard) = Temporary::directory(&self.inner)?;
                let _gc = GcLock::take(&self.inner.root, true)?;
                temporary.swallow(&self.inner.root, &layer_name(id))?;
                Ok(None)
            }
        }
    }

    /// Hashes a tar and makes its index anew; the tree that was unpacked from it goes.
    fn recheck_tar(&self, id: DiffId, dir: &Root, tar: File) -> Result<Option<(DiffId, u64)>, StoreError> {
        let synced = tar.sync_data();
        let Ok((index, digest, size)) = read_tar(tar) else { return Ok(None) };
        let found = DiffId::of_tar(digest);
        if found != id || synced.is_err() {
            return Ok(None);
        }
        let (temporary, _root, _guard) = Temporary::directory(&self.inner)?;
        temporary.swallow(dir, TREE)?;
        temporary.swallow(dir, INDEX)?;
        if let Some(index) = index {
            write_index(self, dir, id, index, size)?;
        }
        Ok(Some((found, size)))
    }
}

/// Packs a tree to see what it holds; one that can't be read holds nothing.
fn recheck_tree(dir: &Root, state: &State) -> Option<(DiffId, u64)> {
    let tree = dir.dir(TREE).ok()?;
    let written = pack_upper(&tree, &mut io::sink(), &PackOptions { clamp: state.clamp }).ok()?;
    Some((written.diff_id, written.size))
}

/// Reads a tar once: its index, if it can have one, its digest and its size.
fn read_tar(tar: File) -> Result<(Option<IndexBuilder>, Digest, u64), LayerError> {
    let size = tar.metadata().map_or(0, |meta| meta.len());
    let mut hashing = HashingReader::new(tar);
    let mut index = Some(IndexBuilder::new());
    {
        let mut reader = TarReader::new(&mut hashing);
        while let Some((entry, at)) = reader.next_entry()? {
            let Some(builder) = &mut index else { continue };
            match builder.add(&entry, at) {
                Ok(()) if !reader.is_sparse() => {}
                Err(e) if !e.wants_unpacking() => return Err(LayerError::Index(e)),
                _ => index = None,
            }
        }
        reader.drain()?;
    }
    Ok((index, hashing.finish(), size))
}

/// Writes an index beside its tar, durably; says whether it could be written.
fn write_index(
    store: &Store,
    dir: &Root,
    layer: DiffId,
    index: IndexBuilder,
    size: u64,
) -> Result<bool, StoreError> {
    let failure = |e: Box<dyn std::error::Error + Send + Sync>| StoreError::Layer {
        action: "write the index of",
        layer,
        source: e,
    };
    let (mut temporary, file) = Temporary::file(&store.inner)?;
    let mut out = io::BufWriter::with_capacity(1 << 20, file);
    match index.finish(&mut out, size) {
        Err(e) if e.wants_unpacking() => return Ok(false),
        other => other.map_err(|e| failure(Box::new(e)))?,
    }
    let file = out.into_inner().map_err(|e| failure(Box::new(e.into_error())))?;
    file.sync_data().map_err(|e| failure(Box::new(e)))?;
    temporary.replace(dir, INDEX)?;
    Ok(true)
}

/// What a packing thread writes into; sends pieces to the reader.
struct Pieces {
    buffer: Vec<u8>,
    sender: SyncSender<io::Result<Vec<u8>>>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.sender.send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The reader's end: pieces in order, an empty one at the end.
struct Packed {
    receiver: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    position: usize,
    ended: bool,
}

impl Read for Packed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.position == self.piece.len() && !self.ended {
            self.piece = match self.receiver.recv() {
                Ok(piece) => piece.inspect_err(|_| self.ended = true)?,
                // The packer died without a word.
                Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            };
            self.position = 0;
            self.ended |= self.piece.is_empty();
        }
        let rest = &self.piece[self.position..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Ok(count)
    }
}
