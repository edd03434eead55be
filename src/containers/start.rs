//! From a container's config to its process.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::{MountPoint, MountSource};
use super::connect;
use super::error::ContainerError;
use super::files::Container;
use super::protocol::Exec;
use super::volumes;
use crate::fs::mount::read_only_view;
use crate::fs::{Follow, Root};
use crate::run::{
    CapSet, Device, Mount, MountSource as Source, Namespaces, Network, ProcessSpec, Rlimit, Rootfs, UpperDir,
    lookup_groups, lookup_user, resource,
};
use crate::store::Store;

/// The files of the managed names, which are the container's own.
pub(super) const MANAGED: [(&str, &str); 3] =
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// What stays the same from one start to the next.
#[derive(Debug)]
pub struct Layers {
    lowers: Vec<OwnedFd>,
    userxattr: bool,
}

impl Layers {
    /// Shows the layers of the container's image.
    ///
    /// # Errors
    /// One is missing or can't be shown.
    pub fn show(container: &Container, store: &Store) -> Result<Self, ContainerError> {
        Ok(Self { lowers: store.trees(&container.config.layers)?, userxattr: store.userxattr()? })
    }

    fn lowers(&self) -> Result<Vec<OwnedFd>, ContainerError> {
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(|e| ContainerError::io("duplicate a descriptor", e));
        self.lowers.iter().map(copy).collect()
    }
}

/// Returns a view of the container's files that can't be written, whether it runs or not.
///
/// # Errors
/// A layer is missing or the kernel refuses.
pub fn view(container: &Container, store: &Store) -> Result<Root, ContainerError> {
    view_of(container, &Layers::show(container, store)?)
}

fn view_of(container: &Container, layers: &Layers) -> Result<Root, ContainerError> {
    let upper = container.dir().dir("upper")?;
    let mut all = vec![upper.as_fd()];
    all.extend(layers.lowers.iter().map(|fd| fd.as_fd()));
    let mount = read_only_view(&all, layers.userxattr)
        .map_err(|e| ContainerError::io("show the container's files", std::io::Error::other(e)))?;
    Ok(Root::named(mount, format!("container {}", container.short_id())))
}

/// Returns the process and its root.
pub(super) fn prepare(
    container: &Container,
    layers: &Layers,
    network: Option<Arc<OwnedFd>>,
) -> Result<(ProcessSpec, Rootfs), ContainerError> {
    let config = &container.config;
    let view = view_of(container, layers)?;
    let mut spec = process(container, &container.config.user, &view)?;
    drop(view);
    spec.network = match (config.network.mode.as_str(), network) {
        (_, Some(fd)) => Network::Join(fd),
        ("host", None) => Network::Host,
        _ => Network::None,
    };
    let shown_by = connect::shared_with(container)?;
    let files = shown_by.as_ref().unwrap_or(container).dir();
    for (file, target) in MANAGED {
        if config.mounts.iter().all(|mount| mount.target != Path::new(target))
            && files.stat(file, Follow::No)?.is_some()
        {
            let fd = files.open_path(file, Follow::No)?;
            spec.mounts.push(Mount::new(target, Source::Bind(fd)));
        }
    }
    for mount in &config.mounts {
        spec.mounts.push(open(container, mount)?);
    }
    for device in &config.devices {
        let source = Root::open(Path::new("/"))?.open_path(&device.source, Follow::Yes)?;
        let (target, access) = (PathBuf::from(&device.target), device.access.clone());
        spec.devices.push(Device { target, source, access });
    }
    let dir = container.dir();
    let rootfs = Rootfs {
        lowers: layers.lowers()?,
        upper: Some(UpperDir { upper: dir.dir("upper")?, work: dir.dir("work")? }),
        read_only: config.read_only,
        userxattr: layers.userxattr,
    };
    Ok((spec, rootfs))
}

/// Returns the name of the container's cgroups.
pub(super) fn cgroup_name(container: &Container) -> String {
    format!("skiff-{}", container.config.id)
}

/// Returns the process without its mounts and its network.
pub(super) fn process(
    container: &Container,
    named: &str,
    view: &Root,
) -> Result<ProcessSpec, ContainerError> {
    let config = &container.config;
    let mut user = lookup_user(view, named).map_err(ContainerError::Run)?;
    user.groups.extend(lookup_groups(view, &config.groups).map_err(ContainerError::Run)?);
    let mut env: Vec<(Vec<u8>, Vec<u8>)> = config
        .env
        .iter()
        .map(|(key, value)| (key.clone().into_bytes(), value.clone().into_bytes()))
        .collect();
    if !env.iter().any(|(key, _)| key == b"HOME") {
        let home = if user.home.is_empty() { "/" } else { &user.home };
        env.push((b"HOME".to_vec(), home.as_bytes().to_vec()));
    }
    let mut rlimits = Vec::new();
    for limit in &config.rlimits {
        let resource = resource(&limit.name)
            .ok_or_else(|| ContainerError::Refused(format!("invalid ulimit type: {}", limit.name)))?;
        rlimits.push(Rlimit { resource, soft: limit.soft, hard: limit.hard });
    }
    let mut spec = ProcessSpec {
        args: config.args.iter().map(|word| word.clone().into_bytes()).collect(),
        env,
        cwd: config.cwd.clone(),
        user,
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
        namespaces: Namespaces { pid: config.own_pids, ipc: config.own_ipc, cgroup: config.own_cgroups },
        capabilities: CapSet(config.capabilities),
        seccomp: config.seccomp.clone(),
        no_new_privileges: config.no_new_privileges,
        rlimits,
        sysctls: config.sysctls.clone(),
        shm_size: config.shm_size,
        limits: config.limits.clone(),
        cgroup: Some(cgroup_name(container)),
        oom_score_adj: config.oom_score_adj,
        init: config.init,
        privileged: config.privileged,
        dies_with_thread: true,
        ..ProcessSpec::default()
    };
    if config.system_paths_open {
        spec.masked_paths.clear();
        spec.read_only_paths.clear();
    }
    Ok(spec)
}

/// Returns a further process of a container that runs; `root` is what its processes see.
pub(super) fn guest(
    container: &Container,
    request: &Exec,
    root: &Root,
) -> Result<ProcessSpec, ContainerError> {
    let named = request.user.as_deref().unwrap_or(&container.config.user);
    let mut spec = process(container, named, root)?;
    spec.args = request.args.iter().map(|word| word.clone().into_bytes()).collect();
    if request.tty && !spec.env.iter().any(|(key, _)| key == b"TERM") {
        spec.env.push((b"TERM".to_vec(), b"xterm".to_vec()));
    }
    for (key, value) in &request.env {
        let key = key.as_bytes();
        match (value, spec.env.iter_mut().find(|(known, _)| known == key)) {
            (Some(value), Some(known)) => known.1 = value.clone().into_bytes(),
            (Some(value), None) => spec.env.push((key.to_vec(), value.clone().into_bytes())),
            (None, _) => spec.env.retain(|(known, _)| known != key),
        }
    }
    if let Some(cwd) = &request.cwd {
        spec.cwd = PathBuf::from(cwd);
    }
    if request.privileged {
        spec.capabilities = CapSet::ALL;
    }
    // The first process is the container's.
    spec.init = false;
    Ok(spec)
}

fn open(container: &Container, mount: &MountPoint) -> Result<Mount, ContainerError> {
    let target = mount.target.clone();
    let mut made = match &mount.source {
        MountSource::Bind { path, create, recursive } => {
            let source = Source::Bind(bind(Path::new(path), *create)?);
            Mount { recursive: *recursive, ..Mount::new(target, source) }
        }
        MountSource::Volume { name, below, .. } => {
            let name = name.as_deref().unwrap_or_default();
            let facts = volumes::find(container.all(), name)?;
            if let Some(source) = volumes::mounted(&facts.options) {
                return open(container, &MountPoint { source, ..mount.clone() });
            }
            let volume = volumes::open(container.all(), name)?;
            let volume = match below {
                Some(path) => volume.dir(path)?,
                None => volume,
            };
            Mount::new(target, Source::Bind(volume.to_owned_fd()?))
        }
        MountSource::Tmpfs { size, mode, noexec, nosuid, nodev } => {
            let mount = Mount::new(target, Source::Tmpfs { size: *size, mode: *mode });
            Mount { noexec: *noexec, nosuid: *nosuid, nodev: *nodev, ..mount }
        }
    };
    made.propagation = mount.propagation;
    Ok(made.read_only(mount.read_only))
}

fn bind(path: &Path, create: bool) -> Result<OwnedFd, ContainerError> {
    match crate::fs::open_path(path) {
        Err(error) if error.is_not_found() && create => {
            Root::open(Path::new("/"))?.create_dir_all(path, 0o755)?;
            Ok(crate::fs::open_path(path)?)
        }
        Err(error) if error.is_not_found() => Err(ContainerError::Refused(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            path.display()
        ))),
        other => Ok(other?),
    }
}
