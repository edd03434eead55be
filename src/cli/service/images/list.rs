//! `GET /images/json`

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::super::super::error::CliError;
use super::super::super::filter::Filters;
use super::super::super::global::Global;
use super::super::super::{containers, images};
use crate::engine::server::{Answer, Request};
use crate::engine::{ApiError, ApiVersion};
use crate::image::{ImageId, ManifestDigest, Reference};
use crate::store::{ImageRecord, Store};

/// One image with all of its names.
pub struct Listed {
    /// The image.
    pub image: ImageRecord,
    /// Its names.
    pub names: Vec<Reference>,
}

/// The ids of the containers that use an image.
pub type Users = HashMap<ImageId, Vec<String>>;

/// Returns which containers use which image.
///
/// # Errors
/// The containers can't be listed.
pub fn users(global: &Global) -> Result<Users, CliError> {
    let mut users = Users::new();
    for one in containers::image_uses(global)? {
        users.entry(one.image).or_default().push(one.container);
    }
    Ok(users)
}

/// What is known of images besides what they are.
#[derive(Default)]
pub struct Known {
    /// Bytes that each shares with others; none where nobody asked.
    pub shared: Option<HashMap<ImageId, u64>>,
    /// The containers that use each.
    pub containers: Users,
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
    let manifests = request.query.flag("manifests");
    let mut known = Known { manifests, containers: users(global)?, ..Known::default() };
    if request.query.flag("shared-size") {
        let usage = store.usage(&containers::image_uses(global)?)?;
        known.shared = Some(usage.image_list.iter().map(|entry| (entry.image.id, entry.shared)).collect());
    }
    let all = listed(store, &filters)?;
    let entries = all.iter().map(|one| entry(store, one, &known, request.version));
    Ok(Answer::json(entries.collect::<Result<Value, _>>()?))
}

/// Returns what the names that filters leave stand for, once each, with its manifests, as the newest clients see it.
///
/// # Errors
/// As [`images::listed`].
pub fn with_manifests(global: &Global, filters: &Filters) -> Result<Vec<Value>, ApiError> {
    let store = global.store()?;
    let known = Known { containers: users(global)?, ..Known::default() };
    let mut found: Vec<(ManifestDigest, Listed)> = Vec::new();
    for row in images::listed(store, filters)? {
        let target = row.name.as_ref().map(|name| store.resolve_tag(name)).transpose()?.flatten();
        let target = target.unwrap_or(row.image.manifest);
        match found.iter_mut().find(|(known, _)| *known == target) {
            Some((_, listed)) => listed.names.extend(row.name),
            None => found.push((target, Listed { image: row.image, names: row.name.into_iter().collect() })),
        }
    }
    let whole = |(target, listed): &(ManifestDigest, Listed)| {
        let mut shown = entry(store, listed, &known, ApiVersion::NEWEST)?;
        add_manifests(&mut shown, store, *target, &known)?;
        Ok(shown)
    };
    found.iter().map(whole).collect()
}

/// Adds the manifests of what a name stands for, and the size of all that is here of it.
fn add_manifests(
    shown: &mut Value,
    store: &Store,
    target: ManifestDigest,
    known: &Known,
) -> Result<(), ApiError> {
    let manifests = super::inspect::manifests(store, target, &known.containers)?;
    let here = manifests.as_array().into_iter().flatten().filter(|one| one["Available"] == true);
    shown["Size"] = json!(here.filter_map(|one| one["Size"]["Total"].as_u64()).sum::<u64>());
    shown["Manifests"] = manifests;
    Ok(())
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
    let containers = known.containers.get(&image.id).map_or(0, Vec::len);
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
    let mut shown = Value::Object(map);
    if known.manifests && version.since(47) {
        add_manifests(&mut shown, store, targets[0], known)?;
    }
    Ok(shown)
}
