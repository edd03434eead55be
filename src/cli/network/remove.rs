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
    pub names: Vec<String>,
    /// Do not error if the network does not exist
    #[arg(short, long)]
    pub force: bool,
}

/// Remove all unused networks
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Provide filter values: until, label
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
}

/// Runs `network rm`.
pub fn rm(args: &RmArgs, global: &Global) -> Result<ExitCode, CliError> {
    let networks = all(global)?;
    let there = |name: &&String| !args.force || !matches!(networks.find(name), Err(NetError::NotFound(_)));
    let names: Vec<String> = args.names.iter().filter(there).cloned().collect();
    each(&names, |name| remove(name, global))
}

/// Removes a network.
///
/// # Errors
/// There is none of the name, or containers are in it.
pub fn remove(name: &str, global: &Global) -> Result<(), CliError> {
    let networks = all(global)?;
    let network = networks.find(name).map_err(|e| CliError::engine(&e))?;
    networks.remove(&network).map_err(|e| CliError::engine(&e))?;
    event(global, &network, "destroy", &[]);
    Ok(())
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

/// Removes the networks that no container is in, and says so.
///
/// # Errors
/// As [`remove_unused`].
pub fn prune_step(global: &Global, filters: &Filters, dry_run: bool) -> Result<(), CliError> {
    let names = remove_unused(global, filters, dry_run)?;
    if names.is_empty() {
        Ok(())
    } else {
        output::line(&format!("Deleted Networks:\n{}\n", names.join("\n")))
    }
}

/// Removes the networks that no container is in, and returns their names. Bridges that nobody needs now go too.
///
/// # Errors
/// One can't be removed, or a filter is none.
pub fn remove_unused(global: &Global, filters: &Filters, dry_run: bool) -> Result<Vec<String>, CliError> {
    let networks = all(global)?;
    let engine = |e: NetError| CliError::engine(&e);
    let until = filters.time("until")?;
    let mut names = Vec::new();
    for network in networks.list().map_err(engine)? {
        let has = |label: &String| has_label(&network.labels, label);
        if network.is_predefined()
            || network.template.is_some()
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
    if !dry_run {
        networks.rest().map_err(engine)?;
    }
    Ok(names)
}
