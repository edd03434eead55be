//! A container as a bundle of the OCI runtime specification: `config.json` and `rootfs/`, for other runtimes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::config::{MountPoint, MountSource};
use super::error::ContainerError;
use super::files::Container;
use super::start::{MANAGED, process, view};
use super::volumes;
use crate::fs::{Follow, Root, stat_fd};
use crate::layers::{ChownPolicy, copy_tree};
use crate::run::{Network, Propagation, oci};
use crate::store::Store;

/// Writes the container as it is now into an empty directory.
///
/// The root is a copy. Volumes and binds are those of the container, by their paths. The network is a namespace with a
/// loopback interface, or the host's.
///
/// # Errors
/// The container shares another one's network or has what only this program gives, or a file can't be written.
pub fn write_bundle(container: &Container, store: &Store, into: &Root) -> Result<(), ContainerError> {
    let config = &container.config;
    if config.network.mode.starts_with("container:") {
        return Err(ContainerError::Refused(
            "a bundle can't be made of a container in another one's network".to_owned(),
        ));
    }
    if config.shares.pids.is_some() || config.shares.ipc.is_some() {
        return Err(ContainerError::Refused(
            "a bundle can't be made of a container with another one's process ids or IPC".to_owned(),
        ));
    }
    if !config.device_requests.is_empty() {
        return Err(ContainerError::Refused(
            "a bundle can't be made of a container with devices by request".to_owned(),
        ));
    }
    let view = view(container, store)?;
    let mut spec = process(container, &config.user, &view)?;
    spec.network = if config.network.mode == "host" { Network::Host } else { Network::None };
    let mut document = oci(&spec).map_err(ContainerError::Run)?;
    document["root"] = json!({ "path": "rootfs", "readonly": config.read_only });
    document["process"]["terminal"] = json!(config.tty);
    let unlimited = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    document["process"]["rlimits"] = config
        .rlimits
        .iter()
        .map(|limit| {
            json!({ "type": format!("RLIMIT_{}", limit.name.to_uppercase()), "soft": unlimited(limit.soft),
                    "hard": unlimited(limit.hard) })
        })
        .collect();
    let annotations: BTreeMap<_, _> = config.labels.iter().chain(&config.annotations).collect();
    document["annotations"] = json!(annotations);
    add(&mut document["mounts"], managed(container, into)?);
    for mount in &config.mounts {
        add(&mut document["mounts"], vec![mounted(container, mount)?]);
    }
    devices(container, &mut document["linux"])?;
    into.create_dir("rootfs", 0o755)?;
    let rootfs = into.dir("rootfs")?;
    copy_tree(&view, &rootfs, ChownPolicy::Exact)
        .map_err(|e| ContainerError::io("copy the root", std::io::Error::other(e)))?;
    // Other runtimes need not make it.
    rootfs.create_dir_all(config.cwd.strip_prefix("/").unwrap_or(&config.cwd), 0o755)?;
    let text = serde_json::to_vec_pretty(&document).expect("JSON serialises");
    write(into, "config.json", &text)
}

fn add(list: &mut Value, more: Vec<Value>) {
    if let Value::Array(list) = list {
        list.extend(more);
    }
}

fn write(into: &Root, name: &str, bytes: &[u8]) -> Result<(), ContainerError> {
    let written = into.create_file(name, 0o644)?.write_all(bytes);
    written.map_err(|e| ContainerError::io(format!("write {name}"), e))
}

/// Copies the files of the container's own, and returns their mounts.
fn managed(container: &Container, into: &Root) -> Result<Vec<Value>, ContainerError> {
    let mut mounts = Vec::new();
    for (file, target) in MANAGED {
        let taken = container.config.mounts.iter().any(|mount| mount.target == Path::new(target));
        if taken || container.dir().stat(file, Follow::No)?.is_none() {
            continue;
        }
        write(into, file, &container.dir().read(file, 1 << 20)?)?;
        let source = into.name().join(file);
        mounts.push(json!({ "destination": target, "type": "bind", "source": source,
                            "options": ["rbind", "rprivate"] }));
    }
    Ok(mounts)
}

/// Returns a mount as the specification has it.
pub(super) fn mounted(container: &Container, mount: &MountPoint) -> Result<Value, ContainerError> {
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }.to_owned()];
    let (kind, source) = match &mount.source {
        MountSource::Bind { path, create, recursive, .. } => {
            options.push(if *recursive { "rbind" } else { "bind" }.to_owned());
            if *create {
                Root::open(Path::new("/"))?.create_dir_all(path, 0o755)?;
            }
            ("bind".to_owned(), path.clone())
        }
        MountSource::Volume { name, below, .. } => {
            let name = name.as_deref().unwrap_or_default();
            match volumes::filesystem_of(&volumes::find(container.all(), name)?.options) {
                Some(_) if below.is_some() => {
                    return Err(ContainerError::Refused(
                        "a bundle can't be made of a container with a path in a volume that has options"
                            .to_owned(),
                    ));
                }
                Some((kind, device, more)) => {
                    options.extend(more);
                    (kind, device)
                }
                None => {
                    options.push("rbind".to_owned());
                    let path = volumes::path(container.all(), name);
                    ("bind".to_owned(), path.join(below.as_deref().unwrap_or_default()).display().to_string())
                }
            }
        }
        MountSource::Image { .. } => {
            return Err(ContainerError::Refused(
                "a bundle can't be made of a container with the files of an image mounted".to_owned(),
            ));
        }
        MountSource::Tmpfs { size, mode, noexec, nosuid, nodev } => {
            options.push(format!("mode={mode:o}"));
            options.extend(size.map(|size| format!("size={size}")));
            let flags = [("noexec", noexec), ("nosuid", nosuid), ("nodev", nodev)];
            options.extend(flags.iter().filter(|(_, set)| **set).map(|(flag, _)| (*flag).to_owned()));
            ("tmpfs".to_owned(), "tmpfs".to_owned())
        }
    };
    let propagation = match mount.propagation {
        Propagation::Private => "rprivate",
        Propagation::Slave => "rslave",
        Propagation::Shared => "rshared",
    };
    if kind == "bind" {
        options.push(propagation.to_owned());
    }
    Ok(json!({ "destination": mount.target, "type": kind, "source": source, "options": options }))
}

/// Adds the devices that were asked for, with the right to use them.
fn devices(container: &Container, linux: &mut Value) -> Result<(), ContainerError> {
    let mut made = Vec::new();
    for device in &container.config.devices {
        let fd = Root::open(Path::new("/"))?.open_path(&device.source, Follow::Yes)?;
        let stat = stat_fd(&fd)?;
        let kind = match stat.kind {
            crate::fs::FileKind::BlockDevice => "b",
            crate::fs::FileKind::CharDevice => "c",
            _ => return Err(ContainerError::Refused(format!("{} is no device", device.source))),
        };
        let (major, minor) = stat.rdev;
        made.push(json!({ "path": device.target, "type": kind, "major": major, "minor": minor,
                          "fileMode": stat.mode & 0o777, "uid": stat.uid, "gid": stat.gid }));
        let rule =
            json!({ "allow": true, "type": kind, "major": major, "minor": minor, "access": device.access });
        add(&mut linux["resources"]["devices"], vec![rule]);
    }
    linux["devices"] = made.into();
    Ok(())
}
