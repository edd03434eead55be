//! What dead processes leave: things in `tmp/` that nobody locks; cache mounts and context indexes.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use super::super::error::StoreError;
use super::super::file::{GcLock, names, try_lock};
use super::super::partial::is_kept;
use super::super::{Store, layout};
use super::apply::Doomed;
use super::{Plan, Removed};
use crate::fs::{Follow, Root};

/// Directories below each other that are followed when a size is added up.
const MAX_DEPTH: usize = 256;

impl Store {
    /// Deletes what is in `tmp/` and belongs to nobody; returns its size.
    pub(super) fn sweep_debris(&self) -> Result<u64, StoreError> {
        let tmp = self.inner.root.dir(layout::TMP)?;
        let mut bytes = 0;
        for name in names(&tmp, ".")? {
            if is_kept(&tmp, &name) {
                continue;
            }
            // Held until it is gone, so that of two collectors one does it.
            let lock = {
                // Makers lock what they make before they give this lock back.
                let _gc = GcLock::take(&self.inner.root, true)?;
                take_free(&tmp, &name)?
            };
            if lock.is_some() {
                bytes += size_below(&tmp, OsStr::new(&name), 0);
                tmp.remove_tree(&name)?;
            }
        }
        Ok(bytes)
    }

    /// Takes the planned cache mounts that nobody uses.
    pub(super) fn move_mounts(
        &self,
        plan: &Plan,
        doomed: &mut Doomed,
        removed: &mut Removed,
    ) -> Result<(), StoreError> {
        for (mount, size) in &plan.mounts {
            let _gc = GcLock::take(&self.inner.root, true)?;
            let place = format!("{}/{}", layout::CACHE_MOUNTS, mount.name);
            let free = match self.inner.root.dir(&place) {
                Ok(dir) => try_lock(&dir, true, &place)?,
                Err(e) if e.is_not_found() => true,
                Err(e) => return Err(e.into()),
            };
            if free {
                if doomed.take(&self.inner.root, &place)? {
                    removed.bytes += size;
                }
                self.inner.cache(|db| {
                    db.with("cannot forget a cache mount", |c| {
                        c.execute("DELETE FROM cache_mount WHERE name = ?1", [&mount.name])
                    })
                })?;
            }
        }
        Ok(())
    }

    /// Deletes the context indexes; who has one loaded keeps it.
    pub(super) fn drop_contexts(&self, removed: &mut Removed) -> Result<(), StoreError> {
        let dir = self.inner.root.dir(layout::CONTEXTS)?;
        for name in names(&dir, ".")? {
            let size = dir.stat(&name, Follow::No)?.map_or(0, |stat| stat.size);
            match dir.remove_file(&name) {
                Err(e) if !e.is_not_found() => return Err(e.into()),
                _ => removed.bytes += size,
            }
        }
        Ok(())
    }
}

/// Locks a thing that nobody has locked; none if someone has, or if it is gone.
fn take_free(tmp: &Root, name: &str) -> Result<Option<OwnedFd>, StoreError> {
    let Some(stat) = tmp.stat(name, Follow::No)? else { return Ok(None) };
    let opened = if stat.is_dir() {
        tmp.dir(name).and_then(|dir| dir.to_owned_fd())
    } else {
        tmp.open_file_nofollow(name).map(OwnedFd::from)
    };
    let fd = match opened {
        Err(e) if e.is_not_found() => return Ok(None),
        other => other?,
    };
    Ok(try_lock(&fd, true, name)?.then_some(fd))
}

/// Returns the size of a cache mount's files.
pub(super) fn tree_size(store: &Store, name: &str) -> Result<u64, StoreError> {
    let dir = store.inner.root.dir(layout::CACHE_MOUNTS)?;
    Ok(size_below(&dir, OsStr::new(name), 0))
}

/// Adds up sizes; what goes meanwhile, or can't be read, counts nothing.
///
/// It goes down by descriptors, since a step may make paths of any length.
fn size_below(dir: &Root, name: &OsStr, depth: usize) -> u64 {
    let Ok(Some(stat)) = dir.stat(name, Follow::No) else { return 0 };
    if !stat.is_dir() || depth > MAX_DEPTH {
        return stat.size;
    }
    let Ok(below) = dir.dir(name) else { return 0 };
    let entries = below.entries(".").unwrap_or_default();
    entries.iter().map(|entry| size_below(&below, OsStr::from_bytes(&entry.name), depth + 1)).sum()
}
