//! Writing images as one archive that is a docker archive and an OCI layout at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;

use super::error::ArchiveError;
use super::format::{
    DOCKER_MANIFEST, DockerImage, IMAGE_NAME, OCI_INDEX, OCI_LAYOUT, REF_NAME, REPOSITORIES, Repositories,
    blob_path, oci_layout,
};
use crate::image::manifest::media_type;
use crate::image::{
    Descriptor, DiffId, Digest, Document, ImageId, Index, Manifest, ManifestDigest, Reference,
};
use crate::layers::{Entry, EntryKind, LayerError, Metadata, TarWriter};
use crate::progress::{Event, Reporter, TransferId};
use crate::store::Store;

/// Something to save, with the names under which to save it.
#[derive(Debug, Clone)]
pub struct SaveItem {
    /// The image; of an index, the one that `docker load` of old shall find.
    pub image: ImageId,
    /// The index with all its platforms that are in the store; none saves the image alone.
    pub index: Option<ManifestDigest>,
    /// Names with tags; none saves the image without a name.
    pub names: Vec<Reference>,
}

/// A document with its digest.
type Blob = (Digest, Vec<u8>);

/// Everything about one image that the archive needs.
struct Image {
    config: Blob,
    manifest: Blob,
    layers: Vec<DiffId>,
}

/// Everything about one item that the archive needs.
struct Planned {
    /// The image itself first, then the other platforms of its index.
    images: Vec<Image>,
    index: Option<Blob>,
    names: Vec<Reference>,
}

/// Bytes that the kernel copies between two reports.
const STEP: u64 = 16 << 20;

/// Writes `items` to `out` at its present position; layers that several images share are written once.
///
/// The same images give the same bytes. Layers are written uncompressed, so the
/// archive's manifests name them by their diff ids.
///
/// # Errors
/// An image or a layer is not in the store, or `out` can't be written.
pub fn save(
    store: &Store,
    items: &[SaveItem],
    out: &File,
    reporter: &dyn Reporter,
) -> Result<(), ArchiveError> {
    let _lease = store.lease()?;
    let planned = items.iter().map(|item| plan(store, item)).collect::<Result<Vec<_>, _>>()?;
    let mut tar = Archive { tar: TarWriter::new(out), written: BTreeSet::new() };
    tar.document(OCI_LAYOUT, &oci_layout())?;
    tar.document(OCI_INDEX, &index(&planned))?;
    tar.document(DOCKER_MANIFEST, &docker_manifest(&planned))?;
    tar.document(REPOSITORIES, &repositories(&planned))?;
    tar.directory("blobs")?;
    tar.directory("blobs/sha256")?;
    let images = || planned.iter().flat_map(|item| &item.images);
    for (digest, bytes) in planned
        .iter()
        .filter_map(|item| item.index.as_ref())
        .chain(images().flat_map(|image| [&image.manifest, &image.config]))
    {
        tar.blob(*digest, bytes)?;
    }
    for diff_id in images().flat_map(|image| &image.layers) {
        tar.layer(store, *diff_id, reporter)?;
    }
    tar.tar.finish().map(drop).map_err(|source| ArchiveError::Layer {
        action: "finish",
        what: "the archive".to_owned(),
        source,
    })
}

fn plan(store: &Store, item: &SaveItem) -> Result<Planned, ArchiveError> {
    let mut images = vec![image(store, item.image)?];
    let Some(digest) = item.index else {
        return Ok(Planned { images, index: None, names: item.names.clone() });
    };
    let (document, bytes) = store.document(digest)?;
    let Document::Index(index) = document else {
        return Ok(Planned { images, index: None, names: item.names.clone() });
    };
    let mut manifests = Vec::new();
    let mut same = true;
    for child in &index.manifests {
        // Platforms that are not in the store are absent from the archive as well.
        let Some(record) = store.image_by_manifest(ManifestDigest::from_bytes(*child.digest.as_bytes()))?
        else {
            continue;
        };
        let image = image(store, record.id)?;
        same &= image.manifest.0 == child.digest;
        manifests.push(Descriptor {
            digest: image.manifest.0,
            size: image.manifest.1.len() as u64,
            media_type: media_type::OCI_MANIFEST.to_owned(),
            ..child.clone()
        });
        if images[0].manifest.0 != image.manifest.0 {
            images.push(image);
        }
    }
    let bytes = match same {
        true => bytes,
        false => {
            let index = Index { annotations: index.annotations.clone(), ..Index::oci(manifests) };
            serde_json::to_vec_pretty(&index).expect("an index serialises")
        }
    };
    Ok(Planned { images, index: Some((Digest::of(&bytes), bytes)), names: item.names.clone() })
}

fn image(store: &Store, id: ImageId) -> Result<Image, ArchiveError> {
    let (parsed, config) = store.config(id)?;
    let layers = parsed.rootfs.diff_ids;
    let descriptors = layers
        .iter()
        .map(|diff_id| {
            let layer = store.layer(*diff_id)?.ok_or(crate::store::StoreError::NoLayer(*diff_id))?;
            Ok(Descriptor::new(media_type::OCI_LAYER, diff_id.as_digest(), layer.size()))
        })
        .collect::<Result<Vec<_>, ArchiveError>>()?;
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, id.as_digest(), config.len() as u64);
    let (bytes, digest) = Manifest::oci(descriptor, descriptors).to_json();
    Ok(Image { config: (id.as_digest(), config), manifest: (digest.as_digest(), bytes), layers })
}

fn index(planned: &[Planned]) -> Vec<u8> {
    let mut entries = Vec::new();
    for item in planned {
        let (kind, (digest, bytes)) = match &item.index {
            Some(index) => (media_type::OCI_INDEX, index),
            None => (media_type::OCI_MANIFEST, &item.images[0].manifest),
        };
        let plain = Descriptor::new(kind, *digest, bytes.len() as u64);
        for name in &item.names {
            let mut annotations = BTreeMap::from([(IMAGE_NAME.to_owned(), name.to_string())]);
            if let Some(tag) = name.tag() {
                annotations.insert(REF_NAME.to_owned(), tag.to_owned());
            }
            entries.push(Descriptor { annotations: Some(annotations), ..plain.clone() });
        }
        if item.names.is_empty() {
            entries.push(plain);
        }
    }
    serde_json::to_vec(&Index::oci(entries)).expect("an index serialises")
}

fn docker_manifest(planned: &[Planned]) -> Vec<u8> {
    let list: Vec<DockerImage> = planned
        .iter()
        .map(|item| DockerImage {
            config: blob_path(item.images[0].config.0),
            repo_tags: (!item.names.is_empty()).then(|| item.names.iter().map(Reference::familiar).collect()),
            layers: item.images[0].layers.iter().map(|layer| blob_path(layer.as_digest())).collect(),
        })
        .collect();
    serde_json::to_vec(&list).expect("a list serialises")
}

fn repositories(planned: &[Planned]) -> Vec<u8> {
    let mut repositories = Repositories::new();
    for item in planned {
        let image = &item.images[0];
        let top = image.layers.last().map_or_else(|| image.config.0.hex(), DiffId::hex);
        for name in &item.names {
            if let Some(tag) = name.tag() {
                repositories
                    .entry(name.familiar_repository())
                    .or_default()
                    .insert(tag.to_owned(), top.clone());
            }
        }
    }
    serde_json::to_vec(&repositories).expect("a map serialises")
}

/// The tar under construction, and the blobs that it has already.
struct Archive<'a> {
    tar: TarWriter<&'a File>,
    written: BTreeSet<Digest>,
}

impl Archive<'_> {
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.append(path, EntryKind::Directory, 0o755, &mut std::io::empty())
    }

    fn document(&mut self, path: &str, mut bytes: &[u8]) -> Result<(), ArchiveError> {
        self.append(path, EntryKind::File { size: bytes.len() as u64 }, 0o644, &mut bytes)
    }

    fn blob(&mut self, digest: Digest, bytes: &[u8]) -> Result<(), ArchiveError> {
        if self.written.insert(digest) { self.document(&blob_path(digest), bytes) } else { Ok(()) }
    }

    fn layer(&mut self, store: &Store, diff_id: DiffId, reporter: &dyn Reporter) -> Result<(), ArchiveError> {
        if !self.written.insert(diff_id.as_digest()) {
            return Ok(());
        }
        let layer = store.layer(diff_id)?.ok_or(crate::store::StoreError::NoLayer(diff_id))?;
        let size = layer.size();
        let id = TransferId::Blob(diff_id.as_digest());
        reporter.report(Event::TransferStarted { id, label: diff_id.short(), total: Some(size) });
        let path = blob_path(diff_id.as_digest());
        match layer.tar_file()? {
            Some(file) => self.append_file(&path, size, &file, id, reporter)?,
            None => {
                let mut tar = super::transfer::Counted::new(layer.tar()?, id, reporter);
                self.append(&path, EntryKind::File { size }, 0o644, &mut tar)?;
            }
        }
        reporter.report(Event::TransferDone { id, skipped: false });
        Ok(())
    }

    /// Lets the kernel copy a file's bytes, which never come here.
    fn append_file(
        &mut self,
        path: &str,
        size: u64,
        file: &File,
        id: TransferId,
        reporter: &dyn Reporter,
    ) -> Result<(), ArchiveError> {
        let copied = self.tar.append_by(&entry(path, EntryKind::File { size }, 0o644), |out| {
            let mut done = 0;
            // Both types are files, by which the standard library chooses copy_file_range, sendfile or splice.
            while let moved @ 1.. = std::io::copy(&mut file.take(STEP), out)? {
                done += moved;
                reporter.report(Event::TransferProgress { id, done });
            }
            Ok(done)
        });
        copied.map(drop).map_err(|source| failed(path, source))
    }

    fn append(
        &mut self,
        path: &str,
        kind: EntryKind,
        mode: u32,
        data: &mut dyn std::io::Read,
    ) -> Result<(), ArchiveError> {
        let written = self.tar.append(&entry(path, kind, mode), data);
        written.map(drop).map_err(|source| failed(path, source))
    }
}

fn entry(path: &str, kind: EntryKind, mode: u32) -> Entry {
    Entry { path: path.as_bytes().to_vec(), kind, meta: Metadata { mode, ..Metadata::default() } }
}

fn failed(path: &str, source: LayerError) -> ArchiveError {
    ArchiveError::Layer { action: "write", what: path.to_owned(), source }
}
