//! Running one process in namespaces on an overlay: the executor that RUN steps and containers share.

mod assemble;
mod caps;
mod cgroup;
mod child;
mod error;
mod executor;
mod host;
mod init;
mod mounts;
mod root;
pub mod rootless;
mod scratch;
mod seccomp;
mod spec;
mod sys;
mod terminal;
mod user;

pub use caps::CapSet;
pub use error::{RunError, Warning};
pub use executor::{Executor, Exit, NamespaceExecutor, Running, signal};
pub use spec::*;
pub use user::{User, lookup_groups, lookup_user};

#[cfg(test)]
mod tests;
