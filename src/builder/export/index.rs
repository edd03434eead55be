//! Attestations, and the index over everything.

use std::collections::BTreeMap;

use super::annotations::{Level, some};
use super::compose::{ImageFormat, WrittenImage};
use crate::image::manifest::media_type;
use crate::image::{Descriptor, Digest, Index, Manifest, ManifestDigest, Platform};

/// Annotation of a statement's layer with the type of what it says.
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// Annotation of an attestation in an index: what it is.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// Annotation of an attestation in an index: the manifest that it is about.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// An in-toto statement about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it says, e.g. `https://spdx.dev/Document`.
    pub predicate_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A manifest whose layers are statements.
#[derive(Debug, Clone, PartialEq)]
pub struct AttestationManifest {
    /// Number of the image that it is about.
    pub image: usize,
    /// Digest of the manifest.
    pub digest: ManifestDigest,
    /// Its bytes.
    pub manifest: Vec<u8>,
    /// Its config's bytes.
    pub config: Vec<u8>,
    /// The statements.
    pub statements: Vec<Statement>,
}

/// Everything that is written for an image of one or several platforms.
#[derive(Debug, Clone, PartialEq)]
pub struct Documents {
    /// The images.
    pub images: Vec<WrittenImage>,
    /// What is said about them, in the same order.
    pub attestations: Vec<AttestationManifest>,
    /// The index over all, if there is one.
    pub index: Option<(ManifestDigest, Vec<u8>)>,
    /// What a layout's `index.json` says of the whole.
    pub descriptor: Descriptor,
}

/// Puts attestations and an index on images; `statements` are those about each image.
///
/// There is an index where there is more than one image, an attestation, or the format asks for it.
pub fn index(images: Vec<WrittenImage>, statements: Vec<Vec<Statement>>, format: &ImageFormat) -> Documents {
    let attestations: Vec<AttestationManifest> = images
        .iter()
        .zip(statements)
        .enumerate()
        .filter(|(_, (_, statements))| !statements.is_empty())
        .map(|(number, (image, statements))| attestation(number, image, statements, format))
        .collect();
    if images.len() == 1 && attestations.is_empty() && !format.index {
        let mut descriptor = described(&images[0], format);
        descriptor.platform = Some(images[0].platform.clone());
        return Documents { images, attestations, index: None, descriptor };
    }
    let mut entries: Vec<Descriptor> = images.iter().map(|image| described(image, format)).collect();
    entries.extend(attestations.iter().map(|one| entry(one, &images[one.image])));
    let mut index = Index::oci(entries);
    index.annotations = some(format.annotations.of(Level::Index, None));
    if !format.oci && attestations.is_empty() {
        index.media_type = media_type::DOCKER_INDEX.to_owned();
    }
    let bytes = serde_json::to_vec_pretty(&index).expect("an index serialises");
    let digest = ManifestDigest::of(&bytes);
    let mut descriptor = Descriptor::new(&index.media_type, digest.as_digest(), bytes.len() as u64);
    descriptor.annotations = some(format.annotations.of(Level::IndexDescriptor, None));
    Documents { images, attestations, index: Some((digest, bytes)), descriptor }
}

fn described(image: &WrittenImage, format: &ImageFormat) -> Descriptor {
    let kind = if format.oci { media_type::OCI_MANIFEST } else { media_type::DOCKER_MANIFEST };
    let mut descriptor = Descriptor::new(kind, image.digest.as_digest(), image.manifest.len() as u64);
    descriptor.platform = Some(image.platform.clone());
    descriptor.annotations = some(format.annotations.of(Level::ManifestDescriptor, Some(&image.platform)));
    descriptor
}

fn attestation(
    number: usize,
    image: &WrittenImage,
    statements: Vec<Statement>,
    format: &ImageFormat,
) -> AttestationManifest {
    let layers: Vec<Descriptor> = statements
        .iter()
        .map(|statement| {
            let digest = Digest::of(&statement.bytes);
            let mut layer = Descriptor::new(media_type::IN_TOTO, digest, statement.bytes.len() as u64);
            let kind = (PREDICATE_TYPE.to_owned(), statement.predicate_type.clone());
            layer.annotations = Some(BTreeMap::from([kind]));
            layer
        })
        .collect();
    let config = match format.artifact {
        true => b"{}".to_vec(),
        false => unknown_config(&layers),
    };
    let kind = if format.artifact { media_type::OCI_EMPTY } else { media_type::OCI_CONFIG };
    let mut manifest = Manifest::oci(Descriptor::new(kind, Digest::of(&config), config.len() as u64), layers);
    if format.artifact {
        let kind = if format.oci { media_type::OCI_MANIFEST } else { media_type::DOCKER_MANIFEST };
        manifest.artifact_type = Some(media_type::ATTESTATION.to_owned());
        let mut subject = Descriptor::new(kind, image.digest.as_digest(), image.manifest.len() as u64);
        subject.platform = Some(image.platform.clone());
        manifest.subject = Some(Box::new(subject));
    }
    let (manifest, digest) = manifest.to_json();
    AttestationManifest { image: number, digest, manifest, config, statements }
}

/// Returns the config of an attestation in the old form: an image of an unknown platform.
fn unknown_config(layers: &[Descriptor]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
    let config = serde_json::json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    serde_json::to_vec(&config).expect("JSON serialises")
}

/// Returns an attestation's entry in the index.
fn entry(attestation: &AttestationManifest, image: &WrittenImage) -> Descriptor {
    let size = attestation.manifest.len() as u64;
    let mut descriptor = Descriptor::new(media_type::OCI_MANIFEST, attestation.digest.as_digest(), size);
    descriptor.annotations = Some(BTreeMap::from([
        (REFERENCE_DIGEST.to_owned(), image.digest.to_string()),
        (REFERENCE_TYPE.to_owned(), "attestation-manifest".to_owned()),
    ]));
    descriptor.platform = Some(unknown());
    descriptor
}

/// The platform of what runs nowhere.
fn unknown() -> Platform {
    Platform { os: "unknown".to_owned(), architecture: "unknown".to_owned(), variant: None, os_version: None }
}
