//! Locks by name: two processes that want one thing make it once.
//!
//! A name's lock is one byte of the file `locks/names`, at an offset that is
//! a digest of the name, locked for an open file description (`F_OFD_SETLK`,
//! fcntl(2)). No file is made or removed for it: on ext4 every file that is
//! removed makes those that are made in the next minutes slower.

use std::fs::File;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use super::cache::CacheKey;
use super::error::StoreError;
use super::{Inner, Store, layout};

/// A lock on a name, released on drop and by death.
#[derive(Debug)]
pub struct KeyLock {
    /// The description carries the lock.
    _file: File,
}

impl Store {
    /// Waits until nobody else makes this key's result, then keeps others waiting.
    ///
    /// Look the key up again once the lock is held: the one before may have made it.
    ///
    /// # Errors
    /// The file of locks can't be opened.
    pub fn key_lock(&self, key: &CacheKey) -> Result<KeyLock, StoreError> {
        Ok(self.inner.lock_byte(key.as_bytes(), true)?.expect("waiting ends with the lock"))
    }

    /// Takes a key's lock unless someone else has it.
    ///
    /// # Errors
    /// The file of locks can't be opened.
    pub fn try_key_lock(&self, key: &CacheKey) -> Result<Option<KeyLock>, StoreError> {
        self.inner.lock_byte(key.as_bytes(), false)
    }
}

impl Inner {
    /// Waits for the lock of a name that is no key.
    pub(super) fn name_lock(&self, name: &str) -> Result<KeyLock, StoreError> {
        let digest = blake3::hash(name.as_bytes());
        Ok(self.lock_byte(digest.as_bytes(), true)?.expect("waiting ends with the lock"))
    }

    fn lock_byte(&self, digest: &[u8; 32], wait: bool) -> Result<Option<KeyLock>, StoreError> {
        let name = format!("{}/{}", layout::LOCKS, layout::NAMES_LOCK);
        let file = self.root.open_or_create(&name, 0o600)?;
        let [a, b, c, d, e, f, g, h, ..] = *digest;
        // 62 bits, so that the byte behind still has an offset.
        let offset = i64::from_le_bytes([a, b, c, d, e, f, g, h]) & (i64::MAX >> 1);
        let range = libc::flock {
            l_type: libc::F_WRLCK as i16,
            l_whence: libc::SEEK_SET as i16,
            l_start: offset,
            l_len: 1,
            l_pid: 0,
        };
        loop {
            let how = if wait { FcntlArg::F_OFD_SETLKW(&range) } else { FcntlArg::F_OFD_SETLK(&range) };
            match fcntl(&file, how) {
                Ok(_) => return Ok(Some(KeyLock { _file: file })),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::EACCES) if !wait => return Ok(None),
                Err(e) => {
                    return Err(StoreError::Io {
                        action: "cannot lock a name in",
                        path: PathBuf::from(name),
                        source: e.into(),
                    });
                }
            }
        }
    }
}
