//! What other commands must know of containers and volumes: who uses which image, and how much place they take.

use std::collections::BTreeSet;

use super::container::all;
use super::error::CliError;
use super::global::Global;
use crate::containers::{Container, MountSource, State, volumes};
use crate::fs::{FileKind, Follow, Root};
use crate::store::{ImageUse, Summary};

/// Directories below each other that are followed when a size is added up.
const MAX_DEPTH: usize = 256;

/// A container and how it is doing.
pub struct Listed {
    /// The container.
    pub container: Container,
    /// How it is doing.
    pub state: State,
}

impl Listed {
    /// Whether its process lives.
    pub fn is_running(&self) -> bool {
        self.state.status.has_monitor()
    }

    /// Returns the bytes of its writable layer.
    pub fn size(&self) -> u64 {
        self.container.dir().dir("upper").map_or(0, |upper| size_below(&upper, 0))
    }
}

/// Returns all containers, newest first.
///
/// # Errors
/// The store can't be read.
pub fn list(global: &Global) -> Result<Vec<Listed>, CliError> {
    let found = all(global)?.list().map_err(|e| CliError::engine(&e))?;
    // One that goes just now is gone.
    Ok(found
        .into_iter()
        .filter_map(|container| container.state().ok().map(|state| Listed { container, state }))
        .collect())
}

/// Returns which images containers use.
///
/// # Errors
/// The store can't be read.
pub fn image_uses(global: &Global) -> Result<Vec<ImageUse>, CliError> {
    let uses = |listed: Listed| {
        let running = listed.is_running();
        let config = listed.container.config;
        let mounted = config.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Image { id, .. } => Some(id),
            _ => None,
        });
        let images: BTreeSet<&String> = mounted.chain([&config.image]).collect();
        let used =
            |id: &String| Some(ImageUse { container: config.id.clone(), image: id.parse().ok()?, running });
        images.into_iter().filter_map(used).collect::<Vec<_>>()
    };
    Ok(list(global)?.into_iter().flat_map(uses).collect())
}

/// Returns the place that containers' writable layers take.
///
/// # Errors
/// The store can't be read.
pub fn summary(global: &Global) -> Result<Summary, CliError> {
    let mut summary = Summary::default();
    for container in list(global)? {
        let size = container.size();
        summary.total += 1;
        summary.active += usize::from(container.is_running());
        summary.size += size;
        summary.reclaimable += if container.is_running() { 0 } else { size };
    }
    Ok(summary)
}

/// A volume.
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Number of containers that use it.
    pub links: usize,
    /// Bytes of its files.
    pub size: u64,
}

/// Returns the volumes, sorted by name.
///
/// # Errors
/// The store can't be read.
pub fn volumes(global: &Global) -> Result<Vec<Volume>, CliError> {
    let containers = all(global)?;
    let failed = |e| CliError::engine(&e);
    let uses = volumes::uses(&containers).map_err(failed)?;
    let mut found = Vec::new();
    for volume in volumes::list(&containers).map_err(failed)? {
        let Ok(own) = volumes::open(&containers, &volume.name) else { continue };
        let links = uses.get(&volume.name).map_or(0, Vec::len);
        found.push(Volume { links, size: size_below(&own, 0), name: volume.name });
    }
    Ok(found)
}

/// Returns the volumes as a row of `system df`.
pub fn volume_summary(volumes: &[Volume]) -> Summary {
    let unused = volumes.iter().filter(|volume| volume.links == 0);
    Summary {
        total: volumes.len(),
        active: volumes.iter().filter(|volume| volume.links > 0).count(),
        size: volumes.iter().map(|volume| volume.size).sum(),
        reclaimable: unused.map(|volume| volume.size).sum(),
    }
}

/// Adds up the files below a directory; what goes away meanwhile or can't be read counts nothing.
pub fn size_below(dir: &Root, depth: usize) -> u64 {
    let Ok(entries) = dir.entries(".") else { return 0 };
    let mut size = 0;
    for entry in entries {
        let name = std::path::PathBuf::from(String::from_utf8_lossy(&entry.name).into_owned());
        match dir.stat(&name, Follow::No) {
            Ok(Some(stat)) if stat.kind == FileKind::Directory && depth < MAX_DEPTH => {
                size += dir.dir(&name).map_or(0, |inner| size_below(&inner, depth + 1));
            }
            Ok(Some(stat)) if stat.kind == FileKind::File => size += stat.size,
            _ => {}
        }
    }
    size
}
