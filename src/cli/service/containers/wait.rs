//! `POST /containers/ID/wait`

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::Service;
use super::find;
use crate::containers::{Container, ContainerError, Remote, Reply, Request as Ask, Waiting};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Gone, Request};

/// How often is looked whether a container that has ended is removed, at first and later.
const LOOK: Duration = Duration::from_millis(5);
const LATER: Duration = Duration::from_millis(100);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    NotRunning,
    NextExit,
    Removed,
}

/// Answers a request: the head at once, the exit code when it comes.
///
/// # Errors
/// There is no such container or condition.
pub fn wait(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let condition = match request.query.text("condition").unwrap_or("not-running") {
        "not-running" => Condition::NotRunning,
        "next-exit" => Condition::NextExit,
        "removed" => Condition::Removed,
        other => return Err(ApiError::bad(format!("invalid condition: {other:?}"))),
    };
    let container = find(service, id)?;
    // From now on no run can be missed.
    let place = match condition {
        Condition::NotRunning => None,
        _ => Some(container.line_up()?),
    };
    Ok(Answer::stream("application/json", move |output| {
        let gone = output.gone().clone();
        match code(&container, condition, place, &gone) {
            Ok(Some(code)) => output.json(&json!({ "StatusCode": code })),
            Ok(None) => Ok(()),
            Err(error) => output.json(&failed(&error)),
        }
    }))
}

fn failed(error: &ContainerError) -> Value {
    json!({ "StatusCode": -1, "Error": { "Message": error.to_string() } })
}

/// Returns the exit code; none if the client is gone.
fn code(
    container: &Container,
    condition: Condition,
    place: Option<Waiting>,
    gone: &Gone,
) -> Result<Option<i32>, ContainerError> {
    let now = container.state();
    if condition == Condition::NotRunning
        && let Ok(state) = &now
        && !state.has_monitor()
    {
        return Ok(Some(state.exit_code));
    }
    let before = now.map_or(0, |state| state.exit_code);
    let code = match ended(container, place, gone)? {
        Some(code) => code,
        // It was over before anybody could be asked.
        None => container.state().map_or(before, |state| state.exit_code),
    };
    if condition == Condition::Removed {
        removed(container, gone);
    }
    Ok((!gone.is_gone()).then_some(code))
}

/// Waits for the end of the run that is under way or comes next; none if there was none.
fn ended(
    container: &Container,
    mut place: Option<Waiting>,
    gone: &Gone,
) -> Result<Option<i32>, ContainerError> {
    loop {
        let remote = match place.take() {
            Some(place) => {
                let gone = gone.clone();
                place.ask(&Ask::Wait, move || gone.is_gone())?
            }
            None => asked(container)?,
        };
        let Some(mut remote) = remote else { return Ok(None) };
        let other = remote.try_clone()?;
        gone.act(move || other.hang_up());
        match remote.reply() {
            Ok(Some(Reply::Exit(code))) => return Ok(Some(code)),
            Ok(Some(Reply::Failed(failure))) => return Ok(Some(i32::from(failure.code))),
            _ if gone.is_gone() => return Ok(None),
            // It ended before it was asked.
            _ => match container.state() {
                Ok(state) if state.has_monitor() => {}
                Ok(state) => return Ok(Some(state.exit_code)),
                Err(_) => return Ok(None),
            },
        }
    }
}

/// Asks the monitor of a container that runs; none if it runs no more.
fn asked(container: &Container) -> Result<Option<Remote>, ContainerError> {
    loop {
        if let Some(mut remote) = Remote::connect(container)?
            && remote.ask(&Ask::Wait).is_ok()
        {
            return Ok(Some(remote));
        }
        if !container.state().is_ok_and(|state| state.has_monitor()) {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until a container is removed, or the client gone.
fn removed(container: &Container, gone: &Gone) {
    let began = Instant::now();
    while container.exists() && !gone.is_gone() {
        std::thread::sleep(if began.elapsed() < Duration::from_secs(1) { LOOK } else { LATER });
    }
}
