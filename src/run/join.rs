//! Starting a further process inside a container that runs.
//!
//! The container's first process shows the way: its namespaces are joined by its pidfd. The process-id namespace is
//! entered by the caller's thread for the time of the clone, for it only counts for children; all others by the child.
//! The child starts in the container's cgroup, so nothing of it runs outside.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assemble::{Filtered, Prepared, check, credentials, finish, limits, program, standard_pipes};
use super::caps::CapSet;
use super::child::{Op, Plan, Report, Step, What};
use super::error::RunError;
use super::executor::{NamespaceExecutor, Running, launch_in};
use super::mounts::{existing, step};
use super::pids::launch_among;
use super::spec::{Io, Output, ProcessSpec};
use super::terminal::Terminal;
use crate::fs::{Follow, Root};

/// A container that runs.
#[derive(Debug)]
pub struct Joined<'a> {
    /// Number of its first process, of which the caller knows that it has not been given to another one.
    pub pid: i32,
    /// A descriptor of that process.
    pub pidfd: BorrowedFd<'a>,
    /// Directories of its cgroups.
    pub cgroups: &'a [PathBuf],
    /// The capabilities by which its seccomp filter was made.
    pub capabilities: CapSet,
}

impl Joined<'_> {
    /// Returns the root of the container as its processes see it, mounts included.
    ///
    /// # Errors
    /// The container has ended, or its processes can't be looked at.
    pub fn root(&self) -> Result<Root, RunError> {
        process_root(self.pid)
    }
}

/// Returns the root that a process sees, mounts included.
///
/// # Errors
/// The process has ended, or it can't be looked at.
pub fn process_root(pid: i32) -> Result<Root, RunError> {
    Ok(Root::open(Path::new(&format!("/proc/{pid}/root")))?)
}

/// Namespaces that a child joins by itself, by their names in `/proc/PID/ns`.
const BY_CHILD: [(&str, i32); 5] = [
    ("mnt", libc::CLONE_NEWNS),
    ("net", libc::CLONE_NEWNET),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

impl NamespaceExecutor {
    /// Starts a process in a container that runs. Of the specification count the command, the environment, the
    /// directory (which must exist), the user, capabilities, filter and limits; the rest is the container's.
    ///
    /// The calling thread must be this process's only one: a thread that another one starts meanwhile would fail.
    ///
    /// # Errors
    /// See [`RunError`]; nothing of it is left then.
    pub fn join(
        &self,
        container: &Joined<'_>,
        spec: &ProcessSpec,
        io: Io,
    ) -> Result<Box<dyn Running>, RunError> {
        let host = self.host()?;
        check(spec, host)?;
        let program = program(spec)?;
        let root = container.root()?;
        let (standard, terminal, tty) = match io.output {
            Output::Terminal { rows, columns } => {
                let devpts = root.dir("dev/pts")?.to_owned_fd()?;
                Terminal::new(&devpts, rows, columns)?.standard()?
            }
            _ => standard_pipes(io, || {
                Ok(OwnedFd::from(Root::open(Path::new("/dev"))?.open_rw("null", false)?))
            })?,
        };
        let mut steps = vec![step(What::Plain("start a session"), Op::Session)];
        let cgroup = cgroups(container.cgroups, &mut steps)?;
        let others = Others::find(container.pid)?;
        let pidfd = container.pidfd.try_clone_to_owned();
        let pidfd = Arc::new(pidfd.map_err(|e| RunError::setup("duplicate a descriptor", e))?);
        let op = Op::JoinNamespaces(Arc::clone(&pidfd), others.by_child);
        steps.push(step(What::Plain("join the container's namespaces"), op));
        if let Some(score) = spec.oom_score_adj {
            let target = existing("proc/self/oom_score_adj");
            let op = Op::Write { target, bytes: score.to_string().into_bytes() };
            steps.push(Step { what: What::Plain("set oom_score_adj"), op, optional: true });
        }
        let mut warnings = Vec::new();
        limits(spec, host, &mut steps, &mut warnings);
        finish(spec, host, false, standard, tty, &mut steps)?;
        for step in &mut steps {
            // What a container lacks is not made for a guest.
            if let Op::Directory { prefixes, .. } = &mut step.op {
                prefixes.clear();
            }
        }
        credentials(spec, host, program, Filtered::For(container.capabilities), &mut steps)?;
        let plan = Plan { root: root.to_owned_fd()?, steps, slots: Vec::new(), report: Report::default() };
        let prepared = Prepared {
            plan,
            flags: 0,
            created: None,
            kept_root: None,
            terminal,
            leaf: None,
            waits: None,
            warnings,
        };
        let launched = match others.pids {
            true => launch_among(prepared, cgroup, pidfd),
            false => launch_in(prepared, cgroup),
        };
        launched.map(|process| Box::new(process) as Box<dyn Running>)
    }
}

/// Adds the steps that enter the cgroups, and returns the one of the unified hierarchy.
fn cgroups(paths: &[PathBuf], steps: &mut Vec<Step>) -> Result<Option<OwnedFd>, RunError> {
    let mut found = None;
    for path in paths {
        // Without one that somebody removed, the others still count.
        let Ok(root) = Root::open(path) else { continue };
        let unified = root.stat("tasks", Follow::No)?.is_none();
        let name = if unified { "cgroup.procs" } else { "tasks" };
        let list = OwnedFd::from(root.open_rw(name, false)?);
        steps.push(step(What::Plain("join the cgroup"), Op::JoinCgroup { list, unified }));
        if unified {
            found = Some(root.to_owned_fd()?);
        }
    }
    Ok(found)
}

/// Which namespaces of a process are others than this one's.
struct Others {
    by_child: i32,
    pids: bool,
}

impl Others {
    fn find(pid: i32) -> Result<Self, RunError> {
        let own = Root::open(Path::new("/proc/self/ns"))?;
        let theirs = Root::open(Path::new(&format!("/proc/{pid}/ns")))?;
        let differs =
            |name: &str| -> Result<bool, RunError> { Ok(own.read_link(name)? != theirs.read_link(name)?) };
        let mut by_child = 0;
        for (name, flag) in BY_CHILD {
            if differs(name)? {
                by_child |= flag;
            }
        }
        Ok(Self { by_child, pids: differs("pid")? })
    }
}
