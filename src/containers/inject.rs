//! Puts what devices by request need into a process that is to be started.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::config::Config;
use super::error::ContainerError;
use crate::cdi::{self, CdiError, Edits, Registry};
use crate::fs::{FileKind, stat_fd};
use crate::run::{DeviceNode, Hook, Mount, MountSource, ProcessSpec, Propagation};

/// Mode of a device file that names none, as runc has it.
const MODE: u32 = 0o666;

/// Looks up what the container asks for and puts it in; nothing is read where it asks for nothing. Returns the hooks.
///
/// # Errors
/// A device is not there, or needs what this program does not do.
pub(super) fn inject(config: &Config, spec: &mut ProcessSpec) -> Result<Vec<Hook>, ContainerError> {
    if config.device_requests.is_empty() {
        return Ok(Vec::new());
    }
    let registry = Registry::read(&config.device_directories);
    let names = cdi::resolve(&config.device_requests, &registry)?;
    let edits = registry.edits(&names)?;
    if let Some(what) = edits.unsupported() {
        let names = names.join(", ");
        return Err(refused(format!("{what} of {names} is not available in this version")).into());
    }
    apply(&edits, spec)?;
    Ok(edits.hooks.into_iter().map(hook).collect())
}

fn hook(hook: cdi::Hook) -> Hook {
    let cdi::Hook { hook_name: when, path, args, env, timeout } = hook;
    let timeout = timeout.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    Hook { when, path, args, env, timeout }
}

fn refused(why: String) -> CdiError {
    CdiError::Refused(why)
}

fn apply(edits: &Edits, spec: &mut ProcessSpec) -> Result<(), CdiError> {
    for (name, value) in edits.env.iter().filter_map(|text| text.split_once('=')) {
        let (name, value) = (name.as_bytes(), value.as_bytes().to_vec());
        match spec.env.iter_mut().find(|(known, _)| known == name) {
            Some(known) => known.1 = value,
            None => spec.env.push((name.to_vec(), value)),
        }
    }
    for gid in edits.additional_gids.iter().filter(|gid| **gid != 0) {
        if !spec.user.groups.contains(gid) {
            spec.user.groups.push(*gid);
        }
    }
    for node in &edits.device_nodes {
        let node = device(node, spec)?;
        spec.devices.retain(|known| known.target != node.target);
        spec.device_nodes.retain(|known| known.target != node.target);
        spec.device_nodes.push(node);
    }
    for wanted in &edits.mounts {
        let mount = mount(wanted)?;
        spec.mounts.retain(|known| known.target != mount.target);
        spec.mounts.push(mount);
    }
    Ok(())
}

/// Returns a device file, what is not said of it being the host's.
fn device(node: &cdi::DeviceNode, spec: &mut ProcessSpec) -> Result<DeviceNode, CdiError> {
    let host = if node.host_path.is_empty() { &node.path } else { &node.host_path };
    let like: Option<OwnedFd> = crate::fs::open_path(Path::new(host)).ok();
    let found = like.as_ref().and_then(|fd| stat_fd(fd).ok());
    let found = found.filter(|stat| matches!(stat.kind, FileKind::CharDevice | FileKind::BlockDevice));
    let (kind, number) = match (node.kind.as_str(), (node.major, node.minor)) {
        ("p", _) => return Err(refused(format!("the pipe {} is not available in this version", node.path))),
        (kind @ ("b" | "c" | "u"), number) if number != (0, 0) => (kind, number),
        (kind, number) => {
            let stat = found.ok_or_else(|| match &like {
                None => {
                    refused(format!("failed to stat CDI host device {host:?}: no such file or directory"))
                }
                Some(_) => refused(format!("CDI host device {host:?} is no device")),
            })?;
            let letter = if stat.kind == FileKind::BlockDevice { "b" } else { "c" };
            if !kind.is_empty() && (kind == "b") != (letter == "b") {
                return Err(refused(format!("CDI device ({:?}, {host:?}), host type mismatch", node.path)));
            }
            (letter, if number == (0, 0) { stat.rdev } else { number })
        }
    };
    let letter = if kind == "b" { 'b' } else { 'c' };
    if spec.limits.devices || !spec.limits.device_rules.is_empty() {
        let access = if node.permissions.is_empty() { "rwm" } else { &node.permissions };
        spec.limits.device_rules.push(format!("{letter} {}:{} {access}", number.0, number.1));
    }
    Ok(DeviceNode {
        target: PathBuf::from(&node.path),
        kind: if letter == 'b' { FileKind::BlockDevice } else { FileKind::CharDevice },
        number,
        mode: node.file_mode.unwrap_or(MODE) & 0o7777,
        owner: (node.uid.unwrap_or(spec.user.uid), node.gid.unwrap_or(spec.user.gid)),
        like: like.filter(|_| found.is_some_and(|stat| stat.rdev == number)),
    })
}

/// Returns a mount as its options say.
fn mount(wanted: &cdi::Mount) -> Result<Mount, CdiError> {
    let (from, to) = (&wanted.host_path, &wanted.container_path);
    let source = match wanted.kind.as_str() {
        "" | "bind" | "none" => {
            let opened = crate::fs::open_path(Path::new(from));
            MountSource::Bind(opened.map_err(|e| refused(format!("mount {from}: {}", e.source)))?)
        }
        "tmpfs" => MountSource::Tmpfs { size: None, mode: 0o1777 },
        other => return Err(refused(format!("mounts of type {other:?} are not available in this version"))),
    };
    let mut mount = Mount { recursive: false, ..Mount::new(to, source) };
    for option in &wanted.options {
        match option.as_str() {
            "ro" => mount.read_only = true,
            "rw" => mount.read_only = false,
            "nosuid" => mount.nosuid = true,
            "nodev" => mount.nodev = true,
            "noexec" => mount.noexec = true,
            "suid" | "dev" | "exec" | "bind" => {}
            "rbind" => mount.recursive = true,
            "private" | "rprivate" => mount.propagation = Propagation::Private,
            "slave" | "rslave" => mount.propagation = Propagation::Slave,
            "shared" | "rshared" => mount.propagation = Propagation::Shared,
            // When files were read last is the business of the file system.
            "relatime" | "norelatime" | "noatime" | "nodiratime" | "strictatime" => {}
            option => match (&mut mount.source, option.split_once('=')) {
                (MountSource::Tmpfs { mode, .. }, Some(("mode", text))) => {
                    *mode = u32::from_str_radix(text, 8).map_err(|_| bad_option(option, to))?;
                }
                (MountSource::Tmpfs { size, .. }, Some(("size", text))) => {
                    *size = Some(bytes(text).ok_or_else(|| bad_option(option, to))?);
                }
                _ => return Err(bad_option(option, to)),
            },
        }
    }
    Ok(mount)
}

fn bad_option(option: &str, target: &str) -> CdiError {
    refused(format!("the option {option:?} of the mount {target} is not available in this version"))
}

/// Reads a size as tmpfs(5) has it.
fn bytes(text: &str) -> Option<u64> {
    let (digits, power) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 10),
        None => match text.strip_suffix(['m', 'M']) {
            Some(digits) => (digits, 20),
            None => text.strip_suffix(['g', 'G']).map_or((text, 0), |digits| (digits, 30)),
        },
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << power)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(json: &str) -> Edits {
        serde_json::from_str(json).expect("edits")
    }

    #[test]
    fn edits_change_a_process() {
        let mut spec = ProcessSpec::default();
        spec.env.push((b"FOO".to_vec(), b"old".to_vec()));
        let json = r#"{"env": ["FOO=new", "MORE=a=b"], "additionalGids": [0, 7, 7],
            "deviceNodes": [{"path": "/dev/mine", "hostPath": "/dev/null", "uid": 3},
                            {"path": "/dev/block", "type": "b", "major": 7, "minor": 1, "fileMode": 384}],
            "mounts": [{"hostPath": "/etc", "containerPath": "/mnt", "options": ["ro", "rbind", "noexec", "rslave"]},
                       {"hostPath": "tmpfs", "containerPath": "/run", "type": "tmpfs", "options": ["size=2m", "mode=700"]}]}"#;
        apply(&edits(json), &mut spec).expect("they are fine");
        let env: Vec<_> = spec.env[1..].iter().map(|(k, v)| [k.as_slice(), v].concat()).collect();
        assert_eq!(env, [b"FOOnew".to_vec(), b"MOREa=b".to_vec()]);
        assert_eq!(spec.user.groups, [0, 7], "root has a group already");
        let nodes: Vec<_> =
            spec.device_nodes.iter().map(|n| (n.kind, n.number, n.mode, n.owner, n.like.is_some())).collect();
        let null = (FileKind::CharDevice, (1, 3), 0o666, (3, 0), true);
        assert_eq!(nodes, [null, (FileKind::BlockDevice, (7, 1), 0o600, (0, 0), false)]);
        let bind = &spec.mounts[0];
        assert!(bind.read_only && bind.recursive && bind.noexec && !bind.nosuid);
        assert_eq!(bind.propagation, Propagation::Slave);
        let tmpfs = &spec.mounts[1].source;
        assert!(matches!(tmpfs, MountSource::Tmpfs { size: Some(2_097_152), mode: 0o700 }), "{tmpfs:?}");
        assert_eq!(spec.limits.device_rules, Vec::<String>::new(), "nothing asks for a list of devices");
    }

    #[test]
    fn rules_follow_where_devices_are_listed() {
        let mut spec = ProcessSpec::default();
        spec.limits.devices = true;
        let json = r#"{"deviceNodes": [{"path": "/dev/mine", "hostPath": "/dev/null", "permissions": "r"}]}"#;
        apply(&edits(json), &mut spec).expect("it is fine");
        assert_eq!(spec.limits.device_rules, ["c 1:3 r"]);
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for (json, part) in [
            (
                r#"{"deviceNodes": [{"path": "/dev/no-such"}]}"#,
                "failed to stat CDI host device \"/dev/no-such\"",
            ),
            (r#"{"deviceNodes": [{"path": "/etc"}]}"#, "CDI host device \"/etc\" is no device"),
            (r#"{"deviceNodes": [{"path": "/dev/null", "type": "b"}]}"#, "host type mismatch"),
            (r#"{"deviceNodes": [{"path": "/x", "type": "p"}]}"#, "the pipe /x is not available"),
            (
                r#"{"mounts": [{"hostPath": "/no-such", "containerPath": "/x"}]}"#,
                "mount /no-such: No such file",
            ),
            (
                r#"{"mounts": [{"hostPath": "x", "containerPath": "/x", "type": "nfs"}]}"#,
                "mounts of type \"nfs\"",
            ),
            (
                r#"{"mounts": [{"hostPath": "/etc", "containerPath": "/x", "options": ["odd"]}]}"#,
                "the option \"odd\" of the mount /x is not available",
            ),
        ] {
            let said = apply(&edits(json), &mut ProcessSpec::default()).expect_err(json).to_string();
            assert!(said.starts_with("CDI device injection failed: ") && said.contains(part), "{said}");
        }
    }
}
