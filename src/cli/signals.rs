//! Signals that end or stop what is going on.

use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use super::error::CliError;

fn ending() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// Starts a thread to which these signals never go, before somebody waits for them ([`on_first`]).
///
/// A thread that does not block them takes them away from who waits: the process ends at once, or, where it was started
/// with the signal ignored, nothing happens at all.
///
/// # Errors
/// The thread can't be started.
pub fn beside(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let before = ending().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let thread = Builder::new().name(name.to_owned()).spawn(work);
    before.thread_set_mask()?;
    thread
}

/// Whether this process was started to go on when its terminal is closed (nohup(1)).
fn outlives_terminal() -> bool {
    let status = crate::fs::read_named("/proc/self/status".as_ref(), 1 << 16).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set & (1 << (Signal::SIGHUP as u64 - 1)) != 0)
}

/// Runs `action` on the first SIGINT, SIGTERM or SIGHUP; the second one ends the process. A SIGHUP that is ignored from
/// the beginning is left so.
///
/// The signals are blocked in this thread and all that it starts from now on,
/// and waited for by a thread of their own.
///
/// # Errors
/// The thread can't be started.
pub fn on_first(action: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    let mut set = ending();
    if outlives_terminal() {
        set.remove(Signal::SIGHUP);
    }
    set.thread_block().map_err(|e| CliError::new(format!("cannot block signals: {e}")))?;
    let waiting = Builder::new().name("signals".to_owned()).spawn(move || {
        if set.wait().is_ok() {
            action();
            if let Ok(signal) = set.wait() {
                // What the signal would have done without us.
                let mut only = SigSet::empty();
                only.add(signal);
                let _ = only.thread_unblock();
                let _ = nix::sys::signal::raise(signal);
            }
        }
    });
    waiting.map(drop).map_err(CliError::from)
}
