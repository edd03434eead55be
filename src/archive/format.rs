//! The documents at the top of an archive: docker's `manifest.json`, OCI's `oci-layout` and `index.json`.

use std::collections::BTreeMap;

use oci_spec::image::{OciLayout, OciLayoutBuilder};
use serde::{Deserialize, Serialize};

use crate::image::{Digest, Reference};

/// Name of docker's list of images.
pub const DOCKER_MANIFEST: &str = "manifest.json";
/// Name of docker's older list of tags.
pub const REPOSITORIES: &str = "repositories";
/// Name of the OCI layout's version file.
pub const OCI_LAYOUT: &str = "oci-layout";
/// Name of the OCI layout's index.
pub const OCI_INDEX: &str = "index.json";
/// Annotation with a whole reference, as containerd and docker write it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// Annotation with a tag (OCI image spec, annotations.md).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// One image of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// Path of the config inside the archive.
    pub config: String,
    /// Familiar names; `null` for an image without one.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    /// Paths of the layers inside the archive, bottom first.
    #[serde(default)]
    pub layers: Vec<String>,
}

/// `repositories`: repository, tag, hexadecimal id of the image's top layer.
pub type Repositories = BTreeMap<String, BTreeMap<String, String>>;

/// Returns the path of a blob inside an archive.
pub fn blob_path(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Returns the digest that a blob's path names.
pub fn blob_of_path(path: &str) -> Option<Digest> {
    Digest::from_hex(path.strip_prefix("blobs/sha256/")?)
}

/// Returns the bytes of `oci-layout`.
pub fn oci_layout() -> Vec<u8> {
    let layout: OciLayout =
        OciLayoutBuilder::default().image_layout_version("1.0.0").build().expect("every field is given");
    serde_json::to_vec(&layout).expect("a layout serialises")
}

/// Whether bytes are an `oci-layout` of a version that is understood.
pub fn is_oci_layout(bytes: &[u8]) -> bool {
    serde_json::from_slice::<OciLayout>(bytes)
        .is_ok_and(|layout| layout.image_layout_version().starts_with("1."))
}

/// Returns the name that an index entry gives its image, if it gives one.
///
/// `io.containerd.image.name` holds a whole reference; `org.opencontainers.image.ref.name`
/// holds one too in podman's archives, elsewhere only a tag, which names nothing here.
pub fn name_of(annotations: Option<&BTreeMap<String, String>>) -> Option<Reference> {
    let annotations = annotations?;
    let whole = annotations.get(IMAGE_NAME).and_then(|name| Reference::parse(name).ok());
    whole.or_else(|| {
        let name = annotations.get(REF_NAME)?;
        let full = name.contains([':', '/']);
        full.then(|| Reference::parse(name).ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_have_paths() {
        let digest = Digest::of(b"x");
        assert_eq!(blob_of_path(&blob_path(digest)), Some(digest));
        assert_eq!(blob_of_path("blobs/sha256/../../etc/passwd"), None);
        assert_eq!(blob_of_path("blobs/sha512/00"), None);
    }

    #[test]
    fn the_layout_file_reads_back() {
        assert!(is_oci_layout(&oci_layout()));
        assert!(!is_oci_layout(br#"{"imageLayoutVersion":"2.0.0"}"#));
        assert!(!is_oci_layout(b"{}"));
    }

    #[test]
    fn names_come_from_whole_references_only() {
        let name = |key: &str, value: &str| {
            name_of(Some(&BTreeMap::from([(key.to_owned(), value.to_owned())]))).map(|r| r.familiar())
        };
        assert_eq!(name(IMAGE_NAME, "docker.io/library/a:b"), Some("a:b".to_owned()));
        assert_eq!(name(REF_NAME, "localhost/a:b"), Some("localhost/a:b".to_owned()));
        assert_eq!(name(REF_NAME, "latest"), None);
        assert_eq!(name(IMAGE_NAME, "UPPER CASE"), None);
    }
}
