//! Why a process did not start, and what could not be done for one that did.

use std::io;
use std::path::PathBuf;

use crate::fs::FsError;
use crate::fs::mount::MountError;

/// A process could not be started, or could not be waited for.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is nothing to run.
    #[error("no command specified")]
    NoCommand,
    /// No directory of `PATH` holds the command.
    #[error("exec: {name:?}: executable file not found in $PATH")]
    NotInPath { name: String },
    /// A device to be limited is not there.
    #[error("stat {path}: no such file or directory")]
    NoDevice { path: String },
    /// The command is named by a path, and nothing is there.
    #[error("exec: {path:?}: stat {path}: no such file or directory")]
    NoSuchFile { path: String },
    /// The command is there, but what it names as its interpreter is not.
    #[error("exec {path}: no such file or directory")]
    NoInterpreter { path: String },
    /// The command is a directory.
    #[error("exec: {path:?}: is a directory: permission denied")]
    IsDirectory { path: String },
    /// The command may not be executed.
    #[error("exec: {path:?}: permission denied")]
    NotExecutable { path: String },
    /// The kernel could not execute the file.
    #[error("exec {path}")]
    Exec { path: String, source: io::Error },
    /// The working directory of a further process is not there.
    #[error("chdir to cwd ({path:?}) set in config.json failed: no such file or directory")]
    NoDirectory { path: PathBuf },
    /// A step between making the process and its first instruction failed.
    #[error("cannot {action}")]
    Setup { action: String, source: io::Error },
    /// A program that runs around the start failed.
    #[error("error running {when} hook #{number}: {why}")]
    Hook { when: String, number: usize, why: String },
    /// A mount for the process could not be made.
    #[error("cannot prepare {what}")]
    Mount { what: String, source: MountError },
    /// A file could not be reached.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The passwd file has no such user.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// The group file has no such group.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// A number is no user or group.
    #[error("uids and gids must be in range 0-2147483647")]
    IdRange,
    /// The user namespace has no such id.
    #[error(
        "{kind} {id} is not mapped into this user namespace; more ids come from /etc/subuid and /etc/subgid"
    )]
    Unmapped { kind: &'static str, id: u32 },
    /// A name is no capability.
    #[error("invalid {list}: unknown capability: {name:?}")]
    Capability { list: &'static str, name: String },
    /// A seccomp profile can't be used.
    #[error("seccomp profile: {0}")]
    Seccomp(String),
    /// A part of the request contradicts itself, or can't be done here.
    #[error("{0}")]
    Refused(String),
    /// A mount names a target that can't be one.
    #[error("invalid mount target {}: {reason}", target.display())]
    Target { target: PathBuf, reason: &'static str },
    /// A directory does not fit on a file, nor a file on a directory.
    #[error(
        "cannot mount {}: not a directory: Are you trying to mount a directory onto a file (or vice-versa)? \
         Check if the specified host path exists and is the expected type",
        target.display()
    )]
    MountKind { target: PathBuf },
    /// A user namespace could not be entered.
    #[error("cannot enter a user namespace: {action}{hint}")]
    Rootless { action: String, hint: &'static str, source: io::Error },
}

impl RunError {
    /// Returns an error of a step with the kernel's answer.
    pub(super) fn setup(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Setup { action: action.into(), source: source.into() }
    }

    /// Returns a closure that says what a mount was for.
    pub(super) fn mount(what: impl Into<String>) -> impl FnOnce(MountError) -> Self {
        move |source| Self::Mount { what: what.into(), source }
    }

    /// Returns the exit code that docker gives a container that failed so: 127 for a command that is not
    /// there, and for a mount that misses a path; 126 for one that can't be executed; 125 for all that failed before.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotInPath { .. } | Self::NoSuchFile { .. } | Self::NoInterpreter { .. } => 127,
            Self::MountKind { .. } | Self::NoDirectory { .. } | Self::NoDevice { .. } => 127,
            Self::IsDirectory { .. } | Self::NotExecutable { .. } | Self::Exec { .. } => 126,
            // Docker goes by the words in the runtime's error.
            Self::Hook { why, .. } if why.contains("no such file or directory") => 127,
            Self::Hook { why, .. } if why.contains("permission denied") => 126,
            Self::Setup { source, .. } => match source.raw_os_error() {
                Some(libc::ENOENT) => 127,
                Some(libc::EACCES | libc::EISDIR) => 126,
                _ => 125,
            },
            _ => 125,
        }
    }
}

/// What was asked for and could not be given; the process runs without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub String);

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
