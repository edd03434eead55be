//! Build contexts and every other place that `COPY` and `ADD` take files from.
//!
//! All of them are a [`Tree`]: a directory with an ignore file, an archive from
//! standard input or a URL, the merged files of a stage, heredocs, downloads.
//!
//! Invariants:
//! - No symlink leads out of a tree: [`resolve`] follows links as text, inside
//!   the root, and the trees themselves follow none.
//! - Nothing below a context's root is read before a `COPY` or `ADD` wants it.
//! - What was listed and what is read are the same version of a file, or the
//!   read fails and says so.

mod archive;
mod checksum;
mod directory;
mod dockerfile;
mod download;
mod error;
mod git;
mod git_url;
pub mod glob;
mod http;
mod ignore;
mod memory;
mod open;
mod pattern;
mod spool;
mod tree;

pub use archive::{ArchiveTree, HEAD, is_archive};
pub use checksum::{BadChecksum, Checksum};
pub use directory::DirectoryTree;
pub use download::{Download, DownloadOptions, download, revalidate, url_file_name};
pub use error::ContextError;
pub use git::{GitOptions, GitTree, checkout, resolve_commit};
pub use git_url::GitSource;
pub use http::Validators;
pub use ignore::{PatternMatcher, Verdict};
pub use memory::MemoryTree;
pub use open::{
    Context, ContextOptions, ContextSource, DockerfileSource, open_context, open_named_directory,
    parse_context,
};
pub use tree::{
    Attributes, Child, ContentId, Fetched, FileKind, Node, Step, Tree, Wanted, content_id, counts, keeps,
    resolve, resolve_with,
};
