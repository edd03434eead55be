//! Running one process in namespaces on an overlay: the executor that RUN steps and containers share.
//!
//! It owns everything between "this command on these layers" and an exit code. There is no helper binary, no bundle on
//! disk and no state: the caller ([`NamespaceExecutor::start`]) prepares descriptors and C strings, and a child that
//! shares its memory works off a list of system calls on them.
//!
//! ```text
//! spec     ProcessSpec, Rootfs, Io: what is asked for; defaults are docker's        limits   what cgroups limit
//! assemble spec -> list of steps        host      what machine and rights allow, found once
//!   root     overlay with a place for every mount, no trace in the layer
//!   mounts   /proc /dev /sys, binds, tmpfs, files in memory (scratch), terminal
//!   cgroup   a leaf for limits: v1, v2, hybrid, none
//!   seccomp  docker's JSON profiles -> BPF, cached      caps, user, init
//! child    the steps, between clone and execve
//! executor the parent: clone, report, wait, clean up      sys  all unsafe code
//! join     a further process in a container that runs      pids  children among others' processes
//! shared   what a container has of another one: /dev/shm, and who else is in it
//! oci      spec -> the specification's config.json, for other runtimes
//! rootless an ordinary user becomes root of a user namespace first
//! ```
//!
//! **Invariants.**
//! - The child allocates nothing, takes no lock and makes no use of the C library but for system calls: other threads of
//!   the parent run on while it lives in the parent's memory.
//! - No path of an image is looked up outside its root: by `openat2` below the root's descriptor, after the
//!   host's root is gone from the child's view.
//! - The child's descriptors are closed before it enters the working directory; the program gets 0, 1 and 2 only.
//! - Device files open nowhere but in `/dev`, by mount flags, unless a cgroup controls them or the container is
//!   privileged: so that the right to make one (MKNOD) is no right to the host's disks.
//! - Nothing outlives the process: mounts are its namespace's, a cgroup and places made for mounts go with the wait.
//!
//! Left out: networks but `none`, the host's and prepared ones; user namespaces per container; device control by BPF
//! where only cgroup v2 is; a view of v1 cgroups at `/sys/fs/cgroup`; filters and init for other machines than x86_64.

mod assemble;
mod caps;
mod cgroup;
mod child;
mod error;
mod executor;
mod hooks;
mod host;
mod init;
mod join;
mod limits;
mod memory;
mod mounts;
mod oci;
mod pids;
mod root;
pub mod rootless;
mod scratch;
mod seccomp;
mod shared;
mod spec;
mod sys;
mod terminal;
mod user;
mod view;

pub use caps::CapSet;
pub use cgroup::{
    CgroupUsage, LimitKinds, cgroup_processes, freeze_cgroup, join_cgroup, lacks_cgroups, left_cgroups,
    own_cgroups, remove_cgroup, thaw_cgroup, update_cgroup,
};
pub use error::{RunError, Warning};
pub use executor::{Executor, Exit, NamespaceExecutor, Running, signal};
pub use hooks::{Hook, Hooks, ends_by, in_namespaces, read_all, verdict};
pub use join::{Joined, process_root};
pub use memory::Program;
pub use oci::{oci, oci_of_any};
pub use shared::{clone_in, kill_by_mounts, mounts_id, processes_beside, shared_memory};
pub use spec::*;
pub use terminal::resize as resize_terminal;
pub use user::{User, lookup_groups, lookup_user};
pub use view::{OpenRoot, open_root};

#[cfg(test)]
mod tests;
