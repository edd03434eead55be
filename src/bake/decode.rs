//! The attributes of a block to a [`Target`].

use std::collections::BTreeMap;

use super::entries;
use super::target::{Settings, Target};
use super::value::Value;

/// The attributes that a target has; others are ignored, as docker does.
pub const KEYS: [&str; 30] = [
    "annotations",
    "args",
    "attest",
    "cache-from",
    "cache-to",
    "call",
    "context",
    "contexts",
    "description",
    "dockerfile",
    "dockerfile-inline",
    "entitlements",
    "extra-hosts",
    "inherits",
    "labels",
    "network",
    "no-cache",
    "no-cache-filter",
    "output",
    "platforms",
    "policies",
    "policy",
    "pull",
    "resources",
    "secret",
    "shm-size",
    "ssh",
    "tags",
    "target",
    "ulimits",
];

/// Sets an attribute of a target.
///
/// # Errors
/// The value is not of the attribute's type; what is required instead.
pub fn set(target: &mut Target, key: &str, value: &Value) -> Result<(), String> {
    match key {
        "annotations" => target.annotations = strings(value)?,
        "args" => target.args = settings(value)?,
        "attest" => target.attest = entries::from_value(value)?,
        "cache-from" => target.cache_from = entries::from_value(value)?,
        "cache-to" => target.cache_to = entries::from_value(value)?,
        "call" => target.call = text(value)?,
        "context" => target.context = text(value)?,
        "contexts" => target.contexts = contexts(value)?,
        "description" => target.description = text(value)?.unwrap_or_default(),
        "dockerfile" => target.dockerfile = text(value)?,
        "dockerfile-inline" => target.dockerfile_inline = text(value)?,
        "entitlements" => target.entitlements = strings(value)?,
        "extra-hosts" => target.extra_hosts = settings(value)?,
        "inherits" => target.inherits = strings(value)?.unwrap_or_default(),
        "labels" => target.labels = settings(value)?,
        "network" => target.network = text(value)?,
        "no-cache" => target.no_cache = boolean(value)?,
        "no-cache-filter" => target.no_cache_filter = strings(value)?,
        "output" => target.outputs = entries::from_value(value)?,
        "platforms" => target.platforms = strings(value)?,
        "pull" => target.pull = boolean(value)?,
        "resources" => target.resources = settings(value)?,
        "secret" => target.secrets = entries::from_value(value)?,
        "shm-size" => target.shm_size = text(value)?,
        "ssh" => target.ssh = entries::from_value(value)?,
        "tags" => target.tags = strings(value)?,
        "target" => target.target = text(value)?,
        "ulimits" => target.ulimits = strings(value)?,
        "policy" | "policies" if !value.is_null() => {
            return Err("source policies (Rego) are not available in this version".to_owned());
        }
        _ => {}
    }
    Ok(())
}

fn text(value: &Value) -> Result<Option<String>, String> {
    match value.to_text() {
        Some(text) => Ok(Some(text.to_string())),
        None if value.is_null() => Ok(None),
        None => Err("string required".to_owned()),
    }
}

fn boolean(value: &Value) -> Result<Option<bool>, String> {
    match value.to_bool() {
        Some(value) => Ok(Some(value)),
        None if value.is_null() => Ok(None),
        None if matches!(value, Value::String(_)) => Err("a bool is required".to_owned()),
        None => Err("bool required".to_owned()),
    }
}

/// A list of text; a null in it is no text.
pub fn strings(value: &Value) -> Result<Option<Vec<String>>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let elements = value.elements().ok_or("list of string required")?;
    let one = |(index, value): (usize, &Value)| match value {
        Value::Null => Err("null value is not allowed".to_owned()),
        value => {
            value.to_text().map(|t| t.to_string()).ok_or_else(|| format!("element {index}: string required"))
        }
    };
    Ok(Some(elements.iter().enumerate().map(one).collect::<Result<_, _>>()?))
}

fn settings(value: &Value) -> Result<Option<Settings>, String> {
    let Value::Map(fields) = value else {
        return if value.is_null() { Ok(None) } else { Err("map of string required".to_owned()) };
    };
    let one = |(key, value): (&String, &Value)| match text(value) {
        Ok(value) => Ok((key.clone(), value)),
        Err(why) => Err(format!("element {key:?}: {why}")),
    };
    Ok(Some(fields.iter().map(one).collect::<Result<_, _>>()?))
}

fn contexts(value: &Value) -> Result<Option<BTreeMap<String, String>>, String> {
    let Some(fields) = settings(value)? else { return Ok(None) };
    let one = |(key, value): (String, Option<String>)| Ok((key, value.ok_or("null value is not allowed")?));
    Ok(Some(fields.into_iter().map(one).collect::<Result<_, String>>()?))
}
