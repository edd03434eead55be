//! Volumes: `volumes/<name>/` below the store's root. One without a name is in its container's directory.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::super::error::{CliError, chain};
use super::container::Container;
use crate::fs::{Follow, Root, Stat};
use crate::layers::{ChownPolicy, PackOptions, UnpackOptions, pack_tree, unpack};
use crate::store::Store;

/// The volumes of one container.
pub struct Volumes<'a> {
    store: &'a Store,
    /// The image's files, for an empty volume's first content.
    view: &'a Root,
    container: &'a Container,
    chown: ChownPolicy,
    anonymous: usize,
}

impl<'a> Volumes<'a> {
    /// Keeps volumes in `store`; `view` shows the image's files.
    pub fn new(store: &'a Store, view: &'a Root, container: &'a Container, chown: ChownPolicy) -> Self {
        Self { store, view, container, chown, anonymous: 0 }
    }

    /// Returns a volume's directory, made when missing, or the directory `below` in it; an empty volume
    /// gets the image's content of `target`.
    ///
    /// # Errors
    /// The name is none, or the volume can't be made.
    pub fn open(
        &mut self,
        name: Option<&str>,
        target: &Path,
        copy_up: bool,
        below: Option<&str>,
    ) -> Result<OwnedFd, CliError> {
        let volume = match name {
            Some(name) => {
                check(name)?;
                self.volume(&directory(&Root::open(self.store.path())?, "volumes")?, name, target, copy_up)?
            }
            None => {
                let all = directory(self.container.root(), "volumes")?;
                self.anonymous += 1;
                self.volume(&all, &self.anonymous.to_string(), target, copy_up)?
            }
        };
        let volume = match below {
            Some(path) => volume.dir(path)?,
            None => volume,
        };
        Ok(volume.to_owned_fd()?)
    }

    fn volume(&self, all: &Root, name: &str, target: &Path, copy_up: bool) -> Result<Root, CliError> {
        let image = match copy_up {
            true => self.view.stat(target, Follow::Yes).unwrap_or(None).filter(Stat::is_dir),
            false => None,
        };
        let there = existing(all, name)?;
        if let Some(volume) = there
            && (image.is_none() || !volume.entries(".")?.is_empty())
        {
            return Ok(volume);
        }
        // One process makes and fills volumes at a time; the others find them made.
        let lock = all.dir(".")?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)
            .map_err(|e| CliError::new(format!("cannot lock the volumes: {e}")))?;
        match (existing(all, name)?, image) {
            (Some(volume), None) => Ok(volume),
            (Some(volume), Some(_)) if !volume.entries(".")?.is_empty() => Ok(volume),
            (there, image) => self.make(all, name, target, there, image),
        }
    }

    /// Makes a volume beside its place, then moves it there: whole, or if it is there already, entry by entry.
    fn make(
        &self,
        all: &Root,
        name: &str,
        target: &Path,
        there: Option<Root>,
        image: Option<Stat>,
    ) -> Result<Root, CliError> {
        let fresh = format!(".{name}");
        if all.stat(&fresh, Follow::No)?.is_some() {
            all.remove_tree(&fresh)?;
        }
        all.create_dir(&fresh, 0o755)?;
        let made = all.dir(&fresh)?;
        if image.is_some() {
            copy(&self.view.dir(target)?, &made, self.chown)?;
        }
        let place = match &there {
            None => {
                all.rename_new(&fresh, all, name)?;
                made
            }
            Some(volume) => {
                for entry in made.entries(".")? {
                    let entry = PathBuf::from(OsString::from_vec(entry.name));
                    made.rename_to(&entry, volume, &entry)?;
                }
                all.remove_tree(&fresh)?;
                volume.clone()
            }
        };
        match image {
            Some(stat) => {
                if self.chown == ChownPolicy::Exact {
                    all.set_owner(name, stat.uid, stat.gid)?;
                }
                all.set_mode(name, stat.mode & 0o7777)?;
                all.set_times(name, stat.mtime)?;
            }
            None => all.set_mode(name, 0o755)?,
        }
        Ok(place)
    }
}

fn existing(all: &Root, name: &str) -> Result<Option<Root>, CliError> {
    match all.dir(name) {
        Err(error) if error.is_not_found() => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// Opens a directory, made when missing.
fn directory(root: &Root, name: &str) -> Result<Root, CliError> {
    if let Some(found) = existing(root, name)? {
        return Ok(found);
    }
    match root.create_dir(name, 0o711) {
        Err(error) if !error.is_exists() => Err(error.into()),
        _ => Ok(root.dir(name)?),
    }
}

/// Copies a tree with owners, modes, times and what else layers keep.
fn copy(from: &Root, to: &Root, chown: ChownPolicy) -> Result<(), CliError> {
    let failed = |e: &dyn std::error::Error| CliError::new(format!("cannot fill a volume: {}", chain(e)));
    let (mut reader, writer) = std::io::pipe()?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut writer = std::io::BufWriter::with_capacity(256 << 10, writer);
            let packed = pack_tree(from, &mut writer, &PackOptions::default());
            packed.map(|_| writer.flush())
        });
        let unpacked = unpack(&mut reader, to, &UnpackOptions { chown, ..UnpackOptions::default() });
        drop(reader);
        let packed = packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // When unpacking fails, packing does so for want of a reader.
        unpacked.map_err(|e| failed(&e))?;
        packed.map_err(|e| failed(&e))?.map_err(CliError::from)
    })
}

fn check(name: &str) -> Result<(), CliError> {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
    if name.len() > 1 && first && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        return Ok(());
    }
    Err(CliError::new(format!(
        "Error response from daemon: create {name}: {name:?} includes invalid characters for a local volume name, \
         only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )))
}
