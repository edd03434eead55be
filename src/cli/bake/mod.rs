//! `bake`: many builds from a file.
//!
//! The language is `crate::bake`; here are the command line, the files, what a bake may touch
//! (`entitlements`), and running. A target becomes the words of a `build` command (`command`), so
//! whatever `build` can do a target can, and means the same there.

mod args;
mod columns;
mod command;
mod entitlements;
mod list;
mod read;
mod remote;
mod reporter;
mod results;
mod run;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

pub use args::BakeArgs;
pub use results::{Results, WithTargets};

use super::error::CliError;
use super::global::Global;
use super::output;
use super::render::{self, Mode};
use crate::bake::{BakeError, Loaded, Options, json, load, parse_bool};
use crate::image::Platform;
use crate::progress::VertexId;

/// The vertex under which files are read; the builds' own come after it.
const DEFINITIONS: VertexId = 1;

/// Runs the command.
pub fn run(args: &BakeArgs, global: &Global) -> Result<ExitCode, CliError> {
    if args.print && args.list.is_some() {
        return Err(CliError::new("ERROR: --print and --list are mutually exclusive"));
    }
    let list = args.list.as_deref().map(list::parse).transpose()?;
    let mode = Mode::parse(args.progress.as_deref().unwrap_or_default())?;
    let allowed = entitlements::Allowed::parse(&args.allow)?;
    let overrides = overrides(args)?;
    let place = remote::Place::of(&args.targets)?;
    let renderer = render::choose(mode);
    let files = place.files(&read::names(&args.file), &*renderer)?;
    let options = evaluation(args, &place)?;
    let loaded = load(&files, &options).map_err(|error| broken(&error))?;
    for name in &loaded.blank {
        output::talk(&format!("WARNING: The {name:?} variable is not set. Defaulting to a blank string."));
    }
    if let Some(list) = list {
        renderer.finish();
        list::print(list, &loaded)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut plan = plan(args, &place, &loaded, &overrides, &options)?;
    place.rebase(&mut plan);
    check_platforms(&plan)?;
    if args.print {
        renderer.finish();
        output::line(&json::pretty(&plan.to_json()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let commands = command::commands(&plan, args)?;
    entitlements::check(&plan, &allowed, &overrides)?;
    run::run(commands, args, mode, renderer, global)
}

fn plan(
    args: &BakeArgs,
    place: &remote::Place,
    loaded: &Loaded,
    overrides: &[String],
    options: &Options,
) -> Result<crate::bake::Plan, CliError> {
    let mut targets = place.targets(&args.targets).to_vec();
    if targets.is_empty() {
        targets.push("default".to_owned());
    }
    let environment = |name: &str| options.environment.get(name).cloned();
    loaded.config.plan(&targets, overrides, &environment).map_err(|error| broken(&error))
}

/// Looks at the platforms of all targets, whether they are built or printed.
fn check_platforms(plan: &crate::bake::Plan) -> Result<(), CliError> {
    let all = plan.targets.values().flat_map(|target| target.platforms.iter().flatten());
    for text in all.flat_map(|list| list.split(',')).map(str::trim).filter(|text| !text.is_empty()) {
        if Platform::parse(text).is_err() {
            let why = match text.contains('/') {
                true => "cannot parse platform specifier",
                false => "unknown operating system or architecture",
            };
            return Err(CliError::new(format!("ERROR: {text:?}: {why}: invalid argument")));
        }
    }
    Ok(())
}

/// The text of an error in files: the lines, then what is wrong.
fn broken(error: &BakeError) -> CliError {
    CliError::new(format!("{}ERROR: {error}", error.excerpt()))
}

/// The shorthands are overrides of all targets.
fn overrides(args: &BakeArgs) -> Result<Vec<String>, CliError> {
    let mut all = args.set.clone();
    if args.push {
        all.push("*.push=true".to_owned());
    }
    if args.load {
        all.push("*.load=true".to_owned());
    }
    match (&args.call, args.check) {
        (None, false) => {}
        (None, true) => all.push("*.call=lint".to_owned()),
        // Of both, clap keeps the later one, which is what counts.
        (Some(call), _) => all.push(format!("*.call={call}")),
    }
    for (key, value) in [("no-cache", &args.no_cache), ("pull", &args.pull)] {
        all.extend(value.as_ref().map(|value| format!("*.{key}={value}")));
    }
    for (kind, value) in [("sbom", &args.sbom), ("provenance", &args.provenance)] {
        all.extend(value.as_ref().map(|value| format!("*.attest={}", attest(kind, value))));
    }
    Ok(all)
}

/// `--provenance=false` and the like as an attestation's fields.
fn attest(kind: &str, value: &str) -> String {
    match parse_bool(value) {
        Some(true) => format!("type={kind}"),
        Some(false) => format!("type={kind},disabled=true"),
        None => format!("type={kind},{value}"),
    }
}

/// What files are evaluated with.
fn evaluation(args: &BakeArgs, place: &remote::Place) -> Result<Options, CliError> {
    let mut variables = BTreeMap::new();
    for text in &args.var {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| CliError::new(format!("ERROR: invalid variable {text:?}: expected name=value")))?;
        variables.insert(name.to_owned(), value.to_owned());
    }
    let variable = |name: &str| std::env::var(name).ok();
    let closed = variable("BUILDX_BAKE_DISABLE_VARS_ENV_LOOKUP").and_then(|text| parse_bool(&text));
    let environment = match closed {
        Some(true) => BTreeMap::new(),
        // A value that is no text can't be a variable's.
        _ => std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(Options {
        variables,
        environment,
        dot_env: read::dot_env()?,
        read: Some(read::named),
        command_context: place.command_context(),
        local_platform: Platform::host().to_string(),
        home: variable("HOME").unwrap_or_default(),
        now: i64::try_from(now).unwrap_or(i64::MAX),
    })
}
