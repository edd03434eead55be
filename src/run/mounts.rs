//! The mounts of a container in their order, prepared so that the child only attaches them.

use std::collections::HashSet;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::mount::MountAttrFlags;

use super::child::{Make, Op, Step, Target, What};
use super::error::RunError;
use super::host::{self, DEFAULT_DEVICES, Host, HostDevice};
use super::root::{Place, duplicate};
use super::scratch::Scratch;
use super::spec::{Mount, MountSource, Namespace, Network, ProcessSpec, Propagation, SharedMemory};
use crate::fs::mount::{self, Attributes, OverlayOptions};
use crate::fs::{FileKind, MountChange, Root, mount_setattr, stat_fd};

/// Flags of the kernel's own file systems.
const QUIET: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
/// Bytes of the container's `/dev`, as docker's.
const DEV_SIZE: u64 = 64 << 20;

/// A mount with its cleaned target.
pub(super) struct Placed<'a> {
    pub mount: &'a Mount,
    /// Relative to the root, without dots.
    pub path: PathBuf,
    pub directory: bool,
}

/// Which of the container's usual mounts are made, others standing in their place.
pub(super) struct Usual {
    taken: HashSet<PathBuf>,
}

impl Usual {
    pub fn new(placed: &[Placed<'_>]) -> Self {
        Self { taken: placed.iter().map(|p| p.path.clone()).collect() }
    }

    pub fn has(&self, path: &str) -> bool {
        !Path::new(path).ancestors().any(|above| self.taken.contains(above))
    }
}

/// Returns the mounts with parents before what is below them.
pub(super) fn place(mounts: &[Mount]) -> Result<Vec<Placed<'_>>, RunError> {
    let mut placed = Vec::with_capacity(mounts.len());
    for mount in mounts {
        let path = clean(&mount.target)?;
        if placed.iter().any(|p: &Placed<'_>| p.path == path) {
            return Err(RunError::Refused(format!("Duplicate mount point: {}", mount.target.display())));
        }
        let directory = match &mount.source {
            MountSource::Bind(fd) | MountSource::Detached(fd) => stat_fd(fd)?.is_dir(),
            MountSource::Tmpfs { .. } | MountSource::Overlay { .. } => true,
            MountSource::File { .. } => false,
        };
        placed.push(Placed { mount, path, directory });
    }
    placed.sort_by_key(|p| p.path.components().count());
    Ok(placed)
}

/// Returns the places that the root must have: those of the outermost mounts.
pub(super) fn outermost(placed: &[Placed<'_>], usual: &Usual) -> Vec<Place> {
    let directory = |path: &str| Place { path: path.into(), directory: true };
    let mut places: Vec<Place> =
        ["dev", "proc", "sys"].iter().filter(|p| usual.has(p)).map(|p| directory(p)).collect();
    for mount in placed {
        if !places.iter().any(|outer| mount.path.starts_with(&outer.path)) {
            places.push(Place { path: mount.path.clone(), directory: mount.directory });
        }
    }
    places
}

/// Returns an absolute path relative to the root, its dots taken away as text.
pub(super) fn clean(target: &Path) -> Result<PathBuf, RunError> {
    let refused = |reason| RunError::Target { target: target.to_owned(), reason };
    if !target.is_absolute() {
        return Err(refused("mount path must be absolute"));
    }
    if target.as_os_str().as_bytes().contains(&0) {
        return Err(refused("it contains a null byte"));
    }
    let mut path = PathBuf::new();
    for part in target.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            _ => {}
        }
    }
    if path.as_os_str().is_empty() { Err(refused("destination can't be '/'")) } else { Ok(path) }
}

pub(super) fn c_string(bytes: &[u8], what: &str) -> Result<CString, RunError> {
    CString::new(bytes).map_err(|_| RunError::Refused(format!("{what} contains a null byte")))
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("paths were checked for null bytes")
}

/// Returns a target that is there.
pub(super) fn existing(path: impl AsRef<Path>) -> Target {
    Target { path: c_path(path.as_ref()), make: None, plain: false }
}

/// Returns a target that the child makes where an outer mount lacks it.
fn made(path: &Path, directory: bool) -> Target {
    let mut parts = Vec::new();
    let mut parent = PathBuf::new();
    for part in path.components() {
        parts.push((c_path(&parent), c_path(part.as_ref())));
        parent.push(part);
    }
    Target { path: c_path(path), make: Some(Make { directory, parts }), plain: false }
}

pub(super) fn step(what: What, op: Op) -> Step {
    Step { what, op, optional: false }
}

fn mounting(path: &str) -> What {
    What::At("mount", Path::new("/").join(path))
}

/// Puts the steps for all mounts together.
pub(super) struct Mounter<'a> {
    pub spec: &'a ProcessSpec,
    pub host: &'a Host,
    pub usual: &'a Usual,
    pub scratch: Scratch,
    /// Steps before the host's root is left.
    pub takes: Vec<Step>,
    pub steps: Vec<Step>,
    /// Whether devices are kept from being opened elsewhere than in `/dev` by mount flags.
    pub nodev: bool,
}

impl Mounter<'_> {
    /// Adds `/proc`, `/dev` and what is below it, `/sys`.
    pub fn usual(&mut self, devpts: OwnedFd, console: bool) -> Result<(), RunError> {
        if self.usual.has("proc") {
            let instead = match (&self.spec.namespaces.pid, self.host.in_user_namespace) {
                (Namespace::Caller, true) => Some(host_tree("/proc")?),
                _ => None,
            };
            self.kernel(c"proc", "proc", QUIET, instead, false);
        }
        if self.usual.has("dev") {
            self.devices(devpts, console)?;
        }
        if self.usual.has("sys") {
            self.sys()?;
        }
        Ok(())
    }

    fn kernel(
        &mut self,
        kind: &'static std::ffi::CStr,
        path: &str,
        flags: MountAttrFlags,
        instead: Option<OwnedFd>,
        optional: bool,
    ) {
        let slot = self.takes.len();
        let op = Op::Make { kind, attributes: flags, slot, instead };
        self.takes.push(Step { what: mounting(path), op, optional });
        let target = Target { plain: true, ..existing(path) };
        self.steps.push(Step { what: mounting(path), op: Op::Give { slot, target }, optional });
    }

    /// Has a part of the scratch file system cloned in time; returns where the clone will be.
    fn take(&mut self, source: Arc<OwnedFd>, attributes: u64) -> usize {
        let slot = self.takes.len();
        let op = Op::Take { source, slot, attributes };
        self.takes.push(step(What::Plain("bind a file in memory"), op));
        slot
    }

    fn attach(&mut self, path: &str, mount: OwnedFd) {
        self.steps.push(step(mounting(path), Op::Attach { mount, target: existing(path) }));
    }

    fn devices(&mut self, devpts: OwnedFd, console: bool) -> Result<(), RunError> {
        let dev = mount::tmpfs(Some(DEV_SIZE), 0o755).map_err(RunError::mount("/dev"))?;
        let root = Root::from_fd(duplicate(&dev)?);
        let bound = self.fill_dev(&root)?;
        if console {
            root.mknod("console", FileKind::File, 0o600, (0, 0))?;
        }
        let flags = Attributes { nosuid: true, nodev: self.nodev, ..Attributes::default() };
        mount::set_attributes(&dev, flags, false).map_err(RunError::mount("/dev"))?;
        self.attach("dev", dev);
        self.attach("dev/pts", devpts);
        if console {
            let source = c"dev/pts/0".to_owned();
            let op = Op::CloneInside { source, target: existing("dev/console") };
            self.steps.push(step(mounting("dev/console"), op));
        }
        if self.usual.has("dev/shm") {
            self.shared_memory()?;
        }
        if self.usual.has("dev/mqueue") {
            let callers = matches!(self.spec.namespaces.ipc, Namespace::Caller);
            let optional = callers && self.host.in_user_namespace;
            self.kernel(c"mqueue", "dev/mqueue", QUIET, None, optional);
        }
        for name in bound {
            let path = format!("dev/{name}");
            let target = existing(&path);
            let op = match self.host.in_user_namespace {
                true => Op::Attach { mount: clone_of(host::host_device(name)?.as_fd(), &path)?, target },
                false => Op::Give { slot: self.take(self.scratch.open(name)?, 0), target },
            };
            self.steps.push(step(mounting(&path), op));
        }
        self.more_devices()
    }

    fn shared_memory(&mut self) -> Result<(), RunError> {
        let shm = match &self.spec.shm {
            SharedMemory::None => return Ok(()),
            SharedMemory::Given(mount) => duplicate(mount)?,
            SharedMemory::Own => {
                let size = Some(self.spec.shm_size);
                mount::tmpfs(size, 0o1777).map_err(RunError::mount("/dev/shm"))?
            }
        };
        let flags = Attributes { nosuid: true, nodev: true, noexec: true, ..Attributes::default() };
        mount::set_attributes(&shm, flags, false).map_err(RunError::mount("/dev/shm"))?;
        self.attach("dev/shm", shm);
        Ok(())
    }

    /// Fills `/dev`, and returns the devices that are bound over files in it.
    fn fill_dev(&self, root: &Root) -> Result<Vec<&'static str>, RunError> {
        for (directory, mode) in [("pts", 0o755), ("shm", 0o1777), ("mqueue", 0o755)] {
            if directory != "shm" || !matches!(self.spec.shm, SharedMemory::None) {
                root.create_exact_dir(directory, mode)?;
            }
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("core", "/proc/kcore"),
            ("ptmx", "pts/ptmx"),
        ] {
            // As runc has it: no link to a kernel image that this kernel does not show.
            if name != "core" || crate::fs::is_there(std::path::Path::new(target)) {
                root.symlink(target, name)?;
            }
        }
        let mut bound = Vec::new();
        for (name, number) in DEFAULT_DEVICES {
            if self.nodev || self.host.in_user_namespace {
                root.mknod(name, FileKind::File, 0o666, (0, 0))?;
                bound.push(name);
            } else {
                root.mknod(name, FileKind::CharDevice, 0o666, number)?;
                root.set_mode(name, 0o666)?;
            }
        }
        if self.spec.privileged && !self.host.in_user_namespace {
            for HostDevice { device, kind, number, mode } in host::host_devices()? {
                let path = device.target.strip_prefix("/dev").expect("it is below /dev").to_owned();
                root.create_dir_all(path.parent().unwrap_or(Path::new("")), 0o755)?;
                // The usual ones are there already.
                let _ = root.mknod(&path, kind, mode, number);
            }
        }
        Ok(bound)
    }

    fn more_devices(&mut self) -> Result<(), RunError> {
        let mut all: Vec<(PathBuf, OwnedFd)> = Vec::new();
        for device in &self.spec.devices {
            all.push((clean(&device.target)?, clone_of(device.source.as_fd(), "a device")?));
        }
        for node in &self.spec.device_nodes {
            let path = clean(&node.target)?;
            if !self.host.in_user_namespace {
                let source = self.scratch.device(node)?;
                let op = Op::Give { slot: self.take(source, 0), target: made(&path, false) };
                self.steps.push(step(What::At("mount", Path::new("/").join(&path)), op));
                continue;
            }
            let like = node.like.as_ref().ok_or_else(|| {
                let path = node.target.display();
                RunError::Refused(format!(
                    "an ordinary user can't make the device {path}, and the host has none"
                ))
            })?;
            all.push((path, clone_of(like.as_fd(), "a device")?));
        }
        if self.spec.privileged && self.host.in_user_namespace {
            for HostDevice { device, .. } in host::host_devices()? {
                let path = clean(&device.target)?;
                if !DEFAULT_DEVICES.iter().any(|(name, _)| path == Path::new("dev").join(name)) {
                    all.push((path, clone_of(device.source.as_fd(), "a device")?));
                }
            }
        }
        for (path, mount) in all {
            let op = Op::Attach { mount, target: made(&path, false) };
            self.steps.push(step(What::At("mount", Path::new("/").join(&path)), op));
        }
        Ok(())
    }

    fn sys(&mut self) -> Result<(), RunError> {
        let writable = self.spec.privileged;
        let instead = match self.host.in_user_namespace {
            true => {
                let tree = host_tree("/sys")?;
                if !writable {
                    let flags = Attributes { read_only: true, ..Attributes::default() };
                    mount::set_attributes(&tree, flags, true).map_err(RunError::mount("/sys"))?;
                }
                Some(tree)
            }
            false => None,
        };
        let flags = if writable { QUIET } else { QUIET | MountAttrFlags::MOUNT_ATTR_RDONLY };
        match (matches!(self.spec.network, Network::Host), instead) {
            // Only who owns the network namespace may mount its sysfs.
            (true, Some(tree)) => self.attach("sys", tree),
            (_, instead) => self.kernel(c"sysfs", "sys", flags, instead, false),
        }
        if self.usual.has("sys/fs/cgroup") && super::cgroup::is_unified() {
            self.kernel(c"cgroup2", "sys/fs/cgroup", flags, None, true);
        }
        Ok(())
    }

    /// Adds a mount that was asked for.
    pub fn add(&mut self, placed: &Placed<'_>) -> Result<(), RunError> {
        let Placed { mount: wanted, path, directory } = placed;
        let target = made(path, *directory);
        let attributes = Attributes {
            read_only: wanted.read_only,
            nosuid: wanted.nosuid,
            nodev: wanted.nodev || self.nodev,
            noexec: wanted.noexec,
        };
        let what = wanted.target.display().to_string();
        let op = match &wanted.source {
            MountSource::File { bytes, mode, uid, gid } => {
                let source = self.scratch.file(self.host, bytes, *mode, (*uid, *gid))?;
                Op::Give { slot: self.take(source, attribute_bits(attributes)), target }
            }
            MountSource::Bind(fd) => {
                let tree = mount::clone_tree(fd.as_fd(), wanted.recursive).map_err(RunError::mount(&what))?;
                set_propagation(&tree, wanted.propagation, &what)?;
                if wanted.writable_below {
                    mount::set_attributes(&tree, attributes, false).map_err(RunError::mount(&what))?;
                }
                let below =
                    Attributes { read_only: wanted.read_only && !wanted.writable_below, ..attributes };
                mount::set_attributes(&tree, below, true).map_err(RunError::mount(&what))?;
                Op::Attach { mount: tree, target }
            }
            MountSource::Detached(fd) => {
                let tree = duplicate(fd)?;
                mount::set_attributes(&tree, attributes, true).map_err(RunError::mount(&what))?;
                Op::Attach { mount: tree, target }
            }
            MountSource::Tmpfs { size, mode } => {
                let tree = mount::tmpfs(*size, *mode).map_err(RunError::mount(&what))?;
                mount::set_attributes(&tree, attributes, false).map_err(RunError::mount(&what))?;
                Op::Attach { mount: tree, target }
            }
            MountSource::Overlay { .. } => {
                let tree = overlay(&wanted.source, &what)?;
                mount::set_attributes(&tree, attributes, false).map_err(RunError::mount(&what))?;
                Op::Attach { mount: tree, target }
            }
        };
        self.steps.push(step(What::At("mount", wanted.target.clone()), op));
        Ok(())
    }

    /// Adds what hides paths and makes them read-only.
    pub fn restrict(&mut self) -> Result<(), RunError> {
        if self.spec.privileged {
            return Ok(());
        }
        let masked = self.spec.masked_paths.iter().chain(&self.host.extra_masked_paths);
        if self.spec.masked_paths.is_empty() && self.spec.read_only_paths.is_empty() {
            return Ok(());
        }
        let directory = self.scratch.empty_directory()?;
        let file: Arc<OwnedFd> = match self.host.in_user_namespace {
            // An empty file that nobody may read does as well as the null device.
            true => self.scratch.file(self.host, b"", 0o444, (0, 0))?,
            false => self.scratch.open("null")?,
        };
        let (file, directory) = (self.take(file, 0), self.take(directory, libc::MOUNT_ATTR_RDONLY));
        for path in masked {
            let op = Op::Mask { target: existing(clean(path)?), file, directory };
            self.steps.push(step(What::At("mask", path.clone()), op));
        }
        for path in &self.spec.read_only_paths {
            let op = Op::ReadOnly(existing(clean(path)?));
            self.steps.push(step(What::At("make read-only", path.clone()), op));
        }
        Ok(())
    }
}

fn attribute_bits(attributes: Attributes) -> u64 {
    [
        (attributes.read_only, libc::MOUNT_ATTR_RDONLY),
        (attributes.nosuid, libc::MOUNT_ATTR_NOSUID),
        (attributes.nodev, libc::MOUNT_ATTR_NODEV),
        (attributes.noexec, libc::MOUNT_ATTR_NOEXEC),
    ]
    .into_iter()
    .filter(|(wanted, _)| *wanted)
    .fold(0, |bits, (_, bit)| bits | bit)
}

fn set_propagation(tree: &OwnedFd, propagation: Propagation, what: &str) -> Result<(), RunError> {
    let kind = match propagation {
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::Slave => libc::MS_SLAVE,
        Propagation::Shared => return Ok(()),
    };
    mount_setattr(tree.as_fd(), true, MountChange { propagation: kind, ..MountChange::default() })
        .map_err(|e| RunError::setup(format!("set the propagation of {what}"), e))
}

fn clone_of(fd: std::os::fd::BorrowedFd<'_>, what: &str) -> Result<OwnedFd, RunError> {
    let tree = mount::clone_tree(fd, false).map_err(RunError::mount(what))?;
    set_propagation(&tree, Propagation::Private, what)?;
    Ok(tree)
}

/// Returns a private copy of a tree of the host's mounts.
fn host_tree(path: &str) -> Result<OwnedFd, RunError> {
    let root = Root::open(path.as_ref())?;
    let tree = mount::clone_tree(root.as_fd(), true).map_err(RunError::mount(path))?;
    set_propagation(&tree, Propagation::Private, path)?;
    Ok(tree)
}

fn overlay(source: &MountSource, what: &str) -> Result<OwnedFd, RunError> {
    let MountSource::Overlay { lowers, upper, userxattr } = source else {
        return Err(RunError::Refused("not an overlay".into()));
    };
    let memory;
    let (upper_dir, work_dir) = match upper {
        Some(upper) => (upper.upper.clone(), upper.work.clone()),
        None => {
            memory = Root::from_fd(mount::tmpfs(None, 0o755).map_err(RunError::mount(what))?);
            memory.create_exact_dir("upper", 0o755)?;
            memory.create_exact_dir("work", 0o755)?;
            // The root of an overlay looks like its upper directory.
            if let Some(top) = lowers.first() {
                let stat = stat_fd(top)?;
                memory.set_owner("upper", stat.uid, stat.gid)?;
                memory.set_mode("upper", stat.mode)?;
                memory.set_times("upper", stat.mtime)?;
            }
            (memory.dir("upper")?, memory.dir("work")?)
        }
    };
    let lowers: Vec<_> = lowers.iter().map(AsFd::as_fd).collect();
    mount::overlay(&OverlayOptions {
        lowers: &lowers,
        upper: Some((upper_dir.as_fd(), work_dir.as_fd())),
        volatile: true,
        userxattr: *userxattr,
    })
    .map_err(RunError::mount(what))
}
