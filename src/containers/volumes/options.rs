//! The options of a volume: docker's `type`, `device`, `o` and `size`.

use std::collections::BTreeMap;

use crate::containers::error::ContainerError;

/// What the driver knows.
const KNOWN: [&str; 4] = ["type", "device", "o", "size"];

/// Checks the options of a volume as docker's local driver does when it makes one; whether they can be mounted is seen
/// by whoever uses it.
///
/// # Errors
/// One is not known, or lacks another.
pub fn check_options(name: &str, options: &BTreeMap<String, String>) -> Result<(), ContainerError> {
    wrong(options).map_or(Ok(()), |why| Err(ContainerError::Refused(format!("create {name}: {why}"))))
}

fn wrong(options: &BTreeMap<String, String>) -> Option<String> {
    if let Some(key) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return Some(format!("invalid option: {key:?}"));
    }
    let word = |key: &str| options.get(key).map_or("", String::as_str);
    if word("type") == "cifs" && has_port(word("device")) {
        return Some("port not allowed in CIFS device URL, include 'port' in 'o='".to_owned());
    }
    match options.get("size").map(|text| (text, is_size(text))) {
        Some((text, None)) => return Some(format!("invalid size: '{text}'")),
        Some((_, Some(true))) => return Some("quota size requested but no quota support".to_owned()),
        _ => {}
    }
    let needed: [(&str, &[&str]); 3] =
        [("device", &["type"]), ("type", &["device"]), ("o", &["device", "type"])];
    let given = needed.iter().filter(|(key, _)| options.contains_key(*key));
    let missing = given.flat_map(|(_, others)| *others).find(|other| !options.contains_key(**other));
    missing.map(|key| format!("missing required option: {key:?}"))
}

/// Whether `//HOST:PORT/share` names a port.
fn has_port(device: &str) -> bool {
    let host = super::network::host(device).unwrap_or_default();
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty())
}

/// Whether a text is a size, and if so, whether it is more than none.
fn is_size(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = lower[digits.len()..].trim_start();
    let units =
        ["", "b", "k", "kb", "kib", "m", "mb", "mib", "g", "gb", "gib", "t", "tb", "tib", "p", "pb", "pib"];
    let number: f64 = digits.parse().ok().filter(|number| *number >= 0.0)?;
    units.contains(&unit).then_some(number > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked_as_docker_checks_them() {
        for (options, expected) in [
            (&[][..], None),
            (&[("type", "tmpfs"), ("device", "tmpfs")], None),
            (&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "odd=1")], None),
            (&[("type", ""), ("device", "")], None),
            (&[("size", "0")], None),
            (&[("type", "tmpfs")], Some("missing required option: \"device\"")),
            (&[("o", "size=1m")], Some("missing required option: \"device\"")),
            (&[("device", "/x")], Some("missing required option: \"type\"")),
            (&[("device", "/x"), ("o", "bind")], Some("missing required option: \"type\"")),
            (&[("x", "y")], Some("invalid option: \"x\"")),
            (&[("size", "10m")], Some("quota size requested but no quota support")),
            (&[("size", "q")], Some("invalid size: 'q'")),
            (&[("type", "cifs"), ("device", "//host/share")], None),
            (&[("type", "cifs"), ("device", "//[::1]/share")], None),
            (
                &[("type", "cifs"), ("device", "//[::1]:445/share")],
                Some("port not allowed in CIFS device URL"),
            ),
            (&[("type", "cifs"), ("device", "//host:80/share")], Some("port not allowed in CIFS device URL")),
        ] {
            let all = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let said = wrong(&all);
            let as_expected = match (&said, expected) {
                (Some(said), Some(part)) => said.starts_with(part),
                (said, expected) => said.is_none() && expected.is_none(),
            };
            assert!(as_expected, "{options:?}: {said:?}, not {expected:?}");
        }
    }
}
