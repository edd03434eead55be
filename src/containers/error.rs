//! What can go wrong with containers, in docker's words where docker has any.

use std::io;
use std::path::PathBuf;

use crate::cdi::CdiError;
use crate::fs::FsError;
use crate::net::NetError;
use crate::run::RunError;
use crate::store::StoreError;

/// A container could not be made, found, started or changed.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// Nothing has this name or id.
    #[error("No such container: {0}")]
    NotFound(String),
    /// More than one id begins so.
    #[error("multiple IDs found with provided prefix: {0}")]
    Ambiguous(String),
    /// Another container has the name.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". \
         You have to remove (or rename) that container to be able to reuse that name."
    )]
    NameInUse { name: String, id: String },
    /// The container is in no state for it, or docker would refuse for another reason.
    #[error("{0}")]
    Refused(String),
    /// A file of the container means nothing.
    #[error("{path} is damaged")]
    Damaged { path: PathBuf, source: serde_json::Error },
    /// The monitor ended before it answered.
    #[error("the container's monitor ended before it answered")]
    MonitorGone,
    /// The monitor said something that means nothing.
    #[error("a message of the container's monitor means nothing: {0}")]
    Protocol(String),
    /// The process could not be started.
    #[error("failed to create task for container")]
    Start(#[source] RunError),
    /// A system call failed.
    #[error("cannot {action}")]
    Io { action: String, source: io::Error },
    /// A file could not be used.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An image that is to be mounted has no such path.
    #[error("cannot access path {path}: lstat {path}: no such file or directory")]
    NoPath { path: String },
    /// Something of a process could not be done.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A device that was asked for can't be had.
    #[error(transparent)]
    Device(#[from] CdiError),
    /// Its networks could not be made ready.
    #[error("failed to set up container networking")]
    Network(#[source] NetError),
    /// A port could not be published.
    #[error(
        "failed to set up container networking: driver failed programming external connectivity on endpoint {name} \
         ({id})"
    )]
    Publish { name: String, id: String, source: NetError },
    /// A volume could not be filled.
    #[error("cannot fill volume {name}")]
    Fill { name: String, source: Box<dyn std::error::Error + Send + Sync> },
    /// The file system of a volume could not be mounted.
    #[error("error while mounting volume '{place}': {why}")]
    Volume { place: PathBuf, why: String, code: u8 },
}

impl ContainerError {
    /// Returns an error of a system call.
    pub(crate) fn io(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io { action: action.into(), source: source.into() }
    }

    /// Returns the exit code that docker gives a start that failed so.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Start(error) | Self::Run(error) => error.exit_code(),
            Self::NoPath { .. } => 127,
            Self::Volume { code, .. } => *code,
            _ => 125,
        }
    }
}
