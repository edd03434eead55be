//! Names on disk, making a new store, recognising an old one.

use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation, IFlags};

use super::db::{Db, Which};
use super::error::StoreError;
use crate::fs::Root;

/// The format that this program reads and writes.
pub const FORMAT: u32 = 1;

pub(super) const BLOBS: &str = "blobs/sha256";
pub(super) const LAYERS: &str = "layers";
pub(super) const TMP: &str = "tmp";
pub(super) const LOCKS: &str = "locks";
pub(super) const LEASES: &str = "leases";
pub(super) const CONTEXTS: &str = "contexts";
pub(super) const CACHE_MOUNTS: &str = "cachemounts";
/// An empty directory: the tree of an image without layers.
pub(super) const EMPTY: &str = "empty";
/// Bytes that are given up when the disk is full, so that things can be taken away.
const RESERVE: &str = "reserve";
const RESERVE_SIZE: u64 = 256 << 10;
/// The lock that publishing shares and collecting takes alone.
pub(super) const GC_LOCK: &str = "gc";
/// The file whose bytes are the locks of names.
pub(super) const NAMES_LOCK: &str = "names";

const DIRECTORIES: &[&str] = &["blobs", BLOBS, LAYERS, TMP, LOCKS, LEASES, CONTEXTS, CACHE_MOUNTS, EMPTY];
const VERSION: &str = "version";

/// Opens the store's directory, makes the store in it when it is new, and refuses what is no store of this format.
pub(super) fn open(path: &Path) -> Result<Root, StoreError> {
    let root = match Root::open(path) {
        Err(e) if e.is_not_found() => {
            create_path(path)?;
            Root::open(path)?
        }
        other => other?,
    };
    if !check_version(&root, path)? {
        create(&root, path)?;
    }
    Ok(root)
}

/// Whether there is a store; an unknown version is an error.
fn check_version(root: &Root, path: &Path) -> Result<bool, StoreError> {
    let found = match root.read(VERSION, 64) {
        Err(e) if e.is_not_found() => return Ok(false),
        other => String::from_utf8_lossy(&other?).trim().to_owned(),
    };
    if found == FORMAT.to_string() {
        return Ok(true);
    }
    Err(StoreError::Version { path: path.to_owned(), found, known: FORMAT })
}

fn create(root: &Root, path: &Path) -> Result<(), StoreError> {
    // One process makes the store; the others find it made.
    let lock = root.try_clone()?.dir(".")?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| StoreError::Io {
        action: "cannot lock",
        path: path.to_owned(),
        source: e.into(),
    })?;
    if check_version(root, path)? {
        return Ok(());
    }
    refuse_foreign(root, path)?;
    for name in DIRECTORIES {
        match root.create_dir(name, 0o700) {
            Err(e) if !e.is_exists() => return Err(e.into()),
            _ => {}
        }
    }
    for name in [LAYERS, TMP] {
        spread(&root.dir(name)?);
    }
    match root.create_file(format!("{LOCKS}/{GC_LOCK}"), 0o600) {
        Err(e) if !e.is_exists() => return Err(e.into()),
        _ => {}
    }
    make_reserve(root);
    let shared_memory = has_shared_memory(root);
    Db::open(path, Which::Meta, true, shared_memory)?;
    Db::open(path, Which::Cache, true, shared_memory)?;
    Ok(crate::fs::write_atomic(root, VERSION, format!("{FORMAT}\n").as_bytes(), true)?)
}

fn refuse_foreign(root: &Root, path: &Path) -> Result<(), StoreError> {
    let ours = |name: &str| {
        DIRECTORIES.contains(&name)
            || [
                "meta.db",
                "cache.db",
                ".version",
                RESERVE,
                "lost+found",
                "containers",
                "volumes",
                "networks",
                "registry",
            ]
            .iter()
            .any(|known| name.starts_with(known))
    };
    match super::file::names(root, ".")?.into_iter().find(|name| !ours(name)) {
        Some(name) => Err(StoreError::NotAStore { path: path.to_owned(), name }),
        None => Ok(()),
    }
}

/// Lets ext4 start each new subdirectory in a block group of its own (`chattr +T`).
///
/// Its allocator is slow near freshly deleted inodes. Other file systems have
/// no such flag, which is no failure.
fn spread(dir: &Root) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(dir) {
        let _ = rustix::fs::ioctl_setflags(dir, flags | IFlags::TOPDIR);
    }
}

/// Takes some place in advance; a disk that has none left is no failure.
pub(super) fn make_reserve(root: &Root) {
    if let Ok(file) = root.create_file(RESERVE, 0o600)
        && rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE_SIZE).is_err()
    {
        let _ = root.remove_file(RESERVE);
    }
}

/// Gives the reserve up; says whether there was one.
pub(super) fn give_reserve_up(root: &Root) -> bool {
    root.remove_file(RESERVE).is_ok()
}

/// Whether processes can map one file together, as a write-ahead log needs.
pub(super) fn has_shared_memory(root: &Root) -> bool {
    rustix::fs::fstatfs(root).is_ok_and(|s| !is_shared_between_machines(s.f_type as u32))
}

/// Whether a file system's number is that of one whose files, locks or clock another machine may have.
pub(super) fn is_shared_between_machines(kind: u32) -> bool {
    const NFS: u32 = 0x6969;
    const V9FS: u32 = 0x0102_1997;
    const SMB: u32 = 0x517b;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const FUSE: u32 = 0x6573_5546;
    const CEPH: u32 = 0x00c3_6400;
    [NFS, V9FS, SMB, CIFS, SMB2, FUSE, CEPH].contains(&kind)
}

/// Makes the store's directory and its missing parents; the path is the user's and trusted.
fn create_path(path: &Path) -> Result<(), StoreError> {
    Root::open(Path::new("/"))?.create_dir_all(path, 0o700)?;
    Ok(())
}
