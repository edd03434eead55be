//! Why an image could not be moved, in docker's words where it has some.

use super::super::client::{Repository, texts};
use super::super::error::{ApiError, RegistryError};
use crate::image::{DiffId, Digest, ManifestError, Reference};
use crate::layers::LayerError;
use crate::store::StoreError;

/// An image could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file failed.
    #[error(transparent)]
    Fs(#[from] crate::fs::FsError),
    /// The registry does not let one in, or has no such repository; docker's text.
    #[error("pull access denied for {name}, repository does not exist or may require 'docker login': {said}")]
    Denied {
        /// The repository as people type it.
        name: String,
        /// What the registry says.
        said: String,
    },
    /// No such tag or digest; docker's text.
    #[error("manifest for {name} not found: {said}")]
    NoManifest {
        /// The reference as people type it.
        name: String,
        /// What the registry says.
        said: String,
    },
    /// No such repository; docker's text.
    #[error("repository {name} not found: {said}")]
    NoRepository {
        /// The repository as people type it.
        name: String,
        /// What the registry says.
        said: String,
    },
    /// The index has nothing for a platform; docker's text.
    #[error("no matching manifest for {platform} in the manifest list entries")]
    Platform {
        /// The platform that was wanted.
        platform: String,
    },
    /// The image is for another platform; docker's text.
    #[error(
        "image with reference {name} was found but does not match the specified platform: \
         wanted {wanted}, actual: {actual}"
    )]
    WrongPlatform {
        /// The reference as people type it.
        name: String,
        /// The platform that was wanted.
        wanted: String,
        /// What the image is for.
        actual: String,
    },
    /// Docker's manifests of before 2016.
    #[error(
        "{name}: Docker Image manifest version 2, schema 1 ({media_type}) is not supported: its layers have \
         no config that names them; let a newer docker push the image again"
    )]
    Schema1 {
        /// The reference as people type it.
        name: String,
        /// The media type.
        media_type: String,
    },
    /// Something in a manifest's clothes that is no image.
    #[error("{name} is no image but an artifact of type {kind:?}; `copy` moves artifacts")]
    NoImage {
        /// The reference as people type it.
        name: String,
        /// Its type.
        kind: String,
    },
    /// A document does not parse.
    #[error("invalid manifest {digest}")]
    Manifest {
        /// Which one.
        digest: Digest,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// A config does not parse.
    #[error("invalid image config {digest}")]
    Config {
        /// Which one.
        digest: Digest,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Documents contradict each other.
    #[error("inconsistent image {digest}: {reason}")]
    Inconsistent {
        /// The manifest.
        digest: Digest,
        /// What does not fit.
        reason: String,
    },
    /// A layer's blob can't be unpacked or read.
    #[error("failed to register layer {blob}")]
    Layer {
        /// The blob.
        blob: Digest,
        /// Why.
        #[source]
        source: LayerError,
    },
    /// A layer is not the one that the config names; docker's text.
    #[error("layer {blob}: wrong diff id calculated on extraction, expected {expected}, got {found}")]
    WrongDiffId {
        /// The blob.
        blob: Digest,
        /// As the config says.
        expected: DiffId,
        /// Of the bytes.
        found: DiffId,
    },
    /// A layer that its registry does not have, since its licence forbids it.
    #[error("layer {blob} is a foreign layer that {repository} does not have; it must be pushed there first")]
    Foreign {
        /// The blob.
        blob: Digest,
        /// The repository.
        repository: String,
    },
    /// The blob of a layer that nobody has any more.
    #[error("{blob} of {name} is neither here nor in a registry that had it")]
    Lost {
        /// The blob.
        blob: Digest,
        /// What was to be moved.
        name: String,
    },
    /// There is no image of that name; docker's text.
    #[error("An image does not exist locally with the tag: {0}")]
    NoTag(String),
    /// What was asked for can't be done.
    #[error("{0}")]
    Refused(String),
}

impl TransferError {
    /// Puts the failure of asking for a manifest into docker's words.
    pub(crate) fn manifest(reference: &Reference, error: RegistryError) -> Self {
        let RegistryError::Response { status, errors, body, .. } = &error else { return error.into() };
        let said = || match (errors.is_empty(), body.is_empty()) {
            (false, _) => errors.iter().map(texts::api_error).collect::<Vec<_>>().join("; "),
            (true, false) => body.clone(),
            (true, true) => format!("the registry answers {status}"),
        };
        let has = |code: &str| errors.iter().any(|error: &ApiError| error.code == code);
        let name = reference.familiar_repository();
        match status {
            401 | 403 => Self::Denied { name, said: said() },
            404 if has("NAME_UNKNOWN") => Self::NoRepository { name, said: said() },
            404 => Self::NoManifest { name: reference.familiar(), said: said() },
            _ => error.into(),
        }
    }

    /// Puts the failure of writing to a repository into docker's words.
    pub fn push(repository: &Repository, error: RegistryError) -> Self {
        let RegistryError::Response { status: 401 | 403, errors, .. } = &error else { return error.into() };
        let said: Vec<String> = errors.iter().map(texts::api_error).collect();
        match said.is_empty() {
            true => Self::Refused(format!("denied: requested access to {repository} is denied")),
            false => Self::Refused(said.join("; ")),
        }
    }
}
