//! Trees to layers and back.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::*;
use crate::fs::{FileKind, Root};
use crate::image::{DiffId, Digest};

/// What a tree looks like from outside: path, then type, mode, owner, size, time, links, content or target.
fn picture(root: &Path) -> BTreeMap<String, String> {
    let script = r#"find . -mindepth 1 -printf '%P|%y %m %U:%G %T@ %l ' \( -type f -exec sh -c 'sha256sum < "$1" | tr -d "\n"; stat -c " %s %h" "$1" | tr -d "\n"' _ {} \; -o -true \) -printf '\n'"#;
    let output = Command::new("sh").args(["-c", script]).current_dir(root).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(path, rest)| (path.to_owned(), rest.to_owned()))
        .collect()
}

fn make_tree(dir: &Path) {
    std::fs::create_dir_all(dir.join("a/b")).unwrap();
    for n in 0..300 {
        std::fs::write(dir.join(format!("a/b/{n}")), format!("{n}\n").repeat(n)).unwrap();
    }
    std::fs::write(dir.join("big"), vec![7u8; 5 << 20]).unwrap();
    std::fs::hard_link(dir.join("big"), dir.join("a/same")).unwrap();
    symlink("../nowhere", dir.join("a/link")).unwrap();
    let root = Root::open(dir).unwrap();
    root.mknod("fifo", FileKind::Fifo, 0o640, (0, 0)).unwrap();
    root.set_mode("a/b/7", 0o4711).unwrap();
    if rustix::process::geteuid().is_root() {
        root.mknod("a/null", FileKind::CharDevice, 0o666, (1, 3)).unwrap();
        root.set_owner("a/b/8", 70_000, 3_000_000).unwrap();
        root.set_xattr(
            "a/b/9",
            b"security.capability",
            &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        )
        .unwrap();
    }
    // Times to the second, as layers keep them; children first.
    for path in ["a/b/1", "a/link", "a/b", "a", "fifo", "big"] {
        root.set_times(path, crate::fs::Time { seconds: 1_600_000_000, nanos: 0 }).unwrap();
    }
    let all = Command::new("sh")
        .args(["-c", "find . -depth -exec touch -h -d @1600000000 {} +"])
        .current_dir(dir)
        .status();
    assert!(all.unwrap().success());
}

#[test]
fn a_tree_packed_and_unpacked_is_the_same() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make_tree(from.path());
    let mut tar = Vec::new();
    let written = pack_tree(&Root::open(from.path()).unwrap(), &mut tar, &PackOptions::default()).unwrap();
    assert_eq!((written.diff_id, written.size), (DiffId::of_tar(Digest::of(&tar)), tar.len() as u64));
    let root = Root::open(to.path()).unwrap();
    let stats = unpack(&mut &tar[..], &root, &UnpackOptions::default()).unwrap();
    assert_eq!(stats.entries, written.entries);
    assert_eq!(picture(to.path()), picture(from.path()));
    assert_eq!(std::fs::metadata(to.path().join("a/same")).unwrap().nlink(), 2);
    let mut again = Vec::new();
    pack_tree(&root, &mut again, &PackOptions::default()).unwrap();
    assert_eq!(again, tar, "the same tree gives the same bytes");
}

#[test]
fn overlay_marks_become_whiteouts_and_come_back() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = Root::open(from.path()).unwrap();
    root.create_dir_all("d/opaque", 0o755).unwrap();
    root.set_xattr("d/opaque", b"trusted.overlay.opaque", b"y").unwrap();
    root.set_xattr("d", b"trusted.overlay.origin", b"kept out").unwrap();
    root.mknod("d/gone", FileKind::CharDevice, 0, (0, 0)).unwrap();
    let mut tar = Vec::new();
    pack_upper(&root, &mut tar, &PackOptions::default()).unwrap();
    let names: Vec<String> = ::tar::Archive::new(&tar[..])
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["d/", "d/.wh.gone", "d/opaque/", "d/opaque/.wh..wh..opq"]);
    let into = Root::open(to.path()).unwrap();
    unpack(&mut &tar[..], &into, &UnpackOptions::default()).unwrap();
    assert_eq!(into.stat("d/gone", crate::fs::Follow::No).unwrap().unwrap().rdev, (0, 0));
    assert_eq!(into.xattrs("d/opaque").unwrap(), [(b"trusted.overlay.opaque".to_vec(), b"y".to_vec())]);
    assert_eq!(into.xattrs("d").unwrap(), []);
}

#[test]
fn capabilities_of_files_are_kept() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // CAP_NET_RAW, permitted and effective (linux/capability.h, VFS_CAP_REVISION_2).
    let mut value = vec![0u8; 20];
    value[..8].copy_from_slice(&[1, 0, 0, 2, 0, 0x20, 0, 0]);
    let from = tempfile::tempdir().unwrap();
    let root = Root::open(from.path()).unwrap();
    for name in ["empty", "ping"] {
        std::fs::write(from.path().join(name), if name == "empty" { "" } else { "program" }).unwrap();
        root.set_xattr(name, b"security.capability", &value).unwrap();
    }
    std::fs::write(from.path().join("plain"), "text").unwrap();
    root.set_xattr("plain", b"user.other", b"left out").unwrap();
    let mut tar = Vec::new();
    pack_upper(&root, &mut tar, &PackOptions::default()).unwrap();
    let mut reader = TarReader::new(&tar[..]);
    let mut found = Vec::new();
    while let Some((entry, _)) = reader.next_entry().unwrap() {
        found.push((String::from_utf8(entry.path.clone()).unwrap(), entry.meta.xattrs.clone()));
    }
    let capability = vec![(b"security.capability".to_vec(), value)];
    assert_eq!(
        found,
        [
            ("empty".to_owned(), capability.clone()),
            ("ping".to_owned(), capability),
            ("plain".to_owned(), vec![])
        ]
    );
}

#[test]
fn a_sink_writes_what_a_tar_writer_writes() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make_tree(from.path());
    let root = Root::open(from.path()).unwrap();
    let mut expected = Vec::new();
    let packed = pack_tree(&root, &mut expected, &PackOptions::default()).unwrap();
    let mut reader = TarReader::new(&expected[..]);
    let mut entries = Vec::new();
    while let Some((entry, _)) = reader.next_entry().unwrap() {
        entries.push(entry);
    }
    let into = Root::open(to.path()).unwrap();
    let mut sink = LayerSink::create(&into, SinkOptions { index: true }).unwrap();
    let names: Vec<_> = entries.iter().map(|e| String::from_utf8(e.path.clone()).unwrap()).collect();
    for (entry, name) in entries.iter().zip(&names) {
        let content =
            matches!(entry.kind, EntryKind::File { .. }).then(|| root.open_file_nofollow(name).unwrap());
        match content {
            Some(mut file) => sink.append(entry, &mut file).unwrap(),
            None => sink.append_bytes(entry, b"").unwrap(),
        }
    }
    assert!(sink.append_bytes(&entries[0], b"").is_err(), "no path twice");
    let written = sink.finish().unwrap();
    assert_eq!(written, packed);
    assert_eq!(std::fs::read(to.path().join(LAYER_TAR)).unwrap(), expected);
    assert!(to.path().join(LAYER_INDEX).exists());

    let kept = tempfile::tempdir().unwrap();
    let mut packed = Vec::new();
    compress(&mut &expected[..], &mut packed, Compression::Gzip { level: 1 }).unwrap();
    let kept_root = Root::open(kept.path()).unwrap();
    let (digest, again) = store_blob(&kept_root, &packed[..], SinkOptions { index: true }).unwrap();
    assert_eq!((digest, again), (Digest::of(&packed), written));
    assert_eq!(std::fs::read(kept.path().join(LAYER_TAR)).unwrap(), expected);
    assert_eq!(
        std::fs::read(kept.path().join(LAYER_INDEX)).unwrap(),
        std::fs::read(to.path().join(LAYER_INDEX)).unwrap()
    );
}

#[test]
fn a_hostile_layer_stays_inside() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("outside"), "safe").unwrap();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    let into = Root::open(&dir.path().join("root")).unwrap();
    let entry = |path: &str, kind| Entry {
        path: path.into(),
        kind,
        meta: Metadata { mode: 0o755, ..Metadata::default() },
    };
    let attacks = [
        vec![
            entry("up", EntryKind::Symlink { target: b"..".to_vec() }),
            entry("up/outside", EntryKind::File { size: 0 }),
        ],
        vec![
            entry("x", EntryKind::Symlink { target: b"../outside".to_vec() }),
            entry("x", EntryKind::File { size: 0 }),
        ],
        vec![
            entry("s", EntryKind::Symlink { target: dir.path().as_os_str().as_encoded_bytes().to_vec() }),
            entry("h", EntryKind::HardLink { target: b"s/outside".to_vec() }),
        ],
        vec![
            entry("d", EntryKind::Directory),
            entry("d/e", EntryKind::Symlink { target: b"/".to_vec() }),
            entry("d/e", EntryKind::Opaque),
        ],
    ];
    for attack in attacks {
        let mut tar = TarWriter::new(Vec::new());
        for entry in &attack {
            tar.append_bytes(entry, b"").unwrap();
        }
        let _ = unpack(&mut &tar.finish().unwrap()[..], &into, &UnpackOptions::default());
        assert_eq!(std::fs::read(dir.path().join("outside")).unwrap(), b"safe", "{attack:?}");
    }
    assert!(std::fs::symlink_metadata(dir.path().join("root/x")).unwrap().is_file(), "the link gave way");
}

#[test]
fn a_truncated_layer_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    make_tree(dir.path());
    let mut tar = Vec::new();
    pack_tree(&Root::open(dir.path()).unwrap(), &mut tar, &PackOptions::default()).unwrap();
    for cut in [700, 100_000, tar.len() / 2] {
        let to = tempfile::tempdir().unwrap();
        let root = Root::open(to.path()).unwrap();
        assert!(store_tar(&root, &mut &tar[..cut], SinkOptions::default()).is_err(), "{cut}");
    }
}

#[test]
fn a_tar_that_ends_before_its_last_padding_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let root = Root::open(dir.path()).unwrap();
    let entry = Entry { path: b"f".to_vec(), kind: EntryKind::File { size: 3 }, meta: Metadata::default() };
    let mut tar = TarWriter::new(Vec::new());
    tar.append_bytes(&entry, b"abc").unwrap();
    let bytes = tar.finish().unwrap();
    for (length, whole) in [(512 + 3, true), (512 + 200, true), (1024, true), (512 + 2, false)] {
        let _ = root.remove_file(LAYER_TAR);
        let _ = root.remove_file(LAYER_INDEX);
        let stored = store_tar(&root, &mut &bytes[..length], SinkOptions { index: true });
        assert_eq!(stored.is_ok(), whole, "{length}");
        let index = root.stat(LAYER_INDEX, crate::fs::Follow::No).unwrap().is_some();
        assert_eq!(index, whole && length == 1024, "{length}");
    }
}
