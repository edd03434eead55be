//! Blobs: streamed from any place, looked up, mounted, deleted.

use bytes::Bytes;
use reqwest::header::{self, HeaderValue};
use reqwest::{Method, Response};

use super::request::{Ask, transport};
use super::url_text::redacted;
use super::{RegistryClient, Repository};
use crate::image::Digest;
use crate::registry::RegistryError;
use crate::registry::hosts::Endpoint;

/// The bytes of a blob, or of a part of it, as they come; the caller checks the digest.
#[derive(Debug)]
pub struct BlobStream {
    response: Response,
    offset: u64,
    end: Option<u64>,
    total: Option<u64>,
    honoured: bool,
}

impl BlobStream {
    /// Returns where in the blob the next piece lies, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the size of the whole blob, if the server says it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether the server sends the range that was asked for; if not, the stream begins at 0.
    pub fn is_range(&self) -> bool {
        self.honoured
    }

    /// Returns the next piece; none at the end.
    ///
    /// # Errors
    /// The connection breaks, stalls, or ends too early, and could not be taken up again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        let url = self.response.url().clone();
        let chunk = self.response.chunk().await.map_err(|error| transport(&Method::GET, &url, error))?;
        match chunk {
            Some(chunk) => {
                self.offset += chunk.len() as u64;
                Ok(Some(chunk))
            }
            None => match self.end {
                Some(end) if end != self.offset => {
                    Err(RegistryError::Truncated { url: redacted(&url), expected: end, got: self.offset })
                }
                _ => Ok(None),
            },
        }
    }
}

impl RegistryClient {
    /// Opens a blob, or the bytes of it from `range.0` up to but without `range.1`.
    ///
    /// # Errors
    /// See [`RegistryError`]; `is_not_found` for an unknown one.
    pub async fn blob(
        &self,
        repo: &Repository,
        digest: &Digest,
        range: Option<(u64, Option<u64>)>,
    ) -> Result<BlobStream, RegistryError> {
        let mut failed = None;
        for endpoint in self.endpoints(repo, true)? {
            let mut ask = ask_blob(Method::GET, &endpoint, repo, digest)?;
            if let Some((start, end)) = range.filter(|range| *range != (0, None)) {
                let end = end.map_or(String::new(), |end| end.saturating_sub(1).to_string());
                let value = HeaderValue::from_str(&format!("bytes={start}-{end}")).expect("digits are plain");
                ask.headers.insert(header::RANGE, value);
            }
            match self.send(&endpoint, ask).await {
                Ok(response) => return Ok(stream(response)),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.expect("there is an endpoint for every domain"))
    }

    /// Whether the registry itself, not a mirror, has a blob.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn has_blob(&self, repo: &Repository, digest: &Digest) -> Result<bool, RegistryError> {
        let endpoint = self.inner.options.hosts.origin(repo.domain())?;
        match self.send(&endpoint, ask_blob(Method::HEAD, &endpoint, repo, digest)?).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a blob.
    ///
    /// # Errors
    /// See [`RegistryError`]; 405 where the registry allows no deletes.
    pub async fn delete_blob(&self, repo: &Repository, digest: &Digest) -> Result<(), RegistryError> {
        let endpoint = self.inner.options.hosts.origin(repo.domain())?;
        self.send(&endpoint, ask_blob(Method::DELETE, &endpoint, repo, digest)?).await.map(drop)
    }
}

fn ask_blob(
    method: Method,
    endpoint: &Endpoint,
    repo: &Repository,
    digest: &Digest,
) -> Result<Ask, RegistryError> {
    Ok(Ask::new(method, endpoint.api(&format!("{}/blobs/{digest}", repo.path()))?))
}

fn stream(response: Response) -> BlobStream {
    let length = response.content_length();
    if response.status().as_u16() != 206 {
        return BlobStream { response, offset: 0, end: length, total: length, honoured: false };
    }
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
    let (start, total) = range.and_then(content_range).unwrap_or((0, None));
    let end = length.map(|length| start + length);
    BlobStream { response, offset: start, end, total, honoured: true }
}

/// Reads `bytes A-B/TOTAL`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    Some((start, total.parse().ok()))
}
