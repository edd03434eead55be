//! Volumes: `volumes/<name>/` below the store's root. An anonymous one goes with its container.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::super::error::{CliError, chain};
use super::super::output;
use super::random_id;
use crate::fs::{Follow, Root};
use crate::layers::{PackOptions, UnpackOptions, pack_tree, unpack};
use crate::store::Store;

/// The volumes of one container.
pub struct Volumes<'a> {
    store: &'a Store,
    /// The image's files, for an empty volume's first content.
    view: &'a Root,
    anonymous: Vec<String>,
}

impl<'a> Volumes<'a> {
    /// Keeps volumes in `store`; `view` shows the image's files.
    pub fn new(store: &'a Store, view: &'a Root) -> Self {
        Self { store, view, anonymous: Vec::new() }
    }

    /// Returns a volume's directory, made when missing; an empty one gets the image's content of `target`.
    ///
    /// # Errors
    /// The name is none, or the volume can't be made.
    pub fn open(&mut self, name: Option<&str>, target: &Path, copy_up: bool) -> Result<OwnedFd, CliError> {
        let root = Root::open(self.store.path())?;
        root.create_dir_all("volumes", 0o711)?;
        let all = root.dir("volumes")?;
        let name = match name {
            Some(name) => {
                check(name)?;
                name.to_owned()
            }
            None => {
                let name = random_id()?;
                self.anonymous.push(name.clone());
                name
            }
        };
        if all.stat(&name, Follow::No)?.is_none() {
            self.make(&all, &name, target, copy_up)?;
        }
        Ok(all.dir(&name)?.to_owned_fd()?)
    }

    /// Makes a volume beside its place and renames it there whole; another process may have been quicker.
    fn make(&self, all: &Root, name: &str, target: &Path, copy_up: bool) -> Result<(), CliError> {
        let fresh = format!(".{name}.{}", std::process::id());
        all.remove_tree(&fresh)?;
        all.create_dir(&fresh, 0o755)?;
        let place = all.dir(&fresh)?;
        let image = self.view.stat(target, Follow::Yes)?.filter(crate::fs::Stat::is_dir);
        if let Some(stat) = image.filter(|_| copy_up) {
            let mut tar = Vec::new();
            let packed = pack_tree(&self.view.dir(target)?, &mut tar, &PackOptions::default());
            packed.map_err(|e| CliError::new(chain(&e)))?;
            unpack(&mut &tar[..], &place, &UnpackOptions::default()).map_err(|e| CliError::new(chain(&e)))?;
            place.set_owner(".", stat.uid, stat.gid)?;
            place.set_mode(".", stat.mode)?;
            place.set_times(".", stat.mtime)?;
        }
        match all.rename_new(&fresh, all, name) {
            Err(error) if error.is_exists() => Ok(all.remove_tree(&fresh)?),
            other => Ok(other?),
        }
    }
}

impl Drop for Volumes<'_> {
    fn drop(&mut self) {
        let Ok(all) = Root::open(&self.store.path().join("volumes")) else { return };
        for name in &self.anonymous {
            if let Err(error) = all.remove_tree(name) {
                output::talk(&format!(
                    "WARNING: the anonymous volume {name} could not be removed: {}",
                    chain(&error)
                ));
            }
        }
    }
}

fn check(name: &str) -> Result<(), CliError> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if name.len() > 1 && first && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        return Ok(());
    }
    Err(CliError::new(format!(
        "Error response from daemon: create {name}: {name:?} includes invalid characters for a local volume name, \
         only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}
