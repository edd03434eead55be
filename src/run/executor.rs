//! Starting processes: the boundary that RUN steps and containers share.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, WaitId, WaitIdOptions};

use super::assemble::{Prepared, assemble};
use super::cgroup::Leaf;
use super::child::{self, DIRECTORY, EXISTS, Op, Plan, What};
use super::error::{RunError, Warning};
use super::host::Host;
use super::pids::launch_among;
use super::root::{Created, Stubs};
use super::shared::Rest;
use super::spec::{Io, Limits, Namespace, ProcessSpec, Rootfs};
use super::{sys, terminal};

/// Starts processes.
pub trait Executor: Send + Sync {
    /// Starts a process; its program runs when this returns.
    ///
    /// # Errors
    /// See [`RunError`]; nothing of it is left then.
    fn start(&self, spec: &ProcessSpec, rootfs: Rootfs, io: Io) -> Result<Box<dyn Running>, RunError>;
}

/// A process that was started.
///
/// Dropped without [`Running::wait`], the process is killed and its traces are removed.
pub trait Running: Send {
    /// Returns its number in the caller's namespace.
    fn pid(&self) -> i32;

    /// Returns a descriptor that becomes readable when it ends, and by which another thread may kill it.
    fn pidfd(&self) -> BorrowedFd<'_>;

    /// Sends a signal. In a process namespace of its own, its end by SIGKILL ends all others in it.
    ///
    /// # Errors
    /// The kernel refuses the number; a process that has ended is no error.
    fn kill(&self, signal: i32) -> Result<(), RunError>;

    /// Waits for its end, and removes what was made for it, the root's mount perhaps later
    /// ([`ProcessSpec::root_ends_beside`]). Again, it returns the same.
    ///
    /// # Errors
    /// The kernel does not know it any more.
    fn wait(&mut self) -> Result<Exit, RunError>;

    /// Sets the size of its terminal.
    ///
    /// # Errors
    /// It has none.
    fn resize(&self, rows: u16, columns: u16) -> Result<(), RunError>;

    /// Returns our end of its terminal, to read what it writes and to write what it reads.
    fn terminal(&self) -> Option<BorrowedFd<'_>>;

    /// Closes our end of its terminal: for the process, it hangs up.
    fn hang_up(&mut self);

    /// Returns what it runs without though it was asked for.
    fn warnings(&self) -> &[Warning];

    /// Returns the directories of the cgroups that were made for it.
    fn cgroups(&self) -> Vec<std::path::PathBuf>;

    /// Returns the directories of the cgroups that limits of further kinds need, as [`Running::extend`] makes them.
    ///
    /// # Errors
    /// `/proc` can't be read.
    fn missing_cgroups(&self, limits: &Limits, name: &str) -> Result<Vec<std::path::PathBuf>, RunError>;

    /// Makes cgroups of a name for limits of kinds that it was started without, and moves all its processes there.
    ///
    /// # Errors
    /// The kernel refuses, or it has no cgroup at all.
    fn extend(&mut self, limits: &Limits, name: &str) -> Result<Vec<Warning>, RunError>;

    /// Whether one of its processes was killed for lack of memory, where a memory limit was set. Known after the wait.
    fn out_of_memory(&self) -> bool;
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

impl Exit {
    /// Returns the code that a shell and docker give it: 128 and the signal's number for a death by signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// Whether it ended well.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match status.code() {
            Some(code) => Self::Code(code),
            None => Self::Signal(status.signal().unwrap_or(0)),
        }
    }
}

/// Sends a signal by the descriptor of [`Running::pidfd`], e.g. from another thread; a process that has ended is no error.
///
/// # Errors
/// The kernel refuses the number.
pub fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), RunError> {
    match sys::signal_pidfd(pidfd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(RunError::setup(format!("send signal {signal}"), errno)),
    }
}

/// Starts processes in namespaces of this machine.
#[derive(Debug, Default)]
pub struct NamespaceExecutor {
    host: OnceLock<Host>,
    stubs: Stubs,
}

impl NamespaceExecutor {
    /// Returns an executor; nothing is looked at before the first start.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns an executor that makes missing mount targets in the root and removes them afterwards, as it does by
    /// itself on kernels before 6.15.
    pub fn with_targets_in_root() -> Self {
        Self { host: OnceLock::new(), stubs: Stubs::in_root() }
    }

    pub(super) fn host(&self) -> Result<&Host, RunError> {
        if let Some(host) = self.host.get() {
            return Ok(host);
        }
        let host = Host::find()?;
        Ok(self.host.get_or_init(|| host))
    }
}

impl Executor for NamespaceExecutor {
    fn start(&self, spec: &ProcessSpec, rootfs: Rootfs, io: Io) -> Result<Box<dyn Running>, RunError> {
        let prepared = assemble(spec, self.host()?, &self.stubs, rootfs, io)?;
        launch(prepared, spec).map(|running| Box::new(running) as Box<dyn Running>)
    }
}

/// How many children share this process's memory, and have copies of its descriptors.
static SHARING: Mutex<usize> = Mutex::new(0);
/// Told when there are none.
static ALONE: Condvar = Condvar::new();

/// Waits until no child has copies of this process's descriptors, and keeps others from being made as long as the
/// result lives: one with a copy of a descriptor for writing would keep the file from being executed (ETXTBSY).
pub(super) fn alone() -> MutexGuard<'static, usize> {
    let sharing = SHARING.lock().expect("nobody panics with this lock");
    ALONE.wait_while(sharing, |sharing| *sharing > 0).expect("nobody panics with this lock")
}

fn launch(mut prepared: Prepared, spec: &ProcessSpec) -> Result<Process, RunError> {
    let Some(waits) = prepared.waits.take() else { return launch_alone(prepared, spec) };
    match waits.beside(|| launch_alone(prepared, spec))? {
        (made, None) => made,
        (_, Some(error)) => Err(error),
    }
}

fn launch_alone(prepared: Prepared, spec: &ProcessSpec) -> Result<Process, RunError> {
    let cgroup = prepared.leaf.as_ref().and_then(|leaf| leaf.unified().ok().flatten());
    let mut process = match &spec.namespaces.pid {
        Namespace::Of(other) => launch_among(prepared, cgroup, Arc::clone(other))?,
        _ => launch_in(prepared, cgroup)?,
    };
    if !spec.namespaces.pid.is_own() {
        process.find_rest();
    }
    Ok(process)
}

/// Makes the child, in a cgroup of the unified hierarchy from the beginning.
pub(super) fn launch_in(prepared: Prepared, cgroup: Option<OwnedFd>) -> Result<Process, RunError> {
    let Prepared { plan, flags, created, kept_root, terminal, leaf, warnings, .. } = prepared;
    *SHARING.lock().expect("nobody panics with this lock") += 1;
    let made = make(flags, cgroup, &plan);
    share_no_more();
    let traces = Traces { created, leaf, kept_root, rest: None };
    let (pid, pidfd) = match made {
        Ok(made) => made,
        Err(errno) => {
            drop(traces.remove());
            return Err(RunError::setup("make a process in new namespaces", errno));
        }
    };
    let mut process = Process {
        pid,
        pidfd,
        terminal,
        warnings,
        traces: Some(traces),
        ending: None,
        exit: None,
        oom: false,
        maker: None,
    };
    let errno = plan.report.errno.load(Ordering::Relaxed);
    if errno == 0 {
        return Ok(process);
    }
    process.wait()?;
    Err(failure(&plan, errno))
}

/// Makes the child, in its cgroup from the beginning where the kernel does that.
fn make(flags: i32, cgroup: Option<OwnedFd>, plan: &Plan) -> Result<(i32, OwnedFd), Errno> {
    if let Some(cgroup) = cgroup {
        plan.report.in_cgroup.store(true, Ordering::Relaxed);
        match sys::clone_vfork(flags, Some(cgroup.as_fd()), child::run, plan) {
            Err(errno) if sys::is_refusal(errno) => {}
            other => return other,
        }
        plan.report.in_cgroup.store(false, Ordering::Relaxed);
    }
    sys::clone_vfork(flags, None, child::run, plan)
}

/// Notes that a child has memory and descriptors of its own. When the last one has, this process may be looked at again: what the
/// children changed of themselves (commit_creds, prctl(2)) has made their common memory undumpable, and with it
/// `/proc/self` belongs to root.
fn share_no_more() {
    let mut sharing = SHARING.lock().expect("nobody panics with this lock");
    *sharing -= 1;
    if *sharing == 0 {
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable);
        ALONE.notify_all();
    }
}

/// Puts the child's report in words.
fn failure(plan: &Plan, errno: i32) -> RunError {
    let source = io::Error::from_raw_os_error(errno);
    let step = &plan.steps[plan.report.step.load(Ordering::Relaxed)];
    if let Op::Execute(program) = &step.op {
        let detail = plan.report.detail.load(Ordering::Relaxed);
        let candidate = &program.candidates[plan.report.candidate.load(Ordering::Relaxed)];
        let command = program.arguments.strings()[0].to_string_lossy().into_owned();
        let searched = !command.contains('/');
        let path = candidate.to_string_lossy().into_owned();
        return match (errno, detail) {
            (libc::EACCES, DIRECTORY) if !searched => RunError::IsDirectory { path },
            (libc::ENOENT | libc::ENOTDIR, EXISTS) => RunError::NoInterpreter { path },
            (libc::ENOENT | libc::ENOTDIR | libc::EACCES, _) if searched => {
                RunError::NotInPath { name: command }
            }
            (libc::ENOENT | libc::ENOTDIR, _) => RunError::NoSuchFile { path },
            (libc::EACCES | libc::EPERM, _) => RunError::NotExecutable { path },
            _ => RunError::Exec { path, source },
        };
    }
    if let (Op::Directory { prefixes, .. }, What::At(_, path), libc::ENOENT) = (&step.op, &step.what, errno)
        && prefixes.is_empty()
    {
        return RunError::NoDirectory { path: path.clone() };
    }
    let mounts = matches!(step.op, Op::Attach { .. } | Op::Give { .. });
    if let (true, What::At(_, target), libc::EINVAL | libc::ENOTDIR) = (mounts, &step.what, errno) {
        return RunError::MountKind { target: target.clone() };
    }
    let action = match &step.what {
        What::Plain(what) => (*what).to_owned(),
        What::At(what, path) => format!("{what} {}", path.display()),
    };
    RunError::Setup { action, source }
}

/// What has to go when the process has ended.
struct Traces {
    created: Option<Created>,
    leaf: Option<Leaf>,
    kept_root: Option<OwnedFd>,
    /// Who is left where there is no cgroup.
    rest: Option<Rest>,
}

impl Traces {
    /// Removes them; the thread that is returned, if any, still takes the root's mount apart.
    fn remove(self) -> Option<Ending> {
        if let Some(rest) = self.rest {
            rest.kill();
        }
        if let Some(created) = self.created {
            created.remove();
        }
        if let Some(leaf) = self.leaf {
            leaf.remove();
        }
        self.kept_root.map(Ending::begin)
    }
}

/// The end of a mount on a thread of its own: the kernel forgets every file that was seen through it, one by one.
struct Ending(Option<JoinHandle<()>>);

impl Ending {
    fn begin(root: OwnedFd) -> Self {
        // Without a thread the closure is dropped here, and the descriptor with it.
        let thread = std::thread::Builder::new().name("unmount".to_owned());
        Self(thread.spawn(move || drop(root)).ok())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // Closing a descriptor does not panic.
            let _ = thread.join();
        }
    }
}

pub(super) struct Process {
    pid: i32,
    pidfd: OwnedFd,
    terminal: Option<OwnedFd>,
    warnings: Vec<Warning>,
    traces: Option<Traces>,
    ending: Option<Ending>,
    exit: Option<Exit>,
    oom: bool,
    /// Keeps the thread that made it, when it is another one than the caller's.
    pub(super) maker: Option<std::sync::mpsc::Sender<()>>,
}

impl Process {
    /// Notes how those are found who are left when a process ends that is not the first of its namespace. Most are in
    /// its cgroup.
    fn find_rest(&mut self) {
        if let Some(traces) = self.traces.as_mut().filter(|traces| traces.leaf.is_none()) {
            // One that has ended already has left nobody, or nobody that could be found.
            traces.rest = Rest::of(self.pid).ok();
        }
    }
}

impl Running for Process {
    fn pid(&self) -> i32 {
        self.pid
    }

    fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    fn kill(&self, number: i32) -> Result<(), RunError> {
        signal(self.pidfd.as_fd(), number)
    }

    fn wait(&mut self) -> Result<Exit, RunError> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let status = loop {
            match rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(Errno::INTR) | Ok(None) => {}
                Ok(Some(status)) => break status,
                Err(errno) => return Err(RunError::setup("wait for the process", errno)),
            }
        };
        let exit = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
        };
        self.exit = Some(exit);
        if let Some(traces) = self.traces.take() {
            self.oom = traces.leaf.as_ref().is_some_and(Leaf::out_of_memory);
            self.ending = traces.remove();
        }
        Ok(exit)
    }

    fn resize(&self, rows: u16, columns: u16) -> Result<(), RunError> {
        match &self.terminal {
            Some(fd) => terminal::resize(fd, rows, columns),
            None => Err(RunError::Refused("the process has no terminal".into())),
        }
    }

    fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.terminal.as_ref().map(AsFd::as_fd)
    }

    fn hang_up(&mut self) {
        self.terminal = None;
    }

    fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    fn cgroups(&self) -> Vec<std::path::PathBuf> {
        self.traces.as_ref().and_then(|traces| traces.leaf.as_ref()).map(Leaf::paths).unwrap_or_default()
    }

    fn missing_cgroups(&self, limits: &Limits, name: &str) -> Result<Vec<std::path::PathBuf>, RunError> {
        self.traces
            .as_ref()
            .and_then(|traces| traces.leaf.as_ref())
            .map_or(Ok(Vec::new()), |leaf| leaf.missing(limits, name))
    }

    fn extend(&mut self, limits: &Limits, name: &str) -> Result<Vec<Warning>, RunError> {
        match self.traces.as_mut().and_then(|traces| traces.leaf.as_mut()) {
            Some(leaf) => leaf.extend(limits, name),
            None => Err(RunError::Refused("it was started without any cgroup".to_owned())),
        }
    }

    fn out_of_memory(&self) -> bool {
        self.oom
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit.is_none() {
            let _ = self.kill(libc::SIGKILL);
            let _ = self.wait();
        }
    }
}
