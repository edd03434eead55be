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

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use rustix::fd::AsFd;

use super::error::StoreError;
use super::file::now;
use super::tmp::Temporary;
use super::{Inner, Store, layout};

const MAGIC: &[u8; 8] = b"skiffci1";
const SUM: usize = 32;
const HEADER: usize = SUM + 8 + 4 + 4 + 16;
const ENTRY: usize = 88;
const MAX_FILE: usize = 1 << 30;
/// Saves for which an entry that nobody asked for stays.
const MAX_AGE: u32 = 16;
/// Slots that are tried before a search takes over, so that chosen names cost little.
const MAX_PROBES: usize = 16;
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
    bytes: Vec<u8>,
    count: usize,
    slots: usize,
    seen: Vec<AtomicBool>,
    any_new: AtomicBool,
    new: RwLock<New>,
}

impl Store {
    /// Loads the index of the context in `dir`, which is also known as `path`; an empty one if there is none.
    ///
    /// # Errors
    /// The directory or the store can't be read.
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
        let bytes = match self.inner.root.read(&name, MAX_FILE) {
            // One that is too large was not written by us.
            Err(e) if e.is_not_found() || e.kind() == std::io::ErrorKind::FileTooLarge => Vec::new(),
            other => other?,
        };
        let (count, slots) = check(&bytes).unwrap_or((0, 0));
        Ok(ContextIndex {
            inner: Arc::clone(&self.inner),
            name,
            began,
            coarse: is_coarse(kind as u32),
            bytes,
            count,
            slots,
            seen: (0..count).map(|_| AtomicBool::new(false)).collect(),
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
        let number = self.find(path)?;
        let entry = self.entry(number)?;
        self.seen[number].store(true, Ordering::Relaxed);
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
        self.count
    }

    /// Whether the index was loaded without a file in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
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
        for number in 0..self.count {
            let Some(mut entry) = self.entry(number) else { continue };
            let seen = self.seen[number].load(Ordering::Relaxed);
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
        let entry = self.find(path).and_then(|number| self.entry(number));
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

    fn find(&self, path: &[u8]) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        let table = HEADER + self.count * ENTRY;
        let mut slot = hash(path, &self.bytes[SUM + 16..HEADER]) as usize & (self.slots - 1);
        for _ in 0..MAX_PROBES {
            match u32_at(&self.bytes, table + slot * 4) {
                0 => return None,
                number => {
                    let number = number as usize - 1;
                    if self.path(number)? == path {
                        return Some(number);
                    }
                }
            }
            slot = (slot + 1) & (self.slots - 1);
        }
        self.search(path)
    }

    fn search(&self, path: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.path(middle)?.cmp(path) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn path(&self, number: usize) -> Option<&[u8]> {
        let at = HEADER + number * ENTRY;
        let paths = HEADER + self.count * ENTRY + self.slots * 4;
        let start = paths.checked_add(u32_at(&self.bytes, at) as usize)?;
        self.bytes.get(start..start.checked_add(u32_at(&self.bytes, at + 4) as usize)?)
    }

    fn entry(&self, number: usize) -> Option<Entry<'_>> {
        let path = self.path(number)?;
        let e = &self.bytes[HEADER + number * ENTRY..][..ENTRY];
        Some(Entry {
            path,
            state: FileState {
                size: u64_at(e, 8),
                mtime: (u64_at(e, 16) as i64, u32_at(e, 32)),
                ctime: (u64_at(e, 24) as i64, u32_at(e, 36)),
                ino: u64_at(e, 40),
                mode: u32_at(e, 48),
            },
            age: u32_at(e, 52),
            digest: e[56..].try_into().expect("an entry ends with 32 bytes"),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    path: &'a [u8],
    state: FileState,
    age: u32,
    digest: [u8; 32],
}

/// Returns the numbers of entries and slots of an undamaged file.
fn check(bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.len() < HEADER || &bytes[SUM..SUM + 8] != MAGIC {
        return None;
    }
    if blake3::hash(&bytes[SUM..]).as_bytes() != &bytes[..SUM] {
        return None;
    }
    let (count, slots) = (u32_at(bytes, SUM + 8) as usize, u32_at(bytes, SUM + 12) as usize);
    let fixed = HEADER.checked_add(count.checked_mul(ENTRY)?)?.checked_add(slots.checked_mul(4)?)?;
    (slots.is_power_of_two() && count < slots && fixed <= bytes.len()).then_some((count, slots))
}

/// Writes the file; none when there is too much for it.
fn encode(all: &BTreeMap<&[u8], Entry<'_>>) -> Option<Vec<u8>> {
    let count = u32::try_from(all.len()).ok()?;
    let slots = (count.max(4) * 2).checked_next_power_of_two()?;
    let paths: usize = all.keys().map(|path| path.len()).sum();
    u32::try_from(paths).ok()?;
    let total = HEADER + all.len() * ENTRY + slots as usize * 4 + paths;
    if total > MAX_FILE {
        return None;
    }
    let key = super::file::random_id();
    let mut out = Vec::with_capacity(total);
    out.extend([0; SUM]);
    out.extend(MAGIC);
    out.extend(count.to_le_bytes());
    out.extend(slots.to_le_bytes());
    out.extend(&key.as_bytes()[..16]);
    let mut offset = 0u32;
    for entry in all.values() {
        encode_entry(&mut out, entry, offset);
        offset += entry.path.len() as u32;
    }
    let mut table = vec![0u32; slots as usize];
    for (number, path) in all.keys().enumerate() {
        let mut slot = hash(path, &key.as_bytes()[..16]) as usize & (table.len() - 1);
        let free = (0..MAX_PROBES).find_map(|_| {
            let this = slot;
            slot = (slot + 1) & (table.len() - 1);
            (table[this] == 0).then_some(this)
        });
        // Without a slot it is found by search.
        if let Some(free) = free {
            table[free] = number as u32 + 1;
        }
    }
    out.extend(table.iter().flat_map(|slot| slot.to_le_bytes()));
    out.extend(all.keys().flat_map(|path| path.iter()));
    let sum = blake3::hash(&out[SUM..]);
    out[..SUM].copy_from_slice(sum.as_bytes());
    Some(out)
}

fn encode_entry(out: &mut Vec<u8>, entry: &Entry<'_>, offset: u32) {
    let state = &entry.state;
    out.extend(offset.to_le_bytes());
    out.extend((entry.path.len() as u32).to_le_bytes());
    out.extend(state.size.to_le_bytes());
    out.extend(state.mtime.0.to_le_bytes());
    out.extend(state.ctime.0.to_le_bytes());
    out.extend(state.mtime.1.to_le_bytes());
    out.extend(state.ctime.1.to_le_bytes());
    out.extend(state.ino.to_le_bytes());
    out.extend(state.mode.to_le_bytes());
    out.extend(entry.age.to_le_bytes());
    out.extend(entry.digest);
}

/// FNV-1a over key and path, eight bytes at a time, mixed at the end.
fn hash(path: &[u8], key: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut state = u64_at(key, 0) ^ u64_at(key, 8).rotate_left(32);
    let (words, rest) = path.as_chunks::<8>();
    for word in words {
        state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(PRIME).rotate_left(29);
    }
    for byte in rest {
        state = (state ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    state ^= state >> 32;
    state.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Whether a file system's times are coarse, or another machine's.
fn is_coarse(kind: u32) -> bool {
    const MSDOS: u32 = 0x4d44;
    const EXFAT: u32 = 0x2011_bab0;
    const HFSPLUS: u32 = 0x482b;
    const ISO9660: u32 = 0x9660;
    [MSDOS, EXFAT, HFSPLUS, ISO9660].contains(&kind) || layout::is_shared_between_machines(kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Store, StoreOptions};
    use super::*;

    fn open(store: &Store, dir: &Path) -> ContextIndex {
        store
            .context_index(
                rustix::fs::open(dir, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap(),
                dir,
            )
            .unwrap()
    }

    fn state(n: u64) -> FileState {
        FileState { size: n, mtime: (1_000, 1), ctime: (1_000_000_000, 1), ino: n, mode: 0o100_644 }
    }

    #[test]
    fn what_was_saved_is_found_and_only_for_the_same_state() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
        let index = open(&store, dir.path());
        assert!(!index.save().unwrap());
        index.put(b"a/b", &state(1), [1; 32]);
        assert_eq!(index.get(b"a/b", &state(1)), Some([1; 32]));
        assert!(index.save().unwrap());
        let index = open(&store, dir.path());
        assert_eq!((index.len(), index.get(b"a/b", &state(1))), (1, Some([1; 32])));
        for other in [
            FileState { size: 2, ..state(1) },
            FileState { mtime: (1_000, 2), ..state(1) },
            FileState { ctime: (1_000_000_000, 2), ..state(1) },
            FileState { ino: 9, ..state(1) },
            FileState { mode: 0o100_755, ..state(1) },
        ] {
            assert_eq!(index.get(b"a/b", &other), None, "{other:?}");
        }
        index.put(b"a/b", &state(1), [1; 32]);
        assert!(!index.save().unwrap(), "nothing has changed");
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(open(&store, elsewhere.path()).is_empty());
    }

    #[test]
    fn a_file_that_changed_just_now_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
        let at = |age: i64, nanos: Option<u32>| {
            let time = now() - age;
            let (s, n) = (time.div_euclid(1_000_000_000), time.rem_euclid(1_000_000_000) as u32);
            FileState { ctime: (s, nanos.unwrap_or(n)), ..state(1) }
        };
        for (name, state, kept) in [
            ("future", at(-1_000_000_000, None), false),
            ("now", at(0, None), false),
            ("settled", at(100_000_000, None), true),
            ("coarse", at(500_000_000, Some(0)), false),
            ("old and coarse", at(5_000_000_000, Some(0)), true),
            ("future mtime", FileState { mtime: (99_000_000_000, 0), ..at(100_000_000, None) }, true),
        ] {
            let index = open(&store, dir.path());
            index.put(name.as_bytes(), &state, [1; 32]);
            assert_eq!(index.get(name.as_bytes(), &state), Some([1; 32]), "{name}: within one build");
            index.save().unwrap();
            let found = open(&store, dir.path()).get(name.as_bytes(), &state);
            assert_eq!(found.is_some(), kept, "{name}");
        }
    }

    #[test]
    fn a_damaged_file_is_no_index() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
        let index = open(&store, dir.path());
        index.put(b"a", &state(1), [1; 32]);
        index.save().unwrap();
        let path = dir.path().join("s").join(&index.name);
        let good = std::fs::read(&path).unwrap();
        for cut in [0, 1, HEADER, good.len() - 1] {
            std::fs::write(&path, &good[..cut]).unwrap();
            assert!(open(&store, dir.path()).is_empty());
        }
        for at in [0, SUM, SUM + 9, HEADER + 60, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert!(open(&store, dir.path()).is_empty(), "byte {at}");
        }
    }

    #[test]
    fn unused_entries_go_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
        let index = open(&store, dir.path());
        index.put(b"gone", &state(1), [1; 32]);
        index.put(b"used", &state(1), [1; 32]);
        index.save().unwrap();
        for n in 0..=u64::from(MAX_AGE) {
            let index = open(&store, dir.path());
            assert!(index.get(b"used", &state(1)).is_some());
            index.put(b"changing", &state(n), [2; 32]);
            index.save().unwrap();
        }
        let index = open(&store, dir.path());
        assert_eq!(index.get(b"gone", &state(1)), None);
        assert!(index.get(b"used", &state(1)).is_some());
    }

    #[test]
    fn loading_many_entries_is_fast() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
        let index = open(&store, dir.path());
        let paths: Vec<String> =
            (0..20_000).map(|n| format!("src/module{}/some/file{n}.rs", n % 100)).collect();
        for path in &paths {
            index.put(path.as_bytes(), &state(1), [3; 32]);
        }
        index.save().unwrap();
        let start = std::time::Instant::now();
        let index = open(&store, dir.path());
        let loaded = start.elapsed();
        for path in &paths {
            assert!(index.get(path.as_bytes(), &state(1)).is_some());
        }
        let found = start.elapsed() - loaded;
        // Generous, for debug builds on busy machines.
        assert!(loaded.as_millis() < 200, "{loaded:?}");
        assert!(found.as_millis() < 2_000, "{found:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn any_set_of_paths_reads_back(paths in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..40), any::<u64>(), 0..200)) {
            let entries: BTreeMap<&[u8], Entry<'_>> = paths.iter().map(|(path, n)| {
                let entry = Entry { path, state: state(*n), age: 0, digest: [*n as u8; 32] };
                (path.as_slice(), entry)
            }).collect();
            let bytes = encode(&entries).unwrap();
            let (count, slots) = check(&bytes).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
            let mut index = open(&store, dir.path());
            index.seen = (0..count).map(|_| AtomicBool::new(false)).collect();
            (index.bytes, index.count, index.slots) = (bytes, count, slots);
            for (path, n) in &paths {
                prop_assert_eq!(index.get(path, &state(*n)), Some([*n as u8; 32]));
                prop_assert_eq!(index.search(path), index.find(path));
            }
            prop_assert_eq!(index.get(b"no such path that is longer than forty bytes", &state(1)), None);
        }
    }
}
