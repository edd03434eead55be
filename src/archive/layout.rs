//! One image out of an OCI layout: only its own blobs are read, and nothing is named or recorded.

use super::error::ArchiveError;
use super::format::{OCI_INDEX, OCI_LAYOUT, blob_path, is_oci_layout, name_of};
use super::load::Reading;
use super::resolve::{self, Candidate};
use crate::fs::Root;
use crate::image::{Descriptor, Digest, Document, ImageConfig, ImageId, Index, ManifestDigest, Platform};
use crate::progress::Reporter;
use crate::store::Store;

/// Annotation that names an image of a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// How deep indexes may stand in indexes.
const MAX_DEPTH: usize = 4;

/// Which image of a layout is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pick {
    /// The one of this name, whole or only its tag; where there is but one image, that one.
    Tag(String),
    /// The one of this digest.
    Digest(Digest),
}

/// An image whose layers are in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Picked {
    /// Digest of the layout's own manifest.
    pub manifest: ManifestDigest,
    /// Digest of its config.
    pub id: ImageId,
    /// Its config; the layers are those it lists.
    pub config: ImageConfig,
}

/// Reads one image of an OCI layout; its layers go into the store, where the caller's lease keeps them.
///
/// # Errors
/// The directory is no layout, has no such image or none for the platform, or is damaged.
pub fn pick(
    store: &Store,
    dir: &Root,
    pick: &Pick,
    platform: &Platform,
    reporter: &dyn Reporter,
) -> Result<Picked, ArchiveError> {
    let mut reading = Reading::new(store, reporter);
    reading.one(dir, OCI_LAYOUT)?;
    reading.one(dir, OCI_INDEX)?;
    if !reading.contents.document(OCI_LAYOUT).is_some_and(is_oci_layout) {
        return Err(ArchiveError::Unrecognized);
    }
    let index = reading.contents.document(OCI_INDEX).ok_or(ArchiveError::Unrecognized)?;
    let index: Index = serde_json::from_slice(index)
        .map_err(|source| ArchiveError::Json { name: OCI_INDEX.to_owned(), source })?;
    let mut descriptor = find(&index, pick)?;
    for _ in 0..=MAX_DEPTH {
        reading.one(dir, &blob_path(descriptor.digest))?;
        let (bytes, document) = resolve::document(&reading.contents, &descriptor)?;
        let manifest = match document {
            Document::Index(index) => {
                let parent = descriptor.digest;
                let none =
                    || ArchiveError::Platform { image: parent.to_string(), platform: platform.to_string() };
                descriptor = index.select(platform).ok_or_else(none)?.clone();
                continue;
            }
            Document::Manifest(manifest) => manifest,
        };
        let image = resolve::candidate(bytes, &descriptor, &manifest);
        return take(dir, &mut reading, &image, descriptor.digest);
    }
    Err(ArchiveError::Unrecognized)
}

fn find(index: &Index, pick: &Pick) -> Result<Descriptor, ArchiveError> {
    let images: Vec<&Descriptor> =
        index.manifests.iter().filter(|one| !resolve::is_attestation(one)).collect();
    let named = |one: &&&Descriptor, wanted: &str| {
        let short = one.annotation(REF_NAME).is_some_and(|name| name == wanted);
        short || name_of(one.annotations.as_ref()).is_some_and(|name| name.tag() == Some(wanted))
    };
    let found = match pick {
        Pick::Digest(digest) => images.iter().find(|one| one.digest == *digest),
        Pick::Tag(tag) => images.iter().find(|one| named(one, tag)),
    };
    match (found, pick, &images[..]) {
        (Some(found), ..) => Ok((*found).clone()),
        (None, Pick::Tag(tag), [only]) if tag == "latest" => Ok((*only).clone()),
        // An image inside an index of the layout has no entry of its own; its blob says what it is.
        (None, Pick::Digest(digest), _) => Ok(Descriptor::new("", *digest, 0)),
        (None, Pick::Tag(tag), _) => {
            Err(ArchiveError::Missing { what: format!("image {tag}"), named_by: "the layout".to_owned() })
        }
    }
}

fn take(
    dir: &Root,
    reading: &mut Reading<'_>,
    image: &Candidate,
    manifest: Digest,
) -> Result<Picked, ArchiveError> {
    reading.one(dir, &image.config)?;
    let bytes = reading.contents.document(&image.config).unwrap_or_default().to_vec();
    let config = ImageConfig::from_json(&bytes)
        .map_err(|source| ArchiveError::Json { name: image.config.clone(), source })?;
    for (name, diff_id) in image.layers.iter().zip(&config.rootfs.diff_ids) {
        if !reading.known_as(name, *diff_id)? {
            reading.one(dir, name)?;
        }
    }
    resolve::check_layers(&reading.contents, image, &config.rootfs.diff_ids)?;
    for (name, diff_id) in image.layers.iter().zip(&config.rootfs.diff_ids) {
        let size = reading.contents.layer(name).map_or(0, |found| found.size);
        if let Some(draft) = reading.contents.take_draft(name) {
            draft.commit(*diff_id, size)?;
        }
    }
    let manifest = ManifestDigest::from_bytes(*manifest.as_bytes());
    Ok(Picked { manifest, id: ImageId::of_config(&bytes), config })
}
