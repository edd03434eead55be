//! Results of a bake's builds, as contexts of other builds.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::super::error::CliError;
use crate::builder::export::{self, ImageFormat};
use crate::builder::{ImageSource, ImageSourceError, ResolvedImage, Solved};
use crate::causes::chain;
use crate::image::{ImageConfig, Platform, Reference};
use crate::store::Store;

/// An image for each platform that a target was built for; no platform where none was asked for.
type Images = Vec<(Option<Platform>, ResolvedImage)>;

/// Images by the names of their targets. They are nowhere stored: their layers are.
#[derive(Debug, Default)]
pub struct Results(Mutex<BTreeMap<String, Images>>);

impl Results {
    /// Adds a target's images.
    pub fn add(&self, target: &str, images: Images) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(target.to_owned(), images);
    }

    fn get(&self, target: &str, platform: Option<&Platform>) -> Result<ResolvedImage, String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let images = all.get(target).ok_or_else(|| format!("there is no result of target {target}"))?;
        let found = images.iter().find(|(own, _)| own.as_ref() == platform);
        let only = (images.len() == 1).then(|| images.first()).flatten();
        let found = found.or(only).ok_or_else(|| {
            let asked = platform.map_or_else(|| "no platform".to_owned(), ToString::to_string);
            format!("target {target} was not built for {asked}")
        })?;
        Ok(found.1.clone())
    }

    /// Returns what a build gave.
    ///
    /// # Errors
    /// A layer is gone.
    pub fn of(&self, solved: &Solved, store: &Store) -> Result<Images, CliError> {
        let failed = |error: &dyn std::error::Error| CliError::new(format!("ERROR: {}", chain(error)));
        let images = export::compose(store, solved, &ImageFormat::default()).map_err(|e| failed(&e))?;
        let mut found = Vec::new();
        for (number, image) in images.into_iter().enumerate() {
            let config = ImageConfig::from_json(&image.config).map_err(|e| failed(&e))?;
            let resolved = ResolvedImage {
                name: String::new(),
                manifest: image.digest,
                id: image.id,
                diff_ids: config.rootfs.diff_ids.clone(),
                config,
            };
            found.push((solved.platforms.get(number).cloned(), resolved));
        }
        Ok(found)
    }
}

/// Images of another source, and of targets as `target:NAME`.
pub struct WithTargets<'a> {
    inner: &'a dyn ImageSource,
    results: Option<&'a Results>,
}

impl<'a> WithTargets<'a> {
    /// Puts results in front of another source; none outside of a bake.
    pub fn new(inner: &'a dyn ImageSource, results: Option<&'a Results>) -> Self {
        Self { inner, results }
    }
}

impl ImageSource for WithTargets<'_> {
    fn resolve(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<ResolvedImage, ImageSourceError> {
        self.inner.resolve(reference, platform, pull)
    }

    fn resolve_layout(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<ResolvedImage, ImageSourceError> {
        let Some(target) = name.strip_prefix("target:") else {
            return self.inner.resolve_layout(name, platform);
        };
        let results = self.results.ok_or("target: is understood by bake alone")?;
        let image = results.get(target, platform)?;
        Ok(ResolvedImage { name: name.to_owned(), ..image })
    }

    fn fetch(&self, image: &ResolvedImage) -> Result<(), ImageSourceError> {
        // A result's layers are in the store.
        if image.name.starts_with("target:") { Ok(()) } else { self.inner.fetch(image) }
    }
}
