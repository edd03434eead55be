//! Flags of docker's `run` and `create` that this version knows but does not have.

use super::super::refused::{self, Unavailable};

/// Which of the flags were given.
pub type Refused = refused::Refused<OfRun>;

/// The flags of a container.
#[derive(Debug, Default)]
pub struct OfRun;

impl Unavailable for OfRun {
    const WITHOUT_EFFECT: &'static [(&'static str, &'static [&'static str])] = &[
        ("isolation", &["default"]),
        ("userns", &["host"]),
        ("volume-driver", &["local"]),
        ("runtime", &["runc"]),
        ("disable-content-trust", &["true", "false"]),
        ("oom-kill-disable", &["false"]),
        ("use-api-socket", &["false"]),
    ];
    const BOOLEAN: &'static [&'static str] = &["oom-kill-disable", "disable-content-trust", "use-api-socket"];
    const ALWAYS: &'static [(&'static str, &'static str)] = &[
        ("annotation", ""),
        ("blkio-weight", ""),
        ("blkio-weight-device", ""),
        ("cpu-count", ""),
        ("cpu-percent", ""),
        ("cpu-rt-period", ""),
        ("cpu-rt-runtime", ""),
        ("device-read-bps", ""),
        ("device-read-iops", ""),
        ("device-write-bps", ""),
        ("device-write-iops", ""),
        ("gpus", ""),
        ("io-maxbandwidth", ""),
        ("io-maxiops", ""),
        ("kernel-memory", ""),
        ("link-local-ip", ""),
        ("memory-swappiness", ""),
        ("storage-opt", ""),
    ];
}
