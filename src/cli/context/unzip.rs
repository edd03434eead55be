//! Small zip files in memory (PKWARE's APPNOTE.TXT, sections 4.3 and 4.4): stored and deflated files, no more.
//!
//! Nothing that a zip says is believed: every offset is looked up in bounds,
//! and a content that goes over the limit is not inflated further.

use std::io::Read as _;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::bundle::too_much;
use crate::cli::error::CliError;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Bytes of these records without what varies.
const LOCAL_SIZE: usize = 30;
const CENTRAL_SIZE: usize = 46;
const END_SIZE: usize = 22;
/// Makers of zips whose files have modes of Unix.
const UNIX: &[u8] = &[3, 19];
/// The bits of a mode that tell a file's type, and those of a plain one.
const TYPE: u32 = 0o170_000;
const PLAIN: u32 = 0o100_000;
/// The attribute of a directory on other systems.
const DIRECTORY: u32 = 0x10;

/// Returns the plain files of a zip under their names; `limit` is for all contents together.
///
/// # Errors
/// It is damaged, goes over the limit, or uses what is not known here.
pub fn files(zip: &[u8], limit: u64) -> Result<Vec<(Vec<u8>, Vec<u8>)>, CliError> {
    let zip = Bytes(zip);
    let end = end(zip)?;
    let (count, size, offset) = (zip.u16(end + 10)?, zip.u32(end + 12)?, zip.u32(end + 16)?);
    // What stands before the zip moves all that it says of offsets.
    let start = end.checked_sub(size as usize).ok_or_else(damaged)?;
    let moved = start.checked_sub(offset as usize).ok_or_else(damaged)?;
    let (mut files, mut at, mut left) = (Vec::new(), start, limit);
    for _ in 0..count {
        let (file, next) = Central::read(zip, at)?;
        if file.is_plain() {
            let content = file.content(zip, moved, left)?;
            left -= content.len() as u64;
            files.push((file.name.to_vec(), content));
        }
        at = next;
    }
    Ok(files)
}

fn damaged() -> CliError {
    CliError::new("zip: not a valid zip file")
}

/// Where the record at the end begins; a comment may follow it.
fn end(zip: Bytes<'_>) -> Result<usize, CliError> {
    let last = zip.0.len().checked_sub(END_SIZE).ok_or_else(damaged)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let fits = |at: &usize| {
        let comment = zip.u16(at + 20).map(usize::from);
        zip.u32(*at).ok() == Some(END) && comment.is_ok_and(|length| at + END_SIZE + length <= zip.0.len())
    };
    (first..=last).rev().find(fits).ok_or_else(damaged)
}

/// Bytes that are looked at in bounds.
#[derive(Debug, Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn part(self, at: usize, length: usize) -> Result<&'a [u8], CliError> {
        let end = at.checked_add(length).ok_or_else(damaged)?;
        self.0.get(at..end).ok_or_else(damaged)
    }

    fn u16(self, at: usize) -> Result<u16, CliError> {
        let part = self.part(at, 2)?;
        Ok(u16::from_le_bytes([part[0], part[1]]))
    }

    fn u32(self, at: usize) -> Result<u32, CliError> {
        let part = self.part(at, 4)?;
        Ok(u32::from_le_bytes([part[0], part[1], part[2], part[3]]))
    }
}

/// What the directory at the end of a zip says of a file.
#[derive(Debug)]
struct Central<'a> {
    name: &'a [u8],
    maker: u8,
    attributes: u32,
    encrypted: bool,
    method: u16,
    crc: u32,
    compressed: u32,
    size: u32,
    offset: u32,
}

impl<'a> Central<'a> {
    /// Reads the record at an offset; returns where the next one begins.
    fn read(zip: Bytes<'a>, at: usize) -> Result<(Self, usize), CliError> {
        if zip.u32(at)? != CENTRAL {
            return Err(damaged());
        }
        let length = |of: usize| zip.u16(at + of).map(usize::from);
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let file = Self {
            name: zip.part(at + CENTRAL_SIZE, name)?,
            maker: zip.part(at + 5, 1)?[0],
            encrypted: zip.u16(at + 8)? & 1 == 1,
            method: zip.u16(at + 10)?,
            crc: zip.u32(at + 16)?,
            compressed: zip.u32(at + 20)?,
            size: zip.u32(at + 24)?,
            attributes: zip.u32(at + 38)?,
            offset: zip.u32(at + 42)?,
        };
        Ok((file, at + CENTRAL_SIZE + name + extra + comment))
    }

    fn is_plain(&self) -> bool {
        let plain = match UNIX.contains(&self.maker) {
            true => [0, PLAIN].contains(&(self.attributes >> 16 & TYPE)),
            false => self.attributes & DIRECTORY == 0,
        };
        plain && !self.name.ends_with(b"/")
    }

    /// Returns the file's content, of `limit` bytes at most.
    fn content(&self, zip: Bytes<'_>, moved: usize, limit: u64) -> Result<Vec<u8>, CliError> {
        let at = moved + self.offset as usize;
        if zip.u32(at)? != LOCAL {
            return Err(damaged());
        }
        let skipped = usize::from(zip.u16(at + 26)?) + usize::from(zip.u16(at + 28)?);
        let stored = zip.part(at + LOCAL_SIZE + skipped, self.compressed as usize)?;
        if u64::from(self.size) > limit {
            return Err(too_much());
        }
        let mut content = Vec::new();
        match self.method {
            _ if self.encrypted => return Err(CliError::new("zip: encrypted files can't be read")),
            0 => content.extend_from_slice(stored),
            8 => {
                let most = u64::from(self.size) + 1;
                let inflated = DeflateDecoder::new(stored).take(most).read_to_end(&mut content);
                inflated.map_err(|error| CliError::new(format!("flate: {error}")))?;
            }
            _ => return Err(CliError::new("zip: unsupported compression algorithm")),
        }
        let mut crc = Crc::new();
        crc.update(&content);
        if content.len() as u64 != u64::from(self.size) || crc.sum() != self.crc {
            return Err(CliError::new("zip: checksum error"));
        }
        Ok(content)
    }
}
