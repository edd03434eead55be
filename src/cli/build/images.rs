//! Base images from the store; this version asks no registry.

use crate::builder::{ImageSource, ImageSourceError, ResolvedImage};
use crate::image::{Platform, Reference};
use crate::store::{Store, StoreError};

/// Finds images in the store.
pub struct StoredImages<'a> {
    store: &'a Store,
}

/// An image that only a registry could give.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not in the store, and registries are not available in this version: load or import it first")]
struct NotStored(String);

impl<'a> StoredImages<'a> {
    /// Looks into `store`.
    pub fn new(store: &'a Store) -> Self {
        Self { store }
    }
}

impl ImageSource for StoredImages<'_> {
    fn resolve(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        _pull: bool,
    ) -> Result<ResolvedImage, ImageSourceError> {
        let image = match self.store.find_image(&reference.to_string(), platform) {
            Err(StoreError::NoImage(_)) => return Err(Box::new(NotStored(reference.to_string()))),
            other => other?,
        };
        let (config, _) = self.store.config(image.id)?;
        Ok(ResolvedImage {
            name: reference.to_string(),
            manifest: image.manifest,
            id: image.id,
            diff_ids: config.rootfs.diff_ids.clone(),
            config,
        })
    }
}
