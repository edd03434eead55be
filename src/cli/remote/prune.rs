//! `system prune`, `container prune`, `image prune`, `network prune`, `volume prune`, `builder prune`

use serde_json::Value;

use super::rows::filters;
use super::{Engine, list, text};
use crate::cli::error::{CliError, flag_size};
use crate::cli::network::remove::PruneArgs as NetworkPruneArgs;
use crate::cli::prune::{BuilderPruneArgs, ContainerPruneArgs, ImagePruneArgs, SystemPruneArgs, confirmed};
use crate::cli::volume::PruneArgs as VolumePruneArgs;
use crate::cli::{human, output};
use crate::engine::client::Request;

/// An engine can't say what it would remove.
fn no_dry_run(dry_run: bool) -> Result<(), CliError> {
    match dry_run {
        true => Err(CliError::new("--dry-run is not available through an engine")),
        false => Ok(()),
    }
}

/// Filters of the flags and of the configuration, which has them for all prunings.
fn wanted(given: &[String], known: &[&str], more: &[String]) -> Result<Option<String>, CliError> {
    filters(&[given, more].concat(), Some(known))
}

/// Asks an engine to prune, says what is gone under a title, and returns the bytes.
fn step(
    engine: &Engine<'_>,
    kind: &str,
    filters: Option<String>,
    title: &str,
    lines: impl Fn(&Value) -> Vec<String>,
) -> Result<u64, CliError> {
    let said = engine.document(Request::post(format!("/{kind}/prune")).maybe("filters", filters))?;
    let lines = lines(&said);
    if !lines.is_empty() {
        output::data(&format!("{title}:\n{}\n\n", lines.join("\n")))?;
    }
    Ok(said["SpaceReclaimed"].as_u64().unwrap_or(0))
}

fn texts(value: &Value) -> Vec<String> {
    list(value).iter().map(|one| text(one).to_owned()).collect()
}

fn containers(engine: &Engine<'_>, filters: Option<String>) -> Result<u64, CliError> {
    step(engine, "containers", filters, "Deleted Containers", |said| texts(&said["ContainersDeleted"]))
}

fn networks(engine: &Engine<'_>, filters: Option<String>) -> Result<u64, CliError> {
    step(engine, "networks", filters, "Deleted Networks", |said| texts(&said["NetworksDeleted"]))
}

fn volumes(engine: &Engine<'_>, filters: Option<String>) -> Result<u64, CliError> {
    step(engine, "volumes", filters, "Deleted Volumes", |said| texts(&said["VolumesDeleted"]))
}

fn images(engine: &Engine<'_>, filters: Option<String>) -> Result<u64, CliError> {
    step(engine, "images", filters, "Deleted Images", |said| {
        let one = |image: &Value| match image["Untagged"].as_str() {
            Some(name) if !name.is_empty() => format!("untagged: {name}"),
            _ => format!("deleted: {}", text(&image["Deleted"])),
        };
        list(&said["ImagesDeleted"]).iter().map(one).collect()
    })
}

fn total(bytes: u64) -> Result<(), CliError> {
    output::line(&format!("Total reclaimed space: {}", human::size(bytes)))
}

const KEYS: [&str; 3] = ["until", "label", "label!"];

/// Runs `container prune`.
pub fn container(args: &ContainerPruneArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    no_dry_run(args.dry_run)?;
    let filters = wanted(&args.filter, &KEYS, &[])?;
    if !confirmed(args.force, "WARNING! This will remove all stopped containers.\n")? {
        return Ok(());
    }
    total(containers(engine, filters)?)
}

/// Runs `image prune`.
pub fn image(args: &ImagePruneArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    no_dry_run(args.dry_run)?;
    let dangling = format!("dangling={}", !args.all);
    let filters = wanted(&args.filter, &["until", "label", "label!", "dangling"], &[dangling])?;
    let question = if args.all {
        "WARNING! This will remove all images without at least one container associated to them.\n"
    } else {
        "WARNING! This will remove all dangling images.\n"
    };
    if !confirmed(args.force, question)? {
        return Ok(());
    }
    total(images(engine, filters)?)
}

/// Runs `network prune`.
pub fn network(args: &NetworkPruneArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let filters = wanted(&args.filter, &KEYS, &[])?;
    let question = "WARNING! This will remove all custom networks not used by at least one container.\n";
    if !confirmed(args.force, question)? {
        return Ok(());
    }
    networks(engine, filters).map(drop)
}

/// Runs `volume prune`.
pub fn volume(args: &VolumePruneArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    no_dry_run(args.dry_run)?;
    let every = args.all || args.filter.iter().any(|filter| filter == "all=true" || filter == "all=1");
    let which = if every { "all" } else { "anonymous" };
    // Before 1.42 all unused volumes go anyway, and the filter is not known.
    let more =
        if args.all && engine.client.speaks("1.42")? { vec!["all=true".to_owned()] } else { Vec::new() };
    let filters = wanted(&args.filter, &["label", "label!", "all"], &more)?;
    let question =
        format!("WARNING! This will remove {which} local volumes not used by at least one container.\n");
    if !confirmed(args.force, &question)? {
        return Ok(());
    }
    total(volumes(engine, filters)?)
}

/// Runs `builder prune`.
pub fn builder(args: &BuilderPruneArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    no_dry_run(args.dry_run)?;
    let question = match args.all {
        true => "WARNING! This will remove all build cache.\n",
        false => "WARNING! This will remove all dangling build cache.\n",
    };
    let size = |flag: &str, given: &Option<String>| {
        given.as_ref().map(|text| flag_size(flag, text).map(|bytes| bytes.to_string())).transpose()
    };
    let reserved = size("--reserved-space", &args.reserved_space)?;
    let request = Request::post("/build/prune")
        .flag("all", args.all)
        .maybe("keep-storage", reserved.clone())
        .maybe("reserved-space", reserved)
        .maybe("max-used-space", size("--max-used-space", &args.max_used_space)?)
        .maybe("min-free-space", size("--min-free-space", &args.min_free_space)?)
        .maybe("filters", filters(&args.filter, None)?);
    if !confirmed(args.force, question)? {
        return Ok(());
    }
    let said = engine.document(request)?;
    for id in texts(&said["CachesDeleted"]) {
        output::line(&id)?;
    }
    total(said["SpaceReclaimed"].as_u64().unwrap_or(0))
}

/// Runs `system prune`.
pub fn system(args: &SystemPruneArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    no_dry_run(args.dry_run)?;
    let dangling = format!("dangling={}", !args.all);
    let image_filters = wanted(&args.filter, &["until", "label", "label!", "dangling"], &[dangling])?;
    let filters = wanted(&args.filter, &KEYS, &[])?;
    if args.volumes && args.filter.iter().any(|filter| filter.starts_with("until=")) {
        return Err(CliError::new("ERROR: The \"until\" filter is not supported with \"--volumes\""));
    }
    let mut question =
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by \
                        at least one container\n"
            .to_owned();
    if args.volumes {
        question.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    question.push_str(match args.all {
        true => "  - all images without at least one container associated to them\n  - all build cache\n",
        false => "  - all dangling images\n  - unused build cache\n",
    });
    question.push('\n');
    if !confirmed(args.force, &question)? {
        return Ok(());
    }
    let mut bytes = containers(engine, filters.clone())?;
    bytes += networks(engine, filters.clone())?;
    if args.volumes {
        bytes += volumes(engine, filters.clone())?;
    }
    bytes += images(engine, image_filters)?;
    let cache = Request::post("/build/prune").flag("all", args.all).maybe("filters", filters);
    let said = engine.document(cache)?;
    let caches = texts(&said["CachesDeleted"]);
    if !caches.is_empty() {
        output::data(&format!("Deleted build cache objects:\n{}\n\n", caches.join("\n")))?;
    }
    total(bytes + said["SpaceReclaimed"].as_u64().unwrap_or(0))
}
