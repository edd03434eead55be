//! A container's changes as an image.

use super::error::ArchiveError;
use super::load::layer_error;
use crate::fs::Root;
use crate::image::manifest::media_type;
use crate::image::{ContainerConfig, Descriptor, History, Manifest};
use crate::layers::{self, PackOptions};
use crate::store::{ImageRecord, Store};

/// What a committed image is besides its files.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// Its config, changes already applied.
    pub config: ContainerConfig,
    /// Who made it.
    pub author: String,
    /// Comment in its history.
    pub comment: String,
    /// The command that made the changes.
    pub created_by: String,
    /// RFC 3339 time of creation.
    pub created: String,
}

/// Makes an image of `base` with one more layer, an overlay's upper directory.
///
/// # Errors
/// The directory can't be read, or changes meanwhile; then nothing was recorded.
pub fn commit(
    store: &Store,
    base: &ImageRecord,
    upper: &Root,
    options: &CommitOptions,
) -> Result<ImageRecord, ArchiveError> {
    let failed = |source| layer_error("commit", "the container", source);
    let lease = store.lease()?;
    lease.keep_image(base)?;
    let draft = store.begin_layer()?;
    let (mut reader, writer) =
        std::io::pipe().map_err(layers::LayerError::io("make a pipe")).map_err(failed)?;
    let written = std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut writer = std::io::BufWriter::with_capacity(1 << 20, writer);
            layers::pack_upper(upper, &mut writer, &PackOptions::default())
        });
        let written = layers::store_tar(draft.root(), &mut reader, super::sink_options(store)?);
        drop(reader);
        let packed = packing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // A tar that ends early does so for what the packer says.
        packed.map_err(failed)?;
        written.map_err(failed)
    })?;
    draft.commit(written.diff_id, written.size)?;
    let (mut config, _) = store.config(base.id)?;
    config.config = options.config.clone();
    config.author.clone_from(&options.author);
    config.created = Some(options.created.clone());
    config.history.push(History {
        created: Some(options.created.clone()),
        created_by: options.created_by.clone(),
        author: options.author.clone(),
        comment: options.comment.clone(),
        ..History::default()
    });
    config.rootfs.diff_ids.push(written.diff_id);
    let bytes = config.to_json();
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, config.id().as_digest(), bytes.len() as u64);
    let mut all = Vec::new();
    for layer in &config.rootfs.diff_ids {
        let size = store.layer(*layer)?.map_or(written.size, |layer| layer.size());
        all.push(Descriptor::new(media_type::OCI_LAYER, layer.as_digest(), size));
    }
    let (manifest, _) = Manifest::oci(descriptor, all).to_json();
    Ok(store.put_image(&bytes, &manifest)?)
}
