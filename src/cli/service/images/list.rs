//! `GET /images/json`

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::super::filter::Filters;
use super::super::super::global::Global;
use super::super::super::{containers, images};
use crate::engine::server::{Answer, Request};
use crate::engine::{ApiError, ApiVersion};
use crate::image::{ImageId, Reference};
use crate::store::{ImageRecord, Store};

/// One image with all of its names.
pub struct Listed {
    /// The image.
    pub image: ImageRecord,
    /// Its names.
    pub names: Vec<Reference>,
}

/// What is known of images besides what they are.
#[derive(Default)]
pub struct Known {
    /// Bytes that each shares with others; none where nobody asked.
    pub shared: Option<HashMap<ImageId, u64>>,
    /// How many containers use each.
    pub containers: HashMap<ImageId, usize>,
    /// Whether the manifests of indexes are told as well.
    pub manifests: bool,
}

/// Answers the request.
///
/// # Errors
/// A filter is none, or the store can't be read.
pub fn answer(global: &Global, request: &Request) -> Result<Answer, ApiError> {
    let mut given = request.query.filters()?;
    // The parameter of old clients.
    if !request.version.since(41)
        && let Some(name) = request.query.text("filter")
    {
        given.entry("reference".to_owned()).or_default().push(name.to_owned());
    }
    let filters = Filters::of(given, images::FILTERS)?;
    let store = global.store()?;
    let uses = containers::image_uses(global)?;
    let mut known = Known { manifests: request.query.flag("manifests"), ..Known::default() };
    if request.query.flag("shared-size") {
        let usage = store.usage(&uses)?;
        known.shared = Some(usage.image_list.iter().map(|entry| (entry.image.id, entry.shared)).collect());
    }
    for one in &uses {
        *known.containers.entry(one.image).or_default() += 1;
    }
    let all = listed(store, &filters)?;
    let entries = all.iter().map(|one| entry(store, one, &known, request.version));
    Ok(Answer::json(entries.collect::<Result<Value, _>>()?))
}

/// Returns images once each, with the names that filters leave.
///
/// # Errors
/// As [`images::listed`].
pub fn listed(store: &Store, filters: &Filters) -> Result<Vec<Listed>, ApiError> {
    let mut found: Vec<Listed> = Vec::new();
    let mut places: HashMap<ImageId, usize> = HashMap::new();
    for row in images::listed(store, filters)? {
        let place = *places.entry(row.image.id).or_insert(found.len());
        if place == found.len() {
            found.push(Listed { image: row.image, names: Vec::new() });
        }
        found[place].names.extend(row.name);
    }
    Ok(found)
}

/// Returns an image as lists of a version show it.
///
/// # Errors
/// The store can't be read.
pub fn entry(store: &Store, one: &Listed, known: &Known, version: ApiVersion) -> Result<Value, ApiError> {
    let image = &one.image;
    let (config, _) = store.config(image.id)?;
    let targets = super::inspect::targets(store, image)?;
    let mut tags: Vec<String> = one.names.iter().map(Reference::familiar).collect();
    let mut digests = super::inspect::digests(store, &targets)?;
    if !version.since(43) && tags.is_empty() && digests.is_empty() {
        tags.push("<none>:<none>".to_owned());
        digests.push("<none>@<none>".to_owned());
    }
    let containers = known.containers.get(&image.id).copied().unwrap_or(0);
    let mut map = Map::new();
    let labels = &config.config.labels;
    for (key, value) in [
        ("Containers", if version.since(51) { json!(containers) } else { json!(-1) }),
        ("Created", json!(image.created.map_or(0, |created| created.as_second()))),
        ("Id", json!(image.id.to_string())),
        ("Labels", if labels.is_empty() { Value::Null } else { json!(labels) }),
        ("ParentId", json!("")),
        ("RepoDigests", json!(digests)),
        ("RepoTags", json!(tags)),
        (
            "SharedSize",
            json!(known.shared.as_ref().map_or(-1, |all| all.get(&image.id).map_or(0, |n| *n as i64))),
        ),
        ("Size", json!(image.size)),
    ] {
        map.insert(key.to_owned(), value);
    }
    if !version.since(44) {
        map.insert("VirtualSize".to_owned(), json!(image.size));
    }
    if version.since(48) {
        map.insert("Descriptor".to_owned(), super::inspect::descriptor(store, targets[0])?);
    }
    if known.manifests && version.since(47) {
        map.insert("Manifests".to_owned(), super::inspect::manifests(store, targets[0])?);
    }
    Ok(Value::Object(map))
}
