//! What lines have with them beside their text: labels, variables and the tag that options ask for.

use std::collections::BTreeMap;

use regex::Regex;

use super::super::config::Config;
use super::super::error::ContainerError;

/// Reads a pattern of `labels-regex` or `env-regex`.
pub(super) fn pattern(key: &str, text: &str) -> Result<Regex, ContainerError> {
    Regex::new(text).map_err(|error| {
        ContainerError::Refused(format!("invalid value for log opt '{key}': error parsing regexp: {error}"))
    })
}

/// Returns the labels and variables that the options of a container's log name.
pub(super) fn extra(config: &Config) -> Result<BTreeMap<String, String>, ContainerError> {
    let option = |key: &str| config.log.options.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let mut found = BTreeMap::new();
    let labels: Vec<(&str, &str)> = config.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let env: Vec<(&str, &str)> = config.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    for (list, names, patterns) in [(labels, "labels", "labels-regex"), (env, "env", "env-regex")] {
        let named: Vec<&str> = option(names).into_iter().flat_map(|text| text.split(',')).collect();
        let pattern = option(patterns).map(|text| pattern(patterns, text)).transpose()?;
        for (key, value) in list {
            if named.contains(&key) || pattern.as_ref().is_some_and(|pattern| pattern.is_match(key)) {
                found.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    Ok(found)
}
