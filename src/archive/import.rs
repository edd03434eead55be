//! A root file system's tar as an image of one layer.

use std::io::Read;

use super::error::ArchiveError;
use super::load::layer_error;
use crate::image::manifest::media_type;
use crate::image::{ContainerConfig, Descriptor, History, ImageConfig, Manifest, Platform};
use crate::layers;
use crate::store::{ImageRecord, Store};

/// What an imported image is besides its files.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What it runs on.
    pub platform: Platform,
    /// Its config, changes already applied.
    pub config: ContainerConfig,
    /// Comment in its history.
    pub message: String,
    /// RFC 3339 time of creation.
    pub created: String,
}

/// Makes an image of one layer from a tar, compressed or not.
///
/// # Errors
/// The stream is no tar or ends early; then nothing was recorded.
pub fn import(
    store: &Store,
    input: impl Read + Send,
    options: &ImportOptions,
) -> Result<ImageRecord, ArchiveError> {
    let _lease = store.lease()?;
    let (_, plain) =
        layers::decompress(input).map_err(|source| layer_error("read", "the root file system", source))?;
    let mut plain = plain;
    let draft = store.begin_layer()?;
    let written = layers::store_tar(draft.root(), &mut plain, super::sink_options(store)?)
        .map_err(|source| layer_error("import", "the root file system", source))?;
    draft.commit(written.diff_id, written.size)?;
    let mut config = ImageConfig::scratch(&options.platform);
    config.config = options.config.clone();
    config.created = Some(options.created.clone());
    config.history = vec![History {
        created: Some(options.created.clone()),
        comment: options.message.clone(),
        ..History::default()
    }];
    config.rootfs.diff_ids = vec![written.diff_id];
    let bytes = config.to_json();
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, config.id().as_digest(), bytes.len() as u64);
    let layer = Descriptor::new(media_type::OCI_LAYER, written.diff_id.as_digest(), written.size);
    let (manifest, _) = Manifest::oci(descriptor, vec![layer]).to_json();
    Ok(store.put_image(&bytes, &manifest)?)
}
