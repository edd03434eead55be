//! Where documents and blobs come from.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use super::super::client::{Repository, TagOrDigest};
use super::super::pull::parse;
use super::super::push::LayerBytes;
use super::super::transfer::{Transfer, TransferError};
use super::archive;
use super::layout::{Files, LayoutDir};
use super::stream::{feed, pipe};
use super::{Doc, Place};
use crate::image::manifest::{MAX_DOCUMENT, media_type};
use crate::image::{Descriptor, DiffId, Digest, Document, ManifestDigest, Reference};

/// A place to copy from.
pub(super) struct Source<'a> {
    pub(super) transfer: &'a Transfer,
    from: From,
}

enum From {
    Registry(Reference, Repository),
    Files { files: Box<dyn Files>, tag: Option<String> },
    Store { name: Reference, layers: Mutex<HashMap<Digest, DiffId>> },
}

impl<'a> Source<'a> {
    pub(super) fn open(transfer: &'a Transfer, place: &Place) -> Result<Self, TransferError> {
        let from = match place {
            Place::Registry(name) => From::Registry(name.clone(), Repository::of(name)),
            Place::Layout { dir, tag } => {
                From::Files { files: Box::new(LayoutDir::open(dir)?), tag: tag.clone() }
            }
            Place::OciArchive { file, tag } => From::Files { files: archive::open(file)?, tag: tag.clone() },
            Place::DockerArchive { file, name } => {
                let files = archive::open(file)?;
                From::Files { files, tag: name.as_ref().map(ToString::to_string) }
            }
            Place::Store(name) => From::Store { name: name.clone(), layers: Mutex::default() },
        };
        Ok(Self { transfer, from })
    }

    /// Returns the name in a registry that is copied.
    pub(super) fn registry(&self) -> Option<(&Reference, &Repository)> {
        match &self.from {
            From::Registry(name, repo) => Some((name, repo)),
            _ => None,
        }
    }

    /// Returns what the name means.
    pub(super) async fn root(&self) -> Result<Doc, TransferError> {
        match &self.from {
            From::Registry(name, repo) => {
                let fetched = self.transfer.client.manifest(repo, &TagOrDigest::of(name)).await;
                let fetched = fetched.map_err(|error| TransferError::manifest(name, error))?;
                let document = parse(name, &fetched)?;
                let kind = kind(&document, &fetched.media_type);
                let descriptor = Descriptor::new(&kind, fetched.digest, fetched.bytes.len() as u64);
                Ok(Doc { descriptor, bytes: fetched.bytes.to_vec(), document })
            }
            From::Files { files, tag } => {
                let descriptor = files.find(tag.as_deref())?;
                self.document(&descriptor).await
            }
            From::Store { name, .. } => {
                let found = self.transfer.store.find(&name.to_string())?;
                self.document(&Descriptor::new("", found.target.as_digest(), 0)).await
            }
        }
    }

    /// Whether a document of an index is there; a store may have one of several platforms.
    pub(super) fn has(&self, digest: Digest) -> Result<bool, TransferError> {
        match &self.from {
            From::Registry(..) => Ok(true),
            From::Files { files, .. } => Ok(files.part(digest).is_ok()),
            From::Store { .. } => Ok(self.transfer.store.has_blob(digest)?),
        }
    }

    /// Whether a blob is there that may well not be.
    pub(super) async fn has_blob(&self, blob: &Descriptor) -> bool {
        match &self.from {
            From::Registry(_, repo) => {
                self.transfer.client.has_blob(repo, &blob.digest).await.unwrap_or(false)
            }
            _ => self.bytes(blob).is_ok(),
        }
    }

    /// Reads a manifest or index, checked against its digest.
    pub(super) async fn document(&self, descriptor: &Descriptor) -> Result<Doc, TransferError> {
        let digest = descriptor.digest;
        let bytes = match &self.from {
            From::Registry(name, repo) => {
                let fetched = self.transfer.client.manifest(repo, &digest.into()).await;
                fetched.map_err(|error| TransferError::manifest(name, error))?.bytes.to_vec()
            }
            From::Files { files, .. } => files.small(digest, MAX_DOCUMENT as u64)?,
            From::Store { layers, .. } => {
                let digest = ManifestDigest::from_bytes(*digest.as_bytes());
                if let Some(image) = self.transfer.store.image_by_manifest(digest)? {
                    let pairs = image.blobs.iter().copied().zip(image.layers.iter().copied());
                    layers.lock().unwrap_or_else(PoisonError::into_inner).extend(pairs);
                }
                self.transfer.store.document(digest)?.1
            }
        };
        check(digest, &bytes)?;
        let document =
            Document::parse(&bytes).map_err(|source| TransferError::Manifest { digest, source })?;
        let media_type = kind(&document, &descriptor.media_type);
        let descriptor = Descriptor { media_type, size: bytes.len() as u64, ..descriptor.clone() };
        Ok(Doc { descriptor, bytes, document })
    }

    /// Reads a blob that is small by its nature, checked.
    pub(super) async fn small(&self, blob: &Descriptor) -> Result<Vec<u8>, TransferError> {
        let bytes = match &self.from {
            From::Registry(_, repo) => {
                self.transfer.document(repo, blob, "image config").await.map(|bytes| bytes.to_vec())?
            }
            From::Files { files, .. } => files.small(blob.digest, MAX_DOCUMENT as u64)?,
            From::Store { .. } => self.transfer.store.read_blob(blob.digest, MAX_DOCUMENT as u64)?,
        };
        check(blob.digest, &bytes)?;
        Ok(bytes)
    }

    /// Returns where the bytes of a blob can be had; whoever takes them checks them.
    pub(super) fn bytes(&self, blob: &Descriptor) -> Result<LayerBytes, TransferError> {
        match &self.from {
            From::Registry(_, repo) => Ok(LayerBytes::Remote(vec![repo.clone()])),
            From::Files { files, .. } => {
                let part = files.part(blob.digest)?;
                Ok(LayerBytes::Part(part.file, part.at, part.size))
            }
            From::Store { layers, name } => {
                let layer = layers.lock().unwrap_or_else(PoisonError::into_inner).get(&blob.digest).copied();
                let store = &self.transfer.store;
                let bytes = match layer {
                    Some(id) => LayerBytes::of(store, id, blob)?,
                    None => LayerBytes::stored(store, blob)?,
                };
                bytes.ok_or_else(|| TransferError::Lost { blob: blob.digest, name: name.familiar() })
            }
        }
    }

    /// Lets `work` read a blob from `at` on, on a thread beside, while it comes.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        blob: &Descriptor,
        at: u64,
        work: impl FnOnce(Box<dyn Read + Send>) -> Result<T, TransferError> + Send + 'static,
    ) -> Result<T, TransferError> {
        if at >= blob.size {
            let work = tokio::task::spawn_blocking(move || work(Box::new(std::io::empty())));
            return work.await.expect("reading does not panic");
        }
        let bytes = self.bytes(blob)?;
        self.transfer.started(&blob.digest, Some(blob.size));
        let LayerBytes::Remote(places) = bytes else {
            let reader = bytes.open(at)?;
            let (transfer, digest) = (self.transfer.clone(), blob.digest);
            let reader = super::stream::Counted { reader, done: at, said: at, transfer, digest };
            let work = tokio::task::spawn_blocking(move || work(Box::new(reader)));
            return work.await.expect("reading does not panic");
        };
        let mut failed = None;
        let mut stream = None;
        for repo in &places {
            match self.transfer.client.blob(repo, &blob.digest, (at > 0).then_some((at, None))).await {
                Ok(found) => {
                    stream = Some(found);
                    break;
                }
                Err(error) => failed = Some(error),
            }
        }
        let Some(stream) = stream else {
            return Err(failed.map_or_else(
                || TransferError::Lost { blob: blob.digest, name: String::new() },
                TransferError::from,
            ));
        };
        let (to, reader) = pipe();
        let work = tokio::task::spawn_blocking(move || work(Box::new(reader)));
        let fed = feed(self.transfer, blob, at, stream, to).await;
        let done = work.await.expect("reading does not panic");
        // What broke the stream says more than what that did to its reader.
        fed.and(done)
    }
}

fn check(digest: Digest, bytes: &[u8]) -> Result<(), TransferError> {
    let got = Digest::of(bytes);
    if got == digest {
        return Ok(());
    }
    Err(TransferError::Inconsistent { digest, reason: format!("its bytes have digest {got}") })
}

/// Returns a document's media type: its own, the one it was found under, or OCI's.
fn kind(document: &Document, found: &str) -> String {
    let (own, default) = match document {
        Document::Manifest(manifest) => (manifest.media_type.as_str(), media_type::OCI_MANIFEST),
        Document::Index(index) => (index.media_type.as_str(), media_type::OCI_INDEX),
    };
    [own, found, default].into_iter().find(|kind| !kind.is_empty()).unwrap_or(default).to_owned()
}
