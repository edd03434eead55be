//! Signals that end or stop what is going on.

use nix::sys::signal::{SigSet, Signal};

use super::error::CliError;

/// Runs `action` on the first SIGINT, SIGTERM or SIGHUP; the second one ends the process.
///
/// The signals are blocked in this thread and all that it starts from now on,
/// and waited for by a thread of their own.
///
/// # Errors
/// The thread can't be started.
pub fn on_first(action: impl FnOnce() + Send + 'static) -> Result<(), CliError> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block().map_err(|e| CliError::new(format!("cannot block signals: {e}")))?;
    let waiting = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
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
