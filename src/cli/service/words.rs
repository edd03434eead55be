//! From the words of requests to those of flags.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::engine::server::Filters;

/// Reads a value that may also be null, which says nothing.
pub fn or_default<'a, D: Deserializer<'a>, T: Default + Deserialize<'a>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Returns filters as they follow the flag `--filter`.
pub fn as_flags(filters: &Filters) -> Vec<String> {
    let each = |(key, values): (&String, &Vec<String>)| {
        values.iter().map(|value| format!("{key}={value}")).collect::<Vec<_>>()
    };
    filters.iter().flat_map(each).collect()
}

/// Returns a text unless it is empty.
pub fn given(text: &String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty()).cloned()
}

/// Returns `key=value` for each pair.
pub fn pairs(map: &BTreeMap<String, String>) -> Vec<String> {
    map.iter().map(|(key, value)| format!("{key}={value}")).collect()
}
