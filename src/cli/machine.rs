//! What `info` tells of the machine.

use std::path::Path;

use crate::fs::{Follow, Root};

/// Returns how many processors this process may use.
pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the machine's name.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns what docker calls the file system of a directory.
pub fn file_system(path: &Path) -> String {
    let kind = rustix::fs::statfs(path).map_or(0, |stat| stat.f_type as u32);
    match kind {
        0xef53 => "extfs".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x794c_7630 => "overlayfs".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        0xf2f5_2010 => "f2fs".to_owned(),
        other => format!("<unknown> ({other:#x})"),
    }
}

/// Returns the kernel's release.
pub fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// Returns the bytes of memory.
pub fn total_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// Returns the name of the distribution.
pub fn operating_system() -> String {
    release("PRETTY_NAME").unwrap_or_else(|| "unknown".to_owned())
}

/// Returns a value of `os-release`.
pub fn release(key: &str) -> Option<String> {
    let text = Root::open(Path::new("/")).and_then(|root| root.read("etc/os-release", 1 << 16));
    let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.map(|value| value.trim_matches('"').to_owned())
}

/// Returns what tells this machine from others without saying which one it is: see machine-id(5).
pub fn id() -> String {
    let id = Root::open(Path::new("/")).and_then(|root| root.read("etc/machine-id", 64));
    let id = id.unwrap_or_default();
    let bytes = *blake3::keyed_hash(blake3::hash(b"skiff info").as_bytes(), &id).as_bytes();
    let part = |range: std::ops::Range<usize>| crate::image::id::to_hex(&bytes[range]);
    format!("{}-{}-{}-{}-{}", part(0..4), part(4..6), part(6..8), part(8..10), part(10..16))
}

/// Whether the machine forwards packets of IPv4.
pub fn forwarding() -> bool {
    let found = Root::open(Path::new("/proc/sys")).and_then(|root| root.read("net/ipv4/ip_forward", 8));
    found.is_ok_and(|text| text.starts_with(b"1"))
}

/// `2` where cgroups are mounted as one hierarchy, else `1`.
pub fn cgroup_version() -> &'static str {
    let unified =
        Root::open(Path::new("/sys/fs/cgroup")).and_then(|root| root.stat("cgroup.controllers", Follow::Yes));
    if unified.is_ok_and(|found| found.is_some()) { "2" } else { "1" }
}
