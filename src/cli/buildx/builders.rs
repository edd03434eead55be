//! `buildx create|use|rm|stop`: there is one builder; what is created is one more name of it.
//!
//! Names are files of `skiff/builders/` beside docker's `config.json`, so that `ls`, `inspect` and `rm`
//! tell what `create` made; `skiff/current-builder` holds the name that `use` chose.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::{output, registries};
use crate::fs::Root;

/// The builder's own name.
pub const DEFAULT: &str = "default";

const FOLDER: &str = "skiff/builders";
const CURRENT: &str = "skiff/current-builder";

/// Longest name that is read.
const MAX_NAME: usize = 200;

/// Create a new builder instance
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Where a builder would be; there is one, which is here
    #[arg(value_name = "CONTEXT|ENDPOINT")]
    endpoint: Option<String>,
    /// Builder instance name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Driver to use: docker or docker-container, which both mean the one builder
    #[arg(long, value_name = "DRIVER")]
    driver: Option<String>,
    /// Options for the driver (without effect)
    #[arg(long, value_name = "OPTION")]
    driver_opt: Vec<String>,
    /// Flags of a BuildKit daemon, which is not there (without effect)
    #[arg(long, alias = "buildkitd-config-inline", value_name = "FLAGS")]
    buildkitd_flags: Option<String>,
    /// Configuration file of a BuildKit daemon, which is not there (without effect)
    #[arg(long, alias = "config", value_name = "FILE")]
    buildkitd_config: Option<String>,
    /// Platforms of the node (without effect)
    #[arg(long, value_name = "PLATFORM")]
    platform: Vec<String>,
    /// Name of the node (without effect)
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Boot builder after creation (it needs no booting)
    #[arg(long)]
    bootstrap: bool,
    /// Set the current builder instance
    #[arg(long = "use", id = "use")]
    use_it: bool,
    /// Append a node to a builder: not available, there is one node
    #[arg(long)]
    append: bool,
    /// Remove a node from a builder: not available, there is one node
    #[arg(long)]
    leave: bool,
}

/// Set the current builder instance
#[derive(Debug, Args)]
pub struct UseArgs {
    /// The builder
    #[arg(value_name = "NAME")]
    name: String,
    /// Set builder as default for current context
    #[arg(long)]
    default: bool,
    /// Builder persists context changes
    #[arg(long)]
    global: bool,
}

/// Remove one or more builder instances
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Builders
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Remove all inactive builders
    #[arg(long)]
    all_inactive: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Keep the BuildKit daemon running (there is none)
    #[arg(long)]
    keep_daemon: bool,
    /// Keep BuildKit state (it always stays: it is the one builder's)
    #[arg(long)]
    keep_state: bool,
    /// The builder, where no name is given
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
}

/// Stop builder instance
#[derive(Debug, Args)]
pub struct StopArgs {
    /// The builder
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The same
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
}

/// Returns the folder of docker's configuration; made when `make` is set.
fn folder(global: &Global, make: bool) -> Result<Option<Root>, CliError> {
    let file = registries::credentials(global).docker;
    let Some(path) = file.as_ref().and_then(|file| file.parent()) else { return Ok(None) };
    if make {
        let path: PathBuf = std::env::current_dir()?.join(path);
        let root = Root::open(std::path::Path::new("/"))?;
        root.create_dir_all(&path, 0o700)?;
        let dir = root.dir(&path)?;
        dir.create_dir_all(FOLDER, 0o700)?;
        return Ok(Some(dir));
    }
    match Root::open(path) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the names that were created, sorted.
///
/// # Errors
/// The folder can't be read.
pub fn created(global: &Global) -> Result<Vec<String>, CliError> {
    let Some(dir) = folder(global, false)? else { return Ok(Vec::new()) };
    let entries = match dir.entries(FOLDER) {
        Ok(entries) => entries,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut names: Vec<String> =
        entries.into_iter().filter_map(|entry| String::from_utf8(entry.name).ok()).collect();
    names.sort();
    Ok(names)
}

/// Returns the driver that a name was created with.
pub fn driver(global: &Global, name: &str) -> Option<String> {
    let dir = folder(global, false).ok()??;
    let bytes = dir.read(format!("{FOLDER}/{name}"), MAX_NAME).ok()?;
    String::from_utf8(bytes).ok().map(|text| text.trim().to_owned())
}

/// Returns the name that `use` chose, if it is still there.
///
/// # Errors
/// The folder can't be read.
pub fn current(global: &Global) -> Result<String, CliError> {
    let default = || Ok(DEFAULT.to_owned());
    let Some(dir) = folder(global, false)? else { return default() };
    let Ok(bytes) = dir.read(CURRENT, MAX_NAME) else { return default() };
    let name = String::from_utf8_lossy(&bytes).trim().to_owned();
    if created(global)?.contains(&name) { Ok(name) } else { default() }
}

/// Returns a builder's name if there is such a builder.
///
/// # Errors
/// There is none, in docker's words.
pub fn known(global: &Global, name: &str) -> Result<String, CliError> {
    match name == DEFAULT || created(global)?.iter().any(|known| known == name) {
        true => Ok(name.to_owned()),
        false => Err(CliError::new(format!("ERROR: no builder {name:?} found"))),
    }
}

fn set_current(dir: &Root, name: &str) -> Result<(), CliError> {
    match dir.remove_file(CURRENT) {
        Ok(()) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    dir.create_file(CURRENT, 0o600)?.write_all(name.as_bytes())?;
    Ok(())
}

fn no_folder() -> CliError {
    CliError::new("ERROR: there is no folder for builders' names: set HOME or DOCKER_CONFIG")
}

/// Runs `create`.
///
/// # Errors
/// It asks for what there is not.
pub fn create(args: &CreateArgs, global: &Global) -> Result<(), CliError> {
    let fail = |text: String| Err(CliError::new(format!("ERROR: {text}")));
    if args.append || args.leave {
        let flag = if args.append { "append" } else { "leave" };
        return fail(format!(
            "--{flag} is not available in this version: there is one builder with one node"
        ));
    }
    let driver = args.driver.as_deref().unwrap_or("docker-container");
    match driver {
        "docker" | "docker-container" => {}
        "kubernetes" | "remote" => {
            return fail(format!("driver {driver:?} is not available in this version: builds happen here"));
        }
        other => return fail(format!("failed to find driver {other:?}")),
    }
    let name = match &args.name {
        Some(name) => name.to_lowercase(),
        None => {
            let reference = super::super::build::build_reference();
            let random = reference.rsplit('/').next().unwrap_or_default();
            format!("builder-{}", &random[..12.min(random.len())])
        }
    };
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins || !name.chars().all(sound) || name.len() > MAX_NAME {
        return fail(format!(
            "invalid builder name {name:?}: it begins with a letter and has letters, digits, '.', '_' and '-' alone"
        ));
    }
    if name == DEFAULT {
        return fail("default is a reserved name and cannot be used to identify builder instance".to_owned());
    }
    let dir = folder(global, true)?.ok_or_else(no_folder)?;
    if created(global)?.contains(&name) {
        return fail(format!(
            "existing instance for {name:?} but no append mode, specify the node name to make changes for existing instances"
        ));
    }
    dir.create_file(format!("{FOLDER}/{name}"), 0o600)?.write_all(driver.as_bytes())?;
    if args.use_it {
        set_current(&dir, &name)?;
    }
    output::talk(&note(args, &name));
    output::line(&name)
}

/// What a created builder is, and which flags meant nothing.
fn note(args: &CreateArgs, name: &str) -> String {
    let given = [
        ("the endpoint", args.endpoint.is_some()),
        ("--driver-opt", !args.driver_opt.is_empty()),
        ("--buildkitd-flags", args.buildkitd_flags.is_some()),
        ("--buildkitd-config", args.buildkitd_config.is_some()),
        ("--platform", !args.platform.is_empty()),
        ("--node", args.node.is_some()),
    ];
    let without: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(flag, _)| *flag).collect();
    let mut text = format!("NOTE: there is one builder here, without a daemon; {name} is another name of it");
    if !without.is_empty() {
        text += &format!(" (without effect: {})", without.join(", "));
    }
    text
}

/// Runs `use`.
///
/// # Errors
/// There is no such builder.
pub fn use_builder(args: &UseArgs, global: &Global) -> Result<(), CliError> {
    let name = known(global, &args.name)
        .map_err(|_| CliError::new(format!("ERROR: failed to find instance {:?}", args.name)))?;
    if name == DEFAULT && current(global)? == DEFAULT {
        return Ok(());
    }
    set_current(&folder(global, true)?.ok_or_else(no_folder)?, &name)
}

/// Runs `rm`.
///
/// # Errors
/// A builder is none, or the one there is.
pub fn rm(args: &RmArgs, global: &Global) -> Result<(), CliError> {
    let names = match (&args.names[..], &args.builder) {
        _ if args.all_inactive => created(global)?,
        ([], Some(name)) => vec![name.clone()],
        ([], None) => vec![current(global)?],
        (names, _) => names.to_vec(),
    };
    let mut failed = false;
    for name in names {
        match remove(&name, global) {
            Ok(()) => output::talk(&format!("{name} removed")),
            Err(error) => {
                failed = true;
                output::talk(&format!(
                    "failed to remove {name}: {}",
                    error.text.trim_start_matches("ERROR: ")
                ));
            }
        }
    }
    match failed {
        true => Err(CliError::new("ERROR: failed to remove one or more builders")),
        false => Ok(()),
    }
}

fn remove(name: &str, global: &Global) -> Result<(), CliError> {
    if name == DEFAULT {
        return Err(CliError::new("the builder itself cannot be removed"));
    }
    known(global, name)?;
    let dir = folder(global, true)?.ok_or_else(no_folder)?;
    Ok(dir.remove_file(format!("{FOLDER}/{name}"))?)
}

/// Runs `stop`: nothing runs that could be stopped.
///
/// # Errors
/// There is no such builder.
pub fn stop(args: &StopArgs, global: &Global) -> Result<(), CliError> {
    match args.name.as_ref().or(args.builder.as_ref()) {
        Some(name) => known(global, name).map(drop),
        None => Ok(()),
    }
}
