//! `COPY` and `ADD`: which files are meant, what their content is, how they land in a layer.
//!
//! Three steps, each usable alone: [`select`] names the files (no content is
//! read), [`content_digest`] says what they are for the step's cache key (with
//! [`CopyRequest::key_fields`]), and [`write()`] puts them into a layer over the
//! parent's files, which it does not look at for `--link`.
//!
//! | source | tree | path | `wildcards` | `unpack` |
//! |---|---|---|---|---|
//! | context, stage, image | `DirectoryTree`, or what `open_context` gave | as written | yes | `ADD`, unless `--unpack=false` |
//! | heredoc | `MemoryTree` | its name | no | no |
//! | URL | `Download` | its `name()` | no | `--unpack` |
//! | git | `GitTree` | `/` | no | no |
//!
//! Invariants: entries come parents first and sorted; the same files give the
//! same entries; a source that changes between its listing and its reading
//! fails the copy; nothing leaves the destination's root or the source's.

mod archive;
mod chmod;
mod digest;
mod error;
mod owner;
mod plan;
mod request;
mod select;
mod view;
mod write;

pub use chmod::Chmod;
pub use digest::{ContentDigest, Fact, content_digest};
pub use error::CopyError;
pub use owner::Owner;
pub use request::{CopyRequest, CopySource};
pub use select::{Item, Selected, Selection, select};
pub use write::{EntrySink, Written, write};

#[cfg(test)]
mod tests;
