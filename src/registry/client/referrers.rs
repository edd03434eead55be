//! Referrers where the registry does not keep them: an index under a tag made of the subject's digest
//! (distribution spec, "Pushing Manifests with Subject").

use bytes::Bytes;
use serde_json::{Value, json};

use super::list::fallback_tag;
use super::{RegistryClient, Repository};
use crate::image::Digest;
use crate::image::manifest::media_type;
use crate::registry::RegistryError;

/// Returns the manifest that this one says something about.
pub(super) fn subject_of(manifest: &Value) -> Option<Digest> {
    manifest["subject"]["digest"].as_str()?.parse().ok()
}

/// Returns what an index of referrers says of a manifest.
fn entry_of(manifest: &Value, kind: &str, bytes: &[u8]) -> Value {
    let artifact = manifest["artifactType"].as_str().or_else(|| manifest["config"]["mediaType"].as_str());
    let mut entry = json!({ "mediaType": kind, "digest": Digest::of(bytes), "size": bytes.len() });
    if let Some(artifact) = artifact.filter(|artifact| !artifact.is_empty()) {
        entry["artifactType"] = artifact.into();
    }
    if manifest["annotations"].is_object() {
        entry["annotations"] = manifest["annotations"].clone();
    }
    entry
}

impl RegistryClient {
    /// Adds a manifest that was put to its subject's index, unless it stands there.
    pub(super) async fn add_referrer(
        &self,
        repo: &Repository,
        manifest: &Value,
        kind: &str,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        let Some(subject) = subject_of(manifest) else { return Ok(()) };
        let tag = fallback_tag(&subject);
        let mut index = match self.without_mirrors().manifest(repo, &tag).await {
            Ok(found) => index_of(&found.bytes).ok_or_else(|| RegistryError::Protocol {
                url: repo.to_string(),
                what: format!("the tag {tag} should name an index of referrers and does not"),
            })?,
            Err(error) if error.is_not_found() => {
                json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [] })
            }
            Err(error) => return Err(error),
        };
        let entry = entry_of(manifest, kind, bytes);
        let entries = index["manifests"].as_array_mut().expect("it was checked");
        if entries.iter().any(|known| known["digest"] == entry["digest"]) {
            return Ok(());
        }
        entries.push(entry);
        let text = Bytes::from(serde_json::to_vec(&index).expect("JSON serialises"));
        self.put_exact(repo, &tag, media_type::OCI_INDEX, text).await.map(drop)
    }
}

fn index_of(bytes: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    value["manifests"].is_array().then_some(value)
}
