//! What a bake may touch that its files ask for: `--allow`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::super::error::CliError;
use super::super::output;
use crate::bake::{Plan, Target, parse_bool};

/// What the command line allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    network_host: bool,
    security_insecure: bool,
    ssh: bool,
    read: Vec<String>,
    write: Vec<String>,
}

/// What is asked for beyond what is allowed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Missing {
    network_host: bool,
    security_insecure: bool,
    ssh: bool,
    read: BTreeSet<String>,
    write: BTreeSet<String>,
}

impl Allowed {
    /// Reads the flags.
    ///
    /// # Errors
    /// There is no such permission.
    pub fn parse(given: &[String]) -> Result<Self, CliError> {
        let mut all = Self::default();
        for text in given {
            let (key, value) = text.split_once('=').unwrap_or((text, ""));
            match key {
                "network.host" => all.network_host = true,
                "security.insecure" => all.security_insecure = true,
                "ssh" => all.ssh = true,
                "fs.read" => all.read.push(value.to_owned()),
                "fs.write" => all.write.push(value.to_owned()),
                "fs" => {
                    all.read.push(value.to_owned());
                    all.write.push(value.to_owned());
                }
                // Images go to the store and where the files say; there is no check of names yet.
                "image" | "image.push" | "image.load" => {}
                other => return Err(CliError::new(format!("ERROR: unknown entitlement key {other:?}"))),
            }
        }
        Ok(all)
    }

    /// What `--set` asks for itself is allowed.
    fn with_overrides(mut self, overrides: &[String]) -> Self {
        for text in overrides {
            let Some((left, value)) = text.split_once('=') else { continue };
            let key = left.trim_end_matches('+').split('.').nth(1).unwrap_or_default();
            let field =
                |name: &str| value.split(',').find_map(|part| part.strip_prefix(name)).map(str::to_owned);
            match key {
                "entitlements" => {
                    self.network_host |= value == "network.host";
                    self.security_insecure |= value == "security.insecure";
                }
                "output" if !value.starts_with("type=") && value != "-" => self.write.push(value.to_owned()),
                "output" => self.write.extend(field("dest=")),
                "cache-to" => self.write.extend(field("dest=")),
                "cache-from" => self.read.extend(field("src=")),
                "secrets" => self.read.extend(field("src=").or_else(|| field("source="))),
                "ssh" => {
                    let paths = value.split_once('=').map_or("", |(_, paths)| paths);
                    self.read.extend(paths.split(',').filter(|path| !path.is_empty()).map(str::to_owned));
                    self.ssh = true;
                }
                _ => {}
            }
        }
        self
    }
}

/// Refuses a plan that asks for more than is allowed; without a question, as on no terminal.
///
/// # Errors
/// More is asked for; what and how to allow it was said.
pub fn check(plan: &Plan, allowed: &Allowed, overrides: &[String]) -> Result<(), CliError> {
    let here = current()?;
    let allowed = allowed.clone().with_overrides(overrides);
    let mut missing = Missing::default();
    for target in plan.targets.values() {
        ask(target, &allowed, &here, &mut missing);
    }
    if missing == Missing::default() {
        return Ok(());
    }
    // As with docker, an agent alone is asked for, but not refused.
    let only_ssh = missing == Missing { ssh: true, ..Missing::default() };
    let checked = match std::env::var("BUILDX_BAKE_ENTITLEMENTS_FS") {
        Ok(text) => parse_bool(&text).ok_or_else(|| {
            CliError::new(format!("ERROR: failed to parse BUILDX_BAKE_ENTITLEMENTS_FS value {text:?}"))
        })?,
        Err(_) => true,
    };
    let files_only = !missing.network_host && !missing.security_insecure;
    if only_ssh || (files_only && !checked) {
        return Ok(());
    }
    output::talk(&message(&missing));
    Err(CliError::new("ERROR: additional privileges requested"))
}

fn message(missing: &Missing) -> String {
    let (mut says, mut flags) = (Vec::new(), Vec::new());
    let mut add = |text: String, flag: String| {
        says.push(format!(" - {text}"));
        flags.push(format!("--allow={flag}"));
    };
    if missing.network_host {
        add("Running build containers that can access host network".to_owned(), "network.host".to_owned());
    }
    if missing.security_insecure {
        let text = "Running privileged containers that can make system changes";
        add(text.to_owned(), "security.insecure".to_owned());
    }
    if missing.ssh {
        add("Forwarding default SSH agent socket".to_owned(), "ssh".to_owned());
    }
    for path in missing.read.intersection(&missing.write) {
        add(format!("Read and write access to path {path}"), format!("fs={path}"));
    }
    for path in missing.read.difference(&missing.write) {
        add(format!("Read access to path {path}"), format!("fs.read={path}"));
    }
    for path in missing.write.difference(&missing.read) {
        add(format!("Write access to path {path}"), format!("fs.write={path}"));
    }
    format!(
        "Your build is requesting privileges for following possibly insecure capabilities:\n\n{}\n\n\
         Pass {:?} to grant requested privileges.\n",
        says.join("\n"),
        flags.join(" ")
    )
}

fn ask(target: &Target, allowed: &Allowed, here: &Path, missing: &mut Missing) {
    for right in target.entitlements.iter().flatten() {
        match right.as_str() {
            "network.host" => missing.network_host |= !allowed.network_host,
            "security.insecure" => missing.security_insecure |= !allowed.security_insecure,
            _ => {}
        }
    }
    let mut writes: Vec<&str> = Vec::new();
    for out in target.outputs.iter().flatten().filter(|out| !out.dest.is_empty() && out.dest != "-") {
        writes.push(&out.dest);
    }
    let local = |cache: &&crate::bake::Cache| cache.kind == "local";
    let caches = target.cache_to.iter().flatten().filter(local);
    writes.extend(caches.filter_map(|cache| cache.fields.get("dest")).map(String::as_str));
    let mut reads: Vec<&str> = Vec::new();
    let caches = target.cache_from.iter().flatten().filter(local);
    reads.extend(caches.filter_map(|cache| cache.fields.get("src")).map(String::as_str));
    reads.extend(
        target.secrets.iter().flatten().map(|secret| secret.source.as_str()).filter(|path| !path.is_empty()),
    );
    for agent in target.ssh.iter().flatten() {
        reads.extend(agent.paths.iter().map(String::as_str));
        missing.ssh |= agent.paths.is_empty() && !allowed.ssh;
    }
    let (context, dockerfile) = super::command::places(target);
    let mut contexts = vec![context];
    if target.dockerfile_inline.is_none() {
        contexts.push(dockerfile);
    }
    contexts.extend(target.contexts.iter().flat_map(|all| all.values()).cloned());
    let is_path =
        |text: &String| !text.contains("://") && !text.starts_with("target:") && !text.starts_with("git@");
    let contexts: Vec<String> = contexts
        .iter()
        .map(|text| text.strip_prefix("cwd://").unwrap_or(text).to_owned())
        .filter(is_path)
        .collect();
    reads.extend(contexts.iter().map(String::as_str));
    missing.read.extend(reads.into_iter().filter_map(|path| outside(path, here, &allowed.read)));
    missing.write.extend(writes.into_iter().filter_map(|path| outside(path, here, &allowed.write)));
}

/// Returns where a path really leads if that is neither below the working directory nor allowed.
fn outside(path: &str, here: &Path, allowed: &[String]) -> Option<String> {
    let real = existing(&here.join(path));
    let inside = |parent: &str| {
        parent == "*" || real.starts_with(existing(&here.join(if parent.is_empty() { "." } else { parent })))
    };
    if real.starts_with(here) || allowed.iter().any(|parent| inside(parent)) {
        return None;
    }
    Some(real.display().to_string())
}

/// The longest part of a path that is there, with all links resolved.
fn existing(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => match crate::fs::canonical(&clean.join(name)) {
                Ok(real) => clean = real,
                Err(_) => return clean,
            },
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

fn current() -> Result<PathBuf, CliError> {
    let here = std::env::current_dir()?;
    Ok(crate::fs::canonical(&here)?)
}
