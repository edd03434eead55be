//! The truth about a container whose monitor may be dead.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::connect;
use super::error::ContainerError;
use super::events;
use super::files::{Container, STATE};
use super::hooks;
use super::start::cgroup_name;
use super::state::{State, Status};
use crate::fs::{Follow, Root};
use crate::run::left_cgroups;

/// How long the last of killed processes are waited for.
const DYING: Duration = Duration::from_secs(5);
/// How long a monitor may hold the lock of a container that has ended.
const LEAVING: Duration = Duration::from_secs(30);

impl Container {
    /// Returns how the container is doing; if its monitor died, sets right what it left.
    ///
    /// # Errors
    /// The state can't be read.
    pub fn state(&self) -> Result<State, ContainerError> {
        let state = self.written_state()?;
        if !state.has_monitor() {
            return Ok(state);
        }
        let look = self.dir.dir(".")?;
        if rustix::fs::flock(&look, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(state);
        }
        // It may have ended well between the two looks.
        let state = self.written_state()?;
        if !state.has_monitor() {
            return Ok(state);
        }
        self.settle(state)
    }

    /// Ends what is left of a container whose lock this process holds though it is said to run or to start.
    pub(super) fn settle(&self, mut state: State) -> Result<State, ContainerError> {
        let starting = state.starting.take();
        if let Some(own) = &starting {
            // What it had made by then was not written down.
            let (parent, name) = (self.config.limits.parent.as_deref(), cgroup_name(self));
            state.cgroups.extend(left_cgroups(own, parent, &name));
        }
        kill_rest(&state);
        self.run_poststop(&mut state)?;
        if state.status != Status::Restarting {
            state.exit_code = 128 + libc::SIGKILL;
        }
        let ran = state.status.is_running();
        if ran {
            state.finished = Some(Timestamp::now());
        }
        if starting.is_some() {
            "the container's monitor was killed while it started".clone_into(&mut state.error);
        }
        if state.status != Status::Created {
            state.status = Status::Exited;
        }
        state.pid = 0;
        state.cgroups.clear();
        state.mounts = None;
        state.endpoints.clear();
        connect::sweep(self);
        self.write_state(&state)?;
        if ran {
            events::container(self, "die", &[("exitCode", &state.exit_code.to_string())]);
        }
        if self.config.auto_remove {
            self.remove_stopped(true)?;
        }
        Ok(state)
    }

    /// Runs what devices want to be run after the end.
    fn run_poststop(&self, state: &mut State) -> Result<(), ContainerError> {
        if state.poststop.is_empty() {
            return Ok(());
        }
        // In a store that is another user's, that one would choose what this one runs.
        let stat = self.dir.stat(STATE, Follow::No)?;
        if stat.is_some_and(|stat| stat.uid == rustix::process::geteuid().as_raw()) {
            hooks::stopped(self, state);
        }
        state.poststop.clear();
        Ok(())
    }

    /// Locks the container against a start, if nobody has started it.
    pub(super) fn try_lock(&self) -> Result<Option<Root>, ContainerError> {
        let lock = self.dir.dir(".")?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(lock)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(ContainerError::io("lock the container", errno)),
        }
    }

    /// Locks a container that does not run. Its monitor may still hold it that has just said so, or somebody who looks.
    fn lock_stopped(&self) -> Result<Root, ContainerError> {
        let limit = Instant::now() + LEAVING;
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            if !self.exists() {
                let id = &self.config.id;
                let text = format!("removal of container {id} is already in progress");
                return Err(ContainerError::Refused(text));
            }
            if self.written_state()?.has_monitor() || Instant::now() > limit {
                return Err(ContainerError::Refused(format!(
                    "cannot remove container \"{}\": container is running: stop the container before removing or \
                     force remove",
                    self.config.name
                )));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Removes a container that does not run, and with `volumes` those that nobody named.
    ///
    /// # Errors
    /// It runs, or can't be removed.
    pub fn remove(&self, with_volumes: bool) -> Result<(), ContainerError> {
        let _lock = self.lock_stopped()?;
        if !self.exists() {
            // Whoever had the lock before has removed it.
            return Err(ContainerError::NotFound(self.config.id.clone()));
        }
        let state = self.written_state()?;
        if state.has_monitor() {
            self.settle(state)?;
            if self.config.auto_remove {
                return Ok(());
            }
        }
        self.remove_stopped(with_volumes)
    }

    /// Removes a container whose lock this process holds.
    pub(super) fn remove_stopped(&self, with_volumes: bool) -> Result<(), ContainerError> {
        self.erase(with_volumes)?;
        events::container(self, "destroy", &[]);
        Ok(())
    }
}

/// Kills the first process, if it is still the one that was started, and all that are left in the cgroups.
pub(super) fn kill_rest(state: &State) {
    if let Some(pid) = Pid::from_raw(state.pid)
        && let Ok(fd) = rustix::process::pidfd_open(pid, PidfdFlags::empty())
        && start_time(state.pid) == Some(state.pid_start)
    {
        let _ = rustix::process::pidfd_send_signal(&fd, Signal::KILL);
        let limit = rustix::event::Timespec { tv_sec: DYING.as_secs() as i64, tv_nsec: 0 };
        let mut ended = [rustix::event::PollFd::from_borrowed_fd(fd.as_fd(), rustix::event::PollFlags::IN)];
        let _ = rustix::event::poll(&mut ended, Some(&limit));
    }
    if let Some(mounts) = state.mounts {
        crate::run::kill_by_mounts(mounts);
    }
    for path in &state.cgroups {
        crate::run::remove_cgroup(path, Instant::now() + DYING);
    }
}

/// Returns when a process started, in ticks since boot (proc_pid_stat(5), field 22).
pub(super) fn start_time(pid: i32) -> Option<u64> {
    let proc = Root::open(Path::new("/proc")).ok()?;
    let text = proc.read(format!("{pid}/stat"), 4096).ok()?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}
