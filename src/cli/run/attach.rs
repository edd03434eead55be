//! Where a container in the foreground reads and writes, and its end.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::error::{CliError, chain};
use super::super::output;
use super::args::RunArgs;
use super::signals::Proxy;
use crate::run::{Input, Io, Output, Running};

/// Refuses a terminal whose input can't be one.
///
/// # Errors
/// `-it` was given, and standard input is no terminal.
pub fn check(args: &RunArgs) -> Result<(), CliError> {
    if args.process.tty && args.process.interactive && !std::io::stdin().is_terminal() {
        return Err(CliError::new(
            "cannot attach stdin to a TTY-enabled container because stdin is not a terminal \
             (the input device is not a TTY)",
        ));
    }
    Ok(())
}

/// Returns where the container reads and writes: without a terminal, where this process does.
///
/// # Errors
/// The process has no descriptor left.
pub fn io(args: &RunArgs) -> Result<Io, CliError> {
    if args.process.tty {
        let (rows, columns) = console::Term::stdout().size_checked().unwrap_or((0, 0));
        return Ok(Io { stdin: Input::Null, output: Output::Terminal { rows, columns } });
    }
    let own = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(CliError::from);
    Ok(Io {
        stdin: if args.process.interactive { Input::Fd(own(std::io::stdin().as_fd())?) } else { Input::Null },
        output: Output::Pipes {
            stdout: own(std::io::stdout().as_fd())?,
            stderr: own(std::io::stderr().as_fd())?,
        },
    })
}

/// Waits for the container, hands signals on to it, and returns its exit code.
///
/// # Errors
/// The terminal can't be set up, or the kernel does not know the process any more.
pub fn attach(args: &RunArgs, mut running: Box<dyn Running>, proxy: Option<Proxy>) -> Result<u8, CliError> {
    for warning in running.warnings() {
        output::talk(&format!("WARNING: {warning}"));
    }
    let terminal =
        if args.process.tty { Some(Terminal::attach(args.process.interactive, &*running)?) } else { None };
    if let Some(proxy) = &proxy {
        proxy.begin(&*running)?;
    }
    let exit = running.wait().map_err(|e| CliError::new(chain(&e)));
    drop(running);
    if let Some(terminal) = terminal {
        terminal.finish();
    }
    Ok(u8::try_from(exit?.code()).unwrap_or(255))
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
struct RawMode {
    stdin: OwnedFd,
    before: rustix::termios::Termios,
}

impl RawMode {
    fn enter() -> Result<Self, CliError> {
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
