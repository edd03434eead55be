//! `volume prune`

use clap::Args;

use super::super::container::all;
use super::super::containers::size_below;
use super::super::error::CliError;
use super::super::filter::{Filters, has_label};
use super::super::global::Global;
use super::super::prune::confirmed;
use super::super::{human, output};
use crate::containers::{ContainerError, volumes};

/// Remove unused local volumes
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    pub all: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Provide filter values: label, all
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Runs the command.
pub fn prune(args: &PruneArgs, global: &Global) -> Result<(), CliError> {
    let filters = Filters::parse(&args.filter, &["label", "label!", "all"])?;
    let every = args.all || filters.boolean("all")? == Some(true);
    let which = if every { "all" } else { "anonymous" };
    let question =
        format!("WARNING! This will remove {which} local volumes not used by at least one container.\n");
    if !args.dry_run && !confirmed(args.force, &question)? {
        return Ok(());
    }
    let freed = prune_step(global, every, &filters, args.dry_run)?;
    let total = if args.dry_run { "Total reclaimable space" } else { "Total reclaimed space" };
    output::line(&format!("{total}: {}", human::size(freed)))
}

/// Removes volumes that no container uses, says which, and returns the bytes that they took.
///
/// # Errors
/// One can't be removed.
pub fn prune_step(global: &Global, every: bool, filters: &Filters, dry_run: bool) -> Result<u64, CliError> {
    let (names, freed) = remove_unused(global, every, filters, dry_run)?;
    if !names.is_empty() {
        output::data(&format!("Deleted Volumes:\n{}\n\n", names.join("\n")))?;
    }
    Ok(freed)
}

/// Removes volumes that no container uses, and returns their names and the bytes that they took.
///
/// # Errors
/// One can't be removed.
pub fn remove_unused(
    global: &Global,
    every: bool,
    filters: &Filters,
    dry_run: bool,
) -> Result<(Vec<String>, u64), CliError> {
    let containers = all(global)?;
    let uses = volumes::uses(&containers)?;
    let (mut names, mut freed) = (Vec::new(), 0);
    for volume in volumes::list(&containers)? {
        let wanted = (every || volume.is_anonymous())
            && !uses.contains_key(&volume.name)
            && filters.values("label").iter().all(|label| has_label(&volume.labels, label))
            && !filters.values("label!").iter().any(|label| has_label(&volume.labels, label));
        if !wanted {
            continue;
        }
        let size = volumes::open(&containers, &volume.name).map_or(0, |root| size_below(&root, 0));
        match if dry_run { Ok(()) } else { volumes::remove(&containers, &volume.name) } {
            Ok(()) => {
                names.push(volume.name);
                freed += size;
            }
            // Somebody has come to use it, or has removed it.
            Err(ContainerError::Refused(_)) => {}
            Err(error) => return Err(CliError::engine(&error)),
        }
    }
    Ok((names, freed))
}
