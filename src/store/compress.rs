//! Layers in compressed form, as registries and archives take them.

use std::io::Write as _;

use super::Store;
use super::error::StoreError;
use crate::image::manifest::media_type;
use crate::image::{Descriptor, DiffId};
use crate::layers::{self, Compression};

impl Store {
    /// Returns a layer's compressed form, which is made once and remembered; its media type is OCI's.
    ///
    /// # Errors
    /// The layer is gone, the level does not exist, or the blob can't be written.
    pub fn compress(&self, layer: DiffId, how: Compression) -> Result<Descriptor, StoreError> {
        let (settings, kind) = match how {
            Compression::Gzip { level } => (format!("gzip {level}"), media_type::OCI_LAYER_GZIP),
            Compression::Zstd { level } => (format!("zstd {level}"), media_type::OCI_LAYER_ZSTD),
        };
        if let Some(known) = self.compressed(layer, &settings)? {
            return Ok(known);
        }
        let source = self.layer(layer)?.ok_or(StoreError::NoLayer(layer))?;
        let mut blob = self.blob_writer()?;
        let failed = |source| StoreError::Compress { layer, source };
        let mut out = std::io::BufWriter::with_capacity(1 << 20, &mut blob);
        layers::compress(&mut *source.tar()?, &mut out, how).map_err(failed)?;
        out.flush().map_err(|e| failed(layers::LayerError::Io { action: "write compressed", source: e }))?;
        drop(out);
        let (digest, size) = blob.commit(None)?;
        let descriptor = Descriptor::new(kind, digest, size);
        self.put_compressed(layer, &settings, &descriptor)?;
        Ok(descriptor)
    }
}
