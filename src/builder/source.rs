//! Where base images come from; `cli` plugs in the store, later a registry.

use crate::image::{DiffId, ImageConfig, ImageId, ManifestDigest, Platform, Reference};

/// Why an image cannot be had: any error, its chain is shown.
pub type ImageSourceError = Box<dyn std::error::Error + Send + Sync>;

/// A base image as its metadata says.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedImage {
    /// What to show, e.g. `docker.io/library/debian:bookworm`.
    pub name: String,
    /// Digest of its manifest.
    pub manifest: ManifestDigest,
    /// Digest of its config.
    pub id: ImageId,
    /// Its config.
    pub config: ImageConfig,
    /// Its layers, bottom first.
    pub diff_ids: Vec<DiffId>,
}

/// Finds images by name.
pub trait ImageSource: Send + Sync {
    /// Returns what an image is, without its layers; `pull` asks the registry even if the store has one.
    ///
    /// # Errors
    /// There is none, or none for the platform when one is asked for.
    fn resolve(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<ResolvedImage, ImageSourceError>;

    /// Returns what an image of an OCI layout is (`oci-layout://DIRECTORY[:TAG][@DIGEST]`), or the
    /// result of another build (`target:NAME`).
    ///
    /// # Errors
    /// There is no such layout or image, or this source knows none.
    fn resolve_layout(
        &self,
        name: &str,
        _platform: Option<&Platform>,
    ) -> Result<ResolvedImage, ImageSourceError> {
        Err(format!("{name}: OCI layouts are not read here").into())
    }

    /// Sees to it that the image's layers are in the store; the usual case is that they are.
    ///
    /// # Errors
    /// They can't be fetched.
    fn fetch(&self, _image: &ResolvedImage) -> Result<(), ImageSourceError> {
        Ok(())
    }
}
