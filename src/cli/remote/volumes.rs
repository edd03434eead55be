//! `volume create`, `ls`, `inspect`, `rm`, `prune`

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::rows::{self, filters};
use super::{Engine, inspect, list, prune, text};
use crate::cli::container::{client_setting, each};
use crate::cli::error::CliError;
use crate::cli::format::List;
use crate::cli::inspect::Scope;
use crate::cli::volume::ls::{COLUMNS, LsArgs, RAW};
use crate::cli::volume::{CreateArgs, RmArgs, VolumeCommand, labels, pairs};
use crate::cli::{human, output};
use crate::engine::client::{Request, segment};

/// Runs a command of the group.
pub fn run(command: &VolumeCommand, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    match command {
        VolumeCommand::Create(args) => create(args, engine)?,
        VolumeCommand::Ls(args) => ls(args, engine)?,
        VolumeCommand::Inspect(args) => {
            inspect::named(&args.names, args.format.as_deref(), Scope::Volume, engine)?;
        }
        VolumeCommand::Rm(args) => return rm(args, engine),
        VolumeCommand::Prune(args) => prune::volume(args, engine)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn create(args: &CreateArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let mut body =
        json!({ "Driver": args.driver, "DriverOpts": pairs(&args.opt), "Labels": labels(&args.label)? });
    if let Some(name) = args.name()? {
        body["Name"] = json!(name);
    }
    let made = engine.document(Request::post("/volumes/create").json(&body))?;
    output::line(text(&made["Name"]))
}

fn rm(args: &RmArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    each(&args.names, |name| {
        let request = Request::delete(format!("/volumes/{}", segment(name))).flag("force", args.force);
        Ok(engine.send(request)?.whole().map(drop)?)
    })
}

fn ls(args: &LsArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let known = ["dangling", "driver", "label", "name"];
    let request = Request::get("/volumes").maybe("filters", filters(&args.filter, Some(&known))?);
    let found = engine.document(request)?;
    let mut found: Vec<&Value> = list(&found["Volumes"]).iter().collect();
    found.sort_by_key(|volume| text(&volume["Name"]));
    if args.quiet {
        if args.format.is_some() {
            output::talk("WARNING: Ignoring custom format, because both --format and --quiet are set.");
        }
        let names = found.iter().map(|volume| text(&volume["Name"]).to_owned() + "\n");
        return output::data(&names.collect::<String>());
    }
    let rows = found.iter().map(|volume| fields(volume)).collect();
    let labels: Vec<BTreeMap<String, String>> =
        found.iter().map(|volume| rows::labels(&volume["Labels"])).collect();
    let labels: Vec<_> = labels.iter().collect();
    let format = args.format.clone().or_else(|| client_setting(engine.global, "volumesFormat"));
    let format = format.map(|format| if format.trim() == "raw" { RAW.to_owned() } else { format });
    let list = List { columns: COLUMNS, default: &["Driver", "Name"], rows };
    output::data(&list.render_labelled(format.as_deref(), &labels)?)
}

/// Returns a row; sizes are in it where the engine has counted them.
pub fn fields(volume: &Value) -> serde_json::Map<String, Value> {
    let usage = &volume["UsageData"];
    let links = usage["RefCount"].as_i64().filter(|n| *n >= 0);
    let size = usage["Size"].as_i64().filter(|n| *n >= 0);
    rows::object(json!({
        "Availability": "N/A",
        "Driver": text(&volume["Driver"]),
        "Group": "N/A",
        "Labels": rows::joined(&volume["Labels"]),
        "Links": links.map_or("N/A".to_owned(), |n| n.to_string()),
        "Mountpoint": text(&volume["Mountpoint"]),
        "Name": text(&volume["Name"]),
        "Scope": text(&volume["Scope"]),
        "Size": size.map_or("N/A".to_owned(), |n| human::size(n as u64)),
        "Status": "N/A",
    }))
}
