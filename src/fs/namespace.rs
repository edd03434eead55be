//! Namespaces as descriptors.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};

use super::error::FsError;

/// Returns the calling thread's network namespace; it lives as long as the descriptor.
///
/// # Errors
/// `/proc` is not there.
pub fn network_namespace() -> Result<OwnedFd, FsError> {
    open("/proc/thread-self/ns/net".to_owned())
}

/// Returns the network namespace of a process.
///
/// # Errors
/// The process is gone.
pub fn network_namespace_of(pid: i32) -> Result<OwnedFd, FsError> {
    open(format!("/proc/{pid}/ns/net"))
}

/// Returns the mount namespace of a process.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn mount_namespace_of(pid: i32) -> Result<OwnedFd, FsError> {
    open(format!("/proc/{pid}/ns/mnt"))
}

/// Returns the namespace that a process has as its standard input.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn namespace_given_to(pid: i32) -> Result<OwnedFd, FsError> {
    open(format!("/proc/{pid}/fd/0"))
}

/// Opens one of the links that lead to namespaces, which [`super::Root`] would not follow.
fn open(path: String) -> Result<OwnedFd, FsError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, &path, flags, Mode::empty()).map_err(|e| FsError::new("open", path, e))
}
