//! A directory descriptor, and everything that is done below it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;

use super::error::FsError;
use super::stat::{FileKind, Stat, Time};

/// Most symbolic links that one look-up follows, as the kernel's (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Whether a symbolic link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// To where it points, inside the root.
    Yes,
    /// No: the link itself is meant.
    No,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name's bytes.
    pub name: Vec<u8>,
    /// Its type; none where the file system does not tell while listing.
    pub kind: Option<FileKind>,
}

/// A directory as the root of every look-up.
///
/// A path given to a method is looked up by `openat2` with `RESOLVE_IN_ROOT`
/// and `RESOLVE_NO_MAGICLINKS`: `..` and absolute links end at the root, and no
/// race can lead outside. What changes something resolves the parent so and
/// then acts on the last component by descriptor, without following it.
#[derive(Debug, Clone)]
pub struct Root {
    fd: Arc<OwnedFd>,
    /// What it was opened as, for errors.
    name: PathBuf,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Root {
    /// Opens a directory by a path that the user or the owner of a store gave; links in it are followed.
    ///
    /// # Errors
    /// It is not there, no directory, or can't be read.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| FsError::new("open", path, e))?;
        Ok(Self { fd: Arc::new(fd), name: path.to_owned() })
    }

    /// Takes a directory descriptor, e.g. of a detached mount.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd: Arc::new(fd), name: PathBuf::from("/") }
    }

    /// Takes a directory descriptor under the name that errors show.
    pub fn named(fd: OwnedFd, name: impl Into<PathBuf>) -> Self {
        Self { fd: Arc::new(fd), name: name.into() }
    }

    /// Returns another handle on the same descriptor.
    ///
    /// # Errors
    /// None at present; descriptors are shared.
    pub fn try_clone(&self) -> Result<Self, FsError> {
        Ok(self.clone())
    }

    /// Returns a descriptor of one's own for the same directory.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn to_owned_fd(&self) -> Result<OwnedFd, FsError> {
        self.fd.try_clone().map_err(|e| self.error("duplicate", "", e))
    }

    /// Returns `/proc/self/fd/N`, for interfaces that take only a path.
    pub fn proc_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd()))
    }

    /// Returns what the root was opened as.
    pub fn name(&self) -> &Path {
        &self.name
    }

    fn error(&self, action: &'static str, path: impl AsRef<Path>, e: impl Into<std::io::Error>) -> FsError {
        let below: PathBuf = path.as_ref().components().filter(|c| *c != Component::RootDir).collect();
        FsError::new(
            action,
            if below.as_os_str().is_empty() { self.name.clone() } else { self.name.join(below) },
            e,
        )
    }

    /// `openat2` inside the root, again while renames elsewhere disturb it.
    fn openat2(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&*self.fd, path, flags | OFlags::CLOEXEC, mode, resolve) {
                // The kernel saw a rename or mount race and could not prove that `..` stays inside.
                Err(Errno::AGAIN | Errno::INTR) if tries < 1000 => tries += 1,
                other => return other,
            }
        }
    }

    /// [`Self::openat2`] for the other files of this module.
    pub(super) fn open_flags(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        self.openat2(path, flags, mode)
    }

    /// Opens the directory that holds the last component of `path`, and returns that component.
    fn parent<'a>(&self, action: &'static str, path: &'a Path) -> Result<(OwnedFd, &'a OsStr), FsError> {
        let name = match path.components().next_back() {
            Some(Component::Normal(name)) => name,
            _ => return Err(self.error(action, path, Errno::INVAL)),
        };
        let parent = path.parent().unwrap_or(Path::new("."));
        let fd = self
            .openat2(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
            .map_err(|e| self.error(action, path, e))?;
        Ok((fd, name))
    }

    /// Opens a subdirectory as a root of its own.
    ///
    /// # Errors
    /// It is not there or no directory.
    pub fn dir(&self, path: impl AsRef<Path>) -> Result<Self, FsError> {
        let path = path.as_ref();
        let fd = self
            .openat2(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .map_err(|e| self.error("open directory", path, e))?;
        let below: PathBuf = path.components().filter(|c| *c != Component::RootDir).collect();
        Ok(Self { fd: Arc::new(fd), name: self.name.join(below) })
    }

    /// Opens a file for reading, links followed inside the root.
    ///
    /// # Errors
    /// It is not there or can't be read.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<File, FsError> {
        let path = path.as_ref();
        // A named pipe without a writer must not block.
        let fd = self.openat2(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
        fd.map(File::from).map_err(|e| self.error("open", path, e))
    }

    /// Opens a file for reading without following a link at its end.
    ///
    /// # Errors
    /// It is not there, a link, or can't be read.
    pub fn open_file_nofollow(&self, path: impl AsRef<Path>) -> Result<File, FsError> {
        let path = path.as_ref();
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        self.openat2(path, flags, Mode::empty()).map(File::from).map_err(|e| self.error("open", path, e))
    }

    /// Opens an existing file for reading and writing, or one to append to when `append`.
    ///
    /// # Errors
    /// It is not there or can't be written.
    pub fn open_rw(&self, path: impl AsRef<Path>, append: bool) -> Result<File, FsError> {
        let path = path.as_ref();
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | if append { OFlags::APPEND } else { OFlags::empty() };
        self.openat2(path, flags, Mode::empty()).map(File::from).map_err(|e| self.error("open", path, e))
    }

    /// Opens a file for reading and writing, and makes it with `mode` when it is not there; for lock files.
    ///
    /// # Errors
    /// It can't be made or opened.
    pub fn open_or_create(&self, path: impl AsRef<Path>, mode: u32) -> Result<File, FsError> {
        let path = path.as_ref();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
        self.openat2(path, flags, Mode::from_raw_mode(mode))
            .map(File::from)
            .map_err(|e| self.error("open", path, e))
    }

    /// Returns an `O_PATH` descriptor.
    ///
    /// # Errors
    /// The path leads nowhere.
    pub fn open_path(&self, path: impl AsRef<Path>, follow: Follow) -> Result<OwnedFd, FsError> {
        let path = path.as_ref();
        let flags = OFlags::PATH | if follow == Follow::No { OFlags::NOFOLLOW } else { OFlags::empty() };
        self.openat2(path, flags, Mode::empty()).map_err(|e| self.error("open", path, e))
    }

    /// Reads a whole file of at most `limit` bytes.
    ///
    /// # Errors
    /// It can't be read, or has more bytes (`FileTooLarge`).
    pub fn read(&self, path: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>, FsError> {
        let path = path.as_ref();
        let file = self.open_file(path)?;
        // One byte more than there should be, so that the end is met without growing.
        let size = stat_fd(&file).map_err(|e| self.error("read", path, e.source))?.size;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(limit).min(limit) + 1);
        let count = file.take(limit as u64 + 1).read_to_end(&mut bytes);
        match count.map_err(|e| self.error("read", path, e))? {
            count if count > limit => Err(self.error("read", path, Errno::FBIG)),
            _ => Ok(bytes),
        }
    }

    /// Returns what a path leads to; none when it leads nowhere.
    ///
    /// # Errors
    /// A part of the path can't be searched, links go round, or a file stands where a directory should.
    pub fn stat(&self, path: impl AsRef<Path>, follow: Follow) -> Result<Option<Stat>, FsError> {
        let path = path.as_ref();
        let flags = OFlags::PATH | if follow == Follow::No { OFlags::NOFOLLOW } else { OFlags::empty() };
        let fd = match self.openat2(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(e) => return Err(self.error("look up", path, e)),
        };
        stat_fd(&fd).map(Some).map_err(|e| self.error("look up", path, e.source))
    }

    /// Reads a symbolic link.
    ///
    /// # Errors
    /// It is not there or no link.
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent("read link", path)?;
        let target = rustix::fs::readlinkat(&parent, name, Vec::new());
        target.map(std::ffi::CString::into_bytes).map_err(|e| self.error("read link", path, e))
    }

    /// Returns where `path` leads when every link in it is followed inside the root, the last
    /// included; the part that does not exist is kept as it is. The result has no leading slash,
    /// no links (at the time of the call) and no dots.
    ///
    /// The result is for deciding and for messages: whoever acts on it goes through the root again.
    ///
    /// # Errors
    /// Links go round, or a part can't be searched.
    pub fn resolve(&self, path: impl AsRef<Path>) -> Result<PathBuf, FsError> {
        let path = path.as_ref();
        let mut done = PathBuf::new();
        let mut todo: Vec<std::ffi::OsString> =
            path.components().rev().map(|c| c.as_os_str().to_owned()).collect();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_bytes() {
                b"/" => done.clear(),
                b"." | b"" => {}
                b".." => {
                    done.pop();
                }
                _ => {
                    let next = done.join(&part);
                    match self.stat(&next, Follow::No)? {
                        Some(stat) if stat.is_symlink() => {
                            links += 1;
                            if links > MAX_LINKS {
                                return Err(self.error("resolve", path, Errno::LOOP));
                            }
                            let target = PathBuf::from(std::ffi::OsString::from_vec(self.read_link(&next)?));
                            todo.extend(target.components().rev().map(|c| c.as_os_str().to_owned()));
                        }
                        _ => done = next,
                    }
                }
            }
        }
        Ok(done)
    }

    /// Returns the names in a directory, sorted by their bytes, without `.` and `..`.
    ///
    /// # Errors
    /// It is no directory or can't be read.
    pub fn entries(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>, FsError> {
        let path = path.as_ref();
        let fd = self
            .openat2(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            .map_err(|e| self.error("list", path, e))?;
        let mut entries = Vec::new();
        for entry in Dir::new(fd).map_err(|e| self.error("list", path, e))? {
            let entry = entry.map_err(|e| self.error("list", path, e))?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                entries.push(DirEntry { name: name.to_vec(), kind: FileKind::of_type(entry.file_type()) });
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// The name is taken or the parent is missing.
    pub fn create_dir(&self, path: impl AsRef<Path>, mode: u32) -> Result<(), FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent("make directory", path)?;
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode))
            .map_err(|e| self.error("make directory", path, e))
    }

    /// Makes a directory that has just this mode, whatever the umask leaves out.
    ///
    /// # Errors
    /// The name is taken or the parent is missing.
    pub fn create_exact_dir(&self, path: impl AsRef<Path>, mode: u32) -> Result<(), FsError> {
        self.create_dir(path.as_ref(), mode)?;
        self.set_mode(path, mode)
    }

    /// Makes a directory and its missing parents; links on the way are followed inside the root.
    /// Returns the resolved paths of those that were made, outermost first.
    ///
    /// # Errors
    /// Something that is no directory stands in the way.
    pub fn create_dir_all(&self, path: impl AsRef<Path>, mode: u32) -> Result<Vec<PathBuf>, FsError> {
        let target = self.resolve(path.as_ref())?;
        let mut made = Vec::new();
        let mut at = PathBuf::new();
        for part in target.components() {
            at.push(part);
            match self.create_dir(&at, mode) {
                Ok(()) => made.push(at.clone()),
                Err(error) if error.is_exists() => match self.stat(&at, Follow::Yes)? {
                    Some(stat) if stat.is_dir() => {}
                    _ => return Err(self.error("make directory", &at, Errno::NOTDIR)),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(made)
    }

    /// Makes a file that must not exist, for reading and writing.
    ///
    /// # Errors
    /// The name is taken or the parent is missing.
    pub fn create_file(&self, path: impl AsRef<Path>, mode: u32) -> Result<File, FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent("create", path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(mode))
            .map(File::from)
            .map_err(|e| self.error("create", path, e))
    }

    /// Makes a symbolic link at `path` that holds `target`.
    ///
    /// # Errors
    /// The name is taken or the parent is missing.
    pub fn symlink(&self, target: impl AsRef<OsStr>, path: impl AsRef<Path>) -> Result<(), FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent("make link", path)?;
        rustix::fs::symlinkat(Path::new(target.as_ref()), &parent, name)
            .map_err(|e| self.error("make link", path, e))
    }

    /// Gives the file `from` (not followed) the further name `to`.
    ///
    /// # Errors
    /// `from` is missing or a directory, or `to` is taken.
    pub fn hard_link(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), FsError> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let (old_parent, old) = self.parent("link", from)?;
        let (new_parent, new) = self.parent("link", to)?;
        rustix::fs::linkat(&old_parent, old, &new_parent, new, AtFlags::empty())
            .map_err(|e| self.error("link", to, e))
    }

    /// Makes a device file, a named pipe, or an empty file.
    ///
    /// # Errors
    /// The name is taken, or the kernel does not allow it here.
    pub fn mknod(
        &self,
        path: impl AsRef<Path>,
        kind: FileKind,
        mode: u32,
        device: (u32, u32),
    ) -> Result<(), FsError> {
        let path = path.as_ref();
        let file_type = match kind {
            FileKind::CharDevice => FileType::CharacterDevice,
            FileKind::BlockDevice => FileType::BlockDevice,
            FileKind::Fifo => FileType::Fifo,
            FileKind::Socket => FileType::Socket,
            FileKind::File => FileType::RegularFile,
            FileKind::Directory | FileKind::Symlink => {
                return Err(self.error("make node", path, Errno::INVAL));
            }
        };
        let (parent, name) = self.parent("make node", path)?;
        let device = rustix::fs::makedev(device.0, device.1);
        rustix::fs::mknodat(&parent, name, file_type, Mode::from_raw_mode(mode), device)
            .map_err(|e| self.error("make node", path, e))
    }

    /// Renames inside the root; an existing `to` is replaced as rename(2) does.
    ///
    /// # Errors
    /// As rename(2).
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), FsError> {
        self.rename_to(from, self, to)
    }

    /// Renames into another root on the same file system.
    ///
    /// # Errors
    /// As rename(2).
    pub fn rename_to(
        &self,
        from: impl AsRef<Path>,
        root: &Self,
        to: impl AsRef<Path>,
    ) -> Result<(), FsError> {
        self.rename_with(from.as_ref(), root, to.as_ref(), RenameFlags::empty())
    }

    /// Renames into another root unless the new name is taken.
    ///
    /// # Errors
    /// The name is taken (`is_exists`), or as rename(2).
    pub fn rename_new(
        &self,
        from: impl AsRef<Path>,
        root: &Self,
        to: impl AsRef<Path>,
    ) -> Result<(), FsError> {
        self.rename_with(from.as_ref(), root, to.as_ref(), RenameFlags::NOREPLACE)
    }

    fn rename_with(&self, from: &Path, root: &Self, to: &Path, flags: RenameFlags) -> Result<(), FsError> {
        let (old_parent, old) = self.parent("rename", from)?;
        let (new_parent, new) = root.parent("rename", to)?;
        rustix::fs::renameat_with(&old_parent, old, &new_parent, new, flags)
            .map_err(|e| self.error("rename", from, e))
    }

    /// Removes a name that is no directory.
    ///
    /// # Errors
    /// It is not there or a directory.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> Result<(), FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent("remove", path)?;
        rustix::fs::unlinkat(&parent, name, AtFlags::empty()).map_err(|e| self.error("remove", path, e))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// It is not there or not empty.
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Result<(), FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent("remove", path)?;
        rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).map_err(|e| self.error("remove", path, e))
    }

    /// Removes a name with all below it; one that is not there is no error.
    ///
    /// # Errors
    /// Something can't be removed.
    pub fn remove_tree(&self, path: impl AsRef<Path>) -> Result<(), FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent("remove", path)?;
        super::remove::remove(&parent, name).map_err(|e| self.error("remove", path, e))
    }

    /// Sets owner and group of a name, links not followed.
    ///
    /// # Errors
    /// It is not there, or the user may not.
    pub fn set_owner(&self, path: impl AsRef<Path>, uid: u32, gid: u32) -> Result<(), FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent_or_self("set owner of", path)?;
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(&parent, name, Some(uid), Some(gid), flags)
            .map_err(|e| self.error("set owner of", path, e))
    }

    /// Sets the permission bits of a name; a symbolic link has none and is left alone.
    ///
    /// # Errors
    /// It is not there, or the user may not.
    pub fn set_mode(&self, path: impl AsRef<Path>, mode: u32) -> Result<(), FsError> {
        let path = path.as_ref();
        let fd = self.open_path(path, Follow::No)?;
        let stat = stat_fd(&fd)?;
        if stat.is_symlink() {
            return Ok(());
        }
        // An O_PATH descriptor can't be changed itself, but the file behind its magic link can.
        rustix::fs::chmod(proc_fd(&fd), Mode::from_raw_mode(mode))
            .map_err(|e| self.error("set mode of", path, e))
    }

    /// Sets access and modification time of a name, links not followed.
    ///
    /// # Errors
    /// It is not there, or the user may not.
    pub fn set_times(&self, path: impl AsRef<Path>, mtime: Time) -> Result<(), FsError> {
        let path = path.as_ref();
        let (parent, name) = self.parent_or_self("set times of", path)?;
        let time = Timespec { tv_sec: mtime.seconds, tv_nsec: i64::from(mtime.nanos) };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| self.error("set times of", path, e))
    }

    /// Returns the extended attributes of a name, sorted, links not followed.
    ///
    /// # Errors
    /// It is not there or they can't be read.
    pub fn xattrs(&self, path: impl AsRef<Path>) -> Result<Vec<(Vec<u8>, Vec<u8>)>, FsError> {
        let path = path.as_ref();
        let fd = self.open_path(path, Follow::No)?;
        super::xattr::list(&fd).map_err(|e| self.error("read attributes of", path, e))
    }

    /// Returns one extended attribute of a name with its value; none where it has not got it, links not followed.
    ///
    /// # Errors
    /// The name is not there, or the attribute can't be read.
    pub fn xattr(&self, path: impl AsRef<Path>, name: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>, FsError> {
        let path = path.as_ref();
        let fd = self.open_path(path, Follow::No)?;
        let mut value = vec![0u8; 256];
        loop {
            match rustix::fs::getxattr(proc_fd(&fd), OsStr::from_bytes(name), &mut value[..]) {
                Ok(size) => {
                    value.truncate(size);
                    return Ok(Some((name.to_vec(), value)));
                }
                Err(Errno::RANGE) if value.len() < super::xattr::MAX => value.resize(super::xattr::MAX, 0),
                Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM | Errno::LOOP) => return Ok(None),
                Err(e) => return Err(self.error("read attributes of", path, e)),
            }
        }
    }

    /// Sets an extended attribute of a name, links not followed.
    ///
    /// # Errors
    /// It is not there, or the kernel does not allow it.
    pub fn set_xattr(&self, path: impl AsRef<Path>, name: &[u8], value: &[u8]) -> Result<(), FsError> {
        let path = path.as_ref();
        let fd = self.open_path(path, Follow::No)?;
        rustix::fs::setxattr(proc_fd(&fd), OsStr::from_bytes(name), value, XattrFlags::empty())
            .map_err(|e| self.error("set attribute of", path, e))
    }

    /// Removes an extended attribute of a name, links not followed.
    ///
    /// # Errors
    /// It is not there, or the kernel does not allow it.
    pub fn remove_xattr(&self, path: impl AsRef<Path>, name: &[u8]) -> Result<(), FsError> {
        let path = path.as_ref();
        let fd = self.open_path(path, Follow::No)?;
        rustix::fs::removexattr(proc_fd(&fd), OsStr::from_bytes(name))
            .map_err(|e| self.error("remove attribute of", path, e))
    }

    /// As [`Self::parent`], but the root itself is `.` in itself.
    fn parent_or_self<'a>(
        &self,
        action: &'static str,
        path: &'a Path,
    ) -> Result<(OwnedFd, &'a OsStr), FsError> {
        if path.components().all(|c| matches!(c, Component::RootDir | Component::CurDir)) {
            return Ok((self.to_owned_fd()?, OsStr::new(".")));
        }
        self.parent(action, path)
    }
}

/// Returns what a descriptor is open on, `O_PATH` ones included.
///
/// # Errors
/// The file system does not answer.
pub fn stat_fd(fd: impl AsFd) -> Result<Stat, FsError> {
    rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, Stat::FIELDS)
        .map(|x| Stat::of_statx(&x))
        .map_err(|e| FsError::new("look up", "an open file", e))
}

pub(super) fn proc_fd(fd: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}
