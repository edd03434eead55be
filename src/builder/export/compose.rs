//! Config and manifest of every platform.

use super::annotations::{Annotations, Level, some};
use super::history;
use super::rewrite::{self, Rewrite};
use super::squash::squash;
use crate::builder::build::Solved;
use crate::builder::error::BuildError;
use crate::builder::extras::Squash;
use crate::builder::graph::Op;
use crate::builder::shared::INLINE_FIELD;
use crate::builder::state::StageState;
use crate::image::manifest::media_type;
use crate::image::{Descriptor, DiffId, ImageId, Manifest, ManifestDigest, Platform};
use crate::layers::Compression;
use crate::store::{Store, StoreError};

/// How the documents of an image are written.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageFormat {
    /// OCI's media types, else docker's.
    pub oci: bool,
    /// Compression of the layers; none leaves them as they are.
    pub compression: Option<Compression>,
    /// Latest time of new history entries, in seconds since 1970.
    pub epoch: Option<i64>,
    /// What becomes of file times in new layers; needs `epoch`.
    pub rewrite: Rewrite,
    /// Annotations.
    pub annotations: Annotations,
    /// Whether one platform gets an index as well.
    pub index: bool,
    /// Whether attestations are OCI artifacts with a subject.
    pub artifact: bool,
}

impl Default for ImageFormat {
    fn default() -> Self {
        Self {
            oci: true,
            compression: None,
            epoch: None,
            rewrite: Rewrite::No,
            annotations: Annotations::default(),
            index: false,
            artifact: true,
        }
    }
}

/// The documents of one platform's image.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenImage {
    /// The platform that was asked for.
    pub platform: Platform,
    /// Digest of the config.
    pub id: ImageId,
    /// The config's bytes.
    pub config: Vec<u8>,
    /// Digest of the manifest.
    pub digest: ManifestDigest,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The layers, bottom first, and what the manifest says of them.
    pub layers: Vec<(DiffId, Descriptor)>,
}

/// Writes config and manifest of every platform; layers are rewritten and compressed on the way.
///
/// # Errors
/// A layer is gone, or the store can't be written.
pub fn compose(
    store: &Store,
    solved: &Solved,
    format: &ImageFormat,
) -> Result<Vec<WrittenImage>, BuildError> {
    let targets = solved.plan.targets();
    targets.enumerate().map(|(number, target)| image(store, solved, number, target, format)).collect()
}

fn image(
    store: &Store,
    solved: &Solved,
    number: usize,
    target: &StageState,
    format: &ImageFormat,
) -> Result<WrittenImage, BuildError> {
    let mut config = history::config(solved, target, format.epoch);
    let base = base_layers(solved, target);
    let how = solved.plan.squash;
    squash(store, how, base, &mut config.rootfs.diff_ids, &mut config.history)?;
    let base = if how == Squash::All { 0 } else { base };
    if solved.plan.omit_history {
        config.history.clear();
    }
    if let Some(epoch) = format.epoch.filter(|_| format.rewrite != Rewrite::No) {
        for layer in config.rootfs.diff_ids.iter_mut().skip(base) {
            *layer = rewrite::rewritten(store, *layer, epoch, format.rewrite)?;
        }
    }
    // Rewritten layers are not those that the steps gave.
    if let Some(records) = solved.inline.as_ref().filter(|_| format.rewrite == Rewrite::No) {
        config.extra.insert(INLINE_FIELD.to_owned(), records.clone());
    }
    let bytes = config.to_json();
    let mut layers = Vec::with_capacity(config.rootfs.diff_ids.len());
    for diff_id in &config.rootfs.diff_ids {
        layers.push((*diff_id, layer(store, *diff_id, format)?));
    }
    let kind = if format.oci { media_type::OCI_CONFIG } else { media_type::DOCKER_CONFIG };
    let descriptor = Descriptor::new(kind, config.id().as_digest(), bytes.len() as u64);
    let platform = solved.platform(number);
    let mut manifest =
        Manifest::oci(descriptor, layers.iter().map(|(_, descriptor)| descriptor.clone()).collect());
    manifest.annotations = some(format.annotations.of(Level::Manifest, Some(&platform)));
    if !format.oci {
        manifest.media_type = media_type::DOCKER_MANIFEST.to_owned();
    }
    let (manifest, digest) = manifest.to_json();
    Ok(WrittenImage { platform, id: config.id(), config: bytes, digest, manifest, layers })
}

fn layer(store: &Store, diff_id: DiffId, format: &ImageFormat) -> Result<Descriptor, BuildError> {
    let kind = match (format.oci, format.compression) {
        (true, None) => media_type::OCI_LAYER,
        (true, Some(Compression::Gzip { .. })) => media_type::OCI_LAYER_GZIP,
        (true, Some(Compression::Zstd { .. })) => media_type::OCI_LAYER_ZSTD,
        (false, None) => media_type::DOCKER_LAYER,
        (false, Some(Compression::Gzip { .. })) => media_type::DOCKER_LAYER_GZIP,
        (false, Some(Compression::Zstd { .. })) => media_type::DOCKER_LAYER_ZSTD,
    };
    let Some(compression) = format.compression else {
        let layer = store.layer(diff_id)?.ok_or(StoreError::NoLayer(diff_id))?;
        return Ok(Descriptor::new(kind, diff_id.as_digest(), layer.size()));
    };
    let compressed = store.compress(diff_id, compression)?;
    Ok(Descriptor::new(kind, compressed.digest, compressed.size))
}

/// Returns how many of a target's layers came with its base image.
fn base_layers(solved: &Solved, target: &StageState) -> usize {
    let vertices = &solved.plan.graph.vertices;
    let mut at = target.vertex;
    while let Some(vertex) = at {
        if let Op::Source(source) = &vertices[vertex].op {
            return source.diff_ids.len();
        }
        at = vertices[vertex].parent;
    }
    0
}
