//! Why an operation below a root failed.

use std::io;
use std::path::PathBuf;

/// An operation on a path failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FsError {
    /// What was attempted.
    pub action: &'static str,
    /// On which path, as the caller named it, below what the root was opened as.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// Returns an error of `action` on `path`.
    pub fn new(action: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self { action, path: path.into(), source: source.into() }
    }

    /// Returns the kind of the cause.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the name does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Whether something on the way is a file.
    pub fn is_not_directory(&self) -> bool {
        self.kind() == io::ErrorKind::NotADirectory
    }

    /// Whether the name exists already.
    pub fn is_exists(&self) -> bool {
        self.kind() == io::ErrorKind::AlreadyExists
    }
}
