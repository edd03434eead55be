//! Searching: the old index API, and the catalogue where a registry has none.

use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

use super::RegistryClient;
use super::body::read_limited;
use super::request::Ask;
use super::url_text::redacted;
use crate::image::manifest::MAX_DOCUMENT;
use crate::registry::RegistryError;
use crate::registry::auth::Scopes;
use crate::registry::hosts::Endpoint;

/// Docker Hub's index.
const HUB_INDEX: &str = "https://index.docker.io";

/// One repository that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What its owner says of it.
    #[serde(default)]
    pub description: String,
    /// How many people like it.
    #[serde(default)]
    pub star_count: u64,
    /// Whether it is one of Docker's own selection.
    #[serde(default)]
    pub is_official: bool,
    /// Whether it was built by Docker Hub; nothing is any more.
    #[serde(default)]
    pub is_automated: bool,
}

impl RegistryClient {
    /// Searches a registry for a word; at most `limit` repositories.
    ///
    /// A registry without the index API is asked for its catalogue.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn search(&self, domain: &str, term: &str, limit: usize) -> Result<Vec<Found>, RegistryError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            results: Option<Vec<Found>>,
        }
        let endpoint = self.index(domain)?;
        let mut url = endpoint.base.clone();
        url.set_path("/v1/search");
        url.query_pairs_mut().append_pair("q", term).append_pair("n", &limit.to_string());
        let mut ask = Ask::new(Method::GET, url, Scopes::none());
        let name = HeaderName::from_static("x-docker-token");
        ask.sent.headers.insert(name, HeaderValue::from_static("true"));
        let shown = redacted(&ask.sent.url);
        match self.send(&endpoint, ask).await {
            Ok(response) => {
                let bytes = read_limited(response, MAX_DOCUMENT, "answer", self.small_limit()).await?;
                let answer: Answer = serde_json::from_slice(&bytes).map_err(|e| RegistryError::Protocol {
                    url: shown,
                    what: format!("the answer does not parse ({e})"),
                })?;
                let mut found = answer.results.unwrap_or_default();
                found.truncate(limit);
                Ok(found)
            }
            Err(error) if domain != "docker.io" && matches!(error.status(), Some(404 | 405 | 400)) => {
                self.search_catalog(domain, term, limit).await
            }
            Err(error) => Err(error),
        }
    }

    async fn search_catalog(
        &self,
        domain: &str,
        term: &str,
        limit: usize,
    ) -> Result<Vec<Found>, RegistryError> {
        let names = self.catalog(domain).await?;
        let fits = names.into_iter().filter(|name| name.contains(term));
        let found = |name: String| Found { name: format!("{domain}/{name}"), ..Found::default() };
        Ok(fits.take(limit).map(found).collect())
    }

    fn index(&self, domain: &str) -> Result<Endpoint, RegistryError> {
        let mut endpoint = self.inner.options.hosts.origin(domain)?;
        if domain == "docker.io" && !self.inner.options.hosts.origins.contains_key(domain) {
            endpoint.base = Url::parse(HUB_INDEX).expect("a constant URL parses");
        }
        Ok(endpoint)
    }
}
