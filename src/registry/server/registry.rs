//! The registry: its storage, its rules, and what is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use tokio::sync::watch;

use super::answer::Failure;
use super::auth::{Need, Users};
use super::digest::BlobDigest;
use super::document::Document;
use super::handle::Ask;
use super::repository::Repo;
use super::route::Route;
use super::source::Source;
use super::storage::{Storage, StorageError};
use super::upstream::Upstream;

/// What a registry allows.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Nothing is pushed or deleted.
    pub read_only: bool,
    /// Manifests, tags and blobs may be deleted.
    pub allow_delete: bool,
    /// Manifests may name blobs and manifests that are not there.
    pub sparse: bool,
    /// Who is no user may pull.
    pub anonymous_pull: bool,
    /// Uploads that do not move for so long are dropped.
    pub upload_expiry: Duration,
    /// Clients come by TLS.
    pub tls: bool,
}

impl Default for Rules {
    /// Pushing is allowed, deleting is not; uploads expire after a day.
    fn default() -> Self {
        Self {
            read_only: false,
            allow_delete: false,
            sparse: false,
            anonymous_pull: false,
            upload_expiry: Duration::from_secs(24 * 3600),
            tls: false,
        }
    }
}

/// Links older than this are renewed when somebody asks for the blob, so that a sweep knows it is in use.
const RENEW: Duration = Duration::from_secs(600);

/// One session's writers: one at a time, and a new one ends the one before.
#[derive(Clone)]
struct Live {
    lock: Arc<tokio::sync::Mutex<()>>,
    epoch: watch::Sender<u64>,
}

/// A registry; shared by all connections.
pub struct Registry {
    storage: Arc<dyn Storage>,
    rules: Rules,
    users: Option<Users>,
    upstream: Option<Upstream>,
    live: Mutex<HashMap<String, Live>>,
}

impl Registry {
    /// Takes a storage and what may be done with it.
    pub fn new(
        storage: Arc<dyn Storage>,
        rules: Rules,
        users: Option<Users>,
        upstream: Option<Upstream>,
    ) -> Self {
        Self { storage, rules, users, upstream, live: Mutex::default() }
    }

    /// Returns the storage.
    pub fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// Returns the storage for a task of its own.
    pub(super) fn storage_arc(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    /// Returns the registry that this one is a cache of.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.upstream.as_ref()
    }

    /// Returns a repository.
    pub fn repo<'a>(&'a self, name: &'a str) -> Repo<'a> {
        Repo::new(&*self.storage, name)
    }

    /// Lets a request through, or says what it lacks.
    pub(super) async fn authorize(&self, ask: &Ask, need: &Need<'_>) -> Result<(), Failure> {
        match &self.users {
            Some(users) if self.rules.anonymous_pull => users.check_open(ask, need, self.rules.tls).await,
            Some(users) => users.check(ask).await,
            None => Ok(()),
        }
    }

    /// Returns the users that get tokens, if there are some.
    pub(super) fn token_users(&self) -> Option<&Users> {
        self.users.as_ref().filter(|_| self.rules.anonymous_pull)
    }

    pub(super) fn check_writable(&self, method: &Method, route: &Route) -> Result<(), Failure> {
        if self.upstream.is_some() {
            return Err(Failure::unsupported("this registry is a cache of another one; push there"));
        }
        if self.rules.read_only {
            return Err(Failure::unsupported("this registry is read-only"));
        }
        let deletes = *method == Method::DELETE && matches!(route, Route::Manifest(..) | Route::Blob(..));
        if deletes && !self.rules.allow_delete {
            return Err(Failure::unsupported("this registry was started without --allow-delete"));
        }
        Ok(())
    }

    /// Takes a blob over from the local images for a client on this machine, which could push it as well.
    pub(super) async fn adopt(
        &self,
        ask: &Ask,
        name: &str,
        digest: &BlobDigest,
    ) -> Result<Option<u64>, Failure> {
        if !ask.peer.is_loopback() || self.rules.read_only || self.upstream.is_some() {
            return Ok(None);
        }
        let _shared = self.storage.share().await?;
        if !self.storage.adopt(digest).await? {
            return Ok(None);
        }
        self.repo(name).add_blob(digest).await?;
        Ok(self.storage.blob_size(digest).await?)
    }

    /// Renews the note that a repository has a blob; a failure costs only the protection against a sweep.
    pub(super) async fn keep_alive(&self, name: &str, digest: &BlobDigest) {
        let repo = self.repo(name);
        if !self.rules.read_only && matches!(repo.blob_age(digest).await, Ok(Some(age)) if age > RENEW) {
            let _ = repo.add_blob(digest).await;
        }
    }

    /// Mounts a blob from another repository, or from any that has it; says whether it could.
    pub(super) async fn mount(
        &self,
        ask: &Ask,
        name: &str,
        from: Option<&str>,
        digest: &BlobDigest,
    ) -> Result<bool, Failure> {
        {
            let _shared = self.storage.share().await?;
            let found = match from {
                Some(from) => self.repo(from).blob(digest).await?,
                None => self.storage.blob_size(digest).await?,
            };
            if found.is_some() {
                self.repo(name).add_blob(digest).await?;
                return Ok(true);
            }
        }
        Ok(self.adopt(ask, name, digest).await?.is_some())
    }

    fn live(&self, id: &str) -> Live {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Live { lock: Arc::default(), epoch: watch::channel(0).0 };
        live.entry(id.to_owned()).or_insert_with(make).clone()
    }

    fn forget(&self, id: &str) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Appends to a session, at its end or where the client says; ends an earlier writer that still hangs.
    ///
    /// It runs as a task of its own: when the connection breaks, what came is still noted.
    pub(super) async fn receive(&self, id: &str, at: Option<u64>, source: Source) -> Result<u64, Failure> {
        let live = self.live(id);
        live.epoch.send_modify(|epoch| *epoch += 1);
        let alone = Arc::clone(&live.lock).lock_owned().await;
        let mut source = source.interrupted_by(live.epoch.subscribe());
        let (storage, id) = (Arc::clone(&self.storage), id.to_owned());
        let work = tokio::spawn(async move {
            let _alone = alone;
            let at = match at {
                Some(at) => at,
                None => storage.session(&id).await?.size,
            };
            storage.append(&id, at, &mut source).await
        });
        Ok(work.await.expect("receiving does not panic")?)
    }

    /// Makes a session a blob of the repository.
    pub(super) async fn finish(&self, name: &str, id: &str, digest: &BlobDigest) -> Result<(), Failure> {
        let live = self.live(id);
        let alone = Arc::clone(&live.lock).lock_owned().await;
        let (storage, session) = (Arc::clone(&self.storage), id.to_owned());
        let (name, digest) = (name.to_owned(), digest.clone());
        let work = tokio::spawn(async move {
            let _alone = alone;
            let _shared = storage.share().await?;
            storage.finish(&session, &digest).await?;
            Repo::new(&*storage, &name).add_blob(&digest).await
        });
        let result = work.await.expect("finishing does not panic");
        self.forget(id);
        Ok(result?)
    }

    /// Drops a session and whoever appends to it.
    pub(super) async fn cancel(&self, id: &str) -> Result<(), Failure> {
        let live = self.live(id);
        live.epoch.send_modify(|epoch| *epoch += 1);
        let _alone = live.lock.lock().await;
        self.forget(id);
        Ok(self.storage.cancel(id).await?)
    }

    /// Refuses a manifest that needs what the repository lacks, unless it may.
    pub(super) async fn check_references(
        &self,
        ask: &Ask,
        name: &str,
        document: &Document,
    ) -> Result<(), Failure> {
        if self.rules.sparse {
            return Ok(());
        }
        let repo = self.repo(name);
        for digest in &document.blobs {
            if repo.blob(digest).await?.is_none() && self.adopt(ask, name, digest).await?.is_none() {
                return Err(missing("blob", digest));
            }
        }
        for digest in &document.children {
            if repo.blob(digest).await?.is_none() {
                return Err(missing("manifest", digest));
            }
        }
        Ok(())
    }

    /// Keeps a manifest, then its place among referrers, then its tags.
    pub(super) async fn store_manifest(
        &self,
        name: &str,
        digest: &BlobDigest,
        bytes: Bytes,
        document: &Document,
        tags: &[String],
    ) -> Result<(), Failure> {
        let repo = self.repo(name);
        let size = bytes.len();
        self.storage.put_blob(digest, bytes).await?;
        repo.add_manifest(digest, &document.media_type).await?;
        if let Some(subject) = &document.subject {
            repo.add_referrer(subject, digest, &document.descriptor(digest, size)).await?;
        }
        for tag in tags {
            repo.set_tag(tag, digest).await?;
        }
        Ok(())
    }

    /// Forgets a manifest, the tags that name it, and its place among referrers; says whether it was there.
    pub(super) async fn remove_manifest(&self, name: &str, digest: &BlobDigest) -> Result<bool, Failure> {
        let _shared = self.storage.share().await?;
        Ok(remove_manifest(&self.repo(name), digest).await?)
    }

    /// Returns the descriptors of what refers to a manifest, also those that clients noted under the fallback tag.
    pub(super) async fn referrers(
        &self,
        name: &str,
        subject: &BlobDigest,
    ) -> Result<Vec<(BlobDigest, serde_json::Value)>, Failure> {
        let repo = self.repo(name);
        let mut all = repo.referrers(subject).await?;
        let cut = format!("{}-{}", subject.algorithm().name(), &subject.hex()[..64]);
        let Some(fallback) = repo.tag(&cut).await? else { return Ok(all) };
        let Some(bytes) = repo.manifest_bytes(&fallback).await? else { return Ok(all) };
        let index: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        for descriptor in index["manifests"].as_array().into_iter().flatten() {
            let Some(Ok(digest)) = descriptor["digest"].as_str().map(str::parse::<BlobDigest>) else {
                continue;
            };
            if all.iter().all(|(known, _)| *known != digest) {
                all.push((digest, descriptor.clone()));
            }
        }
        Ok(all)
    }

    /// Drops sessions that nobody moves any more; returns how many.
    ///
    /// # Errors
    /// The storage fails.
    pub async fn expire_uploads(&self) -> Result<usize, StorageError> {
        let mut dropped = 0;
        for session in self.storage.sessions().await? {
            let live = self.live(&session.what);
            let Ok(_alone) = live.lock.try_lock() else { continue };
            if session.age > self.rules.upload_expiry {
                self.storage.cancel(&session.what).await?;
                dropped += 1;
            }
            // It is made again when somebody goes on.
            self.forget(&session.what);
        }
        Ok(dropped)
    }
}

/// Forgets a manifest of a repository; see [`Registry::remove_manifest`].
pub(super) async fn remove_manifest(repo: &Repo<'_>, digest: &BlobDigest) -> Result<bool, StorageError> {
    if repo.manifest_type(digest).await?.is_none() {
        return Ok(false);
    }
    for tag in repo.tags().await? {
        if repo.tag(&tag).await?.as_ref() == Some(digest) {
            repo.remove_tag(&tag).await?;
        }
    }
    if let Some(bytes) = repo.manifest_bytes(digest).await?
        && let Ok(Document { subject: Some(subject), .. }) = Document::parse(&bytes, None)
    {
        repo.remove_referrer(&subject, digest).await?;
    }
    repo.remove_manifest(digest).await
}

fn missing(what: &str, digest: &BlobDigest) -> Failure {
    let text = format!("{what} unknown to registry");
    Failure::new(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", text)
        .detail(serde_json::json!({ "digest": digest.to_string() }))
}
