//! `network rm`, `network prune`

use std::process::ExitCode;

use clap::Args;

use super::super::error::CliError;
use super::super::filter::{Filters, has_label};
use super::super::global::Global;
use super::super::output;
use super::super::prune::confirmed;
use super::{all, created, each, event};
use crate::net::NetError;

/// Remove one or more networks
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Networks
    #[arg(required = true, value_name = "NETWORK")]
    names: Vec<String>,
    /// Do not error if the network does not exist
    #[arg(short, long)]
    force: bool,
}

/// Remove all unused networks
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Provide filter values: until, label
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
}

/// Runs `network rm`.
pub fn rm(args: &RmArgs, global: &Global) -> Result<ExitCode, CliError> {
    let networks = all(global)?;
    each(&args.names, |name| {
        let network = match networks.find(name) {
            Err(NetError::NotFound(_)) if args.force => return Ok(()),
            other => other.map_err(|e| CliError::engine(&e))?,
        };
        networks.remove(&network).map_err(|e| CliError::engine(&e))?;
        event(global, &network, "destroy", &[]);
        Ok(())
    })
}

/// Runs `network prune`.
pub fn prune(args: &PruneArgs, global: &Global) -> Result<(), CliError> {
    let filters = Filters::parse(&args.filter, &["until", "label", "label!"])?;
    let question = "WARNING! This will remove all custom networks not used by at least one container.\n";
    if !confirmed(args.force, question)? {
        return Ok(());
    }
    prune_step(global, &filters, false)
}

/// Removes the networks that no container is in, and says so. Bridges that nobody needs now go too.
///
/// # Errors
/// One can't be removed, or a filter is none.
pub fn prune_step(global: &Global, filters: &Filters, dry_run: bool) -> Result<(), CliError> {
    let networks = all(global)?;
    let engine = |e: NetError| CliError::engine(&e);
    let until = filters.time("until")?;
    let mut names = Vec::new();
    for network in networks.list().map_err(engine)? {
        let has = |label: &String| has_label(&network.labels, label);
        if network.is_predefined()
            || until.is_some_and(|until| created(&network).is_none_or(|made| made >= until))
            || !filters.values("label").iter().all(has)
            || filters.values("label!").iter().any(has)
            || !networks.running(&network).map_err(engine)?.is_empty()
        {
            continue;
        }
        // One that a container joins just now stays.
        if dry_run || networks.remove(&network).is_ok() {
            names.push(network.name.clone());
            if !dry_run {
                event(global, &network, "destroy", &[]);
            }
        }
    }
    if !names.is_empty() {
        output::line(&format!("Deleted Networks:\n{}\n", names.join("\n")))?;
    }
    if dry_run { Ok(()) } else { networks.rest().map_err(engine) }
}
