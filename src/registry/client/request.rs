//! One request: sent, repeated, followed along redirects, and its failure put into words.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Response};
use url::Url;

use super::url_text::redacted;
use super::{RegistryClient, Repository};
use crate::registry::hosts::Endpoint;
use crate::registry::{ApiError, RegistryError};

/// Redirects that are followed.
const REDIRECTS: usize = 10;
/// Most bytes of an error's body.
const MAX_ERROR: usize = 1 << 20;

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
}

impl Ask {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None }
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

impl RegistryClient {
    /// Returns the servers for a repository: mirrors first where only reading is meant.
    pub(super) fn endpoints(&self, repo: &Repository, read: bool) -> Result<Vec<Endpoint>, RegistryError> {
        let hosts = &self.inner.options.hosts;
        Ok(if read { hosts.endpoints(repo.domain())? } else { vec![hosts.origin(repo.domain())?] })
    }

    /// Sends one request to one endpoint; an answer that is no success is an error.
    pub(super) async fn send(&self, endpoint: &Endpoint, ask: Ask) -> Result<Response, RegistryError> {
        let mut url = ask.url.clone();
        if endpoint.insecure && url.scheme() == "https" && self.inner.pool.is_plain(endpoint) {
            let _ = url.set_scheme("http");
        }
        match self.follow(url.clone(), &ask).await {
            Err(RegistryError::Transport { .. }) if endpoint.insecure && url.scheme() == "https" => {
                let _ = url.set_scheme("http");
                let answer = self.follow(url, &ask).await?;
                self.inner.pool.set_plain(endpoint);
                Ok(answer)
            }
            other => other,
        }
    }

    /// Sends a body that is made while it is sent; once, and without following redirects.
    pub(super) async fn send_stream(
        &self,
        endpoint: &Endpoint,
        method: Method,
        url: &Url,
        length: Option<u64>,
        body: reqwest::Body,
    ) -> Result<Response, RegistryError> {
        let mut url = url.clone();
        if endpoint.insecure && url.scheme() == "https" && self.inner.pool.is_plain(endpoint) {
            let _ = url.set_scheme("http");
        }
        let client = self.inner.pool.client(&url)?;
        let mut request = client
            .request(method.clone(), url.clone())
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(body);
        if let Some(length) = length {
            request = request.header(header::CONTENT_LENGTH, length);
        }
        let response = request.send().await.map_err(|error| transport(&method, &url, error))?;
        checked(&method, &url, response).await
    }

    async fn follow(&self, mut url: Url, ask: &Ask) -> Result<Response, RegistryError> {
        for _ in 0..=REDIRECTS {
            let response = self.once(&url, ask).await?;
            let location = response.headers().get(header::LOCATION).and_then(|v| v.to_str().ok());
            match (response.status().is_redirection(), location) {
                (true, Some(location)) => {
                    url = url.join(location).map_err(|e| RegistryError::Protocol {
                        url: redacted(&url),
                        what: format!("the redirect leads to no URL ({e})"),
                    })?;
                }
                _ => return checked(&ask.method, &url, response).await,
            }
        }
        Err(RegistryError::Redirects { url: redacted(&ask.url), limit: REDIRECTS })
    }

    async fn once(&self, url: &Url, ask: &Ask) -> Result<Response, RegistryError> {
        let client = self.inner.pool.client(url)?;
        let mut request = client.request(ask.method.clone(), url.clone()).headers(ask.headers.clone());
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        let limit = self.inner.options.stall;
        match tokio::time::timeout(limit, request.send()).await {
            Ok(answer) => answer.map_err(|error| transport(&ask.method, url, error)),
            Err(_) => {
                Err(RegistryError::Stalled { method: method_name(&ask.method), url: redacted(url), limit })
            }
        }
    }
}

/// Puts a broken connection into words without the URL's secrets.
pub(super) fn transport(method: &Method, url: &Url, error: reqwest::Error) -> RegistryError {
    RegistryError::Transport {
        method: method_name(method),
        url: redacted(url),
        source: Box::new(error.without_url()),
    }
}

async fn checked(method: &Method, url: &Url, response: Response) -> Result<Response, RegistryError> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let (errors, body) = failure(response).await;
    Err(RegistryError::Response {
        method: method_name(method),
        url: redacted(url),
        status,
        errors,
        body,
        retry_after,
    })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Reads an error's body: the protocol's JSON, or the beginning of whatever it is.
async fn failure(mut response: Response) -> (Vec<ApiError>, String) {
    let mut bytes = Vec::new();
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(Duration::from_secs(10), response.chunk()).await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ERROR {
            break;
        }
    }
    let errors = api_errors(&bytes);
    if !errors.is_empty() {
        return (errors, String::new());
    }
    let text = String::from_utf8_lossy(&bytes);
    (errors, text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect())
}

fn api_errors(bytes: &[u8]) -> Vec<ApiError> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else { return Vec::new() };
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let entries = value["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .take(16)
        .map(|e| ApiError {
            code: text(&e["code"]),
            message: text(&e["message"]),
            detail: text(&e["detail"]),
        })
        .collect()
}
