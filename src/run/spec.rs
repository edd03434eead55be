//! What to run: a process, its root, its mounts, its limits. Plain data; the defaults are docker's.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::caps::CapSet;
use super::hooks::Hooks;
pub use super::limits::{BlockIo, DeviceValue, Limits};
use super::user::User;
use crate::fs::{FileKind, Root};

/// A process to start.
#[derive(Debug)]
pub struct ProcessSpec {
    /// The command and its arguments.
    pub args: Vec<Vec<u8>>,
    /// The whole environment, in order.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Working directory; made with mode 0755 when it is missing.
    pub cwd: PathBuf,
    /// Whether a working directory that had to be made belongs to the user rather than to root.
    pub user_owns_cwd: bool,
    /// Who runs it.
    pub user: User,
    /// Host name in a namespace of its own; none keeps the host's name and namespace.
    pub hostname: Option<String>,
    /// NIS domain name, with a host name only.
    pub domainname: Option<String>,
    /// What network it sees.
    pub network: Network,
    /// Namespaces that are not shared with the caller.
    pub namespaces: Namespaces,
    /// Further mounts in any order; parents are mounted first. One on a default's target replaces it.
    pub mounts: Vec<Mount>,
    /// Device files beside the default ones.
    pub devices: Vec<Device>,
    /// Device files that are made for the container alone.
    pub device_nodes: Vec<DeviceNode>,
    /// Bounding set, and for root the effective one.
    pub capabilities: CapSet,
    /// Which system calls are allowed.
    pub seccomp: Seccomp,
    /// Whether execve may no longer give privileges.
    pub no_new_privileges: bool,
    /// Limits to set; one above the hard limit is clamped to it where it can't be raised.
    pub rlimits: Vec<Rlimit>,
    /// Paths that show nothing.
    pub masked_paths: Vec<PathBuf>,
    /// Paths that can't be written.
    pub read_only_paths: Vec<PathBuf>,
    /// Kernel parameters (`net.ipv4.ip_forward`) with their values.
    pub sysctls: Vec<Sysctl>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// Whether `/dev/shm` is its own.
    pub shm: SharedMemory,
    /// Limits that need a cgroup.
    pub limits: Limits,
    /// Name of a cgroup that is made for the process even when nothing is limited, where that is possible: to freeze,
    /// count and kill all its processes together.
    pub cgroup: Option<String>,
    /// Added to the badness of the process when memory runs out.
    pub oom_score_adj: Option<i32>,
    /// Whether a small init is process 1, which reaps zombies and hands signals on.
    pub init: bool,
    /// All capabilities and host devices; no seccomp, masked or read-only paths; `/sys` writable.
    pub privileged: bool,
    /// Whether the process is killed when the thread that started it ends.
    pub dies_with_thread: bool,
    /// What is done while it is being made.
    pub hooks: Option<Arc<dyn Hooks>>,
    /// Whether the root's mount is taken apart beside what the caller does after the wait; it is gone for certain when
    /// the [`Running`](super::Running) is dropped.
    pub root_ends_beside: bool,
}

impl Default for ProcessSpec {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            env: vec![(b"PATH".to_vec(), DEFAULT_PATH.as_bytes().to_vec())],
            cwd: PathBuf::from("/"),
            user_owns_cwd: false,
            user: User::default(),
            hostname: None,
            domainname: None,
            network: Network::None,
            namespaces: Namespaces::default(),
            mounts: Vec::new(),
            devices: Vec::new(),
            device_nodes: Vec::new(),
            capabilities: CapSet::DEFAULT,
            seccomp: Seccomp::Default,
            no_new_privileges: false,
            rlimits: Vec::new(),
            masked_paths: MASKED_PATHS.iter().map(PathBuf::from).collect(),
            read_only_paths: READ_ONLY_PATHS.iter().map(PathBuf::from).collect(),
            sysctls: Vec::new(),
            shm_size: 64 << 20,
            shm: SharedMemory::Own,
            limits: Limits::default(),
            cgroup: None,
            oom_score_adj: None,
            init: false,
            privileged: false,
            dies_with_thread: false,
            hooks: None,
            root_ends_beside: false,
        }
    }
}

/// The search path of a process whose image names none.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Paths that docker hides; `thermal_throttle` of every CPU is added where it exists.
pub const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths that docker makes read-only.
pub const READ_ONLY_PATHS: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Which network a process sees.
#[derive(Debug, Clone, Default)]
pub enum Network {
    /// Its own loopback interface.
    #[default]
    None,
    /// The caller's.
    Host,
    /// A namespace that was prepared.
    Join(Arc<OwnedFd>),
}

/// Which namespaces a process has.
#[derive(Debug, Clone)]
pub struct Namespaces {
    /// Process ids.
    pub pid: Namespace,
    /// System V IPC and message queues.
    pub ipc: Namespace,
    /// The view of cgroups: its own, or the caller's.
    pub cgroup: bool,
}

impl Default for Namespaces {
    fn default() -> Self {
        Self { pid: Namespace::Own, ipc: Namespace::Own, cgroup: true }
    }
}

/// A namespace of a process.
#[derive(Debug, Clone, Default)]
pub enum Namespace {
    /// A new one.
    #[default]
    Own,
    /// The caller's.
    Caller,
    /// That of another process, by a descriptor of it (pidfd_open(2)).
    Of(Arc<OwnedFd>),
}

impl Namespace {
    /// Whether it is a new one.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }
}

/// What `/dev/shm` is.
#[derive(Debug, Default)]
pub enum SharedMemory {
    /// Memory of the process's own, [`ProcessSpec::shm_size`] at most.
    #[default]
    Own,
    /// It is not there.
    None,
    /// A mount that is attached nowhere yet, for one start.
    Given(OwnedFd),
}

/// A mount inside the root.
#[derive(Debug)]
pub struct Mount {
    /// Absolute path in the container; made when missing, and removed again.
    pub target: PathBuf,
    /// What is shown there.
    pub source: MountSource,
    /// Whether nothing can be written, mounts below included.
    pub read_only: bool,
    /// Whether mounts below can be written all the same.
    pub writable_below: bool,
    /// Whether set-user-id files give nothing.
    pub nosuid: bool,
    /// Whether nothing can be executed.
    pub noexec: bool,
    /// Whether device files can't be opened even where devices are controlled otherwise.
    pub nodev: bool,
    /// Whether mounts below the source of a bind come along.
    pub recursive: bool,
    /// What mounts made later on one side mean to the other.
    pub propagation: Propagation,
}

impl Mount {
    /// Returns a writable mount without further flags.
    pub fn new(target: impl Into<PathBuf>, source: MountSource) -> Self {
        Self {
            target: target.into(),
            source,
            read_only: false,
            writable_below: false,
            nosuid: false,
            noexec: false,
            nodev: false,
            recursive: true,
            propagation: Propagation::Private,
        }
    }

    /// Returns the mount, read-only or not.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Returns docker's `--tmpfs` without options: `rw,noexec,nosuid,nodev`.
    pub fn tmpfs(target: impl Into<PathBuf>) -> Self {
        let mount = Self::new(target, MountSource::Tmpfs { size: None, mode: 0o1777 });
        Self { nosuid: true, noexec: true, nodev: true, ..mount }
    }

    /// Returns a small file that lives in memory, such as `/etc/hosts` or a secret.
    pub fn file(target: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>, mode: u32) -> Self {
        Self::new(target, MountSource::File { bytes: bytes.into(), mode, uid: 0, gid: 0 })
    }
}

/// What a mount shows.
#[derive(Debug)]
pub enum MountSource {
    /// A directory or file, also an `O_PATH` descriptor of one.
    Bind(OwnedFd),
    /// A mount that is attached nowhere yet, for one start.
    Detached(OwnedFd),
    /// An empty file system in memory of at most `size` bytes.
    Tmpfs { size: Option<u64>, mode: u32 },
    /// A writable view of directories (topmost first). Without an upper directory what is written goes to memory and is lost.
    Overlay { lowers: Vec<OwnedFd>, upper: Option<UpperDir>, userxattr: bool },
    /// A file in memory.
    File { bytes: Vec<u8>, mode: u32, uid: u32, gid: u32 },
}

/// How mount events pass between a mount and its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Propagation {
    /// Not at all.
    #[default]
    Private,
    /// From the host to the container.
    Slave,
    /// Both ways.
    Shared,
}

/// A device file of the host shown to the process.
#[derive(Debug)]
pub struct Device {
    /// Absolute path in the container.
    pub target: PathBuf,
    /// The device file, an `O_PATH` descriptor.
    pub source: OwnedFd,
    /// Allowed access for the cgroup: letters of `rwm`.
    pub access: String,
}

/// A device file with an owner and a mode of its own.
#[derive(Debug)]
pub struct DeviceNode {
    /// Absolute path in the container.
    pub target: PathBuf,
    /// A device of characters or of blocks.
    pub kind: FileKind,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Bits of its mode.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// The host's file of that device, which is shown where none can be made: in a user namespace.
    pub like: Option<OwnedFd>,
}

/// Which system calls are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// Docker's default profile.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// A profile in docker's JSON format.
    Profile(String),
}

/// A kernel parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sysctl {
    /// Name with dots or slashes.
    pub key: String,
    /// Value as written.
    pub value: String,
    /// Whether it is left out silently where the kernel refuses it.
    pub optional: bool,
}

impl Sysctl {
    /// Returns what docker sets in a network namespace of the container's own.
    pub fn network_defaults() -> Vec<Self> {
        [("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")]
            .map(|(key, value)| Self { key: key.into(), value: value.into(), optional: true })
            .into()
    }
}

/// A resource limit of setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimit {
    /// Which.
    pub resource: Resource,
    /// Soft limit; none is unlimited.
    pub soft: Option<u64>,
    /// Hard limit; none is unlimited.
    pub hard: Option<u64>,
}

/// A resource that setrlimit(2) limits.
pub use rustix::process::Resource;

/// Returns the resource that docker's `--ulimit` calls `name`.
pub fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}

/// The directories of an overlay's writable side, on one file system.
#[derive(Debug)]
pub struct UpperDir {
    /// Where changes go.
    pub upper: Root,
    /// The kernel's work directory.
    pub work: Root,
}

/// The root of a process.
#[derive(Debug, Default)]
pub struct Rootfs {
    /// Directories of the layers, topmost first; may be empty.
    pub lowers: Vec<OwnedFd>,
    /// Where changes go; none is for a root that is only read.
    pub upper: Option<UpperDir>,
    /// Whether the process can't write to it.
    pub read_only: bool,
    /// Whether overlay marks are kept in `user.overlay.*`.
    pub userxattr: bool,
}

/// Where a process reads and writes.
#[derive(Debug)]
pub struct Io {
    /// Standard input, unless there is a terminal.
    pub stdin: Input,
    /// Standard output and error.
    pub output: Output,
}

/// Standard input.
#[derive(Debug, Default)]
pub enum Input {
    /// Empty.
    #[default]
    Null,
    /// A descriptor, e.g. the read end of a pipe.
    Fd(OwnedFd),
}

/// Standard output and error.
#[derive(Debug)]
pub enum Output {
    /// Two descriptors, e.g. write ends of pipes.
    Pipes { stdout: OwnedFd, stderr: OwnedFd },
    /// A terminal of the container's own, standard input included; [`super::Running::terminal`] gives its other end.
    Terminal { rows: u16, columns: u16 },
    /// Nowhere.
    Null,
}
