//! Manifests in their registry, as a list needs them.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::local::LocalEntry;
use crate::cli::error::CliError;
use crate::image::manifest::{Document, MAX_DOCUMENT};
use crate::image::{Manifest, Reference};
use crate::registry::{FetchedManifest, RegistryClient, Repository, TagOrDigest, pull_text};

/// Fetches a manifest or a list by name.
pub async fn fetch(client: &RegistryClient, reference: &Reference) -> Result<FetchedManifest, CliError> {
    let found = client.manifest(&Repository::of(reference), &TagOrDigest::of(reference)).await;
    found.map_err(|error| match error.is_not_found() {
        true => CliError::new(format!("no such manifest: {}", reference.familiar())),
        false => CliError::new(pull_text(&error, reference)),
    })
}

/// Reads a document that was fetched.
pub fn document(found: &FetchedManifest, reference: &Reference) -> Result<Document, CliError> {
    Document::parse(&found.bytes)
        .map_err(|error| CliError::new(format!("{}: {}", reference.familiar(), crate::causes::chain(&error))))
}

/// Returns what a list needs of a manifest that was fetched; its platform is what its config says.
pub async fn entry(
    client: &RegistryClient,
    reference: &Reference,
    found: &FetchedManifest,
) -> Result<LocalEntry, CliError> {
    let manifest = match document(found, reference)? {
        Document::Manifest(manifest) => manifest,
        Document::Index(_) => {
            return Err(CliError::new(format!("{} is a manifest list", reference.familiar())));
        }
    };
    let text = String::from_utf8(found.bytes.to_vec())
        .map_err(|_| CliError::new(format!("{} is no valid UTF-8", reference.familiar())))?;
    let written = if manifest.media_type.is_empty() { &found.media_type } else { &manifest.media_type };
    Ok(LocalEntry {
        name: reference.to_string(),
        media_type: written.clone(),
        digest: found.digest,
        text,
        platform: platform(client, reference, &manifest).await?,
    })
}

async fn platform(
    client: &RegistryClient,
    reference: &Reference,
    manifest: &Manifest,
) -> Result<Map<String, Value>, CliError> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        architecture: String,
        #[serde(default)]
        os: String,
        #[serde(default)]
        variant: String,
        #[serde(default, rename = "os.version")]
        os_version: String,
        #[serde(default, rename = "os.features")]
        os_features: Option<Vec<String>>,
    }
    let repo = Repository::of(reference);
    let bytes = client.small_blob(&repo, &manifest.config, MAX_DOCUMENT).await;
    let bytes = bytes.map_err(|error| CliError::new(pull_text(&error, reference)))?;
    let config: Config = serde_json::from_slice(&bytes)
        .map_err(|e| CliError::new(format!("{}: the config does not parse ({e})", reference.familiar())))?;
    let mut platform = Map::new();
    // Docker writes these two even where the config says nothing.
    platform.insert("architecture".to_owned(), config.architecture.into());
    platform.insert("os".to_owned(), config.os.into());
    for (key, value) in [("os.version", config.os_version), ("variant", config.variant)] {
        if !value.is_empty() {
            platform.insert(key.to_owned(), value.into());
        }
    }
    if let Some(features) = config.os_features.filter(|features| !features.is_empty()) {
        platform.insert("os.features".to_owned(), features.into());
    }
    Ok(platform)
}
