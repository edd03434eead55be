//! Health checks: a command in the container, again and again.

use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::super::config::Health;
use super::super::state::{HealthState, Probe, Status};
use super::Monitor;

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
    child: Child,
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
            // Its output has ended, so it is about to.
            Some(probe) if probe.pipe.is_none() => Instant::now() + Duration::from_millis(2),
            Some(probe) => probe.deadline,
            None => self.next,
        })
    }

    /// Returns the output of the probe that runs.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.probe.as_ref()?.pipe.as_ref().map(|fd| fd.as_fd())
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
        if let Some(Running { mut child, .. }) = self.health.take().and_then(|checks| checks.probe) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Reads what a probe prints.
    pub(super) fn probe_output(&mut self) {
        let Some(probe) = self.health.as_mut().and_then(|checks| checks.probe.as_mut()) else { return };
        let Some(fd) = &probe.pipe else { return };
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
                let _ = probe.child.kill();
            }
            let Ok(Some(status)) = probe.child.try_wait() else { return };
            let code = if probe.kill { -1 } else { status.code().unwrap_or(-1) };
            self.probe_ended(code);
        } else if checks.next <= now && !paused {
            let id = self.container.config.id.clone();
            let root = self.container.all().store().name().to_owned();
            match probe(&root, &id, &checks.settings) {
                Ok(probe) => checks.probe = Some(probe),
                Err(_) => checks.next = now + Duration::from_nanos(checks.settings.interval),
            }
        }
    }

    fn probe_ended(&mut self, code: i32) {
        let Some(checks) = &mut self.health else { return };
        let Some(mut probe) = checks.probe.take() else { return };
        if let Some(pipe) = probe.pipe.take() {
            let room = OUTPUT.saturating_sub(probe.output.len()) as u64;
            let _ = std::fs::File::from(pipe).take(room).read_to_end(&mut probe.output);
        }
        let settings = &checks.settings;
        let timeout = Duration::from_nanos(settings.timeout);
        let output = match probe.kill {
            true => format!("Health check exceeded timeout ({timeout:?})"),
            false => String::from_utf8_lossy(&probe.output).into_owned(),
        };
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
        health.log.push(Probe { start: probe.start, end: Timestamp::now(), exit_code: code, output });
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

/// Starts a probe: this program's own `exec`, so that it has the container's user, environment and directory.
fn probe(root: &std::path::Path, id: &str, settings: &Health) -> std::io::Result<Running> {
    let (read, write) = std::io::pipe()?;
    let child = Command::new("/proc/self/exe")
        .arg0("skiff")
        .args(["--root".as_ref(), root.as_os_str()])
        .args(["exec", id])
        .args(&settings.command)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(write.try_clone()?)
        .stderr(write)
        .spawn()?;
    let deadline = Instant::now() + Duration::from_nanos(settings.timeout);
    let (pipe, output) = (Some(OwnedFd::from(read)), Vec::new());
    Ok(Running { child, pipe, output, start: Timestamp::now(), deadline, kill: false })
}
