//! What is done to a cgroup from outside, by its path: by a process other than the one that made it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::super::error::{RunError, Warning};
use super::super::spec::Limits;
use super::find::Hierarchies;
use super::{Controller, open_to_write, v1, v2, write};
use crate::fs::{Follow, Root};

/// How long processes may take to freeze.
const FREEZING: Duration = Duration::from_secs(10);

/// Kills what is in a cgroup that somebody left, and removes it; what can't be removed before `limit` stays.
pub fn remove_cgroup(path: &Path, limit: Instant) {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
    let Ok(parent) = Root::open(parent) else { return };
    let Ok(root) = parent.dir(name) else { return };
    super::remove(&parent, name, &root, limit);
}

/// Returns in which cgroups this process is, as [`left_cgroups`] wants it.
pub fn own_cgroups() -> String {
    let own = Root::open("/proc/self".as_ref()).and_then(|own| own.read("cgroup", 1 << 20));
    String::from_utf8_lossy(&own.unwrap_or_default()).into_owned()
}

/// Returns the cgroups of a name that a process made and did not come to note; `own` is where it was itself, `parent`
/// where cgroups were to be made instead.
pub fn left_cgroups(own: &str, parent: Option<&Path>, name: &str) -> Vec<PathBuf> {
    let Ok(found) = Hierarchies::with_own(own) else { return Vec::new() };
    let mut places = Vec::new();
    for (point, own) in
        found.v1.iter().map(|(_, point, own)| (point, own)).chain(found.v2.iter().map(|(p, o)| (p, o)))
    {
        places.extend(parent.map(|parent| point.join(parent)));
        places.extend(own.ancestors().map(|path| point.join(path)));
    }
    let mut left: Vec<PathBuf> = places.into_iter().map(|place| place.join(name)).collect();
    left.sort();
    left.dedup();
    left.retain(|path| crate::fs::is_directory(path));
    left
}

/// Returns the numbers of the processes in the first of these cgroups that says.
pub fn cgroup_processes(paths: &[PathBuf]) -> Vec<i32> {
    for path in paths {
        let Ok(bytes) = Root::open(path).and_then(|root| root.read("cgroup.procs", 1 << 22)) else {
            continue;
        };
        return String::from_utf8_lossy(&bytes).lines().filter_map(|line| line.parse().ok()).collect();
    }
    Vec::new()
}

/// Makes all processes of these cgroups stand still.
///
/// # Errors
/// None of them can be frozen, or it takes too long.
pub fn freeze_cgroup(paths: &[PathBuf]) -> io::Result<()> {
    set(paths, true)
}

/// Lets them go on.
///
/// # Errors
/// None of them can be frozen, or it takes too long.
pub fn thaw_cgroup(paths: &[PathBuf]) -> io::Result<()> {
    set(paths, false)
}

fn set(paths: &[PathBuf], freeze: bool) -> io::Result<()> {
    for path in paths {
        let Ok(root) = Root::open(path) else { continue };
        let (file, value, look, wanted) = if matches!(root.stat("cgroup.freeze", Follow::No), Ok(Some(_))) {
            let value = if freeze { "1" } else { "0" };
            ("cgroup.freeze", value, "cgroup.events", format!("frozen {value}"))
        } else if matches!(root.stat("freezer.state", Follow::No), Ok(Some(_))) {
            let value = if freeze { "FROZEN" } else { "THAWED" };
            ("freezer.state", value, "freezer.state", value.to_owned())
        } else {
            continue;
        };
        write(&root, file, value)?;
        let limit = Instant::now() + FREEZING;
        while Instant::now() < limit {
            let text = root.read(look, 4096).map_err(|e| e.source)?;
            if String::from_utf8_lossy(&text).lines().any(|line| line == wanted) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        return Err(io::ErrorKind::TimedOut.into());
    }
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "it has no cgroup that can be frozen; an ordinary user's containers have one where systemd delegates it \
         (loginctl enable-linger, a user session)",
    ))
}

/// Returns a file that a cgroup has if it has the controller; `old` are those of v1.
pub(super) fn limits_file(controller: Controller, old: bool) -> &'static str {
    match (controller, old) {
        (Controller::Memory, true) => "memory.limit_in_bytes",
        (Controller::Memory, false) => "memory.max",
        (Controller::Cpu, true) => "cpu.shares",
        (Controller::Cpu, false) => "cpu.weight",
        (Controller::Cpuset, _) => "cpuset.cpus",
        (Controller::Pids, _) => "pids.max",
        (Controller::Io, true) => "blkio.reset_stats",
        (Controller::Io, false) => "io.stat",
        (Controller::Devices, _) => "devices.allow",
    }
}

/// Changes the limits of a container that runs; what is not given stays.
///
/// # Errors
/// None of its cgroups has the controller, or the kernel refuses a value.
pub fn update_cgroup(paths: &[PathBuf], limits: &Limits) -> Result<Vec<Warning>, RunError> {
    let mut warnings = Vec::new();
    for controller in Controller::needed(limits) {
        let mut set = false;
        for root in paths.iter().filter_map(|path| Root::open(path).ok()) {
            let old = matches!(root.stat("tasks", Follow::No), Ok(Some(_)));
            if matches!(root.stat(limits_file(controller, old), Follow::No), Ok(Some(_))) {
                match old {
                    true => v1::change(&root, controller, limits, &mut warnings)?,
                    false => v2::set(&root, controller, limits, &mut warnings)?,
                }
                set = true;
            }
        }
        if !set {
            return Err(RunError::Refused(format!(
                "it was started without a cgroup for {}; stop it, update it and start it again",
                controller.name()
            )));
        }
    }
    Ok(warnings)
}

/// Opens the lists of a container's cgroups, for a process to join by writing "0".
pub fn join_cgroup(paths: &[PathBuf]) -> Vec<OwnedFd> {
    let open = |path: &PathBuf| -> Option<OwnedFd> {
        let root = Root::open(path).ok()?;
        match open_to_write(&root, "tasks") {
            Err(Errno::NOENT) => open_to_write(&root, "cgroup.procs").ok(),
            other => other.ok(),
        }
    };
    paths.iter().filter_map(open).collect()
}
