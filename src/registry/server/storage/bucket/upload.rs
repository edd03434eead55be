//! Upload sessions of a bucket: parts of a multipart upload, and a document that lists them.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::{Error, ObjectStore as _, PutMode, PutOptions, UpdateVersion};
use serde::{Deserialize, Serialize};

use super::{Bucket, absent, failed};
use crate::registry::server::digest::{BlobDigest, Hasher};
use crate::registry::server::source::{Source, SourceError};
use crate::registry::server::storage::{Session, StorageError, is_id, random_id};

/// Bytes of a part; all but the last have the same size, as some services want it.
const PART: usize = 16 << 20;
/// S3 takes no more parts.
const MOST_PARTS: usize = 10_000;

/// What a session's document says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(flatten)]
    pub session: Session,
    /// The multipart upload, once there was a whole part.
    multipart: Option<String>,
    /// Its parts so far.
    parts: Vec<String>,
}

impl Kept {
    fn tail(&self) -> usize {
        usize::try_from(self.session.size % PART as u64).expect("a part fits")
    }
}

fn document(id: &str) -> String {
    format!("uploads/{id}")
}

fn data(id: &str) -> String {
    format!("data/{id}")
}

fn tail(id: &str, size: u64) -> String {
    format!("tails/{id}-{size}")
}

impl Bucket {
    pub(super) async fn begin_upload(&self, session: Session) -> Result<String, StorageError> {
        let id = random_id()?;
        let kept = Kept { session, multipart: None, parts: Vec::new() };
        self.put(&document(&id), text(&kept)).await?;
        Ok(id)
    }

    /// Returns a session with its version.
    pub(super) async fn load(&self, id: &str) -> Result<(Kept, Option<String>), StorageError> {
        if !is_id(id) {
            return Err(StorageError::NoSession);
        }
        let (bytes, version) = self.get(&document(id)).await?.ok_or(StorageError::NoSession)?;
        Ok((serde_json::from_slice(&bytes).map_err(|_| StorageError::NoSession)?, version))
    }

    /// Replaces a session's document if nobody else did meanwhile, and returns the new version.
    async fn save(
        &self,
        id: &str,
        kept: &Kept,
        version: Option<String>,
    ) -> Result<Option<String>, StorageError> {
        let mode = PutMode::Update(UpdateVersion { e_tag: version, version: None });
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&self.path(&document(id)), text(kept).into(), options).await {
            Ok(put) => Ok(put.e_tag),
            Err(Error::Precondition { .. } | Error::NotFound { .. }) => {
                Err(StorageError::OutOfOrder { size: self.load(id).await?.0.session.size })
            }
            Err(error) => Err(failed("write", &document(id), error)),
        }
    }

    async fn read_tail(&self, id: &str, kept: &Kept) -> Result<BytesMut, StorageError> {
        if kept.tail() == 0 {
            return Ok(BytesMut::new());
        }
        let found = self.get(&tail(id, kept.session.size)).await?;
        found.map(|(bytes, _)| BytesMut::from(bytes)).ok_or(StorageError::NoSession)
    }

    pub(super) async fn append_from(
        &self,
        id: &str,
        at: u64,
        source: &mut Source,
    ) -> Result<u64, StorageError> {
        let (mut kept, mut version) = self.load(id).await?;
        if kept.session.size != at {
            return Err(StorageError::OutOfOrder { size: kept.session.size });
        }
        let old_tail = (kept.tail() > 0).then(|| tail(id, kept.session.size));
        let mut buffer = self.read_tail(id, &kept).await?;
        let mut hasher = kept.session.hasher().ok_or(StorageError::NoSession)?;
        let broken = loop {
            let begin = buffer.len();
            let end = gather(source, &mut buffer).await;
            hasher = hashed(hasher, &mut buffer, begin).await;
            kept.session.size += (buffer.len() - begin) as u64;
            if let Some(end) = end {
                break end.err();
            }
            self.put_part(id, &mut kept, std::mem::take(&mut buffer).freeze()).await?;
            // What is in whole parts is noted, so that a death costs little.
            kept.session.hash = hasher.save();
            kept.session.hashed = kept.session.size;
            version = self.save(id, &kept, version).await?;
        };
        let size = kept.session.size;
        kept.session.hash = hasher.save();
        kept.session.hashed = size;
        if !buffer.is_empty() {
            self.put(&tail(id, size), buffer.freeze()).await?;
        }
        self.save(id, &kept, version).await?;
        if let Some(old) = old_tail.filter(|old| *old != tail(id, size)) {
            self.delete(&old).await?;
        }
        broken.map_or(Ok(size), |error| Err(StorageError::Interrupted(error)))
    }

    async fn put_part(&self, id: &str, kept: &mut Kept, part: Bytes) -> Result<(), StorageError> {
        if kept.parts.len() == MOST_PARTS {
            return Err(StorageError::TooLarge);
        }
        let path = self.path(&data(id));
        let multipart = match &kept.multipart {
            Some(multipart) => multipart.clone(),
            None => {
                let made = self.store.create_multipart(&path).await;
                kept.multipart.insert(made.map_err(|e| failed("write", &data(id), e))?).clone()
            }
        };
        let put = self.store.put_part(&path, &multipart, kept.parts.len(), part.into()).await;
        kept.parts.push(put.map_err(|e| failed("write", &data(id), e))?.content_id);
        Ok(())
    }

    pub(super) async fn finish_upload(&self, id: &str, digest: &BlobDigest) -> Result<u64, StorageError> {
        let (mut kept, _) = self.load(id).await?;
        let hasher = kept.session.hasher().ok_or(StorageError::NoSession)?;
        let known = (hasher.algorithm() == digest.algorithm()).then(|| hasher.finish());
        if let Some(got) = known.clone().filter(|got| got != digest) {
            self.cancel_upload(id).await?;
            return Err(StorageError::Mismatch { got });
        }
        let size = kept.session.size;
        let rest = self.read_tail(id, &kept).await?.freeze();
        let path = self.path(&data(id));
        if kept.multipart.is_some() && !rest.is_empty() {
            self.put_part(id, &mut kept, rest).await?;
        } else if kept.multipart.is_none() {
            self.put(&data(id), rest).await?;
        }
        if let Some(multipart) = &kept.multipart {
            let parts = kept.parts.iter().map(|part| PartId { content_id: part.clone() }).collect();
            let done = self.store.complete_multipart(&path, multipart, parts).await;
            done.map_err(|e| failed("write", &data(id), e))?;
        }
        self.forget(id, size).await?;
        if known.is_none() {
            self.check_data(id, digest).await?;
        }
        self.name_blob(digest, data(id), size).await?;
        Ok(size)
    }

    /// Hashes a finished object whose session was begun for another algorithm.
    async fn check_data(&self, id: &str, digest: &BlobDigest) -> Result<(), StorageError> {
        let read = |e| failed("read", &data(id), e);
        let options = object_store::GetOptions::default();
        let mut pieces =
            self.store.get_opts(&self.path(&data(id)), options).await.map_err(read)?.into_stream();
        let mut hasher = Hasher::new(digest.algorithm());
        while let Some(piece) = pieces.next().await {
            hasher.update(&piece.map_err(read)?);
        }
        let got = hasher.finish();
        if got == *digest {
            return Ok(());
        }
        self.delete(&data(id)).await?;
        Err(StorageError::Mismatch { got })
    }

    async fn forget(&self, id: &str, size: u64) -> Result<(), StorageError> {
        self.delete(&document(id)).await?;
        if !size.is_multiple_of(PART as u64) { self.delete(&tail(id, size)).await } else { Ok(()) }
    }

    pub(super) async fn cancel_upload(&self, id: &str) -> Result<(), StorageError> {
        let (kept, _) = self.load(id).await?;
        if let Some(multipart) = &kept.multipart {
            let path = self.path(&data(id));
            absent("remove", &data(id), self.store.abort_multipart(&path, multipart).await)?;
        }
        self.forget(id, kept.session.size).await
    }
}

fn text(kept: &Kept) -> Bytes {
    serde_json::to_vec(kept).expect("a session is plain data").into()
}

/// Fills the buffer to a whole part; says how the source ended, if it did.
async fn gather(source: &mut Source, buffer: &mut BytesMut) -> Option<Result<(), SourceError>> {
    buffer.reserve(PART.saturating_sub(buffer.len()));
    while buffer.len() < PART {
        match source.next_up_to(PART - buffer.len()).await {
            Ok(Some(piece)) => buffer.extend_from_slice(&piece),
            Ok(None) => return Some(Ok(())),
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

/// Hashes what is new in the buffer, off the reactor.
async fn hashed(mut hasher: Hasher, buffer: &mut BytesMut, begin: usize) -> Hasher {
    let bytes = std::mem::take(buffer);
    let work = tokio::task::spawn_blocking(move || {
        hasher.update(&bytes[begin..]);
        (hasher, bytes)
    });
    let (hasher, bytes) = work.await.expect("hashing does not panic");
    *buffer = bytes;
    hasher
}
