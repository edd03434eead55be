//! Which hierarchies there are, and where in them this process is.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::super::error::RunError;
use crate::fs::Root;

/// `f_type` of a v2 hierarchy (linux/magic.h).
const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// Whether `/sys/fs/cgroup` is one v2 hierarchy.
pub(in super::super) fn is_unified() -> bool {
    static UNIFIED: OnceLock<bool> = OnceLock::new();
    *UNIFIED.get_or_init(|| {
        rustix::fs::statfs("/sys/fs/cgroup").is_ok_and(|stat| stat.f_type as u64 == CGROUP2_MAGIC)
    })
}

/// The hierarchies that this process sees.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    /// Controller, mount point, own cgroup below it.
    pub v1: Vec<(String, PathBuf, PathBuf)>,
    /// Mount point, own cgroup below it.
    pub v2: Option<(PathBuf, PathBuf)>,
}

/// Reads a file about this process.
fn text(name: &str) -> Result<String, RunError> {
    let own = Root::open("/proc/self".as_ref())?;
    Ok(String::from_utf8_lossy(&own.read(name, 16 << 20)?).into_owned())
}

impl Hierarchies {
    pub fn find() -> Result<Self, RunError> {
        Self::with_own(&text("cgroup")?)
    }

    /// Finds the hierarchies as a process sees them that is in the cgroups of `own`.
    pub fn with_own(own: &str) -> Result<Self, RunError> {
        Ok(Self::parse(&text("mountinfo")?, own))
    }

    /// Reads proc_pid_mountinfo(5) and cgroups(7).
    fn parse(mountinfo: &str, own: &str) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let (Some(root), Some(point), Some(kind), Some(options)) =
                (left.get(3), left.get(4), right.first(), right.get(2))
            else {
                continue;
            };
            // The part of the hierarchy that is mounted may be below its root.
            let below = |path: &str| -> PathBuf {
                let path = Path::new(path);
                let inside = path.strip_prefix(root).or_else(|_| path.strip_prefix("/"));
                inside.map(Path::to_owned).unwrap_or_default()
            };
            match *kind {
                "cgroup2" if found.v2.is_none() => {
                    if let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::")) {
                        found.v2 = Some((point.into(), below(path)));
                    }
                }
                "cgroup" => {
                    for entry in own.lines() {
                        let mut fields = entry.splitn(3, ':').skip(1);
                        let (Some(names), Some(path)) = (fields.next(), fields.next()) else { continue };
                        for name in names.split(',').filter(|name| options.split(',').any(|o| o == *name)) {
                            if !name.is_empty() && !found.v1.iter().any(|(known, ..)| known == name) {
                                found.v1.push((name.to_owned(), point.into(), below(path)));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v1(name: &str, point: &str, own: &str) -> (String, PathBuf, PathBuf) {
        (name.into(), point.into(), own.into())
    }

    #[test]
    fn hybrid() {
        let mountinfo = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:3 - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let own = "9:name=systemd:/\n4:memory:/api/90\n1:cpu,cpuacct:/\n0::/x\n";
        let found = Hierarchies::parse(mountinfo, own);
        assert_eq!(
            found.v1,
            [
                v1("cpu", "/sys/fs/cgroup/cpu,cpuacct", ""),
                v1("cpuacct", "/sys/fs/cgroup/cpu,cpuacct", ""),
                v1("memory", "/sys/fs/cgroup/memory", "api/90"),
                v1("name=systemd", "/sys/fs/cgroup/systemd", ""),
            ]
        );
        assert_eq!(found.v2, Some(("/sys/fs/cgroup/unified".into(), "x".into())));
    }

    #[test]
    fn unified_in_a_container_without_its_own_namespace() {
        let mountinfo = "29 22 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n";
        let found = Hierarchies::parse(mountinfo, "0::/docker/abc/inner\n");
        assert_eq!(found.v2, Some(("/sys/fs/cgroup".into(), "inner".into())));
        assert_eq!(found.v1, []);
    }

    #[test]
    fn none() {
        assert_eq!(Hierarchies::parse("1 0 8:1 / / rw - ext4 /dev/sda rw\n", ""), Hierarchies::default());
    }
}
