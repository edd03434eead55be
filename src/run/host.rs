//! What the machine and this process's rights allow, found out once.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::error::RunError;
use super::spec::Device;
use crate::fs::{FileKind, Follow, Root};

/// The device files of every container, with their numbers.
pub(super) const DEFAULT_DEVICES: [(&str, (u32, u32)); 6] = [
    ("null", (1, 3)),
    ("zero", (1, 5)),
    ("full", (1, 7)),
    ("random", (1, 8)),
    ("urandom", (1, 9)),
    ("tty", (5, 0)),
];

/// Facts about this process and machine.
#[derive(Debug)]
pub(super) struct Host {
    /// Whether this is another user namespace than the machine's first.
    pub in_user_namespace: bool,
    /// Whether groups may be set; not in a namespace with a single id.
    pub may_set_groups: bool,
    /// Own permitted capabilities.
    pub capabilities: u64,
    /// Further paths to hide that depend on the machine: what throttling tells of other containers' load.
    pub extra_masked_paths: Vec<std::path::PathBuf>,
    uids: Vec<(u32, u32)>,
    gids: Vec<(u32, u32)>,
}

impl Host {
    /// Finds out.
    pub fn find() -> Result<Self, RunError> {
        let own = Root::open("/proc/self".as_ref())?;
        let text = |name: &str| -> Result<String, RunError> {
            Ok(String::from_utf8_lossy(&own.read(name, 64 << 10)?).into_owned())
        };
        let uids = ranges(&text("uid_map")?);
        let gids = ranges(&text("gid_map")?);
        let may_set_groups = own.read("setgroups", 16).map_or(true, |text| !text.starts_with(b"deny"));
        let capabilities = rustix::thread::capabilities(None)
            .map_err(|e| RunError::setup("read own capabilities", e))?
            .permitted
            .bits();
        Ok(Self {
            in_user_namespace: uids != [(0, u32::MAX)],
            may_set_groups,
            capabilities,
            extra_masked_paths: thermal_paths(),
            uids,
            gids,
        })
    }

    /// Checks that the user namespace has a user or group.
    pub fn check_ids(&self, uid: u32, gids: &[u32]) -> Result<(), RunError> {
        let has = |map: &[(u32, u32)], id: u32| {
            map.iter().any(|(first, count)| id >= *first && id - first < *count)
        };
        if !has(&self.uids, uid) {
            return Err(RunError::Unmapped { kind: "user", id: uid });
        }
        match gids.iter().find(|gid| !has(&self.gids, **gid)) {
            Some(gid) => Err(RunError::Unmapped { kind: "group", id: *gid }),
            None => Ok(()),
        }
    }

    /// Whether the terminal group of docker's `/dev/pts` exists.
    pub fn has_gid(&self, gid: u32) -> bool {
        self.check_ids(0, &[gid]).is_ok()
    }
}

fn thermal_paths() -> Vec<std::path::PathBuf> {
    let cpus = "/sys/devices/system/cpu";
    let Ok(root) = Root::open(cpus.as_ref()) else { return Vec::new() };
    (0..)
        .map(|number| format!("cpu{number}/thermal_throttle"))
        .take_while(|name| matches!(root.stat(name, Follow::Yes), Ok(Some(_))))
        .map(|name| std::path::Path::new(cpus).join(name))
        .collect()
}

/// Returns (first id inside, number of ids) of a uid_map or gid_map (user_namespaces(7)).
fn ranges(text: &str) -> Vec<(u32, u32)> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map(str::parse);
            Some((fields.next()?.ok()?, fields.nth(1)?.ok()?))
        })
        .collect()
}

/// A device file of the host.
pub(super) struct HostDevice {
    pub device: Device,
    pub kind: FileKind,
    pub number: (u32, u32),
    pub mode: u32,
}

/// Returns all device files of the host but terminals, for a privileged container.
pub(super) fn host_devices() -> Result<Vec<HostDevice>, RunError> {
    let dev = Root::open("/dev".as_ref())?;
    let mut found = Vec::new();
    let mut todo = vec![std::path::PathBuf::new()];
    while let Some(directory) = todo.pop() {
        let at = if directory.as_os_str().is_empty() { ".".as_ref() } else { directory.as_path() };
        for (name, stat) in dev.list(at)? {
            let path = directory.join(std::ffi::OsString::from(String::from_utf8_lossy(&name).into_owned()));
            let skipped = ["pts", "shm", "fd", "mqueue", "console", "ptmx", "lxc", ".lxc", "lxd", ".udev"];
            if directory.as_os_str().is_empty() && skipped.iter().any(|s| path == std::path::Path::new(s)) {
                continue;
            }
            match stat.kind {
                FileKind::Directory => {
                    todo.push(path);
                    continue;
                }
                FileKind::CharDevice | FileKind::BlockDevice => {}
                _ => continue,
            }
            // One that went away meanwhile is none.
            let Ok(source) = dev.open_path(&path, Follow::No) else { continue };
            let target = std::path::Path::new("/dev").join(&path);
            let device = Device { target, source, access: "rwm".into() };
            found.push(HostDevice { device, kind: stat.kind, number: stat.rdev, mode: stat.mode });
        }
    }
    Ok(found)
}

/// Opens one of the host's device files by name.
pub(super) fn host_device(name: &str) -> Result<Arc<OwnedFd>, RunError> {
    Ok(Arc::new(Root::open("/dev".as_ref())?.open_path(name, Follow::Yes)?))
}
