//! What requests are about: a repository, and a tag or digest in it.

use std::fmt;

use crate::image::{Digest, Reference};

/// A repository of one registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    domain: String,
    path: String,
}

impl Repository {
    /// Returns the repository of a reference.
    pub fn of(reference: &Reference) -> Self {
        Self { domain: reference.domain().to_owned(), path: reference.path().to_owned() }
    }

    /// Returns another repository of the same registry; `path` comes from a checked reference or the registry.
    #[must_use]
    pub fn sibling(&self, path: &str) -> Self {
        Self { domain: self.domain.clone(), path: path.to_owned() }
    }

    /// Returns the registry's host and port, `docker.io` for Docker Hub.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the path inside the registry.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Repository {
    /// Writes domain and path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)
    }
}

/// What names a manifest in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TagOrDigest {
    /// A tag.
    Tag(String),
    /// The digest of its bytes.
    Digest(Digest),
}

impl TagOrDigest {
    /// Returns what a reference names: its digest, else its tag, else `latest`.
    pub fn of(reference: &Reference) -> Self {
        match reference.digest() {
            Some(digest) => Self::Digest(digest),
            None => Self::Tag(reference.tag().unwrap_or("latest").to_owned()),
        }
    }
}

impl From<Digest> for TagOrDigest {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}
