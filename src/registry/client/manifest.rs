//! Manifests: fetched and verified, looked up, sent, deleted.

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response};

use super::body::read_limited;
use super::request::{Ask, text};
use super::url_text::redacted;
use super::{RegistryClient, Repository, TagOrDigest};
use crate::image::Digest;
use crate::image::manifest::{MAX_DOCUMENT, media_type};
use crate::registry::RegistryError;
use crate::registry::auth::Scopes;
use crate::registry::hosts::Endpoint;

/// A manifest or index as it came, its bytes checked against its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The exact bytes.
    pub bytes: Bytes,
    /// Media type that the server says.
    pub media_type: String,
    /// Digest of the bytes.
    pub digest: Digest,
}

/// What a server says of a manifest without sending it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Media type.
    pub media_type: String,
    /// Digest, if the server sends it.
    pub digest: Option<Digest>,
    /// Bytes, if the server sends their number.
    pub size: Option<u64>,
}

impl RegistryClient {
    /// Fetches a manifest or index; at most [`MAX_DOCUMENT`] bytes, verified.
    ///
    /// # Errors
    /// See [`RegistryError`]; `is_not_found` for an unknown one.
    pub async fn manifest(
        &self,
        repo: &Repository,
        what: &TagOrDigest,
    ) -> Result<FetchedManifest, RegistryError> {
        let mut failed = None;
        for endpoint in self.readers(repo)? {
            match self.manifest_at(&endpoint, repo, what).await {
                Ok(manifest) => return Ok(manifest),
                Err(error) => {
                    self.mirror_failed(&endpoint, &error);
                    failed = Some(error);
                }
            }
        }
        Err(failed.expect("there is an endpoint for every domain"))
    }

    async fn manifest_at(
        &self,
        endpoint: &Endpoint,
        repo: &Repository,
        what: &TagOrDigest,
    ) -> Result<FetchedManifest, RegistryError> {
        let mut attempt = 1;
        loop {
            match self.manifest_once(endpoint, repo, what).await {
                Err(error) if error.is_temporary() => self.pause(error, &mut attempt).await?,
                other => return other,
            }
        }
    }

    async fn manifest_once(
        &self,
        endpoint: &Endpoint,
        repo: &Repository,
        what: &TagOrDigest,
    ) -> Result<FetchedManifest, RegistryError> {
        let ask = ask_manifest(Method::GET, endpoint, repo, what, Scopes::pull(repo.path()))?;
        let url = redacted(&ask.sent.url);
        let response = self.attempt(endpoint, &ask).await?;
        let head = head_of(&response);
        let bytes = read_limited(response, MAX_DOCUMENT, "manifest", self.small_limit()).await?;
        let got = Digest::of(&bytes);
        let expected = match what {
            TagOrDigest::Digest(digest) => Some(*digest),
            TagOrDigest::Tag(_) => head.digest,
        };
        match expected {
            Some(expected) if expected != got => Err(RegistryError::Digest { url, expected, got }),
            _ => Ok(FetchedManifest { bytes, media_type: head.media_type, digest: got }),
        }
    }

    /// Asks for a manifest's digest, type and size; none if it is not there.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn head_manifest(
        &self,
        repo: &Repository,
        what: &TagOrDigest,
    ) -> Result<Option<ManifestHead>, RegistryError> {
        let mut last = Ok(None);
        for endpoint in self.readers(repo)? {
            let ask = ask_manifest(Method::HEAD, &endpoint, repo, what, Scopes::pull(repo.path()))?;
            last = match self.send(&endpoint, ask).await {
                Ok(response) => return Ok(Some(head_of(&response))),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => {
                    self.mirror_failed(&endpoint, &error);
                    Err(error)
                }
            };
        }
        last
    }

    /// Sends a manifest under a tag or its digest; the exact bytes.
    ///
    /// A manifest that says something about another one is added to that
    /// one's index of referrers, where the registry does not keep it itself.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn put_manifest(
        &self,
        repo: &Repository,
        what: &TagOrDigest,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Digest, RegistryError> {
        let answer = self.put_exact(repo, what, media_type, bytes.clone()).await?;
        let digest = Digest::of(&bytes);
        // A registry that keeps something else (or names it by another algorithm, which is no lie) says so.
        if let Some(kept) = text(answer.headers(), "docker-content-digest")
            && kept.starts_with("sha256:")
            && kept != digest.to_string()
        {
            let url = redacted(answer.url());
            let what = format!("the manifest {digest} was sent, and the registry has {kept}");
            return Err(RegistryError::Protocol { url, what });
        }
        if !answer.headers().contains_key("oci-subject")
            && let Ok(manifest) = serde_json::from_slice::<serde_json::Value>(&bytes)
        {
            self.add_referrer(repo, &manifest, media_type, &bytes).await?;
        }
        Ok(digest)
    }

    pub(super) async fn put_exact(
        &self,
        repo: &Repository,
        what: &TagOrDigest,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<Response, RegistryError> {
        let endpoint = self.origin(repo)?;
        let mut ask = ask_manifest(Method::PUT, &endpoint, repo, what, Scopes::push(repo.path()))?;
        let content_type = HeaderValue::from_str(media_type).map_err(|_| RegistryError::Protocol {
            url: redacted(&ask.sent.url),
            what: format!("{media_type:?} is no media type"),
        })?;
        ask.sent.headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
        self.send(&endpoint, ask.body(bytes)).await
    }

    /// Deletes a tag, or a manifest by its digest with all its tags.
    ///
    /// # Errors
    /// See [`RegistryError`]; 405 where the registry allows no deletes.
    pub async fn delete_manifest(&self, repo: &Repository, what: &TagOrDigest) -> Result<(), RegistryError> {
        let endpoint = self.origin(repo)?;
        let ask = ask_manifest(Method::DELETE, &endpoint, repo, what, Scopes::delete(repo.path()))?;
        self.send(&endpoint, ask).await.map(drop)
    }
}

fn ask_manifest(
    method: Method,
    endpoint: &Endpoint,
    repo: &Repository,
    what: &TagOrDigest,
    scopes: Scopes,
) -> Result<Ask, RegistryError> {
    let url = endpoint.api(&format!("{}/manifests/{what}", repo.path()))?;
    let accept = [
        media_type::OCI_INDEX,
        media_type::DOCKER_INDEX,
        media_type::OCI_MANIFEST,
        media_type::DOCKER_MANIFEST,
    ]
    .join(", ");
    Ok(Ask::new(method, url, scopes).header(header::ACCEPT, &accept))
}

fn head_of(response: &Response) -> ManifestHead {
    let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
    let media_type = text("content-type").unwrap_or_default();
    ManifestHead {
        media_type: media_type.split(';').next().unwrap_or_default().trim().to_owned(),
        digest: text("docker-content-digest").and_then(|text| text.parse().ok()),
        size: text("content-length").and_then(|text| text.parse().ok()),
    }
}
