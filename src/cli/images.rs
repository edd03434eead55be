//! `images`, `image ls`

use clap::Args;
use serde_json::{Map, Value, json};

use super::error::CliError;
use super::filter::Filters;
use super::format::{Column, List};
use super::global::Global;
use super::{human, output, tree};
use crate::image::Reference;
use crate::store::{ImageRecord, RefRecord, Store};

/// List images
#[derive(Debug, Args)]
pub struct ImagesArgs {
    /// Repository, maybe with a tag; may be a glob
    #[arg(value_name = "REPOSITORY[:TAG]")]
    pub reference: Option<String>,
    /// Show all images
    #[arg(short, long)]
    pub all: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Filter output: dangling, label, before, since, reference, until
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Format output: table, table TEMPLATE, json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    pub no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    pub quiet: bool,
    /// List multi-platform images as a tree
    #[arg(long)]
    pub tree: bool,
}

impl ImagesArgs {
    /// Returns the filters; the name that was given is one more, where an engine or a tree takes it.
    pub fn filters(&self) -> Vec<String> {
        let name = self.reference.iter().map(|pattern| format!("reference={pattern}"));
        self.filter.iter().cloned().chain(name).collect()
    }

    /// Whether images are wanted that have no name.
    pub fn wants_unnamed(&self) -> bool {
        self.all || self.filter.iter().any(|filter| filter.trim_start().starts_with("dangling"))
    }

    /// Refuses flags that say how a table looks.
    ///
    /// # Errors
    /// One stands beside `--tree`.
    pub fn check_tree(&self) -> Result<(), CliError> {
        let given = [
            ("quiet", self.quiet),
            ("no-trunc", self.no_trunc),
            ("digests", self.digests),
            ("format", self.format.as_ref().is_some_and(|format| !format.is_empty())),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(CliError::new(format!("--{flag} is not yet supported with --tree"))),
            None => Ok(()),
        }
    }
}

/// The fields of a row.
pub const COLUMNS: &[Column] = &[
    Column { field: "Repository", title: "REPOSITORY" },
    Column { field: "Tag", title: "TAG" },
    Column { field: "Digest", title: "DIGEST" },
    Column { field: "ID", title: "IMAGE ID" },
    Column { field: "CreatedSince", title: "CREATED" },
    Column { field: "CreatedAt", title: "CREATED AT" },
    Column { field: "Size", title: "SIZE" },
    Column { field: "Containers", title: "CONTAINERS" },
    Column { field: "SharedSize", title: "SHARED SIZE" },
    Column { field: "UniqueSize", title: "UNIQUE SIZE" },
];

/// What docker's old format `raw` shows.
pub const RAW: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\nDIGESTimage_id: {{.ID}}\n\
    created_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";

/// What lists of images may be narrowed down by.
pub const FILTERS: &[&str] = &["dangling", "label", "label!", "before", "since", "reference", "until"];

/// One line: an image under one of its names.
pub struct Row {
    /// The image.
    pub image: ImageRecord,
    /// The name; none for an image that has none.
    pub name: Option<Reference>,
}

/// Runs the command.
pub fn run(args: &ImagesArgs, global: &Global) -> Result<(), CliError> {
    if args.tree {
        return as_tree(args, global);
    }
    let store = global.store()?;
    let filters = Filters::parse(&args.filter, FILTERS)?;
    let mut rows = listed(store, &filters)?;
    if let Some(pattern) = &args.reference {
        rows.retain(|row| row.name.as_ref().is_some_and(|name| matches(name, pattern)));
    }
    if args.quiet {
        if args.format.is_some() {
            output::talk("WARNING: Ignoring custom format, because both --format and --quiet are set.");
        }
        let ids: Vec<String> = rows.iter().map(|row| shown_id(&row.image, args.no_trunc) + "\n").collect();
        return output::data(&ids.concat());
    }
    let default: &[&str] = if args.digests {
        &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"]
    } else {
        &["Repository", "Tag", "ID", "CreatedSince", "Size"]
    };
    let rows = rows.iter().map(|row| fields(row, args.no_trunc)).collect();
    let format = args.format.clone().or_else(|| super::container::client_setting(global, "imagesFormat"));
    let format = format.map(|format| match format.trim() {
        "raw" => RAW.replace("DIGEST", if args.digests { "digest: {{.Digest}}\n" } else { "" }),
        _ => format,
    });
    output::data(&List { columns: COLUMNS, default, rows }.render(format.as_deref())?)
}

fn as_tree(args: &ImagesArgs, global: &Global) -> Result<(), CliError> {
    args.check_tree()?;
    let filters = Filters::parse(&args.filters(), FILTERS)?;
    let entries =
        super::service::images_with_manifests(global, &filters).map_err(|error| CliError::engine(&error))?;
    let images = entries.iter().filter_map(|entry| tree::Image::of(entry, args.wants_unnamed()));
    tree::show(&images.collect::<Vec<_>>())
}

/// Returns the images that filters leave, under every name that they leave, newest first.
///
/// # Errors
/// The store can't be read, or a filter's value is none.
pub fn listed(store: &Store, filters: &Filters) -> Result<Vec<Row>, CliError> {
    let mut rows = rows(store)?;
    keep(store, &mut rows, filters)?;
    Ok(rows)
}

/// Every image under every name, newest first; an image without a name is there once.
fn rows(store: &Store) -> Result<Vec<Row>, CliError> {
    let refs = store.refs()?;
    let mut rows = Vec::new();
    for image in store.images()? {
        let names: Vec<&RefRecord> = refs.iter().filter(|r| r.target == image.manifest).collect();
        if names.is_empty() {
            rows.push(Row { image, name: None });
        } else {
            rows.extend(names.iter().map(|r| Row { image: image.clone(), name: Some(r.reference.clone()) }));
        }
    }
    let mut children = std::collections::HashSet::new();
    for index in store.indexes()? {
        let names: Vec<&RefRecord> = refs.iter().filter(|r| r.target == index.digest).collect();
        if !names.is_empty() {
            children.extend(index.children.iter().copied());
        }
        for name in names {
            if let Ok(image) = store.find_image(&name.reference.to_string(), None) {
                rows.push(Row { image, name: Some(name.reference.clone()) });
            }
        }
    }
    // An image that an index names is no image without a name.
    let named: Vec<_> = rows.iter().filter(|row| row.name.is_some()).map(|row| row.image.id).collect();
    let is_child = |row: &Row| named.contains(&row.image.id) || children.contains(&row.image.manifest);
    rows.retain(|row| row.name.is_some() || !is_child(row));
    rows.sort_by(|a, b| {
        let key = |row: &Row| (row.image.created, row.image.added);
        key(b).cmp(&key(a)).then_with(|| a.name.cmp(&b.name))
    });
    rows.dedup_by(|a, b| a.name.is_none() && b.name.is_none() && a.image.id == b.image.id);
    Ok(rows)
}

fn keep(store: &Store, rows: &mut Vec<Row>, filters: &Filters) -> Result<(), CliError> {
    if let Some(dangling) = filters.boolean("dangling")? {
        rows.retain(|row| row.name.is_none() == dangling);
    }
    let patterns = filters.values("reference");
    if !patterns.is_empty() {
        rows.retain(|row| row.name.as_ref().is_some_and(|name| patterns.iter().any(|p| matches(name, p))));
    }
    for (key, after) in [("before", false), ("since", true)] {
        for value in filters.values(key) {
            let other = store.find_image(value, None)?;
            rows.retain(|row| match after {
                true => row.image.created > other.created,
                false => row.image.created < other.created,
            });
        }
    }
    if let Some(until) = filters.time("until")? {
        rows.retain(|row| row.image.created.is_some_and(|created| created < until));
    }
    let (labels, unwanted) = (filters.values("label"), filters.values("label!"));
    if !labels.is_empty() || !unwanted.is_empty() {
        let mut kept = Vec::new();
        for row in rows.drain(..) {
            let (config, _) = store.config(row.image.id)?;
            let has = |label: &String| super::filter::has_label(&config.config.labels, label);
            if labels.iter().all(has) && !unwanted.iter().any(has) {
                kept.push(row);
            }
        }
        *rows = kept;
    }
    Ok(())
}

/// Whether a glob, or the familiar name itself, fits: with the tag if the pattern has one.
fn matches(name: &Reference, pattern: &str) -> bool {
    let repository = name.familiar_repository();
    let whole = format!("{repository}:{}", name.tag().unwrap_or_default());
    let canonical = Reference::parse(pattern).ok();
    super::filter::glob(pattern, &repository)
        || super::filter::glob(pattern, &whole)
        || canonical.is_some_and(|p| {
            p.repository() == name.repository() && (p.tag().is_none() || p.tag() == name.tag())
        })
}

fn shown_id(image: &ImageRecord, whole: bool) -> String {
    if whole { image.id.to_string() } else { image.id.short() }
}

fn fields(row: &Row, whole: bool) -> Map<String, Value> {
    let none = || "<none>".to_owned();
    let fields = json!({
        "Repository": row.name.as_ref().map_or_else(none, Reference::familiar_repository),
        "Tag": row.name.as_ref().and_then(Reference::tag).map_or_else(none, str::to_owned),
        "Digest": row.image.manifest.to_string(),
        "ID": shown_id(&row.image, whole),
        "CreatedSince": human::ago(row.image.created),
        "CreatedAt": human::created_at(row.image.created),
        "Size": human::size(row.image.size),
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
    });
    match fields {
        Value::Object(map) => map,
        _ => unreachable!("an object was written"),
    }
}
