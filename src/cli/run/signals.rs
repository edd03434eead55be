//! Signals of this process, handed on to the container's.
//!
//! They are blocked in every thread and taken by one of their own. Before the
//! container starts they do what they always do; while it starts they wait;
//! then they are its.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use nix::sys::signal::{SigSet, Signal};

use super::super::error::CliError;
use super::session::{End, Sender};
use crate::containers::Kind;

/// Signals that are not handed on: what belongs to this process's own doings.
const KEPT: &[Signal] = &[
    Signal::SIGCHLD,
    Signal::SIGPIPE,
    Signal::SIGURG,
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGSYS,
    Signal::SIGABRT,
    Signal::SIGKILL,
    Signal::SIGSTOP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// What becomes of a signal.
enum Phase {
    Own,
    Waiting,
    HandedOn { sender: Sender, tty: bool, end: End },
}

/// The thread that takes signals.
#[derive(Clone)]
pub struct Proxy(Arc<(Mutex<Phase>, Condvar)>);

impl Proxy {
    /// Blocks signals from now on; to be called before any other thread starts.
    ///
    /// # Errors
    /// The thread can't be started.
    pub fn start() -> Result<Self, CliError> {
        let mut set = SigSet::all();
        KEPT.iter().for_each(|signal| set.remove(*signal));
        set.thread_block().map_err(|e| CliError::new(format!("cannot block signals: {e}")))?;
        let proxy = Self(Arc::new((Mutex::new(Phase::Own), Condvar::new())));
        let thread = proxy.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            while let Ok(signal) = set.wait() {
                thread.take(signal);
            }
        })?;
        Ok(proxy)
    }

    /// Lets signals wait for the container that is about to start.
    pub fn hold(&self) {
        self.set(Phase::Waiting);
    }

    /// Lets signals do what they always do again.
    pub fn release(&self) {
        self.set(Phase::Own);
    }

    /// Hands signals on to a container.
    pub fn begin(&self, sender: Sender, tty: bool, end: End) {
        if tty {
            // The window may have changed since its size was asked for.
            resize(&sender);
        }
        self.set(Phase::HandedOn { sender, tty, end });
    }

    fn set(&self, phase: Phase) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.0.1.notify_all();
    }

    fn take(&self, signal: Signal) {
        let phase = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |phase: &mut Phase| matches!(phase, Phase::Waiting);
        let phase = self.0.1.wait_while(phase, waiting).unwrap_or_else(PoisonError::into_inner);
        match &*phase {
            Phase::HandedOn { sender, tty, .. } if signal == Signal::SIGWINCH => {
                if *tty {
                    resize(sender);
                }
            }
            Phase::HandedOn { end: End::Attachment, .. } if signal == Signal::SIGHUP => as_ever(signal),
            // A container that has ended just now has nobody to tell.
            Phase::HandedOn { sender, .. } => sender.send(Kind::Signal, &(signal as i32).to_le_bytes()),
            Phase::Own | Phase::Waiting => as_ever(signal),
        }
    }
}

/// Blocks the signal of a window that changes its size, and returns what waits for it without end; to be called before any
/// other thread starts.
///
/// # Errors
/// The signal can't be blocked.
pub fn window_changes() -> Result<impl FnOnce(&mut dyn FnMut()) + Send, CliError> {
    let mut set = SigSet::empty();
    set.add(Signal::SIGWINCH);
    set.thread_block().map_err(|e| CliError::new(format!("cannot block signals: {e}")))?;
    Ok(move |changed: &mut dyn FnMut()| {
        while set.wait().is_ok() {
            changed();
        }
    })
}

/// Does what the signal would have done unblocked.
fn as_ever(signal: Signal) {
    let mut only = SigSet::empty();
    only.add(signal);
    let _ = only.thread_unblock();
    let _ = nix::sys::signal::raise(signal);
    let _ = only.thread_block();
}

/// Gives the container's terminal the size of ours.
pub fn resize(sender: &Sender) {
    if let Some((rows, columns)) = console::Term::stdout().size_checked() {
        sender.send(Kind::Resize, &[rows.to_le_bytes(), columns.to_le_bytes()].concat());
    }
}
