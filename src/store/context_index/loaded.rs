//! An index as it was read, and reading it while the first directories are listed.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use super::super::Inner;
use super::FileState;
use super::format::{ENTRY, Entry, HEADER, MAX_FILE, MAX_PROBES, SUM, check, hash, u32_at, u64_at};

/// The bytes of an undamaged index, or none.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    bytes: Vec<u8>,
    /// Number of entries.
    pub(super) count: usize,
    slots: usize,
    /// Which entries were asked for.
    pub(super) seen: Vec<AtomicBool>,
}

/// An index that a thread of its own reads; the first to need it waits.
#[derive(Debug)]
pub(super) struct Loading {
    loaded: OnceLock<Loaded>,
    reader: Mutex<Option<JoinHandle<Loaded>>>,
}

impl Loading {
    /// Begins to read the index; one that can't be read is none, which costs only time.
    pub(super) fn start(inner: &Arc<Inner>, name: &str) -> Self {
        let (theirs, file) = (Arc::clone(inner), name.to_owned());
        let reader = std::thread::Builder::new().spawn(move || Loaded::read(&theirs, &file));
        let loaded = OnceLock::new();
        if reader.is_err() {
            let _ = loaded.set(Loaded::read(inner, name));
        }
        Self { loaded, reader: Mutex::new(reader.ok()) }
    }

    /// Returns the index, once it is read.
    pub(super) fn get(&self) -> &Loaded {
        self.loaded.get_or_init(|| {
            let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
            reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
        })
    }
}

impl Loaded {
    fn read(inner: &Inner, name: &str) -> Self {
        // One that is too large was not written by us.
        Self::of(inner.root.read(name, MAX_FILE).unwrap_or_default())
    }

    /// Returns the index that a file's bytes are.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let Some((count, slots)) = check(&bytes) else { return Self::default() };
        Self { bytes, count, slots, seen: (0..count).map(|_| AtomicBool::new(false)).collect() }
    }

    /// Returns the number of a path's entry.
    pub(super) fn find(&self, path: &[u8]) -> Option<usize> {
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

    /// Returns the number of a path's entry without the table.
    pub(super) fn search(&self, path: &[u8]) -> Option<usize> {
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

    /// Returns an entry by its number.
    pub(super) fn entry(&self, number: usize) -> Option<Entry<'_>> {
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
