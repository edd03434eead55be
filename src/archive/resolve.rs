//! Finding the images of an archive whose parts are at hand, and recording them.

use super::error::ArchiveError;
use super::format::{
    DOCKER_MANIFEST, DockerImage, OCI_INDEX, OCI_LAYOUT, REPOSITORIES, blob_path, is_oci_layout, name_of,
};
use super::load::{Contents, Loaded};
use crate::image::manifest::media_type;
use crate::image::{
    Descriptor, DiffId, Digest, Document, ImageConfig, ImageId, Index, Manifest, Platform, Reference,
};
use crate::store::Store;

/// How deep indexes may stand in indexes.
const MAX_DEPTH: usize = 4;

/// An image whose parts have names in the archive.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) config: String,
    pub(super) layers: Vec<String>,
    /// The manifest's own bytes, and the descriptor that led to it, if the archive has them.
    manifest: Option<(Vec<u8>, Descriptor)>,
}

/// What a name of the archive means: an image, or an index of images for several platforms.
#[derive(Debug)]
struct Entry {
    images: Vec<Candidate>,
    /// The index's own bytes, and what they say; none for a single image.
    index: Option<(Vec<u8>, Index)>,
    names: Vec<Reference>,
}

/// Checks everything that the archive holds, and only then records it.
pub(super) fn record_all(
    store: &Store,
    mut contents: Contents,
    platform: Option<&Platform>,
) -> Result<Vec<Loaded>, ArchiveError> {
    let entries = entries(&contents, platform)?;
    let check = |entry: &Entry| entry.images.iter().map(|image| check(&contents, image)).collect();
    let checked: Vec<Vec<Checked>> = entries.iter().map(check).collect::<Result<_, _>>()?;
    for (entry, checked) in entries.iter().zip(&checked) {
        let Some(wanted) = platform else { break };
        // What a descriptor does not say stands in the config.
        let said = |image: &Candidate| image.manifest.as_ref().and_then(|(_, named)| named.platform.clone());
        let mut of = entry.images.iter().zip(checked);
        if of.any(|(image, checked)| !said(image).as_ref().unwrap_or(&checked.platform).serves(wanted)) {
            let id = checked.first().map_or_else(String::new, |image| image.id.to_string());
            let image = entry.names.first().map_or(id, Reference::familiar);
            return Err(ArchiveError::Platform { image, platform: wanted.to_string() });
        }
    }
    let mut loaded = Vec::new();
    for (entry, checked) in entries.iter().zip(&checked) {
        loaded.extend(record(store, &mut contents, entry, checked)?);
    }
    Ok(loaded)
}

/// Returns what the archive holds, each thing once with all its names.
fn entries(contents: &Contents, platform: Option<&Platform>) -> Result<Vec<Entry>, ArchiveError> {
    if contents.document(OCI_LAYOUT).is_some_and(is_oci_layout)
        && let Some(index) = contents.document(OCI_INDEX)
    {
        return from_index(contents, index, platform);
    }
    match contents.document(DOCKER_MANIFEST) {
        Some(list) => from_docker(list),
        None if contents.document(REPOSITORIES).is_some() => Err(ArchiveError::Ancient),
        None => Err(ArchiveError::Unrecognized),
    }
}

fn from_docker(list: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    let list: Vec<DockerImage> = serde_json::from_slice(list)
        .map_err(|source| ArchiveError::Json { name: DOCKER_MANIFEST.to_owned(), source })?;
    list.into_iter()
        .map(|image| {
            let names = image.repo_tags.unwrap_or_default();
            let names = names
                .iter()
                .map(|name| {
                    let parsed = Reference::parse(name).map(Reference::or_latest);
                    parsed.map_err(|source| ArchiveError::Name { name: name.clone(), source })
                })
                .collect::<Result<Vec<_>, _>>()?;
            let trim = |path: &str| path.trim_start_matches("./").to_owned();
            let layers = image.layers.iter().map(|path| trim(path)).collect();
            let image = Candidate { config: trim(&image.config), layers, manifest: None };
            Ok(Entry { images: vec![image], index: None, names })
        })
        .collect()
}

fn from_index(
    contents: &Contents,
    bytes: &[u8],
    platform: Option<&Platform>,
) -> Result<Vec<Entry>, ArchiveError> {
    let index: Index = serde_json::from_slice(bytes)
        .map_err(|source| ArchiveError::Json { name: OCI_INDEX.to_owned(), source })?;
    let mut found: Vec<(Digest, Entry)> = Vec::new();
    for descriptor in &index.manifests {
        let name = name_of(descriptor.annotations.as_ref()).map(Reference::or_latest);
        if let Some((_, entry)) = found.iter_mut().find(|(known, _)| *known == descriptor.digest) {
            entry.names.extend(name.filter(|name| !entry.names.contains(name)));
            continue;
        }
        if let Some(entry) = entry(contents, descriptor, name, platform)? {
            found.push((descriptor.digest, entry));
        }
    }
    Ok(found.into_iter().map(|(_, entry)| entry).collect())
}

/// Reads what an entry of the top index leads to; none for attestations and other artifacts.
fn entry(
    contents: &Contents,
    descriptor: &Descriptor,
    name: Option<Reference>,
    platform: Option<&Platform>,
) -> Result<Option<Entry>, ArchiveError> {
    if is_attestation(descriptor) {
        return Ok(None);
    }
    let names = name.into_iter().collect();
    match document(contents, descriptor)? {
        (_, Document::Manifest(manifest)) if !is_image(&manifest) => Ok(None),
        (bytes, Document::Manifest(manifest)) => {
            let images = vec![candidate(bytes, descriptor, &manifest)];
            Ok(Some(Entry { images, index: None, names }))
        }
        (bytes, Document::Index(index)) => {
            let mut images = Vec::new();
            children(contents, descriptor, &index, platform, MAX_DEPTH, &mut images)?;
            if images.is_empty() {
                return Ok(None);
            }
            // One platform of several, or one beside its attestation, stands for itself.
            let index = (images.len() > 1).then(|| (bytes.to_vec(), index));
            Ok(Some(Entry { images, index, names }))
        }
    }
}

/// Collects the images of an index: the one that serves `platform`, or all that the archive has.
fn children(
    contents: &Contents,
    parent: &Descriptor,
    index: &Index,
    platform: Option<&Platform>,
    depth: usize,
    into: &mut Vec<Candidate>,
) -> Result<(), ArchiveError> {
    let images: Vec<&Descriptor> = index.manifests.iter().filter(|d| !is_attestation(d)).collect();
    let wanted = match (platform, &images[..]) {
        (None, _) => images,
        (Some(_), [only]) if only.platform.is_none() => images,
        (Some(platform), _) => match index.select(platform) {
            Some(one) => vec![one],
            None => {
                let (image, platform) = (parent.digest.to_string(), platform.to_string());
                return Err(ArchiveError::Platform { image, platform });
            }
        },
    };
    let before = into.len();
    let mut missing = None;
    for child in wanted {
        match document(contents, child) {
            // Platforms that were not exported are no fault as long as one was.
            Err(error @ ArchiveError::Missing { .. }) => missing = missing.or(Some(error)),
            Err(error) => return Err(error),
            Ok((_, Document::Manifest(manifest))) if !is_image(&manifest) => {}
            Ok((bytes, Document::Manifest(manifest))) => into.push(candidate(bytes, child, &manifest)),
            Ok((_, Document::Index(inner))) if depth > 0 => {
                children(contents, child, &inner, platform, depth - 1, into)?;
            }
            Ok((_, Document::Index(_))) => {}
        }
    }
    match missing {
        Some(error) if into.len() == before => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn document<'a>(
    contents: &'a Contents,
    descriptor: &Descriptor,
) -> Result<(&'a [u8], Document), ArchiveError> {
    let path = blob_path(descriptor.digest);
    let bytes = contents
        .document(&path)
        .ok_or_else(|| ArchiveError::Missing { what: path, named_by: OCI_INDEX.to_owned() })?;
    let document = Document::parse(bytes)
        .map_err(|source| ArchiveError::Manifest { digest: descriptor.digest, source })?;
    Ok((bytes, document))
}

pub(super) fn candidate(bytes: &[u8], descriptor: &Descriptor, manifest: &Manifest) -> Candidate {
    Candidate {
        config: blob_path(manifest.config.digest),
        layers: manifest.layers.iter().map(|layer| blob_path(layer.digest)).collect(),
        manifest: Some((bytes.to_vec(), descriptor.clone())),
    }
}

pub(super) fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.annotation("vnd.docker.reference.type").is_some()
}

/// Whether a manifest is that of an image rather than of something else in the same clothes.
fn is_image(manifest: &Manifest) -> bool {
    ["", media_type::OCI_CONFIG, media_type::DOCKER_CONFIG].contains(&manifest.config.media_type.as_str())
}

/// An image whose parts are there and agree.
struct Checked {
    id: ImageId,
    config: Vec<u8>,
    platform: Platform,
    diff_ids: Vec<DiffId>,
    manifest: Vec<u8>,
}

fn check(contents: &Contents, image: &Candidate) -> Result<Checked, ArchiveError> {
    let config = contents.document(&image.config).ok_or_else(|| ArchiveError::Missing {
        what: image.config.clone(),
        named_by: "the manifest".to_owned(),
    })?;
    let parsed = ImageConfig::from_json(config)
        .map_err(|source| ArchiveError::Json { name: image.config.clone(), source })?;
    let diff_ids = parsed.rootfs.diff_ids.clone();
    let descriptors = check_layers(contents, image, &diff_ids)?;
    let id = ImageId::of_config(config);
    let manifest = match &image.manifest {
        // The archive's own manifest stays true where its layers are uncompressed, as ours are.
        Some((bytes, _)) if names_uncompressed(bytes, &diff_ids) => bytes.clone(),
        _ => {
            let descriptor = Descriptor::new(media_type::OCI_CONFIG, id.as_digest(), config.len() as u64);
            Manifest::oci(descriptor, descriptors).to_json().0
        }
    };
    Ok(Checked { id, config: config.to_vec(), platform: parsed.platform(), diff_ids, manifest })
}

/// Commits the layers of an entry, records its images and moves its names.
fn record(
    store: &Store,
    contents: &mut Contents,
    entry: &Entry,
    checked: &[Checked],
) -> Result<Vec<Loaded>, ArchiveError> {
    let mut targets = Vec::new();
    for (image, checked) in entry.images.iter().zip(checked) {
        for (name, diff_id) in image.layers.iter().zip(&checked.diff_ids) {
            let size = contents.layer(name).map_or(0, |found| found.size);
            if let Some(draft) = contents.take_draft(name) {
                draft.commit(*diff_id, size)?;
            }
        }
        targets.push(store.put_image(&checked.config, &checked.manifest)?.manifest);
    }
    let target = match &entry.index {
        Some((bytes, index)) => store.put_index(&rewritten(bytes, index, entry, checked))?,
        None => targets[0],
    };
    let host = Platform::host();
    let shown = checked.iter().find(|image| image.platform.serves(&host)).unwrap_or(&checked[0]);
    if entry.names.is_empty() {
        return Ok(vec![Loaded { image: shown.id, name: None, replaced: None }]);
    }
    let mut loaded = Vec::new();
    for name in &entry.names {
        let before = store.tag(name, target)?.filter(|old| *old != target);
        let before = before.map(|old| store.image_by_manifest(old)).transpose()?.flatten();
        let replaced = before.map(|old| old.id).filter(|old| *old != shown.id);
        loaded.push(Loaded { image: shown.id, name: Some(name.clone()), replaced });
    }
    Ok(loaded)
}

/// Returns an index's own bytes where they name its images as they are recorded, else an index that does.
fn rewritten(bytes: &[u8], index: &Index, entry: &Entry, checked: &[Checked]) -> Vec<u8> {
    let mut manifests = Vec::new();
    let mut same = true;
    for (image, checked) in entry.images.iter().zip(checked) {
        let Some((own, descriptor)) = &image.manifest else { continue };
        same &= *own == checked.manifest;
        manifests.push(Descriptor {
            media_type: media_type::OCI_MANIFEST.to_owned(),
            digest: Digest::of(&checked.manifest),
            size: checked.manifest.len() as u64,
            artifact_type: None,
            platform: descriptor.platform.clone().or_else(|| Some(checked.platform.clone())),
            annotations: descriptor.annotations.clone(),
        });
    }
    if same {
        return bytes.to_vec();
    }
    let index = Index { annotations: index.annotations.clone(), ..Index::oci(manifests) };
    serde_json::to_vec_pretty(&index).expect("an index serialises")
}

fn names_uncompressed(manifest: &[u8], diff_ids: &[DiffId]) -> bool {
    matches!(Document::parse(manifest), Ok(Document::Manifest(manifest))
        if manifest.layers.iter().map(|layer| layer.digest).eq(diff_ids.iter().map(DiffId::as_digest)))
}

/// Returns the uncompressed layers' descriptors after comparing them with the config.
pub(super) fn check_layers(
    contents: &Contents,
    image: &Candidate,
    diff_ids: &[DiffId],
) -> Result<Vec<Descriptor>, ArchiveError> {
    if image.layers.len() != diff_ids.len() {
        return Err(ArchiveError::LayerCount { expected: diff_ids.len(), found: image.layers.len() });
    }
    let mut descriptors = Vec::new();
    for (index, (name, expected)) in image.layers.iter().zip(diff_ids).enumerate() {
        let found = contents.layer(name).ok_or_else(|| {
            let reason = contents.unreadable.get(name).map(|why| format!(" ({why})")).unwrap_or_default();
            ArchiveError::Missing {
                what: format!("layer {name}{reason}"),
                named_by: "the manifest".to_owned(),
            }
        })?;
        if found.diff_id != *expected {
            return Err(ArchiveError::WrongDiffId { index, expected: *expected, found: found.diff_id });
        }
        descriptors.push(Descriptor::new(media_type::OCI_LAYER, expected.as_digest(), found.size));
    }
    Ok(descriptors)
}
