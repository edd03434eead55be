//! `volume ls`

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::container::{all, client_setting};
use super::super::containers::size_below;
use super::super::error::CliError;
use super::super::filter::{Filters, has_label};
use super::super::format::{Column, List};
use super::super::global::Global;
use super::super::{human, output};
use crate::containers::{Containers, volumes};

/// List volumes
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Provide filter values: dangling, driver, label, name
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
    /// Only display volume names
    #[arg(short, long)]
    pub quiet: bool,
}

/// The fields of a row.
pub const COLUMNS: &[Column] = &[
    Column { field: "Name", title: "VOLUME NAME" },
    Column { field: "Driver", title: "DRIVER" },
    Column { field: "Scope", title: "SCOPE" },
    Column { field: "Mountpoint", title: "MOUNTPOINT" },
    Column { field: "Labels", title: "LABELS" },
    Column { field: "Links", title: "LINKS" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "Availability", title: "AVAILABILITY" },
    Column { field: "Group", title: "GROUP" },
    Column { field: "Status", title: "STATUS" },
];

/// What docker's old format `raw` shows.
pub const RAW: &str = "name: {{.Name}}\ndriver: {{.Driver}}\n";

/// Runs the command.
pub fn ls(args: &LsArgs, global: &Global) -> Result<(), CliError> {
    let containers = all(global)?;
    let uses = volumes::uses(&containers)?;
    let found = found(&args.filter, &containers)?;
    if args.quiet {
        if args.format.is_some() {
            output::talk("WARNING: Ignoring custom format, because both --format and --quiet are set.");
        }
        return output::data(&found.iter().map(|volume| volume.name.clone() + "\n").collect::<String>());
    }
    let format = args.format.clone().or_else(|| client_setting(global, "volumesFormat"));
    let counted = format.as_deref().is_some_and(|f| f.contains(".Size") || f.contains(".Links"));
    let row = |volume: &volumes::Volume| {
        let links = uses.get(&volume.name).map_or(0, Vec::len);
        fields(&containers, volume, counted.then_some(links))
    };
    let rows = found.iter().map(row).collect();
    let labels: Vec<_> = found.iter().map(|volume| &volume.labels).collect();
    let list = List { columns: COLUMNS, default: &["Driver", "Name"], rows };
    let format = format.map(|format| if format.trim() == "raw" { RAW.to_owned() } else { format });
    output::data(&list.render_labelled(format.as_deref(), &labels)?)
}

/// Returns the volumes that fit filters.
///
/// # Errors
/// A filter is none, or the volumes can't be read.
pub fn found(filters: &[String], containers: &Containers) -> Result<Vec<volumes::Volume>, CliError> {
    let filters = Filters::parse(filters, &["dangling", "driver", "label", "name"])?;
    let dangling = filters.boolean("dangling")?;
    let uses = volumes::uses(containers)?;
    let any = |key: &str, fits: &dyn Fn(&str) -> bool| {
        let values = filters.values(key);
        values.is_empty() || values.iter().any(|value| fits(value))
    };
    let mut found = volumes::list(containers)?;
    found.retain(|volume| {
        any("name", &|part| volume.name.contains(part))
            && any("driver", &|driver| driver == "local")
            && filters.values("label").iter().all(|label| has_label(&volume.labels, label))
            && dangling.is_none_or(|wanted| wanted != uses.contains_key(&volume.name))
    });
    Ok(found)
}

/// Returns a row; who uses it and its size only where that was counted.
fn fields(containers: &Containers, volume: &volumes::Volume, links: Option<usize>) -> Map<String, Value> {
    let labels: Vec<String> = volume.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let unknown = || "N/A".to_owned();
    let size = links.and_then(|_| volumes::open(containers, &volume.name).ok());
    let fields = json!({
        "Availability": "N/A",
        "Driver": "local",
        "Group": "N/A",
        "Labels": labels.join(","),
        "Links": links.map_or_else(unknown, |links| links.to_string()),
        "Mountpoint": volumes::path(containers, &volume.name),
        "Name": volume.name,
        "Scope": "local",
        "Size": size.map_or_else(unknown, |root| human::size(size_below(&root, 0))),
        "Status": "N/A",
    });
    match fields {
        Value::Object(map) => map,
        _ => unreachable!("an object was written"),
    }
}
