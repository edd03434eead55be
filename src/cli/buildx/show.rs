//! `buildx ls|inspect|version`

use clap::Args;
use serde_json::json;

use super::super::error::CliError;
use super::super::format::{Column, List};
use super::super::global::Global;
use super::super::output;
use super::builders::{self, DEFAULT};
use crate::image::Platform;

/// List builder instances
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Format the output: table, json, or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
}

/// Inspect current builder instance
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The builder
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Ensure builder has booted before inspecting (it needs no booting)
    #[arg(long)]
    bootstrap: bool,
    /// Name of the builder
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column { field: "Name", title: "NAME/NODE" },
    Column { field: "DriverEndpoint", title: "DRIVER/ENDPOINT" },
    Column { field: "Status", title: "STATUS" },
    Column { field: "Buildkit", title: "BUILDKIT" },
    Column { field: "Platforms", title: "PLATFORMS" },
];

const FIELDS: [&str; 5] = ["Name", "DriverEndpoint", "Status", "Buildkit", "Platforms"];

fn engine() -> String {
    format!("skiff-{}", env!("CARGO_PKG_VERSION"))
}

/// Runs `ls`.
///
/// # Errors
/// The names can't be read, or the format is none.
pub fn ls(args: &LsArgs, global: &Global) -> Result<(), CliError> {
    let current = builders::current(global)?;
    let mut names = builders::created(global)?;
    names.push(DEFAULT.to_owned());
    let platform = Platform::host().to_string();
    if args.format.as_deref() == Some("json") {
        for name in names {
            output::line(&document(&name, name == current, &platform, global).to_string())?;
        }
        return Ok(());
    }
    let is_table = args.format.as_deref().is_none_or(|format| format.starts_with("table"));
    let mut rows = Vec::new();
    for name in names {
        let star = if is_table && name == current { "*" } else { "" };
        let driver = builders::driver(global, &name).unwrap_or_else(|| "docker".to_owned());
        let instance = json!({"Name": format!("{name}{star}"), "DriverEndpoint": driver,
            "Status": "", "Buildkit": "", "Platforms": ""});
        let (tree, node) = if is_table { (" \\_ ", node(&name)) } else { ("", name.clone()) };
        let node = json!({"Name": format!("{tree}{node}"), "DriverEndpoint": format!("{tree}default"),
            "Status": "running", "Buildkit": engine(), "Platforms": platform});
        rows.extend([instance, node].iter().filter_map(|row| row.as_object().cloned()));
    }
    output::data(&List { columns: COLUMNS, default: &FIELDS, rows }.render(args.format.as_deref())?)
}

fn node(name: &str) -> String {
    if name == DEFAULT { name.to_owned() } else { format!("{name}0") }
}

fn document(name: &str, current: bool, platform: &str, global: &Global) -> serde_json::Value {
    json!({
        "Current": current,
        "Driver": builders::driver(global, name).unwrap_or_else(|| "docker".to_owned()),
        "Dynamic": false,
        "Name": name,
        "Nodes": [{
            "Name": node(name), "Endpoint": "default", "Status": "running", "Version": engine(),
            "Platforms": [platform],
        }],
    })
}

/// Runs `inspect`.
///
/// # Errors
/// There is no such builder.
pub fn inspect(args: &InspectArgs, global: &Global) -> Result<(), CliError> {
    let name = match args.name.as_ref().or(args.builder.as_ref()) {
        Some(name) => builders::known(global, name)?,
        None => builders::current(global)?,
    };
    let driver = builders::driver(global, &name).unwrap_or_else(|| "docker".to_owned());
    let node = node(&name);
    output::data(&format!(
        "Name:          {name}\nDriver:        {driver}\n\nNodes:\nName:             {node}\n\
         Endpoint:         default\nStatus:           running\nBuildKit version: {}\nPlatforms:        {}\n",
        engine(),
        Platform::host(),
    ))
}

/// Runs `version`: the commands' release stands where docker's tools look for it.
///
/// # Errors
/// Standard output can't be written.
pub fn version() -> Result<(), CliError> {
    output::line(&format!("skiff/buildx v{} {}", super::FOLLOWS, engine()))
}
