//! `context ls|use|show|inspect|create|rm|update|export|import`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::disk::{names_in, remove_below, write_private};
use super::transfer::{ExportArgs, ImportArgs, export, import};
use super::{Context, DEFAULT, folder, id, load};
use crate::causes::chain;
use crate::cli::endpoint::{Chosen, choose, context_name, file, variable};
use crate::cli::error::CliError;
use crate::cli::format::{Column, List};
use crate::cli::global::{Global, GlobalArgs};
use crate::cli::inspect::Shown;
use crate::cli::later::Later;
use crate::cli::output;
use crate::engine::client::Endpoint;
use crate::registry::auth::file::change;

/// `context ...`
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// Create a context
    Create(Later<CreateArgs>),
    /// Export a context to a tar archive FILE or a tar stream on STDOUT
    Export(Later<ExportArgs>),
    /// Import a context from a tar or zip file
    Import(Later<ImportArgs>),
    /// Display detailed information on one or more contexts
    Inspect(Later<InspectArgs>),
    /// List contexts
    #[command(alias = "list")]
    Ls(Later<LsArgs>),
    /// Remove one or more contexts
    #[command(alias = "remove")]
    Rm(Later<RmArgs>),
    /// Print the name of the current context
    Show(Later<ShowArgs>),
    /// Update a context
    Update(Later<UpdateArgs>),
    /// Set the current context
    Use(Later<UseArgs>),
}

/// Create a context
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Name of the context
    #[arg(value_name = "CONTEXT")]
    name: String,
    /// Description of the context
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Set the engine: host=URL,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=BOOL, or from=CONTEXT
    #[arg(long, value_name = "KEY=VALUE,...")]
    docker: Option<String>,
    /// Create context from a named context
    #[arg(long, value_name = "CONTEXT")]
    from: Option<String>,
}

/// Update a context
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Name of the context
    #[arg(value_name = "CONTEXT")]
    name: String,
    /// Description of the context
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Set the engine: host=URL,ca=FILE,cert=FILE,key=FILE,skip-tls-verify=BOOL, or from=CONTEXT
    #[arg(long, value_name = "KEY=VALUE,...")]
    docker: Option<String>,
}

/// Display detailed information on one or more contexts
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Contexts; the current one without
    #[arg(value_name = "CONTEXT")]
    names: Vec<String>,
    /// Format output: json, or a template
    #[arg(short, long, value_name = "STRING")]
    format: Option<String>,
}

/// List contexts
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    format: Option<String>,
    /// Only show context names
    #[arg(short, long)]
    quiet: bool,
}

/// Remove one or more contexts
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Contexts
    #[arg(required = true, value_name = "CONTEXT")]
    names: Vec<String>,
    /// Force the removal of a context in use
    #[arg(short, long)]
    force: bool,
}

/// Print the name of the current context
#[derive(Debug, Args)]
pub struct ShowArgs {}

/// Set the current context
#[derive(Debug, Args)]
pub struct UseArgs {
    /// Name of the context
    #[arg(value_name = "CONTEXT")]
    name: String,
}

const COLUMNS: &[Column] = &[
    Column { field: "Name", title: "NAME" },
    Column { field: "Description", title: "DESCRIPTION" },
    Column { field: "DockerEndpoint", title: "DOCKER ENDPOINT" },
    Column { field: "Error", title: "ERROR" },
    Column { field: "Current", title: "CURRENT" },
    Column { field: "ContextType", title: "TYPE" },
];

/// Runs a command on contexts.
pub fn run(command: &ContextCommand, global: &Global) -> Result<(), CliError> {
    let args = &global.args;
    match command {
        ContextCommand::Create(given) => create(given, args),
        ContextCommand::Export(given) => export(given, args),
        ContextCommand::Import(given) => import(given, args),
        ContextCommand::Inspect(given) => inspect(given, args),
        ContextCommand::Ls(given) => ls(given, args),
        ContextCommand::Rm(given) => rm(given, args),
        ContextCommand::Show(_) => output::line(&context_name(args)?),
        ContextCommand::Update(given) => update(given, args),
        ContextCommand::Use(given) => use_context(given, args),
    }
}

/// Returns what the context `default` is just now; empty for the local store.
pub(super) fn default_host(args: &GlobalArgs) -> Result<String, CliError> {
    let plain = GlobalArgs { context: None, ..args.clone() };
    if plain.host.is_none() && variable("DOCKER_HOST").is_none() {
        return Ok(String::new());
    }
    let chosen: Option<Chosen> = choose(&plain)?;
    Ok(chosen.map_or(String::new(), |chosen| chosen.endpoint.url()))
}

pub(super) fn home(args: &GlobalArgs) -> Result<PathBuf, CliError> {
    folder(args).ok_or_else(|| CliError::new("neither DOCKER_CONFIG nor HOME is set"))
}

/// Every context on disk, by name.
fn all(args: &GlobalArgs) -> Result<Vec<Context>, CliError> {
    let folder = home(args)?.join("contexts/meta");
    let mut found = Vec::new();
    for name in names_in(&folder)? {
        if let Some(bytes) = file(&folder.join(name).join("meta.json"))? {
            let document: Value = serde_json::from_slice(&bytes).map_err(|e| CliError::new(e.to_string()))?;
            found.push(Context::of(document));
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn ls(given: &LsArgs, args: &GlobalArgs) -> Result<(), CliError> {
    let current = context_name(args)?;
    let mut rows: Vec<(String, String, String)> = vec![(
        DEFAULT.to_owned(),
        if variable("DOCKER_HOST").is_some() {
            "Current DOCKER_HOST based configuration".to_owned()
        } else {
            "The local store".to_owned()
        },
        default_host(args).unwrap_or_default(),
    )];
    rows.extend(all(args)?.into_iter().map(|one| (one.name, one.description, one.host.unwrap_or_default())));
    rows.sort();
    if given.quiet {
        let names = rows.iter().map(|(name, ..)| format!("{name}\n"));
        return output::data(&names.collect::<String>());
    }
    let table = matches!(given.format.as_deref().map(str::trim), None | Some("" | "table"));
    let row = |(name, description, host): &(String, String, String)| -> Map<String, Value> {
        let is_current = *name == current;
        let shown = if table && is_current { format!("{name} *") } else { name.clone() };
        let row = json!({
            "Current": is_current, "Description": description, "DockerEndpoint": host, "Error": "",
            "Name": shown, "ContextType": "moby",
        });
        row.as_object().cloned().unwrap_or_default()
    };
    let default = &["Name", "Description", "DockerEndpoint", "Error"];
    let list = List { columns: COLUMNS, default, rows: rows.iter().map(row).collect() };
    output::data(&list.render(given.format.as_deref())?)?;
    if let Some(host) = variable("DOCKER_HOST")
        && given.format.is_none()
    {
        output::talk(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set \
             the global --context flag, or unset DOCKER_HOST environment variable. ({host})"
        ));
    }
    Ok(())
}

fn inspect(given: &InspectArgs, args: &GlobalArgs) -> Result<(), CliError> {
    let names = if given.names.is_empty() { vec![context_name(args)?] } else { given.names.clone() };
    let mut shown = Shown::new(given.format.as_deref())?;
    for name in &names {
        let (mut document, places) = if name == DEFAULT {
            let host = default_host(args)?;
            let docker = json!({ "Host": host, "SkipTLSVerify": false });
            let memory = "<IN MEMORY>".to_owned();
            let document = json!({ "Name": DEFAULT, "Metadata": {}, "Endpoints": { "docker": docker } });
            (document, (memory.clone(), memory))
        } else {
            let contexts = home(args)?.join("contexts");
            let place = |kind: &str| contexts.join(kind).join(id(name)).display().to_string();
            (load(args, name)?.document, (place("meta"), place("tls")))
        };
        let mut tls = json!({});
        if name != DEFAULT {
            let folder = home(args)?.join("contexts/tls").join(id(name));
            for endpoint in names_in(&folder)? {
                tls[&endpoint] = json!(names_in(&folder.join(&endpoint))?);
            }
        }
        document["TLSMaterial"] = tls;
        document["Storage"] = json!({ "MetadataPath": places.0, "TLSPath": places.1 });
        shown.found.push(document);
    }
    shown.print()
}

fn rm(given: &RmArgs, args: &GlobalArgs) -> Result<(), CliError> {
    let current = context_name(args)?;
    let mut failures = Vec::new();
    for name in &given.names {
        let result = if name == DEFAULT {
            Err(CliError::new("context \"default\" cannot be removed"))
        } else if *name == current && !given.force {
            Err(CliError::new(format!("context {name:?} is in use, set -f flag to force remove")))
        } else {
            load(args, name).map(drop)
        };
        match result {
            Ok(()) => {
                let contexts = home(args)?.join("contexts");
                for kind in ["meta", "tls"] {
                    remove_below(&contexts.join(kind), &id(name))?;
                }
                if *name == current && context_setting(args) == *name {
                    set_current(args, None)?;
                }
                output::line(name)?;
            }
            Err(error) => failures.push(error.text),
        }
    }
    failures.iter().for_each(|text| output::talk(text));
    if failures.is_empty() { Ok(()) } else { Err(CliError::silent(1)) }
}

fn context_setting(args: &GlobalArgs) -> String {
    crate::cli::container::setting(args, "currentContext").unwrap_or_default()
}

fn use_context(given: &UseArgs, args: &GlobalArgs) -> Result<(), CliError> {
    if given.name != DEFAULT {
        load(args, &given.name)?;
    }
    set_current(args, (given.name != DEFAULT).then_some(given.name.as_str()))?;
    output::line(&given.name)?;
    output::talk(&format!("Current context is now {:?}", given.name));
    if variable("DOCKER_HOST").is_some() && given.name != DEFAULT {
        output::talk(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {:?}, either set the \
             global --context flag, or unset DOCKER_HOST environment variable.",
            given.name
        ));
    }
    Ok(())
}

/// Writes `currentContext`; everything else in the file stays as it is.
fn set_current(args: &GlobalArgs, name: Option<&str>) -> Result<(), CliError> {
    let path = home(args)?.join("config.json");
    let changed = change(&path, |config| match name {
        Some(name) => drop(config.insert("currentContext".to_owned(), json!(name))),
        None => drop(config.shift_remove("currentContext")),
    });
    changed.map_err(|error| CliError::new(chain(&error)))
}

fn create(given: &CreateArgs, args: &GlobalArgs) -> Result<(), CliError> {
    let name = &given.name;
    check_name(name)?;
    if load(args, name).is_ok() {
        return Err(CliError::new(format!("context {name:?} already exists")));
    }
    let mut material = Vec::new();
    let mut document = match (&given.docker, &given.from) {
        (Some(_), Some(_)) => {
            return Err(CliError::new("cannot use --docker flag when --from is set"));
        }
        (Some(flag), None) => {
            let (docker, files) = endpoint(flag, args)?;
            material = files;
            json!({ "Endpoints": { "docker": docker } })
        }
        (None, Some(from)) => from_context(from, args, &mut material)?,
        (None, None) => {
            let current = context_name(args)?;
            from_context(&current, args, &mut material)?
        }
    };
    document["Name"] = json!(name);
    if !document["Metadata"].is_object() {
        document["Metadata"] = json!({});
    }
    if let Some(description) = &given.description {
        document["Metadata"]["Description"] = json!(description);
    }
    write(&document, of_docker(&material), args)?;
    output::line(name)?;
    output::talk(&format!("Successfully created context {name:?}"));
    Ok(())
}

fn update(given: &UpdateArgs, args: &GlobalArgs) -> Result<(), CliError> {
    let name = &given.name;
    if name == DEFAULT {
        return Err(CliError::new("cannot update a context named \"default\""));
    }
    let mut document = load(args, name)?.document;
    let mut material = Vec::new();
    if let Some(description) = &given.description {
        document["Metadata"]["Description"] = json!(description);
    }
    if let Some(flag) = &given.docker {
        let (docker, files) = endpoint(flag, args)?;
        document["Endpoints"]["docker"] = docker;
        material = files;
        remove_below(&home(args)?.join("contexts/tls"), &id(name))?;
    }
    write(&document, of_docker(&material), args)?;
    output::line(name)?;
    output::talk(&format!("Successfully updated context {name:?}"));
    Ok(())
}

/// Files of certificates under their names.
type Files = Vec<(&'static str, Vec<u8>)>;

fn from_context(name: &str, args: &GlobalArgs, material: &mut Files) -> Result<Value, CliError> {
    if name == DEFAULT {
        let host = default_host(args)?;
        if host.is_empty() {
            return Err(CliError::new("docker endpoint configuration is required: give --docker host=URL"));
        }
        return Ok(json!({ "Endpoints": { "docker": { "Host": host, "SkipTLSVerify": false } } }));
    }
    let found = load(args, name)?;
    let folder = home(args)?.join("contexts/tls").join(id(name)).join("docker");
    for file_name in ["ca.pem", "cert.pem", "key.pem"] {
        material.extend(file(&folder.join(file_name))?.map(|bytes| (file_name, bytes)));
    }
    Ok(found.document)
}

/// Reads `--docker`.
fn endpoint(flag: &str, args: &GlobalArgs) -> Result<(Value, Files), CliError> {
    let (mut host, mut skip, mut material) = (None, false, Vec::new());
    for field in crate::cli::csv::csv(flag).map_err(CliError::new)? {
        let (key, value) = field.split_once('=').unwrap_or((&field, ""));
        let mut pem = |name: &'static str| -> Result<(), CliError> {
            let path = std::path::Path::new(value);
            let read = file(path)?.ok_or_else(|| {
                CliError::new(format!(
                    "unable to create docker endpoint config: open {value}: no such file or directory"
                ))
            })?;
            material.push((name, read));
            Ok(())
        };
        match key {
            "host" => host = Some(value.to_owned()),
            "skip-tls-verify" => skip = ["true", "1", "t"].contains(&value.to_lowercase().as_str()),
            "ca" => pem("ca.pem")?,
            "cert" => pem("cert.pem")?,
            "key" => pem("key.pem")?,
            "from" => {
                let document = from_context(value, args, &mut material)?;
                return Ok((document["Endpoints"]["docker"].clone(), material));
            }
            _ => {
                return Err(CliError::new(format!(
                    "unable to create docker endpoint config: unrecognized config key: {key}"
                )));
            }
        }
    }
    let host = host.filter(|host| !host.is_empty());
    let host =
        host.ok_or_else(|| CliError::new("docker endpoint configuration is required: give host=URL"))?;
    Endpoint::parse(&host, None)
        .map_err(|error| CliError::new(format!("unable to create docker endpoint config: {error}")))?;
    Ok((json!({ "Host": host, "SkipTLSVerify": skip }), material))
}

/// Writes a context, and files under the names of their endpoint and their own. Its document comes last, for a
/// context is there when its document is.
pub(super) fn write<'a>(
    document: &Value,
    files: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>,
    args: &GlobalArgs,
) -> Result<(), CliError> {
    let contexts = home(args)?.join("contexts");
    let id = id(document["Name"].as_str().unwrap_or_default());
    for (endpoint, name, bytes) in files {
        write_private(&contexts.join("tls").join(&id).join(endpoint).join(name), bytes)?;
    }
    write_private(&contexts.join("meta").join(&id).join("meta.json"), document.to_string().as_bytes())
}

fn of_docker(material: &Files) -> impl Iterator<Item = (&str, &str, &[u8])> {
    material.iter().map(|(name, bytes)| ("docker", *name, &bytes[..]))
}

pub(super) fn check_name(name: &str) -> Result<(), CliError> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name == DEFAULT {
        return Err(CliError::new("\"default\" is a reserved context name"));
    }
    if first && name.len() > 1 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c)) {
        return Ok(());
    }
    Err(CliError::new(format!(
        "context name {name:?} is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\""
    )))
}
