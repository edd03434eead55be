//! Requests on the engine itself.

use super::super::info;
use super::Service;
use super::events::events;
use super::route::{not_found, words};
use super::usage::usage;
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
        ("GET", ["_ping"]) => Ok(ping(b"OK")),
        ("HEAD", ["_ping"]) => Ok(ping(b"")),
        ("GET", ["version"]) => Ok(Answer::json(info::server())),
        ("GET", ["info"]) => Ok(Answer::json(info::document(&service.global)?)),
        ("GET", ["events"]) => events(service, &request),
        ("GET", ["system", "df"]) => usage(service, &request),
        ("GET", ["plugins"]) => Ok(Answer::json(serde_json::json!([]))),
        ("GET", ["plugins", name, "json"]) => Err(ApiError::not_found(format!("plugin {name:?} not found"))),
        ("POST" | "GET", ["plugins", ..]) => Err(ApiError::not_implemented("there are no plugins in Skiff")),
        _ => Err(not_found()),
    }
}

/// What clients ask first: which version is spoken.
fn ping(body: &'static [u8]) -> Answer {
    Answer::Bytes(
        "text/plain; charset=utf-8",
        vec![
            ("builder-version", "1".to_owned()),
            ("swarm", "inactive".to_owned()),
            ("cache-control", "no-cache, no-store, must-revalidate".to_owned()),
            ("pragma", "no-cache".to_owned()),
        ],
        body.to_vec(),
    )
}
