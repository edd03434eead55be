//! System calls that rustix lacks.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// What [`mount_setattr`] changes: attributes (`MOUNT_ATTR_*`) to set and to clear, and the propagation (`MS_*`) or 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct MountChange {
    pub set: u64,
    pub clear: u64,
    pub propagation: u64,
}

/// Changes the attributes of the mount that `fd` is the root of, or of the whole tree below it (Linux 5.12).
pub fn mount_setattr(fd: BorrowedFd<'_>, recursive: bool, change: MountChange) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let attributes = [change.set, change.clear, change.propagation, 0];
    // SAFETY: the path is a C string, and the four words are a `struct mount_attr` of version 0, whose size is given;
    // both outlive the call, which only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            attributes.as_ptr(),
            size_of_val(&attributes),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Returns how many bytes wait in a socket of this machine that the other side has not read (`SIOCOUTQ` of unix(7)).
pub fn unread(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut count: libc::c_int = 0;
    // SAFETY: the request writes one int, to a place that outlives the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &mut count) } {
        0 => Ok(usize::try_from(count).unwrap_or(0)),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}
