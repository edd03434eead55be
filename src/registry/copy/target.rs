//! Where documents and blobs go.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::client::{Repository, TagOrDigest};
use super::super::push::{Push, PushOptions, Sent};
use super::super::transfer::{Gates, Transfer, TransferError};
use super::archive::{Writer, docker_list};
use super::layout::LayoutDir;
use super::source::Source;
use super::stream::Verified;
use super::{Doc, Place, store};
use crate::image::{Descriptor, Document, ManifestDigest, Platform, Reference};
use crate::progress::TransferState;

/// A place to copy to.
pub(super) enum Target<'a> {
    Registry { transfer: &'a Transfer, name: Reference, repo: Repository, options: PushOptions },
    Layout { dir: Arc<LayoutDir>, tag: Option<String> },
    Archive { writer: Arc<Mutex<Option<Writer>>>, tag: Option<String>, docker: Option<Option<Reference>> },
    Store { transfer: &'a Transfer, name: Reference, gates: Arc<Gates> },
}

impl<'a> Target<'a> {
    pub(super) fn open(transfer: &'a Transfer, place: &Place) -> Result<Self, TransferError> {
        Ok(match place {
            Place::Registry(name) => {
                let (repo, options) = (Repository::of(name), PushOptions::default());
                Self::Registry { transfer, name: name.clone(), repo, options }
            }
            Place::Layout { dir, tag } => {
                Self::Layout { dir: Arc::new(LayoutDir::create(dir)?), tag: tag.clone() }
            }
            Place::OciArchive { file, tag } => {
                let writer = Arc::new(Mutex::new(Some(Writer::create(file)?)));
                Self::Archive { writer, tag: tag.clone(), docker: None }
            }
            Place::DockerArchive { file, name } => {
                let writer = Arc::new(Mutex::new(Some(Writer::create(file)?)));
                let tag = name.as_ref().and_then(|name| name.tag().map(str::to_owned));
                Self::Archive { writer, tag, docker: Some(name.clone()) }
            }
            Place::Store(name) => {
                let gates = Arc::new(Gates::new());
                Self::Store { transfer, name: name.clone(), gates }
            }
        })
    }

    /// Whether it takes several blobs at the same time.
    pub(super) fn takes_several(&self) -> bool {
        !matches!(self, Self::Archive { .. })
    }

    /// Takes the blobs of one manifest.
    pub(super) async fn blobs(
        &self,
        source: &Source<'_>,
        doc: &Doc,
        blobs: &[Descriptor],
    ) -> Result<(), TransferError> {
        if let Self::Store { transfer, gates, .. } = self {
            return store::blobs(transfer, source, doc, gates).await;
        }
        if self.takes_several() {
            let moving = blobs.iter().map(|blob| self.blob(source, blob));
            return futures_util::future::try_join_all(moving).await.map(drop);
        }
        for blob in blobs {
            self.blob(source, blob).await?;
        }
        Ok(())
    }

    async fn blob(&self, source: &Source<'_>, blob: &Descriptor) -> Result<(), TransferError> {
        let transfer = source.transfer;
        match self {
            Self::Registry { .. } => {
                let push = self.push(ManifestDigest::from_bytes(*blob.digest.as_bytes()));
                let push = push.expect("it is a registry");
                let bytes = source.bytes(blob)?;
                let Some(found) = push.blob(blob, &blob.digest, Some(bytes)).await? else {
                    let name = push.repo.to_string();
                    return Err(TransferError::Lost { blob: blob.digest, name });
                };
                transfer.state(&blob.digest, found.state());
            }
            Self::Layout { dir, .. } => {
                if dir.has(blob)? {
                    transfer.state(&blob.digest, TransferState::Exists);
                    return Ok(());
                }
                let begun = match dir.begin(blob)? {
                    Some(begun) => begun,
                    None => {
                        return Err(TransferError::Refused(format!("another copy is at {}", blob.digest)));
                    }
                };
                let (into, what, have) = (Arc::clone(dir), blob.clone(), begun.have);
                let take = move |mut reader: Box<dyn Read + Send>| into.take(&what, begun, &mut *reader);
                source.read(blob, have, take).await?;
                transfer.state(&blob.digest, TransferState::Fetched);
            }
            Self::Archive { writer, .. } => {
                let (into, what) = (Arc::clone(writer), blob.clone());
                let take = move |reader: Box<dyn Read + Send>| {
                    let mut into = into.lock().unwrap_or_else(PoisonError::into_inner);
                    let into = into.as_mut().expect("it is not finished");
                    into.blob(what.digest, what.size, &mut Verified::new(reader, &what))
                };
                source.read(blob, 0, take).await?;
                transfer.state(&blob.digest, TransferState::Fetched);
            }
            Self::Store { .. } => {}
        }
        transfer.done(&blob.digest, false);
        Ok(())
    }

    fn push(&self, target: ManifestDigest) -> Option<Push<'_>> {
        let Self::Registry { transfer, repo, options, .. } = self else { return None };
        Some(Push { transfer, repo, options, gates: Arc::new(Gates::new()), target })
    }

    /// Takes a document that the root leads to.
    pub(super) async fn document(&self, doc: &Doc) -> Result<(), TransferError> {
        match self {
            Self::Registry { .. } => self.put(&doc.descriptor.digest.into(), doc).await,
            Self::Layout { dir, .. } => dir.put(doc.descriptor.digest, &doc.bytes),
            Self::Archive { writer, .. } => {
                let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                let writer = writer.as_mut().expect("it is not finished");
                writer.blob(doc.descriptor.digest, doc.bytes.len() as u64, &mut &doc.bytes[..])
            }
            Self::Store { transfer, .. } => store::document(transfer, doc).await,
        }
    }

    async fn put(&self, name: &TagOrDigest, doc: &Doc) -> Result<(), TransferError> {
        let push = self.push(ManifestDigest::from_bytes(*doc.descriptor.digest.as_bytes()));
        let sent = Sent { media_type: doc.descriptor.media_type.clone(), bytes: doc.bytes.clone() };
        push.expect("it is a registry").put(name, &sent).await
    }

    /// Takes the root and gives it its name.
    pub(super) async fn finish(
        self,
        source: &Source<'_>,
        root: &Doc,
        all: &[Doc],
    ) -> Result<(), TransferError> {
        match &self {
            Self::Registry { name, .. } => match name.digest() {
                Some(digest) if digest != root.descriptor.digest => {
                    let why =
                        format!("{}: the source's digest is {}", name.familiar(), root.descriptor.digest);
                    Err(TransferError::Refused(why))
                }
                Some(digest) => self.put(&TagOrDigest::Digest(digest), root).await,
                None => {
                    let tag = TagOrDigest::Tag(name.tag().unwrap_or("latest").to_owned());
                    self.put(&tag, root).await
                }
            },
            Self::Layout { dir, tag } => {
                self.document(root).await?;
                dir.name(root.descriptor.clone(), tag.as_deref(), None)
            }
            Self::Archive { writer, tag, docker } => {
                self.document(root).await?;
                let writer = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
                let (list, name) = match docker {
                    Some(name) => (Some(listed(root, all, name.as_ref())?), name.as_ref()),
                    None => (None, None),
                };
                let writer = writer.expect("it is finished once");
                writer.finish(root.descriptor.clone(), tag.as_deref(), name, list)
            }
            Self::Store { transfer, name, .. } => {
                self.document(root).await?;
                store::name(transfer, source, root, name).await
            }
        }
    }
}

/// Returns docker's list for the image of an index that is for this machine.
fn listed(root: &Doc, all: &[Doc], name: Option<&Reference>) -> Result<Vec<u8>, TransferError> {
    let docs: HashMap<_, _> = all.iter().map(|doc| (doc.descriptor.digest, doc)).collect();
    let host = Platform::host();
    let mut doc = root;
    while let Document::Index(index) = &doc.document {
        let child = index.select(&host).and_then(|child| docs.get(&child.digest));
        doc = child.ok_or_else(|| TransferError::Platform { platform: host.to_string() })?;
    }
    Ok(docker_list(&doc.document, name).unwrap_or_default())
}
