//! `volume create`, `ls`, `inspect`, `rm`, `prune`

pub(super) mod ls;
mod prune;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::container::all;
use super::error::CliError;
use super::global::Global;
use super::inspect::Shown;
use super::output;
use crate::containers::{Containers, volumes};

pub use ls::{LsArgs, found};
pub use prune::{PruneArgs, prune_step, remove_unused};

/// `volume ...`
#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Create a volume
    Create(CreateArgs),
    /// List volumes
    #[command(alias = "list")]
    Ls(LsArgs),
    /// Display detailed information on one or more volumes
    Inspect(InspectArgs),
    /// Remove one or more volumes
    #[command(alias = "remove")]
    Rm(RmArgs),
    /// Remove unused local volumes
    Prune(PruneArgs),
}

/// Create a volume
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name; without, the volume is anonymous
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
    /// The name, as it was given once
    #[arg(long = "name", value_name = "VOLUME", hide = true)]
    old_name: Option<String>,
    /// Volume driver: local
    #[arg(short, long, value_name = "DRIVER", default_value = "local")]
    pub driver: String,
    /// Set metadata for a volume
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Set driver specific options: type, device, o
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub opt: Vec<String>,
}

impl CreateArgs {
    /// Returns the name.
    ///
    /// # Errors
    /// It is given in both ways.
    pub fn name(&self) -> Result<Option<&String>, CliError> {
        if self.name.is_some() && self.old_name.is_some() {
            return Err(CliError::new(
                "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
            ));
        }
        Ok(self.name.as_ref().or(self.old_name.as_ref()))
    }
}

/// Display detailed information on one or more volumes
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Volumes
    #[arg(required = true, value_name = "VOLUME")]
    pub names: Vec<String>,
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    pub format: Option<String>,
}

/// Remove one or more volumes
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Volumes
    #[arg(required = true, value_name = "VOLUME")]
    pub names: Vec<String>,
    /// A volume that is not there is no mistake
    #[arg(short, long)]
    pub force: bool,
}

/// Runs a command of the group.
///
/// # Errors
/// See the commands.
pub fn run(command: &VolumeCommand, global: &Global) -> Result<ExitCode, CliError> {
    match command {
        VolumeCommand::Create(args) => create(args, global)?,
        VolumeCommand::Ls(args) => ls::ls(args, global)?,
        VolumeCommand::Inspect(args) => inspect(args, global)?,
        VolumeCommand::Rm(args) => return rm(args, global),
        VolumeCommand::Prune(args) => prune::prune(args, global)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes `key=value`s apart; what has no `=` has an empty value.
pub fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    texts.iter().map(pair).collect()
}

/// Takes labels of volumes and networks apart.
///
/// # Errors
/// One has no name.
pub fn labels(texts: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    match texts.iter().find(|text| text.starts_with('=')) {
        Some(text) => Err(CliError::flag("--label", text, format!("invalid label '{text}': empty name"))),
        None => Ok(pairs(texts)),
    }
}

fn create(args: &CreateArgs, global: &Global) -> Result<(), CliError> {
    let name = args.name()?.map_or("", String::as_str);
    output::line(&make(name, &args.driver, labels(&args.label)?, &pairs(&args.opt), global)?)
}

/// Makes a volume unless there is one of the name, and returns its name; without one it is anonymous.
///
/// # Errors
/// The name or an option is none, or there is no such driver.
pub fn make(
    name: &str,
    driver: &str,
    mut labels: BTreeMap<String, String>,
    options: &BTreeMap<String, String>,
    global: &Global,
) -> Result<String, CliError> {
    let containers = all(global)?;
    let name = match Some(name).filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => {
            labels.insert(volumes::ANONYMOUS.to_owned(), String::new());
            super::run::random_id()?
        }
    };
    if driver != "local" {
        return Err(CliError::new(format!(
            "Error response from daemon: create {name}: error looking up volume plugin {driver}: plugin \
             \"{driver}\" not found"
        )));
    }
    volumes::check_options(&name, options)?;
    volumes::create(&containers, &name, &labels, options)?;
    Ok(name)
}

/// Returns the document of a volume, if there is one.
pub fn document(containers: &Containers, name: &str) -> Option<Value> {
    let volume = volumes::find(containers, name).ok()?;
    let or_null = |map: &BTreeMap<String, String>| if map.is_empty() { Value::Null } else { json!(map) };
    Some(json!({
        "CreatedAt": volume.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "Driver": "local",
        "Labels": or_null(&volume.labels),
        "Mountpoint": volumes::path(containers, name),
        "Name": name,
        "Options": or_null(&volume.options),
        "Scope": "local",
    }))
}

fn inspect(args: &InspectArgs, global: &Global) -> Result<(), CliError> {
    let containers = all(global)?;
    let mut shown = Shown::new(args.format.as_deref())?;
    for name in &args.names {
        match document(&containers, name) {
            Some(value) => shown.found.push(value),
            None => shown.failures.push(format!("Error response from daemon: get {name}: no such volume")),
        }
    }
    shown.print()
}

fn rm(args: &RmArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    super::container::each(&args.names, |name| {
        if args.force && volumes::find(&containers, name).is_err() {
            return Ok(());
        }
        volumes::remove(&containers, name).map_err(|e| CliError::engine(&e))
    })
}
