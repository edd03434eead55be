//! Limits by cgroup: a leaf per process that asks for any, in whatever hierarchies the machine has.
//!
//! | layout | controllers |
//! |---|---|
//! | unified | all in one tree (v2), mounted at `/sys/fs/cgroup` |
//! | legacy | a tree each (v1), at `/sys/fs/cgroup/NAME` |
//! | hybrid | v1 trees, and a v2 one beside them that has the rest |
//! | none | none; every limit becomes a warning |
//!
//! The leaf is made below the caller's own cgroup (in v2, below the nearest ancestor that can have children with
//! controllers, for a cgroup with processes cannot; where there is none but the caller's own may be changed, its
//! processes move into a child of it). Only controllers that a limit needs are touched, for moving a process
//! into a cgroup is among the dearest steps of its start. The child moves itself, so nothing of it runs outside.
//! A leaf goes when it is dropped.

mod extend;
mod find;
mod io;
mod kinds;
mod members;
mod usage;
mod v1;
mod v2;

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::{RunError, Warning};
use super::spec::{Device, Limits};
use crate::fs::{FileKind, Root, stat_fd};

pub use extend::lacks_cgroups;
pub(super) use find::is_unified;
pub(super) use io::device_number;
pub use kinds::LimitKinds;
pub use members::{
    cgroup_processes, freeze_cgroup, join_cgroup, left_cgroups, own_cgroups, remove_cgroup, thaw_cgroup,
    update_cgroup,
};
pub use usage::CgroupUsage;

/// How long the last processes of a leaf may take to vanish; a machine that is busy lets them wait.
const VANISHING: Duration = Duration::from_secs(10);

/// Device files that every container may use: type, numbers, access. Making any is allowed, opening is not.
pub(super) const DEVICE_RULES: [&str; 11] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:1 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// The cgroups of one process.
#[derive(Debug)]
pub(super) struct Leaf {
    groups: Vec<Group>,
    devices: bool,
}

/// One directory of a leaf.
#[derive(Debug)]
struct Group {
    parent: Root,
    name: String,
    root: Root,
    /// The file into which a process writes itself.
    list: &'static str,
    /// The file that counts kills for lack of memory, if the group limits that.
    oom_file: Option<&'static str>,
}

impl Group {
    /// Only there do whole processes enter, rather than threads.
    fn is_unified(&self) -> bool {
        self.list == "cgroup.procs"
    }
}

impl Leaf {
    /// Makes what the limits need; none when there are no limits. What can't be limited becomes a warning.
    ///
    /// # Errors
    /// The kernel refuses a value.
    pub fn make(
        limits: &Limits,
        devices: &[Device],
        own: Option<&str>,
    ) -> Result<(Option<Self>, Vec<Warning>), RunError> {
        let mut warnings = Vec::new();
        if limits.is_empty() && own.is_none() {
            return Ok((None, warnings));
        }
        let found = find::Hierarchies::find()?;
        let mut leaf = Self { groups: Vec::new(), devices: false };
        let name = match own {
            Some(name) => name.to_owned(),
            None => name()?,
        };
        let rest = v1::apply(&mut leaf, &found, &name, limits, devices, &mut warnings)?;
        v2::apply(&mut leaf, &found, &name, limits, &rest, &mut warnings)?;
        if own.is_some() {
            v2::group(&mut leaf, &found, &name, limits);
            if found.v2.is_none() {
                v1::freezer(&mut leaf, &found, &name, limits);
            }
        }
        let some = !leaf.groups.is_empty();
        Ok((some.then_some(leaf), warnings))
    }

    /// Whether device files are controlled by number.
    pub fn controls_devices(&self) -> bool {
        self.devices
    }

    /// Returns the directories.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.groups.iter().map(|group| group.root.name().to_owned()).collect()
    }

    /// Returns the open files into which the process writes itself, and whether one is of the unified hierarchy.
    pub fn process_lists(&self) -> Result<Vec<(OwnedFd, bool)>, RunError> {
        let open = |group: &Group| {
            let list = open_to_write(&group.root, group.list);
            list.map(|list| (list, group.is_unified())).map_err(|e| RunError::setup("join the cgroup", e))
        };
        self.groups.iter().map(open).collect()
    }

    /// Returns the directory in the unified hierarchy.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn unified(&self) -> Result<Option<OwnedFd>, RunError> {
        let found = self.groups.iter().find(|group| group.is_unified());
        Ok(found.map(|group| group.root.to_owned_fd()).transpose()?)
    }

    /// Whether a process was killed for lack of memory.
    pub fn out_of_memory(&self) -> bool {
        let kills = |group: &Group| {
            let text = group.root.read(group.oom_file?, 4096).ok()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse::<u64>().ok())
        };
        self.groups.iter().filter_map(kills).any(|count| count > 0)
    }

    /// Kills what is left inside and removes it.
    pub fn remove(self) {}

    fn add(
        &mut self,
        parent: &Root,
        name: &str,
        list: &'static str,
    ) -> Result<&mut Group, crate::fs::FsError> {
        parent.create_dir(name, 0o755)?;
        let root = parent.dir(name)?;
        let group = Group { parent: parent.clone(), name: name.to_owned(), root, list, oom_file: None };
        self.groups.push(group);
        Ok(self.groups.last_mut().expect("one was just added"))
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        let limit = Instant::now() + VANISHING;
        for group in &self.groups {
            remove(&group.parent, group.name.as_ref(), &group.root, limit);
        }
    }
}

/// Removes a cgroup, with what still runs in it and the cgroups that were made there; what can't be removed before `limit` stays.
fn remove(parent: &Root, name: &OsStr, root: &Root, limit: Instant) {
    let mut again = false;
    while let Err(error) = parent.remove_dir(name) {
        if error.kind() != std::io::ErrorKind::ResourceBusy || Instant::now() > limit {
            return;
        }
        // Frozen processes of v1 would not die.
        let _ = write(root, "freezer.state", "THAWED");
        kill(root);
        let below = root.entries(".").unwrap_or_default();
        for entry in below.iter().filter(|entry| entry.kind == Some(FileKind::Directory)) {
            let name = OsStr::from_bytes(&entry.name);
            if let Ok(inner) = root.dir(name) {
                remove(root, name, &inner, limit);
            }
        }
        if again {
            std::thread::sleep(Duration::from_millis(1));
        }
        again = true;
    }
}

/// Kills all processes of a cgroup.
fn kill(root: &Root) {
    if write(root, "cgroup.kill", "1").is_ok() {
        return;
    }
    let processes = root.read("cgroup.procs", 1 << 20).unwrap_or_default();
    for line in String::from_utf8_lossy(&processes).lines() {
        if let Some(pid) = line.parse().ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Returns a name that no other leaf has.
fn name() -> Result<String, RunError> {
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| RunError::setup("name a cgroup", e))?;
    Ok(format!("skiff-{:016x}", u64::from_ne_bytes(random)))
}

fn open_to_write(root: &Root, file: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(root.as_fd(), file, flags, Mode::empty(), resolve)
}

fn write(root: &Root, file: &str, value: &str) -> Result<(), Errno> {
    rustix::io::write(open_to_write(root, file)?, value.as_bytes()).map(drop)
}

/// Writes a limit; where the controller or the right is missing, it becomes a warning.
fn limit(
    root: &Root,
    file: &str,
    value: &str,
    what: &str,
    warnings: &mut Vec<Warning>,
) -> Result<(), RunError> {
    match write(root, file, value) {
        Ok(()) => Ok(()),
        Err(errno @ (Errno::NOENT | Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::OPNOTSUPP)) => {
            let why = std::io::Error::from(errno);
            warnings.push(Warning(format!("the {what} is not limited: cgroup file {file}: {why}")));
            Ok(())
        }
        Err(errno) => Err(RunError::setup(format!("limit the {what} to {value}"), errno)),
    }
}

/// Returns the whole device list: the default ones, those shown to the process, and further rules.
fn device_rules(limits: &Limits, devices: &[Device]) -> Result<Vec<String>, RunError> {
    let mut rules: Vec<String> = DEVICE_RULES.iter().map(|rule| (*rule).to_owned()).collect();
    for device in devices {
        let stat = stat_fd(&device.source)?;
        let letter = if stat.kind == FileKind::BlockDevice { 'b' } else { 'c' };
        let (major, minor) = stat.rdev;
        rules.push(format!("{letter} {major}:{minor} {}", device.access));
    }
    rules.extend(limits.device_rules.iter().cloned());
    Ok(rules)
}

/// A resource that limits may be about, by its controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Controller {
    Memory,
    Cpu,
    Cpuset,
    Pids,
    Io,
    Devices,
}

impl Controller {
    /// Returns its name in the v2 hierarchy.
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Cpuset => "cpuset",
            Self::Pids => "pids",
            Self::Io => "io",
            Self::Devices => "devices",
        }
    }

    /// Returns the name of its v1 hierarchy.
    fn old_name(self) -> &'static str {
        if self == Self::Io { "blkio" } else { self.name() }
    }

    /// Returns those that the limits need.
    fn needed(limits: &Limits) -> Vec<Self> {
        let l = limits;
        [
            (
                l.memory.is_some()
                    || l.memory_swap.is_some()
                    || l.memory_reservation.is_some()
                    || l.swappiness.is_some()
                    || l.oom_kill_disable,
                Self::Memory,
            ),
            (
                l.cpu_quota.is_some()
                    || l.cpu_period.is_some()
                    || l.cpu_shares.is_some()
                    || l.cpu_rt_period.is_some()
                    || l.cpu_rt_runtime.is_some(),
                Self::Cpu,
            ),
            (l.cpuset_cpus.is_some() || l.cpuset_mems.is_some(), Self::Cpuset),
            (l.pids.is_some(), Self::Pids),
            (!l.io.is_empty(), Self::Io),
            (l.devices || !l.device_rules.is_empty(), Self::Devices),
        ]
        .into_iter()
        .filter_map(|(needed, controller)| needed.then_some(controller))
        .collect()
    }
}

/// Returns memory and swap together as docker has it: twice the memory unless given.
fn memory_and_swap(limits: &Limits) -> Option<u64> {
    limits.memory_swap.or_else(|| limits.memory.map(|memory| memory.saturating_mul(2)))
}
