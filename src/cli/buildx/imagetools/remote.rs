//! Documents of registries, kept as the JSON that they are.

use serde_json::{Map, Value, json};

use crate::cli::error::CliError;
use crate::image::manifest::MAX_DOCUMENT;
use crate::image::{Descriptor, Digest, Reference};
use crate::registry::{RegistryClient, RegistryError, Repository, TagOrDigest, pull_text};

/// Most bytes of a statement that is shown.
const MAX_STATEMENT: usize = 64 << 20;

/// A manifest or an index.
#[derive(Debug, Clone)]
pub struct Found {
    /// The name it was asked for by.
    pub reference: Reference,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
    /// What they say.
    pub value: Value,
    /// Its type: its own word before the server's.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
}

impl Found {
    /// Whether it lists other documents.
    pub fn is_index(&self) -> bool {
        self.value["manifests"].is_array()
    }

    /// Returns the descriptors that it lists.
    pub fn children(&self) -> &[Value] {
        self.value["manifests"].as_array().map_or(&[], Vec::as_slice)
    }

    /// Returns its descriptor: type, digest, size.
    pub fn descriptor(&self) -> Map<String, Value> {
        let value = json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()});
        value.as_object().cloned().unwrap_or_default()
    }
}

/// The error of a request, in docker's words where it has some.
pub fn failed(error: &RegistryError, reference: &Reference) -> CliError {
    match error.is_not_found() {
        true => CliError::new(format!("ERROR: {reference}: not found")),
        false => CliError::new(format!("ERROR: {}", pull_text(error, reference))),
    }
}

/// Fetches what a name means.
pub async fn fetch(client: &RegistryClient, reference: &Reference) -> Result<Found, CliError> {
    let found = client.manifest(&Repository::of(reference), &TagOrDigest::of(reference)).await;
    let found = found.map_err(|error| failed(&error, reference))?;
    let value: Value = serde_json::from_slice(&found.bytes).map_err(|error| {
        CliError::new(format!("ERROR: {reference}: the document does not parse ({error})"))
    })?;
    let media_type = value["mediaType"].as_str().map_or(found.media_type, str::to_owned);
    let (bytes, digest) = (found.bytes.to_vec(), found.digest);
    Ok(Found { reference: reference.clone(), bytes, value, media_type, digest })
}

/// Returns the name of a document in the same repository.
pub fn sibling(reference: &Reference, digest: &str) -> Result<Reference, CliError> {
    Ok(Reference::parse(&format!("{}@{digest}", reference.repository()))?)
}

/// Fetches a small blob that a document names, as JSON.
pub async fn blob(client: &RegistryClient, of: &Reference, descriptor: &Value) -> Result<Value, CliError> {
    let wrong = |error: serde_json::Error| CliError::new(format!("ERROR: {of}: {error}"));
    let descriptor: Descriptor = serde_json::from_value(descriptor.clone()).map_err(wrong)?;
    let limit = if descriptor.media_type.contains("in-toto") { MAX_STATEMENT } else { MAX_DOCUMENT };
    let bytes = client.small_blob(&Repository::of(of), &descriptor, limit).await;
    let bytes = bytes.map_err(|error| failed(&error, of))?;
    serde_json::from_slice(&bytes).map_err(wrong)
}

/// Returns a config's platform as descriptors have it.
pub fn platform(config: &Value) -> Value {
    let mut platform = Map::new();
    for key in ["architecture", "os", "os.version", "os.features", "variant"] {
        let value = &config[key];
        if !value.is_null() && *value != json!("") && *value != json!([]) {
            platform.insert(key.to_owned(), value.clone());
        }
    }
    Value::Object(platform)
}

/// Returns `os/architecture[/variant]`; empty where there is no platform.
pub fn platform_text(platform: &Value) -> String {
    let part = |key: &str| platform[key].as_str().unwrap_or_default();
    if platform.is_null() {
        return String::new();
    }
    let variant = if part("variant").is_empty() { String::new() } else { format!("/{}", part("variant")) };
    format!("{}/{}{variant}", part("os"), part("architecture"))
}

/// Returns the digest of the image that an attestation manifest's descriptor is about.
pub fn attests(descriptor: &Value) -> Option<&str> {
    let annotations = &descriptor["annotations"];
    match annotations["vnd.docker.reference.type"].as_str() {
        Some("attestation-manifest") => annotations["vnd.docker.reference.digest"].as_str(),
        _ => None,
    }
}
