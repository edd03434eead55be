//! Requests on containers.
//!
//! A request is a file: what it means, in terms of what the commands do as well. `fields` reads JSON as Go does, and
//! `streams` carries bytes between a client and a process.

mod archive;
mod attach;
pub(super) mod create;
mod exec;
pub(super) mod fields;
mod inspect;
mod life;
mod list;
mod logs;
mod more;
mod stats;
mod streams;
mod wait;

pub use list::with_sizes;

use hyper::StatusCode;

use super::super::container;
use super::super::error::CliError;
use super::Service;
use super::route::{not_found, words};
use crate::containers::Container;
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
        ("POST", ["containers", "create"]) => create::create(service, request),
        ("GET", ["containers", "json"]) => list::list(service, &request),
        ("GET", ["containers", id, "json"]) => inspect::inspect(service, id, &request),
        ("GET", ["containers", id, "logs"]) => logs::logs(service, id, &request),
        ("POST", ["containers", id, "start"]) => life::start(service, id),
        ("POST", ["containers", "prune"]) => more::prune(service, &request),
        ("POST", ["commit"]) => more::commit(service, request),
        ("GET", ["containers", id, "top"]) => more::top(service, id, &request),
        ("GET", ["containers", id, "changes"]) => more::changes(service, id),
        ("GET", ["containers", id, "export"]) => more::export(service, id),
        ("POST", ["containers", id, "update"]) => more::update(service, id, request),
        ("GET", ["containers", id, "stats"]) => stats::stats(service, id, &request),
        ("HEAD", ["containers", id, "archive"]) => archive::stat(service, id, &request),
        ("GET", ["containers", id, "archive"]) => archive::get(service, id, &request),
        ("PUT", ["containers", id, "archive"]) => archive::put(service, id, request),
        ("DELETE", ["containers", id]) => life::remove(service, id, &request),
        // Links are named `CONTAINER/ALIAS`.
        ("DELETE", ["containers", parent, alias]) => {
            life::remove(service, &format!("{parent}/{alias}"), &request)
        }
        ("POST", ["containers", id, "stop"]) => life::stop(service, id, &request),
        ("POST", ["containers", id, "restart"]) => life::restart(service, id, &request),
        ("POST", ["containers", id, "kill"]) => life::kill(service, id, &request),
        ("POST", ["containers", id, "pause"]) => life::freeze(service, id, true),
        ("POST", ["containers", id, "unpause"]) => life::freeze(service, id, false),
        ("POST", ["containers", id, "rename"]) => life::rename(service, id, &request),
        ("POST", ["containers", id, "attach"]) => attach::attach(service, id, &request),
        ("POST", ["containers", id, "resize"]) => attach::resize(service, id, &request),
        ("POST", ["containers", id, "exec"]) => exec::create(service, id, request),
        ("POST", ["exec", id, "start"]) => exec::start(service, id, request),
        ("POST", ["exec", id, "resize"]) => exec::resize(service, id, &request),
        ("GET", ["exec", id, "json"]) => exec::inspect(service, id),
        ("POST", ["containers", id, "wait"]) => wait::wait(service, id, &request),
        _ => Err(not_found()),
    }
}

/// Finds a container by its id, its name, or the beginning of its id.
///
/// # Errors
/// There is none, or more than one.
fn find(service: &Service, text: &str) -> Result<Container, ApiError> {
    Ok(container::all(&service.global)?.find(text)?)
}

/// What can't be done is the request's fault, unless something is missing or taken.
fn wrong(error: CliError) -> ApiError {
    let error = ApiError::from(error);
    match error.status {
        StatusCode::INTERNAL_SERVER_ERROR => ApiError::bad(error.message),
        _ => error,
    }
}

/// The answer that something is so already.
fn unchanged() -> Answer {
    Answer::Empty(StatusCode::NOT_MODIFIED)
}
