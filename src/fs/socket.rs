//! Sockets in the file system: placed whole, taken away again.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::FsError;

/// The file of a socket that is listened on; dropped, it goes, if it still is the same.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// Listens at a path for its owner and a group alone; none if somebody else does. The file of a listener that is gone
/// is replaced, in one step: it has its owner and mode before clients can find it.
///
/// # Errors
/// There is another file, or none can be made.
pub fn listen_at(path: &Path, group: Option<u32>) -> Result<Option<(UnixListener, SocketFile)>, FsError> {
    let failed = |error| FsError::new("listen at", path, error);
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(failed(io::Error::other("there is a file that is no socket")));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => return Ok(None),
        _ => {}
    }
    let mut fresh = path.to_owned().into_os_string();
    fresh.push(format!(".{}", std::process::id()));
    let fresh = PathBuf::from(fresh);
    let _ = std::fs::remove_file(&fresh);
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    let inode = place(&fresh, path, group).map_err(|error| {
        let _ = std::fs::remove_file(&fresh);
        failed(error)
    })?;
    Ok(Some((listener, SocketFile { path: path.to_owned(), inode })))
}

impl SocketFile {
    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn place(fresh: &Path, path: &Path, group: Option<u32>) -> io::Result<u64> {
    std::fs::set_permissions(fresh, std::fs::Permissions::from_mode(0o660))?;
    if let Some(group) = group {
        std::os::unix::fs::chown(fresh, None, Some(group))?;
    }
    let inode = std::fs::symlink_metadata(fresh)?.ino();
    std::fs::rename(fresh, path)?;
    Ok(inode)
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether the other side of a Unix socket has read all that was written to it.
pub fn all_is_read(socket: impl std::os::fd::AsFd) -> bool {
    // Where that can't be told, nobody waits for it.
    super::sys::unread(socket.as_fd()).map_or(true, |count| count == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_replaces_a_dead_one_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let first = listen_at(&path, None).expect("a socket").expect("nobody listens");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o660);
        assert!(listen_at(&path, None).expect("looked").is_none(), "somebody listens");
        let (listener, file) = first;
        drop(listener);
        let (_listener, newer) = listen_at(&path, None).expect("a socket").expect("the listener is gone");
        drop(file);
        assert!(path.exists(), "the older one is not what is there");
        drop(newer);
        assert!(!path.exists());
        std::fs::write(&path, "x").expect("a file");
        assert!(listen_at(&path, None).is_err(), "a file stays");
    }
}
