//! `-v`, `--mount` and `--tmpfs` as plain data; nothing is opened here.

use std::path::{Component, Path, PathBuf};

use super::super::csv::csv;
use super::super::error::CliError;
use super::super::human;
pub use crate::containers::{MountPoint as Wanted, MountSource as Source};
use crate::run::Propagation;

/// Reads `-v [SRC:]DST[:OPTS]`.
///
/// # Errors
/// It is not of that form.
pub fn volume(text: &str) -> Result<Wanted, CliError> {
    let bad = |why: &str| CliError::new(format!("invalid spec: {text}: {why}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (None, target, ""),
        [source, target] => (Some(source), target, ""),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(bad("too many colons")),
    };
    if source == Some("") || target.is_empty() {
        return Err(bad("empty section between colons"));
    }
    let (mut read_only, mut copy_up, mut propagation) = (false, true, None);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            "nocopy" => copy_up = false,
            other => match (self::propagation(other), propagation) {
                (Some(found), None) => propagation = Some(found),
                (Some(_), Some(_)) => return Err(bad(&format!("invalid mode: {options}"))),
                (None, _) => return Err(bad(&format!("unknown option: {other}"))),
            },
        }
    }
    let source = match source {
        None => Source::Volume { name: None, copy_up, below: None },
        Some(path) if path.starts_with(['/', '.', '~']) => {
            Source::Bind { path: path.to_owned(), create: true, recursive: true }
        }
        Some(name) => Source::Volume { name: Some(name.to_owned()), copy_up, below: None },
    };
    Ok(Wanted {
        source,
        target: target_path(target)?,
        read_only,
        propagation: propagation.unwrap_or_default(),
    })
}

fn propagation(text: &str) -> Option<Propagation> {
    Some(match text {
        "private" | "rprivate" => Propagation::Private,
        "slave" | "rslave" => Propagation::Slave,
        "shared" | "rshared" => Propagation::Shared,
        _ => return None,
    })
}

/// What `--mount` says, key by key.
#[derive(Default)]
struct Keys {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    nocopy: bool,
    below: Option<String>,
    create: bool,
    alone: bool,
    size: Option<u64>,
    mode: Option<u32>,
    propagation: Propagation,
    /// A key that belongs to one type only, and that type.
    of_type: Option<(String, &'static str)>,
}

/// Reads `--mount type=...,source=...,target=...`, a line of CSV.
///
/// # Errors
/// A key is unknown or does not belong to the type, a value is none, or something is missing.
pub fn mount(text: &str) -> Result<Wanted, CliError> {
    let bad = |why: String| CliError::new(format!("invalid argument \"{text}\" for \"--mount\" flag: {why}"));
    let mut keys = Keys::default();
    for field in csv(text).map_err(bad)? {
        keys.set(&field).map_err(bad)?;
    }
    let kind = keys.kind.as_deref().unwrap_or("volume");
    if let Some((key, of)) = &keys.of_type
        && *of != kind
    {
        return Err(bad(format!("cannot mix '{key}' with mount type '{kind}'")));
    }
    let target = keys.target.as_deref().ok_or_else(|| bad("target is required".to_owned()))?;
    let source = match (kind, keys.source) {
        ("bind", None) => return Err(bad("source is required when specifying mount type 'bind'".to_owned())),
        ("bind", Some(path)) => Source::Bind { path, create: keys.create, recursive: !keys.alone },
        ("volume", name) => Source::Volume { name, copy_up: !keys.nocopy, below: keys.below },
        ("tmpfs", Some(_)) => return Err(bad("cannot specify source for mount type 'tmpfs'".to_owned())),
        ("tmpfs", None) => {
            let mode = keys.mode.unwrap_or(0o1777);
            Source::Tmpfs { size: keys.size, mode, noexec: true, nosuid: true, nodev: true }
        }
        (other, _) => return Err(bad(format!("mount type '{other}' is not available in this version"))),
    };
    let target = target_path(target)?;
    Ok(Wanted { source, target, read_only: keys.read_only, propagation: keys.propagation })
}

impl Keys {
    fn set(&mut self, field: &str) -> Result<(), String> {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), value),
            None => (field.to_lowercase(), "true"),
        };
        let given = field.contains('=');
        let truth = || match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!("invalid value for {key}: {value}")),
        };
        let text = || {
            if given {
                Ok(Some(value.to_owned()))
            } else {
                Err(format!("invalid field '{field}' must be a key=value pair"))
            }
        };
        match key.as_str() {
            "type" => self.kind = text()?.map(|kind| kind.to_lowercase()),
            "source" | "src" => self.source = text()?,
            "target" | "dst" | "destination" => self.target = text()?,
            "readonly" | "ro" => self.read_only = truth()?,
            "consistency" => {}
            "volume-nocopy" => (self.nocopy, self.of_type) = (truth()?, Some((key, "volume"))),
            "volume-subpath" => (self.below, self.of_type) = (text()?, Some((key, "volume"))),
            "volume-driver" if value == "local" => {}
            "bind-create-src" => (self.create, self.of_type) = (truth()?, Some((key, "bind"))),
            "bind-nonrecursive" => (self.alone, self.of_type) = (truth()?, Some((key, "bind"))),
            "bind-recursive" => {
                self.alone = match value {
                    "enabled" | "readonly" => false,
                    "disabled" => true,
                    "writable" => {
                        return Err("bind-recursive=writable is not available in this version".to_owned());
                    }
                    _ => return Err(format!("invalid value for {key}: {value}")),
                };
                self.of_type = Some((key, "bind"));
            }
            "bind-propagation" => {
                self.propagation =
                    propagation(value).ok_or_else(|| format!("invalid propagation: {value}"))?;
                self.of_type = Some((key, "bind"));
            }
            "tmpfs-size" => {
                self.size = Some(
                    human::parse_size(value).ok_or_else(|| format!("invalid value for {key}: {value}"))?,
                );
                self.of_type = Some((key, "tmpfs"));
            }
            "tmpfs-mode" => {
                self.mode = Some(octal(value).ok_or_else(|| format!("invalid value for {key}: {value}"))?);
                self.of_type = Some((key, "tmpfs"));
            }
            "volume-driver" | "volume-opt" | "volume-label" | "image-subpath" => {
                return Err(format!("'{key}' is not available in this version"));
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }
}

fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777)
}

/// Reads `--tmpfs DST[:OPTS]`.
///
/// # Errors
/// It is not of that form.
pub fn tmpfs(text: &str) -> Result<Wanted, CliError> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut size, mut mode, mut read_only) = (None, 0o1777, false);
    let (mut noexec, mut nosuid, mut nodev) = (true, true, true);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let bad = || CliError::new(format!("invalid tmpfs option [{option:?}]"));
        match (option, option.split_once('=')) {
            (_, Some(("size", value))) => size = Some(human::parse_size(value).ok_or_else(bad)?),
            (_, Some(("mode", value))) => mode = octal(value).ok_or_else(bad)?,
            ("exec" | "noexec", _) => noexec = option == "noexec",
            ("suid" | "nosuid", _) => nosuid = option == "nosuid",
            ("dev" | "nodev", _) => nodev = option == "nodev",
            ("ro" | "rw", _) => read_only = option == "ro",
            _ => return Err(bad()),
        }
    }
    let source = Source::Tmpfs { size, mode, noexec, nosuid, nodev };
    Ok(Wanted { source, target: target_path(target)?, read_only, propagation: Propagation::Private })
}

fn target_path(text: &str) -> Result<PathBuf, CliError> {
    let wrong = |why: String| {
        CliError::new(format!("Error response from daemon: invalid volume specification: {why}"))
    };
    if !text.starts_with('/') {
        return Err(wrong(format!("invalid mount path: '{text}' mount path must be absolute")));
    }
    let target = clean(Path::new(text));
    if target == Path::new("/") {
        return Err(wrong("invalid specification: destination can't be '/'".to_owned()));
    }
    Ok(target)
}

/// Drops dots, as text: what links lead to is found when the path is opened.
pub fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            _ => {}
        }
    }
    out
}
