//! Leases: what a process uses or has just made, safe from garbage collection while it lives.
//!
//! A handle has at most one of the numbered files in `leases/`, locked while
//! it lives, to which it appends 33 bytes a thing: a letter for the kind and
//! the digest. A file whose lock is free means nothing and is taken by the next
//! one who needs one: files that come and go make ext4 slow.
//!
//! Whatever a handle publishes or looks up is recorded by itself. A [`Lease`]
//! bounds the time: when the last of a handle's leases goes, so does the
//! protection. Without one, the record lasts as long as the handle, but does
//! not bind the handle's own garbage collection.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use super::error::StoreError;
use super::file::{GcLock, names, try_lock};
use super::{ImageRecord, Inner, Store, layout, lock};
use crate::image::{DiffId, Digest};

/// Largest lease file that is read; some two million things.
const MAX_FILE: usize = 64 << 20;

/// A kind of thing that a lease protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Item {
    /// A blob.
    Blob(Digest),
    /// A layer.
    Layer(DiffId),
}

impl Item {
    const SIZE: usize = 33;

    fn encode(self) -> [u8; Self::SIZE] {
        let (letter, bytes) = match self {
            Self::Blob(id) => (b'b', *id.as_bytes()),
            Self::Layer(id) => (b'l', *id.as_bytes()),
        };
        let mut out = [letter; Self::SIZE];
        out[1..].copy_from_slice(&bytes);
        out
    }

    fn decode(record: &[u8]) -> Option<Self> {
        let bytes: [u8; 32] = record.get(1..)?.try_into().ok()?;
        match record[0] {
            b'b' => Some(Self::Blob(Digest::from_bytes(bytes))),
            b'l' => Some(Self::Layer(DiffId::from_bytes(bytes))),
            _ => None,
        }
    }
}

/// A handle's lease file and who keeps it.
#[derive(Debug, Default)]
pub(super) struct State {
    file: Option<(String, File)>,
    known: HashSet<Item>,
    guards: usize,
}

/// Keeps from garbage collection whatever its handle publishes or looks up, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    inner: Arc<Inner>,
}

impl Store {
    /// Begins a lease: what this handle and its clones publish or look up from now on stays until it ends.
    ///
    /// # Errors
    /// The lease's file can't be made.
    pub fn lease(&self) -> Result<Lease, StoreError> {
        let gc = GcLock::take(&self.inner.root, false)?;
        let mut state = lock(&self.inner.lease);
        self.inner.ensure_file(&mut state, &gc)?;
        state.guards += 1;
        Ok(Lease { inner: Arc::clone(&self.inner) })
    }
}

impl Lease {
    /// Keeps these layers as well; those that are missing are kept from the moment they appear.
    ///
    /// # Errors
    /// The lease's file can't be written.
    pub fn keep_layers(&self, layers: &[DiffId]) -> Result<(), StoreError> {
        let items: Vec<Item> = layers.iter().map(|id| Item::Layer(*id)).collect();
        let gc = GcLock::take(&self.inner.root, false)?;
        self.inner.record(&items, &gc)
    }

    /// Keeps an image and all that it names, even if someone removes its names meanwhile.
    ///
    /// # Errors
    /// The lease's file can't be written.
    pub fn keep_image(&self, image: &ImageRecord) -> Result<(), StoreError> {
        let blobs = image.blobs.iter().copied().chain([image.manifest.as_digest(), image.id.as_digest()]);
        let items: Vec<Item> =
            image.layers.iter().map(|id| Item::Layer(*id)).chain(blobs.map(Item::Blob)).collect();
        let gc = GcLock::take(&self.inner.root, false)?;
        self.inner.record(&items, &gc)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = lock(&self.inner.lease);
        state.guards -= 1;
        if state.guards == 0 {
            drop(state);
            end(&self.inner);
        }
    }
}

impl Inner {
    /// Records that these things are in use; `_gc` shows that no collector works meanwhile.
    pub(super) fn record(&self, items: &[Item], gc: &GcLock) -> Result<(), StoreError> {
        let mut state = lock(&self.lease);
        let mut fresh = HashSet::new();
        let is_new = |item: &Item| !state.known.contains(item) && fresh.insert(*item);
        let new: Vec<Item> = items.iter().copied().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.ensure_file(&mut state, gc)?;
        let bytes: Vec<u8> = new.iter().flat_map(|item| item.encode()).collect();
        let end = state.known.len() * Item::SIZE;
        let (name, file) = state.file.as_mut().expect("the file was just ensured");
        if let Err(source) = file.write_all(&bytes) {
            // A piece of a record would shift those behind it.
            let cut = file.set_len(end as u64).and_then(|()| file.seek(SeekFrom::Start(end as u64)));
            let source = cut.map_or_else(|e| e, |_| source);
            let path = PathBuf::from(&*name);
            return Err(StoreError::Io { action: "cannot record a lease in", path, source });
        }
        state.known.extend(new);
        Ok(())
    }

    /// Records that these things are being read; a disk that takes no more does not keep anyone from reading.
    pub(super) fn record_use(&self, items: &[Item], gc: &GcLock) -> Result<(), StoreError> {
        let read_only = |e: &StoreError| match e {
            StoreError::Io { source, .. } => source.kind() == ErrorKind::ReadOnlyFilesystem,
            StoreError::Fs(e) => e.kind() == ErrorKind::ReadOnlyFilesystem,
            _ => false,
        };
        match self.record(items, gc) {
            Err(e) if e.is_full() || read_only(&e) => Ok(()),
            other => other,
        }
    }

    /// Whether this handle has recorded the thing, so that it can't have gone.
    pub(super) fn holds(&self, item: Item) -> bool {
        lock(&self.lease).known.contains(&item)
    }

    fn ensure_file(&self, state: &mut State, _gc: &GcLock) -> Result<(), StoreError> {
        if state.file.is_some() {
            return Ok(());
        }
        let mut number = 0u32;
        loop {
            let name = format!("{}/{number}", layout::LEASES);
            let file = self.root.open_or_create(&name, 0o600)?;
            if try_lock(&file, true, &name)? {
                file.set_len(0).map_err(|source| StoreError::Io {
                    action: "cannot empty",
                    path: PathBuf::from(&name),
                    source,
                })?;
                state.file = Some((name, file));
                return Ok(());
            }
            number += 1;
        }
    }

    /// Returns what living processes use.
    ///
    /// The caller holds the collector's lock. The own file counts only while a [`Lease`] is held.
    pub(super) fn leased(&self, _gc: &GcLock) -> Result<HashSet<Item>, StoreError> {
        let own = {
            let state = lock(&self.lease);
            state.file.as_ref().map(|(name, _)| (name.clone(), state.guards > 0))
        };
        let mut items = HashSet::new();
        for name in names(&self.root, layout::LEASES)? {
            let name = format!("{}/{name}", layout::LEASES);
            if own.as_ref().is_some_and(|(own, held)| *own == name && !held) {
                continue;
            }
            let file = match self.root.open_file(&name) {
                Err(e) if e.is_not_found() => continue,
                other => other?,
            };
            if try_lock(&file, true, &name)? {
                continue;
            }
            // A process that died while it appended leaves a piece of a record; it had not used it yet.
            let bytes = self.root.read(&name, MAX_FILE)?;
            items.extend(bytes.chunks_exact(Item::SIZE).filter_map(Item::decode));
        }
        Ok(items)
    }
}

/// Ends a handle's protection.
pub(super) fn end(inner: &Inner) {
    let mut state = lock(&inner.lease);
    // Closing the file releases its lock, and with it all that it says.
    state.file = None;
    state.known.clear();
    drop(state);
    // They were known to be there only while they were leased.
    inner.forget();
}
