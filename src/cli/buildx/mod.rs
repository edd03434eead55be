//! `buildx ...`: what people and scripts ask of docker's builders, answered by the one builder there is.
//!
//! `cache` is the build cache as rows and filters, which `du` prints and `builder prune` removes;
//! `builders` keeps the names that `create` gave; `imagetools` reads and joins what registries have.

mod builders;
mod cache;
mod du;
pub mod imagetools;
mod show;

pub use builders::{CreateArgs, RmArgs, StopArgs, UseArgs, create, rm, stop, use_builder};
pub use cache::{CacheFilter, Entry, entries, id_of};
pub use du::{DuArgs, du, lines};
pub use show::{InspectArgs, LsArgs, inspect, ls, version};

use clap::Args;

/// Show buildx version information
#[derive(Debug, Args)]
pub struct VersionArgs {}

/// The release of docker's buildx whose commands these follow; scripts compare it.
pub const FOLLOWS: &str = "0.29.1";
