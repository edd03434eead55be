//! `manifest create LIST MANIFEST...`

use clap::Args;

use super::local::{self, LocalList};
use super::remote;
use crate::cli::error::CliError;
use crate::cli::global::Global;
use crate::cli::{output, registries};
use crate::image::Reference;

/// Create a local manifest list for annotating and pushing to a registry
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name of the list
    #[arg(value_name = "MANIFEST_LIST")]
    list: String,
    /// Manifests, which are in their registry already
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<String>,
    /// Amend an existing manifest list
    #[arg(short, long)]
    amend: bool,
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
}

/// Runs the command.
pub fn run(args: &CreateArgs, global: &Global) -> Result<(), CliError> {
    let list = Reference::parse(&args.list)?.or_latest();
    let mut content = match local::load(&list, global)? {
        Some(_) if !args.amend => {
            return Err(CliError::new("refusing to amend an existing manifest list with no --amend flag"));
        }
        Some(known) => known,
        None => LocalList { name: list.to_string(), manifests: Vec::new() },
    };
    let runtime = registries::runtime()?;
    for name in &args.manifests {
        let reference = Reference::parse(name)?.or_latest();
        let client = registries::client_to(global, reference.domain(), args.insecure)?;
        let entry = runtime.block_on(async {
            let found = remote::fetch(&client, &reference).await?;
            remote::entry(&client, &reference, &found).await
        })?;
        match content.entry(&reference) {
            Some(known) => *known = entry,
            None => content.manifests.push(entry),
        }
    }
    local::save(&list, &content, global)?;
    output::line(&format!("Created manifest list {list}"))
}
