//! Cache mounts: directories that RUN steps of many builds share (`--mount=type=cache`).
//!
//! A directory's own `flock` says who uses it: shared by several, or one
//! alone. `private` takes the first of `<hash>`, `<hash>-1`, ... that is free.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;

use super::error::StoreError;
use super::file::{GcLock, now, try_lock};
use super::image::from_nanos;
use super::tmp::{Temporary, is_taken};
use super::{Inner, Store, layout};
use crate::fs::{Follow, Root};

/// Who may use a cache mount at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Several at once.
    #[default]
    Shared,
    /// One at a time; another gets a directory of its own.
    Private,
    /// One at a time; another waits.
    Locked,
}

/// How long to wait before a busy mount is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// What came of entering a mount.
enum Entered {
    Mine(CacheMount),
    /// Another one has it.
    Busy,
    /// It was collected meanwhile.
    Gone,
}

/// A cache mount in use.
#[derive(Debug)]
pub struct CacheMount {
    root: Root,
    _lock: Root,
}

/// What the store knows of a cache mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMountRecord {
    /// Its directory below `cachemounts/`.
    pub name: String,
    /// The id that was asked for.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was used last.
    pub last_used: Timestamp,
}

impl CacheMount {
    /// Returns the directory.
    pub fn root(&self) -> &Root {
        &self.root
    }
}

impl Store {
    /// Returns the cache mount of an id, filled by `fill` when it is new; it stays while this is held.
    ///
    /// What `fill` makes becomes visible as a whole. The id should tell apart
    /// what must not be mixed, such as other owners or another first content.
    ///
    /// # Errors
    /// The directory can't be made or locked, or `fill` fails.
    pub fn cache_mount<E: From<StoreError>>(
        &self,
        id: &str,
        sharing: Sharing,
        fill: impl FnMut(&Root) -> Result<(), E>,
    ) -> Result<CacheMount, E> {
        self.cache_mount_waiting(id, sharing, fill, || {
            std::thread::sleep(PAUSE);
            Ok(())
        })
    }

    /// As [`Store::cache_mount`]; while another one has the mount, `busy` is called again and again, and
    /// passes some time or gives up.
    ///
    /// # Errors
    /// As [`Store::cache_mount`], or `busy` gives up.
    pub fn cache_mount_waiting<E: From<StoreError>>(
        &self,
        id: &str,
        sharing: Sharing,
        mut fill: impl FnMut(&Root) -> Result<(), E>,
        mut busy: impl FnMut() -> Result<(), E>,
    ) -> Result<CacheMount, E> {
        let base = blake3::hash(id.as_bytes()).to_hex();
        let mut number = 0u32;
        loop {
            let name = if number == 0 { base.to_string() } else { format!("{base}-{number}") };
            let place = format!("{}/{name}", layout::CACHE_MOUNTS);
            if self.inner.root.stat(&place, Follow::No).map_err(StoreError::from)?.is_none() {
                let (mut temporary, root, _guard) = Temporary::directory(&self.inner)?;
                fill(&root)?;
                match temporary.publish(&self.inner.root, &place) {
                    Err(e) if is_taken(&e) => {}
                    other => other?,
                }
            }
            match self.inner.enter(&place, sharing)? {
                Entered::Mine(mount) => {
                    self.inner.note_mount(&name, id)?;
                    return Ok(mount);
                }
                Entered::Busy if sharing == Sharing::Private => number += 1,
                Entered::Busy => busy()?,
                Entered::Gone => {}
            }
        }
    }

    /// Returns every cache mount, the least recently used first.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn cache_mounts(&self) -> Result<Vec<CacheMountRecord>, StoreError> {
        self.inner.cache(|db| {
            db.with("cannot list cache mounts", |c| {
                c.prepare_cached("SELECT name, id, created, used FROM cache_mount ORDER BY used, name")?
                    .query_map([], |row| {
                        Ok(CacheMountRecord {
                            name: row.get(0)?,
                            id: row.get(1)?,
                            created: from_nanos(row.get(2)?),
                            last_used: from_nanos(row.get(3)?),
                        })
                    })?
                    .collect()
            })
        })
    }
}

impl Inner {
    /// Opens and locks a directory, if it is there and free.
    fn enter(&self, place: &str, sharing: Sharing) -> Result<Entered, StoreError> {
        let _gc = GcLock::take(&self.root, false)?;
        let lock = match self.root.dir(place) {
            Err(e) if e.is_not_found() => return Ok(Entered::Gone),
            other => other?,
        };
        if !try_lock(&lock, sharing != Sharing::Shared, place)? {
            return Ok(Entered::Busy);
        }
        Ok(Entered::Mine(CacheMount { root: self.root.dir(place)?, _lock: lock }))
    }

    fn note_mount(&self, name: &str, id: &str) -> Result<(), StoreError> {
        self.cache(|db| {
            db.write("cannot note the use of a cache mount", |t| {
                t.prepare_cached(
                    "INSERT INTO cache_mount(name, id, created, used) VALUES (?1, ?2, ?3, ?3)
                     ON CONFLICT(name) DO UPDATE SET used = excluded.used",
                )?
                .execute(params![name, id, now()])?;
                Ok(())
            })
        })
    }
}
