//! What goes wrong on the way to an engine, and what it refuses.

use std::io;

/// A failure of a client of an engine.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The words name no engine.
    #[error("unable to resolve docker endpoint: {0}")]
    Endpoint(String),
    /// Nothing listens there; docker's words, which scripts look for.
    #[error("Cannot connect to the Docker daemon at {url}. Is the docker daemon running?")]
    Unreachable {
        /// Where it should be.
        url: String,
    },
    /// The socket is not for this user.
    #[error("permission denied while trying to connect to the Docker daemon socket at {url}")]
    Forbidden {
        /// Where it is.
        url: String,
    },
    /// The certificates of either side don't do.
    #[error("error during connect: {url}: {reason}")]
    Tls {
        /// Where it is.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// The engine refused the request.
    #[error("{message}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// Its own words.
        message: String,
    },
    /// The conversation broke off.
    #[error("error during connect: {url}")]
    Broken {
        /// Where the engine is.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the engine said is not what the API says.
    #[error("the engine's answer to {what} can't be read: {reason}")]
    Answer {
        /// The path that was asked for.
        what: String,
        /// Why.
        reason: String,
    },
    /// Bytes could not be moved.
    #[error("a stream of the engine broke off")]
    Stream(#[source] io::Error),
    /// Threads or sockets are not to be had.
    #[error("cannot start a client")]
    Start(#[source] io::Error),
}

impl ClientError {
    /// The status of the answer, if the engine gave one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}
