//! Requests on images: lists, documents, transfers, archives, builds.
//!
//! Each file answers what its name says, with what the command of that name does. `said` is the stream of JSON objects
//! in which long requests tell how they go on, `transfers` what moves between here and a registry in it, and
//! `credentials` what a client proves itself to registries with.

mod archive;
mod build;
mod change;
mod create;
mod credentials;
mod history;
mod import;
mod inspect;
mod list;
mod prune;
mod push;
mod registry;
mod said;
mod search;
mod transfers;

pub use list::{Known, entry, listed, users, with_manifests};

use super::Service;
use super::route::{not_found, words};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::Platform;

/// Answers a request.
///
/// # Errors
/// What the client is told.
pub fn answer(service: &Service, request: Request) -> Result<Answer, ApiError> {
    let (method, path) = words(&request);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let global = &service.global;
    match (method, &path[..]) {
        ("GET", ["images", "json"]) => list::answer(global, &request),
        ("GET", ["images", "get"]) => archive::save(global, &request, Vec::new()),
        ("POST", ["images", "create"]) => create::answer(global, request),
        ("POST", ["images", "load"]) => archive::load(global, request),
        ("GET", ["images", name @ .., "get"]) if !name.is_empty() => {
            archive::save(global, &request, vec![name.join("/")])
        }
        ("GET", ["images", name @ .., "json"]) if !name.is_empty() => {
            inspect::answer(global, &request, &name.join("/"))
        }
        ("GET", ["images", name @ .., "history"]) if !name.is_empty() => {
            history::answer(global, &request, &name.join("/"))
        }
        ("POST", ["images", name @ .., "tag"]) if !name.is_empty() => {
            change::tag(global, &request, &name.join("/"))
        }
        ("DELETE", ["images", name @ ..]) if !name.is_empty() => {
            change::remove(global, &request, &name.join("/"))
        }
        ("POST", ["images", name @ .., "push"]) if !name.is_empty() => {
            push::answer(global, &request, &name.join("/"))
        }
        ("GET", ["images", "search"]) => search::answer(global, &request),
        ("POST", ["images", "prune"]) => prune::images(global, &request),
        ("POST", ["build"]) => build::answer(global, request),
        ("POST", ["build", "cancel"]) => Err(build::buildkit("cancel")),
        ("POST", ["session" | "grpc"]) => Err(build::buildkit(path[0])),
        ("POST", ["build", "prune"]) => prune::cache(global, &request),
        ("GET", ["distribution", name @ .., "json"]) if !name.is_empty() => {
            registry::distribution(global, &request, &name.join("/"))
        }
        ("POST", ["auth"]) => registry::auth(global, request),
        _ => Err(not_found()),
    }
}

/// Reads the platform that a request names: `linux/arm64`, or the JSON that clients send since 1.48.
fn platform(request: &Request) -> Result<Option<Platform>, ApiError> {
    let Some(text) = request.query.text("platform") else { return Ok(None) };
    one_platform(text).map(Some)
}

fn one_platform(text: &str) -> Result<Platform, ApiError> {
    let whole = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) if value.is_object() => {
            let part = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let parts = [part("os"), part("architecture"), part("variant")];
            parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("/")
        }
        _ => text.to_owned(),
    };
    Platform::parse(&whole).map_err(|error| ApiError::bad(error.to_string()))
}
