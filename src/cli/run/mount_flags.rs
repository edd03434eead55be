//! `-v`, `--mount` and `--tmpfs` as plain data; nothing is opened here.

use std::path::{Component, Path, PathBuf};

use super::super::csv::csv;
use super::super::error::CliError;
use super::super::human;
pub use crate::containers::{MountPoint as Wanted, MountSource as Source, VolumeWish};
use crate::run::Propagation;

/// Reads `-v [SRC:]DST[:OPTS]`.
///
/// # Errors
/// It is not of that form.
pub fn volume(text: &str) -> Result<Wanted, CliError> {
    let bad = |why: &str| CliError::new(format!("invalid spec: {text}: {why}"));
    if text.is_empty() {
        return Err(CliError::new("invalid empty volume spec"));
    }
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
                _ => {
                    return Err(CliError::new(format!(
                        "Error response from daemon: invalid mode: {options}"
                    )));
                }
            },
        }
    }
    let source = match source {
        None => Source::Volume { name: None, copy_up, below: None, made_with: VolumeWish::default() },
        Some(path) if path.starts_with(['/', '.', '~']) => {
            Source::Bind { path: path.to_owned(), create: true, recursive: true, writable_below: false }
        }
        Some(name) => {
            let (name, made_with) = (Some(name.to_owned()), VolumeWish::default());
            Source::Volume { name, copy_up, below: None, made_with }
        }
    };
    let kind = if matches!(source, Source::Bind { .. }) { "bind" } else { "volume" };
    Ok(Wanted {
        source,
        target: target_path(
            target,
            &format!("invalid volume specification: '{text}': {}", invalid_mount(kind)),
        )?,
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
    writable_below: bool,
    /// Whether mounts below must be read-only.
    forced: bool,
    driver: Option<String>,
    made_with: VolumeWish,
    size: Option<u64>,
    mode: Option<u32>,
    propagation: Option<String>,
    /// A key that belongs to one type only, and that type.
    of_type: Option<(String, &'static str)>,
}

/// Reads `--mount type=...,source=...,target=...`, a line of CSV.
///
/// # Errors
/// A key is unknown or does not belong to the type, a value is none, or something is missing.
pub fn mount(text: &str) -> Result<Wanted, CliError> {
    let bad = |why: String| CliError::flag("--mount", text, why);
    let mut keys = Keys::default();
    for field in csv(text).map_err(bad)? {
        keys.set(&field).map_err(bad)?;
    }
    let kind = keys.kind.as_deref().unwrap_or("volume");
    if let Some((_, of)) = &keys.of_type
        && *of != kind
    {
        return Err(bad(format!("cannot mix '{of}-*' options with mount type '{kind}'")));
    }
    let target = keys.target.as_deref().ok_or_else(|| bad("target is required".to_owned()))?;
    let propagation = keys.propagation.as_deref().unwrap_or_default();
    check_recursion(keys.writable_below, keys.forced, keys.read_only, propagation).map_err(bad)?;
    let wrong =
        |why: &str| CliError::new(format!("Error response from daemon: {}{why}", invalid_mount(kind)));
    let source = match (kind, keys.source) {
        ("bind", None) => return Err(wrong("field Source must not be empty")),
        ("bind", Some(path)) if !path.starts_with(['/', '.', '~']) => {
            return Err(wrong(&format!("invalid mount path: '{path}' mount path must be absolute")));
        }
        ("bind", Some(path)) => Source::Bind {
            path,
            create: keys.create,
            recursive: !keys.alone,
            writable_below: keys.writable_below,
        },
        ("volume", name) => {
            let driver = keys.driver.unwrap_or_default();
            volume_source(name, keys.below, keys.read_only, &driver, (!keys.nocopy, keys.made_with))?
        }
        ("image", name) => image(name.unwrap_or_default(), keys.below)?,
        ("tmpfs", Some(_)) => return Err(wrong("field Source must not be specified")),
        ("tmpfs", None) => {
            let mode = keys.mode.unwrap_or(0o1777);
            Source::Tmpfs { size: keys.size, mode, noexec: true, nosuid: true, nodev: true }
        }
        _ => return Err(wrong("mount type unknown")),
    };
    let target = target_path(target, &invalid_mount(kind))?;
    // What an image shows is never written.
    let read_only = keys.read_only || matches!(source, Source::Image { .. });
    let propagation = match keys.propagation.as_deref() {
        None | Some("") => Propagation::default(),
        Some(word) => self::propagation(&word.to_lowercase())
            .ok_or_else(|| wrong(&format!("invalid propagation mode: {word}")))?,
    };
    Ok(Wanted { source, target, read_only, propagation })
}

/// Returns a volume that is to be mounted.
///
/// # Errors
/// The driver is not there, or what is asked for does not go together.
pub fn volume_source(
    name: Option<String>,
    below: Option<String>,
    read_only: bool,
    driver: &str,
    (copy_up, made_with): (bool, VolumeWish),
) -> Result<Source, CliError> {
    let bad =
        |why: &str| CliError::new(format!("Error response from daemon: {}{why}", invalid_mount("volume")));
    let name = name.filter(|name| !name.is_empty());
    let below = below.filter(|path| !path.is_empty());
    match (&name, &below) {
        (None, Some(_)) => return Err(bad("must not set Subpath when using anonymous volumes")),
        (Some(_), Some(path)) if !is_inside(path) => {
            return Err(bad("subpath must be a relative path within the volume"));
        }
        (None, _) if read_only => {
            return Err(bad("must not set ReadOnly mode when using anonymous volumes"));
        }
        _ => {}
    }
    if !["", "local"].contains(&driver) {
        return Err(CliError::new(format!(
            "Error response from daemon: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
        )));
    }
    Ok(Source::Volume { name, copy_up, below, made_with })
}

/// Whether a path leads nowhere but below where it begins, as text.
fn is_inside(path: &str) -> bool {
    let step = |depth: usize, part: &str| match part {
        "" | "." => Some(depth),
        ".." => depth.checked_sub(1),
        _ => Some(depth + 1),
    };
    !path.starts_with('/') && path.split('/').try_fold(0, step).is_some()
}

/// Returns the files of an image that is still to be looked up.
///
/// # Errors
/// It has no name, or the path leads elsewhere.
pub fn image(name: String, below: Option<String>) -> Result<Source, CliError> {
    let bad =
        |why: &str| CliError::new(format!("Error response from daemon: {}{why}", invalid_mount("image")));
    if name.is_empty() {
        return Err(bad("field Source must not be empty"));
    }
    let below = below.filter(|path| !path.is_empty());
    match &below {
        Some(path) if !is_inside(path) => Err(bad("subpath must be a relative path within the volume")),
        _ => Ok(Source::Image { name, id: String::new(), layers: Vec::new(), below }),
    }
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
            "volume-driver" => (self.driver, self.of_type) = (text()?, Some((key, "volume"))),
            "volume-opt" | "volume-label" => {
                let text = text()?.unwrap_or_default();
                let (name, value) = text.split_once('=').unwrap_or((&text, ""));
                let list = match key.as_str() {
                    "volume-opt" => &mut self.made_with.options,
                    _ => &mut self.made_with.labels,
                };
                if !name.is_empty() {
                    list.insert(name.to_owned(), value.to_owned());
                }
                self.of_type = Some((key, "volume"));
            }
            "bind-create-src" => (self.create, self.of_type) = (truth()?, Some((key, "bind"))),
            "bind-nonrecursive" => (self.alone, self.of_type) = (truth()?, Some((key, "bind"))),
            "bind-recursive" => {
                match value {
                    "enabled" => {}
                    "disabled" => self.alone = true,
                    "writable" => self.writable_below = true,
                    "readonly" => self.forced = true,
                    _ => return Err(bad_recursion(value)),
                }
                self.of_type = Some((key, "bind"));
            }
            "bind-propagation" => {
                self.propagation = text()?;
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
            "image-subpath" => (self.below, self.of_type) = (text()?, Some((key, "image"))),
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
        Ok(())
    }
}

/// What is said of another word than these for how binds are recursive.
pub fn bad_recursion(value: &str) -> String {
    format!(
        "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
    )
}

/// Checks that what `bind-recursive` says goes with the rest, as docker's client does.
///
/// # Errors
/// It does not.
pub fn check_recursion(
    writable: bool,
    forced: bool,
    read_only: bool,
    propagation: &str,
) -> Result<(), String> {
    let lacks = |value: &str, other: &str| {
        Err(format!("option 'bind-recursive={value}' requires '{other}' to be specified in conjunction"))
    };
    match (writable, forced) {
        (true, _) if !read_only => lacks("writable", "readonly"),
        (_, true) if !read_only => lacks("readonly", "readonly"),
        (_, true) if propagation != "rprivate" => lacks("readonly", "bind-propagation=rprivate"),
        _ => Ok(()),
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
        let name = option.split('=').next().unwrap_or(option);
        let bad = || CliError::new(format!("Error response from daemon: invalid tmpfs option {name:?}"));
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
    Ok(Wanted { source, target: target_path(target, "")?, read_only, propagation: Propagation::Private })
}

/// What the engine's words about a mount begin with.
pub fn invalid_mount(kind: &str) -> String {
    format!("invalid mount config for type {kind:?}: ")
}

/// Reads where something is mounted; `before` is what is said of the rest of it.
///
/// # Errors
/// It is no absolute path, or the root.
pub fn target_path(text: &str, before: &str) -> Result<PathBuf, CliError> {
    let wrong = |why: String| CliError::new(format!("Error response from daemon: {before}{why}"));
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
