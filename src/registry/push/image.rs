//! One image: its layers, its config, and the manifest that names them there.

use std::collections::HashMap;

use futures_util::future::try_join_all;

use super::{Push, Sent};
use crate::image::manifest::media_type;
use crate::image::{Descriptor, DiffId, Digest, Manifest, ManifestDigest, Platform};
use crate::registry::transfer::TransferError;
use crate::store::{ImageRecord, StoreError};

impl Push<'_> {
    /// Sends all that a manifest names; returns the manifest as it is there, which nobody has put yet.
    pub(super) async fn image(
        &self,
        digest: ManifestDigest,
        manifest: Manifest,
        bytes: Vec<u8>,
        notes: &mut Vec<String>,
    ) -> Result<Sent, TransferError> {
        let store = &self.transfer.store;
        let Some(record) = store.image_by_manifest(digest)? else {
            return self.artifact(&manifest, bytes).await;
        };
        let exact = self.is_exact(&record, &manifest)?;
        let mut unique: HashMap<DiffId, &Descriptor> = HashMap::new();
        let pairs: Vec<(DiffId, &Descriptor)> = record.layers.iter().copied().zip(&manifest.layers).collect();
        for (id, blob) in &pairs {
            if unique.insert(*id, blob).is_none() {
                self.transfer.state(&id.as_digest(), crate::progress::TransferState::Preparing);
            }
        }
        let jobs = unique.iter().map(|(id, blob)| async move {
            let sent = self.layer(*id, blob, exact).await?;
            Ok::<_, TransferError>((*id, sent))
        });
        let (layers, config) =
            futures_util::future::try_join(try_join_all(jobs), self.stored_blob(&manifest.config)).await?;
        let () = config;
        let layers: HashMap<DiffId, Descriptor> = layers.into_iter().collect();
        let sent: Vec<Descriptor> = pairs.iter().map(|(id, _)| layers[id].clone()).collect();
        store.know_places(&self.repo.to_string(), &digests(&sent))?;
        let same = sent.iter().map(|blob| blob.digest).eq(manifest.layers.iter().map(|blob| blob.digest));
        let media_type = kind(&manifest).to_owned();
        if same {
            return Ok(Sent { media_type, bytes });
        }
        if exact {
            notes.push(format!(
                "the blobs of {digest} can't be had any more: its layers were compressed anew, \
                 and the image has another digest there"
            ));
        }
        let (bytes, _) = Manifest { layers: sent, ..manifest }.to_json();
        Ok(Sent { media_type, bytes })
    }

    /// Sends one platform of an index.
    pub(super) async fn one_of(
        &self,
        index: ManifestDigest,
        platform: &Platform,
        notes: &mut Vec<String>,
    ) -> Result<Sent, TransferError> {
        let store = &self.transfer.store;
        let found = crate::store::Found { target: index, reference: None };
        let image = store.select_image(&found, Some(platform), &self.repo.to_string())?;
        let (document, bytes) = store.document(image.manifest)?;
        match document {
            crate::image::Document::Manifest(manifest) => {
                self.image(image.manifest, manifest, bytes, notes).await
            }
            crate::image::Document::Index(_) => Err(StoreError::NoManifest(image.manifest).into()),
        }
    }

    /// Whether an image's manifest is to be kept: a registry knows it, or its layers are blobs already.
    fn is_exact(&self, image: &ImageRecord, manifest: &Manifest) -> Result<bool, TransferError> {
        let compressed =
            image.layers.iter().zip(&manifest.layers).any(|(id, blob)| id.as_digest() != blob.digest);
        if compressed {
            return Ok(true);
        }
        let known = |digest: ManifestDigest| -> Result<bool, TransferError> {
            let names = self.transfer.store.repo_digests(digest)?;
            Ok(names.iter().any(|name| name.digest() == Some(digest.as_digest())))
        };
        Ok(known(image.manifest)? || known(self.target)?)
    }

    /// Sends a manifest that is no image, such as an attestation, with its blobs as they are.
    async fn artifact(&self, manifest: &Manifest, bytes: Vec<u8>) -> Result<Sent, TransferError> {
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            self.stored_blob(blob).await?;
        }
        Ok(Sent { media_type: kind(manifest).to_owned(), bytes })
    }
}

/// Returns the media type under which a manifest is sent.
pub(super) fn kind(manifest: &Manifest) -> &str {
    match manifest.media_type.as_str() {
        "" => media_type::OCI_MANIFEST,
        given => given,
    }
}

/// Returns a blob's media type in the family of the manifest that names it.
pub(super) fn family(manifest_layer: &str, blob: &Descriptor) -> Descriptor {
    let docker = manifest_layer.starts_with("application/vnd.docker.");
    let kind = blob.media_type.as_str();
    let (oci_type, docker_type) = match kind {
        k if k.ends_with("gzip") => (media_type::OCI_LAYER_GZIP, media_type::DOCKER_LAYER_GZIP),
        k if k.ends_with("zstd") => (media_type::OCI_LAYER_ZSTD, media_type::DOCKER_LAYER_ZSTD),
        _ => (media_type::OCI_LAYER, media_type::DOCKER_LAYER),
    };
    Descriptor::new(if docker { docker_type } else { oci_type }, blob.digest, blob.size)
}

/// Digest of a blob, for lists.
pub(super) fn digests(blobs: &[Descriptor]) -> Vec<Digest> {
    blobs.iter().map(|blob| blob.digest).collect()
}
