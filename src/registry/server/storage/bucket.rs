//! The storage in a bucket of S3-compatible object storage, which several registries may serve at once.
//!
//! ```text
//! blobs/<alg>/<hex>    names the object that has the bytes, and their number
//! data/<id>            the bytes of a blob: written in parts, never copied
//! uploads/<id>         a session: what is in parts, the state of the hash
//! tails/<id>-<size>    what a session has beyond its last whole part
//! ```
//!
//! A session's document is replaced only by whoever read its last version, so
//! two registries can't both append. There is no lock against a sweep: its
//! grace time has to be longer than a push takes.

mod blobs;
mod upload;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore as _, ObjectStoreExt as _};

use super::{BlobBytes, Entry, Found, Guard, Reply, Session, Storage, StorageError};
use crate::registry::server::digest::{Algorithm, BlobDigest};
use crate::registry::server::source::Source;

/// A registry's objects below a prefix of a bucket.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<AmazonS3>,
    prefix: String,
}

impl Bucket {
    /// Takes a bucket; every object's name begins with `prefix`.
    pub fn new(store: AmazonS3, prefix: &str) -> Self {
        Self { store: Arc::new(store), prefix: prefix.trim_matches('/').to_owned() }
    }

    /// Asks for something that need not be there, so that wrong settings show at the start.
    ///
    /// # Errors
    /// The bucket can't be reached or read.
    pub async fn check(&self) -> Result<(), StorageError> {
        self.list("uploads").await.map(drop)
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    async fn get(&self, name: &str) -> Result<Option<(Bytes, Option<String>)>, StorageError> {
        let Some(found) = absent("read", name, self.store.get(&self.path(name)).await)? else {
            return Ok(None);
        };
        let tag = found.meta.e_tag.clone();
        Ok(Some((found.bytes().await.map_err(|e| failed("read", name, e))?, tag)))
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StorageError> {
        self.store.put(&self.path(name), bytes.into()).await.map(drop).map_err(|e| failed("write", name, e))
    }

    async fn delete(&self, name: &str) -> Result<(), StorageError> {
        absent("remove", name, self.store.delete(&self.path(name)).await).map(drop)
    }

    async fn all(&self, name: &str) -> Result<Vec<ObjectMeta>, StorageError> {
        let found = self.store.list(Some(&self.path(name))).try_collect().await;
        found.map_err(|e| failed("list", name, e))
    }
}

impl Storage for Bucket {
    fn read<'a>(&'a self, name: &'a str) -> Reply<'a, Option<Bytes>> {
        Box::pin(async move { Ok(self.get(name).await?.map(|(bytes, _)| bytes)) })
    }

    fn write<'a>(&'a self, name: &'a str, bytes: Bytes) -> Reply<'a, ()> {
        Box::pin(self.put(name, bytes))
    }

    fn remove<'a>(&'a self, name: &'a str) -> Reply<'a, bool> {
        Box::pin(async move {
            // Deleting what is not there is no error in S3.
            let there = absent("look for", name, self.store.head(&self.path(name)).await)?.is_some();
            self.delete(name).await?;
            Ok(there)
        })
    }

    fn list<'a>(&'a self, name: &'a str) -> Reply<'a, Vec<Entry>> {
        Box::pin(async move {
            let path = self.path(name);
            let found =
                self.store.list_with_delimiter(Some(&path)).await.map_err(|e| failed("list", name, e))?;
            let entry = |path: &Path, is_folder| Entry {
                name: path.filename().unwrap_or_default().to_owned(),
                is_folder,
            };
            let folders = found.common_prefixes.iter().map(|path| entry(path, true));
            let files = found.objects.iter().map(|meta| entry(&meta.location, false));
            let mut all: Vec<Entry> = folders.chain(files).collect();
            all.sort();
            Ok(all)
        })
    }

    fn age<'a>(&'a self, name: &'a str) -> Reply<'a, Option<Duration>> {
        Box::pin(async move {
            let meta = absent("look for", name, self.store.head(&self.path(name)).await)?;
            Ok(meta.map(|meta| age_of(&meta)))
        })
    }

    fn blob_size<'a>(&'a self, digest: &'a BlobDigest) -> Reply<'a, Option<u64>> {
        Box::pin(async move { Ok(self.place(digest).await?.map(|place| place.size)) })
    }

    fn blob<'a>(&'a self, digest: &'a BlobDigest, range: Range<u64>) -> Reply<'a, BlobBytes> {
        Box::pin(self.open(digest, range))
    }

    fn put_blob<'a>(&'a self, digest: &'a BlobDigest, bytes: Bytes) -> Reply<'a, ()> {
        Box::pin(async move {
            if self.place(digest).await?.is_some() {
                return Ok(());
            }
            let (data, size) = (format!("data/{}", super::random_id()?), bytes.len() as u64);
            self.put(&data, bytes).await?;
            self.name_blob(digest, data, size).await
        })
    }

    fn remove_blob<'a>(&'a self, digest: &'a BlobDigest) -> Reply<'a, ()> {
        Box::pin(async move {
            let Some(place) = self.place(digest).await? else { return Ok(()) };
            self.delete(&blobs::name(digest)).await?;
            self.delete(&place.data).await
        })
    }

    fn blobs(&self) -> Reply<'_, Vec<Found<BlobDigest>>> {
        Box::pin(self.all_blobs())
    }

    fn adopt<'a>(&'a self, _: &'a BlobDigest) -> Reply<'a, bool> {
        Box::pin(async { Ok(false) })
    }

    fn begin<'a>(&'a self, repository: &'a str, algorithm: Algorithm) -> Reply<'a, String> {
        Box::pin(self.begin_upload(Session::new(repository, algorithm)))
    }

    fn session<'a>(&'a self, id: &'a str) -> Reply<'a, Session> {
        Box::pin(async move { Ok(self.load(id).await?.0.session) })
    }

    fn append<'a>(&'a self, id: &'a str, at: u64, source: &'a mut Source) -> Reply<'a, u64> {
        Box::pin(self.append_from(id, at, source))
    }

    fn finish<'a>(&'a self, id: &'a str, digest: &'a BlobDigest) -> Reply<'a, u64> {
        Box::pin(self.finish_upload(id, digest))
    }

    fn cancel<'a>(&'a self, id: &'a str) -> Reply<'a, ()> {
        Box::pin(self.cancel_upload(id))
    }

    fn sessions(&self) -> Reply<'_, Vec<Found<String>>> {
        Box::pin(async move {
            let found = self.all("uploads").await?.into_iter();
            Ok(found
                .map(|meta| Found {
                    what: meta.location.filename().unwrap_or_default().to_owned(),
                    size: meta.size,
                    age: age_of(&meta),
                })
                .collect())
        })
    }

    fn growing<'a>(&'a self, _: &'a str) -> Reply<'a, Option<std::fs::File>> {
        Box::pin(async { Ok(None) })
    }

    fn share(&self) -> Reply<'_, Guard> {
        Box::pin(async { Ok(Box::new(()) as Guard) })
    }

    fn exclude(&self) -> Reply<'_, Guard> {
        Box::pin(async { Ok(Box::new(()) as Guard) })
    }
}

fn age_of(meta: &ObjectMeta) -> Duration {
    SystemTime::now().duration_since(SystemTime::from(meta.last_modified)).unwrap_or_default()
}

fn failed(action: &'static str, name: &str, error: Error) -> StorageError {
    StorageError::Io { action, name: name.to_owned(), source: std::io::Error::other(error) }
}

/// Makes "not there" a value.
fn absent<T>(action: &'static str, name: &str, result: Result<T, Error>) -> Result<Option<T>, StorageError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(failed(action, name, error)),
    }
}
