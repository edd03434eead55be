//! A file system in memory that is attached nowhere a process could look, whose files are bound into the container.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::error::RunError;
use super::executor::alone;
use super::host::{DEFAULT_DEVICES, Host};
use super::root::duplicate;
use super::spec::DeviceNode;
use crate::fs::{FileKind, Follow, Root, mount};

/// The file system, its root, and the number of files made.
pub(super) struct Scratch {
    mount: OwnedFd,
    root: Root,
    files: usize,
}

impl Scratch {
    /// Makes it, empty.
    pub fn new() -> Result<Self, RunError> {
        let mount = mount::tmpfs(None, 0o700).map_err(RunError::mount("files in memory"))?;
        let root = Root::from_fd(duplicate(&mount)?);
        Ok(Self { mount, root, files: 0 })
    }

    /// Makes a file and returns it for binding.
    ///
    /// An owner that the user namespace has not got is left out: there all files are the one user's.
    pub fn file(
        &mut self,
        host: &Host,
        bytes: &[u8],
        mode: u32,
        (uid, gid): (u32, u32),
    ) -> Result<Arc<OwnedFd>, RunError> {
        let name = format!("file{}", self.files);
        self.files += 1;
        let alone = (mode & 0o111 != 0).then(alone);
        let mut file = self.root.create_file(&name, 0o600)?;
        file.write_all(bytes).map_err(|e| RunError::setup("write a file in memory", e))?;
        drop((file, alone));
        if host.check_ids(uid, &[gid]).is_ok() {
            self.root.set_owner(&name, uid, gid)?;
        }
        self.root.set_mode(&name, mode)?;
        self.open(&name)
    }

    /// Makes an empty directory that nobody can write, and returns it for binding.
    pub fn empty_directory(&mut self) -> Result<Arc<OwnedFd>, RunError> {
        self.root.create_dir("empty", 0o555)?;
        self.open("empty")
    }

    /// Makes the device files of every container.
    pub fn devices(&self) -> Result<(), RunError> {
        for (name, number) in DEFAULT_DEVICES {
            self.root.mknod(name, FileKind::CharDevice, 0o666, number)?;
            // The creation mask of this process has no say.
            self.root.set_mode(name, 0o666)?;
        }
        Ok(())
    }

    /// Makes a device file and returns it for binding.
    pub fn device(&mut self, node: &DeviceNode) -> Result<Arc<OwnedFd>, RunError> {
        let name = format!("device{}", self.files);
        self.files += 1;
        self.root.mknod(&name, node.kind, 0o600, node.number)?;
        self.root.set_owner(&name, node.owner.0, node.owner.1)?;
        self.root.set_mode(&name, node.mode)?;
        self.open(&name)
    }

    /// Returns a name for binding.
    pub fn open(&self, name: &str) -> Result<Arc<OwnedFd>, RunError> {
        Ok(Arc::new(self.root.open_path(name, Follow::No)?))
    }

    /// Opens the null device for reading and writing.
    pub fn null(&self) -> Result<OwnedFd, RunError> {
        Ok(self.root.open_rw("null", false)?.into())
    }

    /// Returns the mount, to be attached before anything of it is bound.
    pub fn into_mount(self) -> OwnedFd {
        self.mount
    }
}
