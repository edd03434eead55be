//! A cache inside an image: the config has the records, the image's layers are the blobs.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Mutex;

use serde_json::Value;

use super::backend::Backend;
use super::entry::{Entry, EntryLayer};
use super::error::SharedCacheError;
use super::remote::Remote;
use super::shares::lock;
use crate::builder::{INLINE_FIELD, SharedRecord};
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Descriptor, DiffId, Digest, Document, ImageConfig, Manifest, Platform, Reference};
use crate::layers::Compression;
use crate::registry::TagOrDigest;
use crate::store::CacheKey;

/// Config types of BuildKit's caches.
const FOREIGN: &str = "application/vnd.buildkit.cacheconfig.";
/// Most records of one image.
const MAX_RECORDS: usize = 100_000;

/// Returns records as they are kept in a config, in the order of their keys.
pub(super) fn records(all: &[(CacheKey, SharedRecord)]) -> Value {
    let mut all: Vec<&(CacheKey, SharedRecord)> = all.iter().collect();
    all.sort_by_key(|(key, _)| *key);
    all.dedup_by_key(|(key, _)| *key);
    let entry = |(key, record): &(CacheKey, SharedRecord)| {
        let layer = |diff_id: &DiffId| EntryLayer { diff_id: *diff_id, blob: None };
        Entry::new(key, record, record.layers.iter().map(layer).collect())
    };
    serde_json::to_value(all.into_iter().map(entry).collect::<Vec<_>>()).expect("entries serialise")
}

/// An image in a registry that may have records.
pub struct InlineCache {
    remote: Remote,
    what: TagOrDigest,
    /// The records, once the image was looked at.
    known: Mutex<Option<HashMap<String, Entry>>>,
}

impl InlineCache {
    /// Returns the cache of an image.
    pub fn new(remote: Remote, reference: &Reference) -> Self {
        Self { remote, what: TagOrDigest::of(reference), known: Mutex::default() }
    }

    fn damaged(&self, reason: impl Into<String>) -> SharedCacheError {
        SharedCacheError::Entry { cache: self.remote.name().to_owned(), reason: reason.into() }
    }

    /// Reads the image's manifest and config; an image without records, or none, has no entries.
    fn load(&self) -> Result<HashMap<String, Entry>, SharedCacheError> {
        let Some(manifest) = self.manifest(&self.what, 0)? else { return Ok(HashMap::new()) };
        if manifest.config.media_type.starts_with(FOREIGN) {
            return Err(self.damaged(
                "it is a cache of BuildKit, whose keys say nothing to this builder; write it anew with --cache-to",
            ));
        }
        let size = manifest.config.size;
        if size > MAX_DOCUMENT as u64 {
            return Err(self.damaged(format!("the image's config has {size} bytes")));
        }
        let mut bytes = Vec::new();
        let config = self.remote.open(&manifest.config)?;
        config.take(size + 1).read_to_end(&mut bytes).map_err(self.remote.io("read"))?;
        if Digest::of(&bytes) != manifest.config.digest {
            return Err(self.damaged("the image's config does not have its digest"));
        }
        let Ok(config) = serde_json::from_slice::<ImageConfig>(&bytes) else { return Ok(HashMap::new()) };
        let Some(records) = config.extra.get(INLINE_FIELD) else { return Ok(HashMap::new()) };
        let entries: Vec<Entry> =
            serde_json::from_value(records.clone()).map_err(|error| self.damaged(error.to_string()))?;
        if entries.len() > MAX_RECORDS || config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(self.damaged("the image's records do not fit its layers"));
        }
        let blobs: HashMap<DiffId, &Descriptor> =
            config.rootfs.diff_ids.iter().copied().zip(&manifest.layers).collect();
        let located = |mut entry: Entry| {
            for layer in &mut entry.layers {
                layer.blob = blobs.get(&layer.diff_id).copied().cloned();
            }
            (entry.key.clone(), entry)
        };
        Ok(entries.into_iter().map(located).collect())
    }

    fn manifest(&self, what: &TagOrDigest, depth: usize) -> Result<Option<Manifest>, SharedCacheError> {
        let Remote { client, repo, .. } = &self.remote;
        let found = match self.remote.wait(client.manifest(repo, what)) {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(self.remote.failed(error)),
        };
        match Document::parse(&found.bytes) {
            Ok(Document::Manifest(manifest)) => Ok(Some(manifest)),
            Ok(Document::Index(index)) if depth < 4 => match index.select(&Platform::host()) {
                Some(child) => self.manifest(&TagOrDigest::Digest(child.digest), depth + 1),
                None => Ok(None),
            },
            Ok(Document::Index(_)) => Err(self.damaged("its indexes are nested too deeply")),
            Err(error) => Err(self.damaged(error.to_string())),
        }
    }

    fn read_only(&self) -> SharedCacheError {
        self.damaged("an image's records are written with the image alone")
    }
}

impl Backend for InlineCache {
    fn name(&self) -> &str {
        self.remote.name()
    }

    fn get(&self, key: &CacheKey) -> Result<Option<Entry>, SharedCacheError> {
        let mut known = lock(&self.known);
        if known.is_none() {
            *known = Some(self.load()?);
        }
        Ok(known.as_ref().and_then(|entries| entries.get(&key.hex()).cloned()))
    }

    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, SharedCacheError> {
        self.remote.open(blob)
    }

    fn put_layer(&self, _: &mut (dyn Read + Send), _: Compression) -> Result<Descriptor, SharedCacheError> {
        Err(self.read_only())
    }

    fn put(&self, _: &CacheKey, _: &Entry) -> Result<(), SharedCacheError> {
        Err(self.read_only())
    }
}
