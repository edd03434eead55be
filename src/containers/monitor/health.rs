//! Health checks: a command in the container, again and again.

use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::config::Health;
use super::super::error::ContainerError;
use super::super::protocol::Exec;
use super::super::state::{HealthState, Probe, Status};
use super::exec::{Guest, has_ended};
use super::{Monitor, failure};
use crate::run::{Exit, Input, Io, Output};

/// Bytes of a probe's output that are kept.
const OUTPUT: usize = 4096;
/// Probes that are remembered.
const REMEMBERED: usize = 5;

/// What is known of the container's health, and the probe that runs.
pub(super) struct Checks {
    settings: Health,
    began: Instant,
    next: Instant,
    probe: Option<Running>,
}

struct Running {
    guest: Guest,
    /// Its output; none when that ended.
    pipe: Option<OwnedFd>,
    output: Vec<u8>,
    start: Timestamp,
    deadline: Instant,
    kill: bool,
}

impl Checks {
    /// Returns when there is something to do at the latest.
    pub fn next(&self) -> Option<Instant> {
        Some(match &self.probe {
            Some(probe) => probe.deadline,
            None => self.next,
        })
    }

    /// Returns the probe that runs, and its output.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let probe = self.probe.iter();
        probe.flat_map(|probe| {
            [Some(probe.guest.process.pidfd()), probe.pipe.as_ref().map(|fd| fd.as_fd())]
                .into_iter()
                .flatten()
        })
    }
}

impl Monitor {
    /// Begins to look at the health of a new run.
    pub(super) fn begin_health(&mut self) {
        let Some(settings) = self.container.config.health.clone() else { return };
        let first = match settings.start_period {
            0 => settings.interval,
            _ => settings.start_interval,
        };
        let began = Instant::now();
        self.health =
            Some(Checks { settings, began, next: began + Duration::from_nanos(first), probe: None });
        self.state.health = Some(HealthState { status: "starting".to_owned(), ..HealthState::default() });
    }

    /// Looks no more.
    pub(super) fn end_health(&mut self) {
        // A process that is dropped is killed.
        self.health = None;
    }

    /// Reads what a probe prints.
    pub(super) fn probe_output(&mut self) {
        let Some(probe) = self.health.as_mut().and_then(|checks| checks.probe.as_mut()) else { return };
        let Some(fd) = &probe.pipe else { return };
        let mut ready = [PollFd::new(fd, PollFlags::IN)];
        if !matches!(poll(&mut ready, Some(&Timespec::default())), Ok(1..)) {
            return;
        }
        let mut buffer = [0; 4096];
        match rustix::io::read(fd, &mut buffer[..]) {
            Ok(0) | Err(_) => probe.pipe = None,
            Ok(count) => {
                let room = OUTPUT.saturating_sub(probe.output.len());
                probe.output.extend_from_slice(&buffer[..count.min(room)]);
            }
        }
    }

    /// Starts a probe when it is time, and takes the result of one that ended.
    pub(super) fn health_turn(&mut self) {
        let running = self.run.as_ref().is_some_and(|run| run.ended.is_none());
        let paused = self.state.status == Status::Paused;
        let Some(checks) = self.health.as_mut().filter(|_| running) else { return };
        let now = Instant::now();
        if let Some(probe) = &mut checks.probe {
            if probe.deadline <= now && !probe.kill {
                probe.kill = true;
                let _ = probe.guest.process.kill(libc::SIGKILL);
            }
            if !has_ended(&*probe.guest.process) {
                return;
            }
            let code = probe.guest.process.wait().map_or(-1, Exit::code);
            let (code, id) = (if probe.kill { -1 } else { code }, probe.guest.id.clone());
            self.container.event("exec_die", &[("execID", &id), ("exitCode", &code.to_string())]);
            self.probe_ended(code);
        } else if checks.next <= now && !paused {
            let settings = checks.settings.clone();
            let start = Timestamp::now();
            let begun = self.begin_probe(&settings);
            match (begun, &mut self.health) {
                (Ok(probe), Some(checks)) => {
                    checks.probe = Some(probe);
                    self.rest_at = Some(Instant::now() + super::REST);
                }
                // What can't be started has failed.
                (Err(error), _) => self.probed(start, -1, failure(&error).text),
                (Ok(_), None) => {}
            }
        }
    }

    fn begin_probe(&self, settings: &Health) -> Result<Running, ContainerError> {
        let (read, write) = std::io::pipe().map_err(|e| ContainerError::io("make a pipe", e))?;
        let both = write.try_clone().map_err(|e| ContainerError::io("duplicate a pipe", e))?;
        let output = Output::Pipes { stdout: write.into(), stderr: both.into() };
        let request = Exec { args: settings.command.clone(), ..Exec::default() };
        let guest = self.start_guest(&request, Io { stdin: Input::Null, output }, Vec::new())?;
        let deadline = Instant::now() + Duration::from_nanos(settings.timeout);
        let (pipe, output) = (Some(OwnedFd::from(read)), Vec::new());
        Ok(Running { guest, pipe, output, start: Timestamp::now(), deadline, kill: false })
    }

    fn probe_ended(&mut self, code: i32) {
        let Some(checks) = &mut self.health else { return };
        let Some(mut probe) = checks.probe.take() else { return };
        if let Some(pipe) = probe.pipe.take() {
            let room = OUTPUT.saturating_sub(probe.output.len());
            probe.output.extend(rest(&pipe, room));
        }
        let timeout = Duration::from_nanos(checks.settings.timeout);
        let output = match probe.kill {
            true => format!("Health check exceeded timeout ({timeout:?})"),
            false => String::from_utf8_lossy(&probe.output).into_owned(),
        };
        self.probed(probe.start, code, output);
    }

    /// Notes what a probe found.
    fn probed(&mut self, start: Timestamp, code: i32, output: String) {
        let Some(checks) = &mut self.health else { return };
        let settings = &checks.settings;
        let health = self.state.health.get_or_insert_default();
        let before = health.status.clone();
        let in_start = checks.began.elapsed() < Duration::from_nanos(settings.start_period);
        if code == 0 {
            health.streak = 0;
            "healthy".clone_into(&mut health.status);
        } else if !(in_start && health.status == "starting") {
            health.streak += 1;
            if health.streak >= settings.retries {
                "unhealthy".clone_into(&mut health.status);
            }
        }
        let starting = in_start && health.status == "starting";
        let wait = if starting { settings.start_interval } else { settings.interval };
        checks.next = Instant::now() + Duration::from_nanos(wait);
        health.log.push(Probe { start, end: Timestamp::now(), exit_code: code, output });
        if health.log.len() > REMEMBERED {
            health.log.remove(0);
        }
        let now = health.status.clone();
        let _ = self.container.write_state(&self.state);
        if now != before {
            self.container.event(&format!("health_status: {now}"), &[]);
        }
    }
}

/// Reads what lies in a pipe that others may hold open.
fn rest(pipe: &OwnedFd, room: usize) -> Vec<u8> {
    let _ = rustix::io::ioctl_fionbio(pipe, true);
    let mut found = Vec::new();
    let Ok(copy) = pipe.try_clone() else { return found };
    let _ = std::fs::File::from(copy).take(room as u64).read_to_end(&mut found);
    found
}
