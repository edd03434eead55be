//! Why an image could not be moved, in docker's words where it has some.

use super::super::client::{pull_text, push_text};
use super::super::error::RegistryError;
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
    /// The registry refuses, in docker's words.
    #[error("{said}")]
    Refusal {
        /// What docker would say.
        said: String,
        /// The HTTP status.
        status: Option<u16>,
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
    /// Puts the failure of asking for a manifest or the tags into docker's words.
    pub(crate) fn manifest(reference: &Reference, error: RegistryError) -> Self {
        match error.status() {
            Some(_) => Self::Refusal { said: pull_text(&error, reference), status: error.status() },
            None => error.into(),
        }
    }

    /// Puts the failure of writing to a repository into docker's words, where it is about who may.
    pub(crate) fn push(error: RegistryError) -> Self {
        match error.status() {
            Some(401 | 403) => Self::Refusal { said: push_text(&error), status: error.status() },
            _ => error.into(),
        }
    }
}
