//! `exec`

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output::{self, Shown};
use super::super::run::attach::{RawMode, check_terminal};
use super::super::run::environment::{changes, own};
use super::super::run::session::DetachKeys;
use super::super::run::signals::window_changes;
use crate::containers::{Container, ContainerError, Containers, Exec, Remote, Reply};

/// How long output is waited for after the end, when others than the process hold it open and nothing comes.
const DRAIN: Duration = Duration::from_secs(2);
/// More than the process itself can have left behind: what comes then is others'.
const LEFT: u64 = 1 << 20;

/// How far a process's output has come, seen by whoever waits for all of it.
#[derive(Debug, Default)]
pub struct Carried {
    /// Bytes that were read.
    read: AtomicU64,
    /// Threads that hand on what they have read.
    giving: AtomicUsize,
}

impl Carried {
    /// Hands on so many bytes.
    pub fn give<T>(&self, count: usize, act: impl FnOnce() -> T) -> T {
        self.giving.fetch_add(1, Ordering::SeqCst);
        self.read.fetch_add(count as u64, Ordering::SeqCst);
        let done = act();
        self.giving.fetch_sub(1, Ordering::SeqCst);
        done
    }

    /// Waits until all is handed on that a process left that has ended, however slow its reader is. `ended` says that its
    /// outputs have, which others may hold open: they are waited for only while something comes.
    pub fn finish(&self, ended: &mpsc::Receiver<()>, outputs: &[OwnedFd]) {
        let begun = self.read.load(Ordering::SeqCst);
        while ended.recv_timeout(DRAIN) == Err(mpsc::RecvTimeoutError::Timeout) {
            let now = self.read.load(Ordering::SeqCst);
            let more = outputs.iter().any(is_readable) && now - begun < LEFT;
            if !more && self.giving.load(Ordering::SeqCst) == 0 {
                return;
            }
        }
    }
}

/// Whether bytes wait in a pipe or a terminal.
fn is_readable(fd: &OwnedFd) -> bool {
    let mut ready = [PollFd::new(fd, PollFlags::IN)];
    poll(&mut ready, Some(&Timespec::default())).is_ok() && ready[0].revents().contains(PollFlags::IN)
}

/// Execute a command in a running container
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    pub privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    pub tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    pub container: String,
    /// Command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Runs `exec`.
///
/// # Errors
/// The container does not run, or the command can't be started in it; with docker's exit codes.
pub fn exec(args: &ExecArgs, global: &Global) -> Result<ExitCode, CliError> {
    if !args.detach {
        check_terminal(args.tty, args.interactive)?;
    }
    let keys = DetachKeys::new(args.detach_keys.as_deref(), global)?;
    let request = request(args)?;
    // The store itself is not needed.
    let containers = Containers::open(&global.root()?).map_err(|e| CliError::engine(&e))?;
    let container = match containers.find(&args.container) {
        Ok(container) => container,
        Err(ContainerError::NotFound(_)) => super::find(&containers, &args.container, global)?,
        Err(error) => return Err(CliError::engine(&error)),
    };
    let mut remote = connect(&container)?;
    let container = (&container, args.container.as_str());
    let code = match (args.detach, args.tty) {
        (true, _) => {
            begin(&mut remote, &request, &[], container)?;
            0
        }
        (false, true) => on_terminal(remote, &request, keys, container)?,
        (false, false) => on_pipes(remote, &request, container)?,
    };
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(255)))
}

fn request(args: &ExecArgs) -> Result<Exec, CliError> {
    if let Some(cwd) = args.workdir.as_deref().filter(|cwd| !cwd.starts_with('/')) {
        return Err(CliError::new(format!(
            "OCI runtime exec failed: exec failed: Cwd must be an absolute path: {cwd}"
        ))
        .code(126));
    }
    let size = if args.tty { console::Term::stdout().size_checked() } else { None };
    let (rows, columns) = size.unwrap_or((0, 0));
    Ok(Exec {
        id: None,
        args: args.command.clone(),
        env: changes(&args.env_file, &args.env, &own)?,
        user: args.user.clone().filter(|user| !user.is_empty()),
        cwd: args.workdir.clone(),
        tty: args.tty,
        stdin: args.interactive && !args.detach,
        privileged: args.privileged,
        detach: args.detach,
        rows,
        columns,
    })
}

/// Reaches the monitor of a container that runs.
///
/// # Errors
/// It does not run.
pub fn connect(container: &Container) -> Result<Remote, CliError> {
    loop {
        if let Some(remote) = Remote::connect(container).map_err(|e| CliError::engine(&e))? {
            return Ok(remote);
        }
        // Nobody listens: it does not run, or it just begins or ends.
        if !container.state().map_err(|e| CliError::engine(&e))?.status.has_monitor() {
            let id = &container.config.id;
            return Err(CliError::new(format!("Error response from daemon: container {id} is not running")));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Starts the process; its terminal, if it has one.
///
/// # Errors
/// It can't be started, in docker's words and with its exit code.
pub fn begin(
    remote: &mut Remote,
    request: &Exec,
    fds: &[BorrowedFd<'_>],
    (container, typed): (&Container, &str),
) -> Result<Option<OwnedFd>, CliError> {
    match remote.exec(request, fds) {
        Ok(Ok(terminal)) => Ok(terminal),
        // Docker's own words: an attached client gets them as the process's output, and goes on with its code.
        Ok(Err(failure)) if failure.text.starts_with("OCI runtime") && !request.detach => {
            Err(CliError::new(failure.text).code(failure.code))
        }
        Ok(Err(failure)) => {
            let id = &container.config.id;
            let text =
                failure.text.replacen(&format!("Container {id} is "), &format!("Container {typed} is "), 1);
            Err(CliError::new(format!("Error response from daemon: {text}")))
        }
        Err(ContainerError::MonitorGone) => {
            let id = &container.config.id;
            Err(CliError::new(format!("Error response from daemon: container {id} is not running")))
        }
        Err(error) => Err(CliError::engine(&error)),
    }
}

/// Waits for the end of the process; a container whose monitor died took it along.
///
/// # Errors
/// The monitor means nothing.
pub fn end(remote: &mut Remote) -> Result<i32, CliError> {
    loop {
        match remote.reply().map_err(|e| CliError::engine(&e))? {
            Some(Reply::Exit(code)) => return Ok(code),
            Some(Reply::Warning(text)) => output::talk(&format!("WARNING: {text}")),
            Some(_) => {}
            None => return Ok(137),
        }
    }
}

fn on_pipes(mut remote: Remote, request: &Exec, container: (&Container, &str)) -> Result<i32, CliError> {
    let (out, stdout) = std::io::pipe()?;
    let (err, stderr) = std::io::pipe()?;
    let input = if request.stdin { Some(std::io::pipe()?) } else { None };
    let mut fds: Vec<BorrowedFd<'_>> = input.iter().map(|(read, _)| read.as_fd()).collect();
    fds.extend([stdout.as_fd(), stderr.as_fd(), out.as_fd(), err.as_fd()]);
    begin(&mut remote, request, &fds, container)?;
    drop((stdout, stderr));
    if let Some((read, mut write)) = input {
        drop(read);
        std::thread::Builder::new().name("input".to_owned()).spawn(move || {
            // The process may end before its input does.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut write);
        })?;
    }
    let outputs = [out.try_clone()?.into(), err.try_clone()?.into()];
    let carried = Arc::new(Carried::default());
    let (tell, ended) = mpsc::channel();
    let (shown, all_shown) = mpsc::channel::<()>();
    let (unread, other, of) = (tell.clone(), shown.clone(), Arc::clone(&carried));
    std::thread::Builder::new().name("stderr".to_owned()).spawn(move || {
        // Who does not want to read it may want standard output.
        let _ = show(err, &Shown::Stderr, &of, true);
        drop(other);
    })?;
    let of = Arc::clone(&carried);
    std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        if let Err(error) = show(out, &Shown::Stdout, &of, false) {
            let _ = unread.send(Ended::Unshown(error));
        }
        drop(shown);
    })?;
    std::thread::Builder::new()
        .name("end".to_owned())
        .spawn(move || tell.send(Ended::Exit(end(&mut remote))))?;
    let unread = |error: std::io::Error| Err(output::unread(error.into()));
    match ended.recv() {
        Ok(Ended::Exit(code)) => {
            carried.finish(&all_shown, &outputs);
            match ended.try_recv() {
                Ok(Ended::Unshown(error)) => unread(error),
                _ => code,
            }
        }
        // The process goes on, and the monitor reads in our place.
        Ok(Ended::Unshown(error)) => unread(error),
        Ok(Ended::Left) | Err(_) => Ok(137),
    }
}

/// Shows what comes until its end, or until it can't be shown any more; if `drain`, the rest is still read.
fn show(mut from: impl std::io::Read, to: &Shown, carried: &Carried, drain: bool) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        match carried.give(count, || to.show(&buffer[..count])) {
            Err(error) if !drain => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What ends a session.
enum Ended {
    Exit(Result<i32, CliError>),
    Left,
    /// Standard output can't be written.
    Unshown(std::io::Error),
}

fn on_terminal(
    mut remote: Remote,
    request: &Exec,
    mut keys: DetachKeys,
    container: (&Container, &str),
) -> Result<i32, CliError> {
    let size = window_changes()?;
    let terminal = begin(&mut remote, request, &[], container)?
        .ok_or_else(|| CliError::new("the container's monitor gave no terminal"))?;
    let raw = match request.stdin && std::io::stdin().is_terminal() {
        true => Some(RawMode::enter()?),
        false => None,
    };
    let copy = || terminal.try_clone().map(std::fs::File::from);
    let (from, mut to, resized) = (copy()?, copy()?, copy()?);
    let (tell, ended) = mpsc::channel();
    let (left, shown) = (tell.clone(), mpsc::channel::<()>());
    std::thread::Builder::new().name("size".to_owned()).spawn(move || {
        size(&mut || {
            if let Some((rows, columns)) = console::Term::stdout().size_checked() {
                let _ = crate::run::resize_terminal(&resized, rows, columns);
            }
        });
    })?;
    let (outputs, carried) = ([terminal.try_clone()?], Arc::new(Carried::default()));
    let of = Arc::clone(&carried);
    std::thread::Builder::new().name("output".to_owned()).spawn(move || {
        let _ = show(from, &Shown::Stdout, &of, true);
        drop(shown.0);
    })?;
    if request.stdin {
        std::thread::Builder::new().name("input".to_owned()).spawn(move || {
            let mut buffer = vec![0; 32 << 10];
            while let Ok(count @ 1..) = std::io::stdin().lock().read(&mut buffer) {
                let (bytes, leaves) = keys.take(&buffer[..count]);
                if to.write_all(&bytes).is_err() {
                    return;
                }
                if leaves {
                    let _ = left.send(Ended::Left);
                    return;
                }
            }
        })?;
    }
    std::thread::Builder::new()
        .name("end".to_owned())
        .spawn(move || tell.send(Ended::Exit(end(&mut remote))))?;
    let code = match ended.recv() {
        Ok(Ended::Exit(code)) => {
            carried.finish(&shown.1, &outputs);
            code
        }
        Ok(Ended::Left) => {
            drop(raw);
            output::talk("read escape sequence");
            return Ok(1);
        }
        Ok(Ended::Unshown(_)) | Err(_) => Ok(137),
    };
    drop(raw);
    code
}
