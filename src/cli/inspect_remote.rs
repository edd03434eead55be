//! `image inspect --remote`: what a registry has under a name, without pulling it.

use serde_json::{Value, json};

use super::error::CliError;
use super::global::Global;
use super::inspect::{described, joined};
use super::registries;
use crate::image::manifest::{Document, MAX_DOCUMENT};
use crate::image::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference};
use crate::registry::{FetchedManifest, RegistryClient, Repository, TagOrDigest, pull_text};

/// Returns the documents of images in their registries, and what failed.
///
/// # Errors
/// The configuration is wrong.
pub fn documents(
    names: &[String],
    platform: Option<&Platform>,
    global: &Global,
) -> Result<(Vec<Value>, Vec<String>), CliError> {
    let client = registries::client(global)?;
    let runtime = registries::runtime()?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match Reference::parse(name)
            .map_err(CliError::from)
            .and_then(|reference| runtime.block_on(document(&client, &reference.or_latest(), platform)))
        {
            Ok(value) => found.push(value),
            Err(error) => failures.push(error.text),
        }
    }
    Ok((found, failures))
}

async fn document(
    client: &RegistryClient,
    reference: &Reference,
    platform: Option<&Platform>,
) -> Result<Value, CliError> {
    let failed =
        |error| CliError::new(format!("Error response from daemon: {}", pull_text(&error, reference)));
    let repo = Repository::of(reference);
    let top = client.manifest(&repo, &TagOrDigest::of(reference)).await.map_err(failed)?;
    let (chosen, manifest, others) = match parse(&top, reference)? {
        Document::Manifest(manifest) => (top.clone(), manifest, Vec::new()),
        Document::Index(index) => {
            let child = select(&index, platform)?;
            let found = client.manifest(&repo, &TagOrDigest::Digest(child.digest)).await.map_err(failed)?;
            let Document::Manifest(manifest) = parse(&found, reference)? else {
                return Err(CliError::new(format!(
                    "{}: a list in a list is not shown",
                    reference.familiar()
                )));
            };
            (found, manifest, index.manifests)
        }
    };
    let bytes = client.small_blob(&repo, &manifest.config, MAX_DOCUMENT).await.map_err(failed)?;
    let wrong = |e: serde_json::Error| {
        CliError::new(format!("{}: the config does not parse ({e})", reference.familiar()))
    };
    let config: ImageConfig = serde_json::from_slice(&bytes).map_err(wrong)?;
    let raw: Value = serde_json::from_slice(&bytes).map_err(wrong)?;
    Ok(shown(reference, &top, &chosen, &manifest, &config, &raw, &others))
}

/// What a registry says of a name.
pub struct Distribution {
    /// Of what the name means.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: usize,
    /// The platforms that it is for.
    pub platforms: Vec<Platform>,
}

/// Asks a registry what a name means, and for which platforms.
///
/// # Errors
/// It does not say, in docker's words.
pub async fn distribution(client: &RegistryClient, reference: &Reference) -> Result<Distribution, CliError> {
    let failed =
        |error| CliError::new(format!("Error response from daemon: {}", pull_text(&error, reference)));
    let repo = Repository::of(reference);
    let top = client.manifest(&repo, &TagOrDigest::of(reference)).await.map_err(failed)?;
    let platforms = match parse(&top, reference)? {
        Document::Index(index) => index.manifests.into_iter().filter_map(|one| one.platform).collect(),
        Document::Manifest(manifest) => {
            let bytes = client.small_blob(&repo, &manifest.config, MAX_DOCUMENT).await.map_err(failed)?;
            // The config of something else than an image names none.
            serde_json::from_slice::<Platform>(&bytes).into_iter().collect()
        }
    };
    Ok(Distribution { media_type: top.media_type, digest: top.digest, size: top.bytes.len(), platforms })
}

fn parse(found: &FetchedManifest, reference: &Reference) -> Result<Document, CliError> {
    Document::parse(&found.bytes)
        .map_err(|error| CliError::new(format!("{}: {}", reference.familiar(), crate::causes::chain(&error))))
}

fn select<'a>(index: &'a Index, platform: Option<&Platform>) -> Result<&'a Descriptor, CliError> {
    let wanted = platform.cloned().unwrap_or_else(Platform::host);
    index.select(&wanted).ok_or_else(|| {
        CliError::new(format!(
            "Error response from daemon: no matching manifest for {wanted} in the manifest list entries"
        ))
    })
}

fn shown(
    reference: &Reference,
    top: &FetchedManifest,
    chosen: &FetchedManifest,
    manifest: &Manifest,
    config: &ImageConfig,
    raw: &Value,
    others: &[Descriptor],
) -> Value {
    let size: u64 = manifest.layers.iter().map(|layer| layer.size).sum();
    let tags = reference.tag().map(|tag| format!("{}:{tag}", reference.familiar_repository()));
    let known = json!({
        "Id": manifest.config.digest,
        "RepoTags": tags.into_iter().collect::<Vec<_>>(),
        "RepoDigests": [format!("{}@{}", reference.familiar_repository(), top.digest)],
    });
    let kept = json!({
        "Size": size,
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
        "Layers": manifest.layers,
        "Descriptor": { "mediaType": chosen.media_type, "digest": chosen.digest, "size": chosen.bytes.len() },
    });
    let mut value = joined([known, described(config, raw), kept]);
    if !others.is_empty() {
        value["Manifests"] = json!(others);
    }
    value
}
