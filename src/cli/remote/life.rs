//! `stop`, `restart`, `kill`, `pause`, `unpause`, `wait`, `rm`, `rename`, `update`, and `start` without attaching.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Engine, list, text};
use crate::cli::container::{KillArgs, NamesArgs, RenameArgs, RmArgs, StopArgs, UpdateArgs, each};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::engine::client::{Request, segment};

/// The path of something of a container.
pub fn path(name: &str, what: &str) -> Result<String, CliError> {
    let name = name.trim_start_matches('/');
    if name.is_empty() {
        return Err(CliError::new("Error response from daemon: page not found"));
    }
    Ok(format!("/containers/{}{what}", segment(name).replace('/', "%2F")))
}

/// Does the same to several containers, and says which were done.
fn all(
    names: &[String],
    engine: &Engine<'_>,
    request: impl Fn(&str) -> Result<Request, CliError>,
) -> Result<ExitCode, CliError> {
    each(names, |name| engine.send(request(name)?)?.whole().map(drop).map_err(CliError::from))
}

/// Runs `stop`.
pub fn stop(args: &StopArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    stop_or_restart("/stop", args, engine)
}

/// Runs `restart`.
pub fn restart(args: &StopArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    stop_or_restart("/restart", args, engine)
}

fn stop_or_restart(what: &str, args: &StopArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    let signal = args.signal.clone().filter(|signal| !signal.is_empty());
    all(&args.names, engine, |name| {
        let request = Request::post(path(name, what)?).maybe("t", args.timeout.map(|n| n.to_string()));
        Ok(request.maybe("signal", signal.clone()))
    })
}

/// Runs `kill`.
pub fn kill(args: &KillArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    all(&args.names, engine, |name| Ok(Request::post(path(name, "/kill")?).query("signal", &args.signal)))
}

/// Runs `pause` or `unpause`.
pub fn named(what: &str, args: &NamesArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    all(&args.names, engine, |name| Ok(Request::post(path(name, what)?)))
}

/// Runs `start` without attaching.
pub fn start(names: &[String], engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    let mut failed = Vec::new();
    let code = each(names, |name| {
        let started = Request::post(path(name, "/start")?);
        engine.send(started).map(drop).inspect_err(|_| failed.push(name.to_owned()))
    })?;
    if !failed.is_empty() {
        output::talk(&format!("Error: failed to start containers: {}", failed.join(", ")));
    }
    Ok(code)
}

/// Runs `wait`: it prints the code of each container.
pub fn wait(args: &NamesArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    let mut failures = Vec::new();
    for name in &args.names {
        match path(name, "/wait").and_then(|path| engine.document(Request::post(path))) {
            Ok(ended) => output::line(&ended["StatusCode"].as_i64().unwrap_or(0).to_string())?,
            Err(error) => failures.push(error.text),
        }
    }
    failures.iter().for_each(|text| output::talk(text));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Runs `rm`; with `-f` one that is not there is no failure.
pub fn rm(args: &RmArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    let mut failures = Vec::new();
    for name in &args.names {
        let request = Request::delete(path(name, "")?)
            .flag("v", args.volumes)
            .flag("link", args.link)
            .flag("force", args.force);
        match engine.client.send(request) {
            Ok(mut response) => {
                response.whole()?;
                output::line(name)?;
            }
            Err(error) if args.force && error.status() == Some(404) => {}
            Err(error) => failures.push(CliError::from(error).text),
        }
    }
    failures.iter().for_each(|text| output::talk(text));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Runs `rename`.
pub fn rename(args: &RenameArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    let request = Request::post(path(&args.container, "/rename")?).query("name", &args.name);
    let mut response = engine.send(request).map_err(|error| CliError {
        text: format!("{}\nError: failed to rename container named {}", error.text, args.container),
        ..error
    })?;
    response.whole()?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `update`.
pub fn update(args: &UpdateArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    let body = changes(args)?;
    let mut warnings = Vec::new();
    let code = each(&args.names, |name| {
        let said = engine.document(Request::post(path(name, "/update")?).json(&body))?;
        warnings.extend(list(&said["Warnings"]).iter().map(|one| text(one).to_owned()));
        Ok(())
    })?;
    warnings.iter().for_each(|warning| output::talk(warning));
    Ok(code)
}

fn changes(args: &UpdateArgs) -> Result<Value, CliError> {
    let mut body = super::create::resources(&args.resources())?;
    if let Some(policy) = &args.restart {
        let (name, count) = crate::cli::run::life::policy(policy)?.shown();
        body["RestartPolicy"] = json!({ "Name": name, "MaximumRetryCount": count });
    }
    if body.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(CliError::new("you must provide one or more flags when using this command"));
    }
    Ok(body)
}
