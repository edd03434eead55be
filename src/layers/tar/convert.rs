//! What the parser found, as an entry; names and numbers are checked here.

use tar_core::parse::ParsedEntry;
use tar_core::{EntryType, PaxExtensions};

use super::super::entry::{Entry, EntryKind, Metadata, Mtime};
use super::{OPAQUE, WHITEOUT};

/// Turns a parsed entry into one of ours; none for what stands for nothing.
pub(super) fn convert(
    parsed: &ParsedEntry<'_>,
    size: u64,
    raw_whiteouts: bool,
) -> Result<Option<Entry>, String> {
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
