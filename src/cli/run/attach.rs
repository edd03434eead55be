//! The terminal and the signals of a container in the foreground.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal};

use super::super::error::{CliError, chain};
use super::super::output;
use super::args::RunArgs;
use crate::run::{Input, Io, Output, Running};

/// Signals that are handed on. What belongs to this process's own doings stays here.
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

/// Returns where the container reads and writes: without a terminal, where this process does.
pub fn io(args: &RunArgs) -> Result<Io, CliError> {
    if args.tty {
        if args.interactive && !std::io::stdin().is_terminal() {
            return Err(CliError::new(
                "cannot attach stdin to a TTY-enabled container because stdin is not a terminal (the input device is not a TTY)",
            )
            .code(1));
        }
        let (rows, columns) = console::Term::stdout().size_checked().unwrap_or((24, 80));
        return Ok(Io { stdin: Input::Null, output: Output::Terminal { rows, columns } });
    }
    let own = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map_err(CliError::from);
    Ok(Io {
        stdin: if args.interactive { Input::Fd(own(std::io::stdin().as_fd())?) } else { Input::Null },
        output: Output::Pipes {
            stdout: own(std::io::stdout().as_fd())?,
            stderr: own(std::io::stderr().as_fd())?,
        },
    })
}

/// Waits for the container, hands signals on to it, and returns its exit code.
pub fn attach(args: &RunArgs, mut running: Box<dyn Running>, signals: Signals) -> Result<u8, CliError> {
    for warning in running.warnings() {
        output::talk(&format!("WARNING: {}", warning.0));
    }
    let terminal = if args.tty { Some(Terminal::attach(args, &*running)?) } else { None };
    proxy_signals(&*running, signals)?;
    let exit = running.wait().map_err(|e| CliError::new(chain(&e)));
    drop(running);
    if let Some(terminal) = terminal {
        terminal.finish();
    }
    Ok(u8::try_from(exit?.code()).unwrap_or(255))
}

/// Signals that wait until somebody hands them on.
pub struct Signals(SigSet);

/// Keeps signals waiting from now on, so that none is lost or ends this process while the container starts.
pub fn hold_signals() -> Result<Signals, CliError> {
    let mut set = SigSet::all();
    KEPT.iter().for_each(|signal| set.remove(*signal));
    set.thread_block().map_err(|e| CliError::new(format!("cannot block signals: {e}")))?;
    Ok(Signals(set))
}

/// Hands signals on by a thread of its own, which has descriptors of its own.
fn proxy_signals(running: &dyn Running, Signals(set): Signals) -> Result<(), CliError> {
    let pidfd = running.pidfd().try_clone_to_owned()?;
    let master = running.terminal().map(|fd| fd.try_clone_to_owned()).transpose()?;
    let waiting = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        while let Ok(signal) = set.wait() {
            if signal == Signal::SIGWINCH {
                resize(master.as_ref());
            } else {
                // A container that has ended just now has nobody to tell.
                let _ = crate::run::signal(pidfd.as_fd(), signal as i32);
            }
        }
    });
    waiting.map(drop).map_err(CliError::from)
}

/// Gives the container's terminal the size of ours.
fn resize(master: Option<&OwnedFd>) {
    let size = console::Term::stdout().size_checked();
    if let (Some(master), Some((rows, columns))) = (master, size) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

/// This process's terminal in raw mode, and the thread that shows what the container writes.
struct Terminal {
    _raw: Option<RawMode>,
    showing: std::thread::JoinHandle<()>,
}

impl Terminal {
    fn attach(args: &RunArgs, running: &dyn Running) -> Result<Self, CliError> {
        let master = running.terminal().ok_or_else(|| CliError::new("the container has no terminal"))?;
        let master = || master.try_clone_to_owned().map(std::fs::File::from).map_err(CliError::from);
        let raw = if args.interactive { RawMode::enter()? } else { None };
        let mut from = master()?;
        let showing = std::thread::Builder::new().name("output".to_owned()).spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            // A terminal whose other side is closed fails with EIO: that is its end.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut out = std::io::stdout().lock();
                if out.write_all(&buffer[..count]).and_then(|()| out.flush()).is_err() {
                    break;
                }
            }
        })?;
        if args.interactive {
            let mut to = master()?;
            std::thread::Builder::new().name("input".to_owned()).spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin().lock(), &mut to);
            })?;
        }
        Ok(Self { _raw: raw, showing })
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
    fn enter() -> Result<Option<Self>, CliError> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        let failed = |e: rustix::io::Errno| CliError::new(format!("cannot set up the terminal: {e}"));
        let before = rustix::termios::tcgetattr(&stdin).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(&stdin, rustix::termios::OptionalActions::Drain, &raw).map_err(failed)?;
        Ok(Some(Self { stdin, before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ =
            rustix::termios::tcsetattr(&self.stdin, rustix::termios::OptionalActions::Drain, &self.before);
    }
}
