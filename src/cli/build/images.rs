//! Base images: from the store, or from their registries when the store has none or is not to be asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::builder::{ImageSource, ImageSourceError, ResolvedImage};
use crate::image::{ManifestDigest, Platform, Reference};
use crate::progress::NullReporter;
use crate::registry::pull::{self, Documents, PullOptions};
use crate::registry::{RegistryClient, Transfer};
use crate::store::{Store, StoreError};

/// Finds images in the store and in registries.
pub struct StoredImages<'a> {
    store: &'a Store,
    /// A client, or why there is none: only who needs it hears of it.
    client: Result<RegistryClient, String>,
    runtime: OnceLock<tokio::runtime::Runtime>,
    /// What was resolved and is not in the store yet.
    remote: Mutex<HashMap<ManifestDigest, (Reference, Documents)>>,
}

impl<'a> StoredImages<'a> {
    /// Looks into `store`, then asks with `client`.
    pub fn new(store: &'a Store, client: Result<RegistryClient, String>) -> Self {
        Self { store, client, runtime: OnceLock::new(), remote: Mutex::default() }
    }

    fn stored(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<Option<ResolvedImage>, ImageSourceError> {
        let image = match self.store.find_image(&reference.to_string(), platform) {
            Err(StoreError::NoImage(_) | StoreError::WrongPlatform { .. }) => return Ok(None),
            other => other?,
        };
        let (config, _) = self.store.config(image.id)?;
        Ok(Some(ResolvedImage {
            name: reference.to_string(),
            manifest: image.manifest,
            id: image.id,
            diff_ids: config.rootfs.diff_ids.clone(),
            config,
        }))
    }

    fn runtime(&self) -> Result<&tokio::runtime::Runtime, ImageSourceError> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        // Steps of several threads share it, so requests go on while nobody waits for them.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(self.runtime.get_or_init(|| runtime))
    }

    fn transfer(&self) -> Result<Transfer, ImageSourceError> {
        let client = self.client.clone()?;
        Ok(Transfer { client, store: self.store.clone(), reporter: Arc::new(NullReporter) })
    }

    fn ask(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> Result<ResolvedImage, ImageSourceError> {
        let options = PullOptions { platform: platform.cloned() };
        let transfer = self.transfer()?;
        let documents = self.runtime()?.block_on(pull::resolve(&transfer, reference, &options))?;
        let manifest = ManifestDigest::of(&documents.manifest_bytes);
        let image = ResolvedImage {
            name: reference.to_string(),
            manifest,
            id: documents.config_id(),
            diff_ids: documents.config.rootfs.diff_ids.clone(),
            config: documents.config.clone(),
        };
        let mut remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        remote.insert(manifest, (reference.clone(), documents));
        Ok(image)
    }
}

impl ImageSource for StoredImages<'_> {
    fn resolve(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<ResolvedImage, ImageSourceError> {
        if !pull && let Some(image) = self.stored(reference, platform)? {
            return Ok(image);
        }
        self.ask(reference, platform)
    }

    fn fetch(&self, image: &ResolvedImage) -> Result<(), ImageSourceError> {
        let remote = || self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        // It stays there meanwhile: another step that wants it too waits for the same layers.
        let found = remote().get(&image.manifest).cloned();
        let Some((reference, documents)) = found else { return Ok(()) };
        let transfer = self.transfer()?;
        let fetched = self.runtime()?.block_on(pull::fetch_resolved(&transfer, &reference, documents));
        if fetched.is_ok() {
            remote().remove(&image.manifest);
        }
        Ok(fetched.map(drop)?)
    }
}
