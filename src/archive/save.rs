//! Writing images as one archive that is a docker archive and an OCI layout at once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use super::error::ArchiveError;
use super::format::{
    DOCKER_MANIFEST, DockerImage, IMAGE_NAME, OCI_INDEX, OCI_LAYOUT, REF_NAME, REPOSITORIES, Repositories,
    blob_path, oci_layout,
};
use crate::image::{Descriptor, manifest::media_type};
use crate::image::{DiffId, Digest, ImageId, Index, Manifest, ManifestDigest, Reference};
use crate::layers::{Entry, EntryKind, Metadata, TarWriter};
use crate::progress::{Event, Reporter, TransferId};
use crate::store::Store;

/// An image to save, with the names under which to save it.
#[derive(Debug, Clone)]
pub struct SaveItem {
    /// The image.
    pub image: ImageId,
    /// Names with tags; none saves the image without a name.
    pub names: Vec<Reference>,
}

/// Everything about one image that the archive needs.
struct Planned {
    config: (Digest, Vec<u8>),
    manifest: (ManifestDigest, Vec<u8>),
    layers: Vec<DiffId>,
    names: Vec<Reference>,
}

/// Writes `items` to `out`; layers that several images share are written once.
///
/// The same images give the same bytes. Layers are written uncompressed, so the
/// archive's manifests name them by their diff ids.
///
/// # Errors
/// An image or a layer is not in the store, or `out` can't be written.
pub fn save(
    store: &Store,
    items: &[SaveItem],
    out: &mut dyn Write,
    reporter: &dyn Reporter,
) -> Result<(), ArchiveError> {
    let images = items.iter().map(|item| plan(store, item)).collect::<Result<Vec<_>, _>>()?;
    let mut tar = Archive { tar: TarWriter::new(out), written: BTreeSet::new() };
    tar.document(OCI_LAYOUT, &oci_layout())?;
    tar.document(OCI_INDEX, &index(&images))?;
    tar.document(DOCKER_MANIFEST, &docker_manifest(&images))?;
    tar.document(REPOSITORIES, &repositories(&images))?;
    tar.directory("blobs")?;
    tar.directory("blobs/sha256")?;
    for image in &images {
        tar.blob(image.manifest.0.as_digest(), &image.manifest.1)?;
        tar.blob(image.config.0, &image.config.1)?;
    }
    for diff_id in images.iter().flat_map(|image| &image.layers) {
        tar.layer(store, *diff_id, reporter)?;
    }
    let out = tar.tar.finish().map_err(|source| ArchiveError::Layer {
        action: "finish",
        what: "the archive".to_owned(),
        source,
    })?;
    out.flush().map_err(|source| ArchiveError::Io { action: "write", source })
}

fn plan(store: &Store, item: &SaveItem) -> Result<Planned, ArchiveError> {
    let (parsed, config) = store.config(item.image)?;
    let layers = parsed.rootfs.diff_ids;
    let descriptors = layers
        .iter()
        .map(|diff_id| {
            let layer = store.layer(*diff_id)?.ok_or(crate::store::StoreError::NoLayer(*diff_id))?;
            Ok(Descriptor::new(media_type::OCI_LAYER, diff_id.as_digest(), layer.size()))
        })
        .collect::<Result<Vec<_>, ArchiveError>>()?;
    let config_descriptor =
        Descriptor::new(media_type::OCI_CONFIG, item.image.as_digest(), config.len() as u64);
    let (bytes, digest) = Manifest::oci(config_descriptor, descriptors).to_json();
    Ok(Planned {
        config: (item.image.as_digest(), config),
        manifest: (digest, bytes),
        layers,
        names: item.names.clone(),
    })
}

fn index(images: &[Planned]) -> Vec<u8> {
    let mut entries = Vec::new();
    for image in images {
        let (digest, bytes) = &image.manifest;
        let plain = Descriptor::new(media_type::OCI_MANIFEST, digest.as_digest(), bytes.len() as u64);
        for name in &image.names {
            let mut annotations = BTreeMap::from([(IMAGE_NAME.to_owned(), name.to_string())]);
            if let Some(tag) = name.tag() {
                annotations.insert(REF_NAME.to_owned(), tag.to_owned());
            }
            entries.push(Descriptor { annotations: Some(annotations), ..plain.clone() });
        }
        if image.names.is_empty() {
            entries.push(plain);
        }
    }
    serde_json::to_vec(&Index::oci(entries)).expect("an index serialises")
}

fn docker_manifest(images: &[Planned]) -> Vec<u8> {
    let list: Vec<DockerImage> = images
        .iter()
        .map(|image| DockerImage {
            config: blob_path(image.config.0),
            repo_tags: (!image.names.is_empty())
                .then(|| image.names.iter().map(Reference::familiar).collect()),
            layers: image.layers.iter().map(|layer| blob_path(layer.as_digest())).collect(),
        })
        .collect();
    serde_json::to_vec(&list).expect("a list serialises")
}

fn repositories(images: &[Planned]) -> Vec<u8> {
    let mut repositories = Repositories::new();
    for image in images {
        let top = image.layers.last().map_or_else(|| image.config.0.hex(), DiffId::hex);
        for name in &image.names {
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
    tar: TarWriter<&'a mut dyn Write>,
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
        let mut tar = super::transfer::Counted::new(layer.tar()?, id, reporter);
        self.append(&blob_path(diff_id.as_digest()), EntryKind::File { size }, 0o644, &mut tar)?;
        reporter.report(Event::TransferDone { id, skipped: false });
        Ok(())
    }

    fn append(
        &mut self,
        path: &str,
        kind: EntryKind,
        mode: u32,
        data: &mut dyn std::io::Read,
    ) -> Result<(), ArchiveError> {
        let meta = Metadata { mode, ..Metadata::default() };
        let entry = Entry { path: path.as_bytes().to_vec(), kind, meta };
        self.tar.append(&entry, data).map(drop).map_err(|source| ArchiveError::Layer {
            action: "write",
            what: path.to_owned(),
            source,
        })
    }
}
