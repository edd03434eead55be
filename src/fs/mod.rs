//! Access to files below a directory descriptor, and the mounts that show them.
//!
//! Most escapes of this field are one bug: a path checked as a string and used
//! later. So a root is a descriptor ([`Root`]), a lookup is `openat2` inside
//! it, and an operation acts on descriptors. No other module opens a path
//! below a root; `tests/architecture.rs` holds that.

mod atomic;
mod claims;
mod error;
mod list;
pub mod mount;
mod named;
mod namespace;
mod remove;
mod root;
mod series;
mod socket;
mod stat;
mod sys;
pub mod walk;
mod watch;
mod xattr;

#[cfg(test)]
mod tests;

pub use atomic::write_atomic;
pub use claims::Claims;
pub use error::FsError;
pub use named::{
    canonical, is_directory, is_special, is_there, open_for_reading, open_for_writing, open_path, read_named,
};
pub use namespace::{mount_namespace_of, namespace_given_to, network_namespace, network_namespace_of};
pub use root::{DirEntry, Follow, Root, stat_fd};
pub use series::{Series, has_xattrs_fd, xattr_fd};
pub use socket::{SocketFile, all_is_read, listen_at};
pub use stat::{FileKind, Stat, Time};
pub(crate) use sys::{MountChange, mount_setattr};
pub use watch::Watch;
