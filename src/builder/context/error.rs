//! What can go wrong while a context is found, read or matched.

use std::io;

use super::glob::BadPattern;

/// An error of a build context or of another source of files.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A `!` without a pattern.
    #[error("illegal exclusion pattern: \"!\"")]
    LoneException,
    /// A pattern of an ignore file or of `--exclude` is malformed.
    #[error("invalid pattern {pattern:?}")]
    Pattern {
        /// The pattern as written.
        pattern: String,
        /// What Go says of it.
        source: BadPattern,
    },
    /// A file could not be read.
    #[error("failed to read {path}")]
    Read {
        /// Path below the root.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A lookup below a root failed.
    #[error("failed to look up {path}")]
    Lookup {
        /// Path below the root.
        path: String,
        /// Why.
        source: crate::fs::FsError,
    },
    /// A file was written, replaced or removed between being listed and being read.
    #[error("{path} changed while it was being read; run the build again when nothing writes to the context")]
    Changed {
        /// Path below the root.
        path: String,
    },
    /// Too many symlinks.
    #[error("too many levels of symbolic links: {path}")]
    Loop {
        /// Path below the root.
        path: String,
    },
    /// A stream is no archive, or a damaged one.
    #[error("failed to read archive {label}")]
    Archive {
        /// What the archive is called.
        label: String,
        /// Why.
        source: crate::layers::LayerError,
    },
    /// An entry of an archive has no place.
    #[error("archive {label}: {path} {reason}")]
    Misfit {
        /// What the archive is called.
        label: String,
        /// The entry.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A temporary file could not be made or written.
    #[error("failed to write a temporary file")]
    Spool(#[source] io::Error),
    /// A server could not be reached, or broke off.
    #[error("failed to load {url}")]
    Http {
        /// The URL without credentials.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// A server refused.
    #[error("failed to load {url}: invalid response status {status}")]
    Status {
        /// The URL without credentials.
        url: String,
        /// The status.
        status: u16,
    },
    /// A body has more bytes than any should.
    #[error("failed to load {url}: more than 64 GiB")]
    TooLarge {
        /// The URL without credentials.
        url: String,
    },
    /// A body is not what its checksum names.
    #[error("{url}: digest mismatch {found}: {expected}")]
    Digest {
        /// The URL without credentials.
        url: String,
        /// Digest of the body.
        found: String,
        /// Digest that was asked for.
        expected: String,
    },
    /// The context directory is not there.
    #[error("unable to prepare context: path {path:?} not found")]
    NoContext {
        /// Its path.
        path: std::path::PathBuf,
    },
    /// The context is a file, and no archive.
    #[error("unable to prepare context: context must be a directory: {}", .path.display())]
    NoDirectory {
        /// Its path.
        path: std::path::PathBuf,
    },
    /// The Dockerfile is not there.
    #[error("failed to read dockerfile: open {name}: no such file or directory")]
    NoDockerfile {
        /// The name that was looked for.
        name: String,
    },
    /// Both the context and the Dockerfile are to be read from standard input.
    #[error("invalid argument: can't use stdin for both build context and dockerfile")]
    StdinTwice,
    /// Standard input holds a Dockerfile, and another is named.
    #[error("ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles")]
    TwoDockerfiles,
    /// The build was stopped meanwhile.
    #[error("context canceled")]
    Cancelled,
    /// A git URL or what it names does not hold.
    #[error("invalid git source: {reason}")]
    GitUrl {
        /// What is wrong.
        reason: String,
    },
    /// git could not be started.
    #[error("git sources need the git program")]
    GitMissing {
        /// Why.
        source: io::Error,
    },
    /// git failed.
    #[error("git {command} failed: {said}")]
    Git {
        /// Its command.
        command: String,
        /// What it said.
        said: String,
    },
}
