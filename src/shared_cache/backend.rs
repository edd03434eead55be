//! Where entries and blobs are.

use std::io::Read;

use super::entry::Entry;
use super::error::SharedCacheError;
use crate::image::Descriptor;
use crate::layers::Compression;
use crate::store::CacheKey;

/// A place that keeps entries and blobs; called from several threads at once.
pub trait Backend: Send + Sync {
    /// Returns its name for messages, without credentials.
    fn name(&self) -> &str;

    /// Returns a key's entry; none if there is none.
    ///
    /// # Errors
    /// The place can't be asked, or the entry is damaged.
    fn get(&self, key: &CacheKey) -> Result<Option<Entry>, SharedCacheError>;

    /// Opens a blob; its bytes are checked by the reader.
    ///
    /// # Errors
    /// It is gone, or the place can't be asked.
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, SharedCacheError>;

    /// Compresses a layer's tar into a blob, unless the place has it, and returns what names it.
    ///
    /// # Errors
    /// The tar can't be read, or the place can't be written.
    fn put_layer(
        &self,
        tar: &mut (dyn Read + Send),
        compression: Compression,
    ) -> Result<Descriptor, SharedCacheError>;

    /// Writes an entry, whose blobs are there.
    ///
    /// # Errors
    /// The place can't be written.
    fn put(&self, key: &CacheKey, entry: &Entry) -> Result<(), SharedCacheError>;
}

/// Returns the media type of a compressed layer.
pub(super) fn layer_type(compression: Compression) -> &'static str {
    use crate::image::manifest::media_type;
    match compression {
        Compression::Gzip { .. } => media_type::OCI_LAYER_GZIP,
        Compression::Zstd { .. } => media_type::OCI_LAYER_ZSTD,
    }
}
