//! This process's terminal, given to another process.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use super::super::error::CliError;
use super::args::ProcessArgs;
use crate::causes::chain;
use crate::run::Running;

/// Refuses a terminal whose input can't be one.
///
/// # Errors
/// `-it` was given, and standard input is no terminal.
pub fn check(args: &ProcessArgs) -> Result<(), CliError> {
    check_terminal(args.tty, args.interactive)
}

/// Refuses a terminal whose input can't be one.
///
/// # Errors
/// Both are wanted, and standard input is no terminal.
pub fn check_terminal(tty: bool, interactive: bool) -> Result<(), CliError> {
    if tty && interactive && !std::io::stdin().is_terminal() {
        return Err(CliError::new(
            "cannot attach stdin to a TTY-enabled container because stdin is not a terminal \
             (the input device is not a TTY)",
        ));
    }
    Ok(())
}

/// Gives this process's terminal to another one until that ends.
///
/// # Errors
/// The terminal can't be set up, or the kernel does not know the process any more.
pub fn attach_terminal(mut running: Box<dyn Running>) -> Result<(), CliError> {
    let terminal = Terminal::attach(true, &*running)?;
    let exit = running.wait().map_err(|e| CliError::new(chain(&e)));
    drop(running);
    terminal.finish();
    exit.map(drop)
}

/// This process's terminal in raw mode, and the thread that shows what the container writes.
struct Terminal {
    showing: std::thread::JoinHandle<()>,
    _raw: Option<RawMode>,
}

impl Terminal {
    fn attach(interactive: bool, running: &dyn Running) -> Result<Self, CliError> {
        let ours = running.terminal().ok_or_else(|| CliError::new("the container has no terminal"))?;
        let ours = || ours.try_clone_to_owned().map(std::fs::File::from).map_err(CliError::from);
        let raw = if interactive { Some(RawMode::enter()?) } else { None };
        let (mut from, mut to) = (ours()?, ours()?);
        let showing = std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            // A terminal whose other side is closed fails with EIO: that is its end.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut out = std::io::stdout().lock();
                // Whoever read us is gone; the container must not stand still for it.
                let _ = out.write_all(&buffer[..count]).and_then(|()| out.flush());
            }
        })?;
        if interactive {
            std::thread::Builder::new().name("input".to_owned()).spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin().lock(), &mut to);
            })?;
        }
        Ok(Self { showing, _raw: raw })
    }

    /// Shows the rest of the output, then gives the terminal back.
    fn finish(self) {
        let _ = self.showing.join();
    }
}

/// The terminal's settings before, put back when dropped.
pub struct RawMode {
    stdin: OwnedFd,
    before: rustix::termios::Termios,
}

impl RawMode {
    /// Puts the terminal into raw mode.
    ///
    /// # Errors
    /// Standard input is no terminal, or can't be set up.
    pub fn enter() -> Result<Self, CliError> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        let failed = |e: rustix::io::Errno| CliError::new(format!("cannot set up the terminal: {e}"));
        let before = rustix::termios::tcgetattr(&stdin).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Drain, &raw).map_err(failed)?;
        Ok(Self { stdin, before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ =
            rustix::termios::tcsetattr(&self.stdin, rustix::termios::OptionalActions::Drain, &self.before);
    }
}
