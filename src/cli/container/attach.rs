//! `attach`

use std::process::ExitCode;

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::super::run::Attached;
use super::super::run::attach::check_terminal;
use super::super::run::session::{DetachKeys, Outcome, Session, attach_request};
use super::super::run::signals::Proxy;
use super::{all, exit_code, find};
use crate::containers::{Container, Remote, Reply, Request, Status};

/// Attach local standard input, output, and error streams to a running container
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// Do not attach STDIN
    #[arg(long)]
    pub no_stdin: bool,
    /// Proxy all received signals to the process
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub sig_proxy: Option<bool>,
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    pub container: String,
}

/// Runs `attach`: with the container until it ends or is left.
///
/// # Errors
/// It does not run.
pub fn attach(args: &AttachArgs, global: &Global) -> Result<ExitCode, CliError> {
    let containers = all(global)?;
    let container = find(&containers, &args.container, global)?;
    let keys = DetachKeys::new(args.detach_keys.as_deref(), global)?;
    let stdin = !args.no_stdin && container.config.open_stdin;
    match stay(&container, stdin, keys, args.sig_proxy != Some(false))? {
        Some(code) => Ok(code),
        None => {
            output::talk("read escape sequence");
            Ok(ExitCode::from(1))
        }
    }
}

/// Stays with a container that runs, and returns its exit code; none if it was left.
///
/// # Errors
/// It does not run.
pub fn stay(
    container: &Container,
    stdin: bool,
    keys: DetachKeys,
    signals: bool,
) -> Result<Option<ExitCode>, CliError> {
    let refuse = |what: &str| Err(CliError::new(format!("You cannot attach to a {what}")));
    match container.state()?.status {
        Status::Running => {}
        Status::Paused => return refuse("paused container, unpause it first"),
        Status::Restarting => return refuse("restarting container, wait until it is running"),
        _ => return refuse("stopped container, start it first"),
    }
    let tty = container.config.tty;
    check_terminal(tty, stdin)?;
    let proxy = if tty || signals { Some(Proxy::start()?) } else { None };
    let streams = Attached { stdin, stdout: true, stderr: true };
    let Some(remote) = connect(container, attach_request(streams, tty, false))? else {
        return Ok(Some(ExitCode::from(exit_code(container)?)));
    };
    container.event("attach", &[]);
    let session = Session { remote, tty, stdin, keys, hangs_up: false };
    Ok(match session.run(proxy.as_ref())? {
        Outcome::Exited(code) => Some(ExitCode::from(u8::try_from(code).unwrap_or(255))),
        Outcome::Detached => {
            container.event("detach", &[]);
            None
        }
        Outcome::Unshown => Some(ExitCode::FAILURE),
        Outcome::Lost => Some(ExitCode::from(exit_code(container)?)),
    })
}

/// Attaches; none if the container ended meanwhile.
fn connect(container: &Container, request: crate::containers::Attach) -> Result<Option<Remote>, CliError> {
    let Some(mut remote) = Remote::connect(container)? else { return Ok(None) };
    if remote.ask(&Request::Attach(request)).is_err() {
        return Ok(None);
    }
    match remote.reply()? {
        Some(Reply::Done) => Ok(Some(remote)),
        Some(Reply::Failed(failure)) => {
            Err(CliError::new(format!("Error response from daemon: {}", failure.text)))
        }
        _ => Ok(None),
    }
}
