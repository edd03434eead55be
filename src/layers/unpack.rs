//! A layer's tar as an overlay lower directory.
//!
//! The tar is hostile: every name goes through [`Root`], nothing is written
//! through a link, and what stands in the way is removed first. Times and
//! modes of directories are set at the end, when nothing changes them any more.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;

use super::entry::{Entry, EntryKind, Metadata};
use super::error::LayerError;
use super::tar::{TarLimits, TarReader, copy_with_holes};
use crate::fs::{FileKind, Follow, FsError, Root, Stat, Time};

/// How whiteouts and opaque directories are written for overlayfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhiteoutStyle {
    /// Marks in `trusted.overlay.*`, as root.
    #[default]
    Trusted,
    /// Marks in `user.overlay.*`, for mounts with `userxattr`.
    User,
}

/// What becomes of owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChownPolicy {
    /// Every file gets the owner that the tar gives.
    #[default]
    Exact,
    /// Every file gets this user and group.
    To(u32, u32),
    /// Files stay with whoever unpacks: only one id is mapped.
    Ignore,
}

/// How a layer is unpacked.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnpackOptions {
    /// Form of whiteouts.
    pub style: WhiteoutStyle,
    /// What becomes of owners.
    pub chown: ChownPolicy,
    /// What the tar may have at most.
    pub limits: TarLimits,
    /// Whether a directory never gives way to something else, nor something else to a directory.
    pub keep_kinds: bool,
    /// Whether names such as `.wh.x` are ordinary files and no whiteouts.
    pub raw_whiteouts: bool,
}

impl UnpackOptions {
    /// For a tar that is no layer.
    pub fn plain(chown: ChownPolicy) -> Self {
        Self { chown, raw_whiteouts: true, ..Self::default() }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnpackStats {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// Unpacks a layer into an empty directory that will be an overlay lower.
///
/// # Errors
/// The tar is damaged or goes over a limit, or the file system refuses something.
pub fn unpack(tar: &mut dyn Read, into: &Root, options: &UnpackOptions) -> Result<UnpackStats, LayerError> {
    let mut reader = TarReader::with_limits(tar, options.limits);
    if options.raw_whiteouts {
        reader = reader.raw_whiteouts();
    }
    let mut unpacking =
        Unpacking { into, options, directories: BTreeMap::new(), stats: UnpackStats::default() };
    while let Some((entry, _)) = reader.next_entry()? {
        let sparse = reader.is_sparse();
        unpacking.entry(&entry, &mut reader, sparse)?;
    }
    unpacking.finish()
}

/// What stands in the way stays there.
fn kept(entry: &Entry, there: &str, new: &str) -> LayerError {
    let reason = format!("cannot overwrite {there} with {new}");
    LayerError::Entry { path: entry.path.clone(), reason }
}

struct Unpacking<'a> {
    into: &'a Root,
    options: &'a UnpackOptions,
    /// Directories whose metadata is still to be set.
    directories: BTreeMap<Vec<u8>, Metadata>,
    stats: UnpackStats,
}

impl Unpacking<'_> {
    fn entry(&mut self, entry: &Entry, data: &mut dyn Read, sparse: bool) -> Result<(), LayerError> {
        self.stats.entries += 1;
        let path = OsStr::from_bytes(&entry.path);
        self.parents(entry.split().0)?;
        match &entry.kind {
            EntryKind::Directory => return self.directory(entry),
            EntryKind::Opaque => return self.opaque(entry),
            EntryKind::Whiteout => return self.whiteout(path),
            _ if self.options.keep_kinds
                && self.into.stat(path, Follow::No)?.is_some_and(|stat| stat.is_dir()) =>
            {
                return Err(kept(entry, "directory", "non-directory"));
            }
            _ => self.clear(path)?,
        }
        match &entry.kind {
            EntryKind::File { size } => {
                let mut file = self.into.create_file(path, 0o600)?;
                let mut data = data.take(*size);
                let copied = match sparse {
                    true => copy_with_holes(&mut data, &mut file),
                    false => std::io::copy(&mut data, &mut file),
                };
                self.stats.bytes += copied.map_err(LayerError::io("unpack"))?;
                return self.file_metadata(path, &file, &entry.meta);
            }
            EntryKind::Symlink { target } => self.into.symlink(OsStr::from_bytes(target), path)?,
            EntryKind::HardLink { target } => {
                let linked = self.into.hard_link(OsStr::from_bytes(target), path);
                return linked.map_err(|error| LayerError::Entry {
                    path: entry.path.clone(),
                    reason: format!("cannot link to {:?}: {}", String::from_utf8_lossy(target), error.source),
                });
            }
            EntryKind::CharDevice { major, minor } => {
                self.device(path, FileKind::CharDevice, (*major, *minor))?;
            }
            EntryKind::BlockDevice { major, minor } => {
                self.device(path, FileKind::BlockDevice, (*major, *minor))?;
            }
            EntryKind::Fifo => self.into.mknod(path, FileKind::Fifo, 0o600, (0, 0))?,
            EntryKind::Directory | EntryKind::Opaque | EntryKind::Whiteout => unreachable!("handled above"),
        }
        self.metadata(path, &entry.meta)
    }

    /// A device; in a user namespace, where none can be made, an empty file holds its place.
    fn device(&self, path: &OsStr, kind: FileKind, device: (u32, u32)) -> Result<(), FsError> {
        match self.into.mknod(path, kind, 0o600, device) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                self.into.create_file(path, 0o600).map(drop)
            }
            other => other,
        }
    }

    /// Makes missing parents; something that is no directory gives way, links are not walked through.
    fn parents(&mut self, parent: &[u8]) -> Result<(), LayerError> {
        if parent.is_empty() || self.directories.contains_key(parent) {
            return Ok(());
        }
        let mut at = 0;
        while at < parent.len() {
            at = parent[at..].iter().position(|c| *c == b'/').map_or(parent.len(), |slash| at + slash);
            let part = &parent[..at];
            at += 1;
            if self.directories.contains_key(part) {
                continue;
            }
            let path = OsStr::from_bytes(part);
            match self.into.stat(path, Follow::No)? {
                Some(stat) if stat.is_dir() => {}
                found => {
                    self.replace_by_directory(path, found)?;
                    self.directories.insert(part.to_vec(), Metadata { mode: 0o755, ..Metadata::default() });
                }
            }
        }
        Ok(())
    }

    fn directory(&mut self, entry: &Entry) -> Result<(), LayerError> {
        let path = OsStr::from_bytes(&entry.path);
        if !entry.path.is_empty() {
            match self.into.stat(path, Follow::No)? {
                Some(stat) if stat.is_dir() => {}
                Some(_) if self.options.keep_kinds => return Err(kept(entry, "non-directory", "directory")),
                found => self.replace_by_directory(path, found)?,
            }
        }
        self.directories.insert(entry.path.clone(), entry.meta.clone());
        Ok(())
    }

    /// Makes a directory where something else may be; one in a whiteout's place shows nothing of lower layers.
    fn replace_by_directory(&self, path: &OsStr, found: Option<Stat>) -> Result<(), LayerError> {
        let whiteout = found.as_ref().is_some_and(is_whiteout);
        if found.is_some() {
            self.into.remove_file(path)?;
        }
        self.into.create_dir(path, 0o700)?;
        if whiteout { self.mark_opaque(path) } else { Ok(()) }
    }

    /// Hides a name of lower layers; what this layer itself has of that name stays (OCI image spec, layer.md).
    fn whiteout(&self, path: &OsStr) -> Result<(), LayerError> {
        match self.into.stat(path, Follow::No)? {
            None => Ok(self.into.mknod(path, FileKind::CharDevice, 0, (0, 0))?),
            Some(stat) if stat.is_dir() => self.mark_opaque(path),
            Some(_) => Ok(()),
        }
    }

    fn opaque(&mut self, entry: &Entry) -> Result<(), LayerError> {
        // Overlayfs does not heed the mark on a root; whoever stacks layers does, and leaves out those below.
        self.parents(&entry.path)?;
        self.mark_opaque(OsStr::from_bytes(&entry.path))
    }

    fn mark_opaque(&self, path: &OsStr) -> Result<(), LayerError> {
        let name: &[u8] = match self.options.style {
            WhiteoutStyle::Trusted => b"trusted.overlay.opaque",
            WhiteoutStyle::User => b"user.overlay.opaque",
        };
        Ok(self.into.set_xattr(path, name, b"y")?)
    }

    /// Removes what a former entry of the same name left.
    fn clear(&mut self, path: &OsStr) -> Result<(), LayerError> {
        match self.into.stat(path, Follow::No)? {
            None => Ok(()),
            Some(stat) if stat.is_dir() => {
                let prefix = [path.as_bytes(), b"/"].concat();
                self.directories.retain(|name, _| name != path.as_bytes() && !name.starts_with(&prefix));
                Ok(self.into.remove_tree(path)?)
            }
            Some(_) => Ok(self.into.remove_file(path)?),
        }
    }

    fn owner(&self, meta: &Metadata) -> Option<(u32, u32)> {
        let owner = match self.options.chown {
            ChownPolicy::Exact => (meta.uid, meta.gid),
            ChownPolicy::To(uid, gid) => (uid, gid),
            ChownPolicy::Ignore => return None,
        };
        (owner != (0, 0)).then_some(owner)
    }

    /// Sets everything through the open descriptor: cheaper than by name, and the file is surely the one made.
    fn file_metadata(&self, path: &OsStr, file: &std::fs::File, meta: &Metadata) -> Result<(), LayerError> {
        use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid, fchmod, fchown, futimens};
        let failed = |action: &'static str| {
            let name = self.into.name().join(path);
            move |e: rustix::io::Errno| LayerError::Fs(FsError::new(action, name, e))
        };
        if let Some((uid, gid)) = self.owner(meta) {
            fchown(file.as_fd(), Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(failed("set owner of"))?;
        }
        fchmod(file.as_fd(), Mode::from_raw_mode(meta.mode)).map_err(failed("set mode of"))?;
        self.xattrs(path, meta)?;
        let time = Timespec { tv_sec: meta.mtime.seconds, tv_nsec: i64::from(meta.mtime.nanos) };
        futimens(file.as_fd(), &Timestamps { last_access: time, last_modification: time })
            .map_err(failed("set times of"))
    }

    fn metadata(&self, path: &OsStr, meta: &Metadata) -> Result<(), LayerError> {
        if let Some((uid, gid)) = self.owner(meta) {
            self.into.set_owner(path, uid, gid)?;
        }
        self.into.set_mode(path, meta.mode)?;
        self.xattrs(path, meta)?;
        Ok(self.into.set_times(path, Time { seconds: meta.mtime.seconds, nanos: meta.mtime.nanos })?)
    }

    /// Sets attributes; one that this user or file system can't hold is left out, overlayfs's own are never taken.
    fn xattrs(&self, path: &OsStr, meta: &Metadata) -> Result<(), LayerError> {
        for (name, value) in &meta.xattrs {
            if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
                continue;
            }
            match self.into.set_xattr(path, name, value) {
                Ok(()) => {}
                Err(error) if is_not_permitted(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<UnpackStats, LayerError> {
        // Children before parents, so that no time is disturbed by setting another.
        for (path, meta) in self.directories.iter().rev() {
            let path = if path.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(path) };
            self.metadata(path, meta)?;
        }
        Ok(self.stats)
    }
}

fn is_not_permitted(error: &FsError) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported | ErrorKind::InvalidInput)
        || error.source.raw_os_error() == Some(libc::ENOTSUP)
}

fn is_whiteout(stat: &Stat) -> bool {
    stat.kind == FileKind::CharDevice && stat.rdev == (0, 0)
}
