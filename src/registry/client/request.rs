//! One request of the protocol: authorised, repeated, its failure put into words.

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, Response};
use url::Url;

use super::exchange::Sent;
use super::failure::error_of;
use super::{RegistryClient, Repository};
use crate::registry::RegistryError;
use crate::registry::auth::Scopes;
use crate::registry::hosts::Endpoint;

/// Attempts to satisfy a host's wish for authorization.
const ROUNDS: usize = 4;

/// What is asked for, and which rights it needs.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub sent: Sent,
    pub scopes: Scopes,
}

impl Ask {
    pub(super) fn new(method: Method, url: Url, scopes: Scopes) -> Self {
        Self { sent: Sent::new(method, url), scopes }
    }

    pub(super) fn header(mut self, name: reqwest::header::HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("the caller's values are plain text");
        self.sent.headers.insert(name, value);
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.sent.body = Some(body);
        self
    }
}

impl RegistryClient {
    /// Returns the servers to read a repository from: mirrors first, the registry itself last.
    pub(super) fn readers(&self, repo: &Repository) -> Result<Vec<Endpoint>, RegistryError> {
        let mut all = self.inner.options.hosts.endpoints(repo.domain())?;
        if self.origin_only {
            all.retain(|endpoint| !endpoint.mirror);
        }
        Ok(all)
    }

    /// Returns the registry itself.
    pub(super) fn origin(&self, repo: &Repository) -> Result<Endpoint, RegistryError> {
        Ok(self.inner.options.hosts.origin(repo.domain())?)
    }

    /// Tells that a mirror failed, if it was one; its error matters to nobody else.
    pub(super) fn mirror_failed(&self, endpoint: &Endpoint, error: &RegistryError) {
        if endpoint.mirror && !error.is_not_found() {
            let reason = crate::causes::chain(error);
            (self.inner.options.notices)(super::Notice::MirrorFailed { host: endpoint.name.clone(), reason });
        }
    }

    /// Sends a request until it succeeds, can't succeed, or was tried often enough.
    pub(super) async fn send(&self, endpoint: &Endpoint, ask: Ask) -> Result<Response, RegistryError> {
        let mut attempt = 1;
        loop {
            match self.attempt(endpoint, &ask).await {
                Err(error) if error.is_temporary() => self.pause(error, &mut attempt).await?,
                other => return other,
            }
        }
    }

    /// Sends a request once, apart from what authorization takes.
    pub(super) async fn attempt(&self, endpoint: &Endpoint, ask: &Ask) -> Result<Response, RegistryError> {
        let mut scopes = ask.scopes.clone();
        let base = |url: &Url| super::exchange::same_origin(url, &self.effective(endpoint));
        for round in 1.. {
            let given = self.authorization(endpoint, &scopes).await?;
            let (response, url) = self.probe(endpoint, &ask.sent, given.header.as_ref()).await?;
            let refused = response.status().as_u16() == 401 && base(&url);
            if !refused || !self.challenged(endpoint, response.headers(), &given, &mut scopes).await? {
                return self.checked(&ask.sent.method, &url, response, &given.secrets).await;
            }
            if round == ROUNDS {
                let error = error_of(&ask.sent.method, &url, response, &given.secrets).await;
                return Err(RegistryError::AuthorizationLoop {
                    host: endpoint.name.clone(),
                    source: Box::new(error),
                });
            }
        }
        unreachable!("the rounds end above")
    }

    /// Turns an answer that is no success into an error.
    pub(super) async fn checked(
        &self,
        method: &Method,
        url: &Url,
        response: Response,
        secrets: &[String],
    ) -> Result<Response, RegistryError> {
        if response.status().is_success() {
            return Ok(response);
        }
        Err(error_of(method, url, response, secrets).await)
    }
}

/// Returns a header's text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
