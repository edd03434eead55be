//! Compressed forms of layers: made once when a layer leaves the machine, then remembered.

use rusqlite::{OptionalExtension as _, params};

use super::error::StoreError;
use super::file::GcLock;
use super::{Store, blob};
use crate::fs::Follow;
use crate::image::{Descriptor, DiffId, Digest};

impl Store {
    /// Returns the blob that holds a layer compressed with these settings, if it was made and is still there.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn compressed(&self, layer: DiffId, settings: &str) -> Result<Option<Descriptor>, StoreError> {
        let found = self.inner.meta(|db| {
            db.with("cannot look up a compressed layer", |c| {
                c.prepare_cached(
                    "SELECT digest, size, media_type FROM compressed WHERE diff_id = ?1 AND settings = ?2",
                )?
                .query_row(params![layer.as_bytes(), settings], |row| {
                    let digest = Digest::from_bytes(row.get(0)?);
                    let size = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                    Ok(Descriptor::new(&row.get::<_, String>(2)?, digest, size))
                })
                .optional()
            })
        })?;
        match found {
            Some(descriptor) if self.blob_size(descriptor.digest)? == Some(descriptor.size) => {
                Ok(Some(descriptor))
            }
            _ => Ok(None),
        }
    }

    /// Remembers that a blob holds a layer compressed with these settings; it stays as long as the layer.
    ///
    /// # Errors
    /// The blob is missing, or the database can't be written.
    pub fn put_compressed(
        &self,
        layer: DiffId,
        settings: &str,
        descriptor: &Descriptor,
    ) -> Result<(), StoreError> {
        self.inner.sync_blob_names()?;
        let _gc = GcLock::take(&self.inner.root, false)?;
        if self.inner.root.stat(blob::blob_name(descriptor.digest), Follow::No)?.is_none() {
            return Err(StoreError::NoBlob(descriptor.digest));
        }
        self.inner.meta(|db| {
            db.write("cannot note a compressed layer", |t| {
                t.prepare_cached(
                    "INSERT OR REPLACE INTO compressed(diff_id, settings, digest, size, media_type)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    layer.as_bytes(),
                    settings,
                    descriptor.digest.as_bytes(),
                    i64::try_from(descriptor.size).unwrap_or(i64::MAX),
                    descriptor.media_type,
                ])?;
                Ok(())
            })
        })
    }
}
