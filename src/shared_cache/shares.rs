//! The caches of one build: asked in order, told in the background.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;

use super::backend::Backend;
use super::entry::Entry;
use super::error::SharedCacheError;
use super::options::Mode;
use super::upload::Uploads;
use crate::builder::{Share, SharedCache, SharedError, SharedRecord};
use crate::image::{Descriptor, DiffId};
use crate::layers::{self, Compression, SinkOptions};
use crate::progress::{Event, Reporter};
use crate::store::{CacheKey, LayerForm, Store};

/// A cache to read.
pub struct Import {
    backend: Arc<dyn Backend>,
    /// Set by the first failure; a cache that fails is not asked again.
    broken: AtomicBool,
}

impl Import {
    /// Reads a cache.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, broken: AtomicBool::new(false) }
    }
}

/// A cache to write.
pub struct Export {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) mode: Mode,
    pub(super) compression: Compression,
    pub(super) ignore_error: bool,
}

impl Export {
    /// Writes a cache as its options say.
    pub fn new(backend: Arc<dyn Backend>, spec: &super::CacheSpec) -> Self {
        Self { backend, mode: spec.mode, compression: spec.compression, ignore_error: spec.ignore_error }
    }
}

/// What is known of the layers of entries that were found.
pub(super) struct Known {
    pub(super) store: Store,
    imports: Vec<Import>,
    places: Mutex<HashMap<DiffId, Place>>,
}

#[derive(Clone)]
struct Place {
    backend: Arc<dyn Backend>,
    blob: Descriptor,
    /// Held while the layer is fetched, so that nobody else fetches it too.
    turn: Arc<Mutex<()>>,
}

/// The caches of one build.
pub struct Shares<'a> {
    known: Arc<Known>,
    uploads: Option<Uploads>,
    /// What the image's config will say, if it is to say something.
    inline: Option<Mutex<Vec<(CacheKey, SharedRecord)>>>,
    reporter: &'a dyn Reporter,
}

impl<'a> Shares<'a> {
    /// Returns the caches that a build reads and writes.
    pub fn new(
        store: &Store,
        imports: Vec<Import>,
        exports: Vec<Export>,
        reporter: &'a dyn Reporter,
    ) -> Self {
        let known = Arc::new(Known { store: store.clone(), imports, places: Mutex::default() });
        let uploads = (!exports.is_empty()).then(|| Uploads::new(Arc::clone(&known), exports));
        Self { known, uploads, inline: None, reporter }
    }

    /// Returns the same caches, and the image itself as one to write.
    #[must_use]
    pub fn with_inline(mut self) -> Self {
        self.inline = Some(Mutex::default());
        self
    }

    /// Leaves the cache alone that a layer could not be fetched from.
    fn give_up(&self, layer: DiffId, error: &SharedCacheError) {
        let Some(place) = lock(&self.known.places).get(&layer).cloned() else { return };
        let import = self.known.imports.iter().find(|import| Arc::ptr_eq(&import.backend, &place.backend));
        if let Some(import) = import {
            self.warn(import, error);
        }
    }

    fn warn(&self, import: &Import, error: &SharedCacheError) {
        if !import.broken.swap(true, Ordering::Relaxed) {
            let text = crate::causes::chain(error);
            let message = format!("cache import from {} is given up: {text}", import.backend.name());
            self.reporter.report(Event::Warning { vertex: None, message });
        }
    }
}

impl SharedCache for Shares<'_> {
    fn get(&self, key: &CacheKey, fetchable: bool) -> Option<SharedRecord> {
        for import in &self.known.imports {
            if import.broken.load(Ordering::Relaxed) {
                continue;
            }
            match import.backend.get(key) {
                Ok(Some(entry)) if entry.is_fetchable() || !fetchable => {
                    self.known.note(&import.backend, &entry);
                    return Some(entry.record());
                }
                Ok(_) => {}
                Err(error) => self.warn(import, &error),
            }
        }
        None
    }

    fn fetch(&self, layers: &[DiffId]) -> Result<(), SharedError> {
        Ok(layers.par_iter().try_for_each(|layer| {
            self.known.fetch(*layer).inspect_err(|error| self.give_up(*layer, error))
        })?)
    }

    fn put(&self, key: &CacheKey, record: &SharedRecord, share: Share) {
        if let Some(inline) = &self.inline {
            lock(inline).push((*key, record.clone()));
        }
        if let Some(uploads) = &self.uploads {
            uploads.put(*key, record.clone(), share);
        }
    }

    fn inline(&self) -> Option<serde_json::Value> {
        self.inline.as_ref().map(|all| super::inline::records(&lock(all)))
    }

    fn exports(&self) -> Vec<String> {
        self.uploads.as_ref().map(Uploads::names).unwrap_or_default()
    }

    fn finish(&self) -> Result<(), SharedError> {
        match &self.uploads {
            Some(uploads) => Ok(uploads.finish()?),
            None => Ok(()),
        }
    }
}

impl Known {
    fn note(&self, backend: &Arc<dyn Backend>, entry: &Entry) {
        let mut places = lock(&self.places);
        for layer in &entry.layers {
            if let Some(blob) = &layer.blob {
                places.entry(layer.diff_id).or_insert_with(|| Place {
                    backend: Arc::clone(backend),
                    blob: blob.clone(),
                    turn: Arc::default(),
                });
            }
        }
    }

    /// Brings a layer into the store, unless it is there.
    pub(super) fn fetch(&self, diff_id: DiffId) -> Result<(), SharedCacheError> {
        if self.store.layer(diff_id)?.is_some() {
            return Ok(());
        }
        let place = lock(&self.places).get(&diff_id).cloned().ok_or(SharedCacheError::Gone(diff_id))?;
        let _turn = lock(&place.turn);
        if self.store.layer(diff_id)?.is_some() {
            return Ok(());
        }
        let cache = || place.backend.name().to_owned();
        let options = SinkOptions { index: self.store.form()?.0 == LayerForm::Index };
        let draft = self.store.begin_layer()?;
        // One byte more than there should be shows a blob that is too long.
        let bytes = place.backend.open(&place.blob)?.take(place.blob.size.saturating_add(1));
        let (digest, written) = layers::store_blob(draft.root(), bytes, options)
            .map_err(|source| SharedCacheError::Layer { diff_id, cache: cache(), source })?;
        if digest != place.blob.digest {
            return Err(SharedCacheError::WrongBlob {
                cache: cache(),
                expected: place.blob.digest,
                found: digest,
            });
        }
        if written.diff_id != diff_id {
            let reason = format!("blob {digest} unpacks to {}, not to {diff_id}", written.diff_id);
            return Err(SharedCacheError::Entry { cache: cache(), reason });
        }
        draft.commit(diff_id, written.size)?;
        Ok(())
    }
}

pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
