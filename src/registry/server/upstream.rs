//! The registry as a cache of another one.
//!
//! A tag is believed for some time, then asked for again; when the registry
//! behind can't be reached, what is there is served. A blob is fetched once,
//! however many ask: it goes to the storage, and clients follow it there while
//! it comes.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::{Response, StatusCode};
use tokio::sync::{OnceCell, mpsc, watch};

use super::answer::{Answered, Failure, no_body, streamed};
use super::digest::{Algorithm, BlobDigest};
use super::document::Document;
use super::error::ServerError;
use super::handle::{Ask, describe, serve_blob};
use super::registry::Registry;
use super::repository::Repo;
use super::route::Named;
use super::source::{Source, SourceError};
use super::storage::{BlobBytes, Storage};
use crate::image::{Digest, Reference};
use crate::registry::RegistryError;
use crate::registry::client::{BlobStream, RegistryClient, Repository, TagOrDigest};

/// How often a broken transfer is taken up again.
const ATTEMPTS: u32 = 5;
/// Bytes that a client following a transfer is sent at once.
const PIECE: u64 = 256 << 10;
/// How often a client following a transfer looks for more.
const LOOK: Duration = Duration::from_millis(10);

/// What an answer says when the registry behind can't be asked: that says nothing of what there is.
const UNAVAILABLE: &str = "UNAVAILABLE";

/// The registry behind a cache.
pub struct Upstream {
    client: RegistryClient,
    domain: String,
    ttl: Duration,
    fetches: Mutex<HashMap<BlobDigest, Arc<OnceCell<Fetch>>>>,
}

/// How a transfer ended; nothing while it goes on.
type Outcome = Option<Result<(), String>>;

/// A blob on its way into the storage.
#[derive(Clone)]
struct Fetch {
    session: String,
    size: u64,
    outcome: watch::Receiver<Outcome>,
}

impl Upstream {
    /// Takes a client that can reach `domain`; tags are believed for `ttl`.
    pub fn new(client: RegistryClient, domain: &str, ttl: Duration) -> Self {
        Self { client, domain: domain.to_owned(), ttl, fetches: Mutex::default() }
    }

    /// Returns the domain under which a client knows the registry at a URL, and the origin to configure for it.
    ///
    /// # Errors
    /// It is no root URL of a registry.
    pub fn domain_of(url: &str) -> Result<(String, String), ServerError> {
        let bad = || ServerError::Upstream { url: url.to_owned() };
        let text = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
        let root = url::Url::parse(&text).map_err(|_| bad())?;
        if !["http", "https"].contains(&root.scheme()) || root.path() != "/" || !root.username().is_empty() {
            return Err(bad());
        }
        let host = root.host_str().ok_or_else(bad)?;
        if ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"].contains(&host)
        {
            return Ok(("docker.io".to_owned(), "https://registry-1.docker.io".to_owned()));
        }
        // A domain is only recognised in a name by a dot, a port, or being localhost.
        let port = root.port_or_known_default().ok_or_else(bad)?;
        let scheme = root.scheme();
        Ok((format!("{host}:{port}"), format!("{scheme}://{host}:{port}")))
    }

    fn repository(&self, name: &str) -> Result<Repository, Failure> {
        let reference = Reference::parse(&format!("{}/{name}", self.domain));
        Ok(Repository::of(&reference.map_err(|_| Failure::name_unknown(name))?))
    }

    /// Brings a manifest up to date before it is served.
    pub(super) async fn refresh(&self, registry: &Registry, name: &str, what: &Named) -> Result<(), Failure> {
        let repo = registry.repo(name);
        let (known, is_fresh) = match what {
            Named::Digest(digest) => {
                let known = repo.manifest_type(digest).await?.is_some();
                (known.then(|| digest.clone()), known)
            }
            Named::Tag(tag) => {
                let age = repo.tag_age(tag).await?;
                (repo.tag(tag).await?, age.is_some_and(|age| age < self.ttl))
            }
        };
        if known.is_some() && is_fresh {
            return Ok(());
        }
        match self.fetch_manifest(registry, name, what, known.as_ref()).await {
            Err(Fetched::Gone(failure)) => {
                if let Named::Tag(tag) = what {
                    repo.remove_tag(tag).await?;
                }
                Err(failure)
            }
            Err(Fetched::Failed(_)) if known.is_some() => Ok(()),
            Err(Fetched::Failed(failure)) => Err(failure),
            Ok(()) => Ok(()),
        }
    }

    async fn fetch_manifest(
        &self,
        registry: &Registry,
        name: &str,
        what: &Named,
        known: Option<&BlobDigest>,
    ) -> Result<(), Fetched> {
        let there = self.repository(name).map_err(Fetched::Gone)?;
        let wanted = match what {
            Named::Tag(tag) => TagOrDigest::Tag(tag.clone()),
            Named::Digest(digest) => TagOrDigest::Digest(image_digest(digest).map_err(Fetched::Gone)?),
        };
        if let (Named::Tag(tag), Some(known)) = (what, known) {
            let head = self.client.head_manifest(&there, &wanted).await.map_err(Fetched::of)?;
            if head.and_then(|head| head.digest).map(BlobDigest::from).as_ref() == Some(known) {
                // Written again, the tag is as young as the answer.
                return Ok(registry.repo(name).set_tag(tag, known).await?);
            }
        }
        let found = self.client.manifest(&there, &wanted).await.map_err(Fetched::of)?;
        let said = Some(found.media_type.as_str()).filter(|text| !text.is_empty());
        let document = Document::parse(&found.bytes, said).map_err(|text| {
            Fetched::Failed(Failure::new(StatusCode::BAD_GATEWAY, "MANIFEST_INVALID", text))
        })?;
        let tags = match what {
            Named::Tag(tag) => vec![tag.clone()],
            Named::Digest(_) => Vec::new(),
        };
        let _shared = registry.storage().share().await?;
        registry
            .store_manifest(name, &found.digest.into(), found.bytes, &document, &tags)
            .await
            .map_err(Fetched::Failed)
    }

    /// Returns the tags that the registry behind has now; none if it can't be asked.
    pub(super) async fn tags(&self, name: &str) -> Option<Vec<String>> {
        let mut tags = self.client.tags(&self.repository(name).ok()?).await.ok()?;
        tags.sort();
        Some(tags)
    }

    /// Serves a blob that the repository does not have yet.
    pub(super) async fn blob(
        &self,
        registry: &Registry,
        ask: &Ask,
        name: &str,
        digest: &BlobDigest,
    ) -> Answered {
        if let Some(size) = registry.storage().blob_size(digest).await? {
            // Another repository brought it.
            registry.repo(name).add_blob(digest).await?;
            return serve_blob(registry, ask, digest, size).await;
        }
        let fetch = self.fetch(registry, name, digest).await?;
        let mut response = Response::new(no_body());
        describe(&mut response, digest, fetch.size);
        if !ask.wants_body() {
            return Ok(response);
        }
        let whole = ask.header(hyper::header::RANGE).is_none();
        if let Some(file) = registry.storage().growing(&fetch.session).await?.filter(|_| whole) {
            *response.body_mut() = streamed(follow(file, fetch));
            return Ok(response);
        }
        let mut outcome = fetch.outcome.clone();
        let ended = outcome.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        match ended {
            Some(Ok(())) => serve_blob(registry, ask, digest, fetch.size).await,
            Some(Err(text)) => Err(Failure::new(StatusCode::BAD_GATEWAY, UNAVAILABLE, text)),
            None => Err(Failure::new(StatusCode::BAD_GATEWAY, UNAVAILABLE, "the transfer was given up")),
        }
    }

    /// Starts a transfer, or finds the one under way.
    async fn fetch(&self, registry: &Registry, name: &str, digest: &BlobDigest) -> Result<Fetch, Failure> {
        let cell = {
            let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            // A transfer that has ended left a blob, or must be tried again.
            fetches.retain(|_, cell| cell.get().is_none_or(|fetch| fetch.outcome.borrow().is_none()));
            Arc::clone(fetches.entry(digest.clone()).or_default())
        };
        let started = cell.get_or_try_init(|| self.start(registry, name, digest)).await;
        started.cloned()
    }

    async fn start(&self, registry: &Registry, name: &str, digest: &BlobDigest) -> Result<Fetch, Failure> {
        let (there, wanted) = (self.repository(name)?, image_digest(digest)?);
        let stream = self.client.blob(&there, &wanted, None).await.map_err(|error| {
            if error.is_not_found() { Failure::blob_unknown() } else { gateway("BLOB_UNKNOWN", &error) }
        })?;
        let size = stream.total().ok_or_else(|| {
            Failure::new(
                StatusCode::BAD_GATEWAY,
                UNAVAILABLE,
                "the registry behind does not say the blob's size",
            )
        })?;
        let session = registry.storage().begin(name, Algorithm::Sha256).await?;
        let (ended, outcome) = watch::channel(None);
        let (to, from) = mpsc::channel(4);
        tokio::spawn(pump(self.client.clone(), there, wanted, stream, size, to));
        let (storage, id) = (registry.storage_arc(), session.clone());
        let (name, digest) = (name.to_owned(), digest.clone());
        tokio::spawn(async move {
            let result = keep(&*storage, &id, &name, &digest, Source::channel(from)).await;
            if result.is_err() {
                let _ = storage.cancel(&id).await;
            }
            ended.send_replace(Some(result.map_err(|error| format!("the transfer failed: {error}"))));
        });
        Ok(Fetch { session, size, outcome })
    }
}

/// Why there is no manifest from the registry behind.
enum Fetched {
    /// It says that there is none.
    Gone(Failure),
    /// It could not be asked.
    Failed(Failure),
}

impl Fetched {
    fn of(error: RegistryError) -> Self {
        match error.is_not_found() {
            true => Self::Gone(Failure::manifest_unknown(&error)),
            false => Self::Failed(gateway("MANIFEST_UNKNOWN", &error)),
        }
    }
}

impl From<super::storage::StorageError> for Fetched {
    fn from(error: super::storage::StorageError) -> Self {
        Self::Failed(error.into())
    }
}

fn gateway(code: &'static str, error: &RegistryError) -> Failure {
    let (status, code) = match error.status() {
        // Registries say so of repositories that may not exist.
        Some(401 | 403) => (StatusCode::NOT_FOUND, code),
        _ => (StatusCode::BAD_GATEWAY, UNAVAILABLE),
    };
    Failure::new(status, code, format!("the registry behind failed: {}", crate::causes::chain(error)))
}

fn image_digest(digest: &BlobDigest) -> Result<Digest, Failure> {
    digest.to_image_digest().ok_or_else(|| {
        Failure::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "only sha256 is fetched from the registry behind")
    })
}

/// Sends a blob's bytes on as they come, and goes on where it broke.
async fn pump(
    client: RegistryClient,
    there: Repository,
    digest: Digest,
    mut stream: BlobStream,
    size: u64,
    to: mpsc::Sender<Result<Bytes, SourceError>>,
) {
    let (mut at, mut attempt) = (0u64, 1);
    loop {
        let error = match stream.next().await {
            Ok(Some(bytes)) => {
                at += bytes.len() as u64;
                if to.send(Ok(bytes)).await.is_err() {
                    return;
                }
                continue;
            }
            Ok(None) if at >= size => return,
            Ok(None) => "the blob ended too early".into(),
            Err(error) => SourceError::from(error),
        };
        if attempt == ATTEMPTS {
            let _ = to.send(Err(error)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(200) * attempt).await;
        attempt += 1;
        match client.blob(&there, &digest, Some((at, None))).await {
            Ok(again) if again.offset() == at => stream = again,
            Ok(_) => {
                let _ = to.send(Err("the registry behind can't go on in the middle of a blob".into())).await;
                return;
            }
            Err(_) => {}
        }
    }
}

async fn keep(
    storage: &dyn Storage,
    id: &str,
    name: &str,
    digest: &BlobDigest,
    mut source: Source,
) -> Result<(), super::storage::StorageError> {
    storage.append(id, 0, &mut source).await?;
    let _shared = storage.share().await?;
    storage.finish(id, digest).await?;
    Repo::new(storage, name).add_blob(digest).await
}

/// Reads a file that grows; the last piece only comes once the whole was found right.
fn follow(file: File, fetch: Fetch) -> BlobBytes {
    let file = Arc::new(file);
    Box::pin(futures_util::stream::unfold((file, fetch, 0u64), |(file, mut fetch, at)| async move {
        if at >= fetch.size {
            return None;
        }
        let piece = next_piece(&file, &mut fetch, at).await;
        let end = piece.as_ref().map_or(fetch.size, |piece| at + piece.len() as u64);
        Some((piece, (file, fetch, end)))
    }))
}

async fn next_piece(file: &Arc<File>, fetch: &mut Fetch, at: u64) -> std::io::Result<Bytes> {
    loop {
        let outcome = fetch.outcome.borrow().clone();
        let there = match outcome {
            Some(Err(text)) => return Err(std::io::Error::other(text)),
            Some(Ok(())) => fetch.size,
            None if fetch.outcome.has_changed().is_err() => {
                return Err(std::io::Error::other("the transfer was given up"));
            }
            None => file.metadata()?.len().min(fetch.size.saturating_sub(1)),
        };
        if there > at {
            let (file, count) = (Arc::clone(file), PIECE.min(there - at));
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; usize::try_from(count).expect("a piece fits")];
                file.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
            });
            return read.await.map_err(std::io::Error::other)?;
        }
        tokio::select! {
            _ = fetch.outcome.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
