//! A deterministic tar writer: ustar, with PAX records only where ustar can't hold a value.

use std::io::{Read, Write};

use super::super::entry::{Entry, EntryKind};
use super::super::error::LayerError;
use super::{BLOCK, OPAQUE, WHITEOUT, padding};

/// Bytes that are copied at once.
const COPY: usize = 512 << 10;
const ZEROS: [u8; 1024] = [0; 1024];
/// Largest value of an octal field with so many digits.
const OCTAL_7: u64 = 0o7_777_777;
const OCTAL_11: u64 = 0o77_777_777_777;

/// Writes entries in the order they come.
#[derive(Debug)]
pub struct TarWriter<W: Write> {
    out: W,
    offset: u64,
    buffer: Vec<u8>,
}

impl<W: Write> TarWriter<W> {
    /// Writes to `out`, from its present position.
    pub fn new(out: W) -> Self {
        Self { out, offset: 0, buffer: Vec::new() }
    }

    /// Returns the number of bytes written so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes one entry; a file's content is read from `data`. Returns where the content begins.
    ///
    /// # Errors
    /// The output fails, or `data` has not exactly the entry's size.
    pub fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<u64, LayerError> {
        let at = self.append_header(entry)?;
        let size = entry.size();
        let copied = self.copy(data, size)?;
        let mut more = [0u8; 1];
        if copied != size || data.read(&mut more).map_err(LayerError::io("read content"))? != 0 {
            return Err(LayerError::Changed { path: entry.path.clone() });
        }
        self.offset += size;
        self.pad(size)?;
        Ok(at)
    }

    /// Writes one entry whose content `copy` writes to the output itself, e.g. by a system call that copies
    /// from file to file. Returns where the content begins.
    ///
    /// # Errors
    /// The output fails, or `copy` has not written exactly the entry's size.
    pub fn append_by(
        &mut self,
        entry: &Entry,
        copy: impl FnOnce(&mut W) -> std::io::Result<u64>,
    ) -> Result<u64, LayerError> {
        let at = self.append_header(entry)?;
        let size = entry.size();
        if copy(&mut self.out).map_err(LayerError::io("copy content"))? != size {
            return Err(LayerError::Changed { path: entry.path.clone() });
        }
        self.offset += size;
        self.pad(size)?;
        Ok(at)
    }

    /// Writes one entry whose content is at hand. Returns where the content begins.
    ///
    /// # Errors
    /// The output fails, or `data` has not exactly the entry's size.
    pub fn append_bytes(&mut self, entry: &Entry, data: &[u8]) -> Result<u64, LayerError> {
        if data.len() as u64 != entry.size() {
            return Err(LayerError::Changed { path: entry.path.clone() });
        }
        let at = self.append_header(entry)?;
        self.write(data)?;
        self.pad(entry.size())?;
        Ok(at)
    }

    /// Ends the archive with two empty blocks and returns the output.
    ///
    /// # Errors
    /// The output fails.
    pub fn finish(mut self) -> Result<W, LayerError> {
        self.write(&ZEROS)?;
        Ok(self.out)
    }

    /// Copies `size` bytes, or fewer if `data` ends before, in large pieces.
    fn copy(&mut self, data: &mut dyn Read, size: u64) -> Result<u64, LayerError> {
        let mut buffer = vec![0u8; size.min(COPY as u64) as usize];
        let mut copied = 0;
        while copied < size {
            let wanted = (size - copied).min(COPY as u64) as usize;
            let count = match data.read(&mut buffer[..wanted]) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(LayerError::Io { action: "read content", source }),
            };
            self.out.write_all(&buffer[..count]).map_err(LayerError::io("write tar"))?;
            copied += count as u64;
        }
        Ok(copied)
    }

    fn append_header(&mut self, entry: &Entry) -> Result<u64, LayerError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        header(entry, &mut buffer);
        let result = self.write(&buffer);
        self.buffer = buffer;
        result.map(|()| self.offset)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        self.out.write_all(bytes).map_err(LayerError::io("write tar"))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<(), LayerError> {
        self.write(&ZEROS[..padding(size)])
    }
}

/// Appends an entry's header blocks to `out`.
fn header(entry: &Entry, out: &mut Vec<u8>) {
    let name = tar_name(entry);
    let meta = &entry.meta;
    let hidden = matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque);
    let (mode, mtime, uid, gid) = if hidden {
        (0, Default::default(), 0, 0)
    } else {
        (meta.mode & 0o7777, meta.mtime, meta.uid, meta.gid)
    };
    let link = match &entry.kind {
        EntryKind::Symlink { target } | EntryKind::HardLink { target } => target.as_slice(),
        _ => b"",
    };
    let (device, typeflag) = match entry.kind {
        EntryKind::File { .. } | EntryKind::Whiteout | EntryKind::Opaque => (None, b'0'),
        EntryKind::HardLink { .. } => (None, b'1'),
        EntryKind::Symlink { .. } => (None, b'2'),
        EntryKind::CharDevice { major, minor } => (Some((major, minor)), b'3'),
        EntryKind::BlockDevice { major, minor } => (Some((major, minor)), b'4'),
        EntryKind::Directory => (None, b'5'),
        EntryKind::Fifo => (None, b'6'),
    };
    let size = entry.size();
    let split = split_name(&name);
    let mut records = Vec::new();
    if split.is_none() {
        record(&mut records, b"path", &name);
    }
    if link.len() > 100 || !link.is_ascii() {
        record(&mut records, b"linkpath", link);
    }
    if size > OCTAL_11 {
        record(&mut records, b"size", size.to_string().as_bytes());
    }
    for (key, id) in [(&b"uid"[..], uid), (b"gid", gid)] {
        if u64::from(id) > OCTAL_7 {
            record(&mut records, key, id.to_string().as_bytes());
        }
    }
    if mtime.nanos != 0 || mtime.seconds < 0 || mtime.seconds as u64 > OCTAL_11 {
        record(&mut records, b"mtime", pax_time(mtime.seconds, mtime.nanos).as_bytes());
    }
    if !hidden {
        for (key, value) in &meta.xattrs {
            record(&mut records, &[b"SCHILY.xattr.", key.as_slice()].concat(), value);
        }
    }
    let seconds = u64::try_from(mtime.seconds).unwrap_or(0).min(OCTAL_11);
    if !records.is_empty() {
        let base = name.rsplit(|c| *c == b'/').find(|part| !part.is_empty()).unwrap_or(b"root");
        let pax_name = [b"PaxHeaders.0/", &base[..base.len().min(80)]].concat();
        let pax = Fields { size: records.len() as u64, typeflag: b'x', mode: 0o644, ..Fields::default() };
        block(out, (b"", &pax_name), &pax);
        out.extend_from_slice(&records);
        out.resize(out.len() + padding(records.len() as u64), 0);
    }
    let (prefix, short) = split.unwrap_or_else(|| (b"", &name[..name.len().min(100)]));
    let fields = Fields {
        mode,
        uid: if u64::from(uid) > OCTAL_7 { 0 } else { uid.into() },
        gid: if u64::from(gid) > OCTAL_7 { 0 } else { gid.into() },
        size: if size > OCTAL_11 { 0 } else { size },
        seconds,
        typeflag,
        link: &link[..link.len().min(100)],
        device,
    };
    block(out, (prefix, short), &fields);
}

/// The name as a tar has it: whiteouts in their disguise, directories with a slash, the root as `./`.
fn tar_name(entry: &Entry) -> Vec<u8> {
    let (parent, name) = entry.split();
    match entry.kind {
        EntryKind::Whiteout => join(parent, &[WHITEOUT, name].concat()),
        EntryKind::Opaque => join(&entry.path, OPAQUE),
        EntryKind::Directory if entry.path.is_empty() => b"./".to_vec(),
        EntryKind::Directory => [&entry.path, &b"/"[..]].concat(),
        _ => entry.path.clone(),
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}

/// Splits a name over ustar's prefix (155 bytes) and name (100 bytes); none if it does not fit or is not ASCII.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= 100 {
        return Some((b"", name));
    }
    // The slash must leave 1 to 100 bytes after it and at most 155 before it.
    let from = name.len().checked_sub(101)?;
    let at = (from..name.len().saturating_sub(1)).find(|at| name[*at] == b'/')?;
    (at <= 155 && at > 0).then(|| (&name[..at], &name[at + 1..]))
}

fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // A record's length counts its own digits.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Writes a time as a decimal number; nanoseconds count upwards, so before 1970 they are turned round.
fn pax_time(seconds: i64, nanos: u32) -> String {
    let (sign, whole, fraction) = match (seconds < 0, nanos) {
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, nanos) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanos),
        (false, nanos) => ("", seconds.unsigned_abs(), nanos),
    };
    let digits = format!("{fraction:09}");
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{digits}") }
}

#[derive(Default)]
struct Fields<'a> {
    mode: u32,
    uid: u64,
    gid: u64,
    size: u64,
    seconds: u64,
    typeflag: u8,
    link: &'a [u8],
    device: Option<(u32, u32)>,
}

fn block(out: &mut Vec<u8>, (prefix, name): (&[u8], &[u8]), fields: &Fields<'_>) {
    let start = out.len();
    out.resize(start + BLOCK as usize, 0);
    let block = &mut out[start..];
    block[..name.len()].copy_from_slice(name);
    octal(&mut block[100..108], fields.mode.into());
    octal(&mut block[108..116], fields.uid);
    octal(&mut block[116..124], fields.gid);
    octal(&mut block[124..136], fields.size);
    octal(&mut block[136..148], fields.seconds);
    block[156] = fields.typeflag;
    block[157..157 + fields.link.len()].copy_from_slice(fields.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    let (major, minor) = fields.device.unwrap_or((0, 0));
    octal(&mut block[329..337], major.into());
    octal(&mut block[337..345], minor.into());
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block[155] = b' ';
}

/// Fills a field with octal digits and a closing NUL.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    field[digits] = 0;
    for digit in field[..digits].iter_mut().rev() {
        *digit = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}
