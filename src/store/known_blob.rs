//! What transfers remember, so that the next one moves less: which blob a layer was or became, where
//! registries have it, and which uploads were begun.
//!
//! All of it stands in `cache.db` and may be lost: then bytes move that need not have.
//! The bytes of a layer that was compressed lie beside it, `layers/<diff id>/blob.<hex>`, and go with it.

use std::fs::File;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use super::file::now;
use super::partial::Partial;
use super::{Store, layer};
use crate::image::{Descriptor, DiffId, Digest};

/// Blobs are remembered at this many places each.
const PLACES: usize = 16;

impl Store {
    /// Remembers that a blob unpacks to a layer; `settings` say how it was made here, if it was.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn know_blob(
        &self,
        layer: DiffId,
        blob: &Descriptor,
        settings: Option<&str>,
    ) -> Result<(), StoreError> {
        self.inner.cache(|db| {
            db.with("cannot remember a layer's blob", |c| {
                c.prepare_cached(
                    "INSERT OR REPLACE INTO layer_blob(diff_id, digest, size, media_type, settings)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    layer.as_bytes(),
                    blob.digest.as_bytes(),
                    i64::try_from(blob.size).unwrap_or(i64::MAX),
                    blob.media_type,
                    settings.unwrap_or_default(),
                ])?;
                Ok(())
            })
        })
    }

    /// Returns the blob that a layer became with these settings, wherever its bytes are now.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn known_blob(&self, layer: DiffId, settings: &str) -> Result<Option<Descriptor>, StoreError> {
        self.inner.cache(|db| {
            db.with("cannot look up a layer's blob", |c| {
                c.prepare_cached(
                    "SELECT digest, size, media_type FROM layer_blob WHERE diff_id = ?1 AND settings = ?2",
                )?
                .query_row(params![layer.as_bytes(), settings], |row| {
                    let size = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                    let digest = Digest::from_bytes(row.get(0)?);
                    Ok(Descriptor::new(&row.get::<_, String>(2)?, digest, size))
                })
                .optional()
            })
        })
    }

    /// Remembers that a registry has blobs in a repository (`domain/path`).
    ///
    /// # Errors
    /// The database can't be written.
    pub fn know_places(&self, repository: &str, blobs: &[Digest]) -> Result<(), StoreError> {
        self.inner.cache(|db| {
            db.write("cannot remember where blobs are", |t| {
                let mut insert = t.prepare_cached(
                    "INSERT OR REPLACE INTO blob_place(digest, repository, seen) VALUES (?1, ?2, ?3)",
                )?;
                for blob in blobs {
                    insert.execute(params![blob.as_bytes(), repository, now()])?;
                }
                Ok(())
            })
        })
    }

    /// Returns the repositories of one registry (`domain`) that had a blob, the latest first.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn known_places(&self, domain: &str, blob: Digest) -> Result<Vec<String>, StoreError> {
        self.places(blob, Some(domain))
    }

    /// Returns the repositories of any registry that had a blob, the latest first.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn all_places(&self, blob: Digest) -> Result<Vec<String>, StoreError> {
        self.places(blob, None)
    }

    fn places(&self, blob: Digest, domain: Option<&str>) -> Result<Vec<String>, StoreError> {
        let all: Vec<String> = self.inner.cache(|db| {
            db.with("cannot look up where a blob is", |c| {
                c.prepare_cached("SELECT repository FROM blob_place WHERE digest = ?1 ORDER BY seen DESC")?
                    .query_map([blob.as_bytes()], |row| row.get(0))?
                    .collect()
            })
        })?;
        let there = |place: &String| {
            domain.is_none_or(|domain| place.split_once('/').is_some_and(|(first, _)| first == domain))
        };
        Ok(all.into_iter().filter(there).take(PLACES).collect())
    }

    /// Remembers where an upload goes on; the location is the registry's and may be a secret.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn note_upload(&self, repository: &str, what: &str, location: &str) -> Result<(), StoreError> {
        self.inner.cache(|db| {
            db.with("cannot remember an upload", |c| {
                c.prepare_cached(
                    "INSERT OR REPLACE INTO upload(repository, what, location, begun) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![repository, what, location, now()])?;
                Ok(())
            })
        })
    }

    /// Returns where an upload that was begun goes on.
    ///
    /// # Errors
    /// The index can't be read.
    pub fn upload(&self, repository: &str, what: &str) -> Result<Option<String>, StoreError> {
        self.inner.cache(|db| {
            db.with("cannot look up an upload", |c| {
                c.prepare_cached("SELECT location FROM upload WHERE repository = ?1 AND what = ?2")?
                    .query_row([repository, what], |row| row.get(0))
                    .optional()
            })
        })
    }

    /// Returns where an upload that was begun goes on, and forgets it.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn take_upload(&self, repository: &str, what: &str) -> Result<Option<String>, StoreError> {
        self.inner.cache(|db| {
            db.with("cannot look up an upload", |c| {
                c.prepare_cached("DELETE FROM upload WHERE repository = ?1 AND what = ?2 RETURNING location")?
                    .query_row([repository, what], |row| row.get(0))
                    .optional()
            })
        })
    }

    /// Keeps the bytes of a layer's blob beside the layer; a layer that went meanwhile keeps nothing.
    ///
    /// The partial has to be finished once nobody reads it.
    ///
    /// # Errors
    /// The file can't be moved.
    pub fn keep_blob(&self, layer: DiffId, blob: Digest, bytes: &Partial) -> Result<(), StoreError> {
        match self.inner.root.dir(layer::layer_name(layer)) {
            Ok(dir) => bytes.give(&dir, &blob_name(blob)),
            Err(e) if e.is_not_found() => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Opens the bytes of a layer's blob; nobody has checked them since they were made.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn kept_blob(&self, layer: DiffId, blob: &Descriptor) -> Result<Option<File>, StoreError> {
        let name = format!("{}/{}", layer::layer_name(layer), blob_name(blob.digest));
        let file = match self.inner.root.open_file(name) {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        // After a crash it may be shorter than it was.
        Ok(file.metadata().is_ok_and(|m| m.len() == blob.size).then_some(file))
    }

    /// Throws away the bytes of a layer's blob, which turned out to be others.
    ///
    /// # Errors
    /// The file can't be removed.
    pub fn drop_blob(&self, layer: DiffId, blob: Digest) -> Result<(), StoreError> {
        let name = format!("{}/{}", layer::layer_name(layer), blob_name(blob));
        match self.inner.root.remove_file(name) {
            Err(e) if !e.is_not_found() => Err(e.into()),
            _ => Ok(()),
        }
    }
}

fn blob_name(blob: Digest) -> String {
    format!("blob.{}", blob.hex())
}

/// The tables of this file.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS layer_blob(
  diff_id BLOB NOT NULL,
  digest BLOB NOT NULL,
  size INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  settings TEXT NOT NULL,
  PRIMARY KEY(diff_id, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blob_place(
  digest BLOB NOT NULL,
  repository TEXT NOT NULL,
  seen INTEGER NOT NULL,
  PRIMARY KEY(digest, repository)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS upload(
  repository TEXT NOT NULL,
  what TEXT NOT NULL,
  location TEXT NOT NULL,
  begun INTEGER NOT NULL,
  PRIMARY KEY(repository, what)
) WITHOUT ROWID;
PRAGMA user_version = 2;
";

/// Adds the tables to a database that has none of them.
pub(super) fn migrate(c: &Connection, version: i64) -> rusqlite::Result<()> {
    if version < 2 { c.execute_batch(SCHEMA) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;

    #[test]
    fn blobs_places_and_uploads_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &StoreOptions::default()).unwrap();
        let layer = DiffId::from_bytes([1; 32]);
        let blob = Descriptor::new("type", Digest::of(b"x"), 1);
        store.know_blob(layer, &blob, Some("gzip 4")).unwrap();
        assert_eq!(store.known_blob(layer, "gzip 4").unwrap(), Some(blob.clone()));
        assert_eq!(store.known_blob(layer, "zstd 3").unwrap(), None);
        store.know_places("a.test/x", &[blob.digest]).unwrap();
        store.know_places("b.test/x", &[blob.digest]).unwrap();
        assert_eq!(store.known_places("a.test", blob.digest).unwrap(), ["a.test/x"]);
        assert_eq!(store.all_places(blob.digest).unwrap(), ["b.test/x", "a.test/x"]);
        store.note_upload("a.test/x", "w", "http://a.test/1").unwrap();
        assert_eq!(store.take_upload("a.test/x", "w").unwrap().as_deref(), Some("http://a.test/1"));
        assert_eq!(store.take_upload("a.test/x", "w").unwrap(), None);
    }
}
