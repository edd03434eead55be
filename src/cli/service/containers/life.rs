//! Requests that start, stop, change and remove containers.

use hyper::StatusCode;

use super::super::super::container::{self, life};
use super::super::Service;
use super::{find, unchanged};
use crate::containers::{Container, Status};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};

/// `POST /containers/ID/start`
///
/// # Errors
/// It can't be started.
pub fn start(service: &Service, id: &str) -> Result<Answer, ApiError> {
    let container = find(service, id)?;
    match container.state()?.status {
        Status::Running | Status::Restarting => return Ok(unchanged()),
        Status::Paused => {
            return Err(ApiError::conflict("cannot start a paused container, try unpause instead"));
        }
        _ => {}
    }
    begin(service, &container)?;
    Ok(Answer::done())
}

/// Starts a container.
fn begin(service: &Service, container: &Container) -> Result<(), ApiError> {
    // Who is attached gets the warnings of a start; here is nobody who could.
    let started = container::start_telling(container, None, &service.global, &mut |_| {});
    started.map(drop).map_err(|error| {
        let code = error.code;
        let error = ApiError::from(error);
        match code {
            // A command that is none is the request's fault.
            126 | 127 => ApiError::bad(error.message),
            _ if error.message.starts_with("No such container") || is_network(&error) => error,
            _ if error.message.starts_with("failed to join IPC namespace") => {
                ApiError::conflict(error.message)
            }
            _ => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.message),
        }
    })
}

/// Whether a network is missing.
fn is_network(error: &ApiError) -> bool {
    error.status == StatusCode::NOT_FOUND && error.message.contains("network ")
}

/// `POST /containers/ID/stop`
///
/// # Errors
/// A parameter is none.
pub fn stop(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let container = find(service, id)?;
    let timeout = request.query.number::<i64>("t")?;
    if !container.state()?.has_monitor() {
        return Ok(unchanged());
    }
    life::stop_one(&container, request.query.text("signal"), timeout)?;
    Ok(Answer::done())
}

/// `POST /containers/ID/restart`
///
/// # Errors
/// A parameter is none, or it can't be started.
pub fn restart(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let container = find(service, id)?;
    life::stop_one(&container, request.query.text("signal"), request.query.number::<i64>("t")?)?;
    begin(service, &container)?;
    container.event("restart", &[]);
    Ok(Answer::done())
}

/// `POST /containers/ID/kill`
///
/// # Errors
/// It does not run, or there is no such signal.
pub fn kill(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let container = find(service, id)?;
    let signal = request.query.text("signal").unwrap_or("KILL");
    life::kill_one(&container, id, signal)?;
    Ok(Answer::done())
}

/// `POST /containers/ID/pause` and `/unpause`
///
/// # Errors
/// It is in no state for it.
pub fn freeze(service: &Service, id: &str, freeze: bool) -> Result<Answer, ApiError> {
    life::freeze(&find(service, id)?, freeze)?;
    Ok(Answer::done())
}

/// `POST /containers/ID/rename`
///
/// # Errors
/// The name is none, or another container's.
pub fn rename(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let container = find(service, id)?;
    let Some(name) = request.query.text("name") else {
        return Err(ApiError::bad("Neither old nor new names may be empty"));
    };
    life::rename_one(container, name)?;
    Ok(Answer::done())
}

/// `DELETE /containers/ID`
///
/// # Errors
/// It runs, or can't be removed.
pub fn remove(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let query = &request.query;
    if query.flag("link") {
        let containers = container::all(&service.global)?;
        life::remove_link(&containers, id, &service.global)?;
        return Ok(Answer::done());
    }
    let container = find(service, id)?;
    life::remove_one(&container, query.flag("force"), query.flag("v"))?;
    Ok(Answer::done())
}
