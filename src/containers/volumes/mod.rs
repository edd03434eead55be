//! Volumes: `volumes/<name>/_data` below the store's directory, with what is known of them beside it.
//!
//! A volume with options has a file system of its own, or is a directory of the host (`filesystem`). Its `_data` stays
//! empty: it is mounted while containers use it, and only for them (`mounting`).

mod filesystem;
mod mounting;
mod network;
mod options;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::config::MountSource;
use super::error::ContainerError;
use super::events;
use super::files::{Containers, lock};
use crate::fs::{Follow, Root, Stat};
use crate::layers::{ChownPolicy, copy_tree};

use filesystem::Filesystem;
pub use mounting::Mounted;
pub use options::check_options;

const ALL: &str = "volumes";
const DATA: &str = "_data";
const FACTS: &str = "volume.json";

/// The label of volumes that nobody named.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// What is known of a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    #[serde(skip)]
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

impl Volume {
    /// Whether nobody named it.
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS)
    }
}

/// Whether a text can name a volume.
pub fn is_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    name.len() > 1 && first && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn check(name: &str) -> Result<(), ContainerError> {
    if is_name(name) {
        return Ok(());
    }
    if name.len() == 1 {
        return Err(ContainerError::Refused(format!(
            "create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )));
    }
    Err(ContainerError::Refused(format!(
        "create {name}: {name:?} includes invalid characters for a local volume name, only \
         \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}

fn directory(containers: &Containers) -> Result<Root, ContainerError> {
    match containers.store.dir(ALL) {
        Err(error) if error.is_not_found() => {
            containers.store.create_dir_all(ALL, 0o711)?;
            Ok(containers.store.dir(ALL)?)
        }
        other => Ok(other?),
    }
}

fn existing(all: &Root, name: &str) -> Result<Option<Root>, ContainerError> {
    match all.dir(Path::new(name).join(DATA)) {
        Err(error) if error.is_not_found() => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// What an empty volume is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// The image's files.
    pub view: &'a Root,
    /// The directory among them.
    pub target: &'a Path,
    /// Whom the copies belong to.
    pub chown: ChownPolicy,
}

/// Makes a volume if it is missing, and fills it if it is empty and the image has something there.
///
/// # Errors
/// The name or an option is none, or the volume can't be made.
pub fn ensure(
    containers: &Containers,
    name: &str,
    labels: &BTreeMap<String, String>,
    options: &BTreeMap<String, String>,
    filling: Option<Filling<'_>>,
) -> Result<(), ContainerError> {
    if Filesystem::of(options).is_some() || !options.is_empty() {
        check_options(name, options)?;
        make(containers, name, (labels, options), None)?;
    }
    make(containers, name, (labels, options), filling).map(drop)
}

/// Makes a volume if it is missing, with options for where its files are (see [`check_options`]).
///
/// # Errors
/// The name is none, or the volume can't be made.
pub fn create(
    containers: &Containers,
    name: &str,
    labels: &BTreeMap<String, String>,
    options: &BTreeMap<String, String>,
) -> Result<(), ContainerError> {
    make(containers, name, (labels, options), None).map(drop)
}

fn make(
    containers: &Containers,
    name: &str,
    (labels, options): (&BTreeMap<String, String>, &BTreeMap<String, String>),
    filling: Option<Filling<'_>>,
) -> Result<Root, ContainerError> {
    check(name)?;
    let all = directory(containers)?;
    let image = filling.and_then(|filling| {
        let stat = filling.view.stat(filling.target, Follow::Yes).unwrap_or(None).filter(Stat::is_dir)?;
        Some((filling, stat))
    });
    let there = existing(&all, name)?;
    if let Some(volume) = there {
        let Some((filling, _)) =
            image.as_ref().filter(|_| volume.entries(".").is_ok_and(|all| all.is_empty()))
        else {
            return Ok(volume);
        };
        if Filesystem::of(&find(containers, name)?.options).is_some() {
            fill_mounted(containers, name, *filling)?;
            return Ok(volume);
        }
    }
    // One process makes and fills volumes at a time; the others find them made.
    let alone = all.dir(".")?;
    lock(&alone, FlockOperation::LockExclusive)?;
    match (existing(&all, name)?, image) {
        (Some(volume), None) => Ok(volume),
        (Some(volume), Some(_)) if !volume.entries(".")?.is_empty() => Ok(volume),
        (there, image) => {
            let volume = Making { containers, all: &all, name, labels, options };
            volume.make(there, image)
        }
    }
}

/// Returns the type, the device and the options of a volume's file system as an OCI runtime mounts it; none if its files
/// are its own.
pub fn filesystem_of(options: &BTreeMap<String, String>) -> Option<(String, String, Vec<String>)> {
    Filesystem::of(options).map(Filesystem::parts)
}

/// Fills a volume's file system if it is empty.
fn fill_mounted(containers: &Containers, name: &str, filling: Filling<'_>) -> Result<(), ContainerError> {
    let mut mounted = Mounted::default();
    mounted.add(containers, name, None)?;
    let Some(shared) = mounted.get(name) else { return Ok(()) };
    let volume = Root::named(shared.once(None, &path(containers, name))?, path(containers, name));
    if !volume.entries(".")?.is_empty() {
        return Ok(());
    }
    copy_tree(&filling.view.dir(filling.target)?, &volume, filling.chown)
        .map(drop)
        .map_err(|source| ContainerError::Fill { name: name.to_owned(), source: source.into() })
}

struct Making<'a> {
    containers: &'a Containers,
    all: &'a Root,
    name: &'a str,
    labels: &'a BTreeMap<String, String>,
    options: &'a BTreeMap<String, String>,
}

impl Making<'_> {
    /// Makes a volume beside its place, then moves it there: whole, or if it is there already, entry by entry.
    fn make(&self, there: Option<Root>, image: Option<(Filling<'_>, Stat)>) -> Result<Root, ContainerError> {
        let (all, name) = (self.all, self.name);
        let fresh = format!(".{name}");
        if all.stat(&fresh, Follow::No)?.is_some() {
            all.remove_tree(&fresh)?;
        }
        all.create_dir(&fresh, 0o711)?;
        let outer = all.dir(&fresh)?;
        outer.create_exact_dir(DATA, 0o755)?;
        let made = outer.dir(DATA)?;
        if let Some((filling, _)) = &image {
            copy_tree(&filling.view.dir(filling.target)?, &made, filling.chown)
                .map_err(|source| ContainerError::Fill { name: name.to_owned(), source: source.into() })?;
        }
        let place = match there {
            None => {
                let (created, options) = (Timestamp::now(), self.options.clone());
                let facts = Volume { name: String::new(), created, labels: self.labels.clone(), options };
                let bytes = serde_json::to_vec(&facts).expect("facts serialise");
                // An option may be a password.
                let written = outer.create_file(FACTS, 0o600)?.write_all(&bytes);
                written.map_err(|e| ContainerError::io("write what is known of the volume", e))?;
                if all.stat(name, Follow::No)?.is_some() {
                    // Without data it is what a removal left.
                    all.remove_tree(name)?;
                }
                all.rename_new(&fresh, all, name)?;
                event(self.containers, name, "create");
                made
            }
            Some(volume) => {
                for entry in made.entries(".")? {
                    let entry = PathBuf::from(OsString::from_vec(entry.name));
                    made.rename_to(&entry, &volume, &entry)?;
                }
                all.remove_tree(&fresh)?;
                volume
            }
        };
        if let Some((filling, stat)) = image {
            if filling.chown == ChownPolicy::Exact {
                place.set_owner(".", stat.uid, stat.gid)?;
            }
            place.set_mode(".", stat.mode & 0o7777)?;
            place.set_times(".", stat.mtime)?;
        }
        Ok(place)
    }
}

fn event(containers: &Containers, name: &str, action: &str) {
    let event = events::Event {
        time: Timestamp::now(),
        kind: "volume".to_owned(),
        action: action.to_owned(),
        id: name.to_owned(),
        attributes: BTreeMap::from([("driver".to_owned(), "local".to_owned())]),
    };
    events::record(containers.store(), &event);
}

/// Opens a volume's files.
///
/// # Errors
/// There is no such volume.
pub fn open(containers: &Containers, name: &str) -> Result<Root, ContainerError> {
    check(name)?;
    existing(&directory(containers)?, name)?
        .ok_or_else(|| ContainerError::Refused(format!("get {name}: no such volume")))
}

/// Returns where a volume's files are.
pub fn path(containers: &Containers, name: &str) -> PathBuf {
    containers.store.name().join(ALL).join(name).join(DATA)
}

/// Returns what is known of a volume.
///
/// # Errors
/// There is no such volume.
pub fn find(containers: &Containers, name: &str) -> Result<Volume, ContainerError> {
    let missing = || ContainerError::Refused(format!("get {name}: no such volume"));
    if !is_name(name) {
        return Err(missing());
    }
    let all = directory(containers)?;
    if existing(&all, name)?.is_none() {
        return Err(missing());
    }
    let bytes = all.read(Path::new(name).join(FACTS), 1 << 20).unwrap_or_default();
    let unknown = || Volume {
        name: String::new(),
        created: Timestamp::UNIX_EPOCH,
        labels: BTreeMap::new(),
        options: BTreeMap::new(),
    };
    let facts: Volume = serde_json::from_slice(&bytes).unwrap_or_else(|_| unknown());
    Ok(Volume { name: name.to_owned(), ..facts })
}

/// Returns all volumes, sorted by name.
///
/// # Errors
/// The directory can't be read.
pub fn list(containers: &Containers) -> Result<Vec<Volume>, ContainerError> {
    let mut found = Vec::new();
    // What can't be removed now is found again by the next look.
    let _ = sweep(containers);
    for entry in directory(containers)?.entries(".")? {
        // One in the making has a name that no volume may have.
        found.extend(find(containers, &String::from_utf8_lossy(&entry.name)).ok());
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Returns the ids of the containers that use each volume.
///
/// # Errors
/// The containers can't be read.
pub fn uses(containers: &Containers) -> Result<BTreeMap<String, Vec<String>>, ContainerError> {
    let mut uses: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for container in containers.look()?.0 {
        for mount in &container.config.mounts {
            if let MountSource::Volume { name: Some(name), .. } = &mount.source {
                uses.entry(name.clone()).or_default().push(container.config.id.clone());
            }
        }
    }
    Ok(uses)
}

/// Removes a volume that no container uses.
///
/// # Errors
/// There is none, or one is used.
pub fn remove(containers: &Containers, name: &str) -> Result<(), ContainerError> {
    let all = directory(containers)?;
    find(containers, name)?;
    if let Some(users) = uses(containers)?.get(name) {
        let users = users.join(", ");
        return Err(ContainerError::Refused(format!("remove {name}: volume is in use - [{users}]")));
    }
    let alone = all.dir(".")?;
    lock(&alone, FlockOperation::LockExclusive)?;
    let gone = format!(".gone-{name}");
    if all.stat(&gone, Follow::No)?.is_some() {
        all.remove_tree(&gone)?;
    }
    // Half of a volume must not be taken for a whole one.
    all.rename(name, &gone)?;
    all.remove_tree(&gone)?;
    event(containers, name, "destroy");
    Ok(())
}

/// Removes what is left of volumes that were being made or removed by a process that was killed.
pub(super) fn sweep(containers: &Containers) -> Result<(), ContainerError> {
    let all = directory(containers)?;
    let left = |entry: &crate::fs::DirEntry| entry.name.starts_with(b".");
    if !all.entries(".")?.iter().any(left) {
        return Ok(());
    }
    // Whoever makes or removes one just now holds this.
    let alone = all.dir(".")?;
    if rustix::fs::flock(&alone, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    for entry in all.entries(".")?.into_iter().filter(left) {
        all.remove_tree(OsString::from_vec(entry.name))?;
    }
    Ok(())
}
