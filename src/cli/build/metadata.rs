//! `--metadata-file` and `--iidfile`: what scripts read.

use serde_json::{Map, Value, json};

use super::super::render::warning;
use super::output_run::Exported;
use crate::image::Digest;
use crate::progress::CheckEvent;

/// Returns the document of `--metadata-file`, keys sorted.
///
/// `provenance` is given by platform where there are several, else without one.
pub fn document(
    exported: &Exported,
    reference: &str,
    provenance: Vec<(Option<String>, Value)>,
    warnings: Option<&[CheckEvent]>,
) -> String {
    let mut map = Map::new();
    map.insert("buildx.build.ref".to_owned(), json!(reference));
    for (platform, value) in provenance {
        let key = platform.map_or_else(String::new, |platform| format!("/{platform}"));
        map.insert(format!("buildx.build.provenance{key}"), value);
    }
    if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
        // A step has no digest of its own here, but every build reads one file in one step.
        let step = Digest::of(format!("{reference} {}", warnings[0].file).as_bytes()).to_string();
        let list: Vec<Value> = warnings.iter().map(|check| warning(check, &step)).collect();
        map.insert("buildx.build.warnings".to_owned(), Value::Array(list));
    }
    if let Some(descriptor) = &exported.descriptor {
        map.insert("containerimage.descriptor".to_owned(), json!(descriptor));
        map.insert("containerimage.digest".to_owned(), json!(descriptor.digest));
    }
    if let Some(config) = &exported.config {
        map.insert("containerimage.config.digest".to_owned(), json!(config.to_string()));
    }
    if !exported.names.is_empty() {
        let names: Vec<String> = exported.names.iter().map(ToString::to_string).collect();
        map.insert("image.name".to_owned(), json!(names.join(",")));
    }
    let sorted: std::collections::BTreeMap<String, Value> = map.into_iter().collect();
    serde_json::to_string_pretty(&sorted).expect("JSON serialises")
}

/// Returns what `--iidfile` and `-q` give: the config's digest, or the index's where there is no single image.
pub fn image_id(exported: &Exported) -> Option<String> {
    let config = exported.config.map(|id| id.to_string());
    config.or_else(|| exported.descriptor.as_ref().map(|descriptor| descriptor.digest.to_string()))
}

/// Returns a name for this build, as buildx gives every build one.
pub fn build_reference() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut bytes = [0u8; 25];
    // Without random numbers the name is only less distinct.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let name: String = bytes.iter().map(|byte| char::from(DIGITS[usize::from(*byte) % 36])).collect();
    format!("default/default/{name}")
}
