//! What a container has of another one that runs: its `/dev/shm`; and which processes are in a container.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::error::RunError;
use super::sys;
use crate::fs::{Root, mount, mount_namespace_of};

/// Returns the `/dev/shm` that a process sees once more: the same memory, attached nowhere yet.
///
/// # Errors
/// The process has ended, has none, or is not the caller's to look at.
pub fn shared_memory(process: BorrowedFd<'_>) -> Result<OwnedFd, RunError> {
    // Only who is in a mount namespace may clone its mounts.
    aside(|| {
        enter(process)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = rustix::fs::openat2(CWD, "/dev/shm", flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
        let place = place.map_err(|e| RunError::setup("open the other container's /dev/shm", e))?;
        mount::clone_tree(place.as_fd(), false).map_err(RunError::mount("/dev/shm"))
    })
}

/// Shows a mount once more that is attached nowhere and was made in another mount namespace: the kernel clones it only
/// there (from Linux 6.15 on).
///
/// # Errors
/// The namespace is not the caller's to enter, or the kernel refuses.
pub fn clone_in(namespace: BorrowedFd<'_>, tree: BorrowedFd<'_>) -> Result<OwnedFd, RunError> {
    aside(|| {
        enter(namespace)?;
        mount::clone_tree(tree, false).map_err(RunError::mount("a volume"))
    })
}

/// Only a thread that shares its directories with no other may enter a mount namespace, and it need not come back.
fn enter(namespace: BorrowedFd<'_>) -> Result<(), RunError> {
    let failed = |e| RunError::setup("enter the other container's mounts", e);
    sys::unshare(libc::CLONE_FS).map_err(failed)?;
    sys::set_namespace(namespace, libc::CLONE_NEWNS).map_err(failed)
}

pub(super) fn aside<T: Send>(work: impl FnOnce() -> Result<T, RunError> + Send) -> Result<T, RunError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("look".to_owned()).spawn_scoped(scope, work);
        let thread = thread.map_err(|e| RunError::setup("start a thread", e))?;
        thread.join().expect("system calls do not panic")
    })
}

/// Returns the numbers of the processes that see the mounts that this one sees: all of its container.
///
/// # Errors
/// `/proc` can't be read, or the process has ended.
pub fn processes_beside(pid: i32) -> Result<Vec<i32>, RunError> {
    let proc = Root::open(Path::new("/proc"))?;
    let own = proc.read_link(format!("{pid}/ns/mnt"))?;
    among(&proc, &own)
}

/// Returns the processes whose mount namespace has this name in `/proc`.
fn among(proc: &Root, namespace: &[u8]) -> Result<Vec<i32>, RunError> {
    let number = |name: &[u8]| std::str::from_utf8(name).ok()?.parse::<i32>().ok();
    let entries = proc.entries(".")?;
    let pids = entries.iter().filter_map(|entry| number(&entry.name));
    // One that ends just now, or that is not the caller's to look at, is none.
    Ok(pids
        .filter(|pid| proc.read_link(format!("{pid}/ns/mnt")).is_ok_and(|link| link == namespace))
        .collect())
}

/// The mounts of a container, by which its processes are found when nothing else tells them from others.
pub(super) struct Rest {
    /// As long as it is open, no other one has its name.
    _namespace: OwnedFd,
    name: Vec<u8>,
}

/// How long killed processes are waited for.
const DYING: Duration = Duration::from_secs(5);

impl Rest {
    /// Finds those of a process.
    pub fn of(pid: i32) -> Result<Self, RunError> {
        let namespace = mount_namespace_of(pid)?;
        let name = Root::open(Path::new("/proc"))?.read_link(format!("{pid}/ns/mnt"))?;
        Ok(Self { _namespace: namespace, name })
    }

    /// Kills who is left in the container.
    pub fn kill(self) {
        let Ok(proc) = Root::open(Path::new("/proc")) else { return };
        let is_left = |pid| proc.read_link(format!("{pid}/ns/mnt")).is_ok_and(|link| link == self.name);
        kill_all(|| among(&proc, &self.name), is_left);
    }
}

/// Returns by what the processes of a container are found again when nobody has its mounts open any more; none where
/// the kernel has no such number (before 6.11).
pub fn mounts_id(pid: i32) -> Option<u64> {
    sys::mount_namespace_id(mount_namespace_of(pid).ok()?.as_fd()).ok()
}

/// Kills who is left in a container whose mounts have this number.
pub fn kill_by_mounts(id: u64) {
    let Ok(proc) = Root::open(Path::new("/proc")) else { return };
    let is_left = |pid| mounts_id(pid) == Some(id);
    let all = || {
        let number = |name: &[u8]| std::str::from_utf8(name).ok()?.parse::<i32>().ok();
        let entries = proc.entries(".")?;
        Ok(entries.iter().filter_map(|entry| number(&entry.name)).filter(|pid| is_left(*pid)).collect())
    };
    kill_all(all, is_left);
}

/// Kills processes until there are no more.
fn kill_all(all: impl Fn() -> Result<Vec<i32>, RunError>, is_left: impl Fn(i32) -> bool) {
    let limit = Instant::now() + DYING;
    while let Ok(pids) = all()
        && !pids.is_empty()
        && Instant::now() < limit
    {
        for pid in pids.into_iter().filter_map(Pid::from_raw) {
            let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            // By now the number may be another one's.
            if is_left(pid.as_raw_nonzero().get()) {
                let _ = sys::signal_pidfd(process.as_fd(), libc::SIGKILL);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
