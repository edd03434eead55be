//! `pull` and `push`

use super::progress::show;
use super::{Engine, auth, images, text};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::pull::PullArgs;
use crate::cli::push::PushArgs;
use crate::engine::client::Request;
use crate::image::Reference;

pub use super::progress::To;

/// Runs `pull`.
pub fn pull(args: &PullArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let reference = Reference::parse(&args.name)?;
    let platform = args.platform.as_deref();
    if args.all_tags {
        if reference.tag().is_some() || reference.digest().is_some() {
            return Err(CliError::new("tag can't be used with --all-tags/-a"));
        }
        fetch(engine, &reference, "", platform, if args.quiet { To::Nowhere } else { To::Stdout })?;
        return output::line(&reference.repository());
    }
    let whole = reference.clone().or_latest();
    if reference != whole && !args.quiet {
        output::line("Using default tag: latest")?;
    }
    pull_one(engine, &whole, platform, args.quiet, To::Stdout)?;
    output::line(&whole.to_string())
}

/// Pulls one image.
///
/// # Errors
/// The engine can't.
pub fn pull_one(
    engine: &Engine<'_>,
    reference: &Reference,
    platform: Option<&str>,
    quiet: bool,
    to: To,
) -> Result<(), CliError> {
    let tag = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    fetch(engine, reference, &tag, platform, if quiet { To::Nowhere } else { to })
}

fn fetch(
    engine: &Engine<'_>,
    reference: &Reference,
    tag: &str,
    platform: Option<&str>,
    to: To,
) -> Result<(), CliError> {
    let request = Request::post("/images/create")
        .query("fromImage", reference.familiar_repository())
        .query("tag", tag)
        .maybe("platform", platform.filter(|text| !text.is_empty()))
        .header("X-Registry-Auth", auth::header(engine.global, reference)?);
    show(&mut engine.send(request)?, to, |_| {})
}

/// Runs `push`.
pub fn push(args: &PushArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let reference = Reference::parse(&args.name)?;
    if reference.digest().is_some() {
        return Err(CliError::new("cannot push a digest reference"));
    }
    if args.compression.is_some() {
        return Err(CliError::new("--compression is not available through an engine"));
    }
    let tag = match (args.all_tags, reference.tag()) {
        (true, Some(_)) => return Err(CliError::new("tag can't be used with --all-tags/-a")),
        (true, None) => None,
        (false, tag) => {
            if tag.is_none() && !args.quiet {
                output::line("Using default tag: latest")?;
            }
            Some(tag.unwrap_or("latest").to_owned())
        }
    };
    let mut path = images::path(&reference.familiar_repository(), "/push")?;
    // Registries that are hosts with a port stay one part of the path.
    path = path.replace("//", "/");
    let request = Request::post(path)
        .maybe("tag", tag)
        .maybe("platform", images::platform(args.platform.as_deref())?)
        .header("X-Registry-Auth", auth::header(engine.global, &reference)?);
    let to = if args.quiet { To::Nowhere } else { To::Stdout };
    let mut notes = Vec::new();
    show(&mut engine.send(request)?, to, |aux| {
        if aux["manifestPushedInsteadOfIndex"] == true {
            notes.push(text(&aux["selectedManifest"]["digest"]).to_owned());
        }
    })?;
    for digest in notes {
        output::talk(&format!("Not all multiplatform-content is present and only {digest} was pushed"));
    }
    if args.quiet {
        return output::line(&reference.or_latest().to_string());
    }
    Ok(())
}
