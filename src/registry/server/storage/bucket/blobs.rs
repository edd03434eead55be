//! Blobs of a bucket: a document under the digest names the object that has the bytes.

use std::ops::Range;

use futures_util::stream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::{Error, GetOptions, GetRange, ObjectStore as _, PutMode, PutOptions};
use serde::{Deserialize, Serialize};

use super::{Bucket, age_of, failed};
use crate::registry::server::digest::BlobDigest;
use crate::registry::server::storage::{BlobBytes, Found, StorageError};

/// Look-ups at once.
const AT_ONCE: usize = 16;

/// Where a blob's bytes are.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub data: String,
    pub size: u64,
}

impl Bucket {
    pub(super) async fn place(&self, digest: &BlobDigest) -> Result<Option<Place>, StorageError> {
        let Some((text, _)) = self.get(&name(digest)).await? else { return Ok(None) };
        Ok(serde_json::from_slice(&text).ok())
    }

    pub(super) async fn open(
        &self,
        digest: &BlobDigest,
        range: Range<u64>,
    ) -> Result<BlobBytes, StorageError> {
        let Some(place) = self.place(digest).await?.filter(|_| !range.is_empty()) else {
            return Ok(Box::pin(stream::empty()));
        };
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&self.path(&place.data), options).await;
        let found = found.map_err(|e| failed("read", &place.data, e))?;
        Ok(Box::pin(found.into_stream().map_err(std::io::Error::other)))
    }

    /// Gives bytes their digest; if another upload was faster, ours go away.
    pub(super) async fn name_blob(
        &self,
        digest: &BlobDigest,
        data: String,
        size: u64,
    ) -> Result<(), StorageError> {
        let name = name(digest);
        let text = serde_json::to_vec(&Place { data: data.clone(), size }).expect("plain data");
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.path(&name), text.into(), options).await {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                // The same document again is as young as this upload, which a sweep respects.
                if let Some((text, _)) = self.get(&name).await? {
                    self.put(&name, text).await?;
                }
                self.delete(&data).await
            }
            Err(error) => Err(failed("write", &name, error)),
        }
    }

    pub(super) async fn all_blobs(&self) -> Result<Vec<Found<BlobDigest>>, StorageError> {
        let named = self.all("blobs").await?.into_iter().filter_map(|meta| {
            let mut parts: Vec<_> = meta.location.parts().collect();
            let (hex, algorithm) = (parts.pop()?, parts.pop()?);
            let digest: BlobDigest = format!("{}:{}", algorithm.as_ref(), hex.as_ref()).parse().ok()?;
            Some((digest, age_of(&meta)))
        });
        stream::iter(named)
            .map(|(what, age)| async move {
                let size = self.place(&what).await?.map_or(0, |place| place.size);
                Ok(Found { what, size, age })
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

pub(super) fn name(digest: &BlobDigest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
