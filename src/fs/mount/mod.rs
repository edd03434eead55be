//! Mounts that are attached nowhere: no mount point, nothing in anybody's mount table.
//!
//! A mount is a descriptor, made with `fsopen`/`fsconfig`/`fsmount` or cloned with `open_tree`. It works as a
//! directory for `openat2`, as a lower directory of an overlay, and as what [`move_to`] attaches inside a container.
//! It vanishes with its last descriptor, so that no death of a process leaves one behind.
//!
//! **Invariants:** nothing here touches the mount table of the caller, but [`move_to`] when asked to. Every
//! error carries what the kernel wrote into the context's log.
//!
//! What works depends on kernel, user namespace and the file system below; [`probe`] tries it. An
//! EROFS image is only ever mounted when this program wrote it.
//!
//! | Linux | adds |
//! |---|---|
//! | 5.12 | `mount_setattr`, without which nothing here works |
//! | 6.7 | `lowerdir+`: any number of layers; before it some 60 |
//! | 6.12 | EROFS from a file |
//! | 6.13 | overlay directories by descriptor; before it by `/proc/self/fd` |
//! | 6.15 | a detached mount as an overlay's lower directory |

mod any;
mod context;
mod error;
mod kernel;
mod overlay;
mod probe;
#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::mount::{MountAttrFlags, MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

pub use any::{FilesystemOptions, bind, filesystem};
use context::Context;
pub use error::MountError;
pub use kernel::{STACKS_ON_DETACHED, kernel_version, running_kernel};
pub use overlay::{MAX_LAYERS, OverlayOptions, overlay, read_only_view};
pub use probe::{Support, probe};

use super::sys::{self, MountChange};

/// Mounts an EROFS image with its extra devices, all of them plain files, read-only.
///
/// The files are opened again by the kernel, so any descriptor will do, and they may be closed or unlinked afterwards.
///
/// # Errors
///
/// What the kernel said: it must be Linux 6.12, in the initial user namespace.
pub fn erofs(index: BorrowedFd<'_>, devices: &[BorrowedFd<'_>]) -> Result<OwnedFd, MountError> {
    let context = Context::open("erofs")?;
    context.proc_path("source", index)?;
    for device in devices {
        context.proc_path("device", *device)?;
    }
    context.mount(MountAttrFlags::MOUNT_ATTR_RDONLY)
}

/// Mounts an empty tmpfs whose root has `mode`, holding `size` bytes at most if given.
///
/// # Errors
///
/// What the kernel said.
pub fn tmpfs(size: Option<u64>, mode: u32) -> Result<OwnedFd, MountError> {
    let context = Context::open("tmpfs")?;
    context.string("source", "tmpfs")?;
    context.string("mode", &format!("{:o}", mode & 0o7777))?;
    if let Some(size) = size {
        context.string("size", &size.to_string())?;
    }
    context.mount(MountAttrFlags::empty())
}

/// Clones the mount that shows `tree` (a directory or a file), rooted there; `recursive` takes mounts below along.
///
/// # Errors
///
/// What the kernel said. Inside a user namespace a clone that leaves out mounts below, which might hide something, is
/// refused.
pub fn clone_tree(tree: BorrowedFd<'_>, recursive: bool) -> Result<OwnedFd, MountError> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(tree, "", flags).map_err(|errno| MountError::new("clone a mount", &[], errno))
}

/// Attributes to set on a mount; what is `false` stays as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    pub read_only: bool,
    pub nosuid: bool,
    pub nodev: bool,
    pub noexec: bool,
}

/// Sets attributes of a mount, or of a whole tree of mounts at once.
///
/// # Errors
///
/// What the kernel said.
pub fn set_attributes(mount: impl AsFd, attributes: Attributes, recursive: bool) -> Result<(), MountError> {
    let set = [
        (attributes.read_only, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (attributes.nosuid, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (attributes.nodev, MountAttrFlags::MOUNT_ATTR_NODEV),
        (attributes.noexec, MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ]
    .into_iter()
    .filter(|(wanted, _)| *wanted)
    .fold(0, |set, (_, flag)| set | u64::from(flag.bits()));
    let change = MountChange { set, ..MountChange::default() };
    sys::mount_setattr(mount.as_fd(), recursive, change)
        .map_err(|errno| MountError::new("set mount attributes", &[], errno))
}

/// Makes a mount private, or a whole tree: nothing that happens elsewhere shows up in it, nor the reverse.
///
/// # Errors
///
/// What the kernel said.
pub fn make_private(mount: impl AsFd, recursive: bool) -> Result<(), MountError> {
    let change = MountChange { propagation: libc::MS_PRIVATE, ..MountChange::default() };
    sys::mount_setattr(mount.as_fd(), recursive, change)
        .map_err(|errno| MountError::new("make a mount private", &[], errno))
}

/// Attaches a detached mount to `target`, a directory or, for a clone of a file, a file.
///
/// # Errors
///
/// What the kernel said.
pub fn move_to(mount: impl AsFd, target: impl AsFd) -> Result<(), MountError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount.as_fd(), "", target.as_fd(), "", flags)
        .map_err(|errno| MountError::new("attach a mount", &[], errno))
}
