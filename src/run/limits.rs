//! What cgroups are to limit: plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Limits that cgroups enforce; none asked for, no cgroup is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together; `u64::MAX` is unlimited.
    pub memory_swap: Option<u64>,
    /// Bytes of memory that are left alone under pressure.
    pub memory_reservation: Option<u64>,
    /// How readily the kernel swaps, 0 to 100; v1 alone has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swappiness: Option<u64>,
    /// Whether processes wait for memory instead of being killed; v1 alone has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oom_kill_disable: bool,
    /// Microseconds of CPU time in a period.
    pub cpu_quota: Option<u64>,
    /// The period in microseconds; 100,000 unless given.
    pub cpu_period: Option<u64>,
    /// Relative weight, 1024 being the default.
    pub cpu_shares: Option<u64>,
    /// The period of real-time scheduling in microseconds; v1 alone has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_rt_period: Option<u64>,
    /// Microseconds of real-time scheduling in a period, -1 for all of it; v1 alone has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_rt_runtime: Option<i64>,
    /// CPUs, as in `0-3,5`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
    /// Number of processes.
    pub pids: Option<u64>,
    /// Disks.
    #[serde(default, skip_serializing_if = "BlockIo::is_empty")]
    pub io: BlockIo,
    /// Whether only the default devices and those asked for can be opened, wherever their files are.
    /// Without it device files work in `/dev` alone.
    pub devices: bool,
    /// Further rules of the device list, as in `c 42:* rmw`.
    pub device_rules: Vec<String>,
    /// Below which cgroup to make the new one; the caller's own unless given.
    pub parent: Option<PathBuf>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self { parent: self.parent.clone(), ..Self::default() }
    }
}

/// Shares and rates of block devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BlockIo {
    /// Relative weight, 10 to 1000.
    pub weight: Option<u16>,
    /// Relative weights of single devices.
    pub weights: Vec<DeviceValue>,
    /// Bytes read in a second.
    pub read_bps: Vec<DeviceValue>,
    /// Bytes written in a second.
    pub write_bps: Vec<DeviceValue>,
    /// Reads in a second.
    pub read_iops: Vec<DeviceValue>,
    /// Writes in a second.
    pub write_iops: Vec<DeviceValue>,
}

impl BlockIo {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A device of the host, and a number for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceValue {
    /// Its file; which device that is, is looked up at the start.
    pub path: String,
    /// The weight or rate; 0 is none.
    pub value: u64,
}
