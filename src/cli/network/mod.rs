//! `network ...`

pub(super) mod connect;
pub(super) mod create;
mod inspect;
pub(super) mod list;
pub(super) mod pools;
pub(super) mod remove;

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;

use super::error::CliError;
use super::global::Global;
use super::later::Later;
use super::output;
use crate::containers::{Event, record};
use crate::net::{NetError, Network, Networks};

pub use connect::{DisconnectArgs, disconnect, join};
pub use create::{CreateArgs, create};
pub use list::found;
pub use remove::{prune_step, remove, remove_unused};

/// `network ...`
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// Connect a container to a network
    Connect(Later<connect::ConnectArgs>),
    /// Create a network
    Create(Later<create::CreateArgs>),
    /// Disconnect a container from a network
    Disconnect(Later<connect::DisconnectArgs>),
    /// Display detailed information on one or more networks
    Inspect(Later<inspect::InspectArgs>),
    /// List networks
    #[command(alias = "list")]
    Ls(Later<list::LsArgs>),
    /// Remove all unused networks
    Prune(Later<remove::PruneArgs>),
    /// Remove one or more networks
    #[command(alias = "remove")]
    Rm(Later<remove::RmArgs>),
}

/// Returns the document of a network, if there is one.
///
/// # Errors
/// The networks can't be read, or several ids begin so.
pub fn document(name: &str, global: &Global) -> Result<Option<serde_json::Value>, CliError> {
    let networks = all(global)?;
    // The ids of those that are always there are known from now on.
    networks.list().map_err(|e| CliError::engine(&e))?;
    match inspect::document(&networks, name) {
        Ok(document) => Ok(Some(document)),
        Err(NetError::NotFound(_)) => Ok(None),
        Err(error) => Err(CliError::engine(&error)),
    }
}

/// Carries out a command of the group.
///
/// # Errors
/// As the command has it.
pub fn run(command: NetworkCommand, global: &Global) -> Result<ExitCode, CliError> {
    let done = |()| ExitCode::SUCCESS;
    match command {
        NetworkCommand::Connect(args) => connect::connect(&args, global).map(done),
        NetworkCommand::Create(args) => create::run(&args, global).map(done),
        NetworkCommand::Disconnect(args) => connect::disconnect(&args, global).map(done),
        NetworkCommand::Inspect(args) => inspect::run(&args, global),
        NetworkCommand::Ls(args) => list::run(&args, global).map(done),
        NetworkCommand::Prune(args) => remove::prune(&args, global).map(done),
        NetworkCommand::Rm(args) => remove::rm(&args, global),
    }
}

/// Opens the networks of the store.
///
/// # Errors
/// The store or the directory can't be opened.
pub fn all(global: &Global) -> Result<Networks, CliError> {
    // A store of another format is refused.
    global.store()?;
    Networks::open(&global.root()?).map_err(|e| CliError::engine(&e))
}

/// Records that something happened to a network.
fn event(global: &Global, network: &Network, action: &str, more: &[(&str, &str)]) {
    let mut attributes = network.labels.clone();
    attributes.insert("name".to_owned(), network.name.clone());
    attributes.insert("type".to_owned(), network.driver.word().to_owned());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    let event = Event {
        time: Timestamp::now(),
        kind: "network".to_owned(),
        action: action.to_owned(),
        id: network.id.clone(),
        attributes,
    };
    if let Ok(containers) = super::container::all(global) {
        record(containers.store(), &event);
    }
}

/// Returns when a network was made.
fn created(network: &Network) -> Option<Timestamp> {
    Timestamp::from_nanosecond(network.created).ok()
}

/// Does something with each of several networks; what was typed is printed for each that worked.
fn each(names: &[String], mut act: impl FnMut(&str) -> Result<(), CliError>) -> Result<ExitCode, CliError> {
    let mut code = ExitCode::SUCCESS;
    for name in names {
        match act(name) {
            Ok(()) => output::line(name)?,
            Err(error) => {
                output::talk(&error.text);
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}
