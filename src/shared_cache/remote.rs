//! What both kinds of caches in registries need: a client, a runtime, a repository, blobs as readers.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures_util::stream;

use super::error::SharedCacheError;
use crate::image::{Descriptor, Reference};
use crate::registry::{BlobStream, ByteStream, RegistryClient, RegistryError, Repository};

/// Bytes that are read from a file at once.
const PIECE: usize = 256 << 10;

/// A repository of a registry, asked from threads that are not asynchronous.
pub struct Remote {
    pub(super) client: RegistryClient,
    pub(super) repo: Repository,
    runtime: Arc<tokio::runtime::Runtime>,
    name: String,
}

impl Remote {
    /// Returns the repository of a reference.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(client: RegistryClient, reference: &Reference) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let repo = Repository::of(reference);
        Ok(Self { client, repo, runtime: Arc::new(runtime), name: reference.to_string() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits for an answer.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = T>) -> T {
        self.runtime.block_on(answer)
    }

    pub(super) fn failed(&self, source: RegistryError) -> SharedCacheError {
        SharedCacheError::Registry { cache: self.name.clone(), source: Box::new(source) }
    }

    pub(super) fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> SharedCacheError {
        let cache = self.name.clone();
        move |source| SharedCacheError::Io { action, cache, source }
    }

    pub(super) fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, SharedCacheError> {
        let stream =
            self.wait(self.client.blob(&self.repo, &blob.digest, None)).map_err(|e| self.failed(e))?;
        Ok(Box::new(BlobRead { runtime: Arc::clone(&self.runtime), stream, piece: Bytes::new() }))
    }
}

/// A blob as a reader.
struct BlobRead {
    runtime: Arc<tokio::runtime::Runtime>,
    stream: BlobStream,
    piece: Bytes,
}

impl Read for BlobRead {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.runtime.block_on(self.stream.next()).map_err(io::Error::other)? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = out.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

/// Returns a file's bytes as a stream, read on threads that may wait.
pub(super) fn file_stream(file: File) -> ByteStream {
    Box::pin(stream::try_unfold(Some(file), |file| async move {
        let Some(mut file) = file else { return Ok(None) };
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE];
            let count = file.read(&mut piece)?;
            piece.truncate(count);
            Ok::<_, io::Error>((piece, file))
        });
        let (piece, file) = read.await.map_err(io::Error::other)??;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), Some(file))))
    }))
}
