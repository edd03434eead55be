//! `COPY` and `ADD`: which files are meant, what their content is, how they land in a layer.
//!
//! Three steps, each usable alone: [`select`] names the files (no content is
//! read), [`content_digest`] says what they are for the step's cache key, and
//! `write` (given the parent's root, unless `--link`) puts them into a layer.

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
pub use request::{CopyRequest, CopySource};
pub use select::{Item, Selected, Selection, select};
pub use write::{EntrySink, Written, write};

#[cfg(test)]
mod tests;
