//! Reading tars that come from anywhere.

use std::io::Read;

use tar_core::parse::{Limits, ParseEvent, ParsedEntry, Parser};
use tar_core::{EntryType, PaxExtensions, SparseEntry};

use super::super::entry::{Entry, EntryKind, Metadata, Mtime};
use super::super::error::LayerError;
use super::{OPAQUE, WHITEOUT, padding};

/// Bytes that are asked of the source at once.
const CHUNK: usize = 256 << 10;

/// What a tar may have at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TarLimits {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of all contents together.
    pub bytes: u64,
    /// Bytes of one path or link target.
    pub path: u32,
}

impl Default for TarLimits {
    /// Ten million entries, 8 TiB, paths as long as Linux takes them.
    fn default() -> Self {
        Self { entries: 10_000_000, bytes: 8 << 40, path: 4096 }
    }
}

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
    entries: u64,
    bytes: u64,
    raw_whiteouts: bool,
}

/// What is left of the present entry.
#[derive(Debug, Default)]
struct Content {
    /// Bytes in the tar, without padding.
    stored: u64,
    padding: usize,
    /// Of a sparse file: its regions that are still to come, the position reached, and its whole size.
    sparse: Option<Sparse>,
}

#[derive(Debug)]
struct Sparse {
    regions: std::vec::IntoIter<SparseEntry>,
    region: Option<SparseEntry>,
    position: u64,
    size: u64,
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
            entries: 0,
            bytes: 0,
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
            let Some(entry) = parsed else { continue };
            self.entries += 1;
            self.bytes = self.bytes.saturating_add(entry.size());
            if self.entries > self.limits.entries {
                return Err(LayerError::Limit { limit: self.limits.entries, unit: "entries" });
            }
            if self.bytes > self.limits.bytes {
                return Err(LayerError::Limit { limit: self.limits.bytes, unit: "bytes" });
            }
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
    /// The source fails.
    pub fn drain(&mut self) -> Result<(), LayerError> {
        self.start = self.end;
        loop {
            let count = self.source.read(&mut self.buffer).map_err(LayerError::io("read tar"))?;
            if count == 0 {
                return Ok(());
            }
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
                    if !self.fill(min_bytes)? {
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
                    check_map(&sparse_map, entry.size, real_size).map_err(bad)?;
                    let sparse = Sparse {
                        regions: sparse_map.into_iter(),
                        region: None,
                        position: 0,
                        size: real_size,
                    };
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
            self.buffer.resize(wanted.next_multiple_of(4096), 0);
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

    fn read_sparse(&mut self, out: &mut [u8], mut sparse: Sparse) -> std::io::Result<(usize, Sparse)> {
        if sparse.region.is_none() {
            sparse.region = sparse.regions.find(|region| region.length > 0);
        }
        let next = sparse.region.as_ref().map_or(sparse.size, |region| region.offset);
        if sparse.position < next {
            let count = (out.len() as u64).min(next - sparse.position) as usize;
            out[..count].fill(0);
            sparse.position += count as u64;
            return Ok((count, sparse));
        }
        let Some(region) = sparse.region.take() else { return Ok((0, sparse)) };
        let count = self.read_stored(out, region.length)?;
        sparse.position += count as u64;
        if region.length > count as u64 {
            sparse.region = Some(SparseEntry {
                offset: region.offset + count as u64,
                length: region.length - count as u64,
            });
        }
        Ok((count, sparse))
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self.content.sparse.take() {
            None => self.read_stored(out, u64::MAX),
            Some(sparse) => {
                let (count, sparse) = self.read_sparse(out, sparse)?;
                self.content.sparse = Some(sparse);
                Ok(count)
            }
        }
    }
}

/// A sparse map must go upwards, stay inside the file, and account for all stored bytes.
fn check_map(map: &[SparseEntry], stored: u64, size: u64) -> Result<(), String> {
    let (mut at, mut total) = (0u64, 0u64);
    for region in map {
        let end = region.offset.checked_add(region.length).ok_or("a sparse region overflows")?;
        if region.offset < at || end > size {
            return Err("the sparse regions are out of order".to_owned());
        }
        at = end;
        total += region.length;
    }
    if total == stored { Ok(()) } else { Err("the sparse regions do not add up".to_owned()) }
}

/// Turns a parsed entry into one of ours; none for what stands for nothing.
fn convert(parsed: &ParsedEntry<'_>, size: u64, raw_whiteouts: bool) -> Result<Option<Entry>, String> {
    let path = clean(&parsed.path)?;
    let pax = checked_pax(parsed)?;
    let target = parsed.link_target.as_deref().unwrap_or_default();
    let device = (parsed.dev_major.unwrap_or(0), parsed.dev_minor.unwrap_or(0));
    // Archives from before POSIX mark directories only by a slash at the end.
    let directory_name = parsed.path.ends_with(b"/");
    let kind = match parsed.entry_type {
        EntryType::Regular | EntryType::Continuous if directory_name && size == 0 => EntryKind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GnuSparse => EntryKind::File { size },
        EntryType::Directory => EntryKind::Directory,
        EntryType::Symlink => EntryKind::Symlink { target: target.to_vec() },
        EntryType::Link => EntryKind::HardLink { target: clean(target)? },
        EntryType::Char => EntryKind::CharDevice { major: device.0, minor: device.1 },
        EntryType::Block => EntryKind::BlockDevice { major: device.0, minor: device.1 },
        EntryType::Fifo => EntryKind::Fifo,
        // A volume label of GNU tar names no file.
        EntryType::Other(b'V') => return Ok(None),
        EntryType::Other(flag) => {
            return Err(format!("entry {:?} is of the unknown type {:?}", lossy(&path), flag as char));
        }
        other => return Err(format!("entry {:?} is of the unexpected type {other:?}", lossy(&path))),
    };
    if path.is_empty() && kind != EntryKind::Directory {
        return Err("the root is no directory".to_owned());
    }
    let meta = Metadata {
        mode: parsed.mode & 0o7777,
        uid: u32::try_from(parsed.uid).map_err(|_| format!("user id {} is too large", parsed.uid))?,
        gid: u32::try_from(parsed.gid).map_err(|_| format!("group id {} is too large", parsed.gid))?,
        mtime: pax.mtime.unwrap_or_else(|| header_time(parsed)),
        xattrs: pax.xattrs,
    };
    let entry = Entry { path, kind, meta };
    if raw_whiteouts { Ok(Some(entry)) } else { whiteout(entry) }
}

/// Recognises whiteouts by their names; none for aufs's own files.
fn whiteout(entry: Entry) -> Result<Option<Entry>, String> {
    let (parent, name) = entry.split();
    let Some(hidden) = name.strip_prefix(WHITEOUT) else { return Ok(Some(entry)) };
    if name == OPAQUE {
        return Ok(Some(Entry { path: parent.to_vec(), kind: EntryKind::Opaque, meta: Metadata::default() }));
    }
    if hidden.starts_with(WHITEOUT) {
        return Ok(None);
    }
    if hidden.is_empty() || hidden == b"." || hidden == b".." {
        return Err(format!("whiteout {:?} names nothing", lossy(&entry.path)));
    }
    let path = if parent.is_empty() { hidden.to_vec() } else { [parent, b"/", hidden].concat() };
    Ok(Some(Entry { path, kind: EntryKind::Whiteout, meta: Metadata::default() }))
}

/// Makes a name a path below the root: no leading slash, no empty or `.` parts; `..` is refused.
fn clean(name: &[u8]) -> Result<Vec<u8>, String> {
    let mut path = Vec::with_capacity(name.len());
    for part in name.split(|c| *c == b'/') {
        match part {
            b"" | b"." => {}
            b".." => return Err(format!("name {:?} leaves the root", lossy(name))),
            part if part.contains(&0) => return Err(format!("name {:?} holds a zero byte", lossy(name))),
            // The name that a whiteout hides may be of full length.
            part if part.strip_prefix(WHITEOUT).unwrap_or(part).len() > 255 => {
                return Err(format!("name {:?} has a part over 255 bytes", lossy(name)));
            }
            part => {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(part);
            }
        }
    }
    Ok(path)
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
}

/// What is taken from the PAX records by hand.
#[derive(Default)]
struct Pax {
    mtime: Option<Mtime>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

fn checked_pax(parsed: &ParsedEntry<'_>) -> Result<Pax, String> {
    let mut pax = Pax::default();
    for record in parsed.pax.map(PaxExtensions::new).into_iter().flatten() {
        let record = record.map_err(|_| "a PAX record is malformed".to_owned())?;
        let (key, value) = (record.key_bytes(), record.value_bytes());
        match key {
            b"size" | b"uid" | b"gid" => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
                number.ok_or_else(|| format!("PAX record {} is no number", lossy(key)))?;
            }
            b"mtime" => pax.mtime = Some(parse_time(value).ok_or("the PAX time is no number")?),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    set(&mut pax.xattrs, name, value.to_vec());
                } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                    let value = base64(value).ok_or("a LIBARCHIVE.xattr record is no base64")?;
                    set(&mut pax.xattrs, name, value);
                }
            }
        }
    }
    pax.xattrs.sort();
    Ok(pax)
}

fn set(xattrs: &mut Vec<(Vec<u8>, Vec<u8>)>, name: &[u8], value: Vec<u8>) {
    match xattrs.iter_mut().find(|(known, _)| known == name) {
        Some(known) => known.1 = value,
        None => xattrs.push((name.to_vec(), value)),
    }
}

/// The time in the header; base-256 numbers may be negative, which the parser does not give.
fn header_time(parsed: &ParsedEntry<'_>) -> Mtime {
    let field = &parsed.header.as_bytes()[136..148];
    if field[0] == 0xff {
        let tail: [u8; 8] = field[4..].try_into().expect("twelve bytes less four");
        return Mtime { seconds: i64::from_be_bytes(tail), nanos: 0 };
    }
    Mtime { seconds: i64::try_from(parsed.mtime).unwrap_or(i64::MAX), nanos: 0 }
}

/// Reads `[-]SECONDS[.FRACTION]`.
fn parse_time(value: &[u8]) -> Option<Mtime> {
    let text = std::str::from_utf8(value).ok()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanos: u32 = format!("{fraction:0<9}")[..9].parse().ok()?;
    Some(match (negative, nanos) {
        (false, nanos) => Mtime { seconds, nanos },
        (true, 0) => Mtime { seconds: -seconds, nanos: 0 },
        (true, nanos) => Mtime { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// Reads base64 with or without padding (RFC 4648 section 4).
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for c in text.iter().filter(|c| **c != b'=' && **c != b'\n') {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}
