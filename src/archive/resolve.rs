//! Finding the images of an archive whose parts are at hand, and recording them.

use super::error::ArchiveError;
use super::format::{
    DOCKER_MANIFEST, DockerImage, OCI_INDEX, OCI_LAYOUT, REPOSITORIES, blob_path, is_oci_layout, name_of,
};
use super::load::{Contents, Loaded};
use crate::image::manifest::media_type;
use crate::image::{
    Descriptor, DiffId, Digest, Document, ImageConfig, ImageId, Manifest, Platform, Reference,
};
use crate::store::Store;

/// How deep indexes may stand in indexes.
const MAX_DEPTH: usize = 4;

/// An image whose parts have names in the archive.
#[derive(Debug)]
pub(super) struct Candidate {
    config: String,
    layers: Vec<String>,
    names: Vec<Reference>,
    /// The manifest's own bytes, if the archive has one.
    manifest: Option<Vec<u8>>,
}

/// Returns the archive's images, each once with all its names.
pub(super) fn images(contents: &Contents, platform: &Platform) -> Result<Vec<Candidate>, ArchiveError> {
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

fn from_docker(list: &[u8]) -> Result<Vec<Candidate>, ArchiveError> {
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
            Ok(Candidate {
                config: trim(&image.config),
                layers: image.layers.iter().map(|path| trim(path)).collect(),
                names,
                manifest: None,
            })
        })
        .collect()
}

fn from_index(
    contents: &Contents,
    bytes: &[u8],
    platform: &Platform,
) -> Result<Vec<Candidate>, ArchiveError> {
    let index: crate::image::Index = serde_json::from_slice(bytes)
        .map_err(|source| ArchiveError::Json { name: OCI_INDEX.to_owned(), source })?;
    let mut found: Vec<(Digest, Candidate)> = Vec::new();
    for entry in &index.manifests {
        let Some((digest, bytes, manifest)) = manifest_of(contents, entry, platform, MAX_DEPTH)? else {
            continue;
        };
        let name = name_of(entry.annotations.as_ref()).map(Reference::or_latest);
        match found.iter_mut().find(|(known, _)| *known == digest) {
            Some((_, image)) => image.names.extend(name),
            None => found.push((
                digest,
                Candidate {
                    config: blob_path(manifest.config.digest),
                    layers: manifest.layers.iter().map(|layer| blob_path(layer.digest)).collect(),
                    names: name.into_iter().collect(),
                    manifest: Some(bytes),
                },
            )),
        }
    }
    Ok(found.into_iter().map(|(_, image)| image).collect())
}

/// Follows an index entry to an image manifest; none for attestations and other artifacts.
fn manifest_of(
    contents: &Contents,
    entry: &Descriptor,
    platform: &Platform,
    depth: usize,
) -> Result<Option<(Digest, Vec<u8>, Manifest)>, ArchiveError> {
    if entry.annotation("vnd.docker.reference.type").is_some() || depth == 0 {
        return Ok(None);
    }
    let path = blob_path(entry.digest);
    let bytes = contents
        .document(&path)
        .ok_or_else(|| ArchiveError::Missing { what: path, named_by: OCI_INDEX.to_owned() })?;
    let document =
        Document::parse(bytes).map_err(|source| ArchiveError::Manifest { digest: entry.digest, source })?;
    match document {
        Document::Manifest(manifest) => Ok(Some((entry.digest, bytes.to_vec(), manifest))),
        Document::Index(index) => {
            let children: Vec<&Descriptor> = index
                .manifests
                .iter()
                .filter(|d| d.annotation("vnd.docker.reference.type").is_none())
                .collect();
            let chosen = match (index.select(platform), &children[..]) {
                (Some(child), _) => child,
                (None, [only]) => only,
                (None, []) => return Ok(None),
                (None, _) => {
                    return Err(ArchiveError::Platform {
                        digest: entry.digest,
                        platform: platform.to_string(),
                    });
                }
            };
            manifest_of(contents, chosen, platform, depth - 1)
        }
    }
}

/// Checks an image, commits its layers, records it and moves its names.
pub(super) fn record(
    store: &Store,
    contents: &mut Contents,
    image: Candidate,
) -> Result<Vec<Loaded>, ArchiveError> {
    let config = contents
        .document(&image.config)
        .ok_or_else(|| ArchiveError::Missing {
            what: image.config.clone(),
            named_by: "the manifest".to_owned(),
        })?
        .to_vec();
    let parsed = ImageConfig::from_json(&config)
        .map_err(|source| ArchiveError::Json { name: image.config.clone(), source })?;
    let descriptors = check_layers(contents, &image, &parsed.rootfs.diff_ids)?;
    for (name, diff_id) in image.layers.iter().zip(&parsed.rootfs.diff_ids) {
        let size = contents.layer(name).map_or(0, |found| found.written.size);
        if let Some(draft) = contents.take_draft(name) {
            draft.commit(*diff_id, size)?;
        }
    }
    let id = ImageId::of_config(&config);
    let manifest = match image.manifest {
        // The archive's own manifest stays true where its layers are uncompressed, as ours are.
        Some(bytes) if names_uncompressed(&bytes, &parsed.rootfs.diff_ids) => bytes,
        _ => {
            let descriptor = Descriptor::new(media_type::OCI_CONFIG, id.as_digest(), config.len() as u64);
            Manifest::oci(descriptor, descriptors).to_json().0
        }
    };
    let record = store.put_image(&config, &manifest)?;
    if image.names.is_empty() {
        return Ok(vec![Loaded { image: id, name: None, replaced: None }]);
    }
    let mut loaded = Vec::new();
    for name in image.names {
        let before = store.tag(&name, record.manifest)?.filter(|old| *old != record.manifest);
        let before = before.map(|old| store.image_by_manifest(old)).transpose()?.flatten();
        let replaced = before.map(|old| old.id).filter(|old| *old != id);
        loaded.push(Loaded { image: id, name: Some(name), replaced });
    }
    Ok(loaded)
}

fn names_uncompressed(manifest: &[u8], diff_ids: &[DiffId]) -> bool {
    matches!(Document::parse(manifest), Ok(Document::Manifest(manifest))
        if manifest.layers.iter().map(|layer| layer.digest).eq(diff_ids.iter().map(DiffId::as_digest)))
}

/// Returns the uncompressed layers' descriptors after comparing them with the config.
fn check_layers(
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
        if found.written.diff_id != *expected {
            return Err(ArchiveError::WrongDiffId {
                index,
                expected: *expected,
                found: found.written.diff_id,
            });
        }
        descriptors.push(Descriptor::new(media_type::OCI_LAYER, expected.as_digest(), found.written.size));
    }
    Ok(descriptors)
}
