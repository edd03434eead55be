//! Uploads: begun or mounted, sent whole or in chunks, taken up again, finished.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Response};
use url::Url;

use super::request::Ask;
use super::url_text::redacted;
use super::{RegistryClient, Repository};
use crate::image::Digest;
use crate::registry::RegistryError;
use crate::registry::hosts::Endpoint;

/// Bytes as they become known.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What is sent.
pub struct UploadBody {
    /// Number of bytes, if known.
    pub(super) length: Option<u64>,
    pub(super) source: BodySource,
}

pub(super) enum BodySource {
    Bytes(Bytes),
    Once(Option<ByteStream>),
    Again(Box<dyn FnMut() -> ByteStream + Send>),
}

impl UploadBody {
    /// Sends bytes from memory; can be repeated.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { length: Some(bytes.len() as u64), source: BodySource::Bytes(bytes) }
    }

    /// Sends a stream that can't be had again: a failure in its midst ends the attempt.
    pub fn once(length: Option<u64>, stream: ByteStream) -> Self {
        Self { length, source: BodySource::Once(Some(stream)) }
    }

    /// Sends a stream that can be opened again from its beginning, e.g. after a token ran out.
    pub fn again(length: Option<u64>, open: impl FnMut() -> ByteStream + Send + 'static) -> Self {
        Self { length, source: BodySource::Again(Box::new(open)) }
    }
}

/// One upload on its way.
#[derive(Debug)]
pub struct Upload {
    client: RegistryClient,
    endpoint: Endpoint,
    repo: Repository,
    location: Url,
    offset: u64,
    min_chunk: Option<u64>,
}

/// What came of asking for a mount.
#[derive(Debug)]
pub enum MountOutcome {
    /// The blob is there.
    Mounted,
    /// The registry began an upload instead.
    Upload(Box<Upload>),
}

impl RegistryClient {
    /// Begins an upload.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn begin_upload(&self, repo: &Repository) -> Result<Upload, RegistryError> {
        let endpoint = self.inner.options.hosts.origin(repo.domain())?;
        let url = endpoint.api(&format!("{}/blobs/uploads/", repo.path()))?;
        let mut ask = Ask::new(Method::POST, url);
        ask.body = Some(Bytes::new());
        let response = self.send(&endpoint, ask).await?;
        self.upload_of(endpoint, repo, &response)
    }

    /// Takes up an upload of an earlier process by the location it had; ask [`Upload::state`] next.
    ///
    /// # Errors
    /// The location is no URL.
    pub fn resume_upload(&self, repo: &Repository, location: &str) -> Result<Upload, RegistryError> {
        let endpoint = self.inner.options.hosts.origin(repo.domain())?;
        let location = endpoint.base.join(location).map_err(|e| RegistryError::Protocol {
            url: endpoint.base.to_string(),
            what: format!("the upload's location is no URL ({e})"),
        })?;
        Ok(Upload {
            client: self.clone(),
            endpoint,
            repo: repo.clone(),
            location,
            offset: 0,
            min_chunk: None,
        })
    }

    /// Asks the registry to take a blob over from another of its repositories.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn mount_blob(
        &self,
        repo: &Repository,
        digest: &Digest,
        from: &Repository,
    ) -> Result<MountOutcome, RegistryError> {
        let endpoint = self.inner.options.hosts.origin(repo.domain())?;
        let mut url = endpoint.api(&format!("{}/blobs/uploads/", repo.path()))?;
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from.path());
        let mut ask = Ask::new(Method::POST, url);
        ask.body = Some(Bytes::new());
        let response = self.send(&endpoint, ask).await?;
        match response.status().as_u16() {
            201 => Ok(MountOutcome::Mounted),
            _ => Ok(MountOutcome::Upload(Box::new(self.upload_of(endpoint, repo, &response)?))),
        }
    }

    fn upload_of(
        &self,
        endpoint: Endpoint,
        repo: &Repository,
        response: &Response,
    ) -> Result<Upload, RegistryError> {
        let location = location(response)?;
        let min_chunk = response.headers().get("oci-chunk-min-length");
        let min_chunk = min_chunk.and_then(|v| v.to_str().ok()?.parse().ok());
        Ok(Upload { client: self.clone(), endpoint, repo: repo.clone(), location, offset: 0, min_chunk })
    }
}

impl Upload {
    /// Returns the repository that the blob goes to.
    pub fn repository(&self) -> &Repository {
        &self.repo
    }

    /// Returns where the upload goes on; it may hold a secret of the registry, so it is never shown.
    pub fn location(&self) -> &str {
        self.location.as_str()
    }

    /// Returns the number of bytes that the registry has.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the smallest chunk that the registry takes, if it says so; the last may be smaller.
    pub fn min_chunk(&self) -> Option<u64> {
        self.min_chunk
    }

    /// Asks the registry how many bytes it has.
    ///
    /// # Errors
    /// See [`RegistryError`]; `is_not_found` when the upload is gone.
    pub async fn state(&mut self) -> Result<u64, RegistryError> {
        let response = self.client.send(&self.endpoint, Ask::new(Method::GET, self.location.clone())).await?;
        self.advance(&response)?;
        Ok(self.offset)
    }

    /// Sends the next chunk, which begins at [`Upload::offset`].
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn patch_chunk(&mut self, chunk: Bytes) -> Result<(), RegistryError> {
        let end = self.offset + chunk.len() as u64;
        let mut ask = Ask::new(Method::PATCH, self.location.clone());
        let range = format!("{}-{}", self.offset, end.saturating_sub(1));
        let octets = HeaderValue::from_static("application/octet-stream");
        ask.headers.insert(header::CONTENT_TYPE, octets);
        ask.headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).expect("digits are plain"));
        ask.body = Some(chunk);
        let response = self.client.send(&self.endpoint, ask).await?;
        self.offset = end;
        self.location = location(&response)?;
        Ok(())
    }

    /// Sends all that is left in one streamed PATCH, for bytes whose number is not known yet.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn patch_stream(&mut self, body: UploadBody) -> Result<(), RegistryError> {
        let response = self.client.stream(&self.endpoint, Method::PATCH, &self.location, body).await?;
        self.advance(&response)
    }

    /// Sends the whole blob in one PUT and finishes.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn put_stream(self, digest: &Digest, body: UploadBody) -> Result<(), RegistryError> {
        let url = self.with_digest(digest);
        self.client.stream(&self.endpoint, Method::PUT, &url, body).await.map(drop)
    }

    /// Finishes an upload whose bytes are all there.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn finish(self, digest: &Digest) -> Result<(), RegistryError> {
        let mut ask = Ask::new(Method::PUT, self.with_digest(digest));
        ask.body = Some(Bytes::new());
        self.client.send(&self.endpoint, ask).await.map(drop)
    }

    /// Gives the upload up; a failure to say so does not matter.
    pub async fn cancel(self) {
        let _ = self.client.send(&self.endpoint, Ask::new(Method::DELETE, self.location)).await;
    }

    fn with_digest(&self, digest: &Digest) -> Url {
        let mut url = self.location.clone();
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        url
    }

    fn advance(&mut self, response: &Response) -> Result<(), RegistryError> {
        if response.headers().contains_key(header::LOCATION) {
            self.location = location(response)?;
        }
        let range = response.headers().get(header::RANGE).and_then(|v| v.to_str().ok());
        let range = range.map(|text| text.strip_prefix("bytes=").unwrap_or(text));
        // `0-0` is what some registries say of nothing at all; the caller's next chunk settles it.
        if let Some((_, last)) = range.and_then(|text| text.split_once('-')) {
            self.offset = last.parse::<u64>().map_or(0, |last| if last == 0 { 0 } else { last + 1 });
        }
        Ok(())
    }
}

impl RegistryClient {
    /// Sends a streamed body.
    pub(super) async fn stream(
        &self,
        endpoint: &Endpoint,
        method: Method,
        url: &Url,
        body: UploadBody,
    ) -> Result<Response, RegistryError> {
        let length = body.length;
        let body = match body.source {
            BodySource::Bytes(bytes) => reqwest::Body::from(bytes),
            BodySource::Once(stream) => reqwest::Body::wrap_stream(stream.expect("a stream is taken once")),
            BodySource::Again(mut open) => reqwest::Body::wrap_stream(open()),
        };
        self.send_stream(endpoint, method, url, length, body).await
    }
}

fn location(response: &Response) -> Result<Url, RegistryError> {
    let url = response.url();
    let text = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
    let wrong = |what: String| RegistryError::Protocol { url: redacted(url), what };
    let text = text.ok_or_else(|| wrong("the answer names no upload location".to_owned()))?;
    url.join(text).map_err(|e| wrong(format!("the upload's location is no URL ({e})")))
}
