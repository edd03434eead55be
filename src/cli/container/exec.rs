//! `exec`

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::super::run::attach::{RawMode, check_terminal};
use super::super::run::environment::{changes, own};
use super::super::run::session::DetachKeys;
use super::super::run::signals::window_changes;
use crate::containers::{Container, ContainerError, Containers, Exec, Remote, Reply};

/// How long output is waited for after the end, when others than the process hold it open.
const DRAIN: Duration = Duration::from_secs(2);

/// Execute a command in a running container
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Detached mode: run command in the background
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Set environment variables
    #[arg(short, long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// Read in a file of environment variables
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Give extended privileges to the command
    #[arg(long)]
    privileged: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    container: String,
    /// Command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
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

fn connect(container: &Container) -> Result<Remote, CliError> {
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
fn begin(
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
fn end(remote: &mut Remote) -> Result<i32, CliError> {
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
    let (done, ended) = mpsc::channel::<()>();
    let other = done.clone();
    std::thread::Builder::new().name("stderr".to_owned()).spawn(move || {
        show(err, std::io::stderr());
        drop(other);
    })?;
    std::thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        show(out, std::io::stdout());
        drop(done);
    })?;
    let code = end(&mut remote)?;
    let _ = ended.recv_timeout(DRAIN);
    Ok(code)
}

/// Shows what comes until its end; whoever read us may be gone, but the process must not stand still for it.
fn show(mut from: impl std::io::Read, mut to: impl std::io::Write) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let _ = to.write_all(&buffer[..count]).and_then(|()| to.flush());
    }
}

/// What ends a session on a terminal.
enum Ended {
    Exit(Result<i32, CliError>),
    Left,
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
    std::thread::Builder::new().name("output".to_owned()).spawn(move || {
        show(from, std::io::stdout());
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
            let _ = shown.1.recv_timeout(DRAIN);
            code
        }
        Ok(Ended::Left) => {
            drop(raw);
            output::talk("read escape sequence");
            return Ok(1);
        }
        Err(_) => Ok(137),
    };
    drop(raw);
    code
}
