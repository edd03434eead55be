//! The file systems of volumes that have any of their own, as long as containers use them.
//!
//! A file system is mounted by the first container that uses it, and attached nowhere but inside containers: its monitor
//! keeps it, and gives it to those of other containers that want the same volume. It ends with the last one of them,
//! however that ends. Whoever looks for one to be given, or mounts, holds the volume's lock until the container runs,
//! so that others find it.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::filesystem::Filesystem;
use crate::containers::config::{Config, MountSource};
use crate::containers::error::ContainerError;
use crate::containers::files::{Containers, lock};
use crate::containers::remote::Remote;
use crate::fs::mount::clone_tree;
use crate::fs::{Follow, Root, mount_namespace_of};

/// How long a monitor is waited for that has the file system; one that starts its container again has none.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often those are looked for who have it.
const LOOKS: u32 = 3;

/// The file systems of one container's volumes.
#[derive(Debug, Default)]
pub struct Mounted {
    all: BTreeMap<String, Shared>,
    locks: Vec<Root>,
}

/// A file system that is attached nowhere, and the mount namespace in which it was made: only there, it can be shown
/// once more.
#[derive(Debug)]
pub struct Shared {
    mount: OwnedFd,
    namespace: OwnedFd,
    bind: bool,
}

impl Shared {
    /// Takes what another monitor gave.
    pub fn of(mount: OwnedFd, namespace: OwnedFd) -> Self {
        Self { mount, namespace, bind: false }
    }

    /// Shows it once more, or a directory in it; attached nowhere yet.
    ///
    /// # Errors
    /// There is no such directory, or the kernel refuses.
    pub fn again(&self, below: Option<&str>, place: &Path) -> Result<OwnedFd, ContainerError> {
        let copy = self.mount.try_clone().map_err(|e| ContainerError::io("duplicate a descriptor", e))?;
        let tree = match below.filter(|path| !path.is_empty()) {
            None => copy,
            Some(path) => Root::named(copy, place.to_owned()).open_path(path, Follow::Yes).map_err(
                |error| match error.is_not_found() {
                    true => ContainerError::NoPath { path: place.join(path).display().to_string() },
                    false => error.into(),
                },
            )?,
        };
        clone_tree(tree.as_fd(), self.bind)
            .or_else(|_| crate::run::clone_in(self.namespace.as_fd(), tree.as_fd()))
            .map_err(|e| {
                ContainerError::io("show a volume's file system once more", std::io::Error::other(e))
            })
    }

    /// Shows it in a container. Where the kernel shows nothing twice that is attached nowhere (before Linux 6.15), it is
    /// that container's alone.
    ///
    /// # Errors
    /// See [`Shared::again`].
    pub fn once(&self, below: Option<&str>, place: &Path) -> Result<OwnedFd, ContainerError> {
        match (self.again(below, place), below) {
            (Err(ContainerError::Io { .. }), None) => {
                self.mount.try_clone().map_err(|e| ContainerError::io("duplicate a descriptor", e))
            }
            (other, _) => other,
        }
    }

    /// What another monitor needs of it.
    pub fn parts(&self, place: &Path) -> Option<(OwnedFd, BorrowedFd<'_>)> {
        Some((self.again(None, place).ok()?, self.namespace.as_fd()))
    }
}

impl Mounted {
    /// Mounts the file systems of a container's volumes, or has them given by those who have them.
    ///
    /// # Errors
    /// A volume is missing, or the kernel refuses.
    pub fn of(containers: &Containers, config: &Config) -> Result<Self, ContainerError> {
        let mut names: Vec<&str> = config
            .mounts
            .iter()
            .filter_map(|mount| match &mount.source {
                MountSource::Volume { name, .. } => name.as_deref(),
                _ => None,
            })
            .collect();
        // All take locks in one order.
        names.sort_unstable();
        names.dedup();
        let mut mounted = Self::default();
        for name in names {
            mounted.add(containers, name, Some(&config.id))?;
        }
        Ok(mounted)
    }

    /// Mounts the file system of a volume, if it has any.
    pub(super) fn add(
        &mut self,
        containers: &Containers,
        name: &str,
        own: Option<&str>,
    ) -> Result<(), ContainerError> {
        let Some(filesystem) = Filesystem::of(&super::find(containers, name)?.options) else { return Ok(()) };
        let place = super::path(containers, name);
        let bind = filesystem.is_bind();
        let mut given = None;
        if !bind {
            let alone = super::directory(containers)?.dir(name)?;
            lock(&alone, FlockOperation::LockExclusive)?;
            self.locks.push(alone);
            given = shared(containers, name, own)?;
        }
        let shared = match given {
            Some(shared) => shared,
            None => {
                let mount = filesystem.mount(&place)?;
                let own = rustix::process::getpid().as_raw_nonzero().get();
                Shared { mount, namespace: mount_namespace_of(own)?, bind }
            }
        };
        self.all.insert(name.to_owned(), shared);
        Ok(())
    }

    /// Returns the file system of a volume; none if it has none.
    pub fn get(&self, name: &str) -> Option<&Shared> {
        self.all.get(name)
    }

    /// Lets others look for what is mounted.
    pub fn unlock(&mut self) {
        self.locks.clear();
    }
}

/// Asks the monitors of other containers for a volume's file system.
fn shared(containers: &Containers, name: &str, own: Option<&str>) -> Result<Option<Shared>, ContainerError> {
    let uses = |mount: &super::super::config::MountPoint| matches!(&mount.source, MountSource::Volume { name: Some(other), .. } if other == name);
    for _ in 0..LOOKS {
        let mut again = false;
        for other in containers.look()?.0 {
            let candidate = own != Some(other.config.id.as_str()) && other.config.mounts.iter().any(uses);
            if !candidate || !other.written_state()?.status.is_running() {
                continue;
            }
            let Some(remote) = Remote::connect(&other)? else { continue };
            match remote.volume(name, PATIENCE) {
                Ok(Some((mount, namespace))) => return Ok(Some(Shared::of(mount, namespace))),
                Ok(None) => {}
                Err(_) => again = true,
            }
        }
        if !again {
            break;
        }
    }
    Ok(None)
}
