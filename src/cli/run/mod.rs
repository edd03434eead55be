//! `run` and `create`: from flags to a container, and with it while it is in the foreground.
//!
//! `args`, `io_flags`, `kept` and `refused` are the flags; `modes`, `process`, `environment`, `limits`, `lacking`, `gpus`,
//! `life`, `managed`, `mount_flags`, `mounts` and `shown` turn them into plain
//! data; `create` makes the container of it. `session` and `signals` are with a
//! container in the foreground until it ends or is left.

pub mod api_socket;
pub mod args;
pub mod attach;
mod available;
pub mod create;
pub mod environment;
pub mod given;
pub mod gpus;
pub mod io_flags;
pub mod kept;
mod lacking;
pub mod life;
pub mod limits;
mod managed;
pub mod modes;
pub mod mount_flags;
#[cfg(test)]
mod mount_flags_tests;
pub mod mounts;
pub mod network;
pub mod process;
mod refused;
pub mod session;
pub mod shown;
pub mod signals;

use std::process::ExitCode;

pub use args::{CreateArgs, LimitArgs, ResourceArgs, RunArgs};
pub use attach::attach_terminal;
pub use create::chown;

use super::container;
use super::error::CliError;
use super::global::Global;
use super::pull::pull_one;
use super::render::Out;
use super::{files, output, registries};
use crate::image::{Platform, Reference};
use crate::registry::pull::PullOptions;
use crate::store::{ImageRecord, StoreError};
use args::{ContainerArgs, ProcessArgs};
use session::{DetachKeys, Outcome, Session};
use signals::Proxy;

/// Exit code of what failed before the command ran.
const BEFORE: u8 = 125;

/// To which streams a client attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attached {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// Reads `-a`, and `-i` with it.
///
/// # Errors
/// A word names no stream.
pub fn attached(args: &ProcessArgs) -> Result<Attached, CliError> {
    if args.attach.is_empty() {
        return Ok(Attached { stdin: args.interactive, stdout: true, stderr: true });
    }
    let mut found = Attached { stdin: false, stdout: false, stderr: false };
    for word in &args.attach {
        match word.to_lowercase().as_str() {
            "stdin" => found.stdin = true,
            "stdout" => found.stdout = true,
            "stderr" => found.stderr = true,
            _ => {
                let why = "valid streams are STDIN, STDOUT and STDERR";
                return Err(CliError::flag("-a, --attach", word, why));
            }
        }
    }
    Ok(found)
}

/// Runs `run`.
///
/// # Errors
/// The container could not be started, with docker's exit code for it.
pub fn run(args: RunArgs, global: &Global) -> Result<ExitCode, CliError> {
    args.container.refused.only_windows()?;
    check_detached(&args)?;
    if !args.detach {
        attach::check(&args.container.process)?;
    }
    run_container(&args, global).map(ExitCode::from).map_err(|error| said_by(error, "run", global))
}

/// Refuses streams for a container that nobody stays with; docker's client says so before all else.
///
/// # Errors
/// There are both flags, or a word names no stream.
pub fn check_detached(args: &RunArgs) -> Result<(), CliError> {
    attached(&args.container.process)?;
    match args.detach && !args.container.process.attach.is_empty() {
        true => Err(CliError::new("conflicting options: cannot specify both --attach and --detach")),
        false => Ok(()),
    }
}

/// Returns what resource flags limit, and warnings for what this kernel can't.
///
/// # Errors
/// A value is none, or two flags contradict each other.
pub fn resource_limits(args: &ResourceArgs) -> Result<(crate::run::Limits, Vec<String>), CliError> {
    limits::limits(args, std::thread::available_parallelism().map_or(1, usize::from))
}

/// Runs `create`.
///
/// # Errors
/// The container could not be made.
pub fn create(args: &CreateArgs, global: &Global) -> Result<ExitCode, CliError> {
    args.container.refused.only_windows()?;
    let made = create::create(&args.container, global, false);
    let created = made.map_err(|error| match error.text.starts_with("Error response from daemon") {
        // What the engine refuses comes without the client's help, unlike for `run`.
        true => CliError { code: 1, ..error },
        false => said_by(error, "create", global),
    })?;
    created.note.keep();
    output::line(&created.container.config.id)?;
    Ok(ExitCode::SUCCESS)
}

/// An error of `run` or `create` as docker says it.
pub fn said_by(error: CliError, command: &str, global: &Global) -> CliError {
    if error.usage {
        return error;
    }
    let program = &global.program;
    let text = match error.text.as_str() {
        "" => String::new(),
        text => format!("docker: {text}\n\nRun '{program} {command} --help' for more information"),
    };
    let code = if error.code == 1 { BEFORE } else { error.code };
    CliError { text, code, usage: false }
}

fn run_container(args: &RunArgs, global: &Global) -> Result<u8, CliError> {
    let keys = DetachKeys::new(args.detach_keys.as_deref(), global)?;
    let process = &args.container.process;
    let proxied = !args.detach && (process.tty || args.sig_proxy != Some(false));
    let proxy = if proxied { Some(Proxy::start()?) } else { None };
    let created = create::create(&args.container, global, args.detach)?;
    let container = &created.container;
    if args.detach {
        // Who reads it can look at the container also if it does not start.
        output::line(&container.config.id)?;
        container::start(container, None, global)?;
        created.note.keep();
        return Ok(0);
    }
    if let Some(proxy) = &proxy {
        proxy.hold();
    }
    let streams = attached(process)?;
    let request = session::attach_request(streams, process.tty, true);
    let started = container::start(container, Some(request), global);
    let remote = started.inspect_err(|_| {
        if let Some(proxy) = &proxy {
            proxy.release();
        }
    })?;
    created.note.keep();
    let remote = remote.ok_or_else(|| CliError::new("the container ended before it could be attached to"))?;
    let session = Session { remote, tty: process.tty, stdin: streams.stdin, keys, hangs_up: true };
    match session.run(proxy.as_ref())? {
        Outcome::Exited(code) => Ok(u8::try_from(code).unwrap_or(255)),
        Outcome::Detached => Ok(0),
        Outcome::Unshown => Ok(1),
        Outcome::Lost => container::exit_code(container),
    }
}

/// Refuses by name what this version does not do.
pub fn check(args: &ContainerArgs) -> Result<(), CliError> {
    args.refused.check()?;
    match args.process.pull.as_deref() {
        None | Some("always" | "missing" | "never") => {}
        Some(other) => {
            return Err(CliError::new(format!(
                "invalid pull option: '{other}': must be one of \"always\", \"missing\" or \"never\""
            )));
        }
    }
    modes::check(&args.security, args.given.remote)?;
    args.kept.check()?;
    match &args.process.name {
        Some(name) => container::check_name(name),
        None => Ok(()),
    }
}

/// Returns an image by its name, which may have to be pulled.
fn image(args: &ContainerArgs, name: &str, global: &Global) -> Result<ImageRecord, CliError> {
    let store = global.store()?;
    let text = args.process.platform.as_deref().filter(|text| !text.is_empty());
    let platform = text.map(Platform::parse).transpose().map_err(|e| CliError::new(e.to_string()))?;
    let policy = args.process.pull.as_deref().unwrap_or("missing");
    if policy != "always" {
        match store.find_image(name, platform.as_ref()) {
            Err(StoreError::NoImage(_) | StoreError::WrongPlatform { .. }) if policy == "missing" => {}
            other => return Ok(other?),
        }
    }
    let reference = Reference::parse(name)?.or_latest();
    if policy == "missing" && !args.process.quiet {
        output::talk(&format!("Unable to find image '{}' locally", reference.familiar()));
    }
    let options = PullOptions { platform };
    let runtime = registries::runtime()?;
    let pulled = pull_one(global, &runtime, &reference, &options, args.process.quiet, Out::Stderr)?;
    Ok(pulled.image)
}

/// Returns 64 random hexadecimal digits, of which the first twelve are not all decimal.
///
/// # Errors
/// The kernel gives no random bytes.
pub fn random_id() -> Result<String, CliError> {
    loop {
        let mut bytes = [0u8; 32];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| CliError::new(format!("cannot make an id: {e}")))?;
        let id = crate::image::id::to_hex(&bytes);
        if !id[..12].bytes().all(|c| c.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

/// The file of `--cidfile`, removed again if the container does not start.
pub struct IdFile<'a>(Option<&'a std::path::Path>);

impl<'a> IdFile<'a> {
    /// Refuses a file that is there already.
    ///
    /// # Errors
    /// It is.
    pub fn check(args: &ContainerArgs) -> Result<(), CliError> {
        match args.process.cidfile.as_deref().filter(|path| path.exists()) {
            None => Ok(()),
            Some(path) => Err(CliError::new(format!(
                "container ID file found, make sure the other container isn't running or delete {}",
                path.display()
            ))),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// It is there already, or can't be written.
    pub fn write(args: &'a ContainerArgs, id: &str) -> Result<Self, CliError> {
        let Some(path) = args.process.cidfile.as_deref() else { return Ok(Self(None)) };
        Self::check(args)?;
        files::write(path, id.as_bytes())?;
        Ok(Self(Some(path)))
    }

    /// Lets it stay.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for IdFile<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.0 {
            let _ = files::remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_64_digits() {
        let id = random_id().expect("the kernel has random bytes");
        assert!(id.len() == 64 && id.bytes().all(|c| c.is_ascii_hexdigit()), "{id}");
    }
}
