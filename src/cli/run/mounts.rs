//! `-v`, `--mount`, `--tmpfs`, and the image's volumes.

use std::path::{Component, Path, PathBuf};

use super::super::error::CliError;
use super::super::human;
use super::args::RunArgs;
use super::volumes::Volumes;
use crate::fs::Root;
use crate::image::ImageConfig;
use crate::run::{Mount, MountSource, Propagation};

/// What is mounted, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    /// A host path; made as a directory when missing, or not.
    Bind { path: PathBuf, create: bool },
    /// A volume by name; none is an anonymous one.
    Volume { name: Option<String>, copy_up: bool },
    /// Memory.
    Tmpfs { size: Option<u64>, mode: u32, exec: bool },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parsed {
    source: Source,
    target: PathBuf,
    read_only: bool,
    propagation: Propagation,
}

/// Returns every mount that flags and image ask for.
pub fn mounts(
    args: &RunArgs,
    config: &ImageConfig,
    volumes: &mut Volumes<'_>,
) -> Result<Vec<Mount>, CliError> {
    let mut all = Vec::new();
    for text in &args.volume {
        all.push(volume(text)?);
    }
    for text in &args.mount {
        all.push(mount(text)?);
    }
    for text in &args.tmpfs {
        all.push(tmpfs(text)?);
    }
    for (number, parsed) in all.iter().enumerate() {
        if all[..number].iter().any(|other| other.target == parsed.target) {
            return Err(CliError::new(format!("Duplicate mount point: {}", parsed.target.display())));
        }
    }
    for path in config.config.volumes.keys() {
        let target = clean(Path::new("/").join(path));
        if !all.iter().any(|parsed| parsed.target == target) {
            let source = Source::Volume { name: None, copy_up: true };
            all.push(Parsed { source, target, read_only: false, propagation: Propagation::Private });
        }
    }
    all.into_iter().map(|parsed| open(parsed, volumes)).collect()
}

fn open(parsed: Parsed, volumes: &mut Volumes<'_>) -> Result<Mount, CliError> {
    let Parsed { source, target, read_only, propagation } = parsed;
    let mut mount = match source {
        Source::Bind { path, create } => {
            if create && !path.exists() {
                Root::open(Path::new("/"))?.create_dir_all(&path, 0o755)?;
            }
            let fd = crate::fs::open_path(&path).map_err(|error| match error.is_not_found() {
                true => CliError::new(format!(
                    "Error response from daemon: invalid mount config for type \"bind\": bind source path does not exist: {}",
                    path.display()
                )),
                false => error.into(),
            })?;
            Mount::new(target, MountSource::Bind(fd))
        }
        Source::Volume { name, copy_up } => {
            let fd = volumes.open(name.as_deref(), &target, copy_up)?;
            Mount::new(target, MountSource::Bind(fd))
        }
        Source::Tmpfs { size, mode, exec } => {
            let mut mount = Mount::tmpfs(target);
            mount.source = MountSource::Tmpfs { size, mode };
            mount.noexec = !exec;
            mount
        }
    };
    mount.propagation = propagation;
    Ok(mount.read_only(read_only))
}

/// `[SRC:]DST[:OPTS]`
fn volume(text: &str) -> Result<Parsed, CliError> {
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
    let (mut read_only, mut copy_up, mut propagation) = (false, true, Propagation::Private);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => read_only = true,
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" | "private" | "rprivate" => {}
            "nocopy" => copy_up = false,
            "slave" | "rslave" => propagation = Propagation::Slave,
            "shared" | "rshared" => propagation = Propagation::Shared,
            other => return Err(bad(&format!("unknown option: {other}"))),
        }
    }
    let source = match source {
        None => Source::Volume { name: None, copy_up },
        Some(path) if path.starts_with(['/', '.', '~']) => {
            Source::Bind { path: absolute(path)?, create: true }
        }
        Some(name) => Source::Volume { name: Some(name.to_owned()), copy_up },
    };
    Ok(Parsed { source, target: target_path(target)?, read_only, propagation })
}

/// `type=...,source=...,target=...`
fn mount(text: &str) -> Result<Parsed, CliError> {
    let bad = |why: String| CliError::new(format!("invalid argument \"{text}\" for \"--mount\" flag: {why}"));
    let (mut kind, mut source, mut target) = ("volume", None, None);
    let (mut read_only, mut copy_up, mut create) = (false, true, false);
    let (mut size, mut mode, mut propagation) = (None, 0o1777, Propagation::Private);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, "true"));
        let truth = || match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(bad(format!("invalid value for {key}: {value}"))),
        };
        match key.to_lowercase().as_str() {
            "type" => kind = value,
            "source" | "src" => source = Some(value.to_owned()),
            "target" | "dst" | "destination" => target = Some(value.to_owned()),
            "readonly" | "ro" => read_only = truth()?,
            "volume-nocopy" => copy_up = !truth()?,
            "bind-create-src" => create = truth()?,
            "consistency" => {}
            "bind-propagation" => {
                propagation = match value.trim_start_matches('r') {
                    "private" => Propagation::Private,
                    "slave" => Propagation::Slave,
                    "shared" => Propagation::Shared,
                    _ => return Err(bad(format!("invalid propagation: {value}"))),
                };
            }
            "tmpfs-size" => {
                size = Some(human::parse_size(value).ok_or_else(|| bad(format!("invalid size: {value}")))?)
            }
            "tmpfs-mode" => {
                mode = u32::from_str_radix(value, 8).map_err(|_| bad(format!("invalid mode: {value}")))?;
            }
            other => return Err(bad(format!("unexpected key '{other}' in '{field}'"))),
        }
    }
    let target = target.ok_or_else(|| bad("target is required".to_owned()))?;
    let source = match (kind, source) {
        ("bind", Some(path)) => Source::Bind { path: absolute(&path)?, create },
        ("bind", None) => return Err(bad("source is required for type bind".to_owned())),
        ("volume", name) => Source::Volume { name, copy_up },
        ("tmpfs", None) => Source::Tmpfs { size, mode, exec: false },
        ("tmpfs", Some(_)) => return Err(bad("source must not be specified for type tmpfs".to_owned())),
        (other, _) => return Err(bad(format!("type {other} is not available in this version"))),
    };
    Ok(Parsed { source, target: target_path(&target)?, read_only, propagation })
}

/// `DST[:OPTS]`
fn tmpfs(text: &str) -> Result<Parsed, CliError> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut size, mut mode, mut exec, mut read_only) = (None, 0o1777, false, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let bad = || CliError::new(format!("invalid tmpfs option {option:?} in {text:?}"));
        match option.split_once('=') {
            Some(("size", value)) => size = Some(human::parse_size(value).ok_or_else(bad)?),
            Some(("mode", value)) => mode = u32::from_str_radix(value, 8).map_err(|_| bad())?,
            None if option == "exec" => exec = true,
            None if option == "ro" => read_only = true,
            None if ["rw", "noexec", "nosuid", "nodev"].contains(&option) => {}
            _ => return Err(bad()),
        }
    }
    let source = Source::Tmpfs { size, mode, exec };
    Ok(Parsed { source, target: target_path(target)?, read_only, propagation: Propagation::Private })
}

fn absolute(path: &str) -> Result<PathBuf, CliError> {
    if let Some(rest) = path.strip_prefix('~') {
        let home =
            std::env::var_os("HOME").ok_or_else(|| CliError::new(format!("{path}: HOME is not set")))?;
        return Ok(clean(PathBuf::from(home).join(rest.trim_start_matches('/'))));
    }
    let here = std::env::current_dir().map_err(CliError::from)?;
    Ok(clean(here.join(path)))
}

fn target_path(text: &str) -> Result<PathBuf, CliError> {
    let target = clean(PathBuf::from(text));
    if !text.starts_with('/') {
        return Err(CliError::new(format!(
            "Error response from daemon: invalid volume specification: invalid mount path: '{text}' mount path must be absolute"
        )));
    }
    if target == Path::new("/") {
        return Err(CliError::new(
            "Error response from daemon: invalid volume specification: destination can't be '/'",
        ));
    }
    Ok(target)
}

/// Drops dots, as text: what links lead to is found when the path is opened.
fn clean(path: PathBuf) -> PathBuf {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_told_apart() {
        let of = |text: &str| volume(text).map_err(|e| e.text);
        let named = |name: Option<&str>| Source::Volume { name: name.map(str::to_owned), copy_up: true };
        assert_eq!(of("/data").unwrap().source, named(None));
        assert_eq!(of("name:/data").unwrap().source, named(Some("name")));
        assert_eq!(
            of("/a/../b:/data/:ro").unwrap(),
            Parsed {
                source: Source::Bind { path: "/b".into(), create: true },
                target: "/data".into(),
                read_only: true,
                propagation: Propagation::Private,
            }
        );
        assert!(of("a:b:c:d").unwrap_err().contains("too many colons"));
        assert!(of("x:relative").unwrap_err().contains("mount path must be absolute"));
        assert!(of("x:/").unwrap_err().contains("destination can't be '/'"));
        assert!(of("x:/y:odd").unwrap_err().contains("unknown option"));
    }

    #[test]
    fn mounts_have_keys() {
        let of = |text: &str| mount(text).map_err(|e| e.text);
        let parsed = of("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700,readonly").unwrap();
        assert_eq!(parsed.source, Source::Tmpfs { size: Some(1 << 20), mode: 0o700, exec: false });
        assert!(parsed.read_only);
        assert_eq!(
            of("src=v,target=/v").unwrap().source,
            Source::Volume { name: Some("v".into()), copy_up: true }
        );
        for (text, part) in [
            ("type=bind,target=/x", "source is required"),
            ("type=volume,source=x", "target is required"),
            ("type=bind,source=/x,target=/x,odd=1", "unexpected key 'odd'"),
            ("type=npipe,source=x,target=/x", "not available"),
        ] {
            assert!(of(text).unwrap_err().contains(part), "{text}");
        }
    }
}
