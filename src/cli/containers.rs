//! What other commands must know of containers and volumes: who uses which image, and how much place they take.
//!
//! A running container notes in its directory (`containers/<id>/uses`) the image
//! and the named volumes that it was made with; [`super::run`] makes and locks
//! that directory.

use std::collections::BTreeMap;
use std::io::Write as _;

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::error::CliError;
use crate::fs::{FileKind, Follow, Root};
use crate::image::ImageId;
use crate::store::{ImageUse, Store, Summary};

const USES: &str = "uses";
/// Largest note that is read.
const MAX_NOTE: usize = 1 << 20;
/// Directories below each other that are followed when a size is added up.
const MAX_DEPTH: usize = 256;

/// What a container was made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// The image's id, `sha256:` and its digits.
    pub image: String,
    /// The image's name as it was typed.
    pub image_name: String,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Its name; empty for none.
    pub name: String,
    /// Names of its volumes.
    pub volumes: Vec<String>,
}

impl Uses {
    /// Notes the uses in a container's own directory.
    ///
    /// # Errors
    /// It can't be written.
    pub fn write(&self, own: &Root) -> Result<(), CliError> {
        let text = serde_json::to_vec(self).expect("strings serialise");
        Ok(own.create_file(USES, 0o600)?.write_all(&text)?)
    }

    fn read(own: &Root) -> Option<Self> {
        serde_json::from_slice(&own.read(USES, MAX_NOTE).ok()?).ok()
    }
}

/// A container's directory.
pub struct Listed {
    /// The container's id.
    pub id: String,
    /// Whether its process lives; a dead one's directory is debris.
    pub running: bool,
    /// What it was made with; none if it died before it could say.
    pub uses: Option<Uses>,
    own: Root,
}

impl Listed {
    /// Returns the bytes of its writable layer.
    pub fn size(&self) -> u64 {
        self.own.dir("upper").map_or(0, |upper| size_below(&upper, 0))
    }
}

/// Returns the containers that have a directory.
///
/// # Errors
/// The store can't be read.
pub fn list(store: &Store) -> Result<Vec<Listed>, CliError> {
    let mut found = Vec::new();
    let Some(all) = directory(store, "containers")? else { return Ok(found) };
    for entry in all.entries(".")? {
        let id = String::from_utf8_lossy(&entry.name).into_owned();
        // One that ends just now is gone.
        let Ok(own) = all.dir(&id) else { continue };
        let running = rustix::fs::flock(&own, FlockOperation::NonBlockingLockShared).is_err();
        let uses = Uses::read(&own);
        let _ = rustix::fs::flock(&own, FlockOperation::Unlock);
        found.push(Listed { id, running, uses, own });
    }
    Ok(found)
}

/// Returns which images running containers use.
///
/// # Errors
/// The store can't be read.
pub fn image_uses(store: &Store) -> Result<Vec<ImageUse>, CliError> {
    let uses = |container: Listed| {
        let image: ImageId = container.uses?.image.parse().ok()?;
        Some(ImageUse { container: container.id, image, running: true })
    };
    Ok(list(store)?.into_iter().filter(|container| container.running).filter_map(uses).collect())
}

/// Returns the place that containers' writable layers take.
///
/// # Errors
/// The store can't be read.
pub fn summary(store: &Store) -> Result<Summary, CliError> {
    let mut summary = Summary::default();
    for container in list(store)? {
        let size = container.size();
        summary.total += 1;
        summary.active += usize::from(container.running);
        summary.size += size;
        summary.reclaimable += if container.running { 0 } else { size };
    }
    Ok(summary)
}

/// A named volume.
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Number of running containers that were made with it.
    pub links: usize,
    /// Bytes of its files.
    pub size: u64,
}

/// Returns the named volumes, sorted by name.
///
/// # Errors
/// The store can't be read.
pub fn volumes(store: &Store) -> Result<Vec<Volume>, CliError> {
    let Some(all) = directory(store, "volumes")? else { return Ok(Vec::new()) };
    let mut links: BTreeMap<String, usize> = BTreeMap::new();
    for container in list(store)?.into_iter().filter(|container| container.running) {
        for name in container.uses.map(|uses| uses.volumes).unwrap_or_default() {
            *links.entry(name).or_default() += 1;
        }
    }
    let mut found = Vec::new();
    for entry in all.entries(".")? {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        // One in the making has a name that no volume may have.
        if name.starts_with('.') {
            continue;
        }
        let Ok(own) = all.dir(&name) else { continue };
        found.push(Volume { links: links.get(&name).copied().unwrap_or(0), size: size_below(&own, 0), name });
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

fn directory(store: &Store, name: &str) -> Result<Option<Root>, CliError> {
    match Root::open(store.path())?.dir(name) {
        Ok(all) => Ok(Some(all)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Adds up the files below a directory; what goes away meanwhile or can't be read counts nothing.
fn size_below(dir: &Root, depth: usize) -> u64 {
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
