//! A shared cache in a folder: one that CI systems carry from job to job, or a network file system.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::backend::{Backend, layer_type};
use super::entry::{Entry, MAX_ENTRY};
use super::error::SharedCacheError;
use crate::fs::{Root, write_atomic};
use crate::image::{Descriptor, Digest};
use crate::layers::{Compression, HashingWriter, compress};
use crate::store::CacheKey;

const ENTRIES: &str = "entries";
const BLOBS: &str = "blobs/sha256";

/// Entries and blobs below a directory.
#[derive(Debug)]
pub struct FolderCache {
    name: String,
    root: Root,
}

impl FolderCache {
    /// Opens a folder to read from; none if it is not there.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn open(path: &Path) -> Result<Option<Self>, SharedCacheError> {
        match Root::open(path) {
            Ok(root) => Ok(Some(Self { name: path.display().to_string(), root })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a folder to write to, and makes it and its parts.
    ///
    /// # Errors
    /// A directory can't be made.
    pub fn create(path: &Path) -> Result<Self, SharedCacheError> {
        let absolute = std::path::absolute(path).map_err(|source| SharedCacheError::Io {
            action: "create",
            cache: path.display().to_string(),
            source,
        })?;
        let slash = Root::open(Path::new("/"))?;
        slash.create_dir_all(&absolute, 0o755)?;
        let root = slash.dir(&absolute)?;
        root.create_dir_all(ENTRIES, 0o755)?;
        root.create_dir_all(BLOBS, 0o755)?;
        Ok(Self { name: path.display().to_string(), root })
    }

    fn io(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> SharedCacheError {
        let cache = self.name.clone();
        move |source| SharedCacheError::Io { action, cache, source }
    }

    /// Writes a blob under a temporary name; the guard removes what is not renamed.
    fn write_blob(
        &self,
        file: File,
        tar: &mut (dyn Read + Send),
        compression: Compression,
    ) -> Result<(Digest, u64), crate::layers::LayerError> {
        let mut out = HashingWriter::new(file);
        compress(tar, &mut out, compression)?;
        out.finish()
    }
}

/// The name of a blob.
fn blob_name(digest: Digest) -> String {
    format!("{BLOBS}/{}", digest.hex())
}

impl Backend for FolderCache {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self, key: &CacheKey) -> Result<Option<Entry>, SharedCacheError> {
        let bytes = match self.root.read(format!("{ENTRIES}/{}.json", key.hex()), MAX_ENTRY) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = |reason| SharedCacheError::Entry { cache: self.name.clone(), reason };
        Entry::from_manifest(&bytes, key).map(Some).map_err(damaged)
    }

    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, SharedCacheError> {
        Ok(Box::new(self.root.open_file_nofollow(blob_name(blob.digest))?))
    }

    fn put_layer(
        &self,
        tar: &mut (dyn Read + Send),
        compression: Compression,
    ) -> Result<Descriptor, SharedCacheError> {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let temporary = format!("{BLOBS}/.new-{}-{number}-{}", std::process::id(), now());
        let file = self.root.create_file(&temporary, 0o644)?;
        let written = self.write_blob(file, tar, compression).and_then(|(digest, size)| {
            self.root.rename(&temporary, blob_name(digest))?;
            Ok((digest, size))
        });
        match written {
            Ok((digest, size)) => Ok(Descriptor::new(layer_type(compression), digest, size)),
            Err(error) => {
                let _ = self.root.remove_file(&temporary);
                Err(self.io("write")(std::io::Error::other(error)))
            }
        }
    }

    fn put(&self, key: &CacheKey, entry: &Entry) -> Result<(), SharedCacheError> {
        let entries = self.root.dir(ENTRIES)?;
        Ok(write_atomic(&entries, &format!("{}.json", key.hex()), &entry.to_manifest(), false)?)
    }
}

/// Returns nanoseconds that tell two processes of one number apart.
fn now() -> i128 {
    jiff::Timestamp::now().as_nanosecond()
}
