//! A stand-in for `fs::Root` with its names, until that is there.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};

/// Why an operation below a root failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}", path.display())]
pub struct FsError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// A directory descriptor.
#[derive(Debug)]
pub struct Root(OwnedFd, PathBuf);

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a name is.
#[derive(Debug, Clone, Copy)]
pub struct Stat {
    /// Size in bytes.
    pub size: u64,
    /// Whether it is a directory.
    pub directory: bool,
}

impl FsError {
    /// Whether the name does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::NotFound
    }
    /// Whether the name exists.
    pub fn is_exists(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::AlreadyExists
    }
}

impl Root {
    fn fail(&self, action: &'static str, path: &Path, e: impl Into<std::io::Error>) -> FsError {
        FsError { action, path: self.1.join(path), source: e.into() }
    }
    /// Opens.
    pub fn open(path: &Path) -> Result<Self, FsError> {
        rustix::fs::open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map(|fd| Self(fd, path.to_owned()))
            .map_err(|e| FsError { action: "cannot open", path: path.to_owned(), source: e.into() })
    }
    /// Duplicates.
    pub fn try_clone(&self) -> Result<Self, FsError> {
        let fd = self.0.try_clone().map_err(|e| self.fail("cannot duplicate", Path::new(""), e))?;
        Ok(Self(fd, self.1.clone()))
    }
    /// Subdirectory.
    pub fn dir(&self, p: impl AsRef<Path>) -> Result<Self, FsError> {
        let p = p.as_ref();
        rustix::fs::openat(self, p, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map(|fd| Self(fd, self.1.join(p)))
            .map_err(|e| self.fail("cannot open", p, e))
    }
    /// Opens a file.
    pub fn open_file(&self, p: impl AsRef<Path>) -> Result<File, FsError> {
        let p = p.as_ref();
        rustix::fs::openat(self, p, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
            .map(File::from)
            .map_err(|e| self.fail("cannot open", p, e))
    }
    /// Reads.
    pub fn read(&self, p: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>, FsError> {
        let p = p.as_ref();
        let mut out = Vec::new();
        self.open_file(p)?
            .take(limit as u64)
            .read_to_end(&mut out)
            .map_err(|e| self.fail("cannot read", p, e))?;
        Ok(out)
    }
    /// Stats.
    pub fn stat(&self, p: impl AsRef<Path>) -> Result<Option<Stat>, FsError> {
        let p = p.as_ref();
        match rustix::fs::statat(self, p, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(s) => Ok(Some(Stat { size: s.st_size as u64, directory: s.st_mode & 0o170_000 == 0o040_000 })),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(e) => Err(self.fail("cannot stat", p, e)),
        }
    }
    /// Names in a directory.
    pub fn names(&self, p: impl AsRef<Path>) -> Result<Vec<String>, FsError> {
        let p = p.as_ref();
        let dir = self.dir(p)?;
        let mut out = Vec::new();
        let iter = rustix::fs::Dir::read_from(&dir).map_err(|e| self.fail("cannot list", p, e))?;
        for entry in iter {
            let entry = entry.map_err(|e| self.fail("cannot list", p, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                out.push(name);
            }
        }
        out.sort();
        Ok(out)
    }
    /// Makes a directory.
    pub fn create_dir(&self, p: impl AsRef<Path>, mode: u32) -> Result<(), FsError> {
        let p = p.as_ref();
        rustix::fs::mkdirat(self, p, Mode::from_raw_mode(mode))
            .map_err(|e| self.fail("cannot create directory", p, e))
    }
    /// Makes a file.
    pub fn create_file(&self, p: impl AsRef<Path>, mode: u32) -> Result<File, FsError> {
        let p = p.as_ref();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(self, p, flags, Mode::from_raw_mode(mode))
            .map(File::from)
            .map_err(|e| self.fail("cannot create", p, e))
    }
    /// Renames into another root.
    pub fn rename_to(
        &self,
        from: impl AsRef<Path>,
        to_root: &Self,
        to: impl AsRef<Path>,
    ) -> Result<(), FsError> {
        let (from, to) = (from.as_ref(), to.as_ref());
        rustix::fs::renameat(self, from, to_root, to).map_err(|e| self.fail("cannot rename", from, e))
    }
    /// Removes a file.
    pub fn remove_file(&self, p: impl AsRef<Path>) -> Result<(), FsError> {
        let p = p.as_ref();
        rustix::fs::unlinkat(self, p, AtFlags::empty()).map_err(|e| self.fail("cannot remove", p, e))
    }
    /// Removes a tree.
    pub fn remove_tree(&self, p: impl AsRef<Path>) -> Result<(), FsError> {
        let p = p.as_ref();
        let full = self.1.join(p);
        let r = if full.is_dir() && !full.is_symlink() {
            std::fs::remove_dir_all(&full)
        } else {
            std::fs::remove_file(&full)
        };
        r.map_err(|e| self.fail("cannot remove", p, e))
    }
    /// Path.
    pub fn proc_path(&self) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}
