//! Garbage collection: marks what repositories name, sweeps the rest.
//!
//! Requests that check something and then rely on it hold the storage shared;
//! the sweep holds it alone. What is younger than the grace time stays, so that
//! blobs which were pushed or found there survive until their manifest comes.

use std::collections::HashSet;
use std::time::Duration;

use super::digest::BlobDigest;
use super::document::Document;
use super::registry::remove_manifest;
use super::repository::{Repo, repositories};
use super::storage::{Storage, StorageError};

/// What a collection may take.
#[derive(Debug, Clone)]
pub struct CollectOptions {
    /// What was written or asked for within this time stays.
    pub grace: Duration,
    /// Manifests that no tag, index or kept subject leads to go, too.
    pub untagged: bool,
    /// Nothing is taken, only counted.
    pub dry_run: bool,
}

/// What a collection took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Manifests that nothing led to.
    pub manifests: usize,
    /// Blobs and manifests' bytes that no repository has.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Takes away what no repository needs.
///
/// # Errors
/// The storage fails; what was taken until then is gone.
pub async fn collect(storage: &dyn Storage, options: &CollectOptions) -> Result<Collected, StorageError> {
    let _alone = storage.exclude().await?;
    let blobs = storage.blobs().await?;
    let (mut marked, mut taken) = (HashSet::new(), Collected::default());
    for name in repositories(storage).await? {
        let repo = Repo::new(storage, &name);
        let manifests = Manifests::read(&repo).await?;
        let gone =
            if options.untagged { manifests.unreachable(&repo, options).await? } else { HashSet::new() };
        taken.manifests += gone.len();
        if !options.dry_run {
            for digest in &gone {
                remove_manifest(&repo, digest).await?;
            }
        }
        mark(&repo, &manifests, &gone, options, &mut marked).await?;
    }
    for blob in blobs {
        if marked.contains(&blob.what) || blob.age < options.grace {
            continue;
        }
        taken.blobs += 1;
        taken.bytes += blob.size;
        if !options.dry_run {
            storage.remove_blob(&blob.what).await?;
        }
    }
    Ok(taken)
}

/// Marks what a repository keeps, and drops its notes of blobs that none of its manifests names.
async fn mark(
    repo: &Repo<'_>,
    manifests: &Manifests,
    gone: &HashSet<BlobDigest>,
    options: &CollectOptions,
    marked: &mut HashSet<BlobDigest>,
) -> Result<(), StorageError> {
    let mut needed: HashSet<&BlobDigest> = HashSet::new();
    for (digest, document) in manifests.0.iter().filter(|(digest, _)| !gone.contains(digest)) {
        marked.insert(digest.clone());
        if let Some(document) = document {
            needed.extend(document.blobs.iter().chain(&document.children));
        }
    }
    for digest in repo.blobs().await? {
        let young = repo.blob_age(&digest).await?.is_some_and(|age| age < options.grace);
        if needed.contains(&digest) || young {
            marked.insert(digest);
        } else if !options.dry_run {
            repo.remove_blob(&digest).await?;
        }
    }
    Ok(())
}

/// A repository's manifests, as far as they can be read.
struct Manifests(Vec<(BlobDigest, Option<Document>)>);

impl Manifests {
    async fn read(repo: &Repo<'_>) -> Result<Self, StorageError> {
        let mut found = Vec::new();
        for digest in repo.manifests().await? {
            let media_type = repo.manifest_type(&digest).await?;
            let bytes = repo.manifest_bytes(&digest).await?;
            let document = bytes.and_then(|bytes| Document::parse(&bytes, media_type.as_deref()).ok());
            found.push((digest, document));
        }
        Ok(Self(found))
    }

    /// Returns the manifests, older than the grace time, that no tag leads to by way of indexes and subjects.
    async fn unreachable(
        &self,
        repo: &Repo<'_>,
        options: &CollectOptions,
    ) -> Result<HashSet<BlobDigest>, StorageError> {
        let mut kept = HashSet::new();
        for tag in repo.tags().await? {
            kept.extend(repo.tag(&tag).await?);
        }
        for (digest, _) in &self.0 {
            if repo.manifest_age(digest).await?.is_some_and(|age| age < options.grace) {
                kept.insert(digest.clone());
            }
        }
        loop {
            let before = kept.len();
            for (digest, document) in &self.0 {
                let Some(document) = document else { continue };
                if document.subject.as_ref().is_some_and(|subject| kept.contains(subject)) {
                    kept.insert(digest.clone());
                }
                if kept.contains(digest) {
                    kept.extend(document.children.iter().cloned());
                }
            }
            if kept.len() == before {
                break;
            }
        }
        Ok(self
            .0
            .iter()
            .map(|(digest, _)| digest)
            .filter(|digest| !kept.contains(*digest))
            .cloned()
            .collect())
    }
}
