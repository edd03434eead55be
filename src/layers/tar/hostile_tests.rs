//! Archives made to keep a reader busy for ever, or to fill its memory or disk from a few bytes.

use std::io::{Read as _, repeat};
use std::time::{Duration, Instant};

use super::super::entry::{Entry, EntryKind, Metadata};
use super::super::unpack::{UnpackOptions, unpack};
use super::{TarLimits, TarReader, TarWriter};
use crate::fs::Root;

/// Returns a header whose checksum is right; `edit` changes it before.
fn header(kind: u8, size: u64, edit: impl FnOnce(&mut [u8; 512])) -> Vec<u8> {
    let mut header = ::tar::Header::new_gnu();
    header.as_old_mut().name[..4].copy_from_slice(b"name");
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(::tar::EntryType::new(kind));
    edit(header.as_mut_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len() + 1;
        while length != rest.len() + length.to_string().len() {
            length += 1;
        }
        text += &format!("{length}{rest}");
    }
    [header(b'x', text.len() as u64, |_| {}), padded(text.into_bytes())].concat()
}

fn sparse_1_0(real: &str, size: u64, data: &[u8]) -> Vec<u8> {
    let records = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", real)];
    [pax(&records), header(b'0', size, |_| {}), data.to_vec()].concat()
}

/// Reads all and says how it ended, having taken neither long nor much of the source.
fn ends(tar: impl std::io::Read, limits: TarLimits) -> Result<u64, String> {
    let began = Instant::now();
    let mut reader = TarReader::with_limits(tar, limits);
    let mut bytes = 0;
    let mut run = || -> Result<u64, crate::layers::LayerError> {
        while reader.next_entry()?.is_some() {
            let copied = std::io::copy(&mut reader.by_ref().take(1 << 20), &mut std::io::sink());
            bytes += copied.map_err(crate::layers::LayerError::io("read"))?;
        }
        reader.drain()?;
        Ok(bytes)
    };
    let ended = run().map_err(|error| error.to_string());
    assert!(began.elapsed() < Duration::from_secs(20), "{ended:?} after {:?}", began.elapsed());
    ended
}

fn refused(tar: impl std::io::Read, text: &str) {
    let error = ends(tar, TarLimits::default()).unwrap_err();
    assert!(error.contains(text), "{text:?} is not in {error:?}");
}

#[test]
fn a_sparse_map_without_an_end_is_refused() {
    let data = vec![b'1'; 4096];
    // In the archive's memory, and in one that never ends.
    refused(&sparse_1_0("1000", 8192, &data)[..], "the tar ends early");
    refused((&sparse_1_0("1000", 1 << 40, &data)[..]).chain(repeat(b'1')), "headers of an entry are longer");
    let lines = |count: &str| [count.as_bytes(), &b"\n"[..]].concat();
    let endless = || (&b"1\n"[..]).chain(repeat(b'0'));
    refused(
        (&sparse_1_0("1000", 1 << 40, &lines("9"))[..]).chain(endless()),
        "headers of an entry are longer",
    );
    refused(
        (&sparse_1_0("1000", 1 << 40, &lines("99999999"))[..]).chain(repeat(b'1')),
        "too many sparse entries",
    );
}

#[test]
fn a_chain_of_empty_sparse_blocks_is_refused() {
    let first = header(b'S', 0, |header| header[482] = 1);
    let mut block = vec![0; 512];
    block[504] = 1;
    let mut chain = first.clone();
    for _ in 0..10_000 {
        chain.extend_from_slice(&block);
    }
    refused(&chain[..], "headers of an entry are longer");
    refused((&first[..]).chain(repeat(1)), "");
}

#[test]
fn lengths_beyond_all_numbers_are_refused() {
    let largest = |header: &mut [u8; 512]| {
        header[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0]);
    };
    for kind in [b'0', b'5', b'L', b'x', b'g', b'S', b'V'] {
        let tar = [header(kind, 0, largest), vec![b'1'; 4096]].concat();
        assert!(ends(&tar[..], TarLimits::default()).is_err(), "{:?}", kind as char);
    }
    // The padding's length has no room behind this one.
    for kind in [b'0', b'5', b'2'] {
        let tar = [pax(&[("size", "18446744073709551615")]), header(kind, 0, |_| {}), vec![0; 2048]].concat();
        refused(&tar[..], "more than 8796093022208 bytes");
    }
}

#[test]
fn holes_are_not_endless() {
    let map = padded(b"1\n0\n0\n".to_vec());
    let of_size = |size: &str| [sparse_1_0(size, map.len() as u64, &map), vec![0; 1024]].concat();
    refused(&of_size("18446744073709551615")[..], "more than 8796093022208 bytes");
    refused(&of_size("8796093022208")[..], "more than 68719476736 bytes of holes in sparse files");
    let one = of_size("40000000000");
    let two = [&one[..one.len() - 1024], &one].concat();
    refused(&two[..], "more than 68719476736 bytes of holes in sparse files");
    assert_eq!(ends(&one[..], TarLimits::default()), Ok(1 << 20));
}

#[test]
fn holes_take_no_room() {
    let map = padded(b"2\n3000000\n4\n9000000\n0\n".to_vec());
    let data = [map.clone(), padded(b"data".to_vec())].concat();
    let tar = [sparse_1_0("9000000", map.len() as u64 + 4, &data), vec![0; 1024]].concat();
    let dir = tempfile::tempdir().unwrap();
    unpack(&mut &tar[..], &Root::open(dir.path()).unwrap(), &UnpackOptions::default()).unwrap();
    let bytes = std::fs::read(dir.path().join("name")).unwrap();
    assert_eq!((bytes.len(), &bytes[3_000_000..3_000_004]), (9_000_000, &b"data"[..]));
    assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 4);
    let blocks = std::os::unix::fs::MetadataExt::blocks(&dir.path().join("name").metadata().unwrap());
    assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
}

#[test]
fn what_follows_the_end_is_not_endless() {
    let mut tar = TarWriter::new(Vec::new());
    let entry = Entry { path: b"f".to_vec(), kind: EntryKind::Directory, meta: Metadata::default() };
    tar.append(&entry, &mut std::io::empty()).unwrap();
    let tar = tar.finish().unwrap();
    let limits = TarLimits { trailing: 1 << 20, ..TarLimits::default() };
    assert_eq!(ends((&tar[..]).chain(repeat(0).take(1 << 20)), limits), Ok(0));
    let error = ends((&tar[..]).chain(repeat(0)), limits).unwrap_err();
    assert_eq!(error, "the tar has more than 1048576 bytes behind its end");
    let error = ends((&tar[..]).chain(repeat(7).take((1 << 20) + 1)), limits).unwrap_err();
    assert!(error.ends_with("behind its end"), "{error}");
}
