//! Further cgroups for processes that run: limits of a kind that they were started without.
//!
//! Only v1 needs it, where each kind has a hierarchy of its own and a start touches only those that it needs. What is to be
//! moved is found by a cgroup that the processes have been in from the beginning.

use std::path::PathBuf;

use rustix::io::Errno;

use super::super::error::{RunError, Warning};
use super::super::spec::{BlockIo, Limits};
use super::find::Hierarchies;
use super::members::limits_file;
use super::{Controller, Leaf, v1, write};
use crate::fs::{Follow, Root};

/// How often is looked for processes that were made while others were moved.
const ROUNDS: usize = 1000;

/// Whether limits are of a kind that none of these cgroups has.
pub fn lacks_cgroups(paths: &[PathBuf], limits: &Limits) -> bool {
    !lacking(paths, limits).is_empty()
}

fn lacking(paths: &[PathBuf], limits: &Limits) -> Vec<Controller> {
    let roots: Vec<Root> = paths.iter().filter_map(|path| Root::open(path).ok()).collect();
    let mut needed = Controller::needed(limits);
    needed.retain(|controller| !roots.iter().any(|root| has(root, *controller)));
    needed
}

fn has(root: &Root, controller: Controller) -> bool {
    let there = |file: &str| matches!(root.stat(file, Follow::No), Ok(Some(_)));
    there(limits_file(controller, there("tasks")))
}

impl Leaf {
    /// Returns the directories of the cgroups that [`Leaf::extend`] would make; none where that is not possible.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn missing(&self, limits: &Limits, name: &str) -> Result<Vec<PathBuf>, RunError> {
        let found = Hierarchies::find()?;
        let place = |controller: &Controller| {
            let (_, point, own) = found.v1.iter().find(|(known, ..)| known == controller.old_name())?;
            let place = limits.parent.as_deref().map_or_else(|| point.join(own), |parent| point.join(parent));
            Some(place.join(name))
        };
        let mut missing: Vec<PathBuf> = lacking(&self.paths(), limits).iter().filter_map(place).collect();
        missing.dedup();
        Ok(missing)
    }

    /// Makes cgroups of a name for those limits that none of its cgroups has, and moves its processes there.
    ///
    /// # Errors
    /// There is no such hierarchy, the kernel refuses, or the processes can't be found; what was made is gone then.
    pub fn extend(&mut self, limits: &Limits, name: &str) -> Result<Vec<Warning>, RunError> {
        let lacking = lacking(&self.paths(), limits);
        let refused = |controller: &Controller, why: &str| {
            let name = controller.name();
            RunError::Refused(format!(
                "it was started without a cgroup for {name}, and {why}; stop it, update it and start it again"
            ))
        };
        let Some(first) = lacking.first() else { return Ok(Vec::new()) };
        let old = self.groups.len();
        let mut warnings = Vec::new();
        let rest = v1::apply(self, &Hierarchies::find()?, name, &only(limits, &lacking), &[], &mut warnings);
        let done = rest.and_then(|rest| match rest.first() {
            Some(controller) => Err(refused(controller, "cgroups of v2 are made at the start")),
            None if !warnings.is_empty() => Err(refused(first, &warnings[0].to_string())),
            None if old == 0 => {
                Err(refused(first, "its processes are in no other one by which they are found"))
            }
            None => self.groups[old..].iter().try_for_each(|new| gather(&self.groups[0].root, &new.root)),
        });
        if done.is_err() {
            // Processes that are in there already go back.
            let new = Self { groups: self.groups.split_off(old), devices: false };
            new.groups.iter().for_each(|group| give_back(&group.parent, &group.root));
        }
        done.map(|()| warnings)
    }
}

/// Returns the limits of these kinds alone.
fn only(limits: &Limits, controllers: &[Controller]) -> Limits {
    let mut all = limits.clone();
    if !controllers.contains(&Controller::Memory) {
        (all.memory, all.memory_swap, all.memory_reservation) = (None, None, None);
        (all.swappiness, all.oom_kill_disable) = (None, false);
    }
    if !controllers.contains(&Controller::Cpu) {
        (all.cpu_quota, all.cpu_period, all.cpu_shares) = (None, None, None);
        (all.cpu_rt_period, all.cpu_rt_runtime) = (None, None);
    }
    if !controllers.contains(&Controller::Cpuset) {
        (all.cpuset_cpus, all.cpuset_mems) = (None, None);
    }
    if !controllers.contains(&Controller::Pids) {
        all.pids = None;
    }
    if !controllers.contains(&Controller::Io) {
        all.io = BlockIo::default();
    }
    all
}

fn processes(root: &Root) -> Result<Vec<String>, RunError> {
    let bytes = root.read("cgroup.procs", 16 << 20)?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

/// Moves all processes of one cgroup into another one, those included that are made meanwhile.
fn gather(from: &Root, into: &Root) -> Result<(), RunError> {
    for _ in 0..ROUNDS {
        let inside: std::collections::HashSet<String> = processes(into)?.into_iter().collect();
        let mut outside = processes(from)?;
        outside.retain(|pid| !inside.contains(pid));
        if outside.is_empty() {
            return Ok(());
        }
        for pid in outside {
            match write(into, "cgroup.procs", &pid) {
                // It has ended.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(RunError::setup("move a process into another cgroup", errno)),
            }
        }
    }
    Err(RunError::Refused("its processes multiply faster than they can be moved".to_owned()))
}

fn give_back(parent: &Root, from: &Root) {
    for _ in 0..ROUNDS {
        let inside = processes(from).unwrap_or_default();
        // Those that can't be moved end with the cgroup.
        if inside.is_empty() || inside.iter().all(|pid| write(parent, "cgroup.procs", pid).is_err()) {
            return;
        }
    }
}
