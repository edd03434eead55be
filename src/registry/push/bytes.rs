//! Where the bytes of a blob can be had.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use crate::image::{Descriptor, DiffId, Reference};
use crate::registry::client::Repository;
use crate::registry::transfer::TransferError;
use crate::store::{Partial, Store, StoreError};

/// Bytes of a blob.
#[derive(Debug, Clone)]
pub(in crate::registry) enum Bytes {
    /// The blob lies beside its layer; nobody has checked it since it was made.
    Kept(DiffId, Arc<File>),
    /// A blob of the store, or a tar.
    File(Arc<File>),
    /// A part of a file, such as an archive: where it begins, how long it is.
    Part(Arc<File>, u64, u64),
    /// The tar of a layer that is kept as a tree; it is packed again.
    Packed(Store, DiffId),
    /// A transfer that is complete, or becomes so.
    Partial(Arc<Partial>, Option<u64>),
    /// Registries that had it.
    Remote(Vec<Repository>),
}

impl Bytes {
    /// Finds the bytes of a layer's blob; none if nobody is known to have them.
    pub(in crate::registry) fn of(
        store: &Store,
        id: DiffId,
        blob: &Descriptor,
    ) -> Result<Option<Self>, TransferError> {
        if let Some(file) = store.kept_blob(id, blob)? {
            return Ok(Some(Self::Kept(id, Arc::new(file))));
        }
        if blob.digest == id.as_digest()
            && let Some(layer) = store.layer(id)?
        {
            return Ok(Some(match layer.tar_file()? {
                Some(file) => Self::File(Arc::new(file)),
                None => Self::Packed(store.clone(), id),
            }));
        }
        Self::stored(store, blob)
    }

    /// Finds the bytes of a blob that is no layer's.
    pub(in crate::registry) fn stored(
        store: &Store,
        blob: &Descriptor,
    ) -> Result<Option<Self>, TransferError> {
        if let Some(file) = store.blob_file(blob.digest)? {
            return Ok(Some(Self::File(Arc::new(file))));
        }
        let places = store.all_places(blob.digest)?;
        let places: Vec<Repository> =
            places.iter().filter_map(|place| Some(Repository::of(&Reference::parse(place).ok()?))).collect();
        Ok((!places.is_empty()).then_some(Self::Remote(places)))
    }

    /// Opens the bytes from `at` on.
    pub(in crate::registry) fn open(&self, at: u64) -> Result<Box<dyn Read + Send>, TransferError> {
        Ok(match self {
            Self::Kept(_, file) | Self::File(file) => Box::new(ReadAt { file: Arc::clone(file), at }),
            Self::Part(file, begin, size) => {
                let part = ReadAt { file: Arc::clone(file), at: begin + at };
                Box::new(part.take(size.saturating_sub(at)))
            }
            Self::Partial(partial, size) => {
                let mut reader = partial.reader(*size);
                reader.seek(at);
                Box::new(reader)
            }
            Self::Packed(store, id) => {
                let layer = store.layer(*id)?.ok_or(StoreError::NoLayer(*id))?;
                let mut tar = layer.tar()?;
                let failed = |source| {
                    let source = crate::layers::LayerError::Io { action: "pack", source };
                    TransferError::Layer { blob: id.as_digest(), source }
                };
                io::copy(&mut (&mut tar).take(at), &mut io::sink()).map_err(failed)?;
                tar
            }
            Self::Remote(_) => return Err(TransferError::Refused("the blob is not here".to_owned())),
        })
    }
}

/// Reads a file from a place of its own.
struct ReadAt {
    file: Arc<File>,
    at: u64,
}

impl Read for ReadAt {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(out, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
