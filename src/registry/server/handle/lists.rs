//! Lists: repositories, tags, referrers; each in pages.

use hyper::StatusCode;
use hyper::header;

use super::Ask;
use crate::registry::server::answer::{Answered, FILTERS, Failure, json, set};
use crate::registry::server::digest::BlobDigest;
use crate::registry::server::registry::Registry;
use crate::registry::server::repository::repositories;

/// Referrers in one answer: with the largest annotations that are usual it stays below the size that clients read.
const REFERRERS: usize = 1000;
/// Repositories in one answer, if the client asks for no number.
const REPOSITORIES: usize = 1000;

/// What of a sorted list is shown, and the name after which the next page begins.
struct Page {
    names: Vec<String>,
    next: Option<String>,
}

impl Page {
    fn of(names: Vec<String>, last: Option<&str>, count: Option<usize>) -> Self {
        let after: Vec<String> =
            names.into_iter().filter(|name| last.is_none_or(|last| name.as_str() > last)).collect();
        let count = count.unwrap_or(after.len());
        let next = match count {
            0 => None,
            count if count < after.len() => after.get(count - 1).cloned(),
            _ => None,
        };
        Self { names: after.into_iter().take(count).collect(), next }
    }
}

fn count(ask: &Ask) -> Result<Option<usize>, Failure> {
    let Some(text) = ask.query.get("n") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let text = format!("invalid number of results requested: {text}");
        Failure::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", text)
    })
}

fn link(
    response: &mut hyper::Response<crate::registry::server::answer::Body>,
    path: &str,
    query: &[(&str, &str)],
) {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
    set(response, header::LINK, format!("<{path}?{}>; rel=\"next\"", query.join("&")));
}

/// `GET /v2/_catalog`
pub async fn catalog(registry: &Registry, ask: &Ask) -> Answered {
    let count = count(ask)?.or(Some(REPOSITORIES));
    let page = Page::of(repositories(registry.storage()).await?, ask.query.get("last"), count);
    let mut response = json(&serde_json::json!({ "repositories": page.names }));
    if let (Some(next), Some(count)) = (&page.next, count) {
        link(&mut response, "/v2/_catalog", &[("n", &count.to_string()), ("last", next)]);
    }
    Ok(response)
}

/// `GET /v2/NAME/tags/list`
pub async fn tags(registry: &Registry, ask: &Ask, name: &str) -> Answered {
    let count = count(ask)?;
    let upstream = match registry.upstream() {
        Some(upstream) => upstream.tags(name).await,
        None => None,
    };
    let tags = match upstream {
        Some(tags) => tags,
        None => {
            let repo = registry.repo(name);
            if !repo.is_known().await? {
                return Err(Failure::name_unknown(name));
            }
            repo.tags().await?
        }
    };
    let page = Page::of(tags, ask.query.get("last"), count);
    let mut response = json(&serde_json::json!({ "name": name, "tags": page.names }));
    if let (Some(next), Some(count)) = (&page.next, count) {
        link(&mut response, &format!("/v2/{name}/tags/list"), &[("n", &count.to_string()), ("last", next)]);
    }
    Ok(response)
}

/// `GET /v2/NAME/referrers/DIGEST`
pub async fn referrers(registry: &Registry, ask: &Ask, name: &str, digest: &BlobDigest) -> Answered {
    let filter = ask.query.get("artifactType").filter(|filter| !filter.is_empty());
    let mut all = registry.referrers(name, digest).await?;
    all.sort_by_cached_key(|(digest, _)| digest.to_string());
    if let Some(filter) = filter {
        all.retain(|(_, descriptor)| descriptor["artifactType"] == *filter);
    }
    let names = all.iter().map(|(digest, _)| digest.to_string()).collect();
    let page = Page::of(names, ask.query.get("last"), Some(REFERRERS));
    let shown: Vec<&serde_json::Value> = all
        .iter()
        .filter(|(digest, _)| page.names.binary_search(&digest.to_string()).is_ok())
        .map(|(_, descriptor)| descriptor)
        .collect();
    let index = crate::image::manifest::media_type::OCI_INDEX;
    let mut response =
        json(&serde_json::json!({ "schemaVersion": 2, "mediaType": index, "manifests": shown }));
    set(&mut response, header::CONTENT_TYPE, index);
    let mut query = Vec::new();
    if let Some(filter) = filter {
        set(&mut response, FILTERS, "artifactType");
        query.push(("artifactType", filter));
    }
    if let Some(next) = &page.next {
        query.push(("last", next));
        link(&mut response, &format!("/v2/{name}/referrers/{digest}"), &query);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let names = || ["a", "b", "c"].map(str::to_owned).to_vec();
        for (last, count, expected, next) in [
            (None, None, vec!["a", "b", "c"], None),
            (None, Some(0), vec![], None),
            (None, Some(2), vec!["a", "b"], Some("b")),
            (Some("b"), Some(2), vec!["c"], None),
            (Some("a"), Some(2), vec!["b", "c"], None),
            (Some("aa"), None, vec!["b", "c"], None),
            (Some("z"), Some(1), vec![], None),
            (None, Some(3), vec!["a", "b", "c"], None),
        ] {
            let page = Page::of(names(), last, count);
            assert_eq!(page.names, expected, "{last:?} {count:?}");
            assert_eq!(page.next.as_deref(), next, "{last:?} {count:?}");
        }
    }
}
