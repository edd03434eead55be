//! What signals mean to a monitor: SIGTERM asks it to stop its container, the others nothing.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::super::error::ContainerError;

/// SIGTERM, as something to poll.
pub(super) struct Terminate(SignalFd);

impl Terminate {
    /// Blocks the signals that would end the process.
    pub fn take() -> Result<Self, ContainerError> {
        let failed = |e: nix::errno::Errno| {
            ContainerError::io("take signals", std::io::Error::from_raw_os_error(e as i32))
        };
        let mut all = SigSet::empty();
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
            all.add(signal);
        }
        all.thread_block().map_err(failed)?;
        let mut only = SigSet::empty();
        only.add(Signal::SIGTERM);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&only, flags).map_err(failed)?))
    }

    /// Whether one has come; it is taken.
    pub fn came(&mut self) -> bool {
        matches!(self.0.read_signal(), Ok(Some(_)))
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
