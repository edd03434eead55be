//! From a name to a manifest and a config: the documents of one image.

use bytes::Bytes;

use super::super::client::{FetchedManifest, Repository, TagOrDigest};
use super::super::error::RegistryError;
use super::super::transfer::{Transfer, TransferError};
use crate::image::manifest::media_type;
use crate::image::{
    Descriptor, Digest, Document, ImageConfig, ImageId, Index, Manifest, Platform, Reference,
};

/// How deep indexes may stand in indexes.
const MAX_DEPTH: usize = 4;

/// How an image is pulled.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Which of an index's images; none for this machine's.
    pub platform: Option<Platform>,
}

/// The documents of one image, checked against each other.
#[derive(Debug, Clone)]
pub struct Documents {
    /// What the name means: the outermost index, or the manifest.
    pub digest: Digest,
    /// The indexes that led to the manifest, outermost first.
    pub indexes: Vec<Bytes>,
    /// The manifest's exact bytes.
    pub manifest_bytes: Bytes,
    /// The manifest.
    pub manifest: Manifest,
    /// The config's exact bytes.
    pub config_bytes: Bytes,
    /// The config.
    pub config: ImageConfig,
}

impl Documents {
    /// Returns the image's id.
    pub fn config_id(&self) -> ImageId {
        ImageId::of_config(&self.config_bytes)
    }
}

/// Fetches the documents of the image that `reference` means on a platform.
pub(super) async fn fetch(
    transfer: &Transfer,
    reference: &Reference,
    options: &PullOptions,
) -> Result<Documents, TransferError> {
    let repo = Repository::of(reference);
    let asked = transfer.client.manifest(&repo, &TagOrDigest::of(reference)).await;
    let mut fetched = asked.map_err(|error| TransferError::manifest(reference, error))?;
    let digest = fetched.digest;
    let host = Platform::host();
    let wanted = options.platform.as_ref().unwrap_or(&host);
    let mut indexes = Vec::new();
    for _ in 0..=MAX_DEPTH {
        match parse(reference, &fetched)? {
            Document::Manifest(manifest) => {
                let documents = Found { digest, indexes, manifest, bytes: fetched.bytes };
                return with_config(transfer, reference, &repo, documents, options).await;
            }
            Document::Index(index) => {
                indexes.push(fetched.bytes);
                let child = select(&index, wanted)?;
                fetched = transfer
                    .client
                    .manifest(&repo, &child.digest.into())
                    .await
                    .map_err(|error| TransferError::manifest(reference, error))?;
                check_size(&repo, &child, fetched.bytes.len())?;
            }
        }
    }
    Err(TransferError::Inconsistent { digest, reason: "indexes stand too deep in each other".to_owned() })
}

/// A manifest on the way to its config.
struct Found {
    digest: Digest,
    indexes: Vec<Bytes>,
    manifest: Manifest,
    bytes: Bytes,
}

async fn with_config(
    transfer: &Transfer,
    reference: &Reference,
    repo: &Repository,
    found: Found,
    options: &PullOptions,
) -> Result<Documents, TransferError> {
    let Found { digest, indexes, manifest, bytes } = found;
    let kind = manifest.config.media_type.as_str();
    if !["", media_type::OCI_CONFIG, media_type::DOCKER_CONFIG].contains(&kind) {
        let kind = manifest.artifact_type.clone().unwrap_or_else(|| kind.to_owned());
        return Err(TransferError::NoImage { name: reference.familiar(), kind });
    }
    let config_bytes = transfer.document(repo, &manifest.config, "image config").await?;
    let config = ImageConfig::from_json(&config_bytes)
        .map_err(|source| TransferError::Config { digest: manifest.config.digest, source })?;
    if config.rootfs.diff_ids.len() != manifest.layers.len() {
        let (ids, layers) = (config.rootfs.diff_ids.len(), manifest.layers.len());
        let reason = format!("its config has {ids} layers, its manifest {layers}");
        return Err(TransferError::Inconsistent { digest: Digest::of(&bytes), reason });
    }
    if let Some(wanted) = &options.platform
        && indexes.is_empty()
        && !config.platform().serves(wanted)
    {
        return Err(TransferError::WrongPlatform {
            name: reference.familiar(),
            wanted: wanted.to_string(),
            actual: config.platform().to_string(),
        });
    }
    Ok(Documents { digest, indexes, manifest_bytes: bytes, manifest, config_bytes, config })
}

/// Reads a manifest or index, or says that it is docker's old kind.
pub(in crate::registry) fn parse(
    reference: &Reference,
    fetched: &FetchedManifest,
) -> Result<Document, TransferError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        schema_version: u32,
    }
    let version = serde_json::from_slice::<Version>(&fetched.bytes).map_or(0, |v| v.schema_version);
    if version == 1 || fetched.media_type.contains("distribution.manifest.v1") {
        let (name, media_type) = (reference.familiar(), fetched.media_type.clone());
        return Err(TransferError::Schema1 { name, media_type });
    }
    Document::parse(&fetched.bytes).map_err(|source| {
        let kind = fetched.media_type.as_str();
        // A page that asks people to log in, mostly.
        if !kind.is_empty() && !kind.contains("json") {
            let what = format!("the answer is of type {kind} and no manifest");
            return RegistryError::Protocol { url: reference.to_string(), what }.into();
        }
        TransferError::Manifest { digest: fetched.digest, source }
    })
}

fn select(index: &Index, wanted: &Platform) -> Result<Descriptor, TransferError> {
    let only = || match &index.manifests[..] {
        // An index around a single image that says nothing of its platform.
        [one] if one.platform.is_none() => Some(one),
        _ => None,
    };
    let found = index.select(wanted).or_else(only);
    found.cloned().ok_or_else(|| TransferError::Platform { platform: wanted.to_string() })
}

fn check_size(repo: &Repository, child: &Descriptor, found: usize) -> Result<(), TransferError> {
    if child.size == found as u64 {
        return Ok(());
    }
    let url = format!("{repo}@{}", child.digest);
    Err(RegistryError::Size { url, expected: child.size, got: found as u64 }.into())
}
