//! One file, as version 1.1.0 of the specification has it; JSON or YAML.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::name::{is_device, is_kind};

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    cdi_version: String,
    pub kind: String,
    #[serde(default, deserialize_with = "or_default", rename = "annotations")]
    _annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub devices: Vec<DeviceSpec>,
    #[serde(default, deserialize_with = "or_default")]
    pub container_edits: Edits,
}

/// A device of a file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceSpec {
    pub name: String,
    #[serde(default, deserialize_with = "or_default", rename = "annotations")]
    _annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub container_edits: Edits,
}

/// What a device changes of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Edits {
    /// Variables, `NAME=VALUE`.
    #[serde(default, deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// Device files.
    #[serde(default, deserialize_with = "or_default")]
    pub device_nodes: Vec<DeviceNode>,
    /// Mounts.
    #[serde(default, deserialize_with = "or_default")]
    pub mounts: Vec<Mount>,
    /// Programs to be run around the start.
    #[serde(default, deserialize_with = "or_default")]
    pub hooks: Vec<Hook>,
    /// Further groups.
    #[serde(default, deserialize_with = "or_default")]
    pub additional_gids: Vec<u32>,
    #[serde(default)]
    intel_rdt: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "or_default")]
    net_devices: Vec<serde_json::Value>,
}

/// A device file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceNode {
    /// In the container.
    pub path: String,
    /// On the host; the same unless given.
    #[serde(default, deserialize_with = "or_default")]
    pub host_path: String,
    /// `b` or `c` (`u`); the host's unless given.
    #[serde(default, deserialize_with = "or_default", rename = "type")]
    pub kind: String,
    /// With `minor` its number; the host's where both are 0.
    #[serde(default, deserialize_with = "or_default")]
    pub major: u32,
    /// See `major`.
    #[serde(default, deserialize_with = "or_default")]
    pub minor: u32,
    /// Bits of its mode.
    #[serde(default)]
    pub file_mode: Option<u32>,
    /// Letters of `rwm`, all unless given.
    #[serde(default, deserialize_with = "or_default")]
    pub permissions: String,
    /// Its owner; who runs the container unless given.
    #[serde(default)]
    pub uid: Option<u32>,
    /// Its group.
    #[serde(default)]
    pub gid: Option<u32>,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mount {
    /// What.
    pub host_path: String,
    /// Where.
    pub container_path: String,
    /// As of mount(8).
    #[serde(default, deserialize_with = "or_default")]
    pub options: Vec<String>,
    /// The file system; empty for a bind.
    #[serde(default, deserialize_with = "or_default", rename = "type")]
    pub kind: String,
}

/// A program of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// When it is run.
    pub hook_name: String,
    /// Its file.
    pub path: String,
    /// What it is told, its own name first.
    #[serde(default, deserialize_with = "or_default")]
    pub args: Vec<String>,
    /// Its environment, `NAME=VALUE`.
    #[serde(default, deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// Seconds after which it has failed.
    #[serde(default)]
    pub timeout: Option<i64>,
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// When the OCI runtime specification runs programs.
const HOOKS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

impl Spec {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no such file; why.
    pub fn parse(text: &str, json: bool) -> Result<Self, String> {
        let spec: Self = match json {
            true => serde_json::from_str(text).map_err(|e| e.to_string())?,
            false => serde_saphyr::from_str(text).map_err(|e| e.to_string())?,
        };
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<(), String> {
        let version = self.cdi_version.strip_prefix('v').unwrap_or(&self.cdi_version);
        let known = match version.split('.').collect::<Vec<_>>()[..] {
            ["0", minor, "0"] => matches!(minor.parse(), Ok(1..=8)),
            ["1", minor, "0"] => matches!(minor.parse(), Ok(0..=1)),
            _ => false,
        };
        if !known {
            return Err(format!("invalid CDI Spec: unknown version {:?}", self.cdi_version));
        }
        if !is_kind(&self.kind) {
            return Err(format!("invalid CDI Spec: invalid kind {:?}", self.kind));
        }
        self.container_edits.check()?;
        let mut names = Vec::new();
        for device in &self.devices {
            if !is_device(&device.name) {
                return Err(format!("invalid CDI Spec: invalid device name {:?}", device.name));
            }
            if names.contains(&&device.name) {
                return Err(format!("invalid CDI Spec: multiple device {:?}", device.name));
            }
            names.push(&device.name);
            device.container_edits.check()?;
        }
        Ok(())
    }
}

impl Edits {
    fn check(&self) -> Result<(), String> {
        let bad = |what: String| Err(format!("invalid container edits: {what}"));
        if let Some(text) = self.env.iter().find(|text| text.find('=').is_none_or(|at| at == 0)) {
            return bad(format!("invalid environment variable {text:?}"));
        }
        for node in &self.device_nodes {
            let kinds = ["", "b", "c", "u", "p"];
            if node.path.is_empty() {
                return bad("device path is empty".to_owned());
            }
            if !kinds.contains(&node.kind.as_str()) {
                return bad(format!("device {:?}: invalid type {:?}", node.path, node.kind));
            }
            if !node.permissions.bytes().all(|c| b"rwm".contains(&c)) {
                return bad(format!("device {:?}: invalid permissions {:?}", node.path, node.permissions));
            }
        }
        if let Some(hook) = self.hooks.iter().find(|hook| !HOOKS.contains(&hook.hook_name.as_str())) {
            return bad(format!("invalid hook name {:?}", hook.hook_name));
        }
        if let Some(hook) = self.hooks.iter().find(|hook| !hook.path.starts_with('/')) {
            return bad(format!("invalid hook path {:?}, it must be absolute", hook.path));
        }
        match self.mounts.iter().any(|mount| mount.host_path.is_empty() || mount.container_path.is_empty()) {
            true => bad("invalid mount, a path is empty".to_owned()),
            false => Ok(()),
        }
    }

    /// Adds others behind these.
    pub(super) fn extend(&mut self, more: &Self) {
        self.env.extend_from_slice(&more.env);
        self.device_nodes.extend_from_slice(&more.device_nodes);
        self.mounts.extend_from_slice(&more.mounts);
        self.hooks.extend_from_slice(&more.hooks);
        self.additional_gids.extend_from_slice(&more.additional_gids);
        self.net_devices.extend_from_slice(&more.net_devices);
        if more.intel_rdt.is_some() {
            self.intel_rdt.clone_from(&more.intel_rdt);
        }
    }

    /// Returns what of these this program does not do.
    pub fn unsupported(&self) -> Option<String> {
        let rdt = self.intel_rdt.as_ref().map(|_| "Intel RDT".to_owned());
        let net = (!self.net_devices.is_empty()).then(|| "network devices".to_owned());
        rdt.or(net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = r#"
cdiVersion: "0.7.0"
kind: vendor.com/class
containerEdits:
  env: [ALL=1]
devices:
- name: one
  containerEdits:
    deviceNodes:
    - {path: /dev/a, hostPath: /dev/null, permissions: rw, uid: 3, fileMode: 0o640}
    mounts:
    - hostPath: /etc/hostname
      containerPath: /etc/host
      options: [ro, bind]
    additionalGids: [77]
    hooks:
- name: two
"#;

    #[test]
    fn yaml_and_json_are_the_same() {
        let spec = Spec::parse(YAML, false).expect("a file");
        assert_eq!(
            (&*spec.kind, &*spec.container_edits.env),
            ("vendor.com/class", &["ALL=1".to_owned()][..])
        );
        let edits = &spec.devices[0].container_edits;
        let node = &edits.device_nodes[0];
        assert_eq!((&*node.host_path, node.uid, node.file_mode), ("/dev/null", Some(3), Some(0o640)));
        assert_eq!((edits.mounts[0].options.len(), &*edits.additional_gids), (2, &[77][..]));
        assert_eq!(spec.devices[1].container_edits, Edits::default());
        let json = r#"{"cdiVersion": "v1.1.0", "kind": "a/b", "annotations": null, "devices": [
            {"name": "0", "containerEdits": {"env": ["A=b"], "netDevices": [{"hostInterfaceName": "x", "name": "y"}],
             "hooks": [{"hookName": "createContainer", "path": "/bin/x", "args": ["x"], "timeout": 3}]}}]}"#;
        let spec = Spec::parse(json, true).expect("a file");
        let edits = &spec.devices[0].container_edits;
        assert_eq!(edits.unsupported().as_deref(), Some("network devices"));
        let hook = &edits.hooks[0];
        assert_eq!((&*hook.path, &*hook.args, hook.timeout), ("/bin/x", &["x".to_owned()][..], Some(3)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let with = |kind: &str, edits: &str| {
            let text = format!(
                "{{\"cdiVersion\": \"0.6.0\", \"kind\": {kind:?}, \"devices\": [{{\"name\": \"x\", \
                 \"containerEdits\": {edits}}}]}}"
            );
            Spec::parse(&text, true).map(drop).map_err(|e| e.lines().next().unwrap_or_default().to_owned())
        };
        assert_eq!(with("a/b", "null"), Ok(()));
        for (kind, edits, part) in [
            ("bad", "{}", "invalid kind \"bad\""),
            ("a/b", r#"{"env": ["=x"]}"#, "invalid environment variable \"=x\""),
            ("a/b", r#"{"env": ["x"]}"#, "invalid environment variable \"x\""),
            ("a/b", r#"{"deviceNodes": [{"path": ""}]}"#, "device path is empty"),
            ("a/b", r#"{"deviceNodes": [{"path": "/x", "type": "z"}]}"#, "invalid type \"z\""),
            (
                "a/b",
                r#"{"deviceNodes": [{"path": "/x", "permissions": "rx"}]}"#,
                "invalid permissions \"rx\"",
            ),
            ("a/b", r#"{"mounts": [{"hostPath": "", "containerPath": "/x"}]}"#, "a path is empty"),
            ("a/b", r#"{"hooks": [{"hookName": "later", "path": "/x"}]}"#, "invalid hook name \"later\""),
            ("a/b", r#"{"hooks": [{"hookName": "prestart", "path": "x"}]}"#, "invalid hook path \"x\""),
            ("a/b", r#"{"other": 1}"#, "unknown field `other`"),
        ] {
            assert!(
                with(kind, edits).is_err_and(|said| said.contains(part)),
                "{edits}: {:?}",
                with(kind, edits)
            );
        }
        for version in ["0.9.0", "2.0.0", "1", "1.0"] {
            let text = format!("cdiVersion: \"{version}\"\nkind: a/b\n");
            assert!(
                Spec::parse(&text, false).is_err_and(|said| said.contains("unknown version")),
                "{version}"
            );
        }
    }
}
