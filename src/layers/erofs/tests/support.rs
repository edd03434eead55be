//! Compiled as `#[cfg(test)]`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::layers::erofs::{IndexBuilder, IndexError};
use crate::layers::{Entry, EntryKind, Metadata, Mtime};

/// What a user can see of one file.
#[derive(Clone, Default, Eq, PartialEq)]
pub(super) struct Facts {
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) mtime: (i64, i64),
    pub(super) links: u64,
    pub(super) size: u64,
    pub(super) device: u64,
    /// The first name of the same inode.
    pub(super) same_as: Vec<u8>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// A hash of the bytes, or a symlink's target.
    pub(super) content: Vec<u8>,
}

impl std::fmt::Debug for Facts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Facts { mode, owner, mtime, links, size, device, same_as, xattrs, content } = self;
        write!(f, "{mode:o} {owner:?} {mtime:?} links {links} size {size} device {device:x} ")?;
        write!(f, "same as {:.60} ", String::from_utf8_lossy(same_as))?;
        let names = xattrs.keys().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join(" ");
        write!(f, "xattrs {names:.80} {:x?}", &content[..content.len().min(8)])
    }
}

pub(super) type Snapshot = BTreeMap<Vec<u8>, Facts>;

pub(super) fn snapshot(root: &Path) -> Snapshot {
    let mut walk = Walk { root: root.to_owned(), found: Snapshot::new(), inodes: BTreeMap::new() };
    walk.visit(Path::new(""));
    walk.found
}

struct Walk {
    root: PathBuf,
    found: Snapshot,
    inodes: BTreeMap<u64, Vec<u8>>,
}

impl Walk {
    fn visit(&mut self, path: &Path) {
        let full = self.root.join(path);
        // The root's own name may be a symlink to a descriptor.
        let stat = if path == Path::new("") { fs::metadata(&full) } else { fs::symlink_metadata(&full) };
        let stat = stat.unwrap_or_else(|error| panic!("{}: {error}", full.display()));
        let name = path.as_os_str().as_bytes().to_vec();
        let is_whiteout = stat.mode() & libc::S_IFMT == libc::S_IFCHR && stat.rdev() == 0;
        let facts = if is_whiteout {
            Facts { mode: libc::S_IFCHR, ..Facts::default() }
        } else {
            let same_as = self.inodes.entry(stat.ino()).or_insert_with(|| name.clone()).clone();
            facts(&full, &stat, same_as)
        };
        self.found.insert(name, facts);
        if stat.is_dir() {
            let entries = fs::read_dir(&full).expect("a directory");
            let mut names: Vec<_> = entries
                .map(|entry| {
                    let entry = entry.expect("an entry");
                    let kind = entry.file_type().expect("a type");
                    assert_eq!(kind, entry.metadata().expect("a stat").file_type(), "{entry:?}");
                    entry.file_name()
                })
                .collect();
            names.sort();
            names.iter().for_each(|name| self.visit(&path.join(name)));
        }
    }
}

fn facts(path: &Path, stat: &fs::Metadata, same_as: Vec<u8>) -> Facts {
    let content = match stat.mode() & libc::S_IFMT {
        libc::S_IFREG => blake3::hash(&fs::read(path).expect("readable")).as_bytes().to_vec(),
        libc::S_IFLNK => fs::read_link(path).expect("a link").into_os_string().into_vec(),
        _ => Vec::new(),
    };
    Facts {
        mode: stat.mode(),
        owner: (stat.uid(), stat.gid()),
        mtime: (stat.mtime(), stat.mtime_nsec()),
        links: stat.nlink(),
        size: if stat.is_dir() { 0 } else { stat.size() },
        device: stat.rdev(),
        same_as,
        xattrs: xattrs(path, stat.is_dir()),
        content,
    }
}

fn xattrs(path: &Path, follow: bool) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let length = if follow {
        rustix::fs::listxattr(path, &mut names)
    } else {
        rustix::fs::llistxattr(path, &mut names)
    };
    let length = length.expect("xattrs");
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let read = |name: &[u8]| {
        let mut value = vec![0; 1 << 16];
        let length = if follow {
            rustix::fs::getxattr(path, name, &mut value)
        } else {
            rustix::fs::lgetxattr(path, name, &mut value)
        };
        value.truncate(length.expect("an xattr"));
        (name.to_vec(), value)
    };
    names.map(read).collect()
}

/// A directory in memory where there is one: tests make and remove many files, which disks take badly.
pub(super) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

/// Fails with the first few differences rather than with two whole trees.
pub(super) fn assert_same(found: &Snapshot, wanted: &Snapshot) {
    let mut differences = Vec::new();
    for name in found.keys().chain(wanted.keys()) {
        let (found, wanted) = (found.get(name), wanted.get(name));
        if found != wanted && differences.len() < 5 {
            let name = String::from_utf8_lossy(name);
            differences.push(format!("{name:.60}\n  found  {found:?}\n  wanted {wanted:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

pub(super) fn index(entries: &[(Entry, u64)], tar_size: u64) -> Result<Vec<u8>, IndexError> {
    let mut builder = IndexBuilder::new();
    for (entry, offset) in entries {
        builder.add(entry, *offset)?;
    }
    let mut image = Vec::new();
    builder.finish(&mut image, tar_size)?;
    Ok(image)
}

/// A mounted index.
pub(super) struct Mounted {
    pub(super) mount: OwnedFd,
}

impl Mounted {
    pub(super) fn new(image: &[u8], tar: &File) -> Mounted {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, image).expect("written");
        let mount = crate::fs::mount::erofs(file.as_fd(), &[tar.as_fd()]).expect("mounted");
        Mounted { mount }
    }

    pub(super) fn path(&self) -> PathBuf {
        // Not `self`, so that other programs find it too.
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.mount.as_raw_fd()))
    }
}

/// Says why a test that mounts is skipped, if it must be.
pub(super) fn cannot_mount() -> bool {
    let home = tempfile::tempdir().expect("a directory");
    let support = crate::fs::mount::probe(File::open(home.path()).expect("opened"));
    if let Err(why) = &support.erofs {
        skip(why);
    }
    support.erofs.is_err()
}

#[expect(clippy::print_stderr, reason = "a skipped test says why")]
pub(super) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// Checks an image with `fsck.erofs` where it is new enough to know blocks of 512 bytes.
pub(super) fn fsck(image: &[u8], tar: &Path) {
    let version = std::process::Command::new("fsck.erofs").arg("--version").output();
    let text = version.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let minor = text.split("1.").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    if minor.and_then(|minor| minor.parse::<u32>().ok()).is_none_or(|minor| minor < 7) {
        return skip("no fsck.erofs of version 1.7 or later");
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), image).expect("written");
    let output = std::process::Command::new("fsck.erofs")
        .arg(format!("--device={}", tar.display()))
        .arg("--extract")
        .arg(file.path())
        .output()
        .expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(super) fn meta(mode: u32, uid: u32, gid: u32, seconds: i64, nanos: u32) -> Metadata {
    Metadata { mode, uid, gid, mtime: Mtime { seconds, nanos }, xattrs: Vec::new() }
}

pub(super) fn entry(path: &str, kind: EntryKind) -> (Entry, u64) {
    let mode = if matches!(kind, EntryKind::Directory) { 0o755 } else { 0o644 };
    (Entry { path: path.into(), kind, meta: meta(mode, 0, 0, 7, 0) }, 0)
}

pub(super) fn file(path: &str, offset: u64, size: u64) -> (Entry, u64) {
    let (entry, _) = entry(path, EntryKind::File { size });
    (entry, offset)
}
