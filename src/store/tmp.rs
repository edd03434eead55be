//! Things in the making, below `tmp/`: locked by their owner, gone when dropped.

use std::fs::File;
use std::io;

use super::error::StoreError;
use super::file::{GcLock, lock, random_id};
use super::{Inner, layout};
use crate::fs::Root;

/// A name below `tmp/` that is removed on drop unless it was moved away.
#[derive(Debug)]
pub(super) struct Temporary {
    tmp: Root,
    pub(super) name: String,
    moved: bool,
}

impl Temporary {
    /// Makes a file; the file itself carries the owner's lock.
    pub(super) fn file(inner: &Inner) -> Result<(Self, File), StoreError> {
        let tmp = inner.root.dir(layout::TMP)?;
        let name = random_id();
        // Until it is locked, a collector would take it for debris.
        let _gc = GcLock::take(&inner.root, false)?;
        let file = tmp.create_file(&name, 0o600)?;
        let temporary = Self { tmp, name, moved: false };
        lock(&file, true, &temporary.name)?;
        Ok((temporary, file))
    }

    /// Makes a directory; the second descriptor carries the owner's lock.
    pub(super) fn directory(inner: &Inner) -> Result<(Self, Root, Root), StoreError> {
        let tmp = inner.root.dir(layout::TMP)?;
        let name = random_id();
        let _gc = GcLock::take(&inner.root, false)?;
        tmp.create_dir(&name, 0o700)?;
        let temporary = Self { tmp, name, moved: false };
        let guard = temporary.tmp.dir(&temporary.name)?;
        lock(&guard, true, &temporary.name)?;
        let root = temporary.tmp.dir(&temporary.name)?;
        Ok((temporary, root, guard))
    }

    /// Gives it its final name, which must be free.
    pub(super) fn publish(&mut self, dir: &Root, name: &str) -> Result<(), StoreError> {
        // A plain rename would replace an empty directory that someone already uses.
        match self.tmp.rename_new(&self.name, dir, name) {
            // Network file systems can't tell; there the name was looked up a moment ago.
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                return self.replace(dir, name);
            }
            other => other?,
        }
        self.moved = true;
        Ok(())
    }

    /// Gives it a name in place of the file that has it.
    pub(super) fn replace(&mut self, dir: &Root, name: &str) -> Result<(), StoreError> {
        self.tmp.rename_to(&self.name, dir, name)?;
        self.moved = true;
        Ok(())
    }

    /// Takes a thing away from its name and into this directory; one that is not there is no error.
    pub(super) fn swallow(&self, dir: &Root, name: &str) -> Result<(), StoreError> {
        match dir.rename_to(name, &self.tmp, format!("{}/{}", self.name, random_id())) {
            Err(e) if !e.is_not_found() => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// Removes it now, and says so if that fails.
    pub(super) fn delete(mut self) -> Result<(), StoreError> {
        self.tmp.remove_tree(&self.name)?;
        self.moved = true;
        Ok(())
    }
}

/// Whether a name was taken already.
pub(super) fn is_taken(error: &StoreError) -> bool {
    match error {
        StoreError::Fs(e) => e.is_exists() || e.kind() == io::ErrorKind::DirectoryNotEmpty,
        _ => false,
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.moved {
            // What stays is found by the next prune, since its lock goes with us.
            let _ = self.tmp.remove_tree(&self.name);
        }
    }
}
