//! What the processes of a cgroup use, as the kernel counts it (cgroup-v2.rst; cgroup-v1/memory.rst and cpuacct.rst).

use std::path::PathBuf;

use crate::fs::Root;

/// What is counted; none where no cgroup of the process counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupUsage {
    /// Nanoseconds on processors.
    pub cpu: Option<u64>,
    /// Bytes of memory, without what of files' contents can go at once.
    pub memory: Option<u64>,
    /// Bytes of memory that it may use.
    pub memory_limit: Option<u64>,
    /// Bytes read from and written to disks.
    pub block: Option<(u64, u64)>,
    /// Number of tasks.
    pub tasks: Option<u64>,
    /// Nanoseconds on processors in programs, and in the kernel for them.
    pub cpu_parts: Option<(u64, u64)>,
    /// Bytes of memory that `memory` leaves out.
    pub inactive: u64,
    /// Periods of the processor limit, those of them in which all had to stand still, and for how many nanoseconds.
    pub throttled: (u64, u64, u64),
}

impl CgroupUsage {
    /// Reads what the cgroups of one process say.
    pub fn read(paths: &[PathBuf]) -> Self {
        let mut usage = Self::default();
        for root in paths.iter().filter_map(|path| Root::open(path).ok()) {
            let text = |file: &str| {
                root.read(file, 1 << 20).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            };
            usage.take(&text);
        }
        usage
    }

    /// Adds what the files of one cgroup say.
    fn take(&mut self, text: &impl Fn(&str) -> Option<String>) {
        let number = |file: &str| text(file)?.trim().parse::<u64>().ok();
        let field = |file: &str, key: &str| {
            text(file)?
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse::<u64>().ok())
        };
        let micros = || field("cpu.stat", "usage_usec").map(|micros| micros.saturating_mul(1000));
        self.cpu = number("cpuacct.usage").or_else(micros).or(self.cpu);
        let parts = || {
            let micros = |key| field("cpu.stat", key).map(|micros| micros.saturating_mul(1000));
            micros("user_usec").zip(micros("system_usec"))
        };
        let ticks = || {
            let one = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
            let nanos = |key| field("cpuacct.stat", key).map(|ticks| ticks.saturating_mul(one));
            nanos("user").zip(nanos("system"))
        };
        self.cpu_parts = parts().or_else(ticks).or(self.cpu_parts);
        if let Some(periods) = field("cpu.stat", "nr_periods") {
            let time = field("cpu.stat", "throttled_time");
            let time = time.or_else(|| Some(field("cpu.stat", "throttled_usec")?.saturating_mul(1000)));
            self.throttled = (periods, field("cpu.stat", "nr_throttled").unwrap_or(0), time.unwrap_or(0));
        }
        let new = number("memory.current").map(|used| (used, field("memory.stat", "inactive_file")));
        let old = || {
            number("memory.usage_in_bytes").map(|used| (used, field("memory.stat", "total_inactive_file")))
        };
        if let Some((used, inactive)) = new.or_else(old) {
            let inactive = inactive.filter(|inactive| *inactive < used).unwrap_or(0);
            self.memory = Some(used - inactive);
            self.inactive = inactive;
            self.memory_limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"));
        }
        let old = || text("blkio.throttle.io_service_bytes_recursive");
        let block = text("io.stat").map(|text| of_io_stat(&text));
        self.block = block.or_else(|| old().map(|text| of_service_bytes(&text))).or(self.block);
        let listed = || text("cgroup.threads").map(|list| list.lines().count() as u64);
        self.tasks = number("pids.current").or(self.tasks).or_else(listed);
    }
}

/// Adds up `MAJOR:MINOR rbytes=N wbytes=N ...` lines.
fn of_io_stat(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        text.split_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok()).sum()
    };
    (sum("rbytes="), sum("wbytes="))
}

/// Adds up `MAJOR:MINOR Read N` and `MAJOR:MINOR Write N` lines.
fn of_service_bytes(text: &str) -> (u64, u64) {
    let sum = |wanted: &str| {
        let of = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [_, word, number] if *word == wanted => number.parse::<u64>().ok(),
                _ => None,
            }
        };
        text.lines().filter_map(of).sum()
    };
    (sum("Read"), sum("Write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(groups: &[&[(&str, &str)]]) -> CgroupUsage {
        let mut usage = CgroupUsage::default();
        for files in groups {
            let text =
                |file: &str| files.iter().find(|(name, _)| *name == file).map(|(_, text)| (*text).to_owned());
            usage.take(&text);
        }
        usage
    }

    #[test]
    fn the_unified_hierarchy() {
        let usage = taken(&[&[
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n"),
            ("memory.current", "5000\n"),
            ("memory.stat", "anon 100\ninactive_file 1000\ninactive_file_x 9\n"),
            ("memory.max", "max\n"),
            ("io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n8:16 rbytes=5 wbytes=0\n"),
            ("pids.current", "7\n"),
        ]]);
        let block = Some((15, 20));
        assert_eq!(
            usage,
            CgroupUsage {
                cpu: Some(1_500_000),
                memory: Some(4000),
                memory_limit: None,
                block,
                tasks: Some(7),
                cpu_parts: Some((1_000_000, 500_000)),
                inactive: 1000,
                throttled: (0, 0, 0),
            }
        );
    }

    #[test]
    fn hierarchies_of_their_own() {
        let usage = taken(&[
            &[("cpuacct.usage", "77\n")],
            &[
                ("memory.usage_in_bytes", "5000\n"),
                ("memory.limit_in_bytes", "67108864\n"),
                ("memory.stat", "inactive_file 1\ntotal_inactive_file 6000\n"),
            ],
            &[(
                "blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 3\n8:0 Write 4\n8:0 Total 7\nTotal 7\n",
            )],
            &[("cgroup.threads", "1\n2\n"), ("cpu.stat", "nr_periods 0\n")],
        ]);
        let (memory, block) = (Some(5000), Some((3, 4)));
        assert_eq!(
            usage,
            CgroupUsage {
                cpu: Some(77),
                memory,
                memory_limit: Some(67_108_864),
                block,
                tasks: Some(2),
                ..CgroupUsage::default()
            }
        );
        assert_eq!(taken(&[&[]]), CgroupUsage::default());
    }
}
