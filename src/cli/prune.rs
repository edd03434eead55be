//! `system prune`, `image prune`, `builder prune`

use std::collections::HashSet;
use std::io::{BufRead as _, IsTerminal as _};

use clap::Args;

use super::buildx::CacheFilter;
use super::error::{CliError, flag_size};
use super::filter::{Filters, has_label};
use super::global::Global;
use super::{buildx, containers, human, network, output};
use crate::store::{
    CacheMountRecord, CachePolicy, CacheRecord, ImagePolicy, ImageRecord, Plan, Removed, Store,
};

/// Remove unused data
#[derive(Debug, Args)]
pub struct SystemPruneArgs {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    pub all: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Prune anonymous volumes
    #[arg(long)]
    pub volumes: bool,
    /// Provide filter values: until, label
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Remove all stopped containers
#[derive(Debug, Args)]
pub struct ContainerPruneArgs {
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Provide filter values: until, label
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Remove unused images
#[derive(Debug, Args)]
pub struct ImagePruneArgs {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    pub all: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Provide filter values: until, label
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Remove build cache
#[derive(Debug, Args)]
pub struct BuilderPruneArgs {
    /// Include records whose layers images need anyway
    #[arg(short, long)]
    pub all: bool,
    /// Do not prompt for confirmation
    #[arg(short, long)]
    pub force: bool,
    /// Provide filter values (id, type, description, inuse, mutable, shared, private, until=24h; = != ~=)
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Maximum amount of disk space allowed to keep for cache
    #[arg(long, value_name = "BYTES")]
    pub max_used_space: Option<String>,
    /// Amount of disk space always allowed to keep for cache
    #[arg(long, alias = "keep-storage", value_name = "BYTES")]
    pub reserved_space: Option<String>,
    /// Target amount of free disk space after pruning
    #[arg(long, value_name = "BYTES")]
    pub min_free_space: Option<String>,
    /// Provide a more verbose output
    #[arg(long)]
    pub verbose: bool,
    /// Name of the builder; there is one
    #[arg(long, value_name = "NAME")]
    pub builder: Option<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
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
        freed += super::volume::prune_step(global, false, &filters, args.dry_run)?;
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
        "WARNING! This will remove all build cache. "
    } else {
        "WARNING! This will remove all dangling build cache. "
    };
    let filter = CacheFilter::parse(&args.filter)?;
    let space = Space::of(args)?;
    if !args.dry_run && !confirmed(args.force, question)? {
        return Ok(());
    }
    let (shown, bytes) = cache_step(global, args.all, &filter, space, args.dry_run)?;
    if !shown.is_empty() {
        output::data(&buildx::lines(&shown, args.verbose))?;
    }
    output::line(&format!("Total:\t{}", human::size(bytes)))
}

/// Removes what a filter takes of the build cache; returns it and the bytes.
///
/// # Errors
/// The store can't be read.
pub fn cache_step(
    global: &Global,
    all: bool,
    filter: &CacheFilter,
    space: Space,
    dry_run: bool,
) -> Result<(Vec<buildx::Entry>, u64), CliError> {
    let store = global.store()?;
    let usage = store.usage(&containers::image_uses(global)?)?;
    let now = jiff::Timestamp::now();
    let entries = buildx::entries(&usage);
    let wanted: HashSet<&str> =
        entries.iter().filter(|entry| filter.takes(entry, now)).map(|entry| entry.id.as_str()).collect();
    let record = |record: &CacheRecord| wanted.contains(buildx::id_of(&record.key.hex()).as_str());
    let mount = |mount: &CacheMountRecord| wanted.contains(buildx::id_of(&mount.name).as_str());
    let policy = CachePolicy {
        all,
        keep_bytes: space.keep(usage.cache.size, || Ok(store.free_bytes()?))?,
        filter: (!filter.is_empty()).then_some(&record),
        mounts: (!filter.is_empty()).then_some(&mount),
        ..CachePolicy::default()
    };
    let plan = store.plan_builder_prune(&policy)?;
    let mut gone: HashSet<String> = plan.mounts.iter().map(|(mount, _)| buildx::id_of(&mount.name)).collect();
    let removed = carry_out(store, &plan, dry_run)?;
    gone.extend(removed.records.iter().map(|key| buildx::id_of(&key.hex())));
    let shown = entries.into_iter().filter(|entry| gone.contains(&entry.id)).collect();
    Ok((shown, removed.bytes))
}

/// How much of the cache may stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Most bytes of it.
    pub most: Option<u64>,
    /// Bytes that stay in any case.
    pub reserved: Option<u64>,
    /// Bytes that shall be free on the disk.
    pub free: Option<u64>,
}

impl Space {
    fn of(args: &BuilderPruneArgs) -> Result<Self, CliError> {
        let read =
            |flag: &str, text: &Option<String>| text.as_ref().map(|text| flag_size(flag, text)).transpose();
        Ok(Self {
            most: read("--max-used-space", &args.max_used_space)?,
            reserved: read("--reserved-space", &args.reserved_space)?,
            free: read("--min-free-space", &args.min_free_space)?,
        })
    }

    /// Returns how many bytes of `total` may stay, as BuildKit reckons; none where nothing has to.
    fn keep(self, total: u64, free: impl FnOnce() -> Result<u64, CliError>) -> Result<Option<u64>, CliError> {
        let mut keep = self.most;
        if let Some(wanted) = self.free {
            let below = total.saturating_sub(wanted.saturating_sub(free()?));
            keep = Some(keep.map_or(below, |keep| keep.min(below)));
        }
        Ok(match (keep, self.reserved) {
            (Some(keep), Some(reserved)) => Some(keep.max(reserved)),
            (keep, reserved) => keep.or(reserved),
        })
    }
}

/// Removes containers that do not run, and says so; returns the bytes.
fn container_step(global: &Global, filters: &Filters, dry_run: bool) -> Result<u64, CliError> {
    let (ids, bytes) = remove_containers(global, filters, dry_run)?;
    if !ids.is_empty() {
        output::line(&format!("Deleted Containers:\n{}\n", ids.join("\n")))?;
    }
    Ok(bytes)
}

/// Filters of the containers that are removed.
pub const CONTAINER_FILTERS: &[&str] = &["until", "label", "label!"];

/// Removes containers that do not run; returns their ids and the bytes.
///
/// # Errors
/// The containers can't be read.
pub fn remove_containers(
    global: &Global,
    filters: &Filters,
    dry_run: bool,
) -> Result<(Vec<String>, u64), CliError> {
    let (until, labels) = (filters.time("until")?, filters.values("label"));
    let unwanted = filters.values("label!");
    let (mut ids, mut bytes) = (Vec::new(), 0);
    if !dry_run {
        // What killed commands left.
        super::container::all(global)?.sweep()?;
    }
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
    Ok((ids, bytes))
}

/// Runs `container prune`.
///
/// # Errors
/// A container can't be removed, or a filter is none.
pub fn container(args: &ContainerPruneArgs, global: &Global) -> Result<(), CliError> {
    let filters = Filters::parse(&args.filter, CONTAINER_FILTERS)?;
    if !args.dry_run && !confirmed(args.force, "WARNING! This will remove all stopped containers.\n")? {
        return Ok(());
    }
    let bytes = container_step(global, &filters, args.dry_run)?;
    report(&Removed { bytes, ..Removed::default() }, args.dry_run)
}

/// Removes images that nobody uses.
///
/// # Errors
/// The store can't be read, or a filter's value is none.
pub fn image_step(global: &Global, all: bool, filters: &Filters, dry_run: bool) -> Result<Removed, CliError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_kept_as_buildkit_reckons() {
        // (most, reserved, min free), bytes that stay of 100 while 10 are free.
        for (most, reserved, free, expected) in [
            (None, None, None, None),
            (Some(30), None, None, Some(30)),
            (None, Some(40), None, Some(40)),
            (Some(30), Some(40), None, Some(40)),
            (None, None, Some(50), Some(60)),
            (None, None, Some(5), Some(100)),
            (Some(80), None, Some(50), Some(60)),
            (Some(20), Some(10), Some(50), Some(20)),
            (None, Some(70), Some(50), Some(70)),
            (None, None, Some(1000), Some(0)),
        ] {
            let space = Space { most, reserved, free };
            assert_eq!(space.keep(100, || Ok(10)).ok(), Some(expected), "{space:?}");
        }
    }
}
