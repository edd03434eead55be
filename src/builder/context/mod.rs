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

mod compat;
mod error;
pub mod glob;
mod ignore;
pub mod path;
mod pattern;
mod tree;

pub use compat::Mtime;
pub use error::ContextError;
pub use ignore::{PatternMatcher, Verdict};
pub use tree::{Child, ContentId, Node, NodeKind, Tree, Wanted, content_id, counts, resolve};
