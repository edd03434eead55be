//! `buildx imagetools inspect|create`: what registries have under a name, and joining it under another.
//!
//! Nothing is unpacked and nothing enters the store; what moves between repositories moves as `copy` moves it.

mod create;
mod inspect;
mod remote;
mod shown;

use clap::Subcommand;

use crate::cli::error::CliError;
use crate::cli::global::Global;

/// `buildx imagetools ...`
#[derive(Debug, Subcommand)]
pub enum ImagetoolsCommand {
    /// Create a new image based on source images
    Create(create::CreateArgs),
    /// Show details of an image in the registry
    Inspect(inspect::InspectArgs),
}

/// Runs a command of the group.
///
/// # Errors
/// With what is to be said about it.
pub fn run(command: &ImagetoolsCommand, global: &Global) -> Result<(), CliError> {
    match command {
        ImagetoolsCommand::Create(args) => create::run(args, global),
        ImagetoolsCommand::Inspect(args) => inspect::run(args, global),
    }
}
