//! Limits in the v2 hierarchy.

use std::path::Path;

use rustix::fs::{Access, AtFlags};

use super::super::error::{RunError, Warning};
use super::super::spec::Limits;
use super::find::Hierarchies;
use super::{Controller, Leaf, io, limit, memory_and_swap, write};
use crate::fs::Root;

/// Applies what v1 had no controllers for; what v2 has none for either becomes a warning.
pub(super) fn apply(
    leaf: &mut Leaf,
    found: &Hierarchies,
    name: &str,
    limits: &Limits,
    controllers: &[Controller],
    warnings: &mut Vec<Warning>,
) -> Result<(), RunError> {
    let mut wanted: Vec<Controller> = controllers.to_vec();
    if wanted.contains(&Controller::Devices) {
        // There it takes a BPF program; device files work in `/dev` alone without it.
        warnings
            .push(Warning("devices are not restricted by number: there is no v1 devices controller".into()));
        wanted.retain(|c| *c != Controller::Devices);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let missing = |wanted: &[Controller]| {
        let names: Vec<&str> = wanted.iter().map(|c| c.name()).collect();
        Warning(format!(
            "no cgroup controller for {} can be used here, no limit is set; where systemd delegates a cgroup \
             (systemd-run --user) there is one that may be changed",
            names.join(", ")
        ))
    };
    let Some((point, own)) = &found.v2 else {
        warnings.push(missing(&wanted));
        return Ok(());
    };
    let top = Root::open(point)?;
    let mut place = parent(&top, own, limits, &wanted);
    if place.is_none() && limits.parent.is_none() && vacate(&top, own, &wanted).is_some() {
        place = parent(&top, own, limits, &wanted);
    }
    let Some((parent, usable)) = place else {
        warnings.push(missing(&wanted));
        return Ok(());
    };
    let unusable: Vec<_> = wanted.iter().copied().filter(|c| !usable.contains(c)).collect();
    if !unusable.is_empty() {
        warnings.push(missing(&unusable));
    }
    let group = match leaf.add(&parent, name, "cgroup.procs") {
        Ok(group) => group,
        Err(error) => {
            warnings.push(Warning(format!("limits are not applied: {error}: {}", error.source)));
            return Ok(());
        }
    };
    let root = group.root.clone();
    if usable.contains(&Controller::Memory) {
        group.oom_file = Some("memory.events");
    }
    for controller in usable {
        set(&root, controller, limits, warnings)?;
    }
    Ok(())
}

/// Makes a group for the process alone, if limits have made none; it can be frozen and killed as a whole. Without the
/// right to make one there is none.
pub(super) fn group(leaf: &mut Leaf, found: &Hierarchies, name: &str, limits: &Limits) {
    let Some((point, own)) = &found.v2 else { return };
    let Ok(top) = Root::open(point) else { return };
    let counted = [Controller::Memory, Controller::Cpu, Controller::Pids];
    // Where there are controllers, they count what the processes use.
    let parent = match parent(&top, own, limits, &counted) {
        Some((root, _)) => Ok(root),
        None => match &limits.parent {
            Some(path) => top.create_dir_all(path, 0o755).and_then(|_| top.dir(path)),
            None if own.as_os_str().is_empty() => top.dir("."),
            None => top.dir(own),
        },
    };
    if let Ok(parent) = parent {
        // One of that name is the one that limits made.
        let _ = leaf.add(&parent, name, "cgroup.procs");
    }
}

/// Returns the nearest cgroup below which the controllers can be used, with those that can.
fn parent(top: &Root, own: &Path, limits: &Limits, wanted: &[Controller]) -> Option<(Root, Vec<Controller>)> {
    if let Some(parent) = &limits.parent {
        // Every ancestor hands the controllers down.
        top.create_dir_all(parent, 0o755).ok()?;
        let below: Vec<&Path> = parent.ancestors().collect();
        for path in below.iter().rev() {
            enable(&top.dir(path).ok()?, wanted);
        }
        let root = top.dir(parent).ok()?;
        let usable = enabled(&root, wanted);
        return (!usable.is_empty()).then_some((root, usable));
    }
    let mut best: Option<(Root, Vec<Controller>)> = None;
    for path in own.ancestors() {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let Some(root) = top.dir(path).ok().filter(may_have_children) else { continue };
        enable(&root, wanted);
        let usable = enabled(&root, wanted);
        if usable.len() > best.as_ref().map_or(0, |(_, usable)| usable.len()) {
            let all = usable.len() == wanted.len();
            best = Some((root, usable));
            if all {
                break;
            }
        }
    }
    best
}

/// Whether this user may make cgroups with controllers below one.
///
/// It must have no processes of its own (cgroups(7), "no internal processes"). The kernel would take some controllers
/// even so, but the children could hold no processes then ("domain invalid").
fn may_have_children(root: &Root) -> bool {
    let free = match root.read("cgroup.type", 64) {
        // Only the root of all has no such file, and may have both.
        Err(error) => error.is_not_found(),
        Ok(kind) => {
            kind.trim_ascii() == b"domain"
                && root.read("cgroup.procs", 1 << 20).is_ok_and(|list| list.is_empty())
        }
    };
    free && may_write(root)
}

fn may_write(root: &Root) -> bool {
    rustix::fs::accessat(root, ".", Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// Name of the cgroup for the processes that were where children are to be.
const CALLERS: &str = "skiff-callers";

/// Moves the processes of our own cgroup into a child of it, so that others may stand beside that one; none where it is
/// not ours.
///
/// A unit with `Delegate=yes` and a container with a cgroup namespace begin with all processes in the one cgroup that
/// they may change. What limits it as a whole still holds for the child.
fn vacate(top: &Root, own: &Path, wanted: &[Controller]) -> Option<()> {
    let path = if own.as_os_str().is_empty() { Path::new(".") } else { own };
    let root = top.dir(path).ok()?;
    let kind = root.read("cgroup.type", 64).ok()?;
    let useful = !listed(&root, "cgroup.controllers", wanted).is_empty();
    if kind.trim_ascii() != b"domain" || !useful || !may_write(&root) {
        return None;
    }
    match root.create_dir(CALLERS, 0o755) {
        Err(error) if !error.is_exists() => return None,
        _ => {}
    }
    let callers = root.dir(CALLERS).ok()?;
    // Processes that are made meanwhile are met by the next round.
    for _ in 0..VACATE_ROUNDS {
        let list = root.read("cgroup.procs", 1 << 20).ok()?;
        if list.is_empty() {
            return Some(());
        }
        for pid in String::from_utf8_lossy(&list).lines() {
            // It may have ended, or be another user's; then the list stays as it is.
            let _ = write(&callers, "cgroup.procs", pid);
        }
    }
    None
}

/// How often the list of processes is read until none is left.
const VACATE_ROUNDS: usize = 5;

/// Hands controllers down to children, as far as that is possible.
fn enable(root: &Root, wanted: &[Controller]) {
    let have = enabled(root, wanted);
    for controller in wanted.iter().filter(|c| !have.contains(c)) {
        let _ = write(root, "cgroup.subtree_control", &format!("+{}", controller.name()));
    }
}

fn enabled(root: &Root, wanted: &[Controller]) -> Vec<Controller> {
    listed(root, "cgroup.subtree_control", wanted)
}

/// Returns the controllers that a file names.
fn listed(root: &Root, file: &str, wanted: &[Controller]) -> Vec<Controller> {
    let text = root.read(file, 4096).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    wanted.iter().copied().filter(|c| text.split_whitespace().any(|name| name == c.name())).collect()
}

pub(super) fn set(
    root: &Root,
    controller: Controller,
    limits: &Limits,
    warnings: &mut Vec<Warning>,
) -> Result<(), RunError> {
    let mut write = |file: &str, value: String, what: &str| limit(root, file, &value, what, warnings);
    match controller {
        Controller::Memory => {
            if let Some(memory) = limits.memory {
                write("memory.max", memory.to_string(), "memory")?;
            }
            if let (Some(total), Some(memory)) = (memory_and_swap(limits), limits.memory) {
                let swap = total.saturating_sub(memory);
                let value = if total == u64::MAX { "max".to_owned() } else { swap.to_string() };
                write("memory.swap.max", value, "swap")?;
            }
            if let Some(low) = limits.memory_reservation {
                write("memory.low", low.to_string(), "memory reservation")?;
            }
        }
        Controller::Cpu => {
            if limits.cpu_quota.is_some() || limits.cpu_period.is_some() {
                let quota = limits.cpu_quota.map_or("max".into(), |q| q.to_string());
                write("cpu.max", format!("{quota} {}", limits.cpu_period.unwrap_or(100_000)), "CPU time")?;
            }
            if let Some(shares) = limits.cpu_shares {
                write("cpu.weight", weight(shares).to_string(), "CPU weight")?;
            }
        }
        Controller::Cpuset => {
            if let Some(cpus) = &limits.cpuset_cpus {
                write("cpuset.cpus", cpus.clone(), "set of CPUs")?;
            }
            if let Some(mems) = &limits.cpuset_mems {
                write("cpuset.mems", mems.clone(), "set of memory nodes")?;
            }
        }
        Controller::Pids => {
            if let Some(pids) = limits.pids {
                write("pids.max", pids.to_string(), "number of processes")?;
            }
        }
        Controller::Io => io::set(root, &limits.io, warnings)?,
        Controller::Devices => {}
    }
    Ok(())
}

/// Converts v1 shares (2 to 262144, 1024 the default) to a v2 weight (1 to 10000, 100 the default), as runc does.
fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let l = (shares as f64).log2();
            10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn weights() {
        for (shares, expected) in
            [(2, 1), (1024, 100), (262_144, 10_000), (0, 1), (1 << 40, 10_000), (512, 59)]
        {
            assert_eq!(super::weight(shares), expected, "{shares}");
        }
    }
}
