//! Compiled as `#[cfg(test)]`: tars of GNU tar, indexed and mounted, against the same tars extracted by it.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;
use std::process::Command;

use rustix::fs::{AtFlags, CWD, FileType, Timespec, Timestamps, XattrFlags};

use super::support::{Mounted, assert_same, cannot_mount, fsck, index, scratch, snapshot};
use crate::fs::Root;
use crate::fs::mount::{OverlayOptions, overlay};
use crate::layers::{Entry, EntryKind, Metadata, Mtime, SinkOptions, store_tar};

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().expect("the program runs");
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

const XATTRS: [&str; 3] = ["--xattrs", "--xattrs-include=*", "--numeric-owner"];

fn make_tar(tree: &Path, tar: &Path) {
    let (tree, tar) = (tree.to_string_lossy(), tar.to_string_lossy());
    run("tar", &[&XATTRS[..], &["--format=pax", "--sort=name", "-C", &tree, "-cf", &tar, "."]].concat());
}

fn extract(tar: &Path, into: &Path) {
    fs::create_dir(into).expect("created");
    let (into, tar) = (into.to_string_lossy(), tar.to_string_lossy());
    run("tar", &[&XATTRS[..], &["-p", "--same-owner", "-C", &into, "-xf", &tar]].concat());
}

/// Reads a tar with another crate than ours, so that a mistake there is no mistake here.
fn entries(tar: &Path) -> Vec<(Entry, u64)> {
    let mut archive = tar::Archive::new(File::open(tar).expect("opened"));
    archive
        .entries()
        .expect("a tar")
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let offset = entry.raw_file_position();
            (convert(&mut entry), offset)
        })
        .collect()
}

fn clean(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    path.strip_suffix(b"/").unwrap_or(path).to_vec()
}

fn convert(entry: &mut tar::Entry<'_, File>) -> Entry {
    let header = entry.header().clone();
    let mut meta = Metadata {
        mode: header.mode().expect("a mode"),
        uid: header.uid().expect("a uid") as u32,
        gid: header.gid().expect("a gid") as u32,
        mtime: Mtime { seconds: header.mtime().expect("a time") as i64, nanos: 0 },
        xattrs: Vec::new(),
    };
    let link = entry.link_name_bytes().unwrap_or_default().into_owned();
    let path = clean(&entry.path_bytes());
    for record in entry.pax_extensions().expect("pax").into_iter().flatten() {
        let record = record.expect("a record");
        let (key, value) = (record.key().expect("a key"), record.value_bytes());
        let text = String::from_utf8_lossy(value);
        match key {
            "mtime" => meta.mtime = time(&text),
            "uid" => meta.uid = text.parse().expect("a number"),
            "gid" => meta.gid = text.parse().expect("a number"),
            _ => {
                if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    meta.xattrs.push((name.into(), value.to_vec()));
                }
            }
        }
    }
    meta.xattrs.sort();
    let device = || (header.device_major().unwrap().unwrap(), header.device_minor().unwrap().unwrap());
    let kind = match header.entry_type() {
        tar::EntryType::Regular => EntryKind::File { size: entry.size() },
        tar::EntryType::Directory => EntryKind::Directory,
        tar::EntryType::Symlink => EntryKind::Symlink { target: link },
        tar::EntryType::Link => EntryKind::HardLink { target: clean(&link) },
        tar::EntryType::Char => EntryKind::CharDevice { major: device().0, minor: device().1 },
        tar::EntryType::Block => EntryKind::BlockDevice { major: device().0, minor: device().1 },
        tar::EntryType::Fifo => EntryKind::Fifo,
        other => panic!("{other:?}"),
    };
    Entry { path: if path == b"." { Vec::new() } else { path }, kind, meta }
}

fn time(text: &str) -> Mtime {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().expect("seconds");
    let nanos: u32 = format!("{fraction:0<9}").parse().expect("nanoseconds");
    match (text.starts_with('-'), nanos) {
        (true, 1..) => Mtime { seconds: seconds - 1, nanos: 1_000_000_000 - nanos },
        _ => Mtime { seconds, nanos },
    }
}

/// Stores a tar as a pulled layer is, and mounts what came of it.
fn store(tar: &Path, home: &Path) -> Mounted {
    let (dir, mut file) = (home.join("layer"), File::open(tar).expect("opened"));
    fs::create_dir(&dir).expect("created");
    store_tar(&Root::open(&dir).expect("opened"), &mut file, SinkOptions { index: true }).expect("stored");
    let image = fs::read(dir.join("index.erofs")).expect("indexed");
    Mounted::new(&image, &File::open(dir.join("layer.tar")).expect("opened"))
}

/// Indexes and mounts the tar of a tree, by another crate's reading and by ours, and compares.
fn check(tree: &Path) -> (tempfile::TempDir, Mounted) {
    let home = tempfile::tempdir().expect("a directory");
    let elsewhere = scratch();
    let (tar, unpacked) = (home.path().join("layer.tar"), elsewhere.path().join("unpacked"));
    make_tar(tree, &tar);
    extract(&tar, &unpacked);
    let file = File::open(&tar).expect("opened");
    let size = file.metadata().expect("a stat").len();
    let entries = entries(&tar);
    let image = index(&entries, size).expect("indexed");
    assert_eq!(image, index(&entries, size).expect("indexed"), "the same bytes each time");
    fsck(&image, &tar);
    let mounted = Mounted::new(&image, &file);
    let wanted = snapshot(&unpacked);
    assert_same(&snapshot(&mounted.path()), &wanted);
    let stored = store(&tar, home.path());
    assert_same(&snapshot(&stored.path()), &wanted);
    (home, mounted)
}

#[test]
fn a_real_tree() {
    if cannot_mount() {
        return;
    }
    for tree in ["/usr/share/doc", "/usr/include", "/etc"] {
        if Path::new(tree).exists() {
            check(Path::new(tree));
        }
    }
}

fn set_time(path: &Path, seconds: i64, nanos: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("a time");
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).expect("an xattr");
}

fn own(path: &Path, uid: u32, gid: u32) {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid)).expect("owned");
}

/// Files of every kind and size, at the edges of what the format tells apart.
fn odd_tree(root: &Path) {
    let at = |name: &str| root.join(name);
    let node = |name: &str, kind, major, minor| {
        let number = rustix::fs::makedev(major, minor);
        rustix::fs::mknodat(CWD, at(name), kind, 0o640.into(), number).expect("made");
    };
    for size in [0, 1, 511, 512, 513, 4095, 4096, 4097, 1_000_000] {
        let bytes: Vec<u8> = (0..size).map(|n: u32| (n * 31 / 7) as u8).collect();
        fs::write(at(&format!("size-{size}")), bytes).expect("written");
    }
    for length in [1, 2, 254, 255] {
        fs::write(at(&"n".repeat(length)), "named").expect("written");
    }
    for length in [1, 100, 383, 384, 385, 415, 416, 447, 448, 449, 480, 511, 512, 513, 1000, 1024, 4000, 4095]
    {
        symlink("t".repeat(length), at(&format!("link-{length}"))).expect("linked");
    }
    fs::create_dir_all(at("deep/er/and/deeper")).expect("created");
    for count in [1, 10, 20, 30, 40, 41, 42, 43, 44, 45, 100, 1000] {
        let dir = at(&format!("dir-{count}"));
        fs::create_dir(&dir).expect("created");
        // Names on both sides of the dot.
        (0..count)
            .for_each(|n| drop(File::create(dir.join(format!("{}{n}", ['!', '-', '.', 'a', 'é'][n % 5])))));
    }
    fs::write(at("-before-the-dot"), "").expect("written");
    fs::write(at("hard-1"), "hard").expect("written");
    for n in 2..6 {
        fs::hard_link(at("hard-1"), at(&format!("deep/hard-{n}"))).expect("linked");
    }
    symlink("x", at("soft-1")).expect("linked");
    fs::hard_link(at("soft-1"), at("soft-2")).expect("linked");
    node("char", FileType::CharacterDevice, 1, 3);
    node("block", FileType::BlockDevice, 259, 70_000);
    node("fifo", FileType::Fifo, 0, 0);
    fs::write(at("owner"), "").expect("written");
    own(&at("owner"), 3_000_000, 65_536);
    own(&at("deep/er"), 65_535, 4_000_000_000);
    own(&at("link-1"), 70_000, 1);
    run("chmod", &["6751", &at("size-1").to_string_lossy()]);
    run("chmod", &["1777", &at("deep").to_string_lossy()]);
    set_xattr(&at("size-513"), "user.small", b"");
    set_xattr(&at("size-513"), "user.binary", b"\0\x01\xff=");
    set_xattr(&at("size-513"), "trusted.big", &[b'v'; 1500]);
    set_xattr(&at("size-0"), "security.capability", b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    set_xattr(&at("dir-1"), &format!("user.{}", "n".repeat(250)), b"long name");
    set_xattr(&at("dir-1000"), "trusted.x", &[b'v'; 600]);
    for (n, seconds) in [-1, 0, 1, -2_000_000_000, 5_000_000_000, 1_700_000_000].into_iter().enumerate() {
        let path = at(&format!("time-{n}"));
        fs::write(&path, "").expect("written");
        set_time(&path, seconds, n as i64 * 123_456_789);
    }
    set_time(&at("link-100"), 1_234_567_890, 987_654_321);
    set_time(&at("dir-10"), -7, 0);
    set_time(root, 1_111_111_111, 5);
}

#[test]
fn an_odd_tree() {
    if cannot_mount() {
        return;
    }
    let tree = scratch();
    odd_tree(tree.path());
    let (_home, mounted) = check(tree.path());
    for (name, found) in
        [("dir-1000/!995", true), ("dir-1000/!9950", false), ("dir-1000/..", true), ("absent", false)]
    {
        assert_eq!(mounted.path().join(name).exists(), found, "{name}");
    }
    let error = fs::write(mounted.path().join("new"), "").expect_err("read-only");
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
}

#[test]
fn a_directory_of_very_many() {
    if cannot_mount() {
        return;
    }
    let tree = scratch();
    let dir = tree.path().join("many");
    fs::create_dir(&dir).expect("created");
    for n in 0..70_000 {
        let path = dir.join(format!("a-name-{n}"));
        if n % 1000 == 0 { fs::create_dir(path) } else { File::create(path).map(drop) }.expect("created");
    }
    check(tree.path());
}

#[test]
fn under_an_overlay() {
    if cannot_mount() {
        return;
    }
    let tree = scratch();
    odd_tree(tree.path());
    let (home, mounted) = check(tree.path());
    let dir = |name: &str| {
        fs::create_dir(home.path().join(name)).expect("created");
        File::open(home.path().join(name)).expect("opened")
    };
    let (upper, work) = (dir("upper"), dir("work"));
    let lowers = [mounted.mount.as_fd()];
    let options = OverlayOptions {
        lowers: &lowers,
        upper: Some((upper.as_fd(), work.as_fd())),
        volatile: true,
        userxattr: false,
    };
    let over = Mounted { mount: overlay(&options).expect("mounted") };
    let at = |name: &str| over.path().join(name);
    let append = |name: &str, text: &str| {
        let mut file = File::options().append(true).open(at(name)).expect("opened");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("written");
    };
    append("size-4097", "more");
    assert_eq!(fs::metadata(at("size-4097")).expect("a stat").len(), 4101);
    append("size-513", "more");
    let mut value = [0; 2000];
    assert_eq!(rustix::fs::getxattr(at("size-513"), "trusted.big", &mut value).expect("copied up"), 1500);
    fs::remove_file(at("hard-1")).expect("removed");
    assert_eq!(fs::read_to_string(at("deep/hard-2")).expect("still there"), "hard");
    fs::rename(at("fifo"), at("deep/fifo")).expect("renamed");
    assert!(fs::symlink_metadata(at("deep/fifo")).expect("there").file_type().is_fifo());
    fs::remove_dir_all(at("dir-1000")).expect("removed");
    fs::create_dir(at("dir-1000")).expect("created again");
    assert_eq!(fs::read_dir(at("dir-1000")).expect("empty").count(), 0);
    fs::write(at("deep/er/new"), "new").expect("written");
    let error = fs::rename(at("dir-100"), at("dir-renamed")).expect_err("redirects are off");
    assert_eq!(error.raw_os_error(), Some(libc::EXDEV));
    run("mv", &[&at("dir-100").to_string_lossy(), &at("dir-moved").to_string_lossy()]);
    assert_eq!(fs::read_dir(at("dir-moved")).expect("moved").count(), 100);
    let names: Vec<_> =
        fs::read_dir(at("")).expect("a root").map(|e| e.expect("an entry").file_name()).collect();
    assert!(!names.iter().any(|name| name.as_bytes() == b"hard-1"), "{names:?}");
}
