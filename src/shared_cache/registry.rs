//! A shared cache in a repository of a registry: an entry is a tag.

use std::io::{Read, Seek as _};
use std::sync::Mutex;

use bytes::Bytes;

use super::backend::{Backend, layer_type};
use super::entry::{EMPTY, Entry, MAX_ENTRY};
use super::error::SharedCacheError;
use super::remote::{Remote, file_stream};
use super::shares::lock;
use crate::image::manifest::media_type;
use crate::image::{Descriptor, Digest, Reference};
use crate::layers::{Compression, HashingWriter, compress};
use crate::registry::{TagOrDigest, UploadBody};
use crate::store::{CacheKey, Store};

/// Longest prefix of a tag that leaves room for a key; tags have at most 128 characters.
const MAX_PREFIX: usize = 128 - 1 - 64;

/// Entries and blobs in a repository.
pub struct RegistryCache {
    remote: Remote,
    store: Store,
    prefix: String,
    /// Whether the repository has the empty document that all entries name.
    has_empty: Mutex<bool>,
}

impl RegistryCache {
    /// Returns the cache under a reference; its tag sets caches of one repository apart.
    pub fn new(remote: Remote, reference: &Reference, store: &Store) -> Self {
        let tag = reference.tag().unwrap_or("latest");
        let prefix = match tag.len() {
            0..=MAX_PREFIX => tag.to_owned(),
            _ => blake3::hash(tag.as_bytes()).to_hex()[..32].to_owned(),
        };
        Self { remote, store: store.clone(), prefix, has_empty: Mutex::default() }
    }

    fn tag(&self, key: &CacheKey) -> TagOrDigest {
        TagOrDigest::Tag(format!("{}-{}", self.prefix, key.hex()))
    }

    /// Sends the empty document, once: some registries lose a blob that is sent twice at the same time.
    fn put_empty(&self) -> Result<(), SharedCacheError> {
        let mut there = lock(&self.has_empty);
        if !*there {
            self.upload(Digest::of(EMPTY), UploadBody::bytes(EMPTY))?;
            *there = true;
        }
        Ok(())
    }

    fn upload(&self, digest: Digest, body: UploadBody) -> Result<(), SharedCacheError> {
        let Remote { client, repo, .. } = &self.remote;
        let sent = self.remote.wait(async {
            if client.has_blob(repo, &digest).await? {
                return Ok(());
            }
            client.begin_upload(repo).await?.put_stream(&digest, body).await
        });
        sent.map_err(|error| self.remote.failed(error))
    }
}

impl Backend for RegistryCache {
    fn name(&self) -> &str {
        self.remote.name()
    }

    fn get(&self, key: &CacheKey) -> Result<Option<Entry>, SharedCacheError> {
        let Remote { client, repo, .. } = &self.remote;
        let found = match self.remote.wait(client.manifest(repo, &self.tag(key))) {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(self.remote.failed(error)),
        };
        let damaged = |reason| SharedCacheError::Entry { cache: self.name().to_owned(), reason };
        if found.bytes.len() > MAX_ENTRY {
            return Err(damaged(format!("it has {} bytes", found.bytes.len())));
        }
        Entry::from_manifest(&found.bytes, key).map(Some).map_err(damaged)
    }

    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, SharedCacheError> {
        self.remote.open(blob)
    }

    fn put_layer(
        &self,
        tar: &mut (dyn Read + Send),
        compression: Compression,
    ) -> Result<Descriptor, SharedCacheError> {
        // Compressed to a file first: the digest decides whether anything is sent, and a broken upload can begin again.
        let spool = self.store.begin_layer()?;
        let file = spool.root().create_file("blob", 0o600)?;
        let mut out = HashingWriter::new(file);
        let failed = |error| self.remote.io("compress a layer for")(std::io::Error::other(error));
        compress(tar, &mut out, compression).map_err(failed)?;
        let (digest, size) = out.finish().map_err(failed)?;
        let file = spool.root().open_file_nofollow("blob")?;
        let again = move || {
            let reopened = file.try_clone().and_then(|mut file| file.rewind().map(|()| file));
            match reopened {
                Ok(file) => file_stream(file),
                Err(error) => Box::pin(futures_util::stream::once(async { Err(error) })),
            }
        };
        self.upload(digest, UploadBody::again(Some(size), again))?;
        Ok(Descriptor::new(layer_type(compression), digest, size))
    }

    fn put(&self, key: &CacheKey, entry: &Entry) -> Result<(), SharedCacheError> {
        self.put_empty()?;
        let Remote { client, repo, .. } = &self.remote;
        let bytes = Bytes::from(entry.to_manifest());
        let tag = self.tag(key);
        let sent = client.put_manifest(repo, &tag, media_type::OCI_MANIFEST, bytes);
        self.remote.wait(sent).map(drop).map_err(|error| self.remote.failed(error))
    }
}
