//! `build` through the classic `POST /build`: the context is sent as a tar, the engine's own builder does the rest.

mod context;
mod flags;

use std::process::ExitCode;

use super::progress::{To, show};
use super::{Engine, auth, text};
use crate::cli::build::BuildArgs;
use crate::cli::error::CliError;
use crate::cli::{files, output};
use crate::engine::client::Request;
use crate::image::Reference;
use context::Context;

/// Runs the command.
pub fn build(args: &BuildArgs, engine: &Engine<'_>) -> Result<ExitCode, CliError> {
    args.refused.check()?;
    flags::refuse(args)?;
    if let Some(path) = &args.iidfile {
        files::remove(path)?;
    }
    let context = Context::open(args)?;
    let request = flags::add(Request::post("/build"), args)?;
    let request = request.header("X-Registry-Config", credentials(args, &context, engine)?);
    let request = match &context {
        Context::Remote(url) => {
            let file = args.file.first().map(String::as_str);
            request.query("remote", url).maybe("dockerfile", file)
        }
        Context::Here(here) => request.query("dockerfile", &here.dockerfile),
    };
    let (mut id, mut lines) = (String::new(), String::new());
    let aux = |said: &serde_json::Value| {
        if let Some(built) = said["ID"].as_str() {
            id = built.to_owned();
        }
    };
    let to = if args.quiet { To::Nowhere } else { To::Stdout };
    let (mut response, sending) = match context {
        Context::Remote(_) => (engine.send(request)?, None),
        Context::Here(here) => {
            let (tar, sending) = here.send()?;
            match engine.client.send(request.stream(tar, "application/x-tar")) {
                Ok(response) => (response, Some(sending)),
                Err(error) => {
                    // What went wrong here explains what the engine makes of half a tar.
                    return Err(sending.failure().unwrap_or_else(|| error.into()));
                }
            }
        }
    };
    let shown = match args.quiet {
        true => kept(&mut response, &mut lines, aux),
        false => show(&mut response, to, aux),
    };
    if let Err(error) = shown {
        output::talk(lines.trim_end());
        return Err(sending.and_then(context::Sending::failure).unwrap_or(error));
    }
    if let Some(path) = &args.iidfile {
        files::write(path, id.as_bytes())?;
    }
    if args.quiet {
        output::line(if id.is_empty() { lines.trim() } else { &id })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Keeps what the builder says instead of showing it.
fn kept(
    response: &mut dyn std::io::Read,
    lines: &mut String,
    mut aux: impl FnMut(&serde_json::Value),
) -> Result<(), CliError> {
    let mut bytes = Vec::new();
    response.read_to_end(&mut bytes)?;
    for message in serde_json::Deserializer::from_slice(&bytes).into_iter::<serde_json::Value>().flatten() {
        lines.push_str(text(&message["stream"]));
    }
    show(&mut bytes.as_slice(), To::Nowhere, &mut aux)
}

/// Credentials for the registries of the images that the Dockerfile begins with, as far as it is seen here.
fn credentials(args: &BuildArgs, context: &Context, engine: &Engine<'_>) -> Result<String, CliError> {
    let mut domains = vec!["docker.io".to_owned()];
    let mut add = |name: &str| {
        if let Ok(reference) = Reference::parse(name)
            && !domains.iter().any(|domain| domain == reference.domain())
        {
            domains.push(reference.domain().to_owned());
        }
    };
    args.tag.iter().chain(&args.cache_from).for_each(|name| add(name));
    if let Context::Here(here) = context {
        for line in String::from_utf8_lossy(&here.text).lines() {
            let mut words = line.split_whitespace();
            if words.next().is_some_and(|word| word.eq_ignore_ascii_case("from"))
                && let Some(name) = words.find(|word| !word.starts_with("--"))
            {
                add(name);
            }
        }
    }
    auth::config_header(engine.global, &domains)
}
