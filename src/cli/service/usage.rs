//! `GET /system/df`: what takes how much place.

use serde_json::{Map, Value, json};

use super::super::filter::Filters;
use super::super::{buildx, container, containers as commands, volume};
use super::images::{Known, entry, listed, users};
use super::{Service, containers};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};

/// What may be asked for, and under which keys it is told.
const KINDS: &[(&str, &str)] =
    &[("container", "Containers"), ("image", "Images"), ("volume", "Volumes"), ("build-cache", "BuildCache")];

/// Answers the request: everything, or since 1.42 what was asked for.
///
/// # Errors
/// A kind is none, or the store can't be read.
pub fn usage(service: &Service, request: &Request) -> Result<Answer, ApiError> {
    let mut wanted: Vec<&str> = Vec::new();
    for kind in request.query.all("type").filter(|_| request.version.since(42)) {
        let known = KINDS.iter().find(|(word, _)| *word == kind);
        wanted.push(known.ok_or_else(|| ApiError::bad(format!("unknown object type: {kind}")))?.1);
    }
    let global = &service.global;
    let store = global.store()?;
    let uses = commands::image_uses(global)?;
    let usage = store.usage(&uses)?;
    let mut told = Map::new();
    for (_, key) in KINDS {
        let value = match *key {
            _ if !wanted.is_empty() && !wanted.contains(key) => Value::Null,
            "Containers" => containers::with_sizes(service)?,
            "Volumes" => volumes(service)?,
            "BuildCache" => buildx::entries(&usage).iter().map(cache).collect(),
            _ => {
                let shared = usage.image_list.iter().map(|one| (one.image.id, one.shared)).collect();
                let known = Known { shared: Some(shared), containers: users(global)?, ..Known::default() };
                told.insert("LayersSize".to_owned(), json!(usage.images.size));
                let all = listed(store, &Filters::default())?;
                let mut images = Vec::new();
                for one in &all {
                    let mut shown = entry(store, one, &known, request.version)?;
                    // Lists of old versions do not tell it.
                    shown["Containers"] = json!(known.containers.get(&one.image.id).map_or(0, Vec::len));
                    images.push(shown);
                }
                images.into()
            }
        };
        told.insert((*key).to_owned(), value);
    }
    told.entry("LayersSize").or_insert(json!(0));
    if !request.version.since(42) {
        told.insert("BuilderSize".to_owned(), json!(usage.cache.size));
    }
    Ok(Answer::json(Value::Object(told)))
}

fn volumes(service: &Service) -> Result<Value, ApiError> {
    let all = container::all(&service.global)?;
    let shown = commands::volumes(&service.global)?.into_iter().filter_map(|one| {
        let mut shown = volume::document(&all, &one.name)?;
        shown["UsageData"] = json!({ "Size": one.size, "RefCount": one.links });
        Some(shown)
    });
    Ok(shown.collect())
}

fn cache(entry: &buildx::Entry) -> Value {
    json!({
        "ID": entry.id,
        "Type": entry.kind,
        "Description": entry.description,
        "InUse": entry.in_use,
        "Shared": entry.shared,
        "Size": entry.size,
        "CreatedAt": entry.created.to_string(),
        "LastUsedAt": entry.last_used.to_string(),
        "UsageCount": entry.uses.unwrap_or(0),
    })
}
