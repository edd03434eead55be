//! A build cache that several machines share: in a folder, in a registry, or inside an image.
//!
//! An entry is one small immutable document a step, found by the step's key
//! alone, so a build asks for the steps it has and never reads a list:
//!
//! ```text
//! entry      an OCI manifest
//!   artifactType   application/vnd.skiff.cache.v1+json
//!   config         the empty document
//!   layers         the step's own layers, compressed; fewer when only the identity is shared
//!   annotations    dev.skiff.cache.record: {"key", "created", "payload", "layers": [{"diff_id", "blob"?}]}
//!
//! folder     entries/<hex of the key>.json      blobs/sha256/<hex>
//! registry   the tag <tag of the reference>-<hex of the key> of its repository
//! inline     a list of records in the image's config; its layers are the image's
//! ```
//!
//! - Entries are written in the background while the build runs, blobs before
//!   the entry that names them; what was written stays if the build fails.
//! - What is read is hostile until checked: sizes are bounded, a blob must have
//!   its digest and unpack to the layer's; an entry must carry the key it was asked for.
//! - A look-up that fails says so once and is a miss. Writing that fails fails
//!   the build, unless errors are to be ignored.

mod backend;
mod entry;
mod error;
mod folder;
mod inline;
mod options;
mod registry;
mod remote;
mod shares;
#[cfg(test)]
mod tests;
mod upload;

pub use backend::Backend;
pub use entry::{Entry, EntryLayer};
pub use error::SharedCacheError;
pub use folder::FolderCache;
pub use inline::InlineCache;
pub use options::{CacheKind, CacheSpec, Mode};
pub use registry::RegistryCache;
pub use remote::Remote;
pub use shares::{Export, Import, Shares};
