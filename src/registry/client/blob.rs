//! Blobs: streamed from any place and taken up where they broke, looked up, deleted.

use bytes::Bytes;
use reqwest::header;
use reqwest::{Method, Response};

use super::body::{Watch, read_limited};
use super::request::{Ask, text};
use super::url_text::redacted;
use super::{RegistryClient, Repository};
use crate::image::{Descriptor, Digest};
use crate::registry::RegistryError;
use crate::registry::auth::Scopes;
use crate::registry::hosts::Endpoint;

/// Bytes without a failure after which earlier failures count no more.
const FORGIVE: u64 = 1 << 20;

/// The bytes of a blob, or of a part of it, as they come; the caller checks the digest.
///
/// A broken connection is taken up by a range request, with a new token if the
/// old one ran out; where the server knows no ranges, what was received before
/// is asked for again and dropped.
#[derive(Debug)]
pub struct BlobStream {
    client: RegistryClient,
    repo: Repository,
    digest: Digest,
    body: Body,
    /// Where the next piece that the caller gets lies.
    offset: u64,
    /// First byte after the range that was asked for.
    wanted_end: Option<u64>,
    honoured: bool,
    attempt: u32,
    since_failure: u64,
}

/// One answer's body.
#[derive(Debug)]
struct Body {
    response: Response,
    watch: Watch,
    /// Where its next piece lies in the blob.
    at: u64,
    /// Where it must end, if the server says it.
    end: Option<u64>,
    total: Option<u64>,
    from_mirror: bool,
}

impl BlobStream {
    /// Returns where in the blob the next piece lies, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the size of the whole blob, if the server says it.
    pub fn total(&self) -> Option<u64> {
        self.body.total
    }

    /// Whether the server sends the range that was asked for; if not, the stream begins at 0.
    pub fn is_range(&self) -> bool {
        self.honoured
    }

    /// Whether a mirror sends the bytes; wrong ones are then asked of the registry itself
    /// ([`RegistryClient::without_mirrors`]).
    pub fn is_from_mirror(&self) -> bool {
        self.body.from_mirror
    }

    /// Returns the next piece; none at the end.
    ///
    /// # Errors
    /// The connection breaks, stalls, or ends too early, and could not be taken up again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        loop {
            match self.body.next().await {
                Ok(None) => return Ok(None),
                Ok(Some(chunk)) => {
                    if let Some(chunk) = self.fresh(chunk) {
                        return Ok(Some(chunk));
                    }
                }
                Err(error) => self.again(error).await?,
            }
        }
    }

    /// Drops what the caller has already.
    fn fresh(&mut self, mut chunk: Bytes) -> Option<Bytes> {
        let begin = self.body.at - chunk.len() as u64;
        let known = usize::try_from(self.offset.saturating_sub(begin)).unwrap_or(usize::MAX);
        if known >= chunk.len() {
            return None;
        }
        let chunk = chunk.split_off(known);
        self.offset += chunk.len() as u64;
        self.since_failure += chunk.len() as u64;
        if self.since_failure >= FORGIVE {
            self.attempt = 1;
        }
        Some(chunk)
    }

    async fn again(&mut self, error: RegistryError) -> Result<(), RegistryError> {
        if !error.is_temporary() {
            return Err(error);
        }
        self.since_failure = 0;
        self.client.pause(error, &mut self.attempt).await?;
        let range = Some((self.offset, self.wanted_end));
        let total = self.body.total;
        let body = self.client.open_blob(&self.repo, &self.digest, range).await?;
        let url = || redacted(body.response.url());
        if body.at > self.offset {
            return Err(RegistryError::Protocol {
                url: url(),
                what: format!("asked for bytes from {}, the answer begins at {}", self.offset, body.at),
            });
        }
        if let (Some(expected), Some(got)) = (total, body.total)
            && expected != got
        {
            return Err(RegistryError::Size { url: url(), expected, got });
        }
        self.body = body;
        Ok(())
    }
}

impl Body {
    async fn next(&mut self) -> Result<Option<Bytes>, RegistryError> {
        match self.watch.chunk(&mut self.response).await? {
            Some(chunk) => {
                self.at += chunk.len() as u64;
                Ok(Some(chunk))
            }
            None => match self.end {
                Some(expected) if expected != self.at => Err(RegistryError::Truncated {
                    url: redacted(self.response.url()),
                    expected,
                    got: self.at,
                }),
                _ => Ok(None),
            },
        }
    }
}

impl RegistryClient {
    /// Opens a blob, or the bytes of it from `range.0` up to but without `range.1`.
    ///
    /// # Errors
    /// See [`RegistryError`]; `is_not_found` for an unknown one, status 416 for a range behind its end.
    pub async fn blob(
        &self,
        repo: &Repository,
        digest: &Digest,
        range: Option<(u64, Option<u64>)>,
    ) -> Result<BlobStream, RegistryError> {
        let body = self.open_blob(repo, digest, range).await?;
        let honoured = body.response.status().as_u16() == 206;
        let (start, end) = range.unwrap_or((0, None));
        if body.at != if honoured { start } else { 0 } {
            return Err(RegistryError::Protocol {
                url: redacted(body.response.url()),
                what: format!("asked for bytes from {start}, the answer begins at {}", body.at),
            });
        }
        Ok(BlobStream {
            client: self.clone(),
            repo: repo.clone(),
            digest: *digest,
            offset: body.at,
            wanted_end: end.filter(|_| honoured),
            honoured,
            body,
            attempt: 1,
            since_failure: 0,
        })
    }

    /// Fetches a small blob such as a config whole, checked against its descriptor.
    ///
    /// # Errors
    /// See [`RegistryError`]; also when it is longer than `most` bytes.
    pub async fn small_blob(
        &self,
        repo: &Repository,
        wanted: &Descriptor,
        most: usize,
    ) -> Result<Bytes, RegistryError> {
        let mut attempt = 1;
        let mut client = self.clone();
        loop {
            match client.small_blob_once(repo, wanted, most).await {
                Err(error @ (RegistryError::Digest { .. } | RegistryError::Size { .. }))
                    if !client.origin_only =>
                {
                    // A mirror may lie; the registry itself is asked before that is believed of it.
                    client = self.without_mirrors();
                    if self.readers(repo)?.len() == 1 {
                        self.pause(error, &mut attempt).await?;
                    }
                }
                Err(error) if error.is_temporary() => self.pause(error, &mut attempt).await?,
                other => return other,
            }
        }
    }

    async fn small_blob_once(
        &self,
        repo: &Repository,
        wanted: &Descriptor,
        most: usize,
    ) -> Result<Bytes, RegistryError> {
        let body = self.open_blob(repo, &wanted.digest, None).await?;
        let url = redacted(body.response.url());
        let most = most.min(usize::try_from(wanted.size).unwrap_or(usize::MAX));
        if wanted.size > most as u64 {
            return Err(RegistryError::TooLarge { url, what: "blob", limit: most as u64 });
        }
        let bytes = match read_limited(body.response, most, "blob", self.small_limit()).await {
            Err(RegistryError::TooLarge { url, .. }) => {
                let got = body.total.unwrap_or(wanted.size + 1);
                return Err(RegistryError::Size { url, expected: wanted.size, got });
            }
            other => other?,
        };
        let (expected, got) = (wanted.size, bytes.len() as u64);
        if expected != got {
            return Err(RegistryError::Size { url, expected, got });
        }
        match Digest::of(&bytes) {
            got if got != wanted.digest => Err(RegistryError::Digest { url, expected: wanted.digest, got }),
            _ => Ok(bytes),
        }
    }

    /// Whether the registry itself, not a mirror, has a blob.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn has_blob(&self, repo: &Repository, digest: &Digest) -> Result<bool, RegistryError> {
        let endpoint = self.origin(repo)?;
        // Asked before a push: one token then serves everything.
        let ask = ask_blob(Method::HEAD, &endpoint, repo, digest, Scopes::push(repo.path()))?;
        match self.send(&endpoint, ask).await {
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
        let endpoint = self.origin(repo)?;
        let ask = ask_blob(Method::DELETE, &endpoint, repo, digest, Scopes::delete(repo.path()))?;
        self.send(&endpoint, ask).await.map(drop)
    }

    async fn open_blob(
        &self,
        repo: &Repository,
        digest: &Digest,
        range: Option<(u64, Option<u64>)>,
    ) -> Result<Body, RegistryError> {
        let mut failed = None;
        for endpoint in self.readers(repo)? {
            let mut ask = ask_blob(Method::GET, &endpoint, repo, digest, Scopes::pull(repo.path()))?;
            if let Some((start, end)) = range.filter(|range| *range != (0, None)) {
                let end = end.map_or(String::new(), |end| end.saturating_sub(1).to_string());
                ask = ask.header(header::RANGE, &format!("bytes={start}-{end}"));
            }
            match self.send(&endpoint, ask).await {
                Ok(response) => return Ok(self.body_of(response, endpoint.mirror)),
                Err(error) => {
                    self.mirror_failed(&endpoint, &error);
                    failed = Some(error);
                }
            }
        }
        Err(failed.expect("there is an endpoint for every domain"))
    }

    fn body_of(&self, response: Response, from_mirror: bool) -> Body {
        let watch = Watch::new(self.inner.options.stall);
        let length = response.content_length();
        let (at, total) = match response.status().as_u16() {
            206 => text(response.headers(), "content-range").and_then(content_range).unwrap_or((0, None)),
            _ => (0, length),
        };
        let end = length.map(|length| at.saturating_add(length));
        Body { response, watch, at, end, total, from_mirror }
    }
}

fn ask_blob(
    method: Method,
    endpoint: &Endpoint,
    repo: &Repository,
    digest: &Digest,
    scopes: Scopes,
) -> Result<Ask, RegistryError> {
    Ok(Ask::new(method, endpoint.api(&format!("{}/blobs/{digest}", repo.path()))?, scopes))
}

/// Reads `bytes A-B/TOTAL`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.parse().ok()?;
    Some((start, total.parse().ok()))
}
