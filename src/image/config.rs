//! The image config document (OCI image spec, config.md; Docker's extensions kept).
//!
//! Unknown keys survive reading and writing. Written documents are compact
//! JSON with sorted top-level keys, as BuildKit writes them, and leave out
//! what is empty. A config that came from outside is identified by its exact
//! bytes, never by writing it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::id::{DiffId, ImageId};
use super::platform::Platform;

/// An image's config document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// CPU architecture in Go's spelling, e.g. `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// Who made the image (`MAINTAINER`).
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// What a container started from this image runs with.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ContainerConfig,
    /// RFC 3339 time of creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// How the image came to be, oldest first.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Operating system in Go's spelling, e.g. `linux`.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system (Windows images).
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// The layers, bottom first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub rootfs: RootFs,
    /// Variant of the architecture, e.g. `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The `config` part: defaults for containers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user[:group]` by name or number.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `PORT/PROTOCOL` keys.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value` in order.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Words put in front of the command.
    #[serde(default, skip_serializing_if = "none_or_empty")]
    pub entrypoint: Option<Vec<String>>,
    /// The default command, or arguments to the entrypoint.
    #[serde(default, skip_serializing_if = "none_or_empty")]
    pub cmd: Option<Vec<String>>,
    /// Paths that become volumes.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Empty>,
    /// Directory in which commands start.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Signal that asks the container to stop.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Whether the command is already escaped (Docker sets it for shell forms).
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub args_escaped: bool,
    /// How to see whether a container is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// Instructions for builds on top of this image.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Shell for shell forms; none is the platform's default.
    #[serde(default, skip_serializing_if = "none_or_empty")]
    pub shell: Option<Vec<String>>,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The empty object that stands behind the keys of a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// A health check; times in nanoseconds, 0 means inherit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthConfig {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", text]`; empty inherits.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Time between two probes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Time after which a probe counts as failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Time in which failures do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Time between two probes in the start period.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make a container unhealthy.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// One entry of the history; entries that are not `empty_layer` pair with layers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339 time of creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command that made the layer.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Who made it.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// Free text.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether the step made no layer.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "is_false")]
    pub empty_layer: bool,
    /// Keys that this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default = "layers")]
    pub kind: String,
    /// Uncompressed layer digests, bottom first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<DiffId>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: layers(), diff_ids: Vec::new() }
    }
}

impl ImageConfig {
    /// Returns an empty config for `platform` with the default `PATH`, as `FROM scratch` starts from.
    pub fn scratch(platform: &Platform) -> Self {
        Self {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            os_version: platform.os_version.clone(),
            ..Self::default()
        }
    }

    /// Reads a config document.
    ///
    /// # Errors
    /// The text is not JSON or has values of other types than the spec gives.
    pub fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Writes the document as compact JSON; the same value always gives the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).expect("a config holds only JSON values");
        let Value::Object(map) = value else { unreachable!("a struct serialises to an object") };
        let sorted: BTreeMap<String, Value> = map.into_iter().collect();
        serde_json::to_vec(&sorted).expect("JSON values serialise")
    }

    /// Returns the id that the image has with the bytes of [`Self::to_json`].
    pub fn id(&self) -> ImageId {
        ImageId::of_config(&self.to_json())
    }

    /// Returns the platform that the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
            os_version: self.os_version.clone(),
        }
    }

    /// Returns the value of an environment variable of the image.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.config.env.iter().rev().find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then_some(value)
        })
    }
}

fn layers() -> String {
    "layers".to_owned()
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn none_or_empty(words: &Option<Vec<String>>) -> bool {
    words.as_ref().is_none_or(Vec::is_empty)
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_nulls_survive() {
        let text = br#"{"architecture":"amd64","config":{"Cmd":null,"Env":null,"Moby":1,"Labels":{"b":"2","a":"1"}},"created":"2020-01-01T00:00:00Z","moby.buildkit":"x","os":"linux","rootfs":{"type":"layers","diff_ids":null}}"#;
        let config = ImageConfig::from_json(text).unwrap();
        assert_eq!(config.config.cmd, None);
        let written = String::from_utf8(config.to_json()).unwrap();
        assert_eq!(
            written,
            r#"{"architecture":"amd64","config":{"Labels":{"a":"1","b":"2"},"Moby":1},"created":"2020-01-01T00:00:00Z","moby.buildkit":"x","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#
        );
        assert_eq!(ImageConfig::from_json(written.as_bytes()).unwrap(), config);
    }
}
