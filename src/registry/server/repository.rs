//! What a repository has, in terms of the storage's documents.

use bytes::Bytes;

use super::digest::BlobDigest;
use super::storage::{Storage, StorageError};

/// A repository of a storage.
#[derive(Clone, Copy)]
pub struct Repo<'a> {
    storage: &'a dyn Storage,
    name: &'a str,
}

impl<'a> Repo<'a> {
    /// Takes a repository by its checked name; it need not have anything.
    pub fn new(storage: &'a dyn Storage, name: &'a str) -> Self {
        Self { storage, name }
    }

    /// Returns its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    fn path(&self, rest: &str) -> String {
        format!("repos/{}/{rest}", self.name)
    }

    fn blob_path(&self, digest: &BlobDigest) -> String {
        self.path(&format!("_blobs/{}", digest.dashed()))
    }

    fn manifest_path(&self, digest: &BlobDigest) -> String {
        self.path(&format!("_manifests/{}", digest.dashed()))
    }

    fn tag_path(&self, tag: &str) -> String {
        self.path(&format!("_tags/{tag}"))
    }

    fn referrer_path(&self, subject: &BlobDigest, referrer: &BlobDigest) -> String {
        self.path(&format!("_referrers/{}/{}", subject.dashed(), referrer.dashed()))
    }

    /// Whether anything was ever put into it.
    pub async fn is_known(&self) -> Result<bool, StorageError> {
        Ok(self.storage.list(&self.path("")).await?.iter().any(|entry| entry.name.starts_with('_')))
    }

    /// Returns the size of a blob, or of a manifest fetched as a blob, that it has.
    pub async fn blob(&self, digest: &BlobDigest) -> Result<Option<u64>, StorageError> {
        let linked = self.storage.age(&self.blob_path(digest)).await?.is_some()
            || self.storage.age(&self.manifest_path(digest)).await?.is_some();
        if linked { self.storage.blob_size(digest).await } else { Ok(None) }
    }

    /// Notes that it has a blob; again, this protects the blob from a sweep for some time.
    pub async fn add_blob(&self, digest: &BlobDigest) -> Result<(), StorageError> {
        self.storage.write(&self.blob_path(digest), Bytes::new()).await
    }

    /// Returns the time since a blob was added.
    pub async fn blob_age(&self, digest: &BlobDigest) -> Result<Option<std::time::Duration>, StorageError> {
        self.storage.age(&self.blob_path(digest)).await
    }

    /// Forgets a blob and says whether it had it.
    pub async fn remove_blob(&self, digest: &BlobDigest) -> Result<bool, StorageError> {
        self.storage.remove(&self.blob_path(digest)).await
    }

    /// Returns every blob that it has.
    pub async fn blobs(&self) -> Result<Vec<BlobDigest>, StorageError> {
        self.digests("_blobs").await
    }

    /// Returns every manifest that it has.
    pub async fn manifests(&self) -> Result<Vec<BlobDigest>, StorageError> {
        self.digests("_manifests").await
    }

    async fn digests(&self, folder: &str) -> Result<Vec<BlobDigest>, StorageError> {
        let entries = self.storage.list(&self.path(folder)).await?;
        Ok(entries.iter().filter_map(|entry| BlobDigest::from_dashed(&entry.name)).collect())
    }

    /// Returns the media type of a manifest that it has.
    pub async fn manifest_type(&self, digest: &BlobDigest) -> Result<Option<String>, StorageError> {
        let text = self.storage.read(&self.manifest_path(digest)).await?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()).filter(|text| !text.is_empty()))
    }

    /// Returns the time since a manifest was put or last confirmed.
    pub async fn manifest_age(
        &self,
        digest: &BlobDigest,
    ) -> Result<Option<std::time::Duration>, StorageError> {
        self.storage.age(&self.manifest_path(digest)).await
    }

    /// Notes that it has a manifest whose bytes are a blob.
    pub async fn add_manifest(&self, digest: &BlobDigest, media_type: &str) -> Result<(), StorageError> {
        self.storage.write(&self.manifest_path(digest), Bytes::copy_from_slice(media_type.as_bytes())).await
    }

    /// Forgets a manifest and says whether it had it.
    pub async fn remove_manifest(&self, digest: &BlobDigest) -> Result<bool, StorageError> {
        self.storage.remove(&self.manifest_path(digest)).await
    }

    /// Returns what a tag names.
    pub async fn tag(&self, tag: &str) -> Result<Option<BlobDigest>, StorageError> {
        let text = self.storage.read(&self.tag_path(tag)).await?;
        Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok()))
    }

    /// Returns the time since a tag was set.
    pub async fn tag_age(&self, tag: &str) -> Result<Option<std::time::Duration>, StorageError> {
        self.storage.age(&self.tag_path(tag)).await
    }

    /// Sets a tag.
    pub async fn set_tag(&self, tag: &str, digest: &BlobDigest) -> Result<(), StorageError> {
        self.storage.write(&self.tag_path(tag), Bytes::from(digest.to_string())).await
    }

    /// Removes a tag and says whether it was there.
    pub async fn remove_tag(&self, tag: &str) -> Result<bool, StorageError> {
        self.storage.remove(&self.tag_path(tag)).await
    }

    /// Returns its tags, sorted by bytes.
    pub async fn tags(&self) -> Result<Vec<String>, StorageError> {
        let mut tags: Vec<String> =
            self.storage.list(&self.path("_tags")).await?.into_iter().map(|entry| entry.name).collect();
        tags.sort();
        Ok(tags)
    }

    /// Notes the descriptor of a manifest that has a subject.
    pub async fn add_referrer(
        &self,
        subject: &BlobDigest,
        referrer: &BlobDigest,
        descriptor: &serde_json::Value,
    ) -> Result<(), StorageError> {
        self.storage.write(&self.referrer_path(subject, referrer), Bytes::from(descriptor.to_string())).await
    }

    /// Forgets a referrer.
    pub async fn remove_referrer(
        &self,
        subject: &BlobDigest,
        referrer: &BlobDigest,
    ) -> Result<bool, StorageError> {
        self.storage.remove(&self.referrer_path(subject, referrer)).await
    }

    /// Returns the descriptors of what refers to a manifest, by digest.
    pub async fn referrers(
        &self,
        subject: &BlobDigest,
    ) -> Result<Vec<(BlobDigest, serde_json::Value)>, StorageError> {
        let mut found = Vec::new();
        for digest in self.digests(&format!("_referrers/{}", subject.dashed())).await? {
            let text = self.storage.read(&self.referrer_path(subject, &digest)).await?;
            if let Some(descriptor) = text.and_then(|text| serde_json::from_slice(&text).ok()) {
                found.push((digest, descriptor));
            }
        }
        Ok(found)
    }

    /// Reads a manifest's bytes.
    pub async fn manifest_bytes(&self, digest: &BlobDigest) -> Result<Option<Bytes>, StorageError> {
        read_blob(self.storage, digest).await
    }
}

/// Reads a small blob whole.
pub async fn read_blob(storage: &dyn Storage, digest: &BlobDigest) -> Result<Option<Bytes>, StorageError> {
    use futures_util::StreamExt as _;
    let Some(size) = storage.blob_size(digest).await? else { return Ok(None) };
    let mut pieces = storage.blob(digest, 0..size).await?;
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece =
            piece.map_err(|source| StorageError::Io { action: "read", name: digest.to_string(), source })?;
        all.extend_from_slice(&piece);
    }
    Ok(Some(all.into()))
}

/// Returns the names of all repositories, sorted by bytes.
pub async fn repositories(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    let mut found = Vec::new();
    let mut ahead = vec![String::new()];
    while let Some(name) = ahead.pop() {
        let below = storage.list(&format!("repos/{name}")).await?;
        if below.iter().any(|entry| entry.name.starts_with('_') && entry.is_folder) {
            found.push(name.clone());
        }
        for entry in below.into_iter().filter(|entry| entry.is_folder && !entry.name.starts_with('_')) {
            ahead.push(if name.is_empty() { entry.name } else { format!("{name}/{}", entry.name) });
        }
    }
    found.sort();
    Ok(found)
}
