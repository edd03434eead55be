//! File systems that somebody else named: the type, the device and the options of mount(8).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::mount::MountAttrFlags;

use super::context::Context;
use super::error::MountError;
use super::{clone_tree, sys};
use crate::fs::sys::MountChange;

/// A file system as mount(2) is told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesystemOptions {
    /// Its type.
    pub kind: String,
    /// The device, or whatever stands for it.
    pub source: String,
    /// Words about the file system itself, such as `ro` and `sync`, and what only its type understands.
    pub options: Vec<(String, Option<String>)>,
    /// Attributes of the mount (`MOUNT_ATTR_*`).
    pub attributes: u32,
}

/// Mounts a file system of any type.
///
/// # Errors
/// What the kernel said.
pub fn filesystem(options: &FilesystemOptions) -> Result<OwnedFd, MountError> {
    let context = Context::open(options.kind.clone())?;
    context.string("source", &options.source)?;
    for (key, value) in &options.options {
        match value {
            Some(value) => context.string(key, value)?,
            None => context.flag(key)?,
        }
    }
    context.mount(MountAttrFlags::from_bits_retain(options.attributes))
}

/// Shows a directory once more, with these attributes (`MOUNT_ATTR_*`).
///
/// # Errors
/// What the kernel said.
pub fn bind(tree: BorrowedFd<'_>, recursive: bool, attributes: u32) -> Result<OwnedFd, MountError> {
    let mount = clone_tree(tree, recursive)?;
    super::make_private(&mount, true)?;
    if attributes != 0 {
        let times = u64::from(attributes) & libc::MOUNT_ATTR__ATIME != 0;
        let clear = if times { libc::MOUNT_ATTR__ATIME } else { 0 };
        let change = MountChange { set: attributes.into(), clear, propagation: 0 };
        sys::mount_setattr(mount.as_fd(), recursive, change)
            .map_err(|errno| MountError::new("set mount attributes", &[], errno))?;
    }
    Ok(mount)
}
