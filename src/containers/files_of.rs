//! A container's files as its processes see them, volumes and binds included, to be read and written from outside.

use super::error::ContainerError;
use super::files::Container;
use super::remote::Remote;
use super::start::{Layers, Prepared, prepare};
use crate::fs::Root;
use crate::run::{OpenRoot, open_root};
use crate::store::Store;

/// The files; of a container that does not run, they are mounted as long as this lives.
pub struct Files(Opened);

enum Opened {
    Running(Root),
    Stopped { mounted: OpenRoot, _lock: Root },
}

impl Files {
    /// Returns the container's root.
    pub fn root(&self) -> &Root {
        match &self.0 {
            Opened::Running(root) => root,
            Opened::Stopped { mounted, .. } => &mounted.root,
        }
    }
}

impl Container {
    /// Opens the container's files, whether it runs or not. The calling thread may leave its mount namespace.
    ///
    /// # Errors
    /// A layer or a mount is missing, or the kernel refuses.
    pub fn files(&self, store: &Store) -> Result<Files, ContainerError> {
        loop {
            if let Some(remote) = Remote::connect(self)?
                && let Some(fd) = remote.root()?
            {
                let name = format!("container {}", self.short_id());
                return Ok(Files(Opened::Running(Root::named(fd, name))));
            }
            // What a dead monitor left is set right.
            self.state()?;
            // While this is held, nobody starts it.
            if let Some(lock) = self.try_lock()? {
                let layers = Layers::show(self, store)?;
                let Prepared { spec, rootfs, volumes: _volumes, .. } = prepare(self, &layers, None)?;
                let mounted = open_root(rootfs, &spec.mounts)?;
                return Ok(Files(Opened::Stopped { mounted, _lock: lock }));
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}
