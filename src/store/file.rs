//! Small helpers on files of the store.

use std::fs::File;
use std::path::PathBuf;

use rustix::fs::FlockOperation;

use super::error::StoreError;
use crate::fs::Root;

/// Returns the names in one of the store's own directories; what the store did not name is left out.
pub(super) fn names(root: &Root, path: &str) -> Result<Vec<String>, StoreError> {
    let entries = root.entries(path)?;
    Ok(entries.into_iter().filter_map(|entry| String::from_utf8(entry.name).ok()).collect())
}

/// Returns 32 random hexadecimal digits.
pub(super) fn random_id() -> String {
    let mut bytes = [0u8; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())
            .expect("the kernel has random numbers once it is up");
    }
    crate::image::id::to_hex(&bytes)
}

/// Returns the time now in nanoseconds since 1970.
pub(super) fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// Locks an open file or directory, waiting for others.
pub(super) fn lock(file: impl rustix::fd::AsFd, exclusive: bool, name: &str) -> Result<(), StoreError> {
    let how = if exclusive { FlockOperation::LockExclusive } else { FlockOperation::LockShared };
    loop {
        match rustix::fs::flock(&file, how) {
            Err(rustix::io::Errno::INTR) => {}
            other => {
                return other.map_err(|e| StoreError::Io {
                    action: "cannot lock",
                    path: PathBuf::from(name),
                    source: e.into(),
                });
            }
        }
    }
}

/// Locks an open file or directory unless another holder is there.
pub(super) fn try_lock(file: impl rustix::fd::AsFd, exclusive: bool, name: &str) -> Result<bool, StoreError> {
    let how = if exclusive {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    match rustix::fs::flock(&file, how) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(StoreError::Io { action: "cannot lock", path: PathBuf::from(name), source: e.into() }),
    }
}

/// A lock on the collecting of garbage: shared while something is published or leased, alone while things go.
#[derive(Debug)]
pub(super) struct GcLock {
    _file: File,
}

impl GcLock {
    /// Takes the lock; both kinds are held for moments only.
    pub(super) fn take(root: &Root, exclusive: bool) -> Result<Self, StoreError> {
        let name = format!("{}/{}", super::layout::LOCKS, super::layout::GC_LOCK);
        let file = root.open_file(&name)?;
        lock(&file, exclusive, &name)?;
        Ok(Self { _file: file })
    }
}
