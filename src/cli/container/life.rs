//! `start`, `stop`, `restart`, `kill`, `pause`, `unpause`, `wait`, `rm`, `rename`.

use std::process::ExitCode;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::super::run::session::{DetachKeys, Outcome, Session, attach_request};
use super::super::run::signals::Proxy;
use super::super::run::{Attached, session};
use super::{all, each, exit_code, find, signal_number, start};
use crate::containers::{Container, ContainerError, Containers, Remote, Reply, Request, State, Status};

/// Start one or more stopped containers
#[derive(Debug, Args)]
pub struct StartArgs {
    /// Containers
    #[arg(required = true, value_name = "CONTAINER")]
    pub names: Vec<String>,
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short, long)]
    pub attach: bool,
    /// Attach container's STDIN
    #[arg(short, long)]
    pub interactive: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
}

/// Stop one or more running containers
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Containers
    #[arg(required = true, value_name = "CONTAINER")]
    pub names: Vec<String>,
    /// Signal to send to the container
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// Seconds to wait before killing the container; -1 waits for ever
    #[arg(short, long, alias = "time", value_name = "SECONDS", allow_hyphen_values = true)]
    pub timeout: Option<i64>,
}

/// Restart one or more containers
#[derive(Debug, Args)]
pub struct RestartArgs {
    #[command(flatten)]
    pub stop: StopArgs,
}

/// Kill one or more running containers
#[derive(Debug, Args)]
pub struct KillArgs {
    /// Containers
    #[arg(required = true, value_name = "CONTAINER")]
    pub names: Vec<String>,
    /// Signal to send to the container
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    pub signal: String,
}

/// Remove one or more containers
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Containers
    #[arg(required = true, value_name = "CONTAINER")]
    pub names: Vec<String>,
    /// Force the removal of a running container (uses SIGKILL)
    #[arg(short, long)]
    pub force: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short, long)]
    pub volumes: bool,
    /// Remove the specified link
    #[arg(short, long)]
    pub link: bool,
}

/// Containers by name or id
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// Containers
    #[arg(required = true, value_name = "CONTAINER")]
    pub names: Vec<String>,
}

/// Rename a container
#[derive(Debug, Args)]
pub struct RenameArgs {
    /// Container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// New name
    #[arg(value_name = "NEW_NAME")]
    pub name: String,
}

fn engine(error: &ContainerError) -> CliError {
    CliError::engine(error)
}

fn state(container: &Container) -> Result<State, CliError> {
    container.state().map_err(|e| engine(&e))
}

fn connect(container: &Container) -> Result<Option<Remote>, CliError> {
    Remote::connect(container).map_err(|e| engine(&e))
}

/// Runs `start`.
///
/// # Errors
/// A container could not be started.
pub fn start_command(args: &StartArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    if args.attach || args.interactive {
        let [name] = args.names.as_slice() else {
            return Err(CliError::new("you cannot start and attach multiple containers at once"));
        };
        return start_attached(&find(&containers, name, global)?, args, global);
    }
    let mut failed = Vec::new();
    let code = each(&args.names, |name| {
        start_one(&containers, name, global).inspect_err(|_| failed.push(name.to_owned()))
    })?;
    if !failed.is_empty() {
        output::talk(&format!("Error: failed to start containers: {}", failed.join(", ")));
    }
    Ok(code)
}

fn start_one(containers: &Containers, name: &str, global: &Global) -> Result<(), CliError> {
    let container = find(containers, name, global)?;
    match state(&container)?.status {
        Status::Running | Status::Restarting => Ok(()),
        Status::Paused => Err(CliError::new(
            "Error response from daemon: cannot start a paused container, try unpause instead",
        )),
        _ => start(&container, None, global).map(drop),
    }
}

fn start_attached(container: &Container, args: &StartArgs, global: &Global) -> Result<ExitCode, CliError> {
    let config = &container.config;
    let stdin = args.interactive && config.open_stdin;
    let keys = DetachKeys::new(args.detach_keys.as_deref(), global)?;
    if state(container)?.status.is_running() {
        return Ok(super::attach::stay(container, stdin, keys, true)?.unwrap_or(ExitCode::SUCCESS));
    }
    let proxy = Proxy::start()?;
    proxy.hold();
    let streams = Attached { stdin, stdout: true, stderr: true };
    let started = start(container, Some(attach_request(streams, config.tty, true)), global);
    let remote = started.inspect_err(|_| proxy.release())?;
    let Some(remote) = remote else { return Ok(ExitCode::from(exit_code(container)?)) };
    let session = session::Session { remote, tty: config.tty, stdin, keys, hangs_up: true };
    finish(session, container, Some(&proxy))
}

/// Stays with a container until it ends, and returns its exit code.
fn finish(session: Session, container: &Container, proxy: Option<&Proxy>) -> Result<ExitCode, CliError> {
    Ok(match session.run(proxy)? {
        Outcome::Exited(code) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
        Outcome::Detached => ExitCode::SUCCESS,
        Outcome::Unshown => ExitCode::FAILURE,
        Outcome::Lost => ExitCode::from(exit_code(container)?),
    })
}

/// Asks a running container to stop, and waits until it has.
///
/// # Errors
/// The word names no signal, or the monitor refuses.
pub fn stop_one(container: &Container, signal: Option<&str>, timeout: Option<i64>) -> Result<(), CliError> {
    let signal = signal.map(signal_number).transpose().map_err(|error| {
        let what = format!("cannot stop container: {}: invalid", container.config.name);
        CliError::new(error.text.replace("invalid", &what))
    })?;
    let request = Request::Stop { signal, timeout };
    while state(container)?.has_monitor() {
        let Some(mut remote) = connect(container)? else {
            // It ends, or begins, just now.
            std::thread::sleep(std::time::Duration::from_millis(2));
            continue;
        };
        match remote.call(&request) {
            Ok(()) => return Ok(()),
            Err(ContainerError::MonitorGone) => {}
            Err(error) => return Err(engine(&error)),
        }
    }
    Ok(())
}

/// Runs `stop`: all at once, for each may take its time.
///
/// # Errors
/// A container could not be stopped.
pub fn stop(args: &StopArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    let results = at_once(&args.names, |name| {
        stop_one(&find(&containers, name, global)?, args.signal.as_deref(), args.timeout)
    });
    let mut results = results.into_iter();
    each(&args.names, |_| results.next().unwrap_or(Ok(())))
}

/// Does something with several names at once, and returns the results in their order.
fn at_once(names: &[String], act: impl Fn(&str) -> Result<(), CliError> + Sync) -> Vec<Result<(), CliError>> {
    let mut results = Vec::new();
    for some in names.chunks(50) {
        std::thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|name| scope.spawn(|| act(name))).collect();
            let wait = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            results.extend(running.into_iter().map(wait));
        });
    }
    results
}

/// Runs `restart`.
///
/// # Errors
/// A container could not be stopped or started.
pub fn restart(args: &RestartArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    let results = at_once(&args.stop.names, |name| {
        let container = find(&containers, name, global)?;
        stop_one(&container, args.stop.signal.as_deref(), args.stop.timeout)?;
        start(&container, None, global)?;
        container.event("restart", &[]);
        Ok(())
    });
    let mut results = results.into_iter();
    each(&args.stop.names, |_| results.next().unwrap_or(Ok(())))
}

/// Runs `kill`.
///
/// # Errors
/// A container does not run.
pub fn kill(args: &KillArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    let none = |name: &str, error: CliError| {
        let start = format!("cannot kill container: {name}: No such");
        CliError::new(error.text.replacen("No such", &start, 1))
    };
    each(&args.names, |name| {
        let container = find(&containers, name, global).map_err(|error| none(name, error))?;
        kill_one(&container, name, &args.signal)
    })
}

/// Sends a signal to a container, and waits for the end of one that is killed; `typed` is what it is called.
///
/// # Errors
/// It does not run, or the word names no signal.
pub fn kill_one(container: &Container, typed: &str, signal: &str) -> Result<(), CliError> {
    let id = &container.config.id;
    let refused = |why: String| {
        CliError::new(format!("Error response from daemon: cannot kill container: {typed}: {why}"))
    };
    let number = signal_number(signal).map_err(|_| match signal.parse::<i32>() {
        Ok(1..) => refused(format!("the linux daemon does not support signal {signal}")),
        _ => refused(format!("invalid signal: {signal}")),
    })?;
    match ask(container, &Request::Kill { signal: number })? {
        Some(Ok(())) if number == libc::SIGKILL => wait_for_end(container),
        Some(Ok(())) => Ok(()),
        Some(Err(why)) => Err(refused(why)),
        None => Err(refused(format!("container {id} is not running"))),
    }
}

/// Waits until a killed container has ended, or has begun to wait for its restart.
fn wait_for_end(container: &Container) -> Result<(), CliError> {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while state(container).is_ok_and(|state| state.status.is_running()) && std::time::Instant::now() < limit {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(())
}

/// Asks the monitor for something; none if there is no monitor, an error text if it refuses.
///
/// # Errors
/// The monitor can't be reached, or its state not be read.
pub fn ask(container: &Container, request: &Request) -> Result<Option<Result<(), String>>, CliError> {
    while state(container)?.has_monitor() {
        let Some(mut remote) = connect(container)? else {
            std::thread::sleep(std::time::Duration::from_millis(2));
            continue;
        };
        match remote.call(request) {
            Ok(()) => return Ok(Some(Ok(()))),
            Err(ContainerError::MonitorGone) => {}
            Err(ContainerError::Refused(why)) => return Ok(Some(Err(why))),
            Err(error) => return Err(engine(&error)),
        }
    }
    Ok(None)
}

/// Runs `pause`.
///
/// # Errors
/// A container does not run, or can't be frozen.
pub fn pause(args: &NamesArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    each(&args.names, |name| freeze(&find(&containers, name, global)?, true))
}

/// Runs `unpause`.
///
/// # Errors
/// A container is not paused.
pub fn unpause(args: &NamesArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    each(&args.names, |name| freeze(&find(&containers, name, global)?, false))
}

/// Freezes a container, or lets it go on.
///
/// # Errors
/// It is not running, or not frozen.
pub fn freeze(container: &Container, freeze: bool) -> Result<(), CliError> {
    let id = &container.config.id;
    let (request, wrong) = match freeze {
        true => (Request::Pause, format!("container {id} is not running")),
        false => (Request::Unpause, format!("Container {id} is not paused")),
    };
    match ask(container, &request)? {
        Some(Ok(())) => Ok(()),
        Some(Err(why)) => Err(CliError::new(format!("Error response from daemon: {why}"))),
        None => Err(CliError::new(format!("Error response from daemon: {wrong}"))),
    }
}

/// Runs `wait`.
///
/// # Errors
/// There is no such container.
pub fn wait(args: &NamesArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    let mut failures = Vec::new();
    for name in &args.names {
        match find(&containers, name, global).and_then(|container| wait_one(&container)) {
            Ok(code) => output::line(&code.to_string())?,
            Err(error) => failures.push(error.text),
        }
    }
    failures.iter().for_each(|text| output::talk(text));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn wait_one(container: &Container) -> Result<i32, CliError> {
    loop {
        let now = state(container)?;
        if !now.status.has_monitor() {
            return Ok(now.exit_code);
        }
        let Some(mut remote) = connect(container)? else {
            std::thread::sleep(std::time::Duration::from_millis(2));
            continue;
        };
        if remote.ask(&Request::Wait).is_err() {
            continue;
        }
        match remote.reply() {
            Ok(Some(Reply::Exit(code))) => return Ok(code),
            Ok(_) => {}
            Err(error) => return Err(engine(&error)),
        }
    }
}

/// Runs `rm`.
///
/// # Errors
/// A container runs, or can't be removed.
pub fn rm(args: &RmArgs, global: &Global) -> Result<ExitCode, CliError> {
    if args.link {
        return remove_links(args, global);
    }
    let containers = all(global)?;
    let mut failures = Vec::new();
    for name in &args.names {
        let found = match containers.find(name) {
            Err(ContainerError::NotFound(_)) if args.force => {
                // It is said, but absence is what was wanted.
                output::talk(&format!("Error response from daemon: No such container: {name}"));
                continue;
            }
            Err(_) => find(&containers, name, global),
            Ok(container) => Ok(container),
        };
        match found.and_then(|container| remove_one(&container, args.force, args.volumes)) {
            Ok(()) => output::line(name)?,
            Err(error) => failures.push(error.text),
        }
    }
    failures.iter().for_each(|text| output::talk(text));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Removes links, each named `/CONTAINER/ALIAS`.
fn remove_links(args: &RmArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    each(&args.names, |name| remove_link(&containers, name, global))
}

/// Removes the link that is named `/CONTAINER/ALIAS`.
///
/// # Errors
/// There is none.
pub fn remove_link(containers: &Containers, name: &str, global: &Global) -> Result<(), CliError> {
    let none = || CliError::new(format!("Error response from daemon: No such container: {name}"));
    let bare = name.trim_start_matches('/');
    let Some((parent, alias)) = bare.rsplit_once('/') else {
        find(containers, bare, global)?;
        return Err(CliError::new(
            "Error response from daemon: Conflict, cannot remove the default link name of the container",
        ));
    };
    let mut container = find(containers, parent, global)?;
    if !container.unlink(alias).map_err(|e| engine(&e))? {
        return Err(none());
    }
    ask(&container, &Request::Reload).map(drop)
}

/// How long a container is tried to remove that others have to do with.
const BUSY: std::time::Duration = std::time::Duration::from_secs(10);

/// Removes a container, by force a running one too.
///
/// # Errors
/// It runs, or can't be removed.
pub fn remove_one(container: &Container, force: bool, volumes: bool) -> Result<(), CliError> {
    let now = match container.state() {
        Ok(state) => state,
        // What can't be read can still be removed.
        Err(_) if force => State::default(),
        Err(error) => return Err(engine(&error)),
    };
    if now.status.has_monitor() && !force {
        let why = match now.status {
            Status::Paused => "paused and must be unpaused first".to_owned(),
            Status::Restarting => "restarting: stop the container before removing or force remove".to_owned(),
            _ => "running: stop the container before removing or force remove".to_owned(),
        };
        let name = &container.config.name;
        return Err(CliError::new(format!(
            "Error response from daemon: cannot remove container \"{name}\": container is {why}"
        )));
    }
    let limit = std::time::Instant::now() + BUSY;
    loop {
        if force && container.state().is_ok_and(|state| state.has_monitor()) {
            end(container)?;
        }
        match container.remove(volumes) {
            // Somebody starts it, or looks at it, just now.
            Err(ContainerError::Refused(_)) if force && std::time::Instant::now() < limit => {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            // One that was to go with its end is gone.
            Err(ContainerError::NotFound(_)) => return Ok(()),
            other => return other.map_err(|e| engine(&e)),
        }
    }
}

/// Ends a container, whatever its policy says.
fn end(container: &Container) -> Result<(), CliError> {
    let stop = Request::Stop { signal: Some(libc::SIGKILL), timeout: Some(0) };
    while ask(container, &stop)?.is_some() {
        if !state(container)?.has_monitor() {
            break;
        }
    }
    Ok(())
}

/// Runs `rename`.
///
/// # Errors
/// The name is none, or another container has it.
pub fn rename(args: &RenameArgs, global: &Global) -> Result<ExitCode, CliError> {
    if args.container.is_empty() || args.name.is_empty() {
        return Err(CliError::new("Error: Neither old nor new names may be empty"));
    }
    let container = find(&all(global)?, &args.container, global);
    container.and_then(|container| rename_one(container, &args.name)).map_err(|error| {
        CliError::new(format!("{}\nError: failed to rename container named {}", error.text, args.container))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Gives a container another name.
///
/// # Errors
/// The name is none, its own, or another container's.
pub fn rename_one(mut container: Container, name: &str) -> Result<(), CliError> {
    let failed = |error: CliError| {
        CliError::new(error.text.replacen("daemon: ", "daemon: Error when allocating new name: ", 1))
    };
    super::check_name(name).map_err(failed)?;
    let name = name.strip_prefix('/').unwrap_or(name);
    let before = container.config.name.clone();
    if before == name {
        return Err(CliError::new(
            "Error response from daemon: Renaming a container with the same name as its current name",
        ));
    }
    container.rename(name).map_err(|e| failed(engine(&e)))?;
    ask(&container, &Request::Reload)?;
    container.event("rename", &[("oldName", &before)]);
    Ok(())
}
