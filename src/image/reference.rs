//! Image references: `[domain/]path[:tag][@digest]`, normalised as people type them.

use std::fmt;

use super::id::Digest;

/// The domain that names without one belong to.
pub const DEFAULT_DOMAIN: &str = "docker.io";
const OFFICIAL: &str = "library/";
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// Why a text is not an image reference; the texts are docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The grammar does not fit.
    #[error("invalid reference format")]
    Format,
    /// Upper-case letters outside the domain and the tag.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The tag does not fit the grammar.
    #[error("invalid reference format")]
    Tag,
    /// 64 hexadecimal digits, which would read as an image id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    HexName(String),
    /// Domain and path are too long together.
    #[error("repository name must not be more than {MAX_NAME} characters")]
    TooLong,
    /// The digest does not fit.
    #[error("invalid checksum digest format")]
    Digest,
}

/// A normalised reference: the domain is always there, the tag only as typed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads and normalises a reference; no tag is added.
    ///
    /// # Errors
    /// See [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && super::id::from_hex(text).is_some() {
            return Err(ReferenceError::HexName(text.to_owned()));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| ReferenceError::Digest)?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if name.is_empty() {
            return Err(ReferenceError::Format);
        }
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        let (domain, path) = split_domain(name);
        check_path(&path)?;
        if !is_domain(&domain) {
            return Err(ReferenceError::Format);
        }
        if domain.len() + 1 + path.len() > MAX_NAME {
            return Err(ReferenceError::TooLong);
        }
        Ok(Self { domain, path, tag: tag.map(str::to_owned), digest })
    }

    /// Returns the reference with tag `latest` when it names neither tag nor digest.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }

    /// Returns the same repository with another tag and no digest.
    ///
    /// # Errors
    /// The tag does not fit the grammar.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        check_tag(tag)?;
        Ok(Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// Returns the registry's host and port.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the repository's path inside its registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the tag, if one was typed or added.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, if one was typed.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns domain and path without tag and digest.
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// Returns the repository as people type it: without `docker.io/` and `library/`.
    pub fn familiar_repository(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.repository();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// Returns the whole reference as people type it.
    pub fn familiar(&self) -> String {
        self.suffixed(self.familiar_repository())
    }

    fn suffixed(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

impl fmt::Display for Reference {
    /// Writes the canonical form, domain first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.suffixed(self.repository()))
    }
}

fn split_domain(name: &str) -> (String, String) {
    let (domain, path) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|c| c.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    let domain = if domain == "index.docker.io" { DEFAULT_DOMAIN } else { domain };
    let path = if domain == DEFAULT_DOMAIN && !path.contains('/') {
        format!("{OFFICIAL}{path}")
    } else {
        path.to_owned()
    };
    (domain.to_owned(), path)
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            // Docker looks at the characters alone.
            if address.is_empty() || !address.bytes().all(|c| c.is_ascii_hexdigit() || c == b':') {
                return false;
            }
            (None, port.strip_prefix(':').or((!port.is_empty()).then_some("")))
        }
        None => match domain.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(domain), None),
        },
    };
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    host.is_none_or(|host| host.split('.').all(label))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit()))
}

fn check_path(path: &str) -> Result<(), ReferenceError> {
    if path.split('/').all(is_component) {
        return Ok(());
    }
    if path.to_lowercase().split('/').all(is_component) {
        return Err(ReferenceError::Uppercase(path.to_owned()));
    }
    Err(ReferenceError::Format)
}

/// `alnum+ (sep alnum+)*` with `sep` one of `.`, `_`, `__` and any number of `-`.
fn is_component(part: &str) -> bool {
    let mut rest = part.as_bytes();
    loop {
        let word = rest.iter().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit()).count();
        if word == 0 {
            return false;
        }
        rest = &rest[word..];
        rest = match rest {
            [] => return true,
            [b'.', tail @ ..] | [b'_', b'_', tail @ ..] | [b'_', tail @ ..] => tail,
            [b'-', ..] => &rest[rest.iter().take_while(|c| **c == b'-').count()..],
            _ => return false,
        };
    }
}

fn check_tag(tag: &str) -> Result<(), ReferenceError> {
    let legal = tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == b'_')
        && tag.bytes().all(|c| c.is_ascii_alphanumeric() || b"_.-".contains(&c));
    if legal { Ok(()) } else { Err(ReferenceError::Tag) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (typed, canonical, familiar) in [
            ("debian", "docker.io/library/debian", "debian"),
            ("docker.io/ubuntu:14.04", "docker.io/library/ubuntu:14.04", "ubuntu:14.04"),
            ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
            ("127.0.0.1:5000/x/y:t", "127.0.0.1:5000/x/y:t", "127.0.0.1:5000/x/y:t"),
            ("localhost/x", "localhost/x", "localhost/x"),
            ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
            ("a__b/c-----d:T_1", "docker.io/a__b/c-----d:T_1", "a__b/c-----d:T_1"),
            ("foo/bar", "docker.io/foo/bar", "foo/bar"),
        ] {
            let reference = Reference::parse(typed).unwrap();
            assert_eq!(reference.to_string(), canonical, "{typed}");
            assert_eq!(reference.familiar(), familiar, "{typed}");
            assert_eq!(Reference::parse(canonical).as_ref(), Ok(&reference), "{typed}");
        }
    }

    #[test]
    fn bad_names_have_dockers_errors() {
        let error = |text: &str| Reference::parse(text).unwrap_err().to_string();
        assert_eq!(error("Foo"), "invalid reference format: repository name (library/Foo) must be lowercase");
        assert_eq!(error("a/Foo:x"), "invalid reference format: repository name (a/Foo) must be lowercase");
        assert_eq!(error(""), "invalid reference format");
        assert_eq!(error("a___b"), "invalid reference format");
        assert_eq!(error("a//b"), "invalid reference format");
        assert_eq!(error("a:-x"), "invalid reference format");
        assert_eq!(error("a@sha256:00"), "invalid checksum digest format");
        assert!(error(&"a".repeat(64)).contains("64-byte hexadecimal"));
        assert!(error(&"z".repeat(300)).contains("255"));
    }

    #[test]
    fn latest_is_added_only_where_nothing_was_said() {
        let latest = |text: &str| Reference::parse(text).unwrap().or_latest().familiar();
        assert_eq!(latest("a"), "a:latest");
        assert_eq!(latest("a:b"), "a:b");
        let digest = Digest::of(b"x");
        assert_eq!(latest(&format!("a@{digest}")), format!("a@{digest}"));
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod more;
