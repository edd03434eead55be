//! Results that other machines made: what the builder asks of a shared cache; `shared_cache` answers.
//!
//! A result is found by its key alone and used as a list of layers; their
//! bytes are fetched when something reads them, so a step whose successors are
//! all known costs one look-up and no transfer. What turns out to be gone is
//! made here after all: the build is solved once more without it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::cache_key::StepKey;
use super::error::{BuildError, ErrorKind};
use super::graph::{Graph, VertexIndex};
use super::ops::Ops;
use super::source::ResolvedImage;
use crate::image::DiffId;
use crate::store::{CacheKey, CacheRecord};

/// The key of an image's config under which a cache inside the image has its records.
pub const INLINE_FIELD: &str = "skiff.cache.v1";

/// Why layers can't be had: any error, its chain is shown.
pub type SharedError = Box<dyn std::error::Error + Send + Sync>;

/// What a step gave, as other machines may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedRecord {
    /// The layers that the step added, bottom first.
    pub layers: Vec<DiffId>,
    /// When they were made.
    pub created: Timestamp,
    /// The result as text, where it is no layer.
    pub payload: String,
}

/// What of a result is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// The layers too: the result is part of the image.
    Layers,
    /// What it is, and the layers only if all are asked for: it is on the way to the image.
    Identity,
}

/// A cache that other machines use too; its methods are called from several threads at once.
///
/// What goes wrong with a look-up or in the background is told by the cache itself.
pub trait SharedCache: Send + Sync {
    /// Returns a key's result; with `fetchable` only if its layers can be fetched.
    fn get(&self, key: &CacheKey, fetchable: bool) -> Option<SharedRecord>;

    /// Brings layers of results that were found into the store.
    ///
    /// # Errors
    /// One of them is gone, or can't be transferred.
    fn fetch(&self, layers: &[DiffId]) -> Result<(), SharedError>;

    /// Shares a result, in the background.
    fn put(&self, key: &CacheKey, record: &SharedRecord, share: Share);

    /// Returns what the image's config is to say of the steps, where the image itself is a cache.
    fn inline(&self) -> Option<serde_json::Value>;

    /// Returns the names of the caches that are written.
    fn exports(&self) -> Vec<String>;

    /// Waits until all that was put is written.
    ///
    /// # Errors
    /// Something could not be written.
    fn finish(&self) -> Result<(), SharedError>;
}

/// What one attempt to solve a build has got from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Borrowed {
    /// Whether layers of an earlier attempt were gone.
    pub(super) strict: bool,
    found: Mutex<Vec<(VertexIndex, StepKey, SharedRecord)>>,
}

impl Ops<'_> {
    /// Asks the shared cache for a step's result.
    pub(super) fn borrow_record(&self, vertex: VertexIndex, key: &StepKey) -> Option<SharedRecord> {
        let record = self.env.shared?.get(&key.key, self.borrowed.strict)?;
        self.share(Some(vertex), &key.key, &record);
        let mut found = self.borrowed.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.push((vertex, key.clone(), record.clone()));
        Some(record)
    }

    /// Asks the shared cache what files of steps are, so that they need not be fetched to be looked at.
    pub(super) fn borrow_memo(&self, key: &CacheKey) -> Option<String> {
        Some(self.env.shared?.get(key, false)?.payload)
    }

    /// Tells the shared cache what files of steps are.
    pub(super) fn share_memo(&self, record: &CacheRecord) {
        let shared =
            SharedRecord { layers: Vec::new(), created: record.created, payload: record.payload.clone() };
        self.share(None, &record.key, &shared);
    }

    /// Tells the shared cache a step's result.
    pub(super) fn share(&self, vertex: Option<VertexIndex>, key: &CacheKey, record: &SharedRecord) {
        let Some(shared) = self.env.shared else { return };
        let is_part = vertex.is_some_and(|vertex| self.in_image.contains(&vertex));
        shared.put(key, record, if is_part { Share::Layers } else { Share::Identity });
    }

    /// Sees to it that layers are in the store, wherever they are.
    pub(super) fn ensure(&self, layers: &[DiffId]) -> Result<(), BuildError> {
        let Some(shared) = self.env.shared else { return Ok(()) };
        let mut missing = Vec::new();
        for layer in layers {
            if self.env.store.layer(*layer)?.is_none() {
                missing.push(*layer);
            }
        }
        for image in &self.plan.images {
            if image.diff_ids.iter().any(|layer| missing.contains(layer)) {
                self.fetch_image(image)?;
                missing.retain(|layer| !image.diff_ids.contains(layer));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Ok(shared.fetch(&missing).map_err(ErrorKind::SharedLost)?)
    }

    pub(super) fn fetch_image(&self, image: &ResolvedImage) -> Result<(), BuildError> {
        let fetched = self.env.images.fetch(image);
        Ok(fetched.map_err(|source| ErrorKind::Image { name: image.name.clone(), source })?)
    }

    /// Keeps what was found elsewhere and is now here as if it had been made here.
    pub(super) fn adopt(&self) -> Result<(), BuildError> {
        let found = self.borrowed.found.lock().unwrap_or_else(PoisonError::into_inner);
        for (vertex, key, record) in &*found {
            let mut here = true;
            for layer in &record.layers {
                here &= self.env.store.layer(*layer)?.is_some();
            }
            if here {
                self.keep(*vertex, key, &record.layers, record.created)?;
            }
        }
        Ok(())
    }
}

/// Returns the steps whose layers are the images'.
pub(super) fn steps_of_images(
    graph: &Graph,
    targets: impl Iterator<Item = VertexIndex>,
) -> HashSet<VertexIndex> {
    let chain =
        |target| std::iter::successors(Some(target), |vertex: &VertexIndex| graph.vertices[*vertex].parent);
    targets.flat_map(chain).collect()
}
