//! Reading tars that come from anywhere.

use std::io::Read;

use tar_core::parse::{Limits, ParseEvent, Parser};

use super::super::entry::Entry;
use super::super::error::LayerError;
use super::convert::convert;
use super::limits::{Counted, TarLimits, within};
use super::padding;
use super::sparse::Sparse;

/// Bytes that are asked of the source at once.
const CHUNK: usize = 256 << 10;
/// Bytes of one entry's headers at most: names and PAX records of 1 MiB, a sparse map of 10,000 regions.
const HEADERS: usize = 4 << 20;

/// Reads entries one after the other; as a `Read`, it gives the present entry's content.
///
/// Sparse files of GNU tar read as the plain files that they stand for.
pub struct TarReader<R: Read> {
    source: R,
    parser: Parser,
    limits: TarLimits,
    buffer: Vec<u8>,
    /// Bytes `start..end` of the buffer are read and not consumed.
    start: usize,
    end: usize,
    /// Offset in the tar of the byte at `start`.
    offset: u64,
    content: Content,
    counted: Counted,
    raw_whiteouts: bool,
}

/// What is left of the present entry.
#[derive(Debug, Default)]
struct Content {
    /// Bytes in the tar, without padding.
    stored: u64,
    padding: usize,
    /// Of a sparse file: where the stored bytes belong.
    sparse: Option<Sparse>,
}

impl Content {
    /// Bytes that are read, holes among them.
    fn whole(&self) -> u64 {
        self.sparse.as_ref().map_or(self.stored, Sparse::size)
    }
}

impl<R: Read> TarReader<R> {
    /// Reads from `source` with the default limits.
    pub fn new(source: R) -> Self {
        Self::with_limits(source, TarLimits::default())
    }

    /// Reads from `source` with limits of one's own.
    pub fn with_limits(source: R, limits: TarLimits) -> Self {
        let mut parser = Parser::new(Limits { max_path_len: Some(limits.path), ..Limits::default() });
        parser.set_allow_empty_path(true);
        // Values that matter are checked in `checked_pax`; times may be negative, which the parser refuses.
        parser.set_ignore_pax_errors(true);
        Self {
            source,
            parser,
            limits,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            offset: 0,
            content: Content::default(),
            counted: Counted::default(),
            raw_whiteouts: false,
        }
    }

    /// Gives names such as `.wh.x` as the ordinary files that they are in a tar that is no layer.
    #[must_use]
    pub fn raw_whiteouts(mut self) -> Self {
        self.raw_whiteouts = true;
        self
    }

    /// Returns the next entry and where its content begins in the tar; none at the end.
    ///
    /// Content of the present entry that was not read is skipped. Entries that
    /// stand for nothing (aufs leftovers, volume labels) are passed over.
    ///
    /// # Errors
    /// The tar is damaged, ends early, or goes over a limit.
    pub fn next_entry(&mut self) -> Result<Option<(Entry, u64)>, LayerError> {
        loop {
            self.skip_content()?;
            let Some(parsed) = self.next_parsed()? else { return Ok(None) };
            let (stored, whole) = (self.content.stored, self.content.whole());
            within(stored, self.limits.bytes, "bytes")?;
            let Some(entry) = parsed else { continue };
            self.counted.add(&self.limits, entry.size().max(stored), whole.saturating_sub(stored))?;
            return Ok(Some((entry, self.offset)));
        }
    }

    /// Whether the present entry is stored with holes, so that its content is not in one piece in the tar.
    pub fn is_sparse(&self) -> bool {
        self.content.sparse.is_some()
    }

    /// Reads what follows the end of the archive, so that the source is exhausted.
    ///
    /// # Errors
    /// The source fails, or goes on for longer than the limit.
    pub fn drain(&mut self) -> Result<(), LayerError> {
        let mut trailing = (self.end - self.start) as u64;
        self.start = self.end;
        loop {
            within(trailing, self.limits.trailing, "bytes behind its end")?;
            let count = self.source.read(&mut self.buffer).map_err(LayerError::io("read tar"))?;
            if count == 0 {
                return Ok(());
            }
            trailing += count as u64;
        }
    }

    /// Returns the source; bytes that were read ahead are lost.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// One step of the parser: an entry, something to pass over (inner none), or the end (none).
    fn next_parsed(&mut self) -> Result<Option<Option<Entry>>, LayerError> {
        loop {
            let offset = self.offset;
            let bad = |reason: String| LayerError::Tar { offset, reason };
            let event =
                self.parser.parse(&self.buffer[self.start..self.end]).map_err(|e| bad(e.to_string()))?;
            let (consumed, entry, content) = match event {
                ParseEvent::NeedData { min_bytes } => {
                    // The parser may ask for what it has, where it looks for the end of a line.
                    let wanted = min_bytes.max(self.end - self.start + 1);
                    if wanted > HEADERS {
                        return Err(bad(format!("the headers of an entry are longer than {HEADERS} bytes")));
                    }
                    if !self.fill(wanted)? {
                        return if self.start == self.end {
                            Ok(None)
                        } else {
                            Err(LayerError::Truncated {
                                offset: self.offset + (self.end - self.start) as u64,
                            })
                        };
                    }
                    continue;
                }
                ParseEvent::End { consumed } => {
                    self.consume(consumed);
                    return Ok(None);
                }
                ParseEvent::GlobalExtensions { consumed, .. } => {
                    self.consume(consumed);
                    continue;
                }
                ParseEvent::Entry { consumed, entry } => {
                    let content = Content { stored: entry.size, padding: padding(entry.size), sparse: None };
                    (consumed, convert(&entry, entry.size, self.raw_whiteouts).map_err(bad)?, content)
                }
                ParseEvent::SparseEntry { consumed, entry, sparse_map, real_size } => {
                    let sparse = Sparse::new(sparse_map, entry.size, real_size).map_err(bad)?;
                    let content =
                        Content { stored: entry.size, padding: padding(entry.size), sparse: Some(sparse) };
                    (consumed, convert(&entry, real_size, self.raw_whiteouts).map_err(bad)?, content)
                }
            };
            self.consume(consumed);
            self.content = content;
            return Ok(Some(entry));
        }
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
    }

    /// Reads until `wanted` bytes are at hand; false at the end of the source.
    fn fill(&mut self, wanted: usize) -> Result<bool, LayerError> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if wanted > self.buffer.len() {
            self.buffer.resize(wanted.next_power_of_two(), 0);
        }
        while self.end < wanted {
            let count = self.source.read(&mut self.buffer[self.end..]).map_err(LayerError::io("read tar"))?;
            if count == 0 {
                return Ok(false);
            }
            self.end += count;
        }
        Ok(true)
    }

    fn skip_content(&mut self) -> Result<(), LayerError> {
        let padding = self.content.padding as u64;
        let mut left = self.content.stored + padding;
        self.content = Content::default();
        while left > 0 {
            if self.start == self.end && !self.fill(1)? {
                // Some tools leave the last padding and the end marks out; nothing is missing then.
                if left <= padding {
                    return Ok(());
                }
                return Err(LayerError::Truncated { offset: self.offset });
            }
            let count = left.min((self.end - self.start) as u64);
            self.consume(count as usize);
            left -= count;
        }
        Ok(())
    }

    /// Reads stored bytes, at most `limit`.
    fn read_stored(&mut self, out: &mut [u8], limit: u64) -> std::io::Result<usize> {
        let wanted = (out.len() as u64).min(limit).min(self.content.stored) as usize;
        if wanted == 0 {
            return Ok(0);
        }
        let count = if self.start == self.end {
            // Large reads go straight to the caller.
            self.source.read(&mut out[..wanted])?
        } else {
            let count = wanted.min(self.end - self.start);
            out[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
            self.start += count;
            count
        };
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += count as u64;
        self.content.stored -= count as u64;
        Ok(count)
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self.content.sparse.take() {
            None => self.read_stored(out, u64::MAX),
            Some(mut sparse) => {
                let count = sparse.read(out, |out, limit| self.read_stored(out, limit))?;
                self.content.sparse = Some(sparse);
                Ok(count)
            }
        }
    }
}
