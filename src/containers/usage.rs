//! What a running container uses of processors, memory, networks, disks and process numbers.

use std::path::Path;

use super::error::ContainerError;
use super::files::Container;
use super::state::State;
use crate::fs::Root;
use crate::run::{CgroupUsage, cgroup_processes, processes_beside};

/// What a container uses; none where nothing counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Nanoseconds on processors since its start.
    pub cpu: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory that it may use.
    pub memory_limit: u64,
    /// Bytes received and sent since its start.
    pub network: Option<(u64, u64)>,
    /// Bytes read from and written to disks since its start.
    pub block: Option<(u64, u64)>,
    /// Number of tasks.
    pub tasks: Option<u64>,
    /// Nanoseconds on processors in programs, and in the kernel for them.
    pub cpu_parts: (u64, u64),
    /// Bytes of memory that `memory` leaves out: contents of files that can go at once.
    pub inactive: u64,
    /// Periods of the processor limit, those of them in which all had to stand still, and for how many nanoseconds.
    pub throttled: (u64, u64, u64),
}

/// What one interface has received and sent: bytes, packets, errors, dropped packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name in the container.
    pub name: String,
    /// What came.
    pub received: [u64; 4],
    /// What went.
    pub sent: [u64; 4],
}

/// What the whole machine has and has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Machine {
    /// Nanoseconds of all processors, idle ones included.
    pub cpu: u64,
    /// Processors.
    pub cpus: u64,
    /// Bytes of memory.
    pub memory: u64,
}

impl Machine {
    /// Looks at the machine.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn look() -> Result<Self, ContainerError> {
        let stat = proc()?.read("stat", 4 << 20)?;
        let info = rustix::system::sysinfo();
        let memory = info.totalram.saturating_mul(u64::from(info.mem_unit));
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let (used, cpus) = of_stat(&String::from_utf8_lossy(&stat));
        Ok(Self { cpu: used.saturating_mul(1_000_000_000 / ticks), cpus, memory })
    }
}

/// Returns the ticks of all processors as docker adds them up (without what is stolen), and the number of processors
/// (proc_stat(5)).
fn of_stat(text: &str) -> (u64, u64) {
    let all = text.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let used = all.split_whitespace().take(7).filter_map(|word| word.parse::<u64>().ok()).sum();
    let is_one = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    (used, text.lines().filter(is_one).count() as u64)
}

fn proc() -> Result<Root, ContainerError> {
    Ok(Root::open(Path::new("/proc"))?)
}

impl Container {
    /// Returns what the container uses; nothing of one that does not run.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn usage(&self, state: &State, machine: &Machine) -> Result<Usage, ContainerError> {
        if !state.status.is_running() {
            let (cpu, memory, network) = (Some(0), Some(0), Some((0, 0)));
            let (block, tasks) = (Some((0, 0)), Some(0));
            return Ok(Usage { cpu, memory, network, block, tasks, ..Usage::default() });
        }
        let counted = CgroupUsage::read(&state.cgroups);
        let proc = proc()?;
        // Without a controller the kernel does not add up, but says which processes there are.
        let all = [counted.cpu, counted.memory, counted.tasks, counted.block.map(|(read, _)| read)];
        let pids = match all.contains(&None) {
            true => self.processes(state),
            false => Vec::new(),
        };
        let stat = |pid| text(&proc, &format!("{pid}/stat"));
        let cpu = counted.cpu.or_else(|| sum(&pids, |pid| processor_time(&stat(pid)?)));
        let tasks = counted.tasks.or_else(|| sum(&pids, |pid| threads(&stat(pid)?)));
        let memory = counted.memory.or_else(|| sum(&pids, |pid| memory_of(&proc, pid)));
        let block = counted.block.or_else(|| {
            let (read, written) = (
                sum(&pids, |pid| io_of(&proc, pid, "read_bytes")),
                sum(&pids, |pid| io_of(&proc, pid, "write_bytes")),
            );
            read.zip(written)
        });
        let limit = counted.memory_limit.filter(|limit| *limit < machine.memory);
        let network = match self.config.network.mode.as_str() {
            "host" => Some((0, 0)),
            _ => text(&proc, &format!("{}/net/dev", state.pid)).map(|text| of_interfaces(&text)),
        };
        let memory_limit = limit.unwrap_or(machine.memory);
        Ok(Usage {
            cpu,
            memory,
            memory_limit,
            network,
            block,
            tasks,
            cpu_parts: counted.cpu_parts.unwrap_or_default(),
            inactive: counted.inactive,
            throttled: counted.throttled,
        })
    }

    /// Returns the processes of one that runs, as this process sees them.
    fn processes(&self, state: &State) -> Vec<i32> {
        let found = cgroup_processes(&state.cgroups);
        // An ordinary user's may have no cgroup; but nobody else sees its mounts.
        if found.is_empty() { processes_beside(state.pid).unwrap_or_default() } else { found }
    }

    /// Returns what went through each interface but loopback of a container with a network of its own.
    pub fn interfaces(&self, state: &State) -> Vec<Interface> {
        let own = state.status.is_running() && self.config.network.mode != "host";
        let text =
            proc().ok().filter(|_| own).and_then(|proc| text(&proc, &format!("{}/net/dev", state.pid)));
        interfaces_of(&text.unwrap_or_default())
    }
}

fn text(proc: &Root, file: &str) -> Option<String> {
    proc.read(file, 1 << 20).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Adds up over the processes; none without any.
fn sum(pids: &[i32], of: impl Fn(i32) -> Option<u64>) -> Option<u64> {
    if pids.is_empty() { None } else { Some(pids.iter().filter_map(|pid| of(*pid)).sum()) }
}

/// Returns a process's part of the memory that it has mapped, what is shared divided by those who share it
/// (proc_pid_smaps(5)).
fn memory_of(proc: &Root, pid: i32) -> Option<u64> {
    let text = text(proc, &format!("{pid}/smaps_rollup"))?;
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse::<u64>().ok())?;
    Some(kilobytes * 1024)
}

/// Returns a field of proc_pid_stat(5), by its number there; those before the fourth are none.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// Returns the nanoseconds that a process and those of its children that have ended were on processors.
fn processor_time(stat: &str) -> Option<u64> {
    let ticks: u64 = (14..=17).filter_map(|number| field(stat, number)).sum();
    Some(ticks.saturating_mul(1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)))
}

/// Returns the number of a process's tasks.
fn threads(stat: &str) -> Option<u64> {
    field(stat, 20)
}

/// Returns a number of proc_pid_io(5).
fn io_of(proc: &Root, pid: i32, key: &str) -> Option<u64> {
    text(proc, &format!("{pid}/io"))?
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")?.parse().ok())
}

/// Returns what the interfaces but loopback have received and sent (proc_pid_net(5)).
fn interfaces_of(text: &str) -> Vec<Interface> {
    let interface = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let numbers: Vec<u64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let four = |at: usize| numbers.get(at..at + 4).and_then(|four| four.try_into().ok());
        let name = name.trim();
        (name != "lo").then_some(Interface { name: name.to_owned(), received: four(0)?, sent: four(8)? })
    };
    text.lines().skip(2).filter_map(interface).collect()
}

/// Adds up the bytes of all of them.
fn of_interfaces(text: &str) -> (u64, u64) {
    let all = interfaces_of(text);
    (all.iter().map(|one| one.received[0]).sum(), all.iter().map(|one| one.sent[0]).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_proc() {
        let stat = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\ncpufreq 1\n";
        assert_eq!(of_stat(stat), (28, 2));
        let dev = "Inter-|   Receive\n face |bytes\n    lo: 9 0 0 0 0 0 0 0 9 0 0 0\n  eth0:100 2 0 0 0 0 0 0 50 1 0 0\n eth1: 1 0 0 0 0 0 0 0 2 0 0 0\n";
        assert_eq!(of_interfaces(dev), (101, 52));
        let stat = "7 (a) b) S 1 7 7 0 -1 4 1 2 3 4 100 20 3 4 20 0 5 0 99";
        assert_eq!((processor_time(stat), threads(stat)), (Some(1_270_000_000), Some(5)));
    }
}
