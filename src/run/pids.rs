//! Making a child in the process-id namespace of a process that lives.
//!
//! That namespace is entered by the thread that makes the child, for the time of the clone: it only counts for children.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, mpsc};

use super::assemble::Prepared;
use super::error::RunError;
use super::executor::{Process, launch_in};
use super::sys;

/// Bytes of the stack of a thread that makes a child and waits.
const STACK: usize = 128 << 10;

/// Makes the child among the processes that the one of a descriptor sees.
pub(super) fn launch_among(
    prepared: Prepared,
    cgroup: Option<OwnedFd>,
    pidfd: Arc<OwnedFd>,
) -> Result<Process, RunError> {
    if !Inside::may_return()? {
        return launch_by_another_thread(prepared, cgroup, pidfd);
    }
    let _inside = Inside::enter(pidfd.as_fd())?;
    launch_in(prepared, cgroup)
}

/// Makes the child on a thread that stays in the other process-id namespace: an ordinary user may enter a
/// container's, but not come back. The child dies with the thread that made it, so that lives as long.
fn launch_by_another_thread(
    prepared: Prepared,
    cgroup: Option<OwnedFd>,
    pidfd: Arc<OwnedFd>,
) -> Result<Process, RunError> {
    let (tell, told) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let work = move || {
        let entered = sys::set_namespace(pidfd.as_fd(), libc::CLONE_NEWPID);
        let entered = entered.map_err(|e| RunError::setup("join the container's process ids", e));
        // Nobody listens any more only if this process ends.
        let _ = tell.send(entered.and_then(|()| launch_in(prepared, cgroup)));
        let _ = released.recv();
    };
    let failed = |e: std::io::Error| RunError::setup("start a thread", e);
    std::thread::Builder::new().name("guest".to_owned()).stack_size(STACK).spawn(work).map_err(failed)?;
    let mut process = told.recv().map_err(|_| failed(std::io::ErrorKind::BrokenPipe.into()))??;
    process.maker = Some(release);
    Ok(process)
}

/// While it lives, children of this thread are born in another process-id namespace.
struct Inside {
    own: OwnedFd,
}

impl Inside {
    /// Whether this process may join the namespace that it is in, which it must to come back.
    fn may_return() -> Result<bool, RunError> {
        let failed = |e| RunError::setup("look for the own process ids", e);
        let flags = rustix::process::PidfdFlags::empty();
        let own = rustix::process::pidfd_open(rustix::process::getpid(), flags).map_err(failed)?;
        match sys::set_namespace(own.as_fd(), libc::CLONE_NEWPID) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::PERM) => Ok(false),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn enter(pidfd: BorrowedFd<'_>) -> Result<Self, RunError> {
        let failed = |e| RunError::setup("join the container's process ids", e);
        let flags = rustix::process::PidfdFlags::empty();
        let own = rustix::process::pidfd_open(rustix::process::getpid(), flags).map_err(failed)?;
        sys::set_namespace(pidfd, libc::CLONE_NEWPID).map_err(failed)?;
        Ok(Self { own })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        sys::set_namespace(self.own.as_fd(), libc::CLONE_NEWPID)
            .expect("a process may return to its own namespace");
    }
}
