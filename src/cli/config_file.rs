//! `config.json` of the program itself: how registries are reached, and where containers' output goes.
//!
//! Two files are read, `/etc/skiff/config.json` and then the user's
//! `$XDG_CONFIG_HOME/skiff/config.json` (`~/.config/skiff/config.json`); a key
//! in the second replaces the same key of the first. The keys are those of
//! docker's `daemon.json`:
//!
//! ```text
//! {"registry-mirrors": ["https://mirror.example"],
//!  "insecure-registries": ["registry.example:5000", "10.0.0.0/8"],
//!  "proxies": {"http-proxy": "..", "https-proxy": "..", "no-proxy": ".."},
//!  "max-download-attempts": 5, "stall-timeout": "60s",
//!  "log-driver": "local", "log-opts": {"max-size": "10m"},
//!  "labels": ["site=a"]}
//! ```
//!
//! `stall-timeout` is ours: a transfer in which nothing moves for so long has failed.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::CliError;
use crate::containers::LogConfig;
use crate::registry::hosts::{HostsConfig, InsecureHost, Proxies, check_mirror};

/// Largest file that is read.
const MAX_FILE: u64 = 16 << 20;
/// The keys that mean something.
const KEYS: [&str; 8] = [
    "registry-mirrors",
    "insecure-registries",
    "proxies",
    "max-download-attempts",
    "stall-timeout",
    "log-driver",
    "log-opts",
    "labels",
];

/// Returns a variable that is set and not empty, as a path.
pub fn folder(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Returns the folder of the user's configuration of all programs.
pub fn user_folder() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))
}

/// Returns what the files and the environment say of registries.
///
/// # Errors
/// A file is no JSON, or holds something that is not known.
pub fn hosts() -> Result<HostsConfig, CliError> {
    let all = both()?;
    let mut config = HostsConfig { certificates: certificates(), ..HostsConfig::default() };
    for mirror in texts(&all, "registry-mirrors")? {
        check_mirror(&mirror).map_err(|error| CliError::new(error.to_string()))?;
        config.mirrors.push(mirror);
    }
    for entry in texts(&all, "insecure-registries")? {
        let entry = InsecureHost::parse(&entry).map_err(|error| CliError::new(error.to_string()))?;
        config.insecure.push(entry);
    }
    config.proxies = proxies(&all)?;
    Ok(config)
}

/// Returns the mirrors and the insecure registries as `info` shows them, docker's own entries of the latter first.
///
/// # Errors
/// A file is no JSON, or holds something that is not known.
pub fn shown() -> Result<(Vec<String>, Vec<String>), CliError> {
    let all = both()?;
    let mut insecure = ["::1/128", "127.0.0.0/8"].map(str::to_owned).to_vec();
    insecure.extend(texts(&all, "insecure-registries")?);
    Ok((texts(&all, "registry-mirrors")?, insecure))
}

/// How patient transfers are; none where the files do not say it.
pub struct Patience {
    /// How often something is tried in all.
    pub attempts: Option<u32>,
    /// How long nothing may move.
    pub stall: Option<Duration>,
}

/// Returns what the files say of failures.
///
/// # Errors
/// A file is no JSON, or holds something that is not known.
pub fn patience() -> Result<Patience, CliError> {
    let all = both()?;
    let wrong = |key: &str, what: &str| CliError::new(format!("config.json: {key} is no {what}"));
    let attempts = match all.get("max-download-attempts") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            let number = number.filter(|number| *number > 0);
            Some(number.ok_or_else(|| wrong("max-download-attempts", "positive number"))?)
        }
    };
    let stall = match all.get("stall-timeout") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let nanos = value.as_str().and_then(|text| crate::parser::parse_duration(text).ok());
            let nanos = nanos.and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0);
            Some(nanos.map(Duration::from_nanos).ok_or_else(|| wrong("stall-timeout", "duration"))?)
        }
    };
    Ok(Patience { attempts, stall })
}

/// Returns where the output of containers goes that do not say it themselves.
///
/// # Errors
/// A file is no JSON, or holds something that is not known.
pub fn log() -> Result<LogConfig, CliError> {
    let all = both()?;
    let mut config = LogConfig::default();
    match all.get("log-driver") {
        None | Some(Value::Null) => {}
        Some(Value::String(driver)) => config.driver.clone_from(driver),
        Some(_) => return Err(CliError::new("config.json: log-driver is no text")),
    }
    let wrong = || CliError::new("config.json: log-opts is no object of texts");
    let options = match all.get("log-opts") {
        None | Some(Value::Null) => return Ok(config),
        Some(value) => value.as_object().ok_or_else(wrong)?,
    };
    for (key, value) in options {
        config.options.insert(key.clone(), value.as_str().ok_or_else(wrong)?.to_owned());
    }
    Ok(config)
}

/// What the flags of a service say, instead of the files.
static OVERRIDES: OnceLock<Map<String, Value>> = OnceLock::new();

/// Lets something go before what the files say, for the rest of this process.
pub fn override_with(keys: Map<String, Value>) {
    let _ = OVERRIDES.set(keys);
}

/// Returns the labels of the engine.
///
/// # Errors
/// A file is no JSON, or holds something that is not known.
pub fn labels() -> Result<Vec<String>, CliError> {
    texts(&both()?, "labels")
}

/// Returns what both files say together.
fn both() -> Result<Map<String, Value>, CliError> {
    let mut all = Map::new();
    let files = [Some(PathBuf::from("/etc")), user_folder()];
    for path in files.into_iter().flatten().map(|folder| folder.join("skiff/config.json")) {
        all.extend(read(&path)?);
    }
    all.extend(OVERRIDES.get().cloned().unwrap_or_default());
    Ok(all)
}

/// Folders with a folder of certificates for a registry: ours, docker's, podman's; the user's and the machine's.
fn certificates() -> Vec<PathBuf> {
    let machine = ["/etc/skiff", "/etc/docker", "/etc/containers"].map(PathBuf::from);
    let user = user_folder()
        .into_iter()
        .flat_map(|folder| ["skiff", "docker", "containers"].map(|program| folder.join(program)));
    user.chain(machine).map(|folder| folder.join("certs.d")).collect()
}

fn proxies(all: &Map<String, Value>) -> Result<Proxies, CliError> {
    let given = all.get("proxies").cloned().unwrap_or(Value::Null);
    if !given.is_null() && !given.is_object() {
        return Err(CliError::new("config.json: proxies is no object"));
    }
    let pick = |upper: &str, key: &str| {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let written = || given[key].as_str().map(str::to_owned);
        variable(&upper.to_lowercase()).or_else(|| variable(upper)).or_else(written)
    };
    Ok(Proxies {
        http: pick("HTTP_PROXY", "http-proxy"),
        https: pick("HTTPS_PROXY", "https-proxy"),
        no_proxy: pick("NO_PROXY", "no-proxy"),
    })
}

fn texts(all: &Map<String, Value>, key: &str) -> Result<Vec<String>, CliError> {
    let wrong = || CliError::new(format!("config.json: {key} is no list of texts"));
    let list = match all.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value.as_array().ok_or_else(wrong)?,
    };
    list.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn read(path: &Path) -> Result<Map<String, Value>, CliError> {
    let mut bytes = Vec::new();
    match crate::fs::open_for_reading(path) {
        Ok(file) => file.take(MAX_FILE).read_to_end(&mut bytes)?,
        Err(error) if error.is_not_found() => return Ok(Map::new()),
        Err(error) => return Err(error.into()),
    };
    let wrong = |what: String| {
        CliError::new(format!("unable to configure the engine with file {}: {what}", path.display()))
    };
    let map = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(wrong("it holds no JSON object".to_owned())),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let unknown: Vec<&str> = map.keys().map(String::as_str).filter(|key| !KEYS.contains(key)).collect();
    if unknown.is_empty() {
        return Ok(map);
    }
    Err(wrong(format!(
        "the following directives don't match any configuration option: {}",
        unknown.join(", ")
    )))
}
