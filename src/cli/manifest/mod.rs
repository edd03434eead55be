//! `manifest inspect|create|annotate|push|rm`: lists of manifests that are already in a registry.
//!
//! `local.rs` keeps a list until it is pushed, `remote.rs` fetches what it is made of.

mod annotate;
mod create;
mod inspect;
mod local;
mod push;
mod remote;

use clap::Subcommand;

use super::error::CliError;
use super::global::Global;

/// `manifest ...`
#[derive(Debug, Subcommand)]
pub enum ManifestCommand {
    /// Add additional information to a local image manifest
    Annotate(annotate::AnnotateArgs),
    /// Create a local manifest list for annotating and pushing to a registry
    Create(create::CreateArgs),
    /// Display an image manifest, or manifest list
    Inspect(inspect::InspectArgs),
    /// Push a manifest list to a repository
    Push(push::PushArgs),
    /// Delete one or more manifest lists from local storage
    Rm(local::RmArgs),
}

/// Runs a command of the group.
pub fn run(command: &ManifestCommand, global: &Global) -> Result<(), CliError> {
    match command {
        ManifestCommand::Annotate(args) => annotate::run(args, global),
        ManifestCommand::Create(args) => create::run(args, global),
        ManifestCommand::Inspect(args) => inspect::run(args, global),
        ManifestCommand::Push(args) => push::run(args, global),
        ManifestCommand::Rm(args) => local::rm(args, global),
    }
}
