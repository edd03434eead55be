//! Namespaces as descriptors.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags};

use super::error::FsError;

/// Returns the calling thread's network namespace; it lives as long as the descriptor.
///
/// # Errors
/// `/proc` is not there.
pub fn network_namespace() -> Result<OwnedFd, FsError> {
    const PATH: &str = "/proc/thread-self/ns/net";
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, PATH, flags, Mode::empty()).map_err(|e| FsError::new("open", PATH, e))
}
