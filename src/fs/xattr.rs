//! Extended attributes of a file that a descriptor stands for.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;

use super::root::proc_fd;

/// Most bytes that the names or one value may have (xattr(7)).
pub(super) const MAX: usize = 65_536;

/// Returns the attributes of the file behind an `O_PATH` descriptor, sorted by name.
pub(super) fn list(fd: impl AsFd) -> Result<Vec<(Vec<u8>, Vec<u8>)>, std::io::Error> {
    // Of a symbolic link these are its own: a magic link is the last that the kernel follows.
    let path = proc_fd(&fd);
    let mut names = vec![0u8; 1024];
    let count = loop {
        match rustix::fs::listxattr(&path, &mut names[..]) {
            Ok(count) => break count,
            Err(Errno::RANGE) if names.len() < MAX => names.resize(MAX, 0),
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        }
    };
    let mut found = Vec::new();
    for name in names[..count].split(|c| *c == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0u8; 256];
        let size = loop {
            match rustix::fs::getxattr(&path, OsStr::from_bytes(name), &mut value[..]) {
                Ok(size) => break Some(size),
                Err(Errno::RANGE) if value.len() < MAX => value.resize(MAX, 0),
                // It went away, or is not ours to read.
                Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => break None,
                Err(e) => return Err(e.into()),
            }
        };
        if let Some(size) = size {
            value.truncate(size);
            found.push((name.to_vec(), value));
        }
    }
    found.sort();
    Ok(found)
}
