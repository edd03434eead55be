//! The layers of an image: those that are not here are fetched, checked and unpacked, several at once.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use futures_util::future::{Either, select, try_join_all};

use super::super::client::Repository;
use super::super::error::RegistryError;
use super::super::transfer::{Gates, Transfer, TransferError};
use super::documents::Documents;
use super::fetch::Fetch;
use crate::image::{Descriptor, DiffId, Digest};
use crate::layers::{self, HashingReader, LayerError, SinkOptions};
use crate::progress::TransferState;
use crate::store::{LayerForm, Partial, Store};

/// Fetches every layer that is not in the store.
pub(super) async fn fetch_all(
    transfer: &Transfer,
    repo: &Repository,
    documents: &Documents,
    gates: &Arc<Gates>,
) -> Result<(), TransferError> {
    let mut seen = HashSet::new();
    let pairs = documents.manifest.layers.iter().zip(&documents.config.rootfs.diff_ids);
    let unique: Vec<(&Descriptor, DiffId)> =
        pairs.map(|(blob, id)| (blob, *id)).filter(|(_, id)| seen.insert(*id)).collect();
    let mut wanted = Vec::new();
    for (blob, diff_id) in unique {
        let there = transfer.store.layer(diff_id)?.is_some();
        let state = if there { TransferState::Exists } else { TransferState::Planned };
        transfer.state(&blob.digest, state);
        if !there {
            wanted.push(one(transfer, repo, blob, diff_id, gates));
        }
    }
    try_join_all(wanted).await.map(drop)
}

/// Fetches one layer, unless another process does so meanwhile.
pub(in crate::registry) async fn one(
    transfer: &Transfer,
    repo: &Repository,
    blob: &Descriptor,
    diff_id: DiffId,
    gates: &Arc<Gates>,
) -> Result<(), TransferError> {
    let name = format!("pull {}", blob.digest);
    let partial = transfer.beside(move |store| store.partial(&name)).await?;
    if transfer.store.layer(diff_id)?.is_some() {
        partial.finish()?;
        transfer.state(&blob.digest, TransferState::Exists);
        return Ok(());
    }
    let partial = Arc::new(partial);
    let _closing = Closing(Arc::clone(&partial));
    let job = Job { transfer, repo, blob, diff_id, gates, partial: &partial };
    if let Err(error) = job.attempt().await {
        if !error.is_content() {
            return Err(error.into());
        }
        // Bytes that are wrong may have come from a crash or a bad mirror; once more, from nothing.
        partial.clear()?;
        if let Err(error) = job.attempt().await {
            return Err(job.explain(error).await);
        }
    }
    drop(_closing);
    if let Ok(partial) = Arc::try_unwrap(partial) {
        partial.finish()?;
    }
    transfer.store.know_blob(diff_id, blob, None)?;
    transfer.state(&blob.digest, TransferState::Pulled);
    Ok(())
}

/// Lets whoever reads a partial go when its transfer ends in any way.
struct Closing(Arc<Partial>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why an attempt failed.
enum Failed {
    /// The bytes are not what they should be.
    Content(TransferError),
    /// Anything else.
    Other(TransferError),
}

impl Failed {
    fn is_content(&self) -> bool {
        matches!(self, Self::Content(_))
    }
}

impl From<Failed> for TransferError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Content(error) | Failed::Other(error) => error,
        }
    }
}

/// One layer on its way.
struct Job<'a> {
    transfer: &'a Transfer,
    repo: &'a Repository,
    blob: &'a Descriptor,
    diff_id: DiffId,
    gates: &'a Arc<Gates>,
    partial: &'a Arc<Partial>,
}

impl Job<'_> {
    /// Fetches and unpacks at the same time.
    async fn attempt(&self) -> Result<(), Failed> {
        let digest = &self.blob.digest;
        let fetching = Box::pin(self.fetch());
        let at_work = Cell::new(false);
        let unpacking = Box::pin(self.unpack(&at_work));
        match select(fetching, unpacking).await {
            Either::Left((Ok(()), unpacking)) => {
                self.transfer.done(digest, false);
                self.transfer.state(digest, TransferState::Fetched);
                if at_work.get() {
                    self.transfer.state(digest, TransferState::Unpacking);
                }
                unpacking.await
            }
            Either::Left((Err(error), unpacking)) => {
                self.partial.close();
                let _ = unpacking.await;
                Err(Failed::Other(error))
            }
            Either::Right((Err(error), _)) => Err(error),
            Either::Right((Ok(()), fetching)) => {
                fetching.await.map_err(Failed::Other)?;
                self.transfer.done(digest, false);
                self.transfer.state(digest, TransferState::Fetched);
                Ok(())
            }
        }
    }

    /// Says of bytes that can't be unpacked whether they are the right ones.
    async fn explain(&self, error: Failed) -> TransferError {
        if error.is_content() && self.fetch().await.is_ok() {
            let mut reader = HashingReader::new(self.partial.reader(Some(self.blob.size)));
            let hashing = tokio::task::spawn_blocking(move || {
                std::io::copy(&mut reader, &mut std::io::sink()).map(|_| reader.finish())
            });
            if let Ok(got) = hashing.await.expect("hashing does not panic")
                && let Err(wrong) = check(self.blob, got)
            {
                return wrong.into();
            }
        }
        error.into()
    }

    async fn fetch(&self) -> Result<(), TransferError> {
        let (transfer, blob) = (self.transfer, self.blob);
        let permit = match self.gates.connections.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                transfer.state(&blob.digest, TransferState::Waiting);
                self.gates.connections.acquire().await.expect("the gate is never closed")
            }
        };
        transfer.started(&blob.digest, Some(blob.size));
        let fetch = Fetch { transfer, repo: self.repo, blob, partial: self.partial, gates: self.gates };
        let result = fetch.run().await;
        drop(permit);
        match result {
            Err(TransferError::Registry(error)) if error.is_not_found() && is_foreign(&blob.media_type) => {
                Err(TransferError::Foreign { blob: blob.digest, repository: self.repo.to_string() })
            }
            other => other,
        }
    }

    async fn unpack(&self, at_work: &Cell<bool>) -> Result<(), Failed> {
        let _permit = self.gates.workers.acquire().await.expect("the gate is never closed");
        at_work.set(true);
        let store = self.transfer.store.clone();
        let reader = self.partial.reader(Some(self.blob.size));
        let (blob, diff_id) = (self.blob.clone(), self.diff_id);
        let work = tokio::task::spawn_blocking(move || unpack(&store, reader, &blob, diff_id));
        work.await.expect("unpacking does not panic")
    }
}

/// Makes a layer of a blob that another place has.
pub(in crate::registry) fn unpacked(
    store: &Store,
    reader: impl Read + Send,
    blob: &Descriptor,
    expected: DiffId,
) -> Result<(), TransferError> {
    Ok(unpack(store, reader, blob, expected)?)
}

/// Makes a layer of a blob as it comes.
fn unpack(
    store: &Store,
    reader: impl Read + Send,
    blob: &Descriptor,
    expected: DiffId,
) -> Result<(), Failed> {
    let store_failed = |error: crate::store::StoreError| Failed::Other(error.into());
    let draft = store.begin_layer().map_err(store_failed)?;
    let index = store.form().map_err(store_failed)?.0 == LayerForm::Index;
    let (digest, written) =
        layers::store_blob(draft.root(), reader, SinkOptions { index }).map_err(|source| {
            let disk = match &source {
                LayerError::Fs(_) => true,
                LayerError::Io { source, .. } => source.raw_os_error().is_some(),
                _ => false,
            };
            let error = TransferError::Layer { blob: blob.digest, source };
            if disk { Failed::Other(error) } else { Failed::Content(error) }
        })?;
    check(blob, digest)?;
    if written.diff_id != expected {
        let (blob, found) = (blob.digest, written.diff_id);
        return Err(Failed::Other(TransferError::WrongDiffId { blob, expected, found }));
    }
    draft.commit(expected, written.size).map(drop).map_err(store_failed)
}

fn check(blob: &Descriptor, got: Digest) -> Result<(), Failed> {
    if got == blob.digest {
        return Ok(());
    }
    let url = format!("blob {}", blob.digest.short());
    Err(Failed::Content(RegistryError::Digest { url, expected: blob.digest, got }.into()))
}

/// Whether a layer is one that registries are not meant to have.
pub(in crate::registry) fn is_foreign(media_type: &str) -> bool {
    media_type.contains("nondistributable") || media_type.contains(".foreign.")
}
