//! Copy: images between registries, OCI layouts, archives and the store, byte for byte and without unpacking.
//!
//! ```text
//! docker://NAME[:TAG|@DIGEST]   a registry
//! oci:DIR[:TAG]                 an OCI layout
//! oci-archive:FILE[:TAG]        the same as a tar
//! docker-archive:FILE[:NAME]    what `docker save` writes and `docker load` reads
//! store:NAME[:TAG]              this machine's store
//! ```
//!
//! What is copied is what the name means: a whole index with its attestations,
//! unless a platform is asked for. Digests stay; whoever takes the bytes checks
//! them, and a blob that is there already does not move.

mod archive;
mod layout;
mod legacy;
mod place;
mod source;
mod store;
mod stream;
mod target;

use std::collections::HashSet;

pub use place::Place;
use source::Source;
use target::Target;

use super::pull::is_foreign;
use super::push::{PushOptions, push_as};
use super::transfer::{Transfer, TransferError};
use crate::image::{Descriptor, Digest, Document, Platform, Reference};
use crate::progress::TransferState;

/// How deep indexes may stand in indexes.
const MAX_DEPTH: usize = 4;

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Digest of what the name means.
    pub digest: Digest,
    /// Size of its document.
    pub size: u64,
    /// What the user should know, e.g. that platforms are missing.
    pub notes: Vec<String>,
}

/// A document on its way.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Vec<u8>,
    pub(super) document: Document,
}

/// Copies what `from` names to `to`; only one platform of an index if one is asked for.
///
/// # Errors
/// See [`TransferError`]; the target's name changes only when everything is there.
pub async fn copy(
    transfer: &Transfer,
    from: &Place,
    to: &Place,
    platform: Option<&Platform>,
) -> Result<Copied, TransferError> {
    let _lease = transfer.store.lease()?;
    if let (Place::Store(name), Place::Registry(to)) = (from, to) {
        return sent(transfer, name, to, platform).await;
    }
    let source = Source::open(transfer, from)?;
    let mut notes = Vec::new();
    let mut root = source.root().await?;
    let missing = match platform {
        Some(_) => None,
        None => missing(&source, &root)?,
    };
    if let Some(missing) = missing {
        notes.push(format!(
            "Not all multiplatform-content is present and only the available single-platform image \
             was copied: {missing} is not here"
        ));
        root = chosen(&source, root, &Platform::host()).await?;
    }
    if let Some(platform) = platform {
        root = chosen(&source, root, platform).await?;
    }
    if let Place::Store(name) = to {
        store::check(&root, name)?;
    }
    let mut documents = Vec::new();
    collect(&source, root, 0, &mut documents).await?;
    let target = Target::open(transfer, to)?;
    know_places(transfer, &source, &documents)?;
    move_blobs(transfer, &source, &target, &documents).await?;
    // Children come before what names them, the root last.
    let (root, children) = documents.split_last().expect("the root is among them");
    for child in children {
        target.document(child).await?;
    }
    let (digest, size) = (root.descriptor.digest, root.bytes.len() as u64);
    target.finish(&source, root, &documents).await?;
    Ok(Copied { digest, size, notes })
}

/// Moves every blob once, manifest by manifest.
async fn move_blobs(
    transfer: &Transfer,
    source: &Source<'_>,
    target: &Target<'_>,
    documents: &[Doc],
) -> Result<(), TransferError> {
    let mut seen = HashSet::new();
    for doc in documents {
        let Document::Manifest(manifest) = &doc.document else { continue };
        let blobs = manifest.layers.iter().chain([&manifest.config]).filter(|blob| seen.insert(blob.digest));
        let mut wanted: Vec<Descriptor> = Vec::new();
        for blob in blobs {
            // What its licence keeps out of registries is named, not copied.
            if is_foreign(&blob.media_type) && !source.has_blob(blob).await {
                transfer.state(&blob.digest, TransferState::Exists);
                continue;
            }
            transfer.state(&blob.digest, TransferState::Waiting);
            wanted.push(blob.clone());
        }
        target.blobs(source, doc, &wanted).await?;
    }
    Ok(())
}

/// Remembers which repository has the blobs, for mounts.
fn know_places(transfer: &Transfer, source: &Source<'_>, documents: &[Doc]) -> Result<(), TransferError> {
    let Some((_, repo)) = source.registry() else { return Ok(()) };
    let mut blobs = Vec::new();
    for doc in documents {
        if let Document::Manifest(manifest) = &doc.document {
            blobs.extend(manifest.layers.iter().chain([&manifest.config]).map(|blob| blob.digest));
        }
    }
    Ok(transfer.store.know_places(&repo.to_string(), &blobs)?)
}

/// Copies an image of the store to a registry, which is a push under another name.
async fn sent(
    transfer: &Transfer,
    name: &Reference,
    to: &Reference,
    platform: Option<&Platform>,
) -> Result<Copied, TransferError> {
    let target = transfer.store.find(&name.to_string())?.target;
    let options = PushOptions { platform: platform.cloned(), ..PushOptions::default() };
    let pushed = push_as(transfer, target, std::slice::from_ref(to), &options).await?;
    Ok(Copied { digest: pushed.digest, size: pushed.size, notes: pushed.notes })
}

/// Returns the first platform of an index that its place does not have.
fn missing(source: &Source<'_>, root: &Doc) -> Result<Option<String>, TransferError> {
    let Document::Index(index) = &root.document else { return Ok(None) };
    for child in &index.manifests {
        if !source.has(child.digest)? {
            let platform = child.platform.as_ref().map(Platform::to_string);
            return Ok(Some(platform.unwrap_or_else(|| child.digest.to_string())));
        }
    }
    Ok(None)
}

/// Returns the one image of an index that serves a platform.
async fn chosen(source: &Source<'_>, root: Doc, platform: &Platform) -> Result<Doc, TransferError> {
    let mut doc = root;
    for _ in 0..=MAX_DEPTH {
        let Document::Index(index) = &doc.document else { return Ok(doc) };
        let child = index.select(platform);
        let child = child.ok_or_else(|| TransferError::Platform { platform: platform.to_string() })?;
        doc = source.document(child).await?;
    }
    let digest = doc.descriptor.digest;
    Err(TransferError::Inconsistent { digest, reason: "indexes stand too deep in each other".to_owned() })
}

/// Collects a document and all that it leads to, children first.
async fn collect(
    source: &Source<'_>,
    doc: Doc,
    depth: usize,
    into: &mut Vec<Doc>,
) -> Result<(), TransferError> {
    if depth > MAX_DEPTH {
        let digest = doc.descriptor.digest;
        let reason = "indexes stand too deep in each other".to_owned();
        return Err(TransferError::Inconsistent { digest, reason });
    }
    if let Document::Index(index) = &doc.document {
        for child in &index.manifests {
            if into.iter().any(|known| known.descriptor.digest == child.digest) {
                continue;
            }
            let child = source.document(child).await?;
            Box::pin(collect(source, child, depth + 1, into)).await?;
        }
    }
    into.push(doc);
    Ok(())
}
