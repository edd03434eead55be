//! `ps`, `container ls`

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::rows::{self, filters};
use super::{Engine, list, text};
use crate::cli::container::client_setting;
use crate::cli::container::ps::{COLUMNS, FILTERS, PsArgs, RAW};
use crate::cli::error::CliError;
use crate::cli::format::List;
use crate::cli::{human, output, table};
use crate::engine::client::Request;

/// Runs the command.
pub fn ps(args: &PsArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let last = if args.latest { Some(1) } else { args.last.filter(|n| *n > 0) };
    let format = args.format.clone().or_else(|| client_setting(engine.global, "psFormat"));
    let sized =
        args.size || (!args.quiet && format.as_deref().is_some_and(|format| format.contains(".Size")));
    let request = Request::get("/containers/json")
        .flag("all", args.all)
        .maybe("limit", last.map(|n| n.to_string()))
        .flag("size", sized)
        .maybe("filters", filters(&args.filter, Some(FILTERS))?);
    let found = engine.document(request)?;
    let found = list(&found);
    if args.quiet {
        if args.format.is_some() {
            output::talk("WARNING: Ignoring custom format, because both --format and --quiet are set.");
        }
        let id = |one: &Value| rows::id(text(&one["Id"]), args.no_trunc) + "\n";
        return output::data(&found.iter().map(id).collect::<String>());
    }
    let rows = found.iter().map(|one| fields(one, args.no_trunc)).collect();
    let mut default = vec!["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
    if args.size {
        default.push("Size");
    }
    let labels: Vec<BTreeMap<String, String>> =
        found.iter().map(|one| rows::labels(&one["Labels"])).collect();
    let labels: Vec<_> = labels.iter().collect();
    let raw = || if args.size { format!("{RAW}size: {{{{.Size}}}}\n") } else { RAW.to_owned() };
    let format = format.map(|format| if format.trim() == "raw" { raw() } else { format });
    let list = List { columns: COLUMNS, default: &default, rows };
    output::data(&list.render_labelled(format.as_deref(), &labels)?)
}

/// Returns the row of an entry of the list.
pub fn fields(one: &Value, whole: bool) -> Map<String, Value> {
    let names: Vec<&str> =
        list(&one["Names"]).iter().map(|name| text(name).trim_start_matches('/')).collect();
    // A link's name has its container before it.
    let names: Vec<&str> = if whole {
        names
    } else {
        let own: Vec<&str> = names.iter().copied().filter(|name| !name.contains('/')).collect();
        if own.is_empty() { names } else { own }
    };
    let created = rows::seconds(&one["Created"]);
    let command = format!("\"{}\"", text(&one["Command"]));
    let mount = |mount: &Value| match text(&mount["Name"]) {
        "" => text(&mount["Source"]).to_owned(),
        name => name.to_owned(),
    };
    let mounts: Vec<String> = list(&one["Mounts"]).iter().map(mount).collect();
    let shown = mounts.iter().map(|name| if whole { name.clone() } else { table::ellipsis(name, 15) });
    let local = list(&one["Mounts"]).iter().filter(|mount| mount["Driver"] == "local").count();
    let networks: Vec<&str> = one["NetworkSettings"]["Networks"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    let row = json!({
        "Command": if whole { command } else { table::ellipsis(&command, 20) },
        "CreatedAt": human::created_at(created),
        "HealthStatus": health(one),
        "ID": rows::id(text(&one["Id"]), whole),
        "Image": image(one, whole),
        "Labels": rows::joined(&one["Labels"]),
        "LocalVolumes": local.to_string(),
        "Mounts": shown.collect::<Vec<_>>().join(","),
        "Names": names.join(","),
        "Networks": networks.join(","),
        "Platform": Value::Null,
        "Ports": rows::ports(list(&one["Ports"])),
        "RunningFor": human::ago(created),
        "Size": size(one),
        "State": text(&one["State"]),
        "Status": text(&one["Status"]),
    });
    rows::object(row)
}

/// What is said of health: by newer engines in a field, by others within the status.
fn health(one: &Value) -> String {
    let said = text(&one["Health"]["Status"]);
    if !said.is_empty() {
        return said.to_owned();
    }
    let status = text(&one["Status"]);
    let inner = status.rsplit_once('(').map_or("", |(_, inner)| inner.trim_end_matches(')'));
    match inner.trim_start_matches("health: ") {
        word @ ("starting" | "healthy" | "unhealthy") => word.to_owned(),
        _ => String::new(),
    }
}

/// The name used at creation without its digest; an id is short.
fn image(one: &Value, whole: bool) -> String {
    let name = text(&one["Image"]);
    if name.is_empty() {
        return "<no image>".to_owned();
    }
    if whole {
        return name.to_owned();
    }
    let id = text(&one["ImageID"]);
    if name == id {
        return rows::id(id, false);
    }
    name.split('@').next().unwrap_or_default().to_owned()
}

fn size(one: &Value) -> String {
    let own = human::size(one["SizeRw"].as_u64().unwrap_or(0));
    match one["SizeRootFs"].as_u64() {
        Some(all) if all > 0 => format!("{own} (virtual {})", human::size(all)),
        _ => own,
    }
}
