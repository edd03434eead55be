//! The engine's documents as the fields of rows, and filters as it takes them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{list, text};
use crate::cli::container::ports::{Group, grouped};
use crate::cli::error::CliError;
use crate::net::Protocol;

/// Returns `--filter`s as the parameter `filters`; none without any. Keys are checked where they are known.
///
/// # Errors
/// A filter has no `=`, or its key is not known.
pub fn filters(given: &[String], known: Option<&[&str]>) -> Result<Option<String>, CliError> {
    let mut all: BTreeMap<String, BTreeMap<String, bool>> = BTreeMap::new();
    for filter in given {
        let (key, value) = filter.split_once('=').ok_or_else(|| {
            CliError::new(format!("invalid filter '{filter}': bad format of filter (expected name=value)"))
        })?;
        let key = key.trim().to_lowercase();
        if known.is_some_and(|known| !known.contains(&key.as_str())) {
            return Err(CliError::new(format!("Error response from daemon: invalid filter '{key}'")));
        }
        all.entry(key).or_default().insert(value.trim().to_owned(), true);
    }
    Ok((!all.is_empty()).then(|| serde_json::json!(all).to_string()))
}

/// An id without its algorithm, whole or its first twelve digits.
pub fn id(id: &str, whole: bool) -> String {
    if whole {
        return id.to_owned();
    }
    let bare = id.strip_prefix("sha256:").unwrap_or(id);
    bare.get(..12).unwrap_or(bare).to_owned()
}

/// A moment in seconds since 1970.
pub fn seconds(value: &Value) -> Option<Timestamp> {
    value.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// Labels, or whatever else is a map of texts.
pub fn labels(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(key, value)| (key.clone(), text(value).to_owned())).collect()
}

/// The same as `key=value` with commas.
pub fn joined(value: &Value) -> String {
    let pairs: Vec<String> = labels(value).iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// A document that was written as an object.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => unreachable!("an object was written"),
    }
}

/// The column PORTS of the entries of a list.
pub fn ports(entries: &[Value]) -> String {
    let mut all = Vec::new();
    for entry in entries {
        let number = |key: &str| entry[key].as_u64().and_then(|port| u16::try_from(port).ok());
        let Some(inside) = number("PrivatePort") else { continue };
        let protocol = match text(&entry["Type"]) {
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => Protocol::Tcp,
        };
        let address = text(&entry["IP"]).parse::<IpAddr>().ok();
        let host = number("PublicPort").filter(|port| *port > 0).zip(address);
        all.push((host.map(|(port, address)| SocketAddr::new(address, port)), inside, protocol));
    }
    grouped(all).iter().map(Group::text).collect::<Vec<_>>().join(", ")
}

/// The ports of an inspected container: (inside, with protocol; host address and port), in docker's order.
pub fn bindings(container: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (inside, outside) in container["NetworkSettings"]["Ports"].as_object().into_iter().flatten() {
        for binding in list(outside) {
            let (address, port) = (text(&binding["HostIp"]), text(&binding["HostPort"]));
            let shown = if address.contains(':') {
                format!("[{address}]:{port}")
            } else {
                format!("{address}:{port}")
            };
            found.push((inside.clone(), shown));
        }
    }
    let number = |text: &str| text.split('/').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    found.sort_by(|a, b| (number(&a.0), &a.0).cmp(&(number(&b.0), &b.0)));
    found
}
