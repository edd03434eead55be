//! `save`, `load`, `import`, `commit`, `export`: tars to and from the engine.

use std::io::{IsTerminal as _, Read, Write as _};
use std::path::Path;

use serde_json::Value;

use super::progress::{To, show};
use super::{Engine, images, life, text};
use crate::cli::container::{CommitArgs, ExportArgs};
use crate::cli::error::CliError;
use crate::cli::import::ImportArgs;
use crate::cli::load::LoadArgs;
use crate::cli::save::SaveArgs;
use crate::cli::{files, output};
use crate::engine::client::{Request, Response};
use crate::image::Reference;

/// Writes an answer to a file, whole or not at all, or to standard output.
fn write(mut from: Response, to: Option<&Path>) -> Result<(), CliError> {
    match to {
        Some(path) => {
            let whole = files::Replacement::create(path)?;
            std::io::copy(&mut from, &mut whole.file())?;
            whole.commit()
        }
        None => {
            let mut out = std::io::stdout().lock();
            let written = std::io::copy(&mut from, &mut out).and_then(|_| out.flush());
            written.map_err(|error| output::unread(error.into()))
        }
    }
}

fn no_terminal(to: Option<&Path>) -> Result<(), CliError> {
    match to.is_none() && std::io::stdout().is_terminal() {
        true => Err(CliError::new("cowardly refusing to save to a terminal. Use the -o flag or redirect")),
        false => Ok(()),
    }
}

/// Runs `save`.
pub fn save(args: &SaveArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    no_terminal(args.output.as_deref())?;
    let mut request = Request::get("/images/get");
    for name in &args.images {
        request = request.query("names", name);
    }
    let request = request.maybe("platform", images::platform(args.platform.as_deref())?);
    write(engine.send(request)?, args.output.as_deref())
}

/// Runs `export`.
pub fn export(args: &ExportArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    no_terminal(args.output.as_deref())?;
    let request = Request::get(life::path(&args.container, "/export")?);
    write(engine.send(request)?, args.output.as_deref())
}

/// Runs `load`.
pub fn load(args: &LoadArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    if args.input.is_none() && std::io::stdin().is_terminal() {
        return Err(CliError::new("requested load from stdin, but stdin is empty"));
    }
    if args.input.as_deref().is_some_and(crate::fs::is_directory) {
        return Err(CliError::new("a directory can't be loaded through an engine; give it as a tar archive"));
    }
    let input = files::open_input(args.input.as_deref())?;
    let quiet = args.quiet || !std::io::stdout().is_terminal();
    let request = Request::post("/images/load")
        .query("quiet", if quiet { "1" } else { "0" })
        .maybe("platform", images::platform(args.platform.as_deref())?)
        .stream(input, "application/x-tar");
    let mut response = engine.send(request)?;
    if response.header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        return show(&mut response, To::Stdout, |_| {});
    }
    write(response, None)
}

/// Runs `import`.
pub fn import(args: &ImportArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let name = args.name.as_deref().map(Reference::parse).transpose()?;
    let url = args.source.contains("://");
    let mut request = Request::post("/images/create")
        .query("fromSrc", if url { args.source.as_str() } else { "-" })
        .maybe("repo", name.as_ref().map(Reference::familiar_repository))
        .maybe("tag", name.as_ref().and_then(Reference::tag))
        .maybe("message", args.message.clone())
        .maybe("platform", args.platform.clone());
    for change in &args.change {
        request = request.query("changes", change);
    }
    if !url {
        let path = (args.source != "-").then(|| Path::new(&args.source));
        let input: Box<dyn Read + Send> = files::open_input(path)?;
        request = request.stream(input, "text/plain");
    }
    show(&mut engine.send(request)?, To::Stdout, |_| {})
}

/// Runs `commit`.
pub fn commit(args: &CommitArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let name = args.name.as_deref().filter(|name| !name.is_empty());
    let name = name.map(Reference::parse).transpose()?;
    let pauses = !args.no_pause && args.pause != Some(false);
    let mut request = Request::post("/commit")
        .query("container", &args.container)
        .maybe("repo", name.as_ref().map(Reference::familiar_repository))
        .maybe("tag", name.as_ref().and_then(Reference::tag))
        .maybe("comment", args.message.clone())
        .maybe("author", args.author.clone())
        .query("pause", if pauses { "1" } else { "0" });
    for change in &args.change {
        request = request.query("changes", change);
    }
    let made: Value = engine.document(request)?;
    output::line(text(&made["Id"]))
}
