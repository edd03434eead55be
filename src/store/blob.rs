//! Blobs: exact bytes under their digest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::file::GcLock;
use super::lease::Item;
use super::tmp::{Temporary, is_taken};
use super::{Inner, Store, layout};
use crate::fs::Follow;
use crate::image::Digest;

/// Takes bytes that become a blob on [`commit`](Self::commit) only; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    inner: Arc<Inner>,
    temporary: Temporary,
    file: File,
    hash: Sha256,
    size: u64,
}

/// Gives a blob's bytes, and an error at the end of bytes that are not what the digest names.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    expected: Digest,
    hash: Option<Sha256>,
    size: u64,
}

impl Store {
    /// Stores bytes and returns their digest; storing them again changes nothing.
    ///
    /// # Errors
    /// The bytes can't be written.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if self.has_blob(digest)? {
            return Ok(digest);
        }
        let mut writer = self.blob_writer()?;
        writer.write_all(bytes).map_err(|e| blob_failure("cannot write", digest, e))?;
        writer.commit(Some(digest))?;
        Ok(digest)
    }

    /// Begins a blob whose digest is known when all of it was written.
    ///
    /// # Errors
    /// No file can be made.
    pub fn blob_writer(&self) -> Result<BlobWriter, StoreError> {
        let (temporary, file) = Temporary::file(&self.inner)?;
        Ok(BlobWriter { inner: Arc::clone(&self.inner), temporary, file, hash: Sha256::new(), size: 0 })
    }

    /// Whether a blob is there; if so, it stays while this handle's lease lasts.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn has_blob(&self, digest: Digest) -> Result<bool, StoreError> {
        Ok(self.blob_size(digest)?.is_some())
    }

    /// Returns a blob's size; none when it is not there.
    ///
    /// # Errors
    /// The store can't be read.
    pub fn blob_size(&self, digest: Digest) -> Result<Option<u64>, StoreError> {
        let name = blob_name(digest);
        if self.inner.holds(Item::Blob(digest)) {
            return Ok(self.inner.root.stat(&name, Follow::No)?.map(|s| s.size));
        }
        let gc = GcLock::take(&self.inner.root, false)?;
        let size = self.inner.root.stat(&name, Follow::No)?.map(|s| s.size);
        if size.is_some() {
            self.inner.record_use(&[Item::Blob(digest)], &gc)?;
        }
        Ok(size)
    }

    /// Reads a whole blob of at most `limit` bytes, verified.
    ///
    /// # Errors
    /// It is missing, larger, or damaged.
    pub fn read_blob(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.open_blob(digest)?;
        if reader.size() > limit {
            return Err(StoreError::BlobTooLarge { digest, size: reader.size(), limit });
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|e| blob_failure("cannot read", digest, e))?;
        Ok(bytes)
    }

    /// Opens a blob for reading; the reader verifies it by its end.
    ///
    /// # Errors
    /// It is missing or can't be opened.
    pub fn open_blob(&self, digest: Digest) -> Result<BlobReader, StoreError> {
        let Some(size) = self.blob_size(digest)? else { return Err(StoreError::NoBlob(digest)) };
        let file = self.inner.root.open_file(blob_name(digest))?;
        Ok(BlobReader { file, expected: digest, hash: Some(Sha256::new()), size })
    }
}

impl Store {
    /// Opens a blob's file for whoever checks the bytes himself; none when it is not there.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn blob_file(&self, digest: Digest) -> Result<Option<File>, StoreError> {
        match self.blob_size(digest)? {
            Some(_) => Ok(Some(self.inner.root.open_file(blob_name(digest))?)),
            None => Ok(None),
        }
    }
}

impl BlobWriter {
    /// Returns the number of bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes the bytes a blob, on the disk and under its name, and returns its digest and size.
    ///
    /// # Errors
    /// The bytes have another digest than `expected`, or can't be synced; nothing is left then.
    pub fn commit(mut self, expected: Option<Digest>) -> Result<(Digest, u64), StoreError> {
        let found = Digest::from_bytes(self.hash.finalize_reset().into());
        if let Some(expected) = expected
            && expected != found
        {
            return Err(StoreError::WrongDigest { what: "the blob", expected, found });
        }
        self.file.sync_data().map_err(|e| blob_failure("cannot sync", found, e))?;
        let gc = GcLock::take(&self.inner.root, false)?;
        self.inner.record(&[Item::Blob(found)], &gc)?;
        let name = blob_name(found);
        if self.inner.root.stat(&name, Follow::No)?.is_none() {
            match self.temporary.publish(&self.inner.root, &name) {
                Err(e) if is_taken(&e) => {}
                other => other?,
            }
            self.inner.blobs_dirty.store(true, std::sync::atomic::Ordering::Release);
        }
        Ok((found, self.size))
    }
}

impl Inner {
    /// Makes the names of new blobs durable; their bytes are already.
    pub(super) fn sync_blob_names(&self) -> Result<(), StoreError> {
        if self.blobs_dirty.swap(false, std::sync::atomic::Ordering::AcqRel) {
            let dir = self.root.dir(layout::BLOBS)?;
            rustix::fs::fsync(&dir).map_err(|e| StoreError::Io {
                action: "cannot sync",
                path: PathBuf::from(layout::BLOBS),
                source: e.into(),
            })?;
        }
        Ok(())
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobReader {
    /// Returns the blob's size.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for BlobReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(into)?;
        if n > 0 {
            if let Some(hash) = &mut self.hash {
                hash.update(&into[..n]);
            }
        } else if !into.is_empty()
            && let Some(hash) = self.hash.take()
        {
            let found = Digest::from_bytes(hash.finalize().into());
            if found != self.expected {
                let error =
                    StoreError::WrongDigest { what: "the stored blob", expected: self.expected, found };
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Ok(n)
    }
}

/// Returns a blob's place below the store's directory.
pub(super) fn blob_name(digest: Digest) -> String {
    format!("{}/{}", layout::BLOBS, digest.hex())
}

fn blob_failure(action: &'static str, digest: Digest, source: io::Error) -> StoreError {
    StoreError::Io { action, path: PathBuf::from(blob_name(digest)), source }
}
