//! Pull: an image from a registry into the store, in one pass.
//!
//! ```text
//! manifest -> index -> manifest -> config -> layers that are not here
//!    each: ranges of the blob -> partial -> digest, decompression -> layer.tar + index
//! ```
//!
//! A layer's blob passes through a [`Partial`](crate::store::Partial): bytes
//! that came are there for whoever continues, this process after a broken
//! connection or another one after a kill. Unpacking reads behind the network
//! and ends when the last byte has come. The blob itself is not kept; what it
//! was is remembered.

mod documents;
mod fetch;
mod layers;

use std::sync::Arc;

pub(super) use documents::parse;
pub use documents::{Documents, PullOptions};
pub(super) use fetch::Fetch;
pub(super) use layers::{is_foreign, one as fetch_layer, unpacked};

use super::client::{Repository, TagOrDigest};
use super::transfer::{Gates, Transfer, TransferError};
use crate::image::{Digest, ManifestDigest, Platform, Reference};
use crate::store::{ImageRecord, StoreError};

/// What a pull brought.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The image, for the platform.
    pub image: ImageRecord,
    /// The digest under which the registry knows it; an index's where there is one.
    pub digest: Digest,
    /// Whether the name meant something else here before, or nothing.
    pub newer: bool,
}

/// Pulls what `reference` names and lets the name mean it.
///
/// A reference with a digest gets no name, only a repository digest.
///
/// # Errors
/// See [`TransferError`]; what came is kept for the next attempt, no name changes.
pub async fn pull(
    transfer: &Transfer,
    reference: &Reference,
    options: &PullOptions,
) -> Result<Pulled, TransferError> {
    let _lease = transfer.store.lease()?;
    if let Some(known) = unchanged(transfer, reference, options).await? {
        return Ok(known);
    }
    let documents = documents::fetch(transfer, reference, options).await?;
    let repo = Repository::of(reference);
    layers::fetch_all(transfer, &repo, &documents, &Arc::new(Gates::new())).await?;
    record(transfer, reference, documents).await
}

/// Returns the config and identity of an image without its layers.
///
/// # Errors
/// See [`TransferError`].
pub async fn resolve(
    transfer: &Transfer,
    reference: &Reference,
    options: &PullOptions,
) -> Result<Documents, TransferError> {
    documents::fetch(transfer, reference, options).await
}

/// Fetches the layers of a resolved image and records it and its name.
///
/// # Errors
/// See [`TransferError`].
pub async fn fetch_resolved(
    transfer: &Transfer,
    reference: &Reference,
    documents: Documents,
) -> Result<Pulled, TransferError> {
    let _lease = transfer.store.lease()?;
    let repo = Repository::of(reference);
    layers::fetch_all(transfer, &repo, &documents, &Arc::new(Gates::new())).await?;
    record(transfer, reference, documents).await
}

/// Returns the image that the name means here, if the registry says that it is still the one.
async fn unchanged(
    transfer: &Transfer,
    reference: &Reference,
    options: &PullOptions,
) -> Result<Option<Pulled>, TransferError> {
    let store = &transfer.store;
    let found = match store.find(&reference.to_string()) {
        Err(StoreError::NoImage(_)) => return Ok(None),
        other => other?,
    };
    let known = store.repo_digests(found.target)?;
    let repository = reference.repository();
    let known = known.iter().filter(|name| name.repository() == repository).filter_map(Reference::digest);
    let known: Vec<Digest> = known.chain([found.target.as_digest()]).collect();
    let digest = match reference.digest() {
        Some(digest) => digest,
        None => {
            let (repo, tag) = (Repository::of(reference), TagOrDigest::of(reference));
            let head = transfer.client.head_manifest(&repo, &tag).await;
            // Whatever is wrong, asking for the manifest itself says it better.
            let Ok(Some(head)) = head else { return Ok(None) };
            let Some(digest) = head.digest else { return Ok(None) };
            digest
        }
    };
    if !known.contains(&digest) {
        return Ok(None);
    }
    let host = Platform::host();
    let wanted = options.platform.as_ref().or(Some(&host));
    let single = store.image_by_manifest(found.target)?.is_some();
    let wanted = if single { options.platform.as_ref() } else { wanted };
    let image = match store.select_image(&found, wanted, &reference.familiar()) {
        Err(StoreError::WrongPlatform { .. }) => return Ok(None),
        other => other?,
    };
    for layer in &image.layers {
        if store.layer(*layer)?.is_none() {
            return Ok(None);
        }
    }
    store.add_repo_digest(reference, digest, found.target)?;
    Ok(Some(Pulled { image, digest, newer: false }))
}

/// Records the image, its index and its name.
async fn record(
    transfer: &Transfer,
    reference: &Reference,
    documents: Documents,
) -> Result<Pulled, TransferError> {
    let reference = reference.clone();
    transfer
        .beside(move |store| {
            let image = store.put_image(&documents.config_bytes, &documents.manifest_bytes)?;
            for index in documents.indexes.iter().rev() {
                store.put_index(index)?;
            }
            let target = ManifestDigest::from_bytes(*documents.digest.as_bytes());
            store.add_repo_digest(&reference, documents.digest, target)?;
            store.know_places(&reference.repository(), &image.blobs)?;
            let before = match reference.digest() {
                Some(_) => None,
                None => store.tag(&reference, target)?,
            };
            Ok(Pulled { image, digest: documents.digest, newer: before != Some(target) })
        })
        .await
}
