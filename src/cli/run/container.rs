//! A container's directory, `containers/<id>/{upper,work,volumes}` below the store's root.
//!
//! It is locked (flock) while its process lives and removed with it. After a
//! crash the lock is free, and the next container that ends takes it away.

use rustix::fs::FlockOperation;

use super::super::error::{CliError, chain};
use super::super::output;
use crate::fs::{Follow, Root};
use crate::run::UpperDir;
use crate::store::Store;

const ALL: &str = "containers";

/// A container's directory, gone when dropped.
pub struct Container {
    all: Root,
    own: Root,
    id: String,
}

impl Container {
    /// Makes a container's directory; the root of its writable layer looks like `image`'s.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create(store: &Store, id: &str, image: &Root) -> Result<Self, CliError> {
        let root = Root::open(store.path())?;
        let all = match root.dir(ALL) {
            Err(error) if error.is_not_found() => {
                root.create_dir_all(ALL, 0o711)?;
                root.dir(ALL)?
            }
            other => other?,
        };
        // Until it is locked it would be taken for debris.
        let making = all.dir(".")?;
        lock(&making, FlockOperation::LockShared)?;
        all.create_dir(id, 0o700)?;
        let container = Self { own: all.dir(id)?, all, id: id.to_owned() };
        lock(&container.own, FlockOperation::LockExclusive)?;
        container.own.create_dir("upper", 0o755)?;
        container.own.create_dir("work", 0o700)?;
        if let Some(stat) = image.stat(".", Follow::No)? {
            if (stat.uid, stat.gid) != (0, 0) {
                container.own.set_owner("upper", stat.uid, stat.gid)?;
            }
            container.own.set_mode("upper", stat.mode & 0o7777)?;
        }
        Ok(container)
    }

    /// Returns the directory.
    pub fn root(&self) -> &Root {
        &self.own
    }

    /// Returns the writable layer.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn writable(&self) -> Result<UpperDir, CliError> {
        Ok(UpperDir { upper: self.own.dir("upper")?, work: self.own.dir("work")? })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = self.all.remove_tree(&self.id) {
            output::talk(&format!("WARNING: the container's files could not be removed: {}", chain(&error)));
        }
        // What others left is no failure of this one.
        let _ = sweep_all(&self.all);
    }
}

fn lock(directory: &Root, operation: FlockOperation) -> Result<(), CliError> {
    rustix::fs::flock(directory, operation)
        .map_err(|e| CliError::new(format!("cannot lock {}: {e}", directory.name().display())))
}

/// Removes the directories of containers whose process is gone, and returns their ids.
///
/// # Errors
/// A directory can't be removed.
pub fn sweep(store: &Store) -> Result<Vec<String>, CliError> {
    match Root::open(store.path())?.dir(ALL) {
        Ok(all) => sweep_all(&all),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn sweep_all(all: &Root) -> Result<Vec<String>, CliError> {
    let mut removed = Vec::new();
    let names = all.entries(".")?;
    if names.is_empty() {
        return Ok(removed);
    }
    let alone = all.dir(".")?;
    if rustix::fs::flock(&alone, FlockOperation::NonBlockingLockExclusive).is_err() {
        // One is just being made.
        return Ok(removed);
    }
    for entry in names {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let Ok(own) = all.dir(&name) else { continue };
        if rustix::fs::flock(&own, FlockOperation::NonBlockingLockExclusive).is_ok() {
            all.remove_tree(&name)?;
            removed.push(name);
        }
    }
    Ok(removed)
}
