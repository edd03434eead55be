//! `system prune`, `image prune`, `builder prune`

use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;

use super::error::CliError;
use super::filter::{Filters, has_label};
use super::global::Global;
use super::{containers, human, network, output};
use crate::store::{CachePolicy, ImagePolicy, ImageRecord, Plan, Removed, Store};

/// Remove unused data
#[derive(Debug, Args)]
pub struct SystemPruneArgs {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Prune anonymous volumes
    #[arg(long)]
    volumes: bool,
    /// Provide filter values: until, label
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Remove all stopped containers
#[derive(Debug, Args)]
pub struct ContainerPruneArgs {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Provide filter values: until, label
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Remove unused images
#[derive(Debug, Args)]
pub struct ImagePruneArgs {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Provide filter values: until, label
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Remove build cache
#[derive(Debug, Args)]
pub struct BuilderPruneArgs {
    /// Include records whose layers images need anyway
    #[arg(short, long)]
    all: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    force: bool,
    /// Provide filter values: until
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Amount of disk space to keep for cache
    #[arg(long, alias = "keep-storage", alias = "reserved-space", value_name = "BYTES")]
    max_used_space: Option<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `system prune`: images, then the cache.
pub fn system(args: &SystemPruneArgs, global: &Global) -> Result<(), CliError> {
    let images = if args.all {
        "all images without at least one container associated to them"
    } else {
        "all dangling images"
    };
    let filters = Filters::parse(&args.filter, &["until", "label", "label!"])?;
    let volumes = match args.volumes {
        true => "  - all anonymous volumes not used by at least one container\n",
        false => "",
    };
    let mut question = format!(
        "WARNING! This will remove:\n  - all stopped containers\n  - all networks not used by at least one \
         container\n{volumes}  - {images}\n  - unused build cache\n"
    );
    if !args.filter.is_empty() {
        question.push_str("\n  Items to be pruned will be filtered with:\n");
        for filter in &args.filter {
            question.push_str(&format!("  - {filter}\n"));
        }
    }
    if !args.dry_run && !confirmed(args.force, &question)? {
        return Ok(());
    }
    let store = global.store()?;
    let mut freed = container_step(global, &filters, args.dry_run)?;
    network::prune_step(global, &filters, args.dry_run)?;
    if args.volumes {
        freed += super::volume::remove_unused(global, false, &filters, args.dry_run)?;
    }
    let mut total = image_step(global, args.all, &filters, args.dry_run)?;
    total.bytes += freed;
    if filters.values("label").is_empty() && filters.values("label!").is_empty() {
        let policy =
            CachePolicy { all: args.all, unused_since: filters.time("until")?, ..CachePolicy::default() };
        total.extend(carry_out(store, &store.plan_builder_prune(&policy)?, args.dry_run)?);
    }
    report(&total, args.dry_run)
}

/// Runs `image prune`.
pub fn image(args: &ImagePruneArgs, global: &Global) -> Result<(), CliError> {
    let question = if args.all {
        "WARNING! This will remove all images without at least one container associated to them.\n"
    } else {
        "WARNING! This will remove all dangling images.\n"
    };
    let filters = Filters::parse(&args.filter, &["until", "label", "label!", "dangling"])?;
    if !args.dry_run && !confirmed(args.force, question)? {
        return Ok(());
    }
    let all = args.all || filters.boolean("dangling")? == Some(false);
    report(&image_step(global, all, &filters, args.dry_run)?, args.dry_run)
}

/// Runs `builder prune`.
pub fn builder(args: &BuilderPruneArgs, global: &Global) -> Result<(), CliError> {
    let question = if args.all {
        "WARNING! This will remove all build cache.\n"
    } else {
        "WARNING! This will remove all dangling build cache.\n"
    };
    let filters = Filters::parse(&args.filter, &["until"])?;
    let keep_bytes = args
        .max_used_space
        .as_deref()
        .map(|text| human::parse_size(text).ok_or_else(|| CliError::new(format!("invalid size: '{text}'"))));
    let policy = CachePolicy {
        all: args.all,
        unused_since: filters.time("until")?,
        keep_bytes: keep_bytes.transpose()?,
        ..CachePolicy::default()
    };
    if !args.dry_run && !confirmed(args.force, question)? {
        return Ok(());
    }
    let store = global.store()?;
    let removed = carry_out(store, &store.plan_builder_prune(&policy)?, args.dry_run)?;
    for key in &removed.records {
        output::line(&key.hex()[..25])?;
    }
    output::line(&format!("Total:\t{}", human::size(removed.bytes)))
}

/// Removes containers that do not run, and says so; returns the bytes.
fn container_step(global: &Global, filters: &Filters, dry_run: bool) -> Result<u64, CliError> {
    let (until, labels) = (filters.time("until")?, filters.values("label"));
    let unwanted = filters.values("label!");
    let (mut ids, mut bytes) = (Vec::new(), 0);
    for listed in containers::list(global)?.into_iter().filter(|listed| !listed.is_running()) {
        let config = &listed.container.config;
        let has = |label: &String| has_label(&config.labels, label);
        if until.is_some_and(|until| config.created >= until)
            || !labels.iter().all(has)
            || unwanted.iter().any(has)
        {
            continue;
        }
        let size = listed.size();
        // One that starts just now stays.
        if dry_run || listed.container.remove(false).is_ok() {
            ids.push(config.id.clone());
            bytes += size;
        }
    }
    if !ids.is_empty() {
        output::line(&format!("Deleted Containers:\n{}\n", ids.join("\n")))?;
    }
    Ok(bytes)
}

/// Runs `container prune`.
///
/// # Errors
/// A container can't be removed, or a filter is none.
pub fn container(args: &ContainerPruneArgs, global: &Global) -> Result<(), CliError> {
    let filters = Filters::parse(&args.filter, &["until", "label", "label!"])?;
    if !args.dry_run && !confirmed(args.force, "WARNING! This will remove all stopped containers.\n")? {
        return Ok(());
    }
    let bytes = container_step(global, &filters, args.dry_run)?;
    report(&Removed { bytes, ..Removed::default() }, args.dry_run)
}

fn image_step(global: &Global, all: bool, filters: &Filters, dry_run: bool) -> Result<Removed, CliError> {
    let store = global.store()?;
    let until = filters.time("until")?;
    let (labels, unwanted) = (filters.values("label"), filters.values("label!"));
    let wanted = |image: &ImageRecord| {
        until.is_none_or(|until| image.created.is_some_and(|created| created < until))
            && (labels.is_empty() && unwanted.is_empty()
                || store.config(image.id).is_ok_and(|(config, _)| {
                    let has = |label: &String| has_label(&config.config.labels, label);
                    labels.iter().all(has) && !unwanted.iter().any(has)
                }))
    };
    let uses = containers::image_uses(global)?;
    let policy = ImagePolicy { all, uses: &uses, filter: Some(&wanted) };
    carry_out(store, &store.plan_image_prune(&policy)?, dry_run)
}

fn carry_out(store: &Store, plan: &Plan, dry_run: bool) -> Result<Removed, CliError> {
    if !dry_run {
        return Ok(store.apply(plan)?);
    }
    Ok(Removed {
        untagged: plan.untag.iter().map(|r| r.reference.familiar()).collect(),
        deleted: plan.images.iter().map(|image| image.id.to_string()).collect(),
        records: plan.records.iter().map(|record| record.key).collect(),
        bytes: plan.bytes(),
    })
}

fn report(removed: &Removed, dry_run: bool) -> Result<(), CliError> {
    let mut text = String::new();
    if !removed.untagged.is_empty() || !removed.deleted.is_empty() {
        text.push_str("Deleted Images:\n");
        removed.untagged.iter().for_each(|name| text.push_str(&format!("untagged: {name}\n")));
        removed.deleted.iter().for_each(|id| text.push_str(&format!("deleted: {id}\n")));
        text.push('\n');
    }
    if !removed.records.is_empty() {
        text.push_str("Deleted build cache objects:\n");
        removed.records.iter().for_each(|key| text.push_str(&format!("{}\n", &key.hex()[..25])));
        text.push('\n');
    }
    let total = if dry_run { "Total reclaimable space" } else { "Total reclaimed space" };
    text.push_str(&format!("{total}: {}\n", human::size(removed.bytes)));
    output::data(&text)
}

/// Asks on the terminal; without one the answer is no.
///
/// # Errors
/// Nothing can be asked.
pub fn confirmed(force: bool, question: &str) -> Result<bool, CliError> {
    if force {
        return Ok(true);
    }
    output::data(&format!("{question}Are you sure you want to continue? [y/N] "))?;
    if !std::io::stdin().is_terminal() {
        output::line("")?;
        return Ok(false);
    }
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
