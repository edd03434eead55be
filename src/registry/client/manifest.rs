//! Manifests: fetched and verified, looked up, sent, deleted.

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response};

use super::request::{Ask, transport};
use super::url_text::redacted;
use super::{RegistryClient, Repository, TagOrDigest};
use crate::image::Digest;
use crate::image::manifest::{MAX_DOCUMENT, media_type};
use crate::registry::RegistryError;
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
        for endpoint in self.endpoints(repo, true)? {
            match self.manifest_at(&endpoint, repo, what).await {
                Ok(manifest) => return Ok(manifest),
                Err(error) => failed = Some(error),
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
        let ask = ask_manifest(Method::GET, endpoint, repo, what)?;
        let url = redacted(&ask.url);
        let response = self.send(endpoint, ask).await?;
        let head = head_of(&response);
        let bytes = read_limited(response, MAX_DOCUMENT, "manifest").await?;
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
        for endpoint in self.endpoints(repo, true)? {
            let ask = ask_manifest(Method::HEAD, &endpoint, repo, what)?;
            last = match self.send(&endpoint, ask).await {
                Ok(response) => return Ok(Some(head_of(&response))),
                Err(error) if error.is_not_found() => Ok(None),
                Err(error) => Err(error),
            };
        }
        last
    }

    /// Sends a manifest under a tag or its digest; the exact bytes.
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
        let endpoint = self.inner.options.hosts.origin(repo.domain())?;
        let mut ask = ask_manifest(Method::PUT, &endpoint, repo, what)?;
        let digest = Digest::of(&bytes);
        let content_type = HeaderValue::from_str(media_type).map_err(|_| RegistryError::Protocol {
            url: redacted(&ask.url),
            what: format!("{media_type:?} is no media type"),
        })?;
        ask.headers = HeaderMap::from_iter([(header::CONTENT_TYPE, content_type)]);
        ask.body = Some(bytes);
        self.send(&endpoint, ask).await?;
        Ok(digest)
    }

    /// Deletes a tag, or a manifest by its digest with all its tags.
    ///
    /// # Errors
    /// See [`RegistryError`]; 405 where the registry allows no deletes.
    pub async fn delete_manifest(&self, repo: &Repository, what: &TagOrDigest) -> Result<(), RegistryError> {
        let endpoint = self.inner.options.hosts.origin(repo.domain())?;
        let mut ask = ask_manifest(Method::DELETE, &endpoint, repo, what)?;
        ask.headers.clear();
        self.send(&endpoint, ask).await.map(drop)
    }
}

fn ask_manifest(
    method: Method,
    endpoint: &Endpoint,
    repo: &Repository,
    what: &TagOrDigest,
) -> Result<Ask, RegistryError> {
    let url = endpoint.api(&format!("{}/manifests/{what}", repo.path()))?;
    let mut ask = Ask::new(method, url);
    let accept = [
        media_type::OCI_INDEX,
        media_type::DOCKER_INDEX,
        media_type::OCI_MANIFEST,
        media_type::DOCKER_MANIFEST,
    ]
    .join(", ");
    let accept = HeaderValue::from_str(&accept).expect("media types are plain text");
    ask.headers.insert(header::ACCEPT, accept);
    Ok(ask)
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

/// Reads a whole body of at most `limit` bytes.
pub(super) async fn read_limited(
    mut response: Response,
    limit: usize,
    what: &'static str,
) -> Result<Bytes, RegistryError> {
    let url = response.url().clone();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(&Method::GET, &url, error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(RegistryError::TooLarge { url: redacted(&url), what, limit: limit as u64 });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}
