//! What pull, push and copy share: their context, their errors, small blobs.

mod error;
mod gates;

use std::sync::Arc;

use bytes::Bytes;

pub use error::TransferError;
pub(crate) use gates::Gates;

use super::client::{RegistryClient, Repository};
use super::error::RegistryError;
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Descriptor, Digest};
use crate::progress::{Event, NullReporter, Reporter, TransferId, TransferState};
use crate::store::{Store, StoreError};

/// What a transfer works with; clones share it.
#[derive(Clone)]
pub struct Transfer {
    /// Talks to registries.
    pub client: RegistryClient,
    /// Where images come to and go from.
    pub store: Store,
    /// Told what moves.
    pub reporter: Arc<dyn Reporter>,
}

impl Transfer {
    /// Returns a context that reports nothing.
    pub fn quiet(client: RegistryClient, store: Store) -> Self {
        Self { client, store, reporter: Arc::new(NullReporter) }
    }

    /// Returns the same without its reporter.
    pub(super) fn silent(&self) -> Self {
        Self::quiet(self.client.clone(), self.store.clone())
    }

    /// Reports a blob's new state.
    pub(super) fn state(&self, blob: &Digest, state: TransferState) {
        let (id, label) = (TransferId::Blob(*blob), blob.short());
        self.reporter.report(Event::TransferState { id, label, state });
    }

    /// Reports how much of a blob has moved.
    pub(super) fn progress(&self, blob: &Digest, done: u64) {
        self.reporter.report(Event::TransferProgress { id: TransferId::Blob(*blob), done });
    }

    /// Reports that a blob's bytes begin to move.
    pub(super) fn started(&self, blob: &Digest, total: Option<u64>) {
        let (id, label) = (TransferId::Blob(*blob), blob.short());
        self.reporter.report(Event::TransferStarted { id, label, total });
    }

    /// Reports that a blob's bytes have moved.
    pub(super) fn done(&self, blob: &Digest, skipped: bool) {
        self.reporter.report(Event::TransferDone { id: TransferId::Blob(*blob), skipped });
    }

    /// Runs what may wait for the disk beside the requests.
    pub(super) async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, TransferError> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        Ok(done.expect("the store does not panic")?)
    }

    /// Fetches a document that is small by its nature, such as a config; checked against its descriptor.
    pub(super) async fn document(
        &self,
        repo: &Repository,
        blob: &Descriptor,
        what: &'static str,
    ) -> Result<Bytes, TransferError> {
        let place = || format!("{repo}@{}", blob.digest);
        if blob.size > MAX_DOCUMENT as u64 {
            let limit = MAX_DOCUMENT as u64;
            return Err(RegistryError::TooLarge { url: place(), what, limit }.into());
        }
        let mut attempts = 0;
        loop {
            attempts += 1;
            let bytes = self.whole(repo, blob).await?;
            let got = Digest::of(&bytes);
            if got == blob.digest {
                return Ok(bytes.into());
            }
            if attempts == 2 {
                return Err(RegistryError::Digest { url: place(), expected: blob.digest, got }.into());
            }
        }
    }

    async fn whole(&self, repo: &Repository, blob: &Descriptor) -> Result<Vec<u8>, TransferError> {
        let mut stream = self.client.blob(repo, &blob.digest, None).await?;
        let mut bytes = Vec::with_capacity(blob.size as usize);
        while let Some(chunk) = stream.next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > blob.size {
                break;
            }
        }
        if bytes.len() as u64 != blob.size {
            let url = format!("{repo}@{}", blob.digest);
            return Err(RegistryError::Size { url, expected: blob.size, got: bytes.len() as u64 }.into());
        }
        Ok(bytes)
    }
}
