//! From mount flags and the image's volumes to what is mounted.

use std::path::{Path, PathBuf};

use super::super::error::CliError;
use super::args::FileArgs;
use super::mount_flags::{self, Source, Wanted};
use super::volumes::Volumes;
use crate::fs::Root;
use crate::image::ContainerConfig;
use crate::run::{Mount, MountSource, Propagation};

/// Returns what flags and image ask for; an image's volume yields to a flag for the same place.
///
/// # Errors
/// A flag can't be read, or two have one target.
pub fn wanted(args: &FileArgs, config: &ContainerConfig) -> Result<Vec<Wanted>, CliError> {
    let mut all = Vec::new();
    for text in &args.volume {
        all.push(mount_flags::volume(text)?);
    }
    for text in &args.mount {
        all.push(mount_flags::mount(text)?);
    }
    for text in &args.tmpfs {
        all.push(mount_flags::tmpfs(text)?);
    }
    for (number, one) in all.iter().enumerate() {
        if all[..number].iter().any(|other| other.target == one.target) {
            let target = one.target.display();
            return Err(CliError::new(format!(
                "Error response from daemon: Duplicate mount point: {target}"
            )));
        }
    }
    for path in config.volumes.keys() {
        let target = mount_flags::clean(&Path::new("/").join(path));
        // An image can't hide its own root.
        if target != Path::new("/") && !all.iter().any(|one| one.target == target) {
            let source = Source::Volume { name: None, copy_up: true, below: None };
            all.push(Wanted { source, target, read_only: false, propagation: Propagation::Private });
        }
    }
    Ok(all)
}

/// Returns the names of the volumes among what is wanted.
pub fn volume_names(all: &[Wanted]) -> Vec<String> {
    let name = |wanted: &Wanted| match &wanted.source {
        Source::Volume { name, .. } => name.clone(),
        _ => None,
    };
    all.iter().filter_map(name).collect()
}

/// Opens everything; parents come before what is below them when the process starts.
///
/// # Errors
/// A path is missing, or a volume can't be made.
pub fn open(all: Vec<Wanted>, volumes: &mut Volumes<'_>) -> Result<Vec<Mount>, CliError> {
    all.into_iter().map(|one| open_one(one, volumes)).collect()
}

fn open_one(wanted: Wanted, volumes: &mut Volumes<'_>) -> Result<Mount, CliError> {
    let Wanted { source, target, read_only, propagation } = wanted;
    let mut mount = match source {
        Source::Bind { path, create, recursive } => {
            let source = MountSource::Bind(bind(&absolute(&path)?, create)?);
            Mount { recursive, ..Mount::new(target, source) }
        }
        Source::Volume { name, copy_up, below } => {
            let fd = volumes.open(name.as_deref(), &target, copy_up, below.as_deref())?;
            Mount::new(target, MountSource::Bind(fd))
        }
        Source::Tmpfs { size, mode, noexec, nosuid, nodev } => {
            let mount = Mount::new(target, MountSource::Tmpfs { size, mode });
            Mount { noexec, nosuid, nodev, ..mount }
        }
    };
    mount.propagation = propagation;
    Ok(mount.read_only(read_only))
}

fn bind(path: &Path, create: bool) -> Result<std::os::fd::OwnedFd, CliError> {
    match crate::fs::open_path(path) {
        Err(error) if error.is_not_found() && create => {
            Root::open(Path::new("/"))?.create_dir_all(path, 0o755)?;
            Ok(crate::fs::open_path(path)?)
        }
        Err(error) if error.is_not_found() => Err(CliError::new(format!(
            "Error response from daemon: invalid mount config for type \"bind\": bind source path does not exist: {}",
            path.display()
        ))),
        other => Ok(other?),
    }
}

/// A path as the shell's user means it: from the working directory, or from `HOME`.
fn absolute(path: &str) -> Result<PathBuf, CliError> {
    if let Some(rest) = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        let home =
            std::env::var_os("HOME").ok_or_else(|| CliError::new(format!("{path}: HOME is not set")))?;
        return Ok(PathBuf::from(home).join(rest.trim_start_matches('/')));
    }
    if path.starts_with('/') {
        return Ok(PathBuf::from(path));
    }
    let here = std::env::current_dir();
    Ok(here.map_err(|e| CliError::new(format!("cannot find the working directory: {e}")))?.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(volumes: &[&str], image: &[&str]) -> Result<Vec<String>, String> {
        let args =
            FileArgs { volume: volumes.iter().map(ToString::to_string).collect(), ..FileArgs::default() };
        let volumes: serde_json::Map<_, _> =
            image.iter().map(|path| ((*path).to_owned(), serde_json::json!({}))).collect();
        let config: ContainerConfig =
            serde_json::from_value(serde_json::json!({ "Volumes": volumes })).expect("a config");
        let all = wanted(&args, &config).map_err(|e| e.text)?;
        Ok(all.iter().map(|one| one.target.display().to_string()).collect())
    }

    #[test]
    fn the_images_volumes_yield_to_flags() {
        assert_eq!(targets(&["x:/a"], &["/a/", "b", "/"]).unwrap(), ["/a", "/b"]);
        assert_eq!(
            targets(&["x:/a", "y:/b/../a"], &[]).unwrap_err(),
            "Error response from daemon: Duplicate mount point: /a"
        );
    }
}
