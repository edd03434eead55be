//! One state of the metadata, and what it needs.

use std::collections::{HashMap, HashSet};

use super::super::cache::CacheRecord;
use super::super::error::StoreError;
use super::super::file::names;
use super::super::image::{IndexRecord, list_images, list_indexes};
use super::super::lease::Item;
use super::super::refs::{list_digests, list_refs};
use super::super::{ImageRecord, RefRecord, Store, layer, layout};
use crate::fs::Follow;
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{DiffId, Digest, Document, ImageId, ManifestDigest, Reference};

/// One state of the metadata.
#[derive(Debug)]
pub(super) struct View {
    pub(super) images: Vec<ImageRecord>,
    pub(super) indexes: Vec<IndexRecord>,
    pub(super) refs: Vec<RefRecord>,
    pub(super) digests: Vec<(Reference, ManifestDigest)>,
    pub(super) records: Vec<CacheRecord>,
    /// Compressed forms of layers.
    pub(super) compressed: Vec<(DiffId, Digest)>,
}

/// What something needs.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) layers: HashSet<DiffId>,
    pub(super) blobs: HashSet<Digest>,
}

impl View {
    /// Reads the metadata.
    pub(super) fn load(store: &Store) -> Result<Self, StoreError> {
        let records = store.cache_records()?;
        store.inner.meta(|db| {
            db.read("cannot read the images", |t| {
                let compressed = t
                    .prepare_cached("SELECT diff_id, digest FROM compressed")?
                    .query_map([], |row| {
                        Ok((DiffId::from_bytes(row.get(0)?), Digest::from_bytes(row.get(1)?)))
                    })?
                    .collect::<rusqlite::Result<_>>()?;
                Ok(Self {
                    images: list_images(t)?,
                    indexes: list_indexes(t)?,
                    refs: list_refs(t)?,
                    digests: list_digests(t)?,
                    records,
                    compressed,
                })
            })
        })
    }

    /// Returns every manifest and index that a name, or an index with a name, leads to.
    pub(super) fn named(&self) -> HashSet<ManifestDigest> {
        self.reached(self.refs.iter().map(|r| r.target))
    }

    /// Returns these manifests and indexes, and all that the indexes lead to.
    pub(super) fn reached(&self, from: impl IntoIterator<Item = ManifestDigest>) -> HashSet<ManifestDigest> {
        let children: HashMap<ManifestDigest, &[ManifestDigest]> =
            self.indexes.iter().map(|index| (index.digest, index.children.as_slice())).collect();
        let mut seen = HashSet::new();
        let mut todo: Vec<ManifestDigest> = from.into_iter().collect();
        while let Some(digest) = todo.pop() {
            if seen.insert(digest) {
                todo.extend(children.get(&digest).copied().unwrap_or_default());
            }
        }
        seen
    }

    /// Returns the manifests of one image: those that share its config.
    pub(super) fn manifests_of(&self, id: ImageId) -> impl Iterator<Item = &ImageRecord> {
        self.images.iter().filter(move |image| image.id == id)
    }

    /// Returns what is needed once the rows that the caller names are gone.
    pub(super) fn live(
        &self,
        store: &Store,
        gone: &HashSet<ManifestDigest>,
        dropped: &HashSet<super::super::CacheKey>,
        leased: &HashSet<Item>,
    ) -> Live {
        let mut live = Live::default();
        for image in self.images.iter().filter(|image| !gone.contains(&image.manifest)) {
            live.add_image(image);
        }
        let known: HashSet<ManifestDigest> = self.images.iter().map(|image| image.manifest).collect();
        for index in self.indexes.iter().filter(|index| !gone.contains(&index.digest)) {
            live.blobs.insert(index.digest.as_digest());
            for child in index.children.iter().filter(|child| !known.contains(child) && !gone.contains(child))
            {
                live.add_foreign(store, *child);
            }
        }
        for record in self.records.iter().filter(|record| !dropped.contains(&record.key)) {
            live.layers.extend(&record.layers);
        }
        for item in leased {
            match item {
                Item::Blob(digest) => live.blobs.insert(*digest),
                Item::Layer(id) => live.layers.insert(*id),
            };
        }
        let layers = &live.layers;
        let compressed = self.compressed.iter().filter(|(id, _)| layers.contains(id));
        live.blobs.extend(compressed.map(|(_, digest)| *digest));
        live
    }
}

impl Live {
    /// Adds what an image needs.
    pub(super) fn add_image(&mut self, image: &ImageRecord) {
        self.layers.extend(&image.layers);
        self.blobs.extend(&image.blobs);
        self.blobs.insert(image.id.as_digest());
        self.blobs.insert(image.manifest.as_digest());
    }

    /// Adds a child of an index that is no image here, such as an attestation, and what it names.
    fn add_foreign(&mut self, store: &Store, child: ManifestDigest) {
        let digest = child.as_digest();
        self.blobs.insert(digest);
        let name = super::super::blob::blob_name(digest);
        // A child that is missing or damaged needs nothing.
        let Ok(bytes) = store.inner.root.read(name, MAX_DOCUMENT) else { return };
        if let Ok(Document::Manifest(manifest)) = Document::parse(&bytes) {
            self.blobs.insert(manifest.config.digest);
            self.blobs.extend(manifest.layers.iter().map(|layer| layer.digest));
        }
    }
}

/// Returns the layers on the disk.
pub(super) fn stored_layers(store: &Store) -> Result<Vec<DiffId>, StoreError> {
    let names = names(&store.inner.root, layout::LAYERS)?;
    Ok(names.iter().filter_map(|name| DiffId::from_hex(name)).collect())
}

/// Returns the blobs on the disk.
pub(super) fn stored_blobs(store: &Store) -> Result<Vec<Digest>, StoreError> {
    let names = names(&store.inner.root, layout::BLOBS)?;
    Ok(names.iter().filter_map(|name| Digest::from_hex(name)).collect())
}

/// Returns the size that a layer was stored with; none if it is not there.
pub(super) fn layer_size(store: &Store, id: DiffId) -> Result<Option<u64>, StoreError> {
    match store.inner.root.dir(layer::layer_name(id)) {
        Ok(dir) => Ok(Some(layer::State::read(&dir)?.size)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Returns a blob's size without leasing it; none if it is not there.
pub(super) fn blob_size(store: &Store, digest: Digest) -> Result<Option<u64>, StoreError> {
    let name = super::super::blob::blob_name(digest);
    Ok(store.inner.root.stat(name, Follow::No)?.map(|stat| stat.size))
}
