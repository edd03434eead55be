//! Uploads: begun or mounted, sent whole or in chunks, taken up again, finished.

use bytes::Bytes;
use reqwest::header;
use reqwest::{Method, Response};
use url::Url;

use super::exchange::{method_name, same_origin};
use super::request::{Ask, text};
use super::upload_body::UploadBody;
use super::url_text::redacted;
use super::{RegistryClient, Repository};
use crate::image::Digest;
use crate::registry::RegistryError;
use crate::registry::auth::Scopes;
use crate::registry::hosts::Endpoint;

/// Pieces in which one chunk may have to be sent after failures.
const RESENDS: usize = 16;

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
        let endpoint = self.origin(repo)?;
        let url = endpoint.api(&format!("{}/blobs/uploads/", repo.path()))?;
        let ask = Ask::new(Method::POST, url, Scopes::push(repo.path())).body(Bytes::new());
        let response = self.send(&endpoint, ask).await?;
        self.upload_of(endpoint, repo, &response)
    }

    /// Takes up an upload of an earlier process by the location it had; ask [`Upload::state`] next.
    ///
    /// # Errors
    /// The location is no URL.
    pub fn resume_upload(&self, repo: &Repository, location: &str) -> Result<Upload, RegistryError> {
        let endpoint = self.origin(repo)?;
        let location = endpoint.base.join(location).map_err(|e| RegistryError::Protocol {
            url: redacted(&endpoint.base),
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
        let endpoint = self.origin(repo)?;
        let mut url = endpoint.api(&format!("{}/blobs/uploads/", repo.path()))?;
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from.path());
        let scopes = Scopes::push(repo.path()).with(&Scopes::pull(from.path()));
        let response = self.send(&endpoint, Ask::new(Method::POST, url, scopes).body(Bytes::new())).await?;
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
        let min_chunk = text(response.headers(), "oci-chunk-min-length").and_then(|text| text.parse().ok());
        Ok(Upload { client: self.clone(), endpoint, repo: repo.clone(), location, offset: 0, min_chunk })
    }

    /// Sends a body that is made while it is sent, once more only where authorization takes it.
    async fn send_stream(
        &self,
        endpoint: &Endpoint,
        method: Method,
        url: &Url,
        scopes: &Scopes,
        range: Option<String>,
        mut body: UploadBody,
    ) -> Result<Response, RegistryError> {
        let url = self.adapted(endpoint, url);
        let home = same_origin(&url, &self.effective(endpoint));
        let mut scopes = scopes.clone();
        let mut refused = None;
        for _ in 0..2 {
            let given = self.authorization(endpoint, &scopes).await?;
            let length = body.length();
            let Some((sent, moved)) = body.open() else { break };
            let client = self.inner.pool.client(&url)?;
            let mut request = client.request(method.clone(), url.clone()).body(sent);
            request = request.header(header::CONTENT_TYPE, "application/octet-stream");
            if let Some(length) = length {
                request = request.header(header::CONTENT_LENGTH, length);
            }
            if let Some(range) = &range {
                request = request.header(header::CONTENT_RANGE, range);
            }
            if let Some(value) = given.header.as_ref().filter(|_| home) {
                request = request.header(header::AUTHORIZATION, value);
            }
            let limit = self.inner.options.stall;
            let response = tokio::select! {
                answer = request.send() => answer.map_err(|error| self.transport(&method, &url, error))?,
                () = moved.stalled(limit) => {
                    let (method, url) = (method_name(&method), redacted(&url));
                    return Err(RegistryError::Stalled { method, url, limit });
                }
            };
            self.warn(&url, response.headers());
            let again = response.status().as_u16() == 401
                && home
                && self.challenged(endpoint, response.headers(), &given, &mut scopes).await?;
            match self.checked(&method, &url, response, &given.secrets).await {
                Err(error) if again => refused = Some(error),
                other => return other,
            }
        }
        Err(refused.unwrap_or_else(|| RegistryError::Protocol {
            url: redacted(&url),
            what: "the content was sent and can't be sent again".to_owned(),
        }))
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
        let response = self.client.send(&self.endpoint, self.ask(Method::GET)).await?;
        if let Some(location) = new_location(&response)? {
            self.location = location;
        }
        self.offset = received(&response).unwrap_or(0);
        Ok(self.offset)
    }

    /// Sends the next chunk, which begins at [`Upload::offset`]; what the registry did not take is sent again.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn patch_chunk(&mut self, chunk: Bytes) -> Result<(), RegistryError> {
        let (start, end) = (self.offset, self.offset + chunk.len() as u64);
        let mut attempt = 1;
        let mut resends = 0;
        while self.offset < end {
            let known = usize::try_from(self.offset - start).expect("it lies inside the chunk");
            let failed = match self.patch_once(chunk.slice(known..), end).await {
                Ok(()) => None,
                Err(error) if error.is_temporary() => {
                    self.client.pause(error, &mut attempt).await?;
                    Some(self.state().await?)
                }
                // Out of order: an earlier answer was lost, or the registry dropped something.
                Err(error) if error.status() == Some(416) && resends == 0 => Some(self.state().await?),
                Err(error) => return Err(error),
            };
            resends += 1;
            let lost = failed.is_some_and(|now| now < start || now > end);
            if lost || resends > RESENDS {
                return Err(RegistryError::Protocol {
                    url: redacted(&self.location),
                    what: format!(
                        "the registry has {} bytes of an upload of which {start} were there",
                        self.offset
                    ),
                });
            }
        }
        Ok(())
    }

    async fn patch_once(&mut self, chunk: Bytes, end: u64) -> Result<(), RegistryError> {
        let range = format!("{}-{}", self.offset, end.saturating_sub(1));
        let ask = self.ask(Method::PATCH).header(header::CONTENT_TYPE, "application/octet-stream");
        let ask = ask.header(header::CONTENT_RANGE, &range).body(chunk);
        let response = self.client.attempt(&self.endpoint, &ask).await?;
        self.location = location(&response)?;
        // `0-0` says one byte, or nothing at all from registries that can't say that.
        let got = received(&response).filter(|got| *got > 0 && *got <= end && *got > self.offset);
        self.offset = got.unwrap_or(end);
        Ok(())
    }

    /// Sends all that is left in one streamed PATCH, for bytes whose number is not known yet.
    ///
    /// # Errors
    /// See [`RegistryError`]; after a temporary one [`Upload::state`] says what arrived.
    pub async fn patch_stream(&mut self, body: UploadBody) -> Result<(), RegistryError> {
        let (client, scopes) = (self.client.clone(), Scopes::push(self.repo.path()));
        // A registry that got more meanwhile than it said refuses these bytes then, instead of mixing them.
        let range = body.length().filter(|length| self.offset > 0 && *length > 0);
        let range = range.map(|length| format!("{}-{}", self.offset, self.offset + length - 1));
        let sent = client.send_stream(&self.endpoint, Method::PATCH, &self.location, &scopes, range, body);
        let response = sent.await?;
        self.location = location(&response)?;
        self.offset = received(&response).unwrap_or(self.offset);
        Ok(())
    }

    /// Sends the whole blob in one PUT and finishes.
    ///
    /// # Errors
    /// See [`RegistryError`]; after a temporary one [`Upload::state`] says what arrived.
    pub async fn put_stream(&mut self, digest: &Digest, body: UploadBody) -> Result<(), RegistryError> {
        let (client, scopes) = (self.client.clone(), Scopes::push(self.repo.path()));
        let url = self.with_digest(digest);
        client.send_stream(&self.endpoint, Method::PUT, &url, &scopes, None, body).await.map(drop)
    }

    /// Finishes an upload whose bytes are all there.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn finish(&mut self, digest: &Digest) -> Result<(), RegistryError> {
        let mut ask = self.ask(Method::PUT).body(Bytes::new());
        ask.sent.url = self.with_digest(digest);
        match self.client.send(&self.endpoint, ask).await {
            // The answer to an earlier attempt may be what got lost.
            Err(error) if error.is_not_found() => match self.client.has_blob(&self.repo, digest).await {
                Ok(true) => Ok(()),
                _ => Err(error),
            },
            other => other.map(drop),
        }
    }

    /// Gives the upload up; a failure to say so does not matter.
    pub async fn cancel(self) {
        let _ = self.client.attempt(&self.endpoint, &self.ask(Method::DELETE)).await;
    }

    fn ask(&self, method: Method) -> Ask {
        Ask::new(method, self.location.clone(), Scopes::push(self.repo.path()))
    }

    fn with_digest(&self, digest: &Digest) -> Url {
        let mut url = self.location.clone();
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        url
    }
}

/// Returns how many bytes `Range: 0-END` says.
fn received(response: &Response) -> Option<u64> {
    let range = text(response.headers(), "range")?;
    let (_, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    // Registries that have nothing say `0-0` too; a byte that is sent twice is refused, one that is not is lost.
    last.parse::<u64>().ok().map(|last| if last == 0 { 0 } else { last.saturating_add(1) })
}

fn new_location(response: &Response) -> Result<Option<Url>, RegistryError> {
    let Some(text) = text(response.headers(), "location") else { return Ok(None) };
    let wrong = |what: String| RegistryError::Protocol { url: redacted(response.url()), what };
    let url =
        response.url().join(text).map_err(|e| wrong(format!("the upload's location is no URL ({e})")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(format!("the upload's location is a {} URL", url.scheme())));
    }
    Ok(Some(url))
}

fn location(response: &Response) -> Result<Url, RegistryError> {
    new_location(response)?.ok_or_else(|| RegistryError::Protocol {
        url: redacted(response.url()),
        what: "the answer names no upload location".to_owned(),
    })
}
