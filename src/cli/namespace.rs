//! The user namespace of an ordinary user's command.
//!
//! Commands that start containers are in the one that all containers of the store have in common, so that these can
//! share networks; the first makes it. Other commands enter it too when it is there, and have one of their own otherwise.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::commands::{
    BuilderCommand, Command, ContainerCommand, Group, ImageCommand, LifeCommand, SystemCommand,
};
use super::error::CliError;
use crate::causes::chain;
use crate::net::{Pass, holder_main, look};
use crate::run::rootless::{Mapping, enter as enter_own, join};

/// Whether something that a command starts outlives it or is to be reached by others.
pub fn is_for_others(command: &Command) -> bool {
    let starts = |command: &LifeCommand| {
        matches!(command, LifeCommand::Run(_) | LifeCommand::Start(_) | LifeCommand::Restart(_))
    };
    match command {
        Command::Life(command) => starts(command),
        Command::Container(Group { command: ContainerCommand::Life(command) }) => starts(command),
        Command::System(Group {
            command: SystemCommand::StartContainers(_) | SystemCommand::Service(_) | SystemCommand::DialStdio,
        })
        | Command::Daemon(_) => true,
        // Its steps may be in a network.
        Command::Build(args) => args.network.is_some(),
        Command::Image(Group { command: ImageCommand::Build(args) }) => args.network.is_some(),
        Command::Builder(group) | Command::Buildx(group) => match &group.command {
            BuilderCommand::Build(args) => args.network.is_some(),
            BuilderCommand::Bake(_) => true,
            _ => false,
        },
        Command::Bake(_) => true,
        _ => false,
    }
}

/// Puts this process, which must have a single thread, into a user namespace.
///
/// # Errors
/// The machine does not let this user make a user namespace, or the process has threads.
pub fn enter(store: &Path, for_others: bool) -> Result<Mapping, CliError> {
    if for_others {
        // Where the place is that can't be had, the store's own error says more.
        if let Ok((pass, found)) = Pass::take(store) {
            let entered = found.as_ref().map(join);
            let entered = entered.unwrap_or_else(enter_own);
            pass.entered().map_err(|e| CliError::new(chain(&e)))?;
            return entered.map_err(|e| CliError::new(chain(&e)));
        }
    } else if let Ok(Some(holder)) = look(store)
        && let Ok(mapping) = join(&holder)
    {
        return Ok(mapping);
    }
    enter_own().map_err(|e| CliError::new(chain(&e)))
}

/// Holds the namespaces of a store's containers; the words are the store and whether standard input is a network
/// namespace. What went wrong is said on standard output.
pub fn hold(words: &[String]) -> ExitCode {
    let [store, kind] = words else { return ExitCode::FAILURE };
    let entered = match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => enter_own().map(drop),
    };
    let Ok((given, ready)) = take_standard(kind == "given") else { return ExitCode::FAILURE };
    let held = match entered {
        Ok(()) => holder_main(&PathBuf::from(store), given, ready).map_err(|e| chain(&e)),
        Err(error) => {
            use std::io::Write as _;
            let text = chain(&error);
            let mut ready = ready;
            // Whoever started this makes a namespace without it, and says why that fails.
            let _ = ready.write_all(text.as_bytes());
            Err(text)
        }
    };
    if held.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes what standard input and output are, and leaves nothing there.
fn take_standard(with_input: bool) -> std::io::Result<(Option<OwnedFd>, std::fs::File)> {
    let copy = |fd: std::os::fd::BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3);
    let given = if with_input { Some(copy(std::io::stdin().as_fd())?) } else { None };
    let ready = copy(std::io::stdout().as_fd())?;
    let null = || crate::fs::open_for_writing(Path::new("/dev/null")).map_err(std::io::Error::other);
    nix::unistd::dup2_stdin(null()?)?;
    nix::unistd::dup2_stdout(null()?)?;
    Ok((given, ready.into()))
}
