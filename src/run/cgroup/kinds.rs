//! Which kinds of limits this kernel has, to say so before anything is made.

use std::path::Path;

use super::super::error::RunError;
use super::find::Hierarchies;
use crate::fs::{Follow, Root};

/// Kinds of limits that not every kernel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LimitKinds {
    /// Weights of block I/O.
    pub weight: bool,
    /// Weights of single devices.
    pub device_weight: bool,
    /// Rates of devices.
    pub rates: bool,
    /// How readily is swapped.
    pub swappiness: bool,
    /// Waiting for memory instead of being killed.
    pub oom_kill_disable: bool,
    /// Shares of real-time scheduling.
    pub real_time: bool,
}

impl LimitKinds {
    /// Finds those of this machine; whether this user may use them shows at the start.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn find() -> Result<Self, RunError> {
        let found = Hierarchies::find()?;
        let in_tree = |name: &str, files: &[&str]| {
            let (_, point, own) = found.v1.iter().find(|(known, ..)| known == name)?;
            let own = if own.as_os_str().is_empty() { Path::new(".") } else { own };
            let root = Root::open(point).and_then(|top| top.dir(own)).ok()?;
            Some(files.iter().any(|file| matches!(root.stat(*file, Follow::No), Ok(Some(_)))))
        };
        // In v2 the controller is asked for, for its files are nowhere at the top.
        let unified = || {
            let (point, _) = found.v2.as_ref()?;
            let text = Root::open(point).and_then(|top| top.read("cgroup.controllers", 4096)).ok()?;
            Some(String::from_utf8_lossy(&text).split_whitespace().any(|name| name == "io"))
        };
        // At the top of the tree BFQ shows its counters alone.
        let bfq = "blkio.bfq.io_service_bytes";
        let io = |files: &[&str]| in_tree("blkio", files).or_else(unified).unwrap_or(false);
        let old = |name: &str, file: &str| in_tree(name, &[file]).unwrap_or(false);
        Ok(Self {
            weight: io(&["blkio.weight", "blkio.bfq.weight", bfq]),
            device_weight: io(&["blkio.weight_device", "blkio.bfq.weight_device", bfq]),
            rates: io(&["blkio.throttle.read_bps_device"]),
            swappiness: old("memory", "memory.swappiness"),
            oom_kill_disable: old("memory", "memory.oom_control"),
            real_time: old("cpu", "cpu.rt_runtime_us"),
        })
    }
}
