//! From mount flags and the image's volumes to what is mounted.

use std::path::{Path, PathBuf};

use super::super::error::CliError;
use super::args::FileArgs;
use super::mount_flags::{self, Source, VolumeWish, Wanted};
use crate::image::ContainerConfig;
use crate::run::Propagation;

/// Returns what flags and image ask for; an image's volume yields to a flag for the same place.
///
/// # Errors
/// A flag can't be read, or two have one target.
pub fn wanted(args: &FileArgs, given: &[Wanted], config: &ContainerConfig) -> Result<Vec<Wanted>, CliError> {
    let mut all = Vec::new();
    for text in &args.volume {
        let one = mount_flags::volume(text)?;
        // The same nameless volume twice is one.
        let again = matches!(one.source, Source::Volume { name: None, .. }) && all.contains(&one);
        if !again {
            all.push(one);
        }
    }
    for text in &args.mount {
        all.push(mount_flags::mount(text)?);
    }
    all.extend(given.iter().cloned());
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
            let made_with = VolumeWish::default();
            let source = Source::Volume { name: None, copy_up: true, below: None, made_with };
            all.push(Wanted { source, target, read_only: false, propagation: Propagation::Private });
        }
    }
    Ok(all)
}

/// Makes host paths absolute, as the user's shell means them.
///
/// # Errors
/// `HOME` or the working directory is missing, or a path that is not to be made is.
pub fn resolve(all: &mut [Wanted]) -> Result<(), CliError> {
    for wanted in all {
        if let Source::Bind { path, create, .. } = &mut wanted.source {
            let full = absolute(path)?;
            if !*create && !crate::fs::is_there(&full) {
                return Err(CliError::new(format!(
                    "Error response from daemon: invalid mount config for type \"bind\": bind source path does not \
                     exist: {}",
                    full.display()
                )));
            }
            let text = full.into_os_string().into_string();
            *path = text.map_err(|path| CliError::new(format!("the path {path:?} is no valid UTF-8")))?;
        }
    }
    Ok(())
}

/// A path as the shell's user means it: from the working directory, or from `HOME`.
///
/// # Errors
/// `HOME` or the working directory is missing.
pub fn absolute(path: &str) -> Result<PathBuf, CliError> {
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
        let all = wanted(&args, &[], &config).map_err(|e| e.text)?;
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
