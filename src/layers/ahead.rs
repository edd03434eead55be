//! Reading many files in parallel, ahead of one writer that takes them in order.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use rayon::prelude::*;

use super::entry::{Entry, EntryKind};
use super::error::LayerError;
use crate::fs::FsError;

/// Files up to this size are read whole, many at once.
const SMALL: u64 = 1 << 20;
/// Bytes of small files that are read ahead.
const AHEAD: u64 = 8 << 20;
/// Entries that are taken at once.
const COUNT: usize = 2048;

/// Content of an entry.
pub enum Content<'a> {
    /// All of it; empty for what is no file.
    Bytes(&'a [u8]),
    /// A large file, to be read through.
    File(File),
}

/// Calls `write` for every entry in order; `open` opens the file with the given number.
///
/// Small files are opened and read in parallel while earlier ones are written.
///
/// # Errors
/// A file can't be read or has not its entry's size, or `write` fails.
pub fn write_all<O, W>(entries: &[Entry], open: O, mut write: W) -> Result<(), LayerError>
where
    O: Fn(usize) -> Result<File, FsError> + Sync,
    W: FnMut(&Entry, Content<'_>) -> Result<(), LayerError> + Send,
{
    let chunks = chunks(entries);
    let read = |range: Range<usize>| -> Vec<Result<Option<Vec<u8>>, LayerError>> {
        range.into_par_iter().with_min_len(16).map(|n| read_small(&entries[n], || open(n))).collect()
    };
    let mut next = chunks.first().map(|range| read(range.clone()));
    for (number, range) in chunks.iter().enumerate() {
        let contents = next.take().expect("every chunk is read before it is written");
        let ahead = chunks.get(number + 1).cloned();
        let (written, read_ahead) = rayon::join(
            || {
                for (n, content) in range.clone().zip(contents) {
                    let entry = &entries[n];
                    match (content?, &entry.kind) {
                        (Some(bytes), _) => write(entry, Content::Bytes(&bytes))?,
                        (None, EntryKind::File { .. }) => write(entry, Content::File(open(n)?))?,
                        (None, _) => write(entry, Content::Bytes(b""))?,
                    }
                }
                Ok::<(), LayerError>(())
            },
            || ahead.map(read),
        );
        written?;
        next = read_ahead;
    }
    Ok(())
}

/// Cuts a list of entries so that small files of about [`AHEAD`] bytes stand together.
fn chunks(entries: &[Entry]) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (number, entry) in entries.iter().enumerate() {
        bytes += if entry.size() <= SMALL { entry.size() } else { 0 };
        if bytes >= AHEAD || number - start >= COUNT {
            chunks.push(start..number + 1);
            (start, bytes) = (number + 1, 0);
        }
    }
    if start < entries.len() {
        chunks.push(start..entries.len());
    }
    chunks
}

/// Reads a small file whole; none for what is large or no file.
fn read_small(
    entry: &Entry,
    open: impl FnOnce() -> Result<File, FsError>,
) -> Result<Option<Vec<u8>>, LayerError> {
    let EntryKind::File { size } = entry.kind else { return Ok(None) };
    if size > SMALL {
        return Ok(None);
    }
    let mut file = open()?;
    // One byte more than expected shows growth without another system call.
    let mut bytes = vec![0u8; size as usize + 1];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(LayerError::Io { action: "read content", source }),
        }
    }
    if filled as u64 != size {
        return Err(LayerError::Changed { path: entry.path.clone() });
    }
    bytes.truncate(filled);
    Ok(Some(bytes))
}
