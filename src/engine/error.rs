//! What goes wrong, as a client is told it and as the service's user is.

use std::path::PathBuf;

use hyper::StatusCode;

/// A request that could not be answered as it was meant: a status, and a sentence for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The answer's status.
    pub status: StatusCode,
    /// The `message` of the answer.
    pub message: String,
}

impl ApiError {
    /// Something that is wrong in the request: 400.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Something that is not there: 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Something that its object's state forbids: 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// Something that this engine does not do: 501.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// Something that failed here: 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// An answer of any status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// The service could not begin, or an endpoint is none.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The words name no endpoint.
    #[error("invalid bind address format: {0}: expected unix://PATH, tcp://HOST:PORT or fd://")]
    Endpoint(String),
    /// A socket could not be made.
    #[error("can't listen on {endpoint}")]
    Listen {
        /// As it was given.
        endpoint: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another service has the socket.
    #[error("{} is in use: another service listens there", .0.display())]
    Taken(PathBuf),
    /// No sockets came with the process.
    #[error("fd://: the service manager has passed no sockets")]
    NothingPassed,
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] crate::fs::FsError),
}
