//! Image archives: docker archives and OCI layouts, read and written as streams.
//!
//! ```text
//! blobs/sha256/<hex>   layers (uncompressed tars), configs, manifests
//! index.json           OCI: descriptors of the manifests, with their names
//! manifest.json        docker: config, names and layers of each image
//! oci-layout           OCI: the layout's version
//! repositories         docker before 1.10: names
//! ```
//!
//! What is written is both forms at once, as current docker does; what is read
//! is either, compressed or not, with entries in any order. Nothing in an
//! archive is trusted: names are only keys, digests and diff ids are checked
//! before an image is recorded, and a failure records nothing.

mod commit;
mod error;
mod format;
mod import;
mod layout;
mod load;
mod resolve;
mod save;
mod transfer;
mod write_layout;

#[cfg(test)]
mod tests;

pub use commit::{CommitOptions, commit};
pub use error::ArchiveError;
pub use format::{DockerImage, IMAGE_NAME, REF_NAME, blob_path};
pub use import::{ImportOptions, import};
pub use layout::{Pick, Picked, pick};
pub use load::{Loaded, load, load_directory};
pub use save::{SaveItem, save};
pub use write_layout::{BlobSource, Layout, write_layout, write_layout_directory};

/// Layers are written as the store shows them: with an index where EROFS can be mounted.
fn sink_options(store: &crate::store::Store) -> Result<crate::layers::SinkOptions, crate::store::StoreError> {
    Ok(crate::layers::SinkOptions { index: store.form()?.0 == crate::store::LayerForm::Index })
}
