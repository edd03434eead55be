//! Lists: tags, repositories, referrers.

use std::collections::BTreeMap;

use reqwest::Method;
use reqwest::header;
use serde::Deserialize;
use url::Url;

use super::body::read_limited;
use super::request::Ask;
use super::url_text::redacted;
use super::{RegistryClient, Repository, TagOrDigest};
use crate::image::Digest;
use crate::image::manifest::MAX_DOCUMENT;
use crate::registry::RegistryError;
use crate::registry::auth::Scopes;
use crate::registry::hosts::Endpoint;

/// Pages of a list that are read.
const MAX_PAGES: usize = 1000;
/// Entries of a list that are kept.
const MAX_ENTRIES: usize = 1_000_000;

/// What refers to a manifest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Referrers {
    /// Descriptors as the registry sent them.
    pub manifests: Vec<Referrer>,
}

/// One manifest that has another as its subject.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// Media type of the manifest.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// Kind of artifact.
    #[serde(default)]
    pub artifact_type: String,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl RegistryClient {
    /// Returns a repository's tags in the registry's order.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn tags(&self, repo: &Repository) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut failed = None;
        for endpoint in self.readers(repo)? {
            let url = endpoint.api(&format!("{}/tags/list", repo.path()))?;
            let scopes = Scopes::pull(repo.path());
            match self.pages(&endpoint, url, scopes, |page: Page| page.tags.unwrap_or_default()).await {
                Ok(tags) => return Ok(tags),
                Err(error) => {
                    self.mirror_failed(&endpoint, &error);
                    failed = Some(error);
                }
            }
        }
        Err(failed.expect("there is an endpoint for every domain"))
    }

    /// Returns a registry's repositories; not every registry tells them.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn catalog(&self, domain: &str) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            repositories: Option<Vec<String>>,
        }
        let endpoint = self.inner.options.hosts.origin(domain)?;
        let url = endpoint.api("_catalog")?;
        let entries = |page: Page| page.repositories.unwrap_or_default();
        self.pages(&endpoint, url, Scopes::catalog(), entries).await
    }

    /// Returns what has `digest` as its subject, by the API or the fallback tag.
    ///
    /// # Errors
    /// See [`RegistryError`].
    pub async fn referrers(
        &self,
        repo: &Repository,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Referrers, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            manifests: Vec<Referrer>,
        }
        let endpoint = self.origin(repo)?;
        let url = endpoint.api(&format!("{}/referrers/{digest}", repo.path()))?;
        let found = self.pages(&endpoint, url, Scopes::pull(repo.path()), |page: Page| page.manifests).await;
        let mut manifests = match found {
            Err(error) if error.is_not_found() => {
                let client = self.without_mirrors();
                match client.manifest(repo, &fallback_tag(digest)).await {
                    Ok(found) => parse::<Page>(&found.bytes, &repo.to_string())?.manifests,
                    Err(error) if error.is_not_found() => Vec::new(),
                    Err(error) => return Err(error),
                }
            }
            other => other?,
        };
        manifests.retain(|entry| artifact_type.is_none_or(|wanted| entry.artifact_type == wanted));
        Ok(Referrers { manifests })
    }

    /// Reads a list page by page; pages come from the endpoint itself.
    async fn pages<P: for<'de> Deserialize<'de>, T>(
        &self,
        endpoint: &Endpoint,
        first: Url,
        scopes: Scopes,
        entries: impl Fn(P) -> Vec<T>,
    ) -> Result<Vec<T>, RegistryError> {
        let mut all = Vec::new();
        let mut url = first.clone();
        for _ in 0..MAX_PAGES {
            let ask = Ask::new(Method::GET, url.clone(), scopes.clone());
            let response = self.send(endpoint, ask).await?;
            let link = response.headers().get_all(header::LINK).iter();
            let link = link.filter_map(|v| v.to_str().ok()).find_map(next_link);
            let next = link.map(|link| response.url().join(&link));
            let bytes = read_limited(response, MAX_DOCUMENT, "list", self.small_limit()).await?;
            all.extend(entries(parse(&bytes, &redacted(&url))?));
            if all.len() > MAX_ENTRIES {
                return Err(RegistryError::Endless {
                    url: redacted(&first),
                    limit: MAX_ENTRIES,
                    unit: "entries",
                });
            }
            url = match next {
                Some(Ok(next)) if next != url => next,
                _ => return Ok(all),
            };
        }
        Err(RegistryError::Endless { url: redacted(&first), limit: MAX_PAGES, unit: "pages" })
    }
}

/// The tag that names a manifest's referrers where the registry has no API for them
/// (distribution spec, "Referrers Tag Schema").
pub(super) fn fallback_tag(digest: &Digest) -> TagOrDigest {
    TagOrDigest::Tag(format!("sha256-{}", digest.hex()))
}

fn parse<P: for<'de> Deserialize<'de>>(bytes: &[u8], url: &str) -> Result<P, RegistryError> {
    serde_json::from_slice(bytes).map_err(|e| RegistryError::Protocol {
        url: url.to_owned(),
        what: format!("the answer does not parse ({e})"),
    })
}

/// Returns the target of `<...>; rel="next"`.
fn next_link(text: &str) -> Option<String> {
    text.split(',').find_map(|link| {
        let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        let next = rest.split(';').any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
        next.then(|| target.to_owned())
    })
}
