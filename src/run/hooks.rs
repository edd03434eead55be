//! Programs that run while a process is being made: the hooks of the OCI runtime specification.
//!
//! A child with hooks attaches its root at a place of the host's (in a mount namespace of its own) and makes all mounts
//! there. Then it waits, goes into its root, and waits once more. A thread of the parent, which itself stands still
//! until the child executes its program, runs the hooks meanwhile ([`Hooks`]).

use std::fmt::Debug;
use std::io::{IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, Shutdown, SocketFlags,
    SocketType,
};
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::executor::Exit;
use super::shared::aside;
use super::sys;

/// What is done while a process is being made, on a thread of the parent's.
pub trait Hooks: Debug + Send + Sync {
    /// Where the root is attached in the child's mount namespace: an empty directory, by its absolute path.
    fn rootfs(&self) -> &Path;

    /// All namespaces and mounts are there; the child still sees the host's root.
    ///
    /// # Errors
    /// The process is not to be made.
    fn created(&self, pid: i32) -> Result<(), RunError>;

    /// The child sees the container's root alone, and has all rights still.
    ///
    /// # Errors
    /// The process is not to be made.
    fn starting(&self, pid: i32) -> Result<(), RunError>;
}

/// The parent's side of a child that waits.
pub(super) struct Waits {
    socket: OwnedFd,
    hooks: Arc<dyn Hooks>,
}

impl Waits {
    /// Returns it with the child's side.
    pub fn new(hooks: Arc<dyn Hooks>) -> Result<(Self, Arc<OwnedFd>), RunError> {
        let failed = |e| RunError::setup("make a socket for hooks", e);
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (socket, theirs) =
            rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None).map_err(failed)?;
        rustix::net::sockopt::set_socket_passcred(&socket, true).map_err(failed)?;
        Ok((Self { socket, hooks }, Arc::new(theirs)))
    }

    /// Runs the hooks beside what makes the child; returns what that returned, and why a hook failed.
    pub fn beside<T>(self, make: impl FnOnce() -> T) -> Result<(T, Option<RunError>), RunError> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("hooks".to_owned());
            let thread = thread.spawn_scoped(scope, || self.serve());
            let thread = thread.map_err(|e| RunError::setup("start a thread", e))?;
            let made = make();
            // The child executes its program, or is no more.
            let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
            Ok((made, thread.join().expect("hooks do not panic")))
        })
    }

    fn serve(&self) -> Option<RunError> {
        let calls: [fn(&dyn Hooks, i32) -> Result<(), RunError>; 2] =
            [|hooks, pid| hooks.created(pid), |hooks, pid| hooks.starting(pid)];
        for call in calls {
            let pid = self.receive()?;
            let done = call(&*self.hooks, pid);
            let answer = [u8::from(done.is_ok())];
            let _ = rustix::net::send(&self.socket, &answer, SendFlags::NOSIGNAL);
            if let Err(error) = done {
                return Some(error);
            }
        }
        None
    }

    /// Waits for the child, and returns its number as this process sees it; none if it is gone.
    fn receive(&self) -> Option<i32> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        loop {
            let (mut byte, mut ancillary) = ([0u8], RecvAncillaryBuffer::new(&mut space));
            let flags = RecvFlags::empty();
            match rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, flags)
            {
                Err(rustix::io::Errno::INTR) => {}
                Ok(message) if message.bytes == 1 => {
                    return ancillary.drain().find_map(|message| match message {
                        RecvAncillaryMessage::ScmCredentials(who) => Some(who.pid.as_raw_nonzero().get()),
                        _ => None,
                    });
                }
                _ => return None,
            }
        }
    }
}

/// A program of the host, or of the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// When it runs, as the specification calls it.
    pub when: String,
    /// Its file.
    pub path: String,
    /// What it is told, its own name first.
    pub args: Vec<String>,
    /// Its whole environment, `NAME=VALUE`.
    pub env: Vec<String>,
    /// Seconds after which it has failed.
    pub timeout: Option<u64>,
}

impl Hook {
    /// Runs it in this thread's namespaces, the state of the container on its standard input.
    ///
    /// # Errors
    /// It can't be run, fails, or takes too long; in runc's words.
    pub fn run(&self, state: &[u8], directory: &Path) -> Result<(), String> {
        let mut command = Command::new(&self.path);
        if let Some((name, rest)) = self.args.split_first() {
            use std::os::unix::process::CommandExt as _;
            command.arg0(name).args(rest);
        }
        let env = self.env.iter().filter_map(|text| text.split_once('='));
        command.env_clear().envs(env).current_dir(directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("fork/exec {}: {}", self.path, words(&e)))?;
        let limit = self.limit();
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing needs nothing.
            let _ = stdin.write_all(state);
        }
        let mut pipes = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
        let mut said = [Vec::new(), Vec::new()];
        let in_time = read_all(&mut pipes, &mut said, limit) && ends(&child, limit);
        if !in_time {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|e| words(&e))?;
        if !in_time {
            return Err(self.too_late());
        }
        verdict(status.into(), &said[0], &said[1])
    }

    /// Returns when it has to have ended.
    pub fn limit(&self) -> Option<Instant> {
        self.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds))
    }

    /// Says that it has not ended by then; in runc's words.
    pub fn too_late(&self) -> String {
        format!("hook ran past specified timeout of {:.1}s", self.timeout.unwrap_or(0) as f64)
    }
}

/// Says how a hook ended; nothing if that was well.
///
/// # Errors
/// It failed; in runc's words.
pub fn verdict(exit: Exit, stdout: &[u8], stderr: &[u8]) -> Result<(), String> {
    let how = match exit {
        Exit::Code(0) => return Ok(()),
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal(signal) => format!("signal: {signal}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{how}, stdout: {}, stderr: {}", text(stdout), text(stderr)))
}

fn words(error: &std::io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Waits for something until a time; tells whether it came.
fn wait(fds: &mut [PollFd<'_>], limit: Option<Instant>) -> bool {
    loop {
        let left = limit.map(|at| at.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(fds, left.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            other => return other.is_ok_and(|count| count > 0),
        }
    }
}

/// How much of what a hook says is kept.
const KEPT: usize = 64 << 10;

/// Reads pipes to their ends; tells whether those came in time.
pub fn read_all(pipes: &mut [Option<OwnedFd>; 2], said: &mut [Vec<u8>; 2], limit: Option<Instant>) -> bool {
    let mut buffer = [0; 4096];
    loop {
        let open: Vec<usize> = (0..2).filter(|number| pipes[*number].is_some()).collect();
        if open.is_empty() {
            return true;
        }
        let ready: Vec<usize> = {
            let fds = open.iter().filter_map(|number| pipes[*number].as_ref());
            let mut fds: Vec<PollFd<'_>> = fds.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
            if !wait(&mut fds, limit) {
                return false;
            }
            open.iter()
                .zip(&fds)
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(number, _)| *number)
                .collect()
        };
        for number in ready {
            let Some(fd) = &pipes[number] else { continue };
            match rustix::io::read(fd, &mut buffer) {
                Ok(0) | Err(_) => pipes[number] = None,
                Ok(count) if said[number].len() < KEPT => said[number].extend_from_slice(&buffer[..count]),
                Ok(_) => {}
            }
        }
    }
}

/// Waits for the end of a process until a time.
fn ends(child: &std::process::Child, limit: Option<Instant>) -> bool {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) else {
        return true;
    };
    let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { return true };
    ends_by(fd.as_fd(), limit)
}

/// Waits for the end of a process until a time; tells whether it came.
pub fn ends_by(process: BorrowedFd<'_>, limit: Option<Instant>) -> bool {
    wait(&mut [PollFd::from_borrowed_fd(process, PollFlags::IN)], limit)
}

/// Runs something on a thread that is in the namespaces of a process, those of its children included, but for the user
/// namespace.
///
/// # Errors
/// The process is gone.
pub fn in_namespaces<T: Send>(pid: i32, work: impl FnOnce() -> T + Send) -> Result<T, RunError> {
    let failed = |e| RunError::setup("enter the container's namespaces", e);
    let process = rustix::process::Pid::from_raw(pid).ok_or_else(|| failed(rustix::io::Errno::SRCH))?;
    let process =
        rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()).map_err(failed)?;
    aside(|| {
        sys::unshare(libc::CLONE_FS).map_err(failed)?;
        let kinds = libc::CLONE_NEWNS
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP
            | libc::CLONE_NEWPID;
        sys::set_namespace(process.as_fd(), kinds).map_err(failed)?;
        Ok(work())
    })
}
