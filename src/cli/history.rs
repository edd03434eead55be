//! `history`, `image history`

use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::error::CliError;
use super::format::{Column, List};
use super::global::Global;
use super::{human, output, table};
use crate::image::Platform;
use crate::store::{ImageRecord, Store};

/// Show the history of an image
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Image
    pub image: String,
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
    /// Print sizes and dates in human readable format
    #[arg(short = 'H', long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value_t = true, action = clap::ArgAction::Set)]
    pub human: bool,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    pub quiet: bool,
    /// Show history for this platform
    #[arg(long)]
    pub platform: Option<String>,
}

/// The fields of a row.
pub const COLUMNS: &[Column] = &[
    Column { field: "ID", title: "IMAGE" },
    Column { field: "CreatedSince", title: "CREATED" },
    Column { field: "CreatedAt", title: "CREATED AT" },
    Column { field: "CreatedBy", title: "CREATED BY" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "Comment", title: "COMMENT" },
];

/// Runs the command.
pub fn run(args: &HistoryArgs, global: &Global) -> Result<(), CliError> {
    let store = global.store()?;
    let platform = args.platform.as_deref().map(Platform::parse).transpose();
    let platform = platform.map_err(|e| CliError::new(e.to_string()))?;
    let image = store.find_image(&args.image, platform.as_ref())?;
    let mut rows = Vec::new();
    for entry in entries(store, &image)? {
        let id = match entry.last {
            true if args.no_trunc => image.id.to_string(),
            true => image.id.short(),
            false => "<missing>".to_owned(),
        };
        let command = entry.created_by.replace('\t', " ");
        let command = if args.no_trunc { command } else { table::ellipsis(&command.replace('\n', " "), 45) };
        let row = json!({
            "ID": id,
            "CreatedSince": if args.human { human::ago(entry.created) } else { rfc3339(entry.created) },
            "CreatedAt": rfc3339(entry.created),
            "CreatedBy": command,
            "Size": if args.human { human::size(entry.size) } else { entry.size.to_string() },
            "Comment": entry.comment,
        });
        rows.extend(row.as_object().cloned());
    }
    if args.quiet {
        let ids = |row: &Map<String, Value>| row["ID"].as_str().unwrap_or_default().to_owned() + "\n";
        return output::data(&rows.iter().map(ids).collect::<String>());
    }
    let default: &[&str] = if args.human {
        &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"]
    } else {
        &["ID", "CreatedAt", "CreatedBy", "Size", "Comment"]
    };
    output::data(&List { columns: COLUMNS, default, rows }.render(args.format.as_deref())?)
}

/// What made a part of an image.
pub struct Entry {
    /// Whether it is the image's last one.
    pub last: bool,
    /// When.
    pub created: Option<Timestamp>,
    /// The instruction.
    pub created_by: String,
    /// Bytes of its layer; none for one that only changed the config.
    pub size: u64,
    /// What was said about it.
    pub comment: String,
}

/// Returns what made an image, newest first.
///
/// # Errors
/// The store can't be read.
pub fn entries(store: &Store, image: &ImageRecord) -> Result<Vec<Entry>, CliError> {
    let (config, _) = store.config(image.id)?;
    let mut layers = config.rootfs.diff_ids.iter();
    let mut found = Vec::new();
    for entry in &config.history {
        let layer = if entry.empty_layer { None } else { layers.next() };
        let layer = layer.map(|diff_id| store.layer(*diff_id)).transpose()?.flatten();
        found.push(Entry {
            last: false,
            created: entry.created.as_deref().and_then(|text| text.parse().ok()),
            created_by: entry.created_by.clone(),
            size: layer.map_or(0, |layer| layer.size()),
            comment: entry.comment.clone(),
        });
    }
    found.reverse();
    if let Some(first) = found.first_mut() {
        first.last = true;
    }
    Ok(found)
}

/// A moment in seconds; empty for none.
pub fn rfc3339(moment: Option<Timestamp>) -> String {
    moment.map(|m| m.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}
