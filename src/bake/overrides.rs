//! `--set TARGET.KEY[+]=VALUE`

use std::collections::BTreeMap;

use super::config::glob;
use super::entries::{Entry, Output, from_texts, parse_bool};
use super::error::BakeError;
use super::target::Target;

/// What the command line says of an attribute.
#[derive(Debug, Clone, Default)]
struct Override {
    value: String,
    values: Vec<String>,
    append: bool,
}

/// What the command line says, by target and key.
#[derive(Debug, Clone, Default)]
pub struct Overrides(BTreeMap<String, BTreeMap<String, Override>>);

impl Overrides {
    /// Reads the flags; `environment` has the values of `args` without one.
    ///
    /// # Errors
    /// One is no override, or its pattern fits no target.
    pub fn parse(
        given: &[String],
        targets: &[Target],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, BakeError> {
        let mut all = Self::default();
        for text in given {
            let (left, value) = match text.split_once('=') {
                Some((left, value)) => (left, Some(value)),
                None => (text.as_str(), None),
            };
            let path = left.strip_suffix('+').unwrap_or(left);
            let append = left.ends_with('+');
            let Some((pattern, key)) = path.split_once('.') else {
                return Err(BakeError::plain(format!("invalid override key {path}, expected target.name")));
            };
            let (kind, name) = key.split_once('.').map_or((key, None), |(kind, name)| (kind, Some(name)));
            if value.is_none() && kind != "args" {
                return Err(BakeError::plain(format!("invalid override {text}, expected target.name=value")));
            }
            for target in matching(pattern, targets)? {
                let known = all.0.entry(target).or_default().entry(key.to_owned()).or_default();
                let needs_name = matches!(kind, "args" | "contexts");
                if needs_name && name.is_none() {
                    return Err(BakeError::plain(format!("invalid key {left}, {kind} requires name")));
                }
                if is_list(kind) {
                    known.append = append;
                    known.values.extend(value.map(str::to_owned));
                } else {
                    let from_environment = || name.and_then(environment).unwrap_or_default();
                    known.value = value.map_or_else(from_environment, str::to_owned);
                }
            }
        }
        // An argument that is in neither place is left out.
        for (key, environment_only) in given.iter().filter(|text| !text.contains('=')).filter_map(|text| {
            let (_, key) = text.split_once('.')?;
            Some((key.to_owned(), key.strip_prefix("args.")?.to_owned()))
        }) {
            if environment(&environment_only).is_none() {
                all.0.values_mut().for_each(|keys| drop(keys.remove(&key)));
            }
        }
        Ok(all)
    }

    /// Changes a target.
    ///
    /// # Errors
    /// A key is unknown or a value not of its type.
    pub fn apply(&self, name: &str, target: &mut Target) -> Result<(), BakeError> {
        for (key, given) in self.0.get(name).into_iter().flatten() {
            apply_one(target, key, given).map_err(BakeError::plain)?;
        }
        Ok(())
    }
}

fn is_list(kind: &str) -> bool {
    matches!(
        kind,
        "output"
            | "cache-to"
            | "cache-from"
            | "tags"
            | "platform"
            | "secrets"
            | "ssh"
            | "attest"
            | "entitlements"
            | "annotations"
            | "ulimits"
            | "no-cache-filter"
    )
}

fn matching(pattern: &str, targets: &[Target]) -> Result<Vec<String>, BakeError> {
    if targets.iter().any(|target| target.name == pattern) {
        return Ok(vec![pattern.to_owned()]);
    }
    let names: Vec<String> = targets
        .iter()
        .filter(|target| glob(pattern, &target.name))
        .map(|target| target.name.clone())
        .collect();
    if names.is_empty() {
        return Err(BakeError::plain(format!("could not find any target matching '{pattern}'")));
    }
    Ok(names)
}

fn apply_one(target: &mut Target, key: &str, given: &Override) -> Result<(), String> {
    let (kind, name) = key.split_once('.').map_or((key, None), |(kind, name)| (kind, Some(name.to_owned())));
    let value = given.value.clone();
    let named = |what: &str, form: &str| {
        name.clone().ok_or_else(|| format!("invalid format for {what}, expecting {what}.<{form}>=<value>"))
    };
    let boolean = || {
        parse_bool(&given.value)
            .ok_or_else(|| format!("invalid value {} for boolean key {kind}", given.value))
    };
    match kind {
        "context" => target.context = Some(value),
        "dockerfile" => target.dockerfile = Some(value),
        "args" => drop(target.args.get_or_insert_default().insert(named("args", "name")?, Some(value))),
        "contexts" => drop(target.contexts.get_or_insert_default().insert(named("contexts", "name")?, value)),
        "labels" => drop(target.labels.get_or_insert_default().insert(named("labels", "name")?, Some(value))),
        "extra-hosts" => {
            let name = named("extra-hosts", "hostname")?;
            target.extra_hosts.get_or_insert_default().insert(name, Some(value));
        }
        "tags" => set_list(&mut target.tags, given),
        "platform" => set_list(&mut target.platforms, given),
        "no-cache-filter" => set_list(&mut target.no_cache_filter, given),
        "ulimits" => set_list(&mut target.ulimits, given),
        "annotations" => target.annotations.get_or_insert_default().extend(given.values.iter().cloned()),
        "entitlements" => target.entitlements.get_or_insert_default().extend(given.values.iter().cloned()),
        "cache-from" => set_entries(&mut target.cache_from, given)?,
        "cache-to" => set_entries(&mut target.cache_to, given)?,
        "secrets" => set_entries(&mut target.secrets, given)?,
        "ssh" => set_entries(&mut target.ssh, given)?,
        "output" => set_entries(&mut target.outputs, given)?,
        "attest" => {
            let more = from_texts(&given.values)?;
            target.attest = Some(Entry::merge(target.attest.take().unwrap_or_default(), more));
        }
        "target" => target.target = Some(value),
        "call" => target.call = Some(value),
        "shm-size" => target.shm_size = Some(value),
        "network" => target.network = Some(value),
        "dockerfile-inline" => target.dockerfile_inline = Some(value),
        "resources" => {
            drop(target.resources.get_or_insert_default().insert(named("resources", "name")?, Some(value)));
        }
        "no-cache" => target.no_cache = Some(boolean()?),
        "pull" => target.pull = Some(boolean()?),
        "push" => set_push(target, boolean()?),
        "load" if boolean()? => set_load(target),
        "load" => {}
        other => return Err(format!("unknown key: {other}")),
    }
    Ok(())
}

fn set_list(values: &mut Option<Vec<String>>, given: &Override) {
    if given.append {
        values.get_or_insert_default().extend(given.values.iter().cloned());
    } else {
        *values = Some(given.values.clone());
    }
}

fn set_entries<E: Entry>(values: &mut Option<Vec<E>>, given: &Override) -> Result<(), String> {
    let new = from_texts(&given.values)?;
    *values = Some(if given.append { E::merge(values.take().unwrap_or_default(), new) } else { new });
    Ok(())
}

fn output(kind: &str) -> Output {
    Output { kind: kind.to_owned(), dest: String::new(), fields: BTreeMap::new() }
}

/// `--push`: images are pushed; without any output but docker's one is added.
fn set_push(target: &mut Target, push: bool) {
    let outputs = target.outputs.get_or_insert_default();
    if !push {
        outputs.retain(|output| output.kind != "registry");
    }
    for image in outputs.iter_mut().filter(|output| output.kind == "image") {
        image.fields.insert("push".to_owned(), push.to_string());
    }
    if push && outputs.iter().all(|output| output.kind == "docker") {
        let mut image = output("image");
        image.fields.insert("push".to_owned(), "true".to_owned());
        outputs.push(image);
    }
}

/// `--load`: the image goes to the store too, unless files are what is asked for.
fn set_load(target: &mut Target) {
    let outputs = target.outputs.get_or_insert_default();
    let stays = |output: &Output| match output.kind.as_str() {
        "docker" => output.dest.is_empty(),
        "image" | "registry" | "oci" => false,
        _ => true,
    };
    if !outputs.iter().any(stays) {
        outputs.push(output("docker"));
    }
}
