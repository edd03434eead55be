//! `system df`

use clap::Args;
use serde_json::{Map, Value, json};

use super::container::{Images, Style, fields};
use super::containers::{self, Listed, Volume};
use super::error::CliError;
use super::format::{Column, List};
use super::global::Global;
use super::{human, output};
use crate::store::{Summary, Usage};

/// Show disk usage
#[derive(Debug, Args)]
pub struct DfArgs {
    /// Show detailed information on space usage
    #[arg(short, long)]
    pub verbose: bool,
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
}

/// The fields of the table.
pub const COLUMNS: &[Column] = &[
    Column { field: "Type", title: "TYPE" },
    Column { field: "TotalCount", title: "TOTAL" },
    Column { field: "Active", title: "ACTIVE" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "Reclaimable", title: "RECLAIMABLE" },
];

/// The fields of images.
pub const IMAGE_COLUMNS: &[Column] = &[
    Column { field: "Repository", title: "REPOSITORY" },
    Column { field: "Tag", title: "TAG" },
    Column { field: "ID", title: "IMAGE ID" },
    Column { field: "CreatedSince", title: "CREATED" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "SharedSize", title: "SHARED SIZE" },
    Column { field: "UniqueSize", title: "UNIQUE SIZE" },
    Column { field: "Containers", title: "CONTAINERS" },
];

/// The fields of containers.
pub const CONTAINER_COLUMNS: &[Column] = &[
    Column { field: "ID", title: "CONTAINER ID" },
    Column { field: "Image", title: "IMAGE" },
    Column { field: "Command", title: "COMMAND" },
    Column { field: "LocalVolumes", title: "LOCAL VOLUMES" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "CreatedSince", title: "CREATED" },
    Column { field: "Status", title: "STATUS" },
    Column { field: "Names", title: "NAMES" },
];

/// The fields of volumes.
pub const VOLUME_COLUMNS: &[Column] = &[
    Column { field: "Name", title: "VOLUME NAME" },
    Column { field: "Links", title: "LINKS" },
    Column { field: "Size", title: "SIZE" },
];

/// The fields of the build cache.
pub const CACHE_COLUMNS: &[Column] = &[
    Column { field: "ID", title: "CACHE ID" },
    Column { field: "CacheType", title: "CACHE TYPE" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "CreatedSince", title: "CREATED" },
    Column { field: "LastUsedSince", title: "LAST USED" },
    Column { field: "Shared", title: "SHARED" },
];

/// Runs the command.
pub fn run(args: &DfArgs, global: &Global) -> Result<(), CliError> {
    let store = global.store()?;
    let usage = store.usage(&containers::image_uses(global)?)?;
    let volumes = containers::volumes(global)?;
    if args.verbose {
        return verbose(&usage, &volumes, &containers::list(global)?, &Images::of(store)?);
    }
    let (containers, volumes) = (containers::summary(global)?, containers::volume_summary(&volumes));
    let rows = [
        ("Images", &usage.images),
        ("Containers", &containers),
        ("Local Volumes", &volumes),
        ("Build Cache", &usage.cache),
    ];
    let rows = rows.iter().filter_map(|(kind, summary)| row(kind, summary)).collect();
    let default = &["Type", "TotalCount", "Active", "Size", "Reclaimable"];
    output::data(&List { columns: COLUMNS, default, rows }.render(args.format.as_deref())?)
}

fn row(kind: &str, summary: &Summary) -> Option<Map<String, Value>> {
    let percent = (summary.size > 0).then(|| summary.reclaimable * 100 / summary.size);
    let share = percent.filter(|_| kind != "Build Cache").map(|p| format!(" ({p}%)")).unwrap_or_default();
    let row = json!({
        "Type": kind,
        "TotalCount": summary.total.to_string(),
        "Active": summary.active.to_string(),
        "Size": human::size(summary.size),
        "Reclaimable": format!("{}{share}", human::size(summary.reclaimable)),
    });
    row.as_object().cloned()
}

fn container_row(listed: &Listed, images: &Images) -> Option<Map<String, Value>> {
    let style = Style { whole: false, sizes: None, images };
    let mut row = fields(&listed.container, &listed.state, &style);
    row.insert("Size".to_owned(), human::size(listed.size()).into());
    row.insert("CreatedSince".to_owned(), human::ago(Some(listed.container.config.created)).into());
    Some(row)
}

fn verbose(
    usage: &Usage,
    volumes: &[Volume],
    containers: &[Listed],
    images_by_name: &Images,
) -> Result<(), CliError> {
    let mut images = Vec::new();
    for entry in &usage.image_list {
        let names: Vec<Option<_>> =
            if entry.names.is_empty() { vec![None] } else { entry.names.iter().map(Some).collect() };
        for name in names {
            let row = json!({
                "Repository": name.map_or("<none>".to_owned(), |n| n.familiar_repository()),
                "Tag": name.and_then(|n| n.tag()).unwrap_or("<none>"),
                "ID": entry.image.id.short(),
                "CreatedSince": human::ago(entry.image.created),
                "Size": human::size(entry.image.size),
                "SharedSize": human::size(entry.shared),
                "UniqueSize": human::size(entry.unique),
                "Containers": entry.containers.to_string(),
            });
            images.extend(row.as_object().cloned());
        }
    }
    let mut cache = Vec::new();
    for entry in &usage.cache_list {
        let row = json!({
            "ID": entry.record.key.hex()[..12].to_owned(),
            "CacheType": "regular",
            "Size": human::size(entry.size),
            "CreatedSince": human::ago(Some(entry.record.created)),
            "LastUsedSince": human::ago(Some(entry.record.last_used)),
            "Shared": entry.shared.to_string(),
        });
        cache.extend(row.as_object().cloned());
    }
    for mount in &usage.mounts {
        let row = json!({
            "ID": mount.mount.name.chars().rev().take(12).collect::<String>().chars().rev().collect::<String>(),
            "CacheType": "exec.cachemount",
            "Size": human::size(mount.size),
            "CreatedSince": "N/A", "LastUsedSince": "N/A", "Shared": "false",
        });
        cache.extend(row.as_object().cloned());
    }
    let containers = containers.iter().filter_map(|listed| container_row(listed, images_by_name)).collect();
    let volumes = volumes.iter().filter_map(|volume| {
        let row = json!({
            "Name": volume.name, "Links": volume.links.to_string(), "Size": human::size(volume.size),
        });
        row.as_object().cloned()
    });
    let fields = |columns: &'static [Column]| columns.iter().map(|c| c.field).collect::<Vec<_>>();
    let images =
        List { columns: IMAGE_COLUMNS, default: &fields(IMAGE_COLUMNS), rows: images }.render(None)?;
    let volumes = List { columns: VOLUME_COLUMNS, default: &fields(VOLUME_COLUMNS), rows: volumes.collect() };
    let volumes = volumes.render(None)?;
    let containers =
        List { columns: CONTAINER_COLUMNS, default: &fields(CONTAINER_COLUMNS), rows: containers }
            .render(None)?;
    let cached =
        List { columns: CACHE_COLUMNS, default: &fields(CACHE_COLUMNS), rows: cache }.render(None)?;
    output::data(&format!(
        "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}\nBuild cache usage: {}\n\n{cached}",
        human::size(usage.cache.size)
    ))
}
