//! A container's root outside a process: with its mounts, in a mount namespace that is this thread's alone.

use std::os::fd::AsFd as _;

use rustix::mount::{MountPropagationFlags, mount_change};

use super::error::RunError;
use super::mounts::{Usual, outermost, place};
use super::root::{Created, Stubs, duplicate};
use super::spec::{Mount, MountSource, Rootfs};
use super::sys;
use crate::fs::mount::{self, Attributes};
use crate::fs::{Follow, Root};

/// A root that is mounted as long as this lives.
pub struct OpenRoot {
    /// The root.
    pub root: Root,
    /// Places that were made for mounts, removed again.
    _created: Option<Created>,
}

/// Mounts a root with its binds and tmpfs, where nobody else sees it.
///
/// The calling thread leaves the mount namespace that it was in.
///
/// # Errors
/// The kernel refuses, or a place can't be one.
pub fn open_root(rootfs: Rootfs, mounts: &[Mount]) -> Result<OpenRoot, RunError> {
    let placed = place(mounts)?;
    let usual = Usual::new(&placed);
    let ready = Stubs::default().mount(&rootfs, &outermost(&placed, &usual))?;
    // What is opened in one mount namespace can't be cloned in another.
    let mut trees = Vec::new();
    for placed in &placed {
        let failed = || RunError::mount(placed.mount.target.display().to_string());
        let tree = match &placed.mount.source {
            MountSource::Bind(fd) => {
                mount::clone_tree(fd.as_fd(), placed.mount.recursive).map_err(failed())?
            }
            MountSource::Detached(fd) => duplicate(fd)?,
            // What was in memory is gone with the process.
            _ => continue,
        };
        if placed.mount.read_only {
            let flags = Attributes { read_only: true, ..Attributes::default() };
            mount::set_attributes(&tree, flags, true).map_err(failed())?;
        }
        trees.push((&placed.path, tree));
    }
    sys::unshare(libc::CLONE_NEWNS).map_err(|e| RunError::setup("leave the mount namespace", e))?;
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(|e| RunError::setup("keep mounts private", e))?;
    // Over the root of the namespace, where no lookup of this process comes by.
    let here = Root::open("/".as_ref())?;
    mount::move_to(&ready.mount, here.as_fd()).map_err(RunError::mount("the root"))?;
    let root = Root::from_fd(ready.mount);
    for (path, tree) in trees {
        let target = root.open_path(path, Follow::Yes)?;
        mount::move_to(&tree, &target).map_err(RunError::mount(path.display().to_string()))?;
    }
    Ok(OpenRoot { root, _created: ready.created })
}
