//! Files by the names that the user gave: the only place where a bare path is opened.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use super::error::FsError;

/// Reads a file that an option or a configuration names, of `most` bytes at most.
///
/// # Errors
/// It can't be opened or read, or is longer.
pub fn read_named(path: &Path, most: u64) -> Result<Vec<u8>, FsError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = open_for_reading(path)?.take(most + 1).read_to_end(&mut bytes);
    read.map_err(|error| FsError::new("read", path, error))?;
    if bytes.len() as u64 > most {
        let long = std::io::Error::other(format!("it is longer than {most} bytes"));
        return Err(FsError::new("read", path, long));
    }
    Ok(bytes)
}

/// Opens a file that the user named.
///
/// # Errors
/// It is not there or can't be read.
pub fn open_for_reading(path: &Path) -> Result<File, FsError> {
    File::open(path).map_err(|e| FsError::new("open", path, e))
}

/// Opens a file that the user named and that exists, such as a pipe, for writing.
///
/// # Errors
/// It is not there or can't be written.
pub fn open_for_writing(path: &Path) -> Result<File, FsError> {
    OpenOptions::new().write(true).open(path).map_err(|e| FsError::new("open", path, e))
}

/// Whether a name stands for a device, a pipe or a socket, links followed.
pub fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| {
        let kind = meta.file_type();
        kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket()
    })
}

/// Whether a path names anything, links followed.
pub fn is_there(path: &Path) -> bool {
    path.exists()
}

/// Returns what a path names with all links resolved.
///
/// # Errors
/// It is not there.
pub fn canonical(path: &Path) -> Result<std::path::PathBuf, FsError> {
    path.canonicalize().map_err(|e| FsError::new("resolve", path, e))
}

/// Whether a path names a directory, links followed.
pub fn is_directory(path: &Path) -> bool {
    path.is_dir()
}

/// Opens what a path names, links followed, as an `O_PATH` descriptor.
///
/// # Errors
/// It is not there.
pub fn open_path(path: &Path) -> Result<std::os::fd::OwnedFd, FsError> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map_err(|e| FsError::new("open", path, e))
}
