//! Instructions to a graph of steps, and the solver that runs what is not known yet.
//!
//! ```text
//! Dockerfile --stages--> stages --lower--> graph + image plan --solve--> snapshots --export--> image
//!                          ^ state: environment, config, history            ^ ops: source run copy workdir
//! ```
//!
//! - `stages` cuts the file, finds targets and names; `lower` walks what the
//!   target needs, expands words and makes vertices; nothing unreachable is
//!   looked at.
//! - [`graph`] is plain data that can be printed. An op answers two questions:
//!   what its cache key holds, and how it is executed (`ops`).
//! - `solve` runs vertices whose inputs are known, several at once; a record is
//!   written when its step ends.
//! - [`export`] writes documents and files of the targets.
//!
//! Invariants:
//! - A key names the parent by content, never by how it was made.
//! - No secret and no proxy variable reaches a key, a record, a config or an event.
//! - What cannot be executed is refused by name with its lines; nothing is ignored.

mod build;
mod cache_key;
mod cancel;
mod check;
mod config;
pub mod context;
pub mod copy;
mod env;
mod error;
mod expand;
mod explain;
pub mod export;
mod extras;
mod failed;
mod frontend;
pub mod graph;
mod lower;
mod network;
mod ops;
mod options;
mod predict;
mod quote;
mod shared;
mod solve;
mod source;
mod ssh;
mod stages;
mod state;

pub use build::{BuildEnv, BuildOutcome, Solved, build, plan, solve_build, wants_index};
pub use cancel::{Cancel, CancelGuard};
pub use check::{Checked, check};
pub use error::{BuildError, ErrorKind, FailedStep, Place};
pub use explain::{Difference, Explanation, Reason};
pub use extras::{Extras, HostDevice, HostVolume, Sandbox, Squash};
pub use failed::{Aftermath, OnFailure, StartShell};
pub use lower::{Plan, context_name};
pub use network::{StepNetwork, StepNetworks, StepNetworksRef};
pub use options::{
    AddHost, BuildOptions, Entitlement, Input, Limits, LogLimits, NetworkMode, Secret, SecretValue, SshAgent,
    Ulimit, is_true,
};
pub use predict::{Edit, Predicted, Rerun, predict_dockerfile, predict_file};
pub use shared::{INLINE_FIELD, Share, SharedCache, SharedError, SharedRecord};
pub use solve::Explain;
pub use source::{ImageSource, ImageSourceError, ResolvedImage};
pub use ssh::{Key, KeyAgent, KeyError};
pub use state::{PlannedHistory, StageState};

#[cfg(test)]
mod tests;
