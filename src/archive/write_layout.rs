//! An OCI layout of documents and layers that the caller has put together: as a tar, or a directory.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use super::error::ArchiveError;
use super::format::{IMAGE_NAME, OCI_INDEX, OCI_LAYOUT, blob_path, oci_layout};
use crate::fs::{Follow, Root, write_atomic};
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Descriptor, DiffId, Digest, Index};
use crate::layers::{Entry, EntryKind, Metadata, TarWriter};
use crate::store::{Store, StoreError};

/// Where the bytes of a blob are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlobSource {
    /// At hand.
    Bytes(Vec<u8>),
    /// The uncompressed tar of a layer.
    Layer(DiffId),
    /// In the store, under the blob's own digest.
    Stored,
}

/// What a layout holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Blobs with their sizes.
    pub blobs: BTreeMap<Digest, (u64, BlobSource)>,
    /// What `index.json` names.
    pub entries: Vec<Descriptor>,
    /// Docker's `manifest.json`, if there is to be one.
    pub docker_manifest: Option<Vec<u8>>,
}

/// Writes a layout as a tar; the same layout gives the same bytes.
///
/// # Errors
/// A blob is not in the store, or `out` can't be written.
pub fn write_layout(store: &Store, layout: &Layout, out: impl Write) -> Result<(), ArchiveError> {
    let mut tar = TarWriter::new(out);
    for path in ["blobs", "blobs/sha256"] {
        append(&mut tar, path, EntryKind::Directory, 0o755, &mut std::io::empty())?;
    }
    for (digest, (size, source)) in &layout.blobs {
        let mut bytes = open(store, *digest, source)?;
        append(&mut tar, &blob_path(*digest), EntryKind::File { size: *size }, 0o444, &mut bytes)?;
    }
    let mut document = |name: &str, bytes: &[u8]| {
        let kind = EntryKind::File { size: bytes.len() as u64 };
        append(&mut tar, name, kind, 0o644, &mut &*bytes)
    };
    document(OCI_INDEX, &index(layout.entries.clone()))?;
    if let Some(manifest) = &layout.docker_manifest {
        document(super::format::DOCKER_MANIFEST, manifest)?;
    }
    document(OCI_LAYOUT, &oci_layout())?;
    let finished = tar.finish().and_then(|mut out| {
        out.flush().map_err(|source| crate::layers::LayerError::Io { action: "write", source })
    });
    finished.map_err(|source| ArchiveError::Layer {
        action: "finish",
        what: "the archive".to_owned(),
        source,
    })
}

/// Writes a layout into a directory; one that is there keeps its blobs and its other names.
///
/// # Errors
/// A blob is not in the store, the directory's own `index.json` is damaged, or it can't be written.
pub fn write_layout_directory(store: &Store, layout: &Layout, dir: &Root) -> Result<(), ArchiveError> {
    dir.create_dir_all("blobs/sha256", 0o755)?;
    for (digest, (size, source)) in &layout.blobs {
        let path = blob_path(*digest);
        if dir.stat(&path, Follow::No)?.is_some_and(|stat| stat.is_file() && stat.size == *size) {
            continue;
        }
        let temporary = format!("blobs/sha256/.{}.tmp", digest.hex());
        dir.remove_tree(&temporary)?;
        let mut file = dir.create_file(&temporary, 0o444)?;
        let mut bytes = open(store, *digest, source)?;
        let copied = std::io::copy(&mut bytes, &mut file);
        if copied.as_ref().is_ok_and(|count| *count == *size) {
            dir.rename(&temporary, &path)?;
            continue;
        }
        dir.remove_file(&temporary)?;
        let source = copied.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into());
        return Err(ArchiveError::Io { action: "write", source });
    }
    let entries = merged(dir, layout)?;
    write_atomic(dir, OCI_LAYOUT, &oci_layout(), false)?;
    write_atomic(dir, OCI_INDEX, &index(entries), false)?;
    Ok(())
}

/// Returns the entries of the directory's index that the layout does not replace, and the layout's.
fn merged(dir: &Root, layout: &Layout) -> Result<Vec<Descriptor>, ArchiveError> {
    let bytes = match dir.read(OCI_INDEX, MAX_DOCUMENT) {
        Err(error) if error.is_not_found() => return Ok(layout.entries.clone()),
        other => other?,
    };
    let there: Index = serde_json::from_slice(&bytes)
        .map_err(|source| ArchiveError::Json { name: OCI_INDEX.to_owned(), source })?;
    let replaced = |old: &Descriptor| {
        layout.entries.iter().any(|new| match (old.annotation(IMAGE_NAME), new.annotation(IMAGE_NAME)) {
            (Some(old), Some(new)) => old == new,
            (None, _) => old.digest == new.digest,
            _ => false,
        })
    };
    let mut entries: Vec<Descriptor> = there.manifests.into_iter().filter(|old| !replaced(old)).collect();
    entries.extend(layout.entries.iter().cloned());
    Ok(entries)
}

fn index(entries: Vec<Descriptor>) -> Vec<u8> {
    serde_json::to_vec(&Index::oci(entries)).expect("an index serialises")
}

fn open(store: &Store, digest: Digest, source: &BlobSource) -> Result<Box<dyn Read>, ArchiveError> {
    Ok(match source {
        BlobSource::Bytes(bytes) => Box::new(std::io::Cursor::new(bytes.clone())),
        BlobSource::Layer(layer) => Box::new(store.layer(*layer)?.ok_or(StoreError::NoLayer(*layer))?.tar()?),
        BlobSource::Stored => Box::new(store.open_blob(digest)?),
    })
}

fn append(
    tar: &mut TarWriter<impl Write>,
    path: &str,
    kind: EntryKind,
    mode: u32,
    data: &mut dyn Read,
) -> Result<(), ArchiveError> {
    let meta = Metadata { mode, ..Metadata::default() };
    let written = tar.append(&Entry { path: path.as_bytes().to_vec(), kind, meta }, data);
    written.map(drop).map_err(|source| ArchiveError::Layer { action: "write", what: path.to_owned(), source })
}
