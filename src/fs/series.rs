//! Many files of one tree, one after the other: the directory of the last one stays open.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::error::FsError;
use super::root::Root;
use super::stat::Stat;

/// Opens files that follow each other as a walk gives them.
///
/// A file costs one `openat` by its own name, where a look-up from the root
/// goes through all of its path. Times of access are left alone where the kernel
/// allows that: for a file that was just made, its inode would be written once
/// more otherwise.
pub struct Series<'a> {
    root: &'a Root,
    /// The open directory, after its path.
    dir: Option<(Vec<u8>, OwnedFd)>,
    /// Whether all files so far may be opened with `O_NOATIME` (open(2)).
    quiet: bool,
}

impl<'a> Series<'a> {
    /// Begins with no directory open.
    pub fn new(root: &'a Root) -> Self {
        Self { root, dir: None, quiet: true }
    }

    /// Opens a file for reading; a link at its end is not followed.
    ///
    /// # Errors
    /// It is not there, a link, or can't be read.
    pub fn file(&mut self, path: &[u8]) -> Result<File, FsError> {
        self.open(path, OFlags::NONBLOCK).map(File::from)
    }

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    /// It is not there or no link.
    pub fn link(&mut self, path: &[u8]) -> Result<Vec<u8>, FsError> {
        let (dir, name) = self.parent(path)?;
        let target = rustix::fs::readlinkat(dir, OsStr::from_bytes(name), Vec::new());
        target.map(std::ffi::CString::into_bytes).map_err(|e| self.error("read link", path, e))
    }

    /// Returns what a name is, links not followed.
    ///
    /// # Errors
    /// It is not there.
    pub fn stat(&mut self, path: &[u8]) -> Result<Stat, FsError> {
        let (dir, name) = self.parent(path)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        rustix::fs::statx(dir, OsStr::from_bytes(name), flags, Stat::FIELDS)
            .map(|x| Stat::of_statx(&x))
            .map_err(|e| self.error("look up", path, e))
    }

    /// Opens a directory, which stays open for what follows in it.
    ///
    /// # Errors
    /// It is not there, no directory, or can't be read.
    pub fn directory(&mut self, path: &[u8]) -> Result<&OwnedFd, FsError> {
        let fd = self.open(path, OFlags::DIRECTORY)?;
        Ok(&self.dir.insert((path.to_vec(), fd)).1)
    }

    fn open(&mut self, path: &[u8], flags: OFlags) -> Result<OwnedFd, FsError> {
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let quiet = self.quiet;
        let (dir, name) = self.parent(path)?;
        let open = |flags| rustix::fs::openat(dir, OsStr::from_bytes(name), flags, Mode::empty());
        let mut opened = if quiet { open(flags | OFlags::NOATIME) } else { open(flags) };
        if quiet && matches!(opened, Err(Errno::PERM)) {
            // It is another user's.
            opened = open(flags);
            self.quiet = false;
        }
        opened.map_err(|e| self.error("open", path, e))
    }

    /// Returns the directory that holds a path, and the path's last name.
    fn parent<'p>(&mut self, path: &'p [u8]) -> Result<(&OwnedFd, &'p [u8]), FsError> {
        let (above, name) = match path.iter().rposition(|c| *c == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        if self.dir.as_ref().is_none_or(|(open, _)| open != above) {
            let fd = self.root.dir(OsStr::from_bytes(above))?.to_owned_fd()?;
            self.dir = Some((above.to_vec(), fd));
        }
        let (_, fd) = self.dir.as_ref().expect("it was opened above");
        Ok((fd, name))
    }

    fn error(&self, action: &'static str, path: &[u8], e: Errno) -> FsError {
        FsError::new(action, self.root.name().join(OsStr::from_bytes(path)), e)
    }
}

/// Whether an open file has extended attributes that may be seen: most have none, and to ask for one by name costs more.
///
/// # Errors
/// They can't be listed.
pub fn has_xattrs_fd(fd: impl AsFd) -> Result<bool, Errno> {
    // One byte holds no name with its end.
    match rustix::fs::flistxattr(fd, &mut [0u8; 1]) {
        Ok(size) => Ok(size > 0),
        Err(Errno::RANGE) => Ok(true),
        Err(Errno::NOTSUP) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Returns one extended attribute of an open file; none where it has not got it.
///
/// # Errors
/// It can't be read.
pub fn xattr_fd(fd: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0u8; 256];
    loop {
        match rustix::fs::fgetxattr(&fd, OsStr::from_bytes(name), &mut value[..]) {
            Ok(size) => {
                value.truncate(size);
                return Ok(Some(value));
            }
            Err(Errno::RANGE) if value.len() < super::xattr::MAX => value.resize(super::xattr::MAX, 0),
            Err(Errno::NODATA | Errno::NOTSUP | Errno::PERM) => return Ok(None),
            Err(e) => return Err(e),
        }
    }
}
