//! Locks by name below `locks/`: two processes that want one thing make it once.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::cache::CacheKey;
use super::error::StoreError;
use super::file::{lock, try_lock};
use super::{Inner, Store, layout};

/// A lock on a name, released and its file removed on drop.
#[derive(Debug)]
pub struct KeyLock {
    inner: Arc<Inner>,
    name: String,
    _file: File,
}

impl Store {
    /// Waits until nobody else makes this key's result, then keeps others waiting.
    ///
    /// Look the key up again once the lock is held: the one before may have made it.
    ///
    /// # Errors
    /// The lock's file can't be made.
    pub fn key_lock(&self, key: &CacheKey) -> Result<KeyLock, StoreError> {
        self.inner.name_lock(&key.hex())
    }

    /// Takes a key's lock unless someone else has it.
    ///
    /// # Errors
    /// The lock's file can't be made.
    pub fn try_key_lock(&self, key: &CacheKey) -> Result<Option<KeyLock>, StoreError> {
        named(&self.inner, &key.hex(), false)
    }
}

impl Inner {
    /// Takes the lock of a name of hexadecimal digits and hyphens.
    pub(super) fn name_lock(self: &Arc<Self>, name: &str) -> Result<KeyLock, StoreError> {
        Ok(named(self, name, true)?.expect("waiting ends with the lock"))
    }
}

fn named(inner: &Arc<Inner>, name: &str, wait: bool) -> Result<Option<KeyLock>, StoreError> {
    let name = format!("{}/{name}", layout::LOCKS);
    loop {
        let file = match inner.root.open_file(&name) {
            Err(e) if e.is_not_found() => match inner.root.create_file(&name, 0o600) {
                Err(e) if e.is_exists() => continue,
                other => other?,
            },
            other => other?,
        };
        if wait {
            lock(&file, true, &name)?;
        } else if !try_lock(&file, true, &name)? {
            return Ok(None);
        }
        // Its last holder may have removed the file while we waited; then the lock is worth nothing.
        let links = file.metadata().map_err(|source| StoreError::Io {
            action: "cannot stat",
            path: PathBuf::from(&name),
            source,
        })?;
        if links.nlink() > 0 {
            return Ok(Some(KeyLock { inner: Arc::clone(inner), name, _file: file }));
        }
    }
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        // Removed while still locked, so that nobody holds a lock on a name that another could make anew.
        let _ = self.inner.root.remove_file(&self.name);
    }
}
