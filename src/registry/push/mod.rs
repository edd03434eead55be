//! Push: an image of the store into a registry.
//!
//! ```text
//! layer: known blob? -> there? -> mounted? -> bytes here, or from where it came -> upload
//!        unknown     -> compressed into a partial, and sent behind the compressor
//! then the config, then manifests, then what the tag names
//! ```
//!
//! An image that came from a registry keeps its manifest as long as its blobs
//! can be had. A built image's layers are compressed on the way, once: the blob
//! is kept beside the layer and remembered, so that an unchanged push only asks
//! whether everything is there.

mod bytes;
mod image;
mod index;
mod layer;
mod scale;
mod upload;

use std::sync::Arc;

pub(super) use bytes::Bytes as LayerBytes;
pub use layer::settings_of;

use super::client::{Repository, TagOrDigest};
use super::transfer::{Gates, Transfer, TransferError};
use crate::image::{Descriptor, Digest, Document, ManifestDigest, Platform, Reference};
use crate::layers::Compression;

/// How an image is pushed.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// How layers are compressed that were not.
    pub compression: Compression,
    /// Push this platform of an index alone.
    pub platform: Option<Platform>,
    /// Leave tags alone: what was pushed is there under its digest.
    pub by_digest: bool,
}

/// What a push made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of what the tag names in the registry now.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What the user should know: that the manifest is another one than was pulled, or platforms are missing.
    pub notes: Vec<String>,
}

/// Pushes what `reference` (with a tag) names here to the registry and repository of that name.
///
/// # Errors
/// See [`TransferError`]; what was sent stays there, an interrupted blob is taken up by the next push.
pub async fn push(
    transfer: &Transfer,
    reference: &Reference,
    options: &PushOptions,
) -> Result<Pushed, TransferError> {
    let target = transfer.store.resolve_tag(reference)?;
    let target = target.ok_or_else(|| TransferError::NoTag(reference.familiar_repository()))?;
    push_as(transfer, target, std::slice::from_ref(reference), options).await
}

/// Pushes an image or index of the store under names of one repository.
///
/// # Errors
/// See [`TransferError`].
pub async fn push_as(
    transfer: &Transfer,
    target: ManifestDigest,
    names: &[Reference],
    options: &PushOptions,
) -> Result<Pushed, TransferError> {
    let Some(first) = names.first() else {
        return Err(TransferError::Refused("there is no name to push to".to_owned()));
    };
    let _lease = transfer.store.lease()?;
    let repo = Repository::of(first);
    let job = Push { transfer, repo: &repo, options, gates: Arc::new(Gates::new()), target };
    let (document, bytes) = transfer.store.document(target)?;
    let mut notes = Vec::new();
    let sent = match (document, &options.platform) {
        (Document::Index(_), Some(platform)) => job.one_of(target, platform, &mut notes).await?,
        (Document::Index(index), None) => job.index(&index, &bytes, &mut notes).await?,
        (Document::Manifest(manifest), _) => job.image(target, manifest, bytes, &mut notes).await?,
    };
    for name in names {
        let place = match options.by_digest {
            true => TagOrDigest::Digest(sent.digest()),
            false => TagOrDigest::Tag(name.tag().unwrap_or("latest").to_owned()),
        };
        job.put(&place, &sent).await?;
        transfer.store.add_repo_digest(name, sent.digest(), target)?;
    }
    Ok(Pushed { digest: sent.digest(), size: sent.bytes.len() as u64, notes })
}

/// A document as it goes to the registry.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

impl Sent {
    fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    fn descriptor(&self, like: &Descriptor) -> Descriptor {
        Descriptor { digest: self.digest(), size: self.bytes.len() as u64, ..like.clone() }
    }
}

/// One push.
pub(super) struct Push<'a> {
    pub(super) transfer: &'a Transfer,
    pub(super) repo: &'a Repository,
    pub(super) options: &'a PushOptions,
    pub(super) gates: Arc<Gates>,
    pub(super) target: ManifestDigest,
}

impl Push<'_> {
    /// Puts a manifest under a tag or its digest, unless it is there already.
    pub(super) async fn put(&self, name: &TagOrDigest, sent: &Sent) -> Result<(), TransferError> {
        let client = &self.transfer.client;
        let there = client.head_manifest(self.repo, name).await.ok().flatten();
        if there.and_then(|head| head.digest) == Some(sent.digest()) {
            return Ok(());
        }
        let bytes = sent.bytes.clone().into();
        client.put_manifest(self.repo, name, &sent.media_type, bytes).await.map_err(TransferError::push)?;
        Ok(())
    }
}
