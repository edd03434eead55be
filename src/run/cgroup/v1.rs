//! Limits in v1 hierarchies.

use super::super::error::{RunError, Warning};
use super::super::spec::{Device, Limits};
use super::find::Hierarchies;
use super::{Controller, Leaf, device_rules, io, limit, memory_and_swap, write};
use crate::fs::Root;

/// Applies what v1 controllers can; returns the controllers that are not there.
pub(super) fn apply(
    leaf: &mut Leaf,
    found: &Hierarchies,
    name: &str,
    limits: &Limits,
    devices: &[Device],
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Controller>, RunError> {
    let mut rest = Vec::new();
    for controller in Controller::needed(limits) {
        let hierarchy = found.v1.iter().find(|(known, ..)| known == controller.old_name());
        let Some((_, point, own)) = hierarchy else {
            rest.push(controller);
            continue;
        };
        let top = Root::open(point)?;
        let parent = match &limits.parent {
            Some(parent) => {
                top.create_dir_all(parent, 0o755)?;
                top.dir(parent)?
            }
            None => top.dir(if own.as_os_str().is_empty() { ".".as_ref() } else { own.as_path() })?,
        };
        // One call only moves the child itself, which is alone: writing to `tasks` spares the kernel's lock on forks.
        let group = match leaf.add(&parent, name, "tasks") {
            Ok(group) => group,
            Err(error) if is_denied(&error) => {
                let what = controller.name();
                warnings.push(Warning(format!("{what} limits are not applied: {error}: {}", error.source)));
                continue;
            }
            // Controllers mounted together share the directory.
            Err(error) if error.is_exists() => leaf.shared(&parent, name)?,
            Err(error) => return Err(error.into()),
        };
        let root = group.root.clone();
        match controller {
            Controller::Memory => {
                group.oom_file = Some("memory.oom_control");
                memory(&root, limits, warnings)?;
            }
            Controller::Cpu => cpu(&root, limits, warnings)?,
            Controller::Cpuset => cpuset(&parent, &root, limits, warnings)?,
            Controller::Pids => {
                if let Some(pids) = limits.pids {
                    limit(&root, "pids.max", &pids.to_string(), "number of processes", warnings)?;
                }
            }
            Controller::Io => io::set_old(&root, &limits.io, warnings)?,
            Controller::Devices => {
                leaf.devices = allow_devices(&root, &device_rules(limits, devices)?, warnings)?;
            }
        }
    }
    Ok(rest)
}

/// Makes a group of the freezer alone, where there is no v2 hierarchy to do it better.
pub(super) fn freezer(leaf: &mut Leaf, found: &Hierarchies, name: &str, limits: &Limits) {
    let Some((_, point, own)) = found.v1.iter().find(|(known, ..)| known == "freezer") else { return };
    let Ok(top) = Root::open(point) else { return };
    let parent = match &limits.parent {
        Some(parent) => top.create_dir_all(parent, 0o755).and_then(|_| top.dir(parent)),
        None => top.dir(if own.as_os_str().is_empty() { ".".as_ref() } else { own.as_path() }),
    };
    if let Ok(parent) = parent {
        let _ = leaf.add(&parent, name, "tasks");
    }
}

fn is_denied(error: &crate::fs::FsError) -> bool {
    matches!(error.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem)
}

impl Leaf {
    /// Returns the group that another controller of the same hierarchy has.
    fn shared(&mut self, parent: &Root, name: &str) -> Result<&mut super::Group, RunError> {
        let root = parent.dir(name)?;
        let wanted = crate::fs::stat_fd(&root)?;
        self.groups
            .iter_mut()
            .find(|g| crate::fs::stat_fd(&g.root).is_ok_and(|s| (s.dev, s.ino) == (wanted.dev, wanted.ino)))
            .ok_or_else(|| RunError::Refused(format!("a cgroup {name} is there already")))
    }
}

/// Changes what a controller limits in a group that has processes.
pub(super) fn change(
    root: &Root,
    controller: Controller,
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> Result<(), RunError> {
    match controller {
        Controller::Memory => {
            if let Some(total) = memory_and_swap(limits).filter(|total| *total != u64::MAX) {
                // The memory alone can't be more than both; where this is refused, the other order is the right one.
                let _ = write(root, "memory.memsw.limit_in_bytes", &total.to_string());
            }
            memory(root, limits, warnings)
        }
        Controller::Cpu => cpu(root, limits, warnings),
        Controller::Cpuset => {
            for (value, file) in [(&limits.cpuset_cpus, "cpuset.cpus"), (&limits.cpuset_mems, "cpuset.mems")]
            {
                if let Some(value) = value {
                    limit(root, file, value, file, warnings)?;
                }
            }
            Ok(())
        }
        Controller::Pids => match limits.pids {
            Some(pids) => limit(root, "pids.max", &pids.to_string(), "number of processes", warnings),
            None => Ok(()),
        },
        Controller::Io => io::set_old(root, &limits.io, warnings),
        Controller::Devices => Ok(()),
    }
}

fn memory(root: &Root, limits: &Limits, warnings: &mut Vec<Warning>) -> Result<(), RunError> {
    if let Some(memory) = limits.memory {
        limit(root, "memory.limit_in_bytes", &memory.to_string(), "memory", warnings)?;
    }
    if let Some(total) = memory_and_swap(limits) {
        let value = if total == u64::MAX { "-1".to_owned() } else { total.to_string() };
        limit(root, "memory.memsw.limit_in_bytes", &value, "memory with swap", warnings)?;
    }
    if let Some(low) = limits.memory_reservation {
        limit(root, "memory.soft_limit_in_bytes", &low.to_string(), "memory reservation", warnings)?;
    }
    if let Some(swappiness) = limits.swappiness {
        limit(root, "memory.swappiness", &swappiness.to_string(), "memory swappiness", warnings)?;
    }
    if limits.oom_kill_disable {
        limit(root, "memory.oom_control", "1", "killing for lack of memory", warnings)?;
    }
    Ok(())
}

fn cpu(root: &Root, limits: &Limits, warnings: &mut Vec<Warning>) -> Result<(), RunError> {
    if let (Some(_), Some(runtime)) = (limits.cpu_rt_period, limits.cpu_rt_runtime) {
        // A period is never shorter than the time in it: where it would be, the time has to come first.
        let _ = write(root, "cpu.rt_runtime_us", &runtime.to_string());
    }
    let text = |value: Option<u64>| value.map(|value| value.to_string());
    let values = [
        (text(limits.cpu_rt_period), "cpu.rt_period_us", "real-time period"),
        (limits.cpu_rt_runtime.map(|value| value.to_string()), "cpu.rt_runtime_us", "real-time runtime"),
        (text(limits.cpu_period), "cpu.cfs_period_us", "CPU period"),
        (text(limits.cpu_quota), "cpu.cfs_quota_us", "CPU quota"),
        (text(limits.cpu_shares), "cpu.shares", "CPU shares"),
    ];
    for (value, file, what) in values {
        if let Some(value) = value {
            limit(root, file, &value, what, warnings)?;
        }
    }
    Ok(())
}

fn cpuset(parent: &Root, root: &Root, limits: &Limits, warnings: &mut Vec<Warning>) -> Result<(), RunError> {
    for (wanted, file, what) in [
        (&limits.cpuset_cpus, "cpuset.cpus", "set of CPUs"),
        (&limits.cpuset_mems, "cpuset.mems", "set of memory nodes"),
    ] {
        // A new group has none and takes no process, so what is not asked for is the parent's.
        let inherited = || parent.read(file, 64 << 10).map(|b| String::from_utf8_lossy(&b).trim().to_owned());
        let value = match wanted {
            Some(wanted) => wanted.clone(),
            None => inherited()?,
        };
        limit(root, file, &value, what, warnings)?;
    }
    Ok(())
}

fn allow_devices(root: &Root, rules: &[String], warnings: &mut Vec<Warning>) -> Result<bool, RunError> {
    if let Err(errno) = write(root, "devices.deny", "a") {
        let why = std::io::Error::from(errno);
        warnings.push(Warning(format!("devices are not restricted by number: {why}")));
        return Ok(false);
    }
    for rule in rules {
        write(root, "devices.allow", rule)
            .map_err(|e| RunError::setup(format!("allow devices {rule:?}"), e))?;
    }
    Ok(true)
}
