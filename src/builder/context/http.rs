//! HTTP GET with what makes it robust: revalidation, resumption, bounds.
//!
//! A broken connection is taken up where it broke, if the server has a
//! validator for what it sent (RFC 9110, section 13.1.5) and honours ranges;
//! otherwise the body is asked for anew. Redirects are followed ten times.

use std::io;
use std::time::Duration;

use reqwest::header::{self, HeaderValue};
use reqwest::{Client, Response, StatusCode};

use super::download::DownloadOptions;
use super::error::ContextError;

/// Redirects that are followed.
const REDIRECTS: usize = 10;
/// Attempts to go on with one body.
const ATTEMPTS: u32 = 5;
/// Most bytes of one body; nobody's disk should be filled by a server.
pub(super) const MAX_BODY: u64 = 64 << 30;

/// What a server says of a body, so that it can be asked for again.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Validators {
    /// `ETag`, as sent.
    pub etag: Option<String>,
    /// `Last-Modified`, as sent.
    pub last_modified: Option<String>,
}

impl Validators {
    fn of(response: &Response) -> Self {
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        Self { etag: header(header::ETAG), last_modified: header(header::LAST_MODIFIED) }
    }

    /// Whether there is anything to ask with.
    pub fn is_empty(&self) -> bool {
        self.etag.is_none() && self.last_modified.is_none()
    }

    /// Returns what proves that a range belongs to the same bytes: a strong tag, else the date.
    fn strong(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }
}

/// One body on its way.
pub(super) struct Get<'a> {
    client: Client,
    url: &'a str,
    shown: String,
    authorization: Option<HeaderValue>,
}

/// What a server answered at first.
pub(super) enum Answer {
    /// The bytes are those of before.
    Unchanged,
    /// A body follows.
    Body(Response, Validators),
}

impl<'a> Get<'a> {
    pub(super) fn new(url: &'a str, options: &DownloadOptions<'_>) -> Result<Self, ContextError> {
        let shown = redacted(url);
        let client = Client::builder()
            .user_agent(concat!("skiff/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
            .connect_timeout(Duration::from_secs(30))
            .read_timeout(Duration::from_secs(120))
            .build()
            .map_err(|source| ContextError::Http { url: shown.clone(), source: source.without_url() })?;
        let authorization = authorization(url, options.secret);
        Ok(Self { client, url, shown, authorization })
    }

    /// Returns the URL as errors may show it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    fn fail(&self, source: reqwest::Error) -> ContextError {
        ContextError::Http { url: self.shown.clone(), source: source.without_url() }
    }

    fn request(&self) -> reqwest::RequestBuilder {
        let request = self.client.get(self.url);
        match &self.authorization {
            Some(value) => request.header(header::AUTHORIZATION, value),
            None => request,
        }
    }

    /// Asks for the body, unless it is still the one that `known` speaks of.
    pub(super) async fn ask(&self, known: Option<&Validators>) -> Result<Answer, ContextError> {
        let mut request = self.request();
        if let Some(tag) = known.and_then(|known| known.etag.as_ref()) {
            request = request.header(header::IF_NONE_MATCH, tag);
        } else if let Some(date) = known.and_then(|known| known.last_modified.as_ref()) {
            request = request.header(header::IF_MODIFIED_SINCE, date);
        }
        let response = request.send().await.map_err(|error| self.fail(error))?;
        if known.is_some() && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Unchanged);
        }
        self.check(&response)?;
        let validators = Validators::of(&response);
        Ok(Answer::Body(response, validators))
    }

    fn check(&self, response: &Response) -> Result<(), ContextError> {
        let status = response.status().as_u16();
        if status >= 400 || status == 304 {
            return Err(ContextError::Status { url: self.shown.clone(), status });
        }
        match response.content_length() {
            Some(length) if length > MAX_BODY => Err(ContextError::TooLarge { url: self.shown.clone() }),
            _ => Ok(()),
        }
    }

    /// Hands the body on in pieces, each with its place; a place of 0 again is a new beginning.
    pub(super) async fn receive(
        &self,
        mut response: Response,
        validators: &Validators,
        mut take: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<u64, ContextError> {
        let mut done = 0u64;
        let mut attempt = 0;
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(done),
                Ok(Some(chunk)) => {
                    take(done, &chunk).map_err(ContextError::Spool)?;
                    done += chunk.len() as u64;
                    if done > MAX_BODY {
                        return Err(ContextError::TooLarge { url: self.shown.clone() });
                    }
                }
                Err(error) if attempt == ATTEMPTS => return Err(self.fail(error)),
                Err(_) => {
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                    (response, done) = self.again(validators, done).await?;
                    if done == 0 {
                        take(0, &[]).map_err(ContextError::Spool)?;
                    }
                }
            }
        }
    }

    /// Asks for the rest of a body; returns where the answer begins.
    async fn again(&self, validators: &Validators, done: u64) -> Result<(Response, u64), ContextError> {
        let mut request = self.request();
        if let Some(validator) = validators.strong().filter(|_| done > 0) {
            request = request
                .header(header::RANGE, format!("bytes={done}-"))
                .header(header::IF_RANGE, validator.to_owned());
        }
        let response = request.send().await.map_err(|error| self.fail(error))?;
        self.check(&response)?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok((response, 0));
        }
        let range = response.headers().get(header::CONTENT_RANGE).and_then(|v| v.to_str().ok());
        let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
        if start == Some(done) {
            return Ok((response, done));
        }
        // A range that nobody asked for is worth nothing.
        let response = self.request().send().await.map_err(|error| self.fail(error))?;
        self.check(&response)?;
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                Err(ContextError::Status { url: self.shown.clone(), status: response.status().as_u16() })
            }
            _ => Ok((response, 0)),
        }
    }
}

/// Returns the credentials of the URL's host from the build's secrets.
fn authorization(url: &str, secret: &dyn Fn(&str) -> Option<Vec<u8>>) -> Option<HeaderValue> {
    let url = url::Url::parse(url).ok()?;
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str()?),
        None => url.host_str()?.to_owned(),
    };
    let value = match secret(&format!("HTTP_AUTH_HEADER_{host}")) {
        Some(header) => header,
        None => [b"Bearer ", secret(&format!("HTTP_AUTH_TOKEN_{host}"))?.as_slice()].concat(),
    };
    let mut value = HeaderValue::from_bytes(value.trim_ascii()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns the URL without user, password and query, for errors.
pub(super) fn redacted(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return "an invalid URL".to_owned() };
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    if parsed.query().is_some() {
        parsed.set_query(Some("..."));
    }
    parsed.to_string()
}
