//! Cache mounts: directories that RUN steps of many builds share (`--mount=type=cache`).
//!
//! A directory's own `flock` says who uses it: shared by several, or one
//! alone. `private` takes the first of `<hash>`, `<hash>-1`, ... that is free.

use jiff::Timestamp;
use rusqlite::params;

use super::error::StoreError;
use super::file::{GcLock, lock as lock_file, now, try_lock};
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
        mut fill: impl FnMut(&Root) -> Result<(), E>,
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
            if let Some(mount) = self.inner.enter(&place, sharing)? {
                self.inner.note_mount(&name, id)?;
                return Ok(mount);
            }
            if sharing == Sharing::Private {
                number += 1;
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
    /// Opens and locks a directory; none if it went meanwhile, or is in use and wanted alone.
    fn enter(&self, place: &str, sharing: Sharing) -> Result<Option<CacheMount>, StoreError> {
        let open = || match self.root.dir(place) {
            Err(e) if e.is_not_found() => Ok(None),
            other => other.map(Some),
        };
        let (lock, free) = {
            let _gc = GcLock::take(&self.root, false)?;
            let Some(lock) = open()? else { return Ok(None) };
            let free = try_lock(&lock, sharing != Sharing::Shared, place)?;
            (lock, free)
        };
        match (free, sharing) {
            (true, _) => {}
            (false, Sharing::Private) => return Ok(None),
            (false, _) => lock_file(&lock, sharing == Sharing::Locked, place)?,
        }
        // While we waited it may have been collected, and another one made.
        let Some(root) = open()? else { return Ok(None) };
        let same = super::file::identity(&root, place)? == super::file::identity(&lock, place)?;
        Ok(same.then_some(CacheMount { root, _lock: lock }))
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
