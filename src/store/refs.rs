//! References: names of images and indexes, and the digests that registries know them by.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::Store;
use super::error::StoreError;
use super::file::{GcLock, now};
use super::image::from_nanos;
use crate::image::{Digest, ManifestDigest, Reference};

/// A name and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefRecord {
    /// The name, with a tag and without a digest.
    pub reference: Reference,
    /// A manifest or an index.
    pub target: ManifestDigest,
    /// When the name got this meaning.
    pub tagged: Timestamp,
}

impl Store {
    /// Lets a name mean an image or an index, durably, and returns what it meant before.
    ///
    /// A name without tag gets `latest`; a digest in it is left out. A name that
    /// means it already is left as it is.
    ///
    /// # Errors
    /// The target is not in the store, or the database can't be written.
    pub fn tag(
        &self,
        reference: &Reference,
        target: ManifestDigest,
    ) -> Result<Option<ManifestDigest>, StoreError> {
        let (repository, tag) = split(reference);
        let _gc = GcLock::take(&self.inner.root, false)?;
        // A name that means it already costs no sync; what it means is known to be there.
        if self.resolve_tag(reference)? == Some(target) {
            return Ok(Some(target));
        }
        let old = self.inner.meta(|db| {
            db.write("cannot tag an image", |t| {
                if !is_known(t, target)? {
                    return Ok(None);
                }
                let old = lookup(t, &repository, &tag)?;
                t.prepare_cached(
                    "INSERT INTO ref(repository, tag, target, tagged) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET target = excluded.target, tagged = excluded.tagged",
                )?
                .execute(params![repository, tag, target.as_bytes(), now()])?;
                Ok(Some(old))
            })
        })?;
        old.ok_or(StoreError::NoManifest(target))
    }

    /// Takes a name away and returns what it meant; the image stays.
    ///
    /// # Errors
    /// The database can't be written.
    pub fn untag(&self, reference: &Reference) -> Result<Option<ManifestDigest>, StoreError> {
        let (repository, tag) = split(reference);
        self.inner.meta(|db| {
            db.write("cannot untag an image", |t| {
                let old = lookup(t, &repository, &tag)?;
                t.prepare_cached("DELETE FROM ref WHERE repository = ?1 AND tag = ?2")?
                    .execute([&repository, &tag])?;
                Ok(old)
            })
        })
    }

    /// Returns what a name means.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn resolve_tag(&self, reference: &Reference) -> Result<Option<ManifestDigest>, StoreError> {
        let (repository, tag) = split(reference);
        self.inner.meta(|db| db.read("cannot look up a reference", |t| lookup(t, &repository, &tag)))
    }

    /// Returns every name, sorted.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn refs(&self) -> Result<Vec<RefRecord>, StoreError> {
        self.inner.meta(|db| db.read("cannot list references", list_refs))
    }

    /// Returns the names of one manifest or index, sorted.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn refs_of(&self, target: ManifestDigest) -> Result<Vec<RefRecord>, StoreError> {
        self.inner.meta(|db| {
            db.read("cannot list references", |t| {
                t.prepare_cached(
                    "SELECT repository, tag, target, tagged FROM ref WHERE target = ?1
                     ORDER BY repository, tag",
                )?
                .query_map([target.as_bytes()], ref_row)?
                .collect()
            })
        })
    }

    /// Notes that a registry knows an image or index of the store as `repository@digest`.
    ///
    /// # Errors
    /// The target is not in the store, or the database can't be written.
    pub fn add_repo_digest(
        &self,
        repository: &Reference,
        digest: Digest,
        target: ManifestDigest,
    ) -> Result<(), StoreError> {
        let _gc = GcLock::take(&self.inner.root, false)?;
        let repository = repository.repository();
        // What is noted already costs no sync.
        let noted = self.inner.meta(|db| {
            db.read("cannot look up a repository digest", |t| {
                let named = t
                    .prepare_cached("SELECT target FROM repo_digest WHERE repository = ?1 AND digest = ?2")?
                    .query_row(params![repository, digest.as_bytes()], |row| {
                        row.get(0).map(ManifestDigest::from_bytes)
                    })
                    .optional()?;
                Ok(named == Some(target) && is_known(t, target)?)
            })
        })?;
        if noted {
            return Ok(());
        }
        let known = self.inner.meta(|db| {
            db.write("cannot note a repository digest", |t| {
                if !is_known(t, target)? {
                    return Ok(false);
                }
                t.prepare_cached(
                    "INSERT INTO repo_digest(repository, digest, target) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET target = excluded.target",
                )?
                .execute(params![repository, digest.as_bytes(), target.as_bytes()])?;
                Ok(true)
            })
        })?;
        if known { Ok(()) } else { Err(StoreError::NoManifest(target)) }
    }

    /// Returns the `repository@digest` names of one manifest or index, sorted.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn repo_digests(&self, target: ManifestDigest) -> Result<Vec<Reference>, StoreError> {
        let all = self.inner.meta(|db| db.read("cannot list repository digests", list_digests))?;
        Ok(all.into_iter().filter(|(_, t)| *t == target).map(|(name, _)| name).collect())
    }
}

/// Returns a name's two columns.
pub(super) fn split(reference: &Reference) -> (String, String) {
    (reference.repository(), reference.tag().unwrap_or("latest").to_owned())
}

pub(super) fn lookup(
    t: &Transaction<'_>,
    repository: &str,
    tag: &str,
) -> rusqlite::Result<Option<ManifestDigest>> {
    t.prepare_cached("SELECT target FROM ref WHERE repository = ?1 AND tag = ?2")?
        .query_row([repository, tag], |row| row.get(0).map(ManifestDigest::from_bytes))
        .optional()
}

/// Whether a digest names an image or an index of the store.
pub(super) fn is_known(t: &Transaction<'_>, digest: ManifestDigest) -> rusqlite::Result<bool> {
    t.prepare_cached(
        "SELECT EXISTS(SELECT 1 FROM image WHERE manifest = ?1)
             OR EXISTS(SELECT 1 FROM image_index WHERE digest = ?1)",
    )?
    .query_row([digest.as_bytes()], |row| row.get(0))
}

pub(super) fn list_refs(t: &Transaction<'_>) -> rusqlite::Result<Vec<RefRecord>> {
    t.prepare_cached("SELECT repository, tag, target, tagged FROM ref ORDER BY repository, tag")?
        .query_map([], ref_row)?
        .collect()
}

pub(super) fn list_digests(t: &Transaction<'_>) -> rusqlite::Result<Vec<(Reference, ManifestDigest)>> {
    t.prepare_cached("SELECT repository, digest, target FROM repo_digest ORDER BY repository, digest")?
        .query_map([], |row| {
            let name = format!("{}@{}", row.get::<_, String>(0)?, Digest::from_bytes(row.get(1)?));
            Ok((parse(0, &name)?, ManifestDigest::from_bytes(row.get(2)?)))
        })?
        .collect()
}

fn ref_row(row: &Row<'_>) -> rusqlite::Result<RefRecord> {
    let name = format!("{}:{}", row.get::<_, String>(0)?, row.get::<_, String>(1)?);
    Ok(RefRecord {
        reference: parse(0, &name)?,
        target: ManifestDigest::from_bytes(row.get(2)?),
        tagged: from_nanos(row.get(3)?),
    })
}

fn parse(column: usize, name: &str) -> rusqlite::Result<Reference> {
    Reference::parse(name).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(e))
    })
}
