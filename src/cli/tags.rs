//! `tags REPOSITORY`

use clap::Args;

use super::error::CliError;
use super::global::Global;
use super::{output, registries};
use crate::image::Reference;
use crate::registry::{Repository, TransferError};

/// List the tags of a repository in its registry
#[derive(Debug, Args)]
pub struct TagsArgs {
    /// Repository, e.g. debian or localhost:5000/team/app
    #[arg(value_name = "REPOSITORY")]
    repository: String,
}

/// Runs `tags`.
pub fn run(args: &TagsArgs, global: &Global) -> Result<(), CliError> {
    let reference = Reference::parse(&args.repository)?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Err(CliError::new("tags takes a repository without tag and digest"));
    }
    let client = registries::client(global)?;
    let tags = registries::runtime()?.block_on(client.tags(&Repository::of(&reference)));
    let tags = tags.map_err(|error| CliError::engine(&TransferError::manifest(&reference, error)))?;
    output::data(&tags.iter().map(|tag| format!("{tag}\n")).collect::<String>())
}
