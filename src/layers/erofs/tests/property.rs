//! Compiled as `#[cfg(test)]`: random layers, indexed, against the same entries unpacked by the rules of tar.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Timespec, Timestamps, XattrFlags};

use super::support::{Mounted, assert_same, cannot_mount, index, meta, scratch, snapshot};
use crate::fs::Root;
use crate::layers::{
    Entry, EntryKind, Metadata, Mtime, SinkOptions, TarWriter, UnpackOptions, store_tar, unpack,
};

const DEVICE_BLOCKS: u64 = 64;

fn path() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c", "-", ".x"]).prop_map(str::to_owned),
        1 => (200_usize..256).prop_map(|length| "l".repeat(length)),
        1 => (0..40).prop_map(|n| format!("some-longer-name-{n}")),
    ];
    prop::collection::vec(name, 1..4).prop_map(|parts| parts.join("/").into_bytes())
}

fn kind() -> impl Strategy<Value = EntryKind> {
    prop_oneof![
        6 => (0..9000_u64).prop_map(|size| EntryKind::File { size }),
        4 => Just(EntryKind::Directory),
        2 => (1..700_usize).prop_map(|length| EntryKind::Symlink { target: vec![b't'; length] }),
        2 => path().prop_map(|target| EntryKind::HardLink { target }),
        1 => (0..300_u32, 0..1000_u32).prop_map(|(major, minor)| EntryKind::CharDevice { major, minor: minor + 1 }),
        1 => (0..300_u32, 0..1000_u32).prop_map(|(major, minor)| EntryKind::BlockDevice { major, minor }),
        1 => Just(EntryKind::Fifo),
        2 => Just(EntryKind::Whiteout),
        1 => Just(EntryKind::Opaque),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let id = prop_oneof![Just(0_u32), 0..70_000_u32];
    let xattrs =
        prop::collection::btree_map("trusted\\.[a-z]{1,20}", prop::collection::vec(any::<u8>(), 0..80), 0..3);
    let seconds = prop_oneof![Just(1_000_i64), -1000..2_000_000_000_i64];
    let nanos = prop_oneof![Just(0_u32), 0..1_000_000_000_u32];
    (0..0o10000_u32, id.clone(), id, seconds, nanos, xattrs).prop_map(
        |(mode, uid, gid, seconds, nanos, xattrs)| {
            let xattrs = xattrs.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
            Metadata { xattrs, ..meta(mode, uid, gid, seconds, nanos) }
        },
    )
}

fn entry() -> impl Strategy<Value = (Entry, u64)> {
    (path(), kind(), metadata(), 0..DEVICE_BLOCKS - 20)
        .prop_map(|(path, kind, meta, block)| (Entry { path, kind, meta }, block * 512))
}

/// Unpacks entries into a real directory; says of each whether it could be.
struct Unpacker {
    root: PathBuf,
    data: Vec<u8>,
    /// The times of directories, set when all is done.
    times: BTreeMap<PathBuf, Mtime>,
}

impl Unpacker {
    fn apply(&mut self, entry: &Entry, offset: u64) -> bool {
        let at = self.root.join(std::str::from_utf8(&entry.path).expect("text"));
        if let EntryKind::HardLink { target } = &entry.kind {
            return self.link(&at, target);
        }
        if entry.kind == EntryKind::Opaque {
            return self.parents(&at.join("below")) && self.set_opaque(&at);
        }
        if !self.parents(&at) {
            return false;
        }
        let old = fs::symlink_metadata(&at).ok();
        let was_dir = old.as_ref().is_some_and(|old| old.is_dir());
        let was_gone = is_whiteout(&at);
        match (&entry.kind, &old) {
            (EntryKind::Whiteout, Some(_)) => return if was_dir { self.set_opaque(&at) } else { true },
            (EntryKind::Directory, Some(_)) if was_dir => self.strip(&at),
            (_, Some(_)) => self.remove(&at),
            _ => {}
        }
        self.make(&at, &entry.kind, offset, was_dir);
        if entry.kind == EntryKind::Directory && was_gone {
            self.set_opaque(&at);
        }
        if entry.kind != EntryKind::Whiteout {
            self.dress(&at, &entry.kind, &entry.meta);
        }
        true
    }

    fn make(&self, at: &Path, kind: &EntryKind, offset: u64, was_dir: bool) {
        let node = |kind, major, minor| {
            let number = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(CWD, at, kind, 0.into(), number).expect("made");
        };
        match kind {
            EntryKind::File { size } => {
                fs::write(at, &self.data[offset as usize..][..*size as usize]).expect("written");
            }
            EntryKind::Directory if was_dir => {}
            EntryKind::Directory => fs::create_dir(at).expect("created"),
            EntryKind::Symlink { target } => {
                symlink(std::str::from_utf8(target).expect("text"), at).expect("linked");
            }
            EntryKind::CharDevice { major, minor } => node(FileType::CharacterDevice, *major, *minor),
            EntryKind::BlockDevice { major, minor } => node(FileType::BlockDevice, *major, *minor),
            EntryKind::Fifo => node(FileType::Fifo, 0, 0),
            EntryKind::Whiteout => node(FileType::CharacterDevice, 0, 0),
            EntryKind::HardLink { .. } | EntryKind::Opaque => unreachable!("handled before"),
        }
    }

    fn dress(&mut self, at: &Path, kind: &EntryKind, meta: &Metadata) {
        std::os::unix::fs::lchown(at, Some(meta.uid), Some(meta.gid)).expect("owned");
        if !matches!(kind, EntryKind::Symlink { .. }) {
            fs::set_permissions(at, fs::Permissions::from_mode(meta.mode)).expect("set");
        }
        for (name, value) in &meta.xattrs {
            rustix::fs::lsetxattr(at, name.as_slice(), value, XattrFlags::empty()).expect("set");
        }
        set_time(at, meta.mtime);
        if *kind == EntryKind::Directory {
            self.times.insert(at.to_owned(), meta.mtime);
        }
    }

    fn link(&mut self, at: &Path, target: &[u8]) -> bool {
        let mut from = self.root.clone();
        for part in std::str::from_utf8(target).expect("text").split('/') {
            if !fs::symlink_metadata(&from).is_ok_and(|stat| stat.is_dir()) {
                return false;
            }
            from.push(part);
        }
        let Ok(stat) = fs::symlink_metadata(&from) else { return false };
        // Replacing a parent of what is linked to has no sensible outcome.
        if stat.is_dir() || is_whiteout(&from) || from.starts_with(at) || at.starts_with(&from) {
            return false;
        }
        if !self.parents(at) {
            return false;
        }
        if fs::symlink_metadata(at).is_ok() {
            self.remove(at);
        }
        fs::hard_link(from, at).expect("linked");
        true
    }

    /// Makes the directories above; false if something else is in the way.
    fn parents(&mut self, at: &Path) -> bool {
        let mut dir = self.root.clone();
        let parts: Vec<_> =
            at.strip_prefix(&self.root).expect("below").parent().expect("a parent").iter().collect();
        for part in parts {
            dir.push(part);
            let gone = is_whiteout(&dir);
            if gone {
                fs::remove_file(&dir).expect("removed");
            }
            match fs::symlink_metadata(&dir) {
                Ok(stat) if stat.is_dir() => {}
                Ok(_) => return false,
                Err(_) => {
                    fs::create_dir(&dir).expect("created");
                    // Else a parent with the set-group-ID bit hands its group down.
                    std::os::unix::fs::lchown(&dir, Some(0), Some(0)).expect("owned");
                    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("set");
                    self.times.insert(dir.clone(), Mtime { seconds: 0, nanos: 0 });
                }
            }
            if gone {
                self.set_opaque(&dir);
            }
        }
        true
    }

    fn set_opaque(&self, at: &Path) -> bool {
        rustix::fs::lsetxattr(at, "trusted.overlay.opaque", b"y", XattrFlags::empty()).expect("set");
        true
    }

    /// Drops a directory's attributes but the mark.
    fn strip(&self, at: &Path) {
        let mut names = vec![0; 1 << 16];
        let length = rustix::fs::llistxattr(at, &mut names).expect("listed");
        for name in names[..length].split(|byte| *byte == 0) {
            if !name.is_empty() && name != b"trusted.overlay.opaque" {
                rustix::fs::lremovexattr(at, name).expect("removed");
            }
        }
    }

    fn remove(&mut self, at: &Path) {
        let is_dir = fs::symlink_metadata(at).expect("there").is_dir();
        if is_dir { fs::remove_dir_all(at) } else { fs::remove_file(at) }.expect("removed");
        self.times.retain(|path, _| !path.starts_with(at));
    }

    fn finish(&self) {
        set_time(&self.root, Mtime { seconds: 0, nanos: 0 });
        for (path, time) in self.times.iter().rev() {
            set_time(path, *time);
        }
    }
}

fn is_whiteout(at: &Path) -> bool {
    fs::symlink_metadata(at).is_ok_and(|stat| stat.file_type().is_char_device() && stat.rdev() == 0)
}

fn set_time(at: &Path, time: Mtime) {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, at, &times, AtFlags::SYMLINK_NOFOLLOW).expect("a time");
}

/// Entries that unpack without an error, and the directory that they unpack to.
fn unpacked(mut entries: Vec<(Entry, u64)>, home: &Path) -> (Vec<(Entry, u64)>, Unpacker) {
    let root = home.join("root");
    fs::create_dir(&root).expect("created");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).expect("set");
    let data: Vec<u8> = (0..DEVICE_BLOCKS * 512).map(|n| ((n / 3) ^ (n / 512)) as u8).collect();
    let mut unpacker = Unpacker { root, data, times: BTreeMap::new() };
    entries.retain(|(entry, offset)| unpacker.apply(entry, *offset));
    unpacker.finish();
    (entries, unpacker)
}

fn same_as_unpacked(entries: Vec<(Entry, u64)>) {
    let home = scratch();
    let (entries, unpacker) = unpacked(entries, home.path());
    let mut device = tempfile::tempfile().expect("a file");
    device.write_all(&unpacker.data).expect("written");
    let image = index(&entries, DEVICE_BLOCKS * 512).expect("indexed");
    let mounted = Mounted::new(&image, &device);
    assert_same(&snapshot(&mounted.path()), &snapshot(&unpacker.root));
}

/// Both forms of a layer, of one tar.
fn same_in_both_forms(entries: Vec<(Entry, u64)>) {
    let home = scratch();
    let (entries, unpacker) = unpacked(entries, home.path());
    let mut tar = TarWriter::new(Vec::new());
    for (entry, offset) in &entries {
        let data = &unpacker.data[*offset as usize..][..entry.size() as usize];
        tar.append_bytes(entry, data).expect("written");
    }
    let tar = tar.finish().expect("written");
    let dir = |name: &str| {
        fs::create_dir(home.path().join(name)).expect("created");
        Root::open(&home.path().join(name)).expect("opened")
    };
    unpack(&mut tar.as_slice(), &dir("fs"), &UnpackOptions::default()).expect("unpacked");
    store_tar(&dir("layer"), &mut tar.as_slice(), SinkOptions { index: true }).expect("stored");
    let image = fs::read(home.path().join("layer/index.erofs")).expect("indexed");
    let mounted = Mounted::new(&image, &File::open(home.path().join("layer/layer.tar")).expect("opened"));
    let mut wanted = snapshot(&home.path().join("fs"));
    let mut found = snapshot(&mounted.path());
    // The root is the store's where the tar has none.
    wanted.remove(&b""[..]);
    found.remove(&b""[..]);
    assert_same(&found, &wanted);
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() }
}

#[test]
fn random_layers() {
    if !cannot_mount() {
        proptest!(config(), |(entries in prop::collection::vec(entry(), 0..60))| same_as_unpacked(entries));
    }
}

#[test]
fn random_layers_in_both_forms() {
    if !cannot_mount() {
        proptest!(config(), |(entries in prop::collection::vec(entry(), 0..60))| same_in_both_forms(entries));
    }
}
