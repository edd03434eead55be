//! `inspect`, `image inspect`, `container inspect`, `network inspect`, `volume inspect`

use serde_json::Value;

use super::{Engine, images, life};
use crate::cli::error::CliError;
use crate::cli::inspect::{InspectArgs, Scope, Shown};
use crate::engine::client::{ClientError, Request, segment};

/// Runs the command: containers, images, networks and volumes are asked in turn.
pub fn inspect(args: &InspectArgs, engine: &Engine<'_>, scope: Scope) -> Result<(), CliError> {
    if args.remote {
        return crate::cli::inspect::run(args, engine.global, scope);
    }
    let scope = scope.narrowed(args.kind.as_deref())?;
    let mut shown = Shown::new(args.format.as_deref())?;
    for name in &args.names {
        match find(name, args, engine, scope)? {
            Ok(found) => shown.found.push(found),
            Err(text) => shown.failures.push(text),
        }
    }
    shown.print()
}

/// The documents of networks or volumes.
pub fn named(
    names: &[String],
    format: Option<&str>,
    scope: Scope,
    engine: &Engine<'_>,
) -> Result<(), CliError> {
    let mut shown = Shown::new(format)?;
    for name in names {
        match engine.client.document(request(name, scope, None, false)?) {
            Ok(found) => shown.found.push(found),
            Err(error @ ClientError::Refused { .. }) => shown.failures.push(CliError::from(error).text),
            Err(error) => return Err(error.into()),
        }
    }
    shown.print()
}

fn request(name: &str, kind: Scope, platform: Option<String>, size: bool) -> Result<Request, CliError> {
    Ok(match kind {
        Scope::Any | Scope::Container => Request::get(life::path(name, "/json")?).flag("size", size),
        Scope::Image => Request::get(images::path(name, "/json")?).maybe("platform", platform),
        Scope::Network => Request::get(format!("/networks/{}", segment(name))),
        Scope::Volume => Request::get(format!("/volumes/{}", segment(name))),
    })
}

/// A document, or why there is none.
fn find(
    name: &str,
    args: &InspectArgs,
    engine: &Engine<'_>,
    scope: Scope,
) -> Result<Result<Value, String>, CliError> {
    let every = [Scope::Container, Scope::Image, Scope::Network, Scope::Volume];
    let kinds = if scope == Scope::Any { &every[..] } else { &[scope] };
    let platform = images::platform(args.platform.as_deref())?;
    for kind in kinds {
        match engine.client.document(request(name, *kind, platform.clone(), args.size)?) {
            Ok(found) => return Ok(Ok(found)),
            // A name that can't be one of this kind is none.
            Err(ClientError::Refused { status: 404 | 400, .. }) if scope == Scope::Any => {}
            Err(error @ ClientError::Refused { .. }) => return Ok(Err(CliError::from(error).text)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Err(format!("error: no such object: {name}")))
}
