//! One exchange with a host: sent with or without TLS, followed along redirects, within limits.

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use url::Url;

use super::RegistryClient;
use super::url_text::redacted;
use crate::registry::RegistryError;
use crate::registry::hosts::{Endpoint, authority};

/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// A request that can be sent again.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
    /// Redirects that are followed.
    pub redirects: usize,
}

impl Sent {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None, redirects: REDIRECTS }
    }

    pub(super) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }
}

/// Returns the method as a static text.
pub(super) fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "request",
    }
}

/// Whether two URLs have scheme, host and port in common.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

impl RegistryClient {
    /// Returns the endpoint's root with the scheme that it was found to speak.
    pub(super) fn effective(&self, endpoint: &Endpoint) -> Url {
        self.adapted(endpoint, &endpoint.base)
    }

    /// Returns `url` with the endpoint's true scheme, if it is one of the endpoint's.
    ///
    /// Registries behind a proxy that ends TLS name their uploads with `http:`,
    /// which would move a token out of TLS.
    pub(super) fn adapted(&self, endpoint: &Endpoint, url: &Url) -> Url {
        let mut url = url.clone();
        if url.host_str() != endpoint.base.host_str() || url.port() != endpoint.base.port() {
            return url;
        }
        let plain = endpoint.base.scheme() == "http" || self.inner.pool.is_plain(endpoint);
        let _ = url.set_scheme(if plain { "http" } else { "https" });
        url
    }

    /// Sends to an endpoint; an insecure one that speaks no TLS is asked without.
    pub(super) async fn probe(
        &self,
        endpoint: &Endpoint,
        sent: &Sent,
        authorization: Option<&HeaderValue>,
    ) -> Result<(Response, Url), RegistryError> {
        let base = self.effective(endpoint);
        let url = self.adapted(endpoint, &sent.url);
        let now = Sent { url: url.clone(), ..sent.clone() };
        let may_fall = endpoint.insecure
            && url.scheme() == "https"
            && same_origin(&url, &base)
            && !self.inner.pool.is_tls(endpoint);
        match self.follow(&now, authorization.filter(|_| same_origin(&url, &base)), &url).await {
            Err(error) if may_fall && no_connection(&error) => {
                let mut plain = url;
                let _ = plain.set_scheme("http");
                // What was meant for TLS is not repeated in clear text before the host is known to speak none;
                // the next attempt has it.
                let answer = self.follow(&Sent { url: plain.clone(), ..now }, None, &plain).await;
                if answer.as_ref().is_err_and(no_connection) {
                    return Err(error);
                }
                self.inner.pool.set_plain(endpoint);
                answer
            }
            Ok(answer) => {
                if may_fall {
                    self.inner.pool.set_tls(endpoint);
                }
                Ok(answer)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends and follows redirects; `authorization` goes to the origin of `home` alone.
    pub(super) async fn follow(
        &self,
        sent: &Sent,
        authorization: Option<&HeaderValue>,
        home: &Url,
    ) -> Result<(Response, Url), RegistryError> {
        let mut url = sent.url.clone();
        let mut hops = 0;
        loop {
            let header = authorization.filter(|_| same_origin(&url, home));
            let response = self.once(sent, &url, header).await?;
            let Some(next) = redirect(&sent.method, &url, &response)? else { return Ok((response, url)) };
            hops += 1;
            if hops > sent.redirects {
                return Err(RegistryError::Redirects { url: redacted(&sent.url), limit: sent.redirects });
            }
            url = next;
        }
    }

    async fn once(
        &self,
        sent: &Sent,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let client = self.inner.pool.client(url)?;
        let mut request = client.request(sent.method.clone(), url.clone()).headers(sent.headers.clone());
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(body) = &sent.body {
            request = request.header(header::CONTENT_LENGTH, body.len()).body(body.clone());
        }
        let limit = self.inner.options.stall;
        let answer = tokio::time::timeout(limit, request.send()).await.map_err(|_| {
            RegistryError::Stalled { method: method_name(&sent.method), url: redacted(url), limit }
        })?;
        let response = answer.map_err(|error| self.transport(&sent.method, url, error))?;
        self.inner.pool.set_reached(url);
        self.warn(url, response.headers());
        Ok(response)
    }

    /// Puts a broken connection into words. One that could not be made is worth another attempt
    /// only where there was one before: a name that does not exist will not exist in a second.
    pub(super) fn transport(&self, method: &Method, url: &Url, error: reqwest::Error) -> RegistryError {
        let mut error = transport(method, url, error);
        if let RegistryError::Transport { temporary, .. } = &mut error {
            *temporary |= self.inner.pool.was_reached(url);
        }
        error
    }

    /// Reports `Warning: 299 - "text"` headers, each text once (distribution spec, "Warnings").
    pub(super) fn warn(&self, url: &Url, headers: &HeaderMap) {
        for value in headers.get_all(header::WARNING).iter().take(16) {
            let text = value.to_str().ok().and_then(|text| text.strip_prefix("299 - \"")?.strip_suffix('"'));
            if let Some(text) = text {
                self.inner.warn_once(&authority(url), text);
            }
        }
    }
}

/// Why a connection could not be made or broke.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct TransportCause {
    text: String,
    /// Whether not even a connection came about, TLS included.
    connect: bool,
}

/// Whether not even a connection came about, TLS included.
fn no_connection(error: &RegistryError) -> bool {
    match error {
        RegistryError::Transport { source, .. } => {
            source.downcast_ref::<TransportCause>().is_some_and(|cause| cause.connect)
        }
        _ => false,
    }
}

/// Returns where an answer redirects to; methods other than GET and HEAD only with 307 and 308.
fn redirect(method: &Method, url: &Url, response: &Response) -> Result<Option<Url>, RegistryError> {
    let status = response.status().as_u16();
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let wrong = |what: String| RegistryError::Protocol { url: redacted(url), what };
    let repeats = matches!(*method, Method::GET | Method::HEAD);
    if !repeats && !matches!(status, 307 | 308) {
        return Err(wrong(format!("{method} is redirected with status {status}")));
    }
    let text = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
    let text = text.ok_or_else(|| wrong(format!("status {status} without a location")))?;
    let next = url.join(text).map_err(|e| wrong(format!("the redirect leads to no URL ({e})")))?;
    if !matches!(next.scheme(), "http" | "https") || !next.has_host() {
        return Err(wrong(format!("the redirect leads to a {} URL", next.scheme())));
    }
    Ok(Some(next))
}

/// Puts a broken connection into words without the URL's secrets.
pub(super) fn transport(method: &Method, url: &Url, error: reqwest::Error) -> RegistryError {
    // The innermost cause says it best; the rest is this program's own layers.
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let text = cause.to_string();
    let source = if url.scheme() == "https" && format!("{cause:?}").contains("InvalidContentType") {
        let text = "http: server gave HTTP response to HTTPS client".to_owned();
        TransportCause { text, connect: true }
    } else {
        let text = text.split(" (os error").next().unwrap_or_default().to_owned();
        TransportCause { text, connect: error.is_connect() }
    };
    // A name that does not exist and a port where nobody listens stay so; these may pass.
    let passing = cause.downcast_ref::<std::io::Error>().is_some_and(|io| {
        use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
        matches!(io.kind(), ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
    });
    let temporary = !source.connect || passing || error.is_timeout() || text.contains("Temporary failure");
    let source = Box::new(source);
    RegistryError::Transport { method: method_name(method), url: redacted(url), temporary, source }
}
