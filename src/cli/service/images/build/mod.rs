//! `POST /build`: a build of a context that the client sends, told as docker told builds before BuildKit.
//!
//! `flags` turns the request's parameters into the flags of `build`, `steps` is the Dockerfile as numbered steps, and
//! `told` says in their order what becomes of them. BuildKit's own protocol is not spoken.

mod flags;
mod steps;
mod told;

use std::io::Read;
use std::sync::{Arc, Mutex};

use hyper::StatusCode;
use serde_json::json;

use super::super::super::build::{Ended, Session, run_in};
use super::super::super::error::CliError;
use super::super::super::global::Global;
use super::super::super::render::Mode;
use super::credentials;
use super::said::{self, Failure, Said};
use crate::builder::Cancel;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use steps::Steps;
use told::Told;

/// Digits of an id where it is shown.
const SHORT: usize = 12;

/// Says what to do instead of speaking BuildKit's protocol.
pub fn buildkit(what: &str) -> ApiError {
    ApiError::not_implemented(format!(
        "{what}: BuildKit's protocol is not served here: set DOCKER_BUILDKIT=0, or build with `skiff build`"
    ))
}

/// Answers the request.
///
/// # Errors
/// A parameter is none or asks for BuildKit, or the build failed before it said anything.
pub fn answer(global: &Global, request: Request) -> Result<Answer, ApiError> {
    let given = flags::read(&request.query)?;
    let global = global.for_client(credentials::several(&request))?;
    let quiet = request.query.flag("q");
    let stream = (given.args.context == "-").then(|| Box::new(request.body) as Box<dyn Read + Send>);
    said::answer(move |said| {
        let cancel = Cancel::new();
        let stop = cancel.clone();
        said.on_gone(move || stop.cancel());
        let store = global.store()?.clone();
        let told = Arc::new(Told::new(store, (!quiet).then(|| said.clone())));
        let on_source = |source: &crate::parser::Source| {
            told.plan(Steps::of(source, given.args.target.as_deref()));
        };
        let session = Session {
            renderer: &*told,
            own: None,
            mode: Mode::Quiet,
            cancel: &cancel,
            begin: &|| Ok(()),
            dockerfile: None,
            context: Mutex::new(stream),
            on_source: &on_source,
            results: None,
        };
        let ended = run_in(&given.args, None, &global, &session);
        told.end();
        match ended {
            Ok(Ended::Built(built)) => {
                succeeded(said, built.id.as_deref().unwrap_or_default(), &given.names, quiet);
                Ok(())
            }
            Ok(Ended::Answered(_)) => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    })
}

fn succeeded(said: &Said, id: &str, names: &[String], quiet: bool) {
    said.object(json!({ "aux": { "ID": id } }));
    if quiet {
        return said.stream(format!("{id}\n"));
    }
    let digits = id.rsplit(':').next().unwrap_or_default();
    let short = digits.get(..SHORT).unwrap_or(digits);
    said.stream(format!(" ---> {short}\n"));
    said.stream(format!("Successfully built {short}\n"));
    for name in names {
        said.stream(format!("Successfully tagged {name}\n"));
    }
}

/// Puts a build's failure into the words that builds had before BuildKit.
fn failure(error: &CliError) -> Failure {
    let text = error.text.trim_end();
    let text = text.rfind("ERROR: ").map_or(text, |at| &text[at + "ERROR: ".len()..]);
    let text = text.strip_prefix("failed to build: ").unwrap_or(text);
    let text = text.strip_prefix("failed to solve: ").unwrap_or(text);
    // Before BuildKit, a base image that can't be had was a pull that failed.
    let text = match text.strip_prefix("failed to resolve source metadata for ") {
        Some(rest) => rest.split_once(": ").map_or(rest, |(_, why)| why),
        None => text,
    };
    let missing = text.strip_prefix("failed to read dockerfile: open ");
    if let Some(name) = missing.and_then(|rest| rest.strip_suffix(": no such file or directory")) {
        return ApiError::internal(format!("Cannot locate specified Dockerfile: {name}")).into();
    }
    if let Some((command, code)) = exit(text) {
        let message = format!("The command '{command}' returned a non-zero code: {code}");
        return Failure { error: ApiError::internal(message), code: Some(code) };
    }
    let status = match text.contains("parse error") || text.starts_with("invalid ") {
        true => StatusCode::BAD_REQUEST,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Failure { error: ApiError::new(status, text), code: None }
}

/// Returns the command that failed, and its exit code.
fn exit(text: &str) -> Option<(&str, i32)> {
    let rest = text.split_once("process \"")?.1;
    let (command, code) = rest.rsplit_once("\" did not complete successfully: exit code: ")?;
    let digits = code.find(|c: char| !c.is_ascii_digit()).unwrap_or(code.len());
    Some((command, code[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_told_as_before_buildkit() {
        let text = "------\n > [2/2] RUN false:\n------\nDockerfile:2\nERROR: failed to build: failed to solve: process \
                    \"/bin/sh -c false\" did not complete successfully: exit code: 3";
        let failed = failure(&CliError::new(text));
        assert_eq!(failed.error.message, "The command '/bin/sh -c false' returned a non-zero code: 3");
        assert_eq!(failed.code, Some(3));
        let failed = failure(&CliError::new(
            "ERROR: failed to build: failed to solve: dockerfile parse error on line 1: x",
        ));
        assert_eq!((failed.error.status.as_u16(), failed.code), (400, None));
        assert_eq!(failed.error.message, "dockerfile parse error on line 1: x");
    }
}
