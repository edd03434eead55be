//! What a request's path means.

use super::digest::BlobDigest;
use super::names::{is_repository, is_tag};

/// A place of the distribution API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/tags/list`
    Tags(String),
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(String, Named),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(String, BlobDigest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(String),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(String, String),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(String, BlobDigest),
}

impl Route {
    /// Returns the repository that it is about.
    pub fn repository(&self) -> Option<&str> {
        match self {
            Self::Base | Self::Catalog => None,
            Self::Tags(name)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Referrers(name, _) => Some(name),
        }
    }
}

/// What names a manifest in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A tag.
    Tag(String),
    /// The digest of its bytes.
    Digest(BlobDigest),
}

/// Why a path has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRoute {
    /// No path of the API.
    Unknown,
    /// The repository's name breaks the rules.
    Name,
    /// What should be a digest is none.
    Digest,
    /// What should be a tag is none.
    Tag,
}

/// Reads a decoded path.
///
/// # Errors
/// It is none of the API's, or a part of it breaks the rules.
pub fn parse(path: &str) -> Result<Route, BadRoute> {
    let rest = path.strip_prefix("/v2").ok_or(BadRoute::Unknown)?;
    match rest {
        "" | "/" => return Ok(Route::Base),
        "/_catalog" => return Ok(Route::Catalog),
        _ => {}
    }
    let rest = rest.strip_prefix('/').ok_or(BadRoute::Unknown)?;
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Ok(Route::Tags(repository(name)?));
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
        return Ok(Route::Uploads(repository(name)?));
    }
    let (head, last) = rest.rsplit_once('/').ok_or(BadRoute::Unknown)?;
    if let Some(name) = head.strip_suffix("/blobs/uploads") {
        return Ok(Route::Upload(repository(name)?, last.to_owned()));
    }
    if let Some(name) = head.strip_suffix("/manifests") {
        return Ok(Route::Manifest(repository(name)?, named(last)?));
    }
    if let Some(name) = head.strip_suffix("/blobs") {
        return Ok(Route::Blob(repository(name)?, digest(last)?));
    }
    if let Some(name) = head.strip_suffix("/referrers") {
        return Ok(Route::Referrers(repository(name)?, digest(last)?));
    }
    Err(BadRoute::Unknown)
}

fn repository(name: &str) -> Result<String, BadRoute> {
    if is_repository(name) { Ok(name.to_owned()) } else { Err(BadRoute::Name) }
}

fn digest(text: &str) -> Result<BlobDigest, BadRoute> {
    text.parse().map_err(|_| BadRoute::Digest)
}

fn named(text: &str) -> Result<Named, BadRoute> {
    match text {
        text if text.contains(':') => Ok(Named::Digest(digest(text)?)),
        text if is_tag(text) => Ok(Named::Tag(text.to_owned())),
        _ => Err(BadRoute::Tag),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let hex = "a".repeat(64);
        let digest: BlobDigest = format!("sha256:{hex}").parse().unwrap();
        let name = || "team/app".to_owned();
        for (path, expected) in [
            ("/v2", Ok(Route::Base)),
            ("/v2/", Ok(Route::Base)),
            ("/v2/_catalog", Ok(Route::Catalog)),
            ("/v2/team/app/tags/list", Ok(Route::Tags(name()))),
            ("/v2/team/app/manifests/v1", Ok(Route::Manifest(name(), Named::Tag("v1".into())))),
            (
                &format!("/v2/team/app/manifests/sha256:{hex}"),
                Ok(Route::Manifest(name(), Named::Digest(digest.clone()))),
            ),
            (&format!("/v2/team/app/blobs/sha256:{hex}"), Ok(Route::Blob(name(), digest.clone()))),
            ("/v2/team/app/blobs/uploads/", Ok(Route::Uploads(name()))),
            ("/v2/team/app/blobs/uploads/x1", Ok(Route::Upload(name(), "x1".into()))),
            (&format!("/v2/team/app/referrers/sha256:{hex}"), Ok(Route::Referrers(name(), digest))),
            (
                "/v2/manifests/manifests/manifests",
                Ok(Route::Manifest("manifests".into(), Named::Tag("manifests".into()))),
            ),
            ("/v2/Team/manifests/v1", Err(BadRoute::Name)),
            ("/v2/../manifests/v1", Err(BadRoute::Name)),
            ("/v2/a/manifests/.v1", Err(BadRoute::Tag)),
            ("/v2/a/blobs/sha256:1", Err(BadRoute::Digest)),
            ("/v2/a/referrers/latest", Err(BadRoute::Digest)),
            ("/v1/", Err(BadRoute::Unknown)),
            ("/v2x", Err(BadRoute::Unknown)),
            ("/v2/a/else/b", Err(BadRoute::Unknown)),
        ] {
            assert_eq!(parse(path), expected, "{path}");
        }
    }
}
