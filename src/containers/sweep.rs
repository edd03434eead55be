//! What commands leave that are killed while they make, rename or remove a container, and how it goes.
//!
//! A directory without a config is debris when nobody has locked it: whoever makes or removes a container holds its lock
//! for so long. Volumes that go with it are named in a file of it. A name is debris when its container is not there, or
//! has another one.

use rustix::fs::FlockOperation;

use super::error::ContainerError;
use super::files::{CONFIG, Containers, MAX_FILE, lock};
use super::volumes;
use crate::fs::{Follow, Root};

/// In a container that is in the making or being removed: the names of the volumes that go with it.
const VOLUMES: &str = "volumes.json";

/// Notes which volumes go when the directory is found as debris.
pub(super) fn note_volumes(dir: &Root, names: &[String]) -> Result<(), ContainerError> {
    let bytes = serde_json::to_vec(names).expect("names serialise");
    Ok(crate::fs::write_atomic(dir, VOLUMES, &bytes, false)?)
}

/// Lets all volumes stay, whatever was noted.
pub(super) fn forget_volumes(dir: &Root) -> Result<(), ContainerError> {
    match dir.remove_file(VOLUMES) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

impl Containers {
    /// Removes what commands left that were killed while they made, renamed or removed a container or a volume.
    ///
    /// # Errors
    /// Something can't be removed.
    pub fn sweep(&self) -> Result<(), ContainerError> {
        for (id, dir) in self.debris()? {
            self.remove_volumes_of(&dir)?;
            self.all.remove_tree(&id)?;
        }
        self.sweep_names()?;
        volumes::sweep(self)
    }

    /// Returns the directories that nobody is at work on and that are no containers, locked.
    fn debris(&self) -> Result<Vec<(String, Root)>, ContainerError> {
        // Nobody is between making a directory and locking it.
        let alone = self.all.dir(".")?;
        lock(&alone, FlockOperation::LockExclusive)?;
        let mut found = Vec::new();
        for entry in self.all.entries(".")? {
            let id = String::from_utf8_lossy(&entry.name).into_owned();
            let Ok(dir) = self.all.dir(&id) else { continue };
            if rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).is_ok()
                && dir.stat(CONFIG, Follow::No)?.is_none()
            {
                found.push((id, dir));
            }
        }
        Ok(found)
    }

    /// Removes the volumes that were noted in a directory and that no container uses.
    pub(super) fn remove_volumes_of(&self, dir: &Root) -> Result<(), ContainerError> {
        let bytes = match dir.read(VOLUMES, MAX_FILE) {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        let names: Vec<String> = serde_json::from_slice(&bytes).unwrap_or_default();
        for name in names {
            match volumes::remove(self, &name) {
                // It was not made yet, is gone already, or another container has come to use it.
                Ok(()) | Err(ContainerError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes the names that no container has.
    fn sweep_names(&self) -> Result<(), ContainerError> {
        // Nobody is just making a container, or giving one another name.
        let making = self.all.dir(".")?;
        lock(&making, FlockOperation::LockExclusive)?;
        let alone = self.names.dir(".")?;
        lock(&alone, FlockOperation::LockExclusive)?;
        for entry in self.names.entries(".")? {
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            let id = String::from_utf8_lossy(&self.names.read_link(&name)?).into_owned();
            let unused = match self.load(&id) {
                Ok(Some(container)) => container.config.name != name,
                Ok(None) => self.all.stat(&id, Follow::No)?.is_none(),
                // What can't be read is left to `rm`.
                Err(_) => false,
            };
            if unused {
                self.names.remove_file(&name)?;
            }
        }
        Ok(())
    }
}
