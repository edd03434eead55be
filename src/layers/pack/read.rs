//! One thread's part of packing: files of a list, opened, looked at, and read if they are small.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;

use super::{Marks, Times};
use crate::fs::walk::Named;
use crate::fs::{FileKind, FsError, Root, Series, Stat, has_xattrs_fd, stat_fd, xattr_fd};
use crate::layers::entry::{Entry, EntryKind, Metadata};
use crate::layers::error::LayerError;

/// Bytes that a reader brings at most; the rest is read when it is written.
const BYTES: u64 = 2 << 20;

/// The one extended attribute that layers keep (capabilities(7)).
const CAPABILITY: &[u8] = b"security.capability";

/// A file that is ready to be written.
pub(super) struct Packed {
    /// Its path is the one below the root.
    pub entry: Entry,
    pub stat: Stat,
    /// Whether what lower layers have in this directory is hidden.
    pub opaque: bool,
    /// All of a file, if it was read.
    pub content: Option<Vec<u8>>,
}

impl Packed {
    fn new(file: &Named, stat: Stat, kind: EntryKind, meta: Metadata) -> Self {
        Self { entry: Entry { path: file.path.clone(), kind, meta }, stat, opaque: false, content: None }
    }

    fn whiteout(file: &Named, stat: Stat) -> Self {
        Self::new(file, stat, EntryKind::Whiteout, Metadata::default())
    }
}

/// Looks at files one after the other.
pub(super) struct Reader<'a> {
    series: Series<'a>,
    marks: Marks,
    times: Times,
    /// How many bytes more may be read.
    room: u64,
}

impl<'a> Reader<'a> {
    pub fn new(root: &'a Root, marks: Marks, times: Times) -> Self {
        Self { series: Series::new(root), marks, times, room: BYTES }
    }

    /// Returns what the files are, in order.
    ///
    /// # Errors
    /// One of them can't be read, or is not what it was when its name was listed.
    pub fn read(mut self, files: &[Named]) -> Result<Vec<Packed>, LayerError> {
        files.iter().map(|file| self.packed(file)).collect()
    }

    fn packed(&mut self, file: &Named) -> Result<Packed, LayerError> {
        let stat = match file.kind {
            FileKind::File => return self.regular(file),
            FileKind::Directory => return self.directory(file),
            _ => self.series.stat(&file.path)?,
        };
        let (major, minor) = stat.rdev;
        let kind = match stat.kind {
            FileKind::CharDevice if self.marks == Marks::Overlay && stat.rdev == (0, 0) => {
                return Ok(Packed::whiteout(file, stat));
            }
            FileKind::Symlink => EntryKind::Symlink { target: self.series.link(&file.path)? },
            FileKind::CharDevice => EntryKind::CharDevice { major, minor },
            FileKind::BlockDevice => EntryKind::BlockDevice { major, minor },
            FileKind::Fifo => EntryKind::Fifo,
            FileKind::File | FileKind::Directory | FileKind::Socket => {
                return Err(LayerError::Changed { path: file.path.clone() });
            }
        };
        let meta = self.metadata(&stat);
        Ok(Packed::new(file, stat, kind, meta))
    }

    fn metadata(&self, stat: &Stat) -> Metadata {
        let (mode, uid, gid) = (stat.mode, stat.uid, stat.gid);
        Metadata { mode, uid, gid, mtime: self.times.of(stat), xattrs: Vec::new() }
    }

    fn regular(&mut self, file: &Named) -> Result<Packed, LayerError> {
        let mut open = self.series.file(&file.path)?;
        let stat = stat_fd(&open)?;
        if stat.kind != FileKind::File {
            return Err(LayerError::Changed { path: file.path.clone() });
        }
        let mut meta = self.metadata(&stat);
        if has_xattrs_fd(&open).map_err(failed(&file.path))? {
            if self.marks == Marks::Overlay && stat.size == 0 && has_whiteout_xattr(&file.path, &open)? {
                return Ok(Packed::whiteout(file, stat));
            }
            if let Some(value) = attribute(&file.path, &open, CAPABILITY)? {
                meta.xattrs.push((CAPABILITY.to_vec(), value));
            }
        }
        let content = match stat.size {
            size if size == 0 || size > self.room => None,
            size => {
                self.room -= size;
                Some(read_whole(&mut open, &file.path, size as usize)?)
            }
        };
        Ok(Packed { content, ..Packed::new(file, stat, EntryKind::File { size: stat.size }, meta) })
    }

    fn directory(&mut self, file: &Named) -> Result<Packed, LayerError> {
        let dir = self.series.directory(&file.path)?;
        let stat = stat_fd(dir)?;
        let mut opaque = false;
        if self.marks == Marks::Overlay {
            for name in [&b"trusted.overlay.opaque"[..], b"user.overlay.opaque"] {
                opaque |= attribute(&file.path, dir, name)?.is_some_and(|value| value == b"y");
            }
        }
        let meta = self.metadata(&stat);
        Ok(Packed { opaque, ..Packed::new(file, stat, EntryKind::Directory, meta) })
    }
}

fn attribute(path: &[u8], fd: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>, FsError> {
    xattr_fd(fd, name).map_err(failed(path))
}

fn failed(path: &[u8]) -> impl FnOnce(Errno) -> FsError {
    move |errno| FsError::new("read attributes of", OsStr::from_bytes(path), errno)
}

/// Whiteouts of overlays that can't make devices (overlayfs documentation, "whiteouts and opaque directories").
fn has_whiteout_xattr(path: &[u8], file: &File) -> Result<bool, FsError> {
    for name in [&b"trusted.overlay.whiteout"[..], b"user.overlay.whiteout"] {
        if attribute(path, file, name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a file of so many bytes.
fn read_whole(open: &mut File, path: &[u8], size: usize) -> Result<Vec<u8>, LayerError> {
    // One byte more than expected shows growth without another system call.
    let mut bytes = vec![0u8; size + 1];
    let mut filled = 0;
    // What ends short of what was asked for is at its end (read(2)).
    while filled < size {
        match open.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(LayerError::Io { action: "read content", source }),
        }
    }
    if filled != size {
        return Err(LayerError::Changed { path: path.to_vec() });
    }
    bytes.truncate(filled);
    Ok(bytes)
}
