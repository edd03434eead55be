//! A target as the words of a `build` command.

use std::path::Path;

use clap::{Args as _, Command, FromArgMatches as _};

use super::super::build::{BuildArgs, Call, check_inputs, parse_call};
use super::super::error::CliError;
use super::args::BakeArgs;
use crate::bake::{Entry, Plan, Settings, Target};
use crate::paths;

/// A build that is to run.
pub struct TargetBuild {
    /// The target's name.
    pub name: String,
    /// The flags of its build.
    pub args: Box<BuildArgs>,
    /// What is asked of it instead of a build.
    pub call: Option<Call>,
    /// The Dockerfile's text, in place of a file.
    pub dockerfile: Option<String>,
    /// Targets whose results it needs.
    pub needs: Vec<String>,
}

/// Flags of `build` that `resources` names.
const RESOURCES: [&str; 7] =
    ["memory", "memory-swap", "cpu-shares", "cpu-period", "cpu-quota", "cpuset-cpus", "cpuset-mems"];

/// Returns the builds of all targets.
///
/// # Errors
/// One has what no build can take.
pub fn commands(plan: &Plan, args: &BakeArgs) -> Result<Vec<TargetBuild>, CliError> {
    plan.targets.values().map(|target| command(target, args)).collect()
}

fn command(target: &Target, args: &BakeArgs) -> Result<TargetBuild, CliError> {
    let words = words(target, args)?;
    let failed = |text: String| CliError::new(format!("ERROR: target {}: {text}", target.name));
    let matches = BuildArgs::augment_args(Command::new("build").no_binary_name(true))
        .try_get_matches_from(&words)
        .map_err(|error| failed(error.to_string().trim_start_matches("error: ").trim_end().to_owned()))?;
    let mut args = BuildArgs::from_arg_matches(&matches).map_err(|error| failed(error.to_string()))?;
    // What the environment says of one build is not meant for each of many.
    args.progress = None;
    let call = parse_call(&args)?;
    check_inputs(&args)?;
    let contexts = target.contexts.iter().flat_map(|contexts| contexts.values());
    let needs = contexts.filter_map(|value| value.strip_prefix("target:")).map(str::to_owned).collect();
    Ok(TargetBuild {
        name: target.name.clone(),
        args: Box::new(args),
        call,
        dockerfile: target.dockerfile_inline.clone(),
        needs,
    })
}

/// A context on this machine: neither an address nor `scheme://`.
fn is_local(context: &str) -> bool {
    !context.contains("://") && !context.starts_with("git@")
}

/// Returns the context and the Dockerfile as they are from here.
pub fn places(target: &Target) -> (String, String) {
    let context = target.context.as_deref().unwrap_or(".");
    let (context, local) = match context.strip_prefix("cwd://") {
        Some(rest) => (paths::clean(rest), true),
        None if is_local(context) => (paths::clean(context), true),
        None => (context.to_owned(), false),
    };
    let dockerfile = target.dockerfile.as_deref().unwrap_or("Dockerfile");
    let dockerfile = match dockerfile.strip_prefix("cwd://") {
        Some(rest) => paths::clean(rest),
        None if dockerfile.contains("://") => dockerfile.to_owned(),
        None if local && !dockerfile.starts_with('/') => paths::clean(&format!("{context}/{dockerfile}")),
        None => paths::clean(dockerfile),
    };
    (context, dockerfile)
}

fn words(target: &Target, args: &BakeArgs) -> Result<Vec<String>, CliError> {
    if target.context.as_deref() == Some("-") {
        return Err(CliError::new("ERROR: context from stdin not allowed in bake"));
    }
    if target.dockerfile.as_deref() == Some("-") {
        return Err(CliError::new("ERROR: dockerfile from stdin not allowed in bake"));
    }
    let (context, dockerfile) = places(target);
    let mut words = Words::default();
    // A missing Dockerfile that was not named may be a Containerfile.
    let named = target.dockerfile.as_deref().is_some_and(|file| file != "Dockerfile");
    if target.dockerfile_inline.is_none() && (named || Path::new(&dockerfile).is_absolute()) {
        words.flag("file", dockerfile);
    }
    words.each("tag", &target.tags);
    words.flags("target", target.target.iter().filter(|stage| !stage.is_empty()).cloned());
    words.flags("platform", target.platforms.iter().filter(|p| !p.is_empty()).map(|all| all.join(",")));
    words.pairs("build-arg", &target.args);
    for (name, value) in target.contexts.iter().flatten() {
        let value = value.strip_prefix("cwd://").map_or_else(|| value.clone(), paths::clean);
        words.flag("build-context", format!("{name}={value}"));
    }
    words.pairs("label", &target.labels);
    words.switch("no-cache", target.no_cache);
    words.each("no-cache-filter", &target.no_cache_filter);
    words.switch("pull", target.pull);
    words.flags("network", target.network.clone());
    words.entries("secret", &target.secrets);
    words.entries("ssh", &target.ssh);
    words.pairs("add-host", &target.extra_hosts);
    words.each("ulimit", &target.ulimits);
    words.flags("shm-size", target.shm_size.clone());
    words.each("allow", &target.entitlements);
    words.each("annotation", &target.annotations);
    words.entries("attest", &target.attest);
    words.entries("cache-from", &target.cache_from);
    words.entries("output", &target.outputs);
    words.entries("cache-to", &target.cache_to);
    words.flags("call", target.call.clone());
    for (name, value) in target.resources.iter().flatten() {
        if !RESOURCES.contains(&name.as_str()) {
            let known = RESOURCES.join(", ");
            return Err(CliError::new(format!(
                "ERROR: target {}: unknown resource {name:?}: use {known}",
                target.name
            )));
        }
        words.flags(name, value.clone());
    }
    words.flags("jobs", args.jobs.map(|jobs| jobs.to_string()));
    let mut words = words.0;
    words.extend(["--".to_owned(), context]);
    Ok(words)
}

/// The words of a command line.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, name: &str, value: String) {
        self.0.push(format!("--{name}={value}"));
    }

    fn flags(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        values.into_iter().for_each(|value| self.flag(name, value));
    }

    fn each(&mut self, name: &str, values: &Option<Vec<String>>) {
        self.flags(name, values.iter().flatten().cloned());
    }

    fn pairs(&mut self, name: &str, values: &Option<Settings>) {
        for (key, value) in values.iter().flatten() {
            if let Some(value) = value {
                self.flag(name, format!("{key}={value}"));
            }
        }
    }

    fn switch(&mut self, name: &str, value: Option<bool>) {
        if value == Some(true) {
            self.0.push(format!("--{name}"));
        }
    }

    fn entries<E: Entry>(&mut self, name: &str, values: &Option<Vec<E>>) {
        self.flags(name, values.iter().flatten().map(Entry::to_flag));
    }
}
