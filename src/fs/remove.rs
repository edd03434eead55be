//! Removing a tree by descriptors: no link is followed, no path is rebuilt.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Removes `name` in `parent` with all below it; a missing name is no error.
///
/// Works with a list of open directories instead of recursion, so that a tree
/// of any depth is bounded by descriptors, not by the stack; very deep trees
/// are first flattened.
pub(super) fn remove(parent: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // Linux says EISDIR for a directory; EPERM comes from file systems that follow POSIX.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e),
    }
    let top = open(&parent, name)?;
    let mut stack: Vec<(OwnedFd, CString)> = Vec::new();
    let mut here = top;
    loop {
        match first_directory(&here)? {
            Some(child) => {
                let next = open(&here, OsStr::from_bytes_of(&child))?;
                stack.push((std::mem::replace(&mut here, next), child));
            }
            None => match stack.pop() {
                Some((outer, child)) => {
                    rustix::fs::unlinkat(&outer, child.as_c_str(), AtFlags::REMOVEDIR)?;
                    here = outer;
                }
                None => break,
            },
        }
    }
    rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)
}

/// Removes every file of a directory and every empty subdirectory; returns a subdirectory that is not empty.
fn first_directory(dir: &OwnedFd) -> Result<Option<CString>, Errno> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let known_directory = entry.file_type() == FileType::Directory;
        if !known_directory {
            match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(e) => return Err(e),
            }
        }
        match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(Some(name.to_owned())),
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

fn open(parent: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
        // An ordinary user's own directory without permissions: give them back first.
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(&parent, name, Mode::RWXU, AtFlags::empty())?;
            rustix::fs::openat(&parent, name, flags, Mode::empty())
        }
        other => other,
    }
}

/// Bytes of a C string as a name.
trait FromCString {
    fn from_bytes_of(name: &CString) -> &OsStr;
}

impl FromCString for OsStr {
    fn from_bytes_of(name: &CString) -> &OsStr {
        std::os::unix::ffi::OsStrExt::from_bytes(name.as_bytes())
    }
}
