//! Images and indexes: rows over the manifests and configs that are kept as blobs.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use super::error::StoreError;
use super::file::{GcLock, now};
use super::{Inner, Store, blob, layer};
use crate::fs::Follow;
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{
    Descriptor, DiffId, Digest, Document, ImageConfig, ImageId, Index, Manifest, ManifestDigest, Platform,
};

/// What the store knows of an image without reading its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// Digest of its manifest.
    pub manifest: ManifestDigest,
    /// Digest of its config, the id that lists show.
    pub id: ImageId,
    /// When it was created, as its config says.
    pub created: Option<Timestamp>,
    /// When it came into the store.
    pub added: Timestamp,
    /// Sum of the sizes of its layers, uncompressed where they are stored so.
    pub size: u64,
    /// What it runs on.
    pub platform: Platform,
    /// Its layers, bottom first.
    pub layers: Vec<DiffId>,
    /// The layers' digests in the manifest, bottom first.
    pub blobs: Vec<Digest>,
}

/// An index of images for several platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexRecord {
    /// Digest of the index.
    pub digest: ManifestDigest,
    /// When it came into the store.
    pub added: Timestamp,
    /// Its children in order; not every one needs to be in the store.
    pub children: Vec<ManifestDigest>,
}

impl Store {
    /// Stores an image: its config, its manifest, and a row that keeps all that they name.
    ///
    /// Every layer must be there, as a layer or as the blob that the manifest names.
    ///
    /// # Errors
    /// The documents don't parse, contradict each other, or name a missing layer.
    pub fn put_image(&self, config: &[u8], manifest: &[u8]) -> Result<ImageRecord, StoreError> {
        let digest = ManifestDigest::of(manifest);
        let (parsed, document) = check_documents(digest, config, manifest)?;
        self.put_blob(config)?;
        self.put_blob(manifest)?;
        self.inner.sync_blob_names()?;
        let id = ImageId::of_config(config);
        let _gc = GcLock::take(&self.inner.root, false)?;
        let size = self.inner.present_size(digest, &parsed.rootfs.diff_ids, &document.layers)?;
        for part in [id.as_digest(), digest.as_digest()] {
            if self.inner.root.stat(blob::blob_name(part), Follow::No)?.is_none() {
                return Err(StoreError::NoBlob(part));
            }
        }
        let record = ImageRecord {
            manifest: digest,
            id,
            created: parsed.created.as_deref().and_then(|text| text.parse().ok()),
            added: from_nanos(now()),
            size,
            platform: parsed.platform(),
            layers: parsed.rootfs.diff_ids,
            blobs: document.layers.iter().map(|layer| layer.digest).collect(),
        };
        // An unchanged image costs no sync; nobody takes its row away while the lock is shared.
        match self.image_by_manifest(digest)? {
            Some(old) if old.size == size => return Ok(old),
            _ => self.inner.meta(|db| db.write("cannot store an image", |t| insert_image(t, &record)))?,
        }
        Ok(record)
    }

    /// Stores an index; its children may come before it, after it, or never.
    ///
    /// # Errors
    /// The document is no index, or can't be stored.
    pub fn put_index(&self, index: &[u8]) -> Result<ManifestDigest, StoreError> {
        let digest = ManifestDigest::of(index);
        let document = match Document::parse(index) {
            Ok(Document::Index(document)) => document,
            Ok(Document::Manifest(_)) => {
                return Err(StoreError::Inconsistent { digest, reason: "it is no index".to_owned() });
            }
            Err(source) => return Err(StoreError::Manifest { digest, source }),
        };
        self.put_blob(index)?;
        self.inner.sync_blob_names()?;
        let _gc = GcLock::take(&self.inner.root, false)?;
        if self.inner.root.stat(blob::blob_name(digest.as_digest()), Follow::No)?.is_none() {
            return Err(StoreError::NoBlob(digest.as_digest()));
        }
        self.inner.meta(|db| db.write("cannot store an index", |t| insert_index(t, digest, &document)))?;
        Ok(digest)
    }

    /// Returns every image, one for each manifest, newest first.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn images(&self) -> Result<Vec<ImageRecord>, StoreError> {
        self.inner.meta(|db| {
            db.with("cannot list images", |c| {
                let sql = format!("{SELECT} ORDER BY created DESC, added DESC, manifest");
                c.prepare_cached(&sql)?.query_map([], image_row)?.collect()
            })
        })
    }

    /// Returns every index.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn indexes(&self) -> Result<Vec<IndexRecord>, StoreError> {
        self.inner.meta(|db| db.read("cannot list indexes", list_indexes))
    }

    /// Returns an image by the digest of its manifest.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn image_by_manifest(&self, digest: ManifestDigest) -> Result<Option<ImageRecord>, StoreError> {
        self.inner.meta(|db| {
            db.with("cannot look up an image", |c| {
                let sql = format!("{SELECT} WHERE manifest = ?1");
                c.prepare_cached(&sql)?.query_row([digest.as_bytes()], image_row).optional()
            })
        })
    }

    /// Returns an image by its id; of several manifests with one config, the one that came first.
    ///
    /// # Errors
    /// The database can't be read.
    pub fn image(&self, id: ImageId) -> Result<Option<ImageRecord>, StoreError> {
        self.inner.meta(|db| {
            db.with("cannot look up an image", |c| {
                let sql = format!("{SELECT} WHERE id = ?1 ORDER BY added, manifest LIMIT 1");
                c.prepare_cached(&sql)?.query_row([id.as_bytes()], image_row).optional()
            })
        })
    }

    /// Returns an image's config and its exact bytes.
    ///
    /// # Errors
    /// The blob is missing, damaged, or does not parse.
    pub fn config(&self, id: ImageId) -> Result<(ImageConfig, Vec<u8>), StoreError> {
        let digest = id.as_digest();
        let bytes = self.read_blob(digest, MAX_DOCUMENT as u64)?;
        let config =
            ImageConfig::from_json(&bytes).map_err(|source| StoreError::Config { digest, source })?;
        Ok((config, bytes))
    }

    /// Returns a manifest or an index and its exact bytes.
    ///
    /// # Errors
    /// The blob is missing, damaged, or does not parse.
    pub fn document(&self, digest: ManifestDigest) -> Result<(Document, Vec<u8>), StoreError> {
        let bytes = self.read_blob(digest.as_digest(), MAX_DOCUMENT as u64)?;
        let document = Document::parse(&bytes).map_err(|source| StoreError::Manifest { digest, source })?;
        Ok((document, bytes))
    }
}

impl Inner {
    /// Returns the size of all layers of an image, each of which must be there.
    fn present_size(
        &self,
        digest: ManifestDigest,
        diff_ids: &[DiffId],
        layers: &[Descriptor],
    ) -> Result<u64, StoreError> {
        if diff_ids.len() != layers.len() {
            let reason = format!("its config has {} layers, its manifest {}", diff_ids.len(), layers.len());
            return Err(StoreError::Inconsistent { digest, reason });
        }
        let mut size = 0u64;
        for (diff_id, descriptor) in diff_ids.iter().zip(layers) {
            let stored = match self.root.dir(layer::layer_name(*diff_id)) {
                Ok(dir) => layer::State::read(&dir)?.size,
                Err(e) if !e.is_not_found() => return Err(e.into()),
                Err(_) => match self.root.stat(blob::blob_name(descriptor.digest), Follow::No)? {
                    Some(stat) => stat.size,
                    None => return Err(StoreError::NoLayer(*diff_id)),
                },
            };
            size = size.saturating_add(stored);
        }
        Ok(size)
    }
}

fn check_documents(
    digest: ManifestDigest,
    config: &[u8],
    manifest: &[u8],
) -> Result<(ImageConfig, Manifest), StoreError> {
    let document = match Document::parse(manifest) {
        Ok(Document::Manifest(document)) => document,
        Ok(Document::Index(_)) => {
            return Err(StoreError::Inconsistent { digest, reason: "it is an index".to_owned() });
        }
        Err(source) => return Err(StoreError::Manifest { digest, source }),
    };
    let id = Digest::of(config);
    if document.config.digest != id {
        let reason = format!("its manifest names config {}, not {id}", document.config.digest);
        return Err(StoreError::Inconsistent { digest, reason });
    }
    if document.config.size != config.len() as u64 {
        let reason =
            format!("its manifest gives the config {} bytes, not {}", document.config.size, config.len());
        return Err(StoreError::Inconsistent { digest, reason });
    }
    let parsed =
        ImageConfig::from_json(config).map_err(|source| StoreError::Config { digest: id, source })?;
    Ok((parsed, document))
}

const SELECT: &str = "SELECT manifest, id, created, added, size, platform, layers, blobs FROM image";

fn insert_image(t: &Transaction<'_>, record: &ImageRecord) -> rusqlite::Result<()> {
    let layers: Vec<u8> = record.layers.iter().flat_map(|id| *id.as_bytes()).collect();
    let blobs: Vec<u8> = record.blobs.iter().flat_map(|id| *id.as_bytes()).collect();
    t.prepare_cached(
        "INSERT INTO image(manifest, id, created, added, size, platform, layers, blobs)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT(manifest) DO UPDATE SET size = excluded.size",
    )?
    .execute(params![
        record.manifest.as_bytes(),
        record.id.as_bytes(),
        record.created.map(to_nanos),
        to_nanos(record.added),
        i64::try_from(record.size).unwrap_or(i64::MAX),
        serde_json::to_string(&record.platform).expect("a platform holds only texts"),
        layers,
        blobs,
    ])?;
    Ok(())
}

fn insert_index(t: &Transaction<'_>, digest: ManifestDigest, index: &Index) -> rusqlite::Result<()> {
    let added = t
        .prepare_cached("INSERT INTO image_index(digest, added) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![digest.as_bytes(), now()])?;
    if added == 0 {
        return Ok(());
    }
    let mut insert = t.prepare_cached(
        "INSERT INTO index_child(parent, position, child, platform) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (position, child) in index.manifests.iter().enumerate() {
        insert.execute(params![
            digest.as_bytes(),
            i64::try_from(position).unwrap_or(i64::MAX),
            child.digest.as_bytes(),
            child.platform.as_ref().map(Platform::to_string),
        ])?;
    }
    Ok(())
}

pub(super) fn list_indexes(t: &Transaction<'_>) -> rusqlite::Result<Vec<IndexRecord>> {
    let mut children =
        t.prepare_cached("SELECT child FROM index_child WHERE parent = ?1 ORDER BY position")?;
    let mut list = t.prepare_cached("SELECT digest, added FROM image_index ORDER BY added DESC, digest")?;
    let rows = list.query_map([], |row| Ok((row.get::<_, [u8; 32]>(0)?, row.get(1)?)))?;
    rows.map(|row| {
        let (digest, added) = row?;
        let children = children
            .query_map([digest], |row| row.get(0).map(ManifestDigest::from_bytes))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(IndexRecord { digest: ManifestDigest::from_bytes(digest), added: from_nanos(added), children })
    })
    .collect()
}

pub(super) fn list_images(t: &Transaction<'_>) -> rusqlite::Result<Vec<ImageRecord>> {
    t.prepare_cached(SELECT)?.query_map([], image_row)?.collect()
}

fn image_row(row: &Row<'_>) -> rusqlite::Result<ImageRecord> {
    let platform: String = row.get(5)?;
    let damaged = |column, what: &'static str| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, what.into())
    };
    Ok(ImageRecord {
        manifest: ManifestDigest::from_bytes(row.get(0)?),
        id: ImageId::from_bytes(row.get(1)?),
        created: row.get::<_, Option<i64>>(2)?.map(from_nanos),
        added: from_nanos(row.get(3)?),
        size: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
        platform: serde_json::from_str(&platform).map_err(|_| damaged(5, "not a platform"))?,
        layers: split_ids(&row.get::<_, Vec<u8>>(6)?, DiffId::from_bytes)
            .ok_or_else(|| damaged(6, "not a list of ids"))?,
        blobs: split_ids(&row.get::<_, Vec<u8>>(7)?, Digest::from_bytes)
            .ok_or_else(|| damaged(7, "not a list of ids"))?,
    })
}

/// Reads ids that stand one behind the other.
pub(super) fn split_ids<T>(bytes: &[u8], make: impl Fn([u8; 32]) -> T) -> Option<Vec<T>> {
    let (ids, []) = bytes.as_chunks::<32>() else { return None };
    Some(ids.iter().map(|id| make(*id)).collect())
}

pub(super) fn from_nanos(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) fn to_nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH {
        i64::MIN
    } else {
        i64::MAX
    })
}
