//! From a container's config to its process.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::{MountPoint, MountSource};
use super::connect;
use super::error::ContainerError;
use super::files::Container;
use super::inject::inject;
use super::protocol::Exec;
use super::volumes::{self, Mounted};
use crate::fs::mount::read_only_view;
use crate::fs::{Follow, Root};
use crate::image::DiffId;
use crate::run::{
    CapSet, Device, Hook, Mount, MountSource as Source, Namespace, Namespaces, Network, ProcessSpec, Rlimit,
    Rootfs, SharedMemory, UpperDir, lookup_groups, lookup_user, resource,
};
use crate::store::Store;

/// The files of the managed names, which are the container's own.
pub(super) const MANAGED: [(&str, &str); 3] =
    [("hostname", "/etc/hostname"), ("hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")];

/// The credentials that were given to a container for registries, and where it finds them; in no layer, so that no image
/// and no archive of the container has them.
pub const CREDENTIALS: (&str, &str) = ("credentials.json", "/run/secrets/docker/config.json");

/// What stays the same from one start to the next.
#[derive(Debug)]
pub struct Layers {
    lowers: Vec<OwnedFd>,
    /// The images that are mounted, by their layers.
    images: Vec<(Vec<DiffId>, Root)>,
    userxattr: bool,
}

impl Layers {
    /// Shows the layers of the container's image.
    ///
    /// # Errors
    /// One is missing or can't be shown.
    pub fn show(container: &Container, store: &Store) -> Result<Self, ContainerError> {
        let mut images = Vec::new();
        for mount in &container.config.mounts {
            if let MountSource::Image { layers, .. } = &mount.source {
                images.push((layers.clone(), store.mount(layers)?));
            }
        }
        let lowers = store.trees(&container.config.layers)?;
        Ok(Self { lowers, images, userxattr: store.userxattr()? })
    }

    /// Whether they are shown in a user namespace.
    pub(super) fn in_user_namespace(&self) -> bool {
        self.userxattr
    }

    /// Opens a path of an image that is mounted.
    fn image(&self, layers: &[DiffId], below: Option<&str>) -> Result<OwnedFd, ContainerError> {
        let image = self.images.iter().find(|(known, _)| known == layers);
        let (_, root) = image.ok_or_else(|| ContainerError::Refused("an image is not shown".to_owned()))?;
        let path = below.unwrap_or(".");
        root.open_path(path, Follow::Yes).map_err(|error| match error.is_not_found() {
            true => ContainerError::NoPath { path: root.name().join(path).display().to_string() },
            false => error.into(),
        })
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

/// A process that can be started.
pub(super) struct Prepared {
    pub spec: ProcessSpec,
    pub rootfs: Rootfs,
    /// The file systems of its volumes.
    pub volumes: Mounted,
    /// What its devices want to be run.
    pub hooks: Vec<Hook>,
}

/// Returns the process with what it needs.
pub(super) fn prepare(
    container: &Container,
    layers: &Layers,
    network: Option<Arc<OwnedFd>>,
) -> Result<Prepared, ContainerError> {
    let config = &container.config;
    config.limits.io.check()?;
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
    if config.credentials {
        let (file, target) = CREDENTIALS;
        spec.mounts.push(Mount::new(target, Source::Bind(container.dir().open_path(file, Follow::No)?)));
    }
    let mounted = Mounted::of(container.all(), config)?;
    for mount in &config.mounts {
        spec.mounts.push(open(container, layers, &mounted, mount)?);
    }
    for device in &config.devices {
        let source = Root::open(Path::new("/"))?.open_path(&device.source, Follow::Yes)?;
        let (target, access) = (PathBuf::from(&device.target), device.access.clone());
        spec.devices.push(Device { target, source, access });
    }
    let hooks = inject(config, &mut spec)?;
    let dir = container.dir();
    let rootfs = Rootfs {
        lowers: layers.lowers()?,
        upper: Some(UpperDir { upper: dir.dir("upper")?, work: dir.dir("work")? }),
        read_only: config.read_only,
        userxattr: layers.userxattr,
    };
    Ok(Prepared { spec, rootfs, volumes: mounted, hooks })
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
        namespaces: Namespaces {
            pid: if config.own_pids { Namespace::Own } else { Namespace::Caller },
            ipc: if config.own_ipc { Namespace::Own } else { Namespace::Caller },
            cgroup: config.own_cgroups,
        },
        capabilities: CapSet(config.capabilities),
        seccomp: config.seccomp.clone(),
        no_new_privileges: config.no_new_privileges,
        rlimits,
        sysctls: config.sysctls.clone(),
        shm_size: config.shm_size,
        shm: if config.shares.no_shm { SharedMemory::None } else { SharedMemory::Own },
        limits: config.limits.clone(),
        cgroup: Some(cgroup_name(container)),
        oom_score_adj: config.oom_score_adj,
        // As docker has it: among others' processes it would not be the first.
        init: config.init && config.own_pids,
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

fn open(
    container: &Container,
    layers: &Layers,
    mounted: &Mounted,
    mount: &MountPoint,
) -> Result<Mount, ContainerError> {
    let target = mount.target.clone();
    let mut made = match &mount.source {
        MountSource::Bind { path, create, recursive, writable_below } => {
            let source = Source::Bind(bind(Path::new(path), *create)?);
            let (recursive, writable_below) = (*recursive, *writable_below);
            Mount { recursive, writable_below, ..Mount::new(target, source) }
        }
        MountSource::Volume { name, below, .. } => {
            let name = name.as_deref().unwrap_or_default();
            Mount::new(target, volume(container, mounted, name, below.as_deref())?)
        }
        MountSource::Image { layers: of_image, below, .. } => {
            Mount::new(target, Source::Bind(layers.image(of_image, below.as_deref())?))
        }
        MountSource::Tmpfs { size, mode, noexec, nosuid, nodev } => {
            let mount = Mount::new(target, Source::Tmpfs { size: *size, mode: *mode });
            Mount { noexec: *noexec, nosuid: *nosuid, nodev: *nodev, ..mount }
        }
    };
    made.propagation = mount.propagation;
    Ok(made.read_only(mount.read_only))
}

/// Returns the files of a volume, or those below a path in it.
fn volume(
    container: &Container,
    mounted: &Mounted,
    name: &str,
    below: Option<&str>,
) -> Result<Source, ContainerError> {
    let place = volumes::path(container.all(), name);
    if let Some(shared) = mounted.get(name) {
        return Ok(Source::Detached(shared.once(below, &place)?));
    }
    let volume = volumes::open(container.all(), name)?;
    let Some(path) = below.filter(|path| !path.is_empty()) else {
        return Ok(Source::Bind(volume.to_owned_fd()?));
    };
    volume.open_path(path, Follow::Yes).map(Source::Bind).map_err(|error| match error.is_not_found() {
        true => ContainerError::NoPath { path: place.join(path).display().to_string() },
        false => error.into(),
    })
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
