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
    layers: Vec<SavedLayer>,
}

/// A layer, and the blob that the manifest names for it.
#[derive(Clone, Copy)]
struct SavedLayer {
    diff_id: DiffId,
    blob: Digest,
    size: u64,
}

/// Everything about one item that the archive needs.
struct Planned {
    /// The image itself first, then the other platforms of its index.
    images: Vec<Image>,
    /// What the index names that is no image, with what it names: attestations.
    others: Vec<Blob>,
    index: Option<Blob>,
    names: Vec<Reference>,
}

/// Largest part of an attestation that is saved, in bytes.
const MAX_STATEMENT: u64 = 256 << 20;
/// Bytes that the kernel copies between two reports.
const STEP: u64 = 16 << 20;

/// Writes `items` to `out` at its present position; layers that several images share are written once.
///
/// The same images give the same bytes. An image whose manifest's own blobs are
/// all there travels with that manifest; otherwise layers are written
/// uncompressed, and the archive's manifest names them by their diff ids.
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
        .chain(planned.iter().flat_map(|item| &item.others))
    {
        tar.blob(*digest, bytes)?;
    }
    for layer in images().flat_map(|image| &image.layers) {
        tar.layer(store, *layer, reporter)?;
    }
    tar.tar.finish().map(drop).map_err(|source| ArchiveError::Layer {
        action: "finish",
        what: "the archive".to_owned(),
        source,
    })
}

fn plan(store: &Store, item: &SaveItem) -> Result<Planned, ArchiveError> {
    let record = store.image(item.image)?;
    let mut images = vec![image(store, item.image, record.map(|record| record.manifest))?];
    let alone = |images| Planned { images, others: Vec::new(), index: None, names: item.names.clone() };
    let Some(digest) = item.index else { return Ok(alone(images)) };
    let (document, bytes) = store.document(digest)?;
    let Document::Index(index) = document else { return Ok(alone(images)) };
    let (mut manifests, mut others) = (Vec::new(), Vec::new());
    let mut same = true;
    for child in &index.manifests {
        let digest = ManifestDigest::from_bytes(*child.digest.as_bytes());
        // Platforms that are not in the store are absent from the archive as well.
        let Some(record) = store.image_by_manifest(digest)? else {
            if let Some(blobs) = other(store, digest)? {
                others.extend(blobs);
                manifests.push(child.clone());
            }
            continue;
        };
        let image = image(store, record.id, Some(digest))?;
        same &= image.manifest.0 == child.digest;
        manifests.push(Descriptor {
            digest: image.manifest.0,
            size: image.manifest.1.len() as u64,
            media_type: match image.manifest.0 == child.digest {
                true => child.media_type.clone(),
                false => media_type::OCI_MANIFEST.to_owned(),
            },
            ..child.clone()
        });
        match images[0].config.0 == image.config.0 {
            true => images[0] = image,
            false => images.push(image),
        }
    }
    let bytes = match same {
        true => bytes,
        false => {
            let index = Index { annotations: index.annotations.clone(), ..Index::oci(manifests) };
            serde_json::to_vec_pretty(&index).expect("an index serialises")
        }
    };
    Ok(Planned { images, others, index: Some((Digest::of(&bytes), bytes)), names: item.names.clone() })
}

/// Returns a manifest that is no image's, with all that it names; none unless all of it is there.
fn other(store: &Store, digest: ManifestDigest) -> Result<Option<Vec<Blob>>, ArchiveError> {
    if !store.has_blob(digest.as_digest())? {
        return Ok(None);
    }
    let (document, bytes) = store.document(digest)?;
    let Document::Manifest(manifest) = document else { return Ok(None) };
    let mut blobs = vec![(digest.as_digest(), bytes)];
    for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
        if !store.has_blob(part.digest)? {
            return Ok(None);
        }
        blobs.push((part.digest, store.read_blob(part.digest, MAX_STATEMENT)?));
    }
    Ok(Some(blobs))
}

fn image(store: &Store, id: ImageId, own: Option<ManifestDigest>) -> Result<Image, ArchiveError> {
    let (parsed, config) = store.config(id)?;
    let diff_ids = parsed.rootfs.diff_ids;
    if let Some(own) = own
        && let Some((manifest, layers)) = whole(store, own, &diff_ids)?
    {
        let config = (id.as_digest(), config);
        return Ok(Image { config, manifest: (own.as_digest(), manifest), layers });
    }
    let layers = diff_ids
        .iter()
        .map(|diff_id| {
            let layer = store.layer(*diff_id)?.ok_or(crate::store::StoreError::NoLayer(*diff_id))?;
            Ok(SavedLayer { diff_id: *diff_id, blob: diff_id.as_digest(), size: layer.size() })
        })
        .collect::<Result<Vec<_>, ArchiveError>>()?;
    let descriptors = layers.iter().map(|l| Descriptor::new(media_type::OCI_LAYER, l.blob, l.size)).collect();
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, id.as_digest(), config.len() as u64);
    let (bytes, digest) = Manifest::oci(descriptor, descriptors).to_json();
    Ok(Image { config: (id.as_digest(), config), manifest: (digest.as_digest(), bytes), layers })
}

/// Returns an image's own manifest, if every layer is there in the form that it names.
fn whole(
    store: &Store,
    own: ManifestDigest,
    diff_ids: &[DiffId],
) -> Result<Option<(Vec<u8>, Vec<SavedLayer>)>, ArchiveError> {
    let (Document::Manifest(manifest), bytes) = store.document(own)? else { return Ok(None) };
    if manifest.layers.len() != diff_ids.len() {
        return Ok(None);
    }
    let mut layers = Vec::with_capacity(diff_ids.len());
    for (diff_id, descriptor) in diff_ids.iter().zip(&manifest.layers) {
        let there = match descriptor.digest == diff_id.as_digest() {
            true => store.layer(*diff_id)?.is_some(),
            false => store.blob_size(descriptor.digest)? == Some(descriptor.size),
        };
        if !there {
            return Ok(None);
        }
        layers.push(SavedLayer { diff_id: *diff_id, blob: descriptor.digest, size: descriptor.size });
    }
    Ok(Some((bytes, layers)))
}

fn index(planned: &[Planned]) -> Vec<u8> {
    let mut entries = Vec::new();
    for item in planned {
        let (kind, (digest, bytes)) = match &item.index {
            Some(index) => (media_type_of(&index.1, media_type::OCI_INDEX), index),
            None => {
                let manifest = &item.images[0].manifest;
                (media_type_of(&manifest.1, media_type::OCI_MANIFEST), manifest)
            }
        };
        let plain = Descriptor::new(&kind, *digest, bytes.len() as u64);
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

/// Returns the media type that a document gives itself.
fn media_type_of(bytes: &[u8], otherwise: &str) -> String {
    let own = match Document::parse(bytes) {
        Ok(Document::Manifest(manifest)) => manifest.media_type,
        Ok(Document::Index(index)) => index.media_type,
        Err(_) => String::new(),
    };
    if own.is_empty() { otherwise.to_owned() } else { own }
}

fn docker_manifest(planned: &[Planned]) -> Vec<u8> {
    let list: Vec<DockerImage> = planned
        .iter()
        .map(|item| DockerImage {
            config: blob_path(item.images[0].config.0),
            repo_tags: (!item.names.is_empty()).then(|| item.names.iter().map(Reference::familiar).collect()),
            layers: item.images[0].layers.iter().map(|layer| blob_path(layer.blob)).collect(),
        })
        .collect();
    serde_json::to_vec(&list).expect("a list serialises")
}

fn repositories(planned: &[Planned]) -> Vec<u8> {
    let mut repositories = Repositories::new();
    for item in planned {
        let image = &item.images[0];
        let top = image.layers.last().map_or_else(|| image.config.0.hex(), |layer| layer.diff_id.hex());
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

    fn layer(
        &mut self,
        store: &Store,
        layer: SavedLayer,
        reporter: &dyn Reporter,
    ) -> Result<(), ArchiveError> {
        let SavedLayer { diff_id, blob, size } = layer;
        if !self.written.insert(blob) {
            return Ok(());
        }
        let id = TransferId::Blob(blob);
        reporter.report(Event::TransferStarted { id, label: diff_id.short(), total: Some(size) });
        let path = blob_path(blob);
        if blob == diff_id.as_digest() {
            let stored = store.layer(diff_id)?.ok_or(crate::store::StoreError::NoLayer(diff_id))?;
            match stored.tar_file()? {
                Some(file) => self.append_file(&path, size, &file, id, reporter)?,
                None => {
                    let mut tar = super::transfer::Counted::new(stored.tar()?, id, reporter);
                    self.append(&path, EntryKind::File { size }, 0o644, &mut tar)?;
                }
            }
        } else {
            let mut blob = super::transfer::Counted::new(store.open_blob(blob)?, id, reporter);
            self.append(&path, EntryKind::File { size }, 0o644, &mut blob)?;
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
