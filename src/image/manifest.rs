//! Manifests and indexes (OCI image spec, manifest.md and image-index.md; Docker schema 2).
//!
//! The documents come from outside and are hostile until checked: sizes are
//! bounded, a document that is both manifest and index is refused, and the
//! exact bytes stay the identity.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::{Digest, ManifestDigest};
use super::platform::Platform;

/// Media types of documents and layers, OCI's and Docker's.
pub mod media_type {
    /// OCI image manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image config.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// OCI layer, uncompressed.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker schema 2 manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image config.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker layer, uncompressed.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker layer that registries do not keep.
    pub const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker layer, zstd, as BuildKit names it.
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    /// The empty document `{}`.
    pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// in-toto statement.
    pub const IN_TOTO: &str = "application/vnd.in-toto+json";
    /// Artifact type of an attestation manifest.
    pub const ATTESTATION: &str = "application/vnd.docker.attestation.manifest.v1+json";
}

/// Largest manifest, index or config that is read, in bytes.
pub const MAX_DOCUMENT: usize = 4 << 20;

/// Why bytes are not a manifest or an index.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// More bytes than [`MAX_DOCUMENT`].
    #[error("the document has {0} bytes, more than the {MAX_DOCUMENT} that are accepted")]
    TooLarge(usize),
    /// Not JSON of the right shape.
    #[error("the document does not parse")]
    Json(#[from] serde_json::Error),
    /// Both `manifests` and `layers` or `config`.
    #[error("the document is a manifest and an index at once")]
    Ambiguous,
    /// Neither of them.
    #[error("the document is neither an image manifest nor an index (media type {0:?})")]
    Unknown(String),
}

/// A reference to a blob by digest and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the blob.
    #[serde(default)]
    pub media_type: String,
    /// Digest of the blob's bytes.
    pub digest: Digest,
    /// Number of bytes.
    pub size: u64,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Platform of a child manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What an artifact's manifest holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// Returns a plain descriptor.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        let media_type = media_type.to_owned();
        Self { media_type, digest, size, annotations: None, platform: None, artifact_type: None }
    }

    /// Returns the value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of the manifest itself.
    #[serde(default)]
    pub media_type: String,
    /// What an artifact is; none for an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The config.
    pub config: Descriptor,
    /// Layers, bottom first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Descriptor>>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// An image index (manifest list).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Media type of the index itself.
    #[serde(default)]
    pub media_type: String,
    /// Child manifests or indexes.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A document that a reference can point at.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a document is taken apart as soon as it is read; there is never a list of them"
)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several manifests.
    Index(Index),
}

impl Document {
    /// Reads a manifest or an index and decides which of them it is.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Probe {
            #[serde(default)]
            media_type: String,
            manifests: Option<serde::de::IgnoredAny>,
            layers: Option<serde::de::IgnoredAny>,
            config: Option<serde::de::IgnoredAny>,
        }
        if bytes.len() > MAX_DOCUMENT {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let probe: Probe = serde_json::from_slice(bytes)?;
        match (probe.manifests.is_some(), probe.layers.is_some() || probe.config.is_some()) {
            (true, true) => Err(ManifestError::Ambiguous),
            (true, false) => Ok(Self::Index(serde_json::from_slice(bytes)?)),
            (false, true) => Ok(Self::Manifest(serde_json::from_slice(bytes)?)),
            (false, false) => Err(ManifestError::Unknown(probe.media_type)),
        }
    }
}

impl Manifest {
    /// Returns an OCI manifest of a config and layers.
    pub fn oci(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.to_owned(),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: None,
        }
    }

    /// Writes the manifest as JSON indented by two spaces, with its digest.
    pub fn to_json(&self) -> (Vec<u8>, ManifestDigest) {
        let bytes = serde_json::to_vec_pretty(self).expect("a manifest serialises");
        let digest = ManifestDigest::of(&bytes);
        (bytes, digest)
    }
}

impl Index {
    /// Returns an OCI index of these entries.
    pub fn oci(manifests: Vec<Descriptor>) -> Self {
        Self { schema_version: 2, media_type: media_type::OCI_INDEX.to_owned(), manifests, annotations: None }
    }

    /// Returns the child that serves `wanted` best: the newest variant that fits, the first of equals.
    ///
    /// Attestations (platform `unknown/unknown`) never match.
    pub fn select(&self, wanted: &Platform) -> Option<&Descriptor> {
        let mut best: Option<(&Descriptor, Option<&String>)> = None;
        for entry in &self.manifests {
            let Some(platform) = &entry.platform else { continue };
            if !platform.serves(wanted) {
                continue;
            }
            let variant = platform.variant.as_ref();
            if best.is_none_or(|(_, chosen)| variant > chosen) {
                best = Some((entry, variant));
            }
        }
        best.map(|(entry, _)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_one_of_two() {
        let config = Descriptor::new(media_type::OCI_CONFIG, Digest::of(b"{}"), 2);
        let (bytes, digest) = Manifest::oci(config, Vec::new()).to_json();
        assert_eq!(digest, ManifestDigest::of(&bytes));
        assert!(matches!(Document::parse(&bytes), Ok(Document::Manifest(_))));
        let both = br#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
        assert!(matches!(Document::parse(both), Err(ManifestError::Ambiguous)));
        assert!(matches!(Document::parse(b"{}"), Err(ManifestError::Unknown(_))));
        assert!(matches!(Document::parse(b"["), Err(ManifestError::Json(_))));
    }

    #[test]
    fn the_newest_fitting_variant_is_selected() {
        let entry = |platform: &str, n: u64| Descriptor {
            platform: Some(Platform::parse(platform).unwrap()),
            ..Descriptor::new(media_type::OCI_MANIFEST, Digest::of(&n.to_le_bytes()), n)
        };
        let index =
            Index::oci(vec![entry("linux/arm/v6", 1), entry("linux/arm/v7", 2), entry("linux/amd64", 3)]);
        let pick = |wanted: &str| index.select(&Platform::parse(wanted).unwrap()).map(|d| d.size);
        assert_eq!(pick("linux/arm/v7"), Some(2));
        assert_eq!(pick("linux/arm/v6"), Some(1));
        assert_eq!(pick("linux/amd64/v3"), Some(3));
        assert_eq!(pick("linux/s390x"), None);
    }
}
