//! One step's result as a document.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::builder::SharedRecord;
use crate::image::{Descriptor, DiffId, Digest};
use crate::store::CacheKey;

/// Largest entry that is read, in bytes.
pub const MAX_ENTRY: usize = 1 << 20;
/// Most layers of one step.
const MAX_LAYERS: usize = 10_000;
/// Type of an entry.
pub const ARTIFACT_TYPE: &str = "application/vnd.skiff.cache.v1+json";
/// Media type of the empty document, which every entry has as config.
pub const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The empty document.
pub const EMPTY: &[u8] = b"{}";
const RECORD: &str = "dev.skiff.cache.record";

/// A layer of a step's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryLayer {
    /// The layer.
    pub diff_id: DiffId,
    /// Where its bytes are; none if only its identity is shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<Descriptor>,
}

/// What a step gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Hex digits of the step's key.
    pub key: String,
    /// When it was made.
    pub created: Timestamp,
    /// The result where it is no layer.
    #[serde(default)]
    pub payload: String,
    /// The layers that the step added, bottom first.
    #[serde(default)]
    pub layers: Vec<EntryLayer>,
}

impl Entry {
    /// Returns the entry of a result.
    pub fn new(key: &CacheKey, record: &SharedRecord, layers: Vec<EntryLayer>) -> Self {
        Self { key: key.hex(), created: record.created, payload: record.payload.clone(), layers }
    }

    /// Returns the result.
    pub fn record(&self) -> SharedRecord {
        SharedRecord {
            layers: self.layers.iter().map(|layer| layer.diff_id).collect(),
            created: self.created,
            payload: self.payload.clone(),
        }
    }

    /// Whether all layers' bytes can be had.
    pub fn is_fetchable(&self) -> bool {
        self.layers.iter().all(|layer| layer.blob.is_some())
    }

    /// Returns the manifest's bytes.
    pub fn to_manifest(&self) -> Vec<u8> {
        let blobs: Vec<&Descriptor> = self.layers.iter().filter_map(|layer| layer.blob.as_ref()).collect();
        let record = serde_json::to_string(self).expect("an entry serialises");
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": crate::image::manifest::media_type::OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": { "mediaType": EMPTY_TYPE, "digest": Digest::of(EMPTY), "size": EMPTY.len() },
            "layers": blobs,
            "annotations": { RECORD: record },
        });
        serde_json::to_vec(&manifest).expect("JSON serialises")
    }

    /// Reads a manifest; the text says what is wrong with it.
    pub fn from_manifest(bytes: &[u8], key: &CacheKey) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Manifest {
            #[serde(default)]
            artifact_type: String,
            #[serde(default)]
            annotations: std::collections::BTreeMap<String, String>,
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if manifest.artifact_type != ARTIFACT_TYPE {
            return Err(format!("its type is {:?}, not {ARTIFACT_TYPE:?}", manifest.artifact_type));
        }
        let record = manifest.annotations.get(RECORD).ok_or("it has no record")?;
        let entry: Self = serde_json::from_str(record).map_err(|error| error.to_string())?;
        match entry {
            entry if entry.key != key.hex() => Err("it is another step's".to_owned()),
            entry if entry.layers.len() > MAX_LAYERS => Err("it has too many layers".to_owned()),
            entry => Ok(entry),
        }
    }
}
