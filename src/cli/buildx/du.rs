//! `buildx du`

use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::error::CliError;
use super::super::format::{Column, List};
use super::super::global::Global;
use super::super::{containers, human, output};
use super::cache::{CacheFilter, Entry, entries};
use crate::store::Usage;

/// Disk usage
#[derive(Debug, Args)]
pub struct DuArgs {
    /// Provide filter values (id, type, description, inuse, mutable, shared, private, until=24h; = != ~=)
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Format the output: table, pretty, json, or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Shorthand for --format=pretty
    #[arg(long)]
    verbose: bool,
    /// Name of the builder; there is one
    #[arg(long, value_name = "NAME")]
    builder: Option<String>,
}

const COLUMNS: &[Column] = &[
    Column { field: "ID", title: "ID" },
    Column { field: "Reclaimable", title: "RECLAIMABLE" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "LastUsedAt", title: "LAST ACCESSED" },
    Column { field: "Parents", title: "PARENTS" },
    Column { field: "CreatedAt", title: "CREATED AT" },
    Column { field: "Mutable", title: "MUTABLE" },
    Column { field: "Shared", title: "SHARED" },
    Column { field: "Description", title: "DESCRIPTION" },
    Column { field: "UsageCount", title: "USAGE COUNT" },
    Column { field: "Type", title: "TYPE" },
];

/// Runs the command.
///
/// # Errors
/// A filter or the format is none, or the store can't be read.
pub fn du(args: &DuArgs, global: &Global) -> Result<(), CliError> {
    let filter = CacheFilter::parse(&args.filter)?;
    let usage = global.store()?.usage(&containers::image_uses(global)?)?;
    let now = Timestamp::now();
    let chosen: Vec<Entry> = entries(&usage).into_iter().filter(|entry| filter.takes(entry, now)).collect();
    let format = args.format.as_deref().or(args.verbose.then_some("pretty"));
    let mut text = match format {
        Some("pretty") => chosen.iter().map(pretty).collect(),
        None | Some("" | "table") => table(&chosen)?,
        other => {
            let rows = chosen.iter().map(row).collect();
            let default = &["ID", "Reclaimable", "Size", "LastUsedAt"];
            return output::data(&List { columns: COLUMNS, default, rows }.render(other)?);
        }
    };
    if filter.is_empty() {
        text.push_str(&summary(&usage));
    }
    output::data(&text)
}

fn table(entries: &[Entry]) -> Result<String, CliError> {
    let rows = entries.iter().map(|entry| {
        let mut row = row(entry);
        row.insert("ID".to_owned(), starred(&entry.id, entry.mutable).into());
        row.insert("Size".to_owned(), starred(&human::size(entry.size), entry.shared).into());
        row
    });
    let default = &["ID", "Reclaimable", "Size", "LastUsedAt"];
    List { columns: COLUMNS, default, rows: rows.collect() }.render(None)
}

fn starred(text: &str, star: bool) -> String {
    format!("{text}{}", if star { "*" } else { "" })
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string()
}

fn row(entry: &Entry) -> Map<String, Value> {
    let row = json!({
        "CreatedAt": moment(entry.created),
        "Description": entry.description,
        "ID": entry.id,
        "LastUsedAt": human::ago(Some(entry.last_used)),
        "Mutable": entry.mutable,
        "Parents": null,
        "Reclaimable": !entry.in_use,
        "Shared": entry.shared,
        "Size": human::size(entry.size),
        "Type": entry.kind,
        "UsageCount": entry.uses.unwrap_or(0),
    });
    row.as_object().cloned().unwrap_or_default()
}

fn pretty(entry: &Entry) -> String {
    let mut text = String::new();
    let mut say = |title: &str, value: String| text.push_str(&format!("{title:<14}{value}\n"));
    say("ID:", entry.id.clone());
    say("Created at:", moment(entry.created));
    say("Mutable:", entry.mutable.to_string());
    say("Reclaimable:", (!entry.in_use).to_string());
    say("Shared:", entry.shared.to_string());
    say("Size:", human::size(entry.size));
    say("Description:", entry.description.clone());
    if let Some(uses) = entry.uses {
        say("Usage count:", uses.to_string());
    }
    say("Last used:", human::ago(Some(entry.last_used)));
    say("Type:", entry.kind.clone());
    text.push('\n');
    text
}

/// The sums; layers that images need too are shared, and go only with the images.
fn summary(usage: &Usage) -> String {
    let mut text = String::new();
    if usage.cache_shared > 0 {
        text += &format!("Shared:\t\t{}\n", human::size(usage.cache_shared));
        text += &format!("Private:\t{}\n", human::size(usage.cache.size));
    }
    text += &format!("Reclaimable:\t{}\n", human::size(usage.cache.reclaimable));
    text + &format!("Total:\t\t{}\n", human::size(usage.cache.size + usage.cache_shared))
}

/// Returns the lines in which `prune` shows what it took, as docker's has them.
pub fn lines(entries: &[Entry], verbose: bool) -> String {
    if verbose {
        return entries.iter().map(pretty).collect();
    }
    let mut text = String::from("ID\t\t\t\t\t\tRECLAIMABLE\tSIZE\t\tLAST ACCESSED\n");
    for entry in entries {
        let (id, size) = (starred(&entry.id, entry.mutable), starred(&human::size(entry.size), entry.shared));
        let used = human::ago(Some(entry.last_used));
        text += &format!("{id:<40}\t{:<5}\t{size:<10}\t{used}\n", !entry.in_use);
    }
    text
}
