//! What a `COPY` or `ADD` asks for, expanded and parsed.

use std::fmt;
use std::sync::Arc;

use super::chmod::Chmod;
use super::error::CopyError;
use crate::builder::context::Tree;
use crate::layers::Mtime;

/// One source: a place and a path in it.
#[derive(Clone)]
pub struct CopySource {
    /// Where the files are.
    pub tree: Arc<dyn Tree>,
    /// Path or Go wildcard in it, expanded; leading `/` and `..` stay at its root.
    pub path: String,
    /// Whether `*`, `?`, `[` and `\` have their meaning; not in names of downloads and heredocs.
    pub wildcards: bool,
    /// Whether an archive is unpacked into the destination (`ADD` of local files, `ADD --unpack` of URLs).
    pub unpack: bool,
}

impl fmt::Debug for CopySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopySource").field("tree", &self.tree.label()).field("path", &self.path).finish()
    }
}

/// A `COPY` or `ADD` with everything expanded.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// Sources in order.
    pub sources: Vec<CopySource>,
    /// Destination as written, expanded; relative ones join `workdir`.
    pub destination: String,
    /// Working directory of the stage; empty is `/`.
    pub workdir: String,
    /// `--chown`, expanded.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<Chmod>,
    /// `--link`: nothing of the parent is looked at. Plain where `--chmod` is given too.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`, in order.
    pub excludes: Vec<String>,
    /// Time of directories made on the way; none takes the newest time among the sources.
    pub created: Option<Mtime>,
}

impl CopyRequest {
    /// Returns a request with nothing but sources and destination.
    pub fn new(sources: Vec<CopySource>, destination: impl Into<String>) -> Self {
        Self {
            sources,
            destination: destination.into(),
            workdir: String::new(),
            chown: None,
            chmod: None,
            link: false,
            parents: false,
            excludes: Vec::new(),
            created: None,
        }
    }

    /// Sets `--chmod` from its text.
    ///
    /// Fails with docker's text on anything but an octal or symbolic mode.
    pub fn with_chmod(mut self, text: &str) -> Result<Self, CopyError> {
        self.chmod = Some(Chmod::parse(text)?);
        Ok(self)
    }

    /// Returns what of the request itself belongs into the step's cache key, as named fields.
    ///
    /// The files are [`super::content_digest`]'s; times are in neither, and `--link` keeps the
    /// parent out of the key ([`Self::is_linked`]).
    pub fn key_fields(&self) -> Vec<(&'static str, String)> {
        let unpack: Vec<&str> = self.sources.iter().map(|s| if s.unpack { "yes" } else { "no" }).collect();
        vec![
            ("destination", self.absolute_destination()),
            ("chown", self.chown.clone().unwrap_or_default()),
            ("chmod", self.chmod.as_ref().map(|chmod| format!("{chmod:?}")).unwrap_or_default()),
            ("link", self.is_linked().to_string()),
            ("parents", self.parents.to_string()),
            ("exclude", format!("{:?}", self.excludes)),
            ("unpack", unpack.join(" ")),
        ]
    }

    /// Whether the layer is made without looking at the parent, so that it can be stacked on any.
    pub fn is_linked(&self) -> bool {
        self.link && self.chmod.is_none()
    }

    /// Returns the destination as an absolute path, with a final `/` where it must be a directory.
    pub fn absolute_destination(&self) -> String {
        let directory = matches!(self.destination.as_str(), "" | ".")
            || self.destination.ends_with('/')
            || self.destination.ends_with("/.");
        let joined = if self.destination.starts_with('/') {
            self.destination.clone()
        } else {
            format!("/{}/{}", self.workdir, self.destination)
        };
        let clean = crate::paths::clean(&joined);
        if directory && clean != "/" { clean + "/" } else { clean }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_join_the_working_directory() {
        for (workdir, destination, expected) in [
            ("", "a", "/a"),
            ("/", "a/", "/a/"),
            ("/w", ".", "/w/"),
            ("/w", "", "/w/"),
            ("/w", "./", "/w/"),
            ("/w", "a/.", "/w/a/"),
            ("/w", "/x/../y", "/y"),
            ("/w", "..", "/"),
            ("/w", "../../x", "/x"),
            ("w", "a", "/w/a"),
            ("/", ".", "/"),
            ("/w", "/", "/"),
        ] {
            let mut request = CopyRequest::new(Vec::new(), destination);
            request.workdir = workdir.to_owned();
            assert_eq!(request.absolute_destination(), expected, "{workdir:?} {destination:?}");
        }
    }
}
