//! Transfers in the making: the bytes that came so far, kept when their process dies.
//!
//! A partial is a directory `tmp/partial-<hex>` of files, each named by the
//! offset of its first byte. A file's length says how much of it is there, so
//! that nothing has to be noted while bytes come. Whoever works on it holds
//! the lock of its name; another process waits and finds the work done.
//! Nothing is synced and nothing here is trusted: whoever reads it to the end
//! checks a digest, and starts over when that is wrong.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};

use super::error::StoreError;
use super::file::{GcLock, lock as lock_file, names};
use super::lock::KeyLock;
use super::{Store, layout, lock};
use crate::fs::{Follow, Root};

/// How the names of partials begin.
pub(super) const PREFIX: &str = "partial-";
/// Time after which nobody is expected to come back for a partial.
pub(super) const MAX_AGE: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// Digits of an offset in a file's name.
const DIGITS: usize = 20;

/// A transfer in the making, which this process alone works on.
#[derive(Debug)]
pub struct Partial {
    tmp: Root,
    dir: Root,
    name: String,
    pieces: Arc<Pieces>,
    _guard: Root,
    _lock: KeyLock,
}

/// What is there, and who waits for more.
#[derive(Debug, Default)]
struct Pieces {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Files by the offset of their first byte.
    files: BTreeMap<u64, (Arc<File>, u64)>,
    /// Whether nothing more will come.
    closed: bool,
}

/// Appends bytes to a partial.
#[derive(Debug)]
pub struct PartialWriter {
    file: Arc<File>,
    start: u64,
    at: u64,
    pieces: Arc<Pieces>,
}

/// Reads a partial in order and waits for what has not come yet.
#[derive(Debug)]
pub struct PartialReader {
    pieces: Arc<Pieces>,
    at: u64,
    /// Where it ends; none for a partial whose size is known when it is closed.
    size: Option<u64>,
    current: Option<(Arc<File>, Range<u64>)>,
}

impl Store {
    /// Takes up the transfer of this name, or begins it; waits while someone else works on it.
    ///
    /// Look for the result again once this returns: the one before may have made it.
    ///
    /// # Errors
    /// The directory can't be made or read.
    pub fn partial(&self, id: &str) -> Result<Partial, StoreError> {
        let digest = blake3::hash(id.as_bytes()).to_hex();
        let name = format!("{PREFIX}{}", &digest.as_str()[..32]);
        let held = self.inner.name_lock(&name)?;
        let tmp = self.inner.root.dir(layout::TMP)?;
        let gc = GcLock::take(&self.inner.root, false)?;
        match tmp.create_dir(&name, 0o700) {
            Err(e) if !e.is_exists() => return Err(e.into()),
            _ => {}
        }
        let guard = tmp.dir(&name)?;
        // For the collector, which takes what nobody has locked.
        lock_file(&guard, true, &name)?;
        drop(gc);
        let dir = tmp.dir(&name)?;
        let mut files = BTreeMap::new();
        for piece in names(&dir, ".")? {
            let stat = dir.stat(&piece, Follow::No)?;
            if let (Ok(start), Some(stat)) = (piece.parse::<u64>(), stat) {
                files.insert(start, (Arc::new(dir.open_rw(&piece, false)?), stat.size));
            }
        }
        let state = Mutex::new(State { files, closed: false });
        let pieces = Arc::new(Pieces { state, changed: Condvar::new() });
        Ok(Partial { tmp, dir, name, pieces, _guard: guard, _lock: held })
    }
}

impl Partial {
    /// Returns what is missing of `size` bytes, in order.
    pub fn missing(&self, size: u64) -> Vec<Range<u64>> {
        let state = lock(&self.pieces.state);
        let mut gaps = Vec::new();
        let mut at = 0;
        for (start, (_, length)) in &state.files {
            if *start > at && at < size {
                gaps.push(at..(*start).min(size));
            }
            at = at.max(start.saturating_add(*length));
        }
        if at < size {
            gaps.push(at..size);
        }
        gaps
    }

    /// Returns the number of bytes that are there of `size`.
    pub fn present(&self, size: u64) -> u64 {
        size - self.missing(size).iter().map(|gap| gap.end - gap.start).sum::<u64>()
    }

    /// Begins to write at `at`, where nothing is.
    ///
    /// # Errors
    /// The file can't be made.
    pub fn writer(&self, at: u64) -> Result<PartialWriter, StoreError> {
        let mut state = lock(&self.pieces.state);
        let before = state.files.range(..=at).next_back();
        if let Some((start, (file, length))) = before
            && start + length == at
        {
            let (start, file) = (*start, Arc::clone(file));
            return Ok(PartialWriter { file, start, at, pieces: Arc::clone(&self.pieces) });
        }
        let file = Arc::new(self.dir.create_file(format!("{at:0DIGITS$}"), 0o600)?);
        state.files.insert(at, (Arc::clone(&file), 0));
        Ok(PartialWriter { file, start: at, at, pieces: Arc::clone(&self.pieces) })
    }

    /// Reads from the beginning up to `size`, or to where it is closed.
    pub fn reader(&self, size: Option<u64>) -> PartialReader {
        PartialReader { pieces: Arc::clone(&self.pieces), at: 0, size, current: None }
    }

    /// Says that nothing more will come; readers of what is missing fail, or end if they know no size.
    pub fn close(&self) {
        lock(&self.pieces.state).closed = true;
        self.pieces.changed.notify_all();
    }

    /// Throws away what is there, and opens it again.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn clear(&self) -> Result<(), StoreError> {
        let mut state = lock(&self.pieces.state);
        state.files.clear();
        state.closed = false;
        for piece in names(&self.dir, ".")? {
            self.dir.remove_file(&piece)?;
        }
        Ok(())
    }

    /// Moves the only file of a whole partial to another directory of the store; who reads it reads on.
    pub(super) fn give(&self, to: &Root, name: &str) -> Result<(), StoreError> {
        Ok(self.dir.rename_to(format!("{:0DIGITS$}", 0), to, name)?)
    }

    /// Removes it: what it was for is done.
    ///
    /// # Errors
    /// The directory can't be removed; the next prune finds it.
    pub fn finish(self) -> Result<(), StoreError> {
        Ok(self.tmp.remove_tree(&self.name)?)
    }
}

impl PartialWriter {
    /// Returns where the next byte goes.
    pub fn offset(&self) -> u64 {
        self.at
    }

    /// Appends bytes, which readers see at once.
    ///
    /// # Errors
    /// The disk takes no more.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::Io {
            action: "cannot write a part of a transfer at",
            path: PathBuf::from(self.at.to_string()),
            source,
        };
        self.file.write_all_at(bytes, self.at - self.start).map_err(failed)?;
        self.at += bytes.len() as u64;
        let mut state = lock(&self.pieces.state);
        if let Some((_, length)) = state.files.get_mut(&self.start) {
            *length = self.at - self.start;
        }
        drop(state);
        self.pieces.changed.notify_all();
        Ok(())
    }
}

impl io::Write for PartialWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PartialReader {
    /// Moves to another place.
    pub fn seek(&mut self, at: u64) {
        self.at = at;
        self.current = None;
    }

    /// Returns what can be read here without waiting, after waiting for the first byte; none at the end.
    fn ready(&mut self) -> io::Result<Option<(Arc<File>, Range<u64>)>> {
        if let Some((file, range)) = &self.current
            && range.contains(&self.at)
        {
            return Ok(Some((Arc::clone(file), range.clone())));
        }
        let mut state = lock(&self.pieces.state);
        loop {
            let found = state.files.range(..=self.at).next_back();
            if let Some((start, (file, length))) = found
                && self.at < start + length
            {
                let found = (Arc::clone(file), *start..start + length);
                self.current = Some(found.clone());
                return Ok(Some(found));
            }
            match (state.closed, self.size) {
                (false, _) => {}
                (true, None) => return Ok(None),
                (true, Some(_)) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the transfer was given up"));
                }
            }
            state = self.pieces.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

impl Read for PartialReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = self.size.map_or(u64::MAX, |size| size.saturating_sub(self.at));
        if left == 0 || out.is_empty() {
            return Ok(0);
        }
        let Some((file, range)) = self.ready()? else { return Ok(0) };
        let most = (range.end - self.at).min(left).min(out.len() as u64) as usize;
        let count = file.read_at(&mut out[..most], self.at - range.start)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a part of the transfer was cut off"));
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// Whether a directory of a dead process is to be kept, since someone may come back for it.
pub(super) fn is_kept(tmp: &Root, name: &str) -> bool {
    if !name.starts_with(PREFIX) {
        return false;
    }
    let Ok(dir) = tmp.dir(name) else { return false };
    let pieces = names(&dir, ".").unwrap_or_default();
    let latest =
        pieces.iter().filter_map(|piece| Some(dir.stat(piece, Follow::No).ok()??.mtime.seconds)).max();
    let age = jiff::Timestamp::now().as_second() - latest.unwrap_or(0);
    latest.is_some() && age < MAX_AGE.as_secs() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        (dir, store)
    }

    #[test]
    fn pieces_come_in_any_order_and_stay_for_the_next_one() {
        let (_dir, store) = store();
        let partial = store.partial("x").unwrap();
        partial.writer(0).unwrap().append(b"abc").unwrap();
        let mut far = partial.writer(6).unwrap();
        far.append(b"gh").unwrap();
        assert_eq!(partial.missing(10), [3..6, 8..10]);
        assert_eq!(partial.present(10), 5);
        drop((far, partial));
        let partial = store.partial("x").unwrap();
        assert_eq!(partial.missing(10), [3..6, 8..10], "what came is there for the next one");
        let mut reader = partial.reader(Some(10));
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        partial.writer(8).unwrap().append(b"ij").unwrap();
        partial.writer(3).unwrap().append(b"def").unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), "abcdefghij");
        partial.finish().unwrap();
        assert_eq!(store.partial("x").unwrap().present(10), 0);
    }

    #[test]
    fn a_reader_does_not_wait_for_what_will_not_come() {
        let (_dir, store) = store();
        let partial = store.partial("x").unwrap();
        partial.writer(0).unwrap().append(b"abc").unwrap();
        partial.close();
        let mut bytes = Vec::new();
        assert!(partial.reader(Some(4)).read_to_end(&mut bytes).is_err());
        bytes.clear();
        partial.reader(None).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"abc");
        partial.clear().unwrap();
        assert_eq!((partial.missing(4).len(), partial.present(4)), (1, 0));
    }
}
