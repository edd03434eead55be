//! The tar writer against other readers, the reader against other writers, both against bad input.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::super::entry::{Entry, EntryKind, Metadata, Mtime};
use super::super::error::LayerError;
use super::{TarLimits, TarReader, TarWriter};

fn entry(path: &str, kind: EntryKind) -> Entry {
    let meta =
        Metadata { mode: 0o755, mtime: Mtime { seconds: 1_700_000_000, nanos: 0 }, ..Metadata::default() };
    Entry { path: path.into(), kind, meta }
}

fn file(path: &str, content: &[u8]) -> (Entry, Vec<u8>) {
    (entry(path, EntryKind::File { size: content.len() as u64 }), content.to_vec())
}

/// One entry of every kind, with the values that need PAX.
fn every_kind() -> Vec<(Entry, Vec<u8>)> {
    let long = format!("d/{}/{}", "x".repeat(200), "y".repeat(255));
    let mut odd = file(&long, b"long name");
    odd.0.meta.uid = 3_000_000;
    odd.0.meta.gid = u32::MAX - 1;
    odd.0.meta.mtime = Mtime { seconds: -5, nanos: 250_000_000 };
    odd.0.meta.xattrs = vec![
        (b"security.capability".to_vec(), vec![1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0]),
        (b"user.a".to_vec(), b"with\nnewline=and\0zero".to_vec()),
    ];
    vec![
        (entry("", EntryKind::Directory), vec![]),
        (entry("d", EntryKind::Directory), vec![]),
        file("d/file", b"content"),
        file("d/empty", b""),
        (entry("d/link", EntryKind::Symlink { target: b"../\xff target".to_vec() }), vec![]),
        (entry("d/deep", EntryKind::Symlink { target: vec![b'z'; 300] }), vec![]),
        (entry("d/hard", EntryKind::HardLink { target: b"d/file".to_vec() }), vec![]),
        (entry("null", EntryKind::CharDevice { major: 1, minor: 3 }), vec![]),
        (entry("disk", EntryKind::BlockDevice { major: 259, minor: 70_000 }), vec![]),
        (entry("fifo", EntryKind::Fifo), vec![]),
        file("ünï", b"not ascii"),
        odd,
        (Entry { meta: Metadata::default(), ..entry("d/gone", EntryKind::Whiteout) }, vec![]),
        (Entry { meta: Metadata::default(), ..entry("d", EntryKind::Opaque) }, vec![]),
    ]
}

fn write(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        tar.append(entry, &mut &content[..]).unwrap();
    }
    tar.finish().unwrap()
}

fn read(tar: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, LayerError> {
    let mut reader = TarReader::new(tar);
    let mut entries = Vec::new();
    while let Some((entry, at)) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(LayerError::io("read"))?;
        if !content.is_empty() && entry.size() == content.len() as u64 && !reader.is_sparse() {
            assert_eq!(
                &tar[at as usize..][..content.len()],
                &content[..],
                "content stands where it is said to"
            );
        }
        entries.push((entry, content));
    }
    Ok(entries)
}

#[test]
fn every_kind_reads_back() {
    let entries = every_kind();
    assert_eq!(read(&write(&entries)).unwrap(), entries);
    assert_eq!(write(&entries), write(&read(&write(&entries)).unwrap()));
}

#[test]
fn other_readers_see_the_same() {
    let tar = write(&every_kind());
    let mut listed = Command::new("tar");
    listed.args(["-tv", "--numeric-owner", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = listed.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&tar).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.lines().count(), every_kind().len(), "{text}");
    for part in [" 1,3 ", "3000000/4294967294", "d/hard link to d/file", ".wh.gone", ".wh..wh..opq"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let mut count = 0;
    for (theirs, (ours, _)) in ::tar::Archive::new(&tar[..]).entries().unwrap().zip(every_kind()) {
        let theirs = theirs.unwrap();
        count += 1;
        if matches!(ours.kind, EntryKind::Whiteout | EntryKind::Opaque) {
            continue;
        }
        let path = String::from_utf8_lossy(&theirs.path_bytes()).trim_end_matches('/').to_owned();
        assert_eq!(path.trim_start_matches('.'), String::from_utf8_lossy(&ours.path));
        if !matches!(ours.kind, EntryKind::HardLink { .. }) {
            assert_eq!(theirs.size(), ours.size());
        }
    }
    assert_eq!(count, every_kind().len());
}

#[test]
fn gnu_tar_in_every_format_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "set -e; mkdir -p a/b; echo hi > a/b/f; ln a/b/f a/h; ln -s b/f a/s; mkfifo a/p; \
         mkdir -p a/{0}; echo long > a/{0}/{0}; truncate -s 3000000 a/sparse; echo end >> a/sparse; \
         printf x | dd of=a/sparse bs=1 seek=1000000 conv=notrunc status=none; \
         for f in gnu pax ustar v7; do tar -c --format=$f -f $f.tar a 2>/dev/null || true; done; \
         tar -c --format=gnu -S -f old-sparse.tar a; \
         for v in 0.0 0.1 1.0; do tar -c --format=pax -S --sparse-version=$v -f sparse-$v.tar a; done",
        "n".repeat(120)
    );
    assert!(Command::new("sh").args(["-c", &script]).current_dir(&dir).status().unwrap().success());
    for name in ["gnu", "pax", "old-sparse", "sparse-0.0", "sparse-0.1", "sparse-1.0"] {
        let bytes = std::fs::read(dir.path().join(format!("{name}.tar"))).unwrap();
        let entries = read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let find = |path: &str| {
            let found = entries.iter().find(|(entry, _)| entry.path == path.as_bytes());
            found.unwrap_or_else(|| panic!("{name}: {path} is missing"))
        };
        let long = format!("a/{0}/{0}", "n".repeat(120));
        assert_eq!(find(&long).1, b"long\n", "{name}");
        let sparse = &find("a/sparse").1;
        assert_eq!(
            (sparse.len(), sparse[1_000_000], &sparse[3_000_000..]),
            (3_000_004, b'x', &b"end\n"[..]),
            "{name}"
        );
        assert_eq!(sparse.iter().filter(|byte| **byte != 0).count(), 5, "{name}");
    }
}

#[test]
fn hostile_names_are_refused_or_kept_inside() {
    let named = |path: &[u8]| {
        let mut header = ::tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path);
        header.set_size(0);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_entry_type(::tar::EntryType::Regular);
        header.set_cksum();
        let mut tar = header.as_bytes().to_vec();
        tar.extend_from_slice(&[0; 1024]);
        read(&tar).map(|entries| entries.into_iter().map(|(e, _)| (e.path, e.kind)).collect::<Vec<_>>())
    };
    let plain = |path: &str| vec![(path.as_bytes().to_vec(), EntryKind::File { size: 0 })];
    assert_eq!(named(b"/etc/passwd").unwrap(), plain("etc/passwd"));
    assert_eq!(named(b"././/a//./b").unwrap(), plain("a/b"));
    for bad in [&b"../x"[..], b"a/../../x", b"a/..", b".wh.", b"x/.wh...", b"."] {
        assert!(named(bad).is_err(), "{:?}", String::from_utf8_lossy(bad));
    }
    assert_eq!(named(b".wh..wh.plnk").unwrap(), []);
    assert_eq!(named(b"a/.wh.b").unwrap(), [(b"a/b".to_vec(), EntryKind::Whiteout)]);
    assert_eq!(named(b"a/.wh..wh..opq").unwrap(), [(b"a".to_vec(), EntryKind::Opaque)]);
}

#[test]
fn limits_hold() {
    let tar = write(&every_kind());
    let read = |limits| {
        let mut reader = TarReader::with_limits(&tar[..], limits);
        loop {
            match reader.next_entry() {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some(error.to_string()),
            }
        }
    };
    assert_eq!(read(TarLimits::default()), None);
    assert_eq!(
        read(TarLimits { entries: 3, ..TarLimits::default() }).unwrap(),
        "the tar has more than 3 entries"
    );
    assert_eq!(
        read(TarLimits { bytes: 8, ..TarLimits::default() }).unwrap(),
        "the tar has more than 8 bytes"
    );
    assert!(read(TarLimits { path: 100, ..TarLimits::default() }).is_some());
}

#[test]
fn content_must_have_the_size_that_was_announced() {
    let (entry, _) = file("f", b"four");
    for wrong in [&b"thr"[..], b"fives"] {
        let result = TarWriter::new(Vec::new()).append(&entry, &mut &wrong[..]);
        assert!(matches!(result, Err(LayerError::Changed { .. })));
    }
}

proptest! {
    #[test]
    fn any_entry_reads_back(
        name in "[a-z]{1,3}(/[^/\0]{1,80}){0,4}",
        content in proptest::collection::vec(any::<u8>(), 0..2000),
        mode in 0u32..0o10000, uid: u32, gid: u32, seconds in -10_000_000_000i64..100_000_000_000, nanos in 0u32..1_000_000_000,
        xattr in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        prop_assume!(name.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && !part.starts_with(".wh.") && part.len() <= 255));
        let meta = Metadata {
            mode, uid, gid, mtime: Mtime { seconds, nanos }, xattrs: vec![(b"user.x".to_vec(), xattr)],
        };
        let kind = EntryKind::File { size: content.len() as u64 };
        let entries = vec![(Entry { path: name.into_bytes(), kind, meta }, content)];
        let back = read(&write(&entries)).unwrap();
        prop_assert_eq!(back, entries);
    }

    #[test]
    fn damage_never_panics(position in 0usize..12_000, value: u8, cut in 0usize..14_000) {
        let mut tar = write(&every_kind());
        let position = position % tar.len();
        tar[position] = value;
        tar.truncate(cut.max(1));
        let _ = read(&tar);
    }
}
