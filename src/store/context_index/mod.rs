//! Context indexes: the digests that a context's files had, so that unchanged files are not read again.
//!
//! One file a context, in `contexts/`, little-endian:
//!
//! ```text
//! 32  blake3 of all that follows
//!  8  "skiffci1"     4  number of entries     4  number of slots     16  hash key
//! 88  an entry: path offset 4, path length 4, size 8, mtime s 8, ctime s 8, mtime ns 4, ctime ns 4,
//!     inode 8, mode 4, age 4, digest 32; sorted by path
//!  4  a slot of the hash table: entry number + 1, or 0
//!  .. the paths
//! ```
//!
//! It is read whole and used as it lies there. The check sum tells a file
//! that a crash damaged; such a file is no index.
//!
//! A file can change without its times changing, within one tick of the file
//! system's clock. So a digest is kept only for a file whose times are older,
//! by more than such a tick, than the moment at which this index was loaded,
//! before any file was read (git's racy rule, with the reader's clock).

mod format;
mod loaded;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use rustix::fd::AsFd;

use self::format::{Entry, encode};
use self::loaded::Loading;
use super::error::StoreError;
use super::file::now;
use super::tmp::Temporary;
use super::{Inner, Store, layout};

/// Saves for which an entry that nobody asked for stays.
const MAX_AGE: u32 = 16;
/// The coarsest tick of the kernel's clock, doubled.
const TICK: i64 = 20_000_000;
/// The tick of file systems that count seconds or pairs of them.
const COARSE_TICK: i64 = 2_000_000_000;

/// What shows that a file is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileState {
    /// Size in bytes.
    pub size: u64,
    /// Time of modification in seconds since 1970, and nanoseconds.
    pub mtime: (i64, u32),
    /// Time of the inode's change.
    pub ctime: (i64, u32),
    /// Inode number.
    pub ino: u64,
    /// Type and permissions.
    pub mode: u32,
}

/// Digests that were taken since the index was loaded.
type New = HashMap<Vec<u8>, (FileState, [u8; 32])>;

/// The digests of a context's files; usable from several threads.
#[derive(Debug)]
pub struct ContextIndex {
    inner: Arc<Inner>,
    name: String,
    began: i64,
    coarse: bool,
    loading: Loading,
    any_new: AtomicBool,
    new: RwLock<New>,
}

impl Store {
    /// Begins to load the index of the context in `dir`, which is also known as `path`; an empty one if there is none.
    ///
    /// # Errors
    /// The directory can't be examined.
    pub fn context_index(&self, dir: impl AsFd, path: &Path) -> Result<ContextIndex, StoreError> {
        let fail = |action| {
            let path = path.to_owned();
            move |e: rustix::io::Errno| StoreError::Io { action, path, source: e.into() }
        };
        // Before any file is looked at: what changes from now on is not settled.
        let began = now();
        let stat = rustix::fs::fstat(&dir).map_err(fail("cannot stat"))?;
        let kind = rustix::fs::fstatfs(&dir).map_err(fail("cannot stat the file system of"))?.f_type;
        let mut hash = blake3::Hasher::new();
        hash.update(&stat.st_dev.to_le_bytes()).update(&stat.st_ino.to_le_bytes());
        hash.update(path.as_os_str().as_bytes());
        let name = format!("{}/{}", layout::CONTEXTS, hash.finalize().to_hex());
        Ok(ContextIndex {
            inner: Arc::clone(&self.inner),
            loading: Loading::start(&self.inner, &name),
            name,
            began,
            coarse: is_coarse(kind as u32),
            any_new: AtomicBool::new(false),
            new: RwLock::default(),
        })
    }
}

impl ContextIndex {
    /// Returns the digest of the file at `path` if its state is what it was when the digest was taken.
    pub fn get(&self, path: &[u8], state: &FileState) -> Option<[u8; 32]> {
        if self.any_new.load(Ordering::Acquire)
            && let Some((then, digest)) = self.read_new().get(path)
        {
            return (then == state).then_some(*digest);
        }
        let loaded = self.loading.get();
        let number = loaded.find(path)?;
        let entry = loaded.entry(number)?;
        loaded.seen[number].store(true, Ordering::Relaxed);
        (entry.state == *state).then_some(entry.digest)
    }

    /// Notes a file's digest; `state` is the one from before it was read.
    pub fn put(&self, path: &[u8], state: &FileState, digest: [u8; 32]) {
        let mut new = self.new.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        new.insert(path.to_owned(), (*state, digest));
        self.any_new.store(true, Ordering::Release);
    }

    /// Returns the number of files in the index as it was loaded.
    pub fn len(&self) -> usize {
        self.loading.get().count
    }

    /// Whether the index was loaded without a file in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the index if it has changed, and returns whether it did.
    ///
    /// # Errors
    /// The file can't be written; the old one stays.
    pub fn save(&self) -> Result<bool, StoreError> {
        let new = self.read_new();
        let settled: Vec<_> = new
            .iter()
            .filter(|(_, (state, _))| self.is_settled(state))
            .filter(|(path, (state, digest))| !self.has(path, state, digest))
            .collect();
        if settled.is_empty() {
            return Ok(false);
        }
        let mut all: BTreeMap<&[u8], Entry<'_>> = BTreeMap::new();
        let loaded = self.loading.get();
        for number in 0..loaded.count {
            let Some(mut entry) = loaded.entry(number) else { continue };
            let seen = loaded.seen[number].load(Ordering::Relaxed);
            entry.age = if seen { 0 } else { entry.age.saturating_add(1) };
            if entry.age <= MAX_AGE {
                all.insert(entry.path, entry);
            }
        }
        for (path, (state, digest)) in settled {
            all.insert(path, Entry { path, state: *state, age: 0, digest: *digest });
        }
        let Some(bytes) = encode(&all) else { return Ok(false) };
        let (mut temporary, mut file) = Temporary::file(&self.inner)?;
        file.write_all(&bytes).map_err(|source| StoreError::Io {
            action: "cannot write",
            path: self.name.clone().into(),
            source,
        })?;
        temporary.replace(&self.inner.root, &self.name)?;
        Ok(true)
    }

    fn read_new(&self) -> std::sync::RwLockReadGuard<'_, New> {
        self.new.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn has(&self, path: &[u8], state: &FileState, digest: &[u8; 32]) -> bool {
        let loaded = self.loading.get();
        let entry = loaded.find(path).and_then(|number| loaded.entry(number));
        entry.is_some_and(|entry| entry.state == *state && entry.digest == *digest)
    }

    /// Whether a later change of the file is sure to show in its times.
    fn is_settled(&self, state: &FileState) -> bool {
        let nanos = |(seconds, nanos): (i64, u32)| {
            seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(nanos))
        };
        // A person can set the time of modification to anything, but not that of the inode's change.
        let newest =
            if self.coarse { nanos(state.ctime).max(nanos(state.mtime)) } else { nanos(state.ctime) };
        let tick = if self.coarse || state.ctime.1 == 0 { COARSE_TICK } else { TICK };
        newest.saturating_add(tick) <= self.began
    }
}

/// Whether a file system's times are coarse, or another machine's.
fn is_coarse(kind: u32) -> bool {
    const MSDOS: u32 = 0x4d44;
    const EXFAT: u32 = 0x2011_bab0;
    const HFSPLUS: u32 = 0x482b;
    const ISO9660: u32 = 0x9660;
    [MSDOS, EXFAT, HFSPLUS, ISO9660].contains(&kind) || layout::is_shared_between_machines(kind)
}
