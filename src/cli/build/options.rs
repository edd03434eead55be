//! Flags to [`BuildOptions`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::super::error::CliError;
use super::super::global::Global;
use super::args::BuildArgs;
use super::{contexts, proxies, resources, vcs};
use crate::builder::context::Context;
use crate::builder::{BuildOptions, Entitlement, NetworkMode, Secret, SshAgent, is_true};
use crate::image::Reference;
use crate::parser::{ParseError, Source};
use crate::store::Store;

/// Returns the names that the image gets.
pub fn tags(args: &BuildArgs) -> Result<Vec<Reference>, CliError> {
    args.tag
        .iter()
        .map(|tag| {
            let parsed = Reference::parse(tag).map(Reference::or_latest);
            parsed.map_err(|e| CliError::new(format!("ERROR: failed to build: invalid tag {tag:?}: {e}")))
        })
        .collect()
}

/// Returns the Dockerfile as text.
pub fn source(context: &Context) -> Result<Source, ParseError> {
    Source::from_bytes(context.dockerfile_name.clone(), &context.dockerfile)
}

/// What has been read from the flags already, since the context needs it.
pub struct Given {
    /// `--tag`
    pub tags: Vec<Reference>,
    /// `--build-arg`
    pub build_args: BTreeMap<String, String>,
    /// `--secret`
    pub secrets: BTreeMap<String, Secret>,
    /// `--ssh`
    pub ssh: BTreeMap<String, SshAgent>,
}

/// Puts everything together.
pub fn build_options(
    args: &BuildArgs,
    source: Source,
    context: &Context,
    given: Given,
    store: &Store,
) -> Result<BuildOptions, CliError> {
    let mut options = BuildOptions::new(source, Arc::clone(&context.tree));
    options.scope = scope(args);
    options.context_time = context.time;
    options.tags = given.tags;
    options.secrets = given.secrets;
    options.ssh = given.ssh;
    options.target.clone_from(&args.target);
    options.build_args = given.build_args;
    options.labels = vcs_labels(args);
    options.labels.extend(labels(args)?);
    options.no_cache = args.no_cache;
    options.no_cache_filter.clone_from(&args.no_cache_filter);
    if args.no_cache && !args.no_cache_filter.is_empty() {
        return Err(CliError::new(
            "ERROR: failed to build: --no-cache and --no-cache-filter cannot currently be used together",
        ));
    }
    options.pull = args.pull;
    let typed: Vec<String> = args.platform.iter().cloned().chain(args.habits.platform()).collect();
    match &super::platforms::platforms(&typed)?[..] {
        [] => {}
        [only] => options.platform = Some(only.clone()),
        several => options.platforms = several.to_vec(),
    }
    options.network = network(args)?;
    // Steps have the host's network or none, so its loopback is the way to it.
    options.add_hosts = args
        .add_host
        .iter()
        .map(|text| {
            let host = super::super::hosts::add_host(&text.replace("host-gateway", "127.0.0.1"));
            host.map_err(|error| CliError::new(format!("ERROR: failed to build: {}", error.text)))
        })
        .collect::<Result<_, _>>()?;
    options.ulimits = args.ulimit.iter().map(|text| resources::ulimit(text)).collect::<Result<_, _>>()?;
    options.shm_size = args.shm_size.as_deref().map(resources::shm_size).transpose()?;
    options.cgroup_parent.clone_from(&args.cgroup_parent);
    options.limits = resources::limits(args)?;
    options.log_limits = resources::log_limits();
    options.extras = args.habits.extras()?;
    options.entitlements = entitlements(&args.allow, options.network)?;
    options.named_contexts = contexts::named(&args.build_context, store)?;
    options.ignore_syntax = args.ignore_syntax;
    options.reproducible = args.reproducible;
    options.jobs = args.jobs;
    Ok(options)
}

/// Tells builds of different contexts and files apart, for explanations.
fn scope(args: &BuildArgs) -> String {
    let context = crate::fs::canonical(Path::new(&args.context));
    let context = context.map_or_else(|_| args.context.clone(), |path| path.display().to_string());
    format!("{context}\n{}", args.file.join("\n"))
}

/// `K=V`, or `K` with its value from the environment, dropped when unset there.
pub fn build_args(args: &BuildArgs, global: &Global) -> Result<BTreeMap<String, String>, CliError> {
    let mut found = BTreeMap::new();
    for text in args.habits.build_args()?.iter().chain(&args.build_arg) {
        match text.split_once('=') {
            Some(("", _)) => return Err(empty_key(text)),
            Some((key, value)) => {
                found.insert(key.to_owned(), value.to_owned());
            }
            None => {
                if let Ok(value) = std::env::var(text) {
                    found.insert(text.clone(), value);
                }
            }
        }
    }
    args.habits.outputs.set_epoch(&mut found);
    if !found.contains_key("SOURCE_DATE_EPOCH")
        && let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH")
        && !epoch.is_empty()
    {
        found.insert("SOURCE_DATE_EPOCH".to_owned(), epoch);
    }
    // A client of the service has sent its own.
    if global.client().is_some() {
        return Ok(found);
    }
    let config = proxies::client_config(global);
    proxies::add(&mut found, args.habits.http_proxy, config.as_ref(), |name| std::env::var(name).ok());
    Ok(found)
}

fn empty_key(text: &str) -> CliError {
    CliError::new(format!("ERROR: invalid key-value pair {text:?}: empty key"))
}

fn labels(args: &BuildArgs) -> Result<Vec<(String, String)>, CliError> {
    let pair = |text: &String| match text.split_once('=') {
        Some(("", _)) => Err(empty_key(text)),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Ok((text.clone(), String::new())),
    };
    args.label.iter().map(pair).collect()
}

/// Labels of the repository around a local context, if `BUILDX_GIT_LABELS` asks for them.
fn vcs_labels(args: &BuildArgs) -> Vec<(String, String)> {
    let variable = |name: &str| std::env::var(name).ok();
    let context = Path::new(&args.context);
    if !vcs::wants_labels(variable("BUILDX_GIT_LABELS").as_deref()) || !crate::fs::is_directory(context) {
        return Vec::new();
    }
    let dirty = variable("BUILDX_GIT_CHECK_DIRTY").is_some_and(|text| is_true(&text));
    vcs::look(context, args.file.first().map(Path::new), dirty).labels().collect()
}

/// Which network steps have; that one of a name is there is checked with [`super::network::networks`].
fn network(args: &BuildArgs) -> Result<NetworkMode, CliError> {
    match args.network.as_deref() {
        None | Some("" | "default") => Ok(NetworkMode::Default),
        Some("none") => Ok(NetworkMode::None),
        Some("host") => Ok(NetworkMode::Host),
        Some(_) => Ok(NetworkMode::Bridge),
    }
}

/// What `--allow` gives; `--network host` on the command line is a permission in itself.
fn entitlements(allowed: &[String], network: NetworkMode) -> Result<BTreeSet<Entitlement>, CliError> {
    let mut found = BTreeSet::new();
    if network == NetworkMode::Host {
        found.insert(Entitlement::NetworkHost);
    }
    for text in allowed {
        found.insert(match text.as_str() {
            // It is about an output, not about steps.
            "buildx.local.delete" => continue,
            "network.host" => Entitlement::NetworkHost,
            "security.insecure" => Entitlement::SecurityInsecure,
            other if other == "device" || other.starts_with("device=") => {
                return Err(CliError::new(format!(
                    "ERROR: failed to build: entitlement {other} is not available in this version: \
                     --device shows a device in every RUN"
                )));
            }
            other => {
                return Err(CliError::new(format!("ERROR: failed to build: unknown entitlement {other}")));
            }
        });
    }
    Ok(found)
}
