//! Which drivers and options there are, and what is wrong with those that are given.

use super::super::config::LogConfig;
use super::super::error::ContainerError;
use super::write::{Limits, bytes};
use super::{REMOTE, attributes, syslog};

/// What all drivers that write know.
const COMMON: &[&str] =
    &["mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
/// What says which lines are whose.
const TAGS: &[&str] = &["labels", "labels-regex", "env", "env-regex", "tag"];
/// What files have.
const FILES: &[&str] = &["max-size", "max-file", "compress"];
const SYSLOG: &[&str] = &[
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];
/// Drivers that docker has and this program has not.
const OTHERS: [&str; 7] = ["gelf", "fluentd", "splunk", "awslogs", "gcplogs", "logentries", "etwlogs"];

/// Whether an option is there and true.
pub(super) fn is_set(config: &LogConfig, key: &str) -> bool {
    config.options.get(key).is_some_and(|value| boolean(value) == Some(true))
}

/// Reads what Go's strconv.ParseBool takes.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Checks a driver and its options.
///
/// # Errors
/// The driver is not available, or does not know an option or its value.
pub fn check(config: &LogConfig) -> Result<(), ContainerError> {
    let refuse = |text: String| Err(ContainerError::Refused(text));
    let driver = config.driver.as_str();
    let known: &[&[&str]] = match driver {
        "none" if config.options.is_empty() => return Ok(()),
        "none" => return refuse("invalid logging opts for driver none".to_owned()),
        "json-file" => &[COMMON, TAGS, FILES],
        "local" => &[COMMON, FILES],
        "syslog" => &[COMMON, TAGS, SYSLOG],
        "journald" => &[COMMON, TAGS],
        other if OTHERS.contains(&other) => {
            return refuse(format!("logging driver '{other}' is not available in this version"));
        }
        other => {
            return refuse(format!("error looking up logging plugin {other}: plugin \"{other}\" not found"));
        }
    };
    if let Some(key) = config.options.keys().find(|key| !known.concat().contains(&key.as_str())) {
        return refuse(match driver {
            "local" => format!("unknown log opt '{key}' for log driver local"),
            _ => format!("unknown log opt '{key}' for {driver} log driver"),
        });
    }
    common(config)?;
    for key in ["labels-regex", "env-regex"] {
        if let Some(text) = config.options.get(key) {
            attributes::pattern(key, text)?;
        }
    }
    if driver == "syslog" {
        syslog::Settings::of(config)?;
    }
    Limits::of(config).map(drop)
}

fn common(config: &LogConfig) -> Result<(), ContainerError> {
    let refuse = |text: String| Err(ContainerError::Refused(text));
    let option = |key: &str| config.options.get(key).map(String::as_str);
    let mode = option("mode").unwrap_or_default();
    if !["", "blocking", "non-blocking"].contains(&mode) {
        return refuse(format!("logger: logging mode not supported: {mode}"));
    }
    if let Some(size) = option("max-buffer-size") {
        if mode != "non-blocking" {
            return refuse(
                "logger: max-buffer-size option is only supported with 'mode=non-blocking'".to_owned(),
            );
        }
        if bytes(size).is_none() {
            return refuse(format!("error parsing option max-buffer-size: invalid size: '{size}'"));
        }
    }
    for key in ["cache-disabled", "cache-compress"] {
        if let Some(value) = option(key).filter(|value| boolean(value).is_none()) {
            return refuse(format!("invalid value for option {key}: {value}"));
        }
    }
    let cached = REMOTE.contains(&config.driver.as_str());
    match config.options.keys().find(|key| key.starts_with("cache-m") && !cached) {
        Some(key) => {
            refuse(format!("log opt '{key}' has no use for {} log driver: its files are read", config.driver))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_refuses() {
        for (driver, options, said) in [
            ("json-file", &[("max-size", "1m"), ("tag", "{{.Name}}"), ("labels", "a")][..], ""),
            ("json-file", &[("nope", "1")], "unknown log opt 'nope' for json-file log driver"),
            ("json-file", &[("mode", "x")], "logger: logging mode not supported: x"),
            ("json-file", &[("max-buffer-size", "1m")], "only supported with 'mode=non-blocking'"),
            ("local", &[("tag", "x")], "unknown log opt 'tag' for log driver local"),
            ("none", &[("tag", "x")], "invalid logging opts for driver none"),
            ("nope", &[], "error looking up logging plugin nope: plugin \"nope\" not found"),
            ("gelf", &[], "logging driver 'gelf' is not available in this version"),
            ("journald", &[("tag", "x"), ("labels-regex", "^a")], ""),
            ("journald", &[("env-regex", "(")], "invalid value for log opt 'env-regex'"),
            (
                "journald",
                &[("syslog-format", "x")],
                "unknown log opt 'syslog-format' for journald log driver",
            ),
            ("syslog", &[("cache-disabled", "x")], "invalid value for option cache-disabled: x"),
            ("syslog", &[("syslog-address", "foo")], "unsupported scheme: ''"),
            ("syslog", &[("syslog-address", "http://x")], "unsupported scheme: 'http'"),
            ("syslog", &[("syslog-address", "tcp+tls://x")], ""),
            ("syslog", &[("syslog-address", "tcp+tls://x"), ("syslog-tls-key", "k")], "go together"),
            (
                "syslog",
                &[("syslog-tls-key", "x"), ("syslog-tls-cert", "y")],
                "is only for syslog-address=tcp+tls",
            ),
            ("syslog", &[("syslog-address", "unix:///no/pe")], "stat /no/pe: no such file or directory"),
            ("syslog", &[("syslog-facility", "nope")], "invalid syslog facility"),
            ("syslog", &[("syslog-facility", "24")], "invalid syslog facility"),
            ("syslog", &[("syslog-format", "x")], "Invalid syslog format"),
            ("syslog", &[("syslog-address", "udp://[::1]"), ("syslog-facility", "7")], ""),
        ] {
            let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let checked = check(&LogConfig { driver: driver.to_owned(), options });
            match checked {
                Ok(()) => assert_eq!(said, "", "{driver}"),
                Err(error) => {
                    assert!(!said.is_empty() && error.to_string().contains(said), "{driver}: {error}")
                }
            }
        }
    }
}
