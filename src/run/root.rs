//! The root of a container: an overlay that shows the image, writable or not, with a place for every mount.
//!
//! A mount needs something to stand on. What the image lacks must not become part of the layer, so it is not made
//! in the upper directory but shown by one more lower directory in memory:
//!
//! - usually the lowest, which has `dev`, `proc`, `sys` and, where asked for, the files below `etc`; it is made once
//!   per process and shared;
//! - for other places, or where the image hides the lowest one (a whiteout, a link), the topmost of the lower
//!   directories, made for this root, its directories looking like the image's own.
//!
//! Kernels before 6.15 stack no overlay on a detached mount. There, and where the upper directory itself hides a name,
//! the places are made in the root and removed after the process has ended, if still empty, and the times of
//! their parents put back ([`Created`]).

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::error::RunError;
use super::spec::{Rootfs, UpperDir};
use crate::fs::mount::{self, OverlayOptions};
use crate::fs::{FileKind, Follow, Root, Stat, Time};

/// A place that a mount needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Relative to the root.
    pub path: PathBuf,
    /// A directory, or a file.
    pub directory: bool,
}

/// Files that the shared lowest directory may have, by bit.
const COMMON_FILES: [&str; 3] = ["etc/hosts", "etc/resolv.conf", "etc/hostname"];
const COMMON_DIRECTORIES: [&str; 3] = ["dev", "proc", "sys"];

/// The shared lowest directories by the files that they have, and whether this kernel takes them.
#[derive(Debug)]
pub(super) struct Stubs {
    common: Mutex<HashMap<u8, Arc<OwnedFd>>>,
    usable: AtomicBool,
}

impl Default for Stubs {
    fn default() -> Self {
        Self {
            common: Mutex::default(),
            usable: AtomicBool::new(mount::running_kernel() >= mount::STACKS_ON_DETACHED),
        }
    }
}

/// A root that is ready.
pub(super) struct ReadyRoot {
    pub mount: OwnedFd,
    /// What has to be removed again.
    pub created: Option<Created>,
}

impl Stubs {
    /// Returns stubs that are made in the root itself, as on kernels before 6.15.
    pub fn in_root() -> Self {
        let stubs = Self::default();
        stubs.usable.store(false, Ordering::Relaxed);
        stubs
    }

    /// Mounts the root so that every place of `places` is there.
    pub fn mount(&self, rootfs: &Rootfs, places: &[Place]) -> Result<ReadyRoot, RunError> {
        let lowers: Vec<BorrowedFd<'_>> = rootfs.lowers.iter().map(AsFd::as_fd).collect();
        if let Some(upper) = &rootfs.upper {
            forget_volatile(upper)?;
        }
        let root = self.mount_common(rootfs, &lowers, places)?;
        let missing = missing_places(&root, places)?;
        if missing.is_empty() {
            return Ok(ReadyRoot { mount: root, created: None });
        }
        let root = match self.usable.load(Ordering::Relaxed) {
            true => self.mount_special(rootfs, &lowers, root, places, &missing)?,
            false => root,
        };
        let missing = missing_places(&root, places)?;
        let created = (!missing.is_empty()).then(|| Created::make(&root, &missing)).transpose()?;
        Ok(ReadyRoot { mount: root, created })
    }

    fn mount_common(
        &self,
        rootfs: &Rootfs,
        lowers: &[BorrowedFd<'_>],
        places: &[Place],
    ) -> Result<OwnedFd, RunError> {
        if self.usable.load(Ordering::Relaxed) {
            let stub = self.common(places)?;
            let with: Vec<_> = lowers.iter().copied().chain([stub.as_fd()]).collect();
            match mount_overlay(rootfs, &with) {
                Ok(root) => return Ok(root),
                // Told apart from other reasons by success without it.
                Err(error) => {
                    if let Some(upper) = &rootfs.upper {
                        forget_volatile(upper)?;
                    }
                    match mount_overlay(rootfs, lowers) {
                        Ok(root) => {
                            self.usable.store(false, Ordering::Relaxed);
                            return Ok(root);
                        }
                        Err(_) => return Err(error),
                    }
                }
            }
        }
        mount_overlay(rootfs, lowers)
    }

    fn common(&self, places: &[Place]) -> Result<Arc<OwnedFd>, RunError> {
        let has = |file: &str| places.iter().any(|place| place.path == Path::new(file) && !place.directory);
        let key =
            COMMON_FILES.iter().enumerate().fold(0, |key, (bit, file)| key | u8::from(has(file)) << bit);
        let mut common = self.common.lock().expect("nobody panics with this lock");
        if let Some(found) = common.get(&key) {
            return Ok(Arc::clone(found));
        }
        let fd = mount::tmpfs(None, 0o755).map_err(RunError::mount("places for mounts"))?;
        let root = Root::from_fd(duplicate(&fd)?);
        for directory in COMMON_DIRECTORIES {
            root.create_exact_dir(directory, 0o755)?;
        }
        let wanted = COMMON_FILES.iter().enumerate().filter(|(bit, _)| key & 1 << bit != 0);
        for (_, file) in wanted {
            root.create_dir_all("etc", 0o755)?;
            root.mknod(file, FileKind::File, 0o644, (0, 0))?;
        }
        let fd = Arc::new(fd);
        common.insert(key, Arc::clone(&fd));
        Ok(fd)
    }

    /// Mounts again with a topmost lower directory that has the missing places.
    fn mount_special(
        &self,
        rootfs: &Rootfs,
        lowers: &[BorrowedFd<'_>],
        old: OwnedFd,
        places: &[Place],
        missing: &[Place],
    ) -> Result<OwnedFd, RunError> {
        let fd = mount::tmpfs(None, 0o755).map_err(RunError::mount("places for mounts"))?;
        let stub = Root::from_fd(duplicate(&fd)?);
        let image = Root::from_fd(old);
        copy_directory_looks(&image, &stub, Path::new("."))?;
        for place in missing {
            make_place(&image, &stub, place)?;
        }
        // Making names in them has changed the times.
        for place in missing {
            for parent in place.path.ancestors().skip(1) {
                if let Some(stat) = image.stat(parent, Follow::No)? {
                    stub.set_times(parent, stat.mtime)?;
                }
            }
        }
        drop(image);
        if let Some(upper) = &rootfs.upper {
            forget_volatile(upper)?;
        }
        let common = self.common(places)?;
        let with: Vec<_> =
            [fd.as_fd()].into_iter().chain(lowers.iter().copied()).chain([common.as_fd()]).collect();
        mount_overlay(rootfs, &with)
    }
}

fn make_place(image: &Root, stub: &Root, place: &Place) -> Result<(), RunError> {
    let mut at = PathBuf::new();
    for part in place.path.parent().unwrap_or(Path::new("")).components() {
        at.push(part);
        match stub.create_exact_dir(&at, 0o755) {
            Ok(()) => copy_directory_looks(image, stub, &at)?,
            Err(error) if error.is_exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let made = match place.directory {
        true => stub.create_exact_dir(&place.path, 0o755),
        false => stub.mknod(&place.path, FileKind::File, 0o644, (0, 0)),
    };
    match made {
        Err(error) if !error.is_exists() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Gives a directory of the stub owner, mode and attributes of the image's, which it stands in front of.
fn copy_directory_looks(image: &Root, stub: &Root, path: &Path) -> Result<(), RunError> {
    let Some(stat) = image.stat(path, Follow::No)? else { return Ok(()) };
    if path != Path::new(".") {
        stub.set_owner(path, stat.uid, stat.gid)?;
        stub.set_mode(path, stat.mode)?;
        for (name, value) in image.xattrs(path)? {
            // What this file system can't hold is not worth failing for: it is only seen while the process runs,
            // unless the directory is changed.
            let _ = stub.set_xattr(path, &name, &value);
        }
    }
    Ok(())
}

/// Removes the mark of an earlier volatile mount, which would keep the directories from being mounted again.
fn forget_volatile(upper: &UpperDir) -> Result<(), RunError> {
    if upper.work.stat("work/incompat", Follow::No)?.is_some() {
        upper.work.remove_tree("work/incompat")?;
    }
    Ok(())
}

fn mount_overlay(rootfs: &Rootfs, lowers: &[BorrowedFd<'_>]) -> Result<OwnedFd, RunError> {
    let failed = || RunError::mount("the root");
    match &rootfs.upper {
        None => mount::read_only_view(lowers, rootfs.userxattr).map_err(failed()),
        Some(upper) if lowers.is_empty() => mount::clone_tree(upper.upper.as_fd(), false).map_err(failed()),
        Some(upper) => mount::overlay(&OverlayOptions {
            lowers,
            upper: Some((upper.upper.as_fd(), upper.work.as_fd())),
            volatile: true,
            userxattr: rootfs.userxattr,
        })
        .map_err(failed()),
    }
}

/// Returns the places that are not there, resolved.
fn missing_places(mount: &OwnedFd, places: &[Place]) -> Result<Vec<Place>, RunError> {
    let root = Root::from_fd(duplicate(mount)?);
    let mut missing = Vec::new();
    for place in places {
        if root.stat(&place.path, Follow::Yes)?.is_none() {
            missing.push(Place { path: root.resolve(&place.path)?, directory: place.directory });
        }
    }
    Ok(missing)
}

pub(super) fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, RunError> {
    fd.try_clone().map_err(|e| RunError::setup("duplicate a descriptor", e))
}

/// Places that were made in the root itself.
pub(super) struct Created {
    root: Root,
    /// In the order they were made.
    places: Vec<Place>,
    /// Directories that got a name, with their time before and after.
    parents: Vec<(PathBuf, Time, Time)>,
}

impl Created {
    fn make(mount: &OwnedFd, missing: &[Place]) -> Result<Self, RunError> {
        let root = Root::from_fd(duplicate(mount)?);
        let mut created = Self { root, places: Vec::new(), parents: Vec::new() };
        for place in missing {
            created.make_one(place)?;
        }
        Ok(created)
    }

    fn make_one(&mut self, place: &Place) -> Result<(), RunError> {
        let mut at = PathBuf::new();
        let last = place.path.components().count();
        for (number, part) in place.path.components().enumerate() {
            let parent = at.clone();
            at.push(part);
            let before = self.mtime(&parent)?;
            let directory = number + 1 < last || place.directory;
            let made = match directory {
                true => self.root.create_exact_dir(&at, 0o755),
                false => self.root.mknod(&at, FileKind::File, 0o644, (0, 0)),
            };
            match made {
                Ok(()) => {
                    self.places.push(Place { path: at.clone(), directory });
                    let after = self.mtime(&parent)?;
                    match self.parents.iter_mut().find(|(path, ..)| *path == parent) {
                        Some(known) => known.2 = after,
                        None => self.parents.push((parent, before, after)),
                    }
                }
                Err(error) if error.is_exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn stat(&self, path: &Path) -> Result<Option<Stat>, RunError> {
        Ok(self.root.stat(if path.as_os_str().is_empty() { Path::new(".") } else { path }, Follow::No)?)
    }

    fn mtime(&self, path: &Path) -> Result<Time, RunError> {
        Ok(self.stat(path)?.map(|stat| stat.mtime).unwrap_or_default())
    }

    /// Removes what is still empty and puts the times of parents back that nothing else has changed.
    ///
    /// What can't be removed is left: the process may have changed anything meanwhile.
    pub fn remove(self) {}

    fn undo(&self) {
        let unchanged: Vec<bool> = self
            .parents
            .iter()
            .map(|(path, _, after)| self.mtime(path).is_ok_and(|now| now == *after))
            .collect();
        for place in self.places.iter().rev() {
            let empty = |stat: Stat| stat.is_file() && stat.size == 0;
            let _ = match place.directory {
                true => self.root.remove_dir(&place.path),
                false if self.stat(&place.path).is_ok_and(|s| s.is_some_and(empty)) => {
                    self.root.remove_file(&place.path)
                }
                false => Ok(()),
            };
        }
        for ((path, before, _), _) in self.parents.iter().zip(unchanged).filter(|(_, unchanged)| *unchanged) {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            let _ = self.root.set_times(path, *before);
        }
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        self.undo();
    }
}
