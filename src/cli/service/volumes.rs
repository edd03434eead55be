//! Requests on volumes.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::container;
use super::super::error::CliError;
use super::super::filter::Filters;
use super::super::volume;
use super::Service;
use super::route::{not_found, words};
use super::words::{as_flags, or_default};
use crate::containers::volumes;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};

/// Answers a request.
///
/// # Errors
/// What the client is told.
pub fn answer(service: &Service, request: Request) -> Result<Answer, ApiError> {
    let (method, path) = words(&request);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (method, &path[..]) {
        ("GET", ["volumes"]) => list(service, &request),
        ("POST", ["volumes", "create"]) => create(service, request),
        ("POST", ["volumes", "prune"]) => prune(service, &request),
        ("GET", ["volumes", name]) => Ok(Answer::json(document(service, name)?)),
        ("DELETE", ["volumes", name]) => remove(service, name, request.query.flag("force")),
        ("PUT", ["volumes", _]) => {
            Err(ApiError::not_implemented("cluster volumes are not available in Skiff"))
        }
        _ => Err(not_found()),
    }
}

/// Returns what a volume is. Where a command shows null for no labels, clients expect an empty map of them.
fn document(service: &Service, name: &str) -> Result<Value, ApiError> {
    let containers = container::all(&service.global)?;
    let found = volume::document(&containers, name);
    found.ok_or_else(|| ApiError::not_found(format!("get {name}: no such volume")))
}

fn list(service: &Service, request: &Request) -> Result<Answer, ApiError> {
    let containers = container::all(&service.global)?;
    let found = volume::found(&as_flags(&request.query.filters()?), &containers)?;
    let all: Vec<Value> = found.iter().filter_map(|one| volume::document(&containers, &one.name)).collect();
    Ok(Answer::json(json!({ "Volumes": all, "Warnings": [] })))
}

/// What a new volume is to be, as clients write it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Wanted {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    driver: String,
    #[serde(deserialize_with = "or_default")]
    driver_opts: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    cluster_volume_spec: Option<Value>,
}

fn create(service: &Service, mut request: Request) -> Result<Answer, ApiError> {
    let wanted: Wanted = request.json_or_none()?.unwrap_or_default();
    if wanted.cluster_volume_spec.is_some() {
        return Err(ApiError::not_implemented("cluster volumes are not available in Skiff"));
    }
    let driver = if wanted.driver.is_empty() { "local" } else { &wanted.driver };
    let name = volume::make(&wanted.name, driver, wanted.labels, &wanted.driver_opts, &service.global)?;
    Ok(Answer::Json(StatusCode::CREATED, document(service, &name)?))
}

fn remove(service: &Service, name: &str, force: bool) -> Result<Answer, ApiError> {
    let containers = container::all(&service.global)?;
    if volumes::find(&containers, name).is_err() {
        let missing = || ApiError::not_found(format!("get {name}: no such volume"));
        return if force { Ok(Answer::done()) } else { Err(missing()) };
    }
    volumes::remove(&containers, name).map_err(|error| CliError::engine(&error))?;
    Ok(Answer::done())
}

fn prune(service: &Service, request: &Request) -> Result<Answer, ApiError> {
    let filters = Filters::parse(&as_flags(&request.query.filters()?), &["label", "label!", "all"])?;
    // Before 1.42 all went that nobody used, named or not.
    let every = !request.version.since(42) || filters.boolean("all")? == Some(true);
    let (names, freed) = volume::remove_unused(&service.global, every, &filters, false)?;
    Ok(Answer::json(json!({ "VolumesDeleted": names, "SpaceReclaimed": freed })))
}
