//! How a container is doing: a small file that its monitor replaces.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::net::Endpoint;
use crate::run::Hook;

/// Docker's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    #[default]
    Created,
    /// Its process lives.
    Running,
    /// Its processes are frozen.
    Paused,
    /// It ended and is about to start again.
    Restarting,
    /// It is being removed.
    Removing,
    /// It ended.
    Exited,
    /// It could not be removed.
    Dead,
}

impl Status {
    /// Returns docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// Whether a monitor must be there.
    pub fn has_monitor(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    /// Whether its process lives.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// How a container is doing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// In one word.
    pub status: Status,
    /// Number of its first process; 0 without.
    #[serde(default)]
    pub pid: i32,
    /// When that process started, in the kernel's ticks, so that another one with its number is not taken for it.
    #[serde(default)]
    pub pid_start: u64,
    /// Directories of its cgroups.
    #[serde(default)]
    pub cgroups: Vec<PathBuf>,
    /// What tells its mounts from others', where its processes are found by nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mounts: Option<u64>,
    /// Start of the last run.
    #[serde(default)]
    pub started: Option<Timestamp>,
    /// End of the last run.
    #[serde(default)]
    pub finished: Option<Timestamp>,
    /// How the last run ended.
    #[serde(default)]
    pub exit_code: i32,
    /// Whether it ended for lack of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// Why it could not start.
    #[serde(default)]
    pub error: String,
    /// How often it started again by itself.
    #[serde(default)]
    pub restart_count: u32,
    /// Whether somebody stopped it.
    #[serde(default)]
    pub stopped_by_hand: bool,
    /// What its health check found.
    #[serde(default)]
    pub health: Option<HealthState>,
    /// Its places in networks.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// What is to be run when its process has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
    /// While it is being started: the cgroups that its monitor is in.
    #[serde(default)]
    pub starting: Option<String>,
}

impl State {
    /// Whether a monitor must be there.
    pub fn has_monitor(&self) -> bool {
        self.status.has_monitor() || self.starting.is_some()
    }
}

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HealthState {
    /// `starting`, `healthy` or `unhealthy`.
    pub status: String,
    /// Failures since the last success.
    pub streak: u32,
    /// The last five probes, oldest first.
    pub log: Vec<Probe>,
}

/// One probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Probe {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Its exit code; -1 when it took too long.
    pub exit_code: i32,
    /// What it printed.
    pub output: String,
}
