//! What a registry must understand of a manifest: its type, what it needs, and what it refers to.

use serde_json::Value;

use super::digest::BlobDigest;
use crate::image::manifest::media_type;

/// The largest manifest that is taken: what every registry must take (distribution specification, "Pushing Manifests").
pub const MAX_MANIFEST: usize = crate::image::manifest::MAX_DOCUMENT;

/// A manifest or index of any type, as far as a registry cares.
#[derive(Debug)]
pub struct Document {
    /// The type that it is served under.
    pub media_type: String,
    /// Blobs that it needs: config, layers, blobs.
    pub blobs: Vec<BlobDigest>,
    /// What an index lists; mostly manifests.
    pub children: Vec<BlobDigest>,
    /// What it refers to, which may be missing.
    pub subject: Option<BlobDigest>,
    artifact_type: Option<String>,
    annotations: Option<Value>,
}

impl Document {
    /// Reads a manifest's bytes; `said` is the media type of the request.
    ///
    /// # Errors
    /// It is no manifest, or of schema 1, or contradicts itself; the text says why.
    pub fn parse(bytes: &[u8], said: Option<&str>) -> Result<Self, String> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|e| format!("the manifest is no JSON: {e}"))?;
        let object = value.as_object().ok_or("the manifest is no JSON object")?;
        let own = object.get("mediaType").and_then(Value::as_str);
        let said = said.filter(|said| !said.is_empty());
        if let (Some(said), Some(own)) = (said, own)
            && said != own
        {
            return Err(format!("the manifest's mediaType is {own} and its Content-Type {said}"));
        }
        let is_index = object.contains_key("manifests");
        if is_index && (object.contains_key("layers") || object.contains_key("config")) {
            return Err("the manifest has manifests and also layers or a config".to_owned());
        }
        let media_type = match said.or(own) {
            Some(text) => text.to_owned(),
            None if is_index => media_type::OCI_INDEX.to_owned(),
            None => media_type::OCI_MANIFEST.to_owned(),
        };
        if object.get("schemaVersion").and_then(Value::as_u64) == Some(1)
            || media_type.contains("manifest.v1+") && media_type.contains("docker")
        {
            return Err("manifests of schema 1 are not supported".to_owned());
        }
        Ok(Self {
            blobs: needed_blobs(&value)?,
            children: list(&value, "manifests")?.into_iter().map(digest_of).collect::<Result<_, _>>()?,
            subject: object.get("subject").filter(|v| !v.is_null()).map(digest_of).transpose()?,
            artifact_type: artifact_type(&value),
            annotations: object.get("annotations").filter(|v| v.is_object()).cloned(),
            media_type,
        })
    }

    /// Returns the descriptor by which the list of referrers shows it.
    pub fn descriptor(&self, digest: &BlobDigest, size: usize) -> Value {
        let mut descriptor =
            serde_json::json!({ "mediaType": self.media_type, "digest": digest.to_string(), "size": size });
        if let Some(artifact_type) = &self.artifact_type {
            descriptor["artifactType"] = Value::from(artifact_type.as_str());
        }
        if let Some(annotations) = &self.annotations {
            descriptor["annotations"] = annotations.clone();
        }
        descriptor
    }
}

/// The manifest's own artifact type, else its config's media type.
fn artifact_type(value: &Value) -> Option<String> {
    let own = value["artifactType"].as_str().filter(|text| !text.is_empty());
    own.or_else(|| value["config"]["mediaType"].as_str()).map(str::to_owned)
}

fn needed_blobs(value: &Value) -> Result<Vec<BlobDigest>, String> {
    let mut found = Vec::new();
    if let Some(config) = value.get("config").filter(|v| !v.is_null()) {
        found.push(digest_of(config)?);
    }
    for key in ["layers", "blobs"] {
        for descriptor in list(value, key)? {
            let foreign = descriptor["mediaType"]
                .as_str()
                .is_some_and(|text| text.contains("nondistributable") || text.contains("rootfs.foreign"));
            let elsewhere = descriptor["urls"].as_array().is_some_and(|urls| !urls.is_empty());
            let digest = digest_of(descriptor)?;
            // Layers that may not be distributed are at their URLs.
            if !foreign && !elsewhere {
                found.push(digest);
            }
        }
    }
    Ok(found)
}

fn list<'a>(value: &'a Value, key: &str) -> Result<Vec<&'a Value>, String> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => Ok(items.iter().collect()),
        Some(_) => Err(format!("{key} is no list")),
    }
}

fn digest_of(descriptor: &Value) -> Result<BlobDigest, String> {
    let text = descriptor["digest"].as_str().ok_or("a descriptor has no digest")?;
    text.parse().map_err(|e| format!("a descriptor has the digest {text:?}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(c: char) -> String {
        format!("sha256:{}", String::from(c).repeat(64))
    }

    #[test]
    fn what_a_manifest_needs() {
        let text = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": { "mediaType": "application/x", "digest": digest('a'), "size": 2 },
            "layers": [
                { "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "digest": digest('b'), "size": 1 },
                { "mediaType": "t", "digest": digest('c'), "size": 1 },
            ],
            "subject": { "digest": digest('d'), "size": 3, "mediaType": "y" },
            "annotations": { "k": "v" }, "unknown": [1],
        })
        .to_string();
        let document = Document::parse(text.as_bytes(), Some(media_type::OCI_MANIFEST)).unwrap();
        let blobs: Vec<String> = document.blobs.iter().map(ToString::to_string).collect();
        assert_eq!(blobs, [digest('a'), digest('c')]);
        assert_eq!(document.subject.as_ref().unwrap().to_string(), digest('d'));
        let descriptor = document.descriptor(document.subject.as_ref().unwrap(), 7);
        assert_eq!(descriptor["artifactType"], "application/x");
        assert_eq!(descriptor["annotations"]["k"], "v");
    }

    #[test]
    fn what_is_refused() {
        for (text, said, expected) in [
            ("", None, "no JSON"),
            ("[]", None, "no JSON object"),
            (r#"{"manifests":[],"layers":[]}"#, None, "also layers"),
            (r#"{"manifests":[],"config":{}}"#, None, "also layers"),
            (r#"{"mediaType":"a"}"#, Some("b"), "Content-Type b"),
            (r#"{"schemaVersion":1}"#, None, "schema 1"),
            ("{}", Some("application/vnd.docker.distribution.manifest.v1+prettyjws"), "schema 1"),
            (r#"{"layers":{}}"#, None, "no list"),
            (r#"{"layers":[{}]}"#, None, "no digest"),
            (r#"{"config":{"digest":"sha256:1"}}"#, None, "sha256:1"),
        ] {
            let error = Document::parse(text.as_bytes(), said).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
