//! Why talking to a registry failed: method, URL without secrets, status and the server's own words.

use std::time::Duration;

use crate::fs::FsError;
use crate::image::Digest;

use super::auth::CredentialError;
use super::hosts::HostsError;

/// One entry of a registry's error body (distribution spec, "Error Codes").
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApiError {
    /// E.g. `MANIFEST_UNKNOWN`.
    pub code: String,
    /// The server's sentence.
    pub message: String,
    /// More, as compact JSON or text; empty if there is none.
    pub detail: String,
}

/// A request to a registry failed.
///
/// `url` fields have no user, no password and no query.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The server answered with a status that is no success.
    #[error("{}", super::client::texts::response(method, url, *status, errors, body))]
    Response {
        /// HTTP method.
        method: &'static str,
        /// Where it was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// What the server says.
        errors: Vec<ApiError>,
        /// The beginning of a body that is not the protocol's JSON, one line.
        body: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The connection could not be made or broke.
    #[error("{method} {url}")]
    Transport {
        /// HTTP method.
        method: &'static str,
        /// Where it was asked.
        url: String,
        /// Whether the host was there before, or something else says that trying again may help.
        temporary: bool,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing, or next to nothing, moved for the whole stall limit.
    #[error("{method} {url}: no data for {} seconds", limit.as_secs())]
    Stalled {
        /// HTTP method.
        method: &'static str,
        /// Where it was asked.
        url: String,
        /// The limit.
        limit: Duration,
    },
    /// A body ended before its announced end.
    #[error("{url}: the body ended after {got} of {expected} bytes")]
    Truncated {
        /// Where it was asked.
        url: String,
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        got: u64,
    },
    /// Bytes are not those that their digest names.
    #[error("{url}: the content has digest {got}, not {expected}")]
    Digest {
        /// Where it was asked.
        url: String,
        /// The digest that was asked for, or that the server announced.
        expected: Digest,
        /// The digest of what came.
        got: Digest,
    },
    /// A body is not as long as its descriptor says.
    #[error("{url}: the content has {got} bytes, not {expected}")]
    Size {
        /// Where it was asked.
        url: String,
        /// Bytes that the descriptor names.
        expected: u64,
        /// Bytes that the server announces or sent.
        got: u64,
    },
    /// A document is longer than what is accepted of its kind.
    #[error("{url}: the {what} is longer than the {limit} bytes that are accepted")]
    TooLarge {
        /// Where it was asked.
        url: String,
        /// Kind of document.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// The server does something that the protocol does not know.
    #[error("{url}: {what}")]
    Protocol {
        /// Where it was asked.
        url: String,
        /// What is wrong.
        what: String,
    },
    /// More redirects than are followed.
    #[error("{url}: stopped after {limit} redirects")]
    Redirects {
        /// Where it began.
        url: String,
        /// The limit.
        limit: usize,
    },
    /// A list does not come to an end.
    #[error("{url}: the list has more than {limit} {unit}")]
    Endless {
        /// Where it began.
        url: String,
        /// The limit.
        limit: usize,
        /// What was counted: pages or entries.
        unit: &'static str,
    },
    /// The registry goes on asking for a log-in although it was given what it asked for.
    #[error("{host}: the registry refuses the authorization that it asked for")]
    AuthorizationLoop {
        /// The registry.
        host: String,
        /// Its last answer.
        #[source]
        source: Box<RegistryError>,
    },
    /// A log-in would send a password in clear text, or no way to log in is known.
    #[error("{host}: {what}")]
    Authorization {
        /// The registry.
        host: String,
        /// What is wrong.
        what: String,
    },
    /// The token server refused or sent no token.
    #[error("failed to fetch a token for {host}")]
    Token {
        /// The registry.
        host: String,
        /// Why.
        #[source]
        source: Box<RegistryError>,
    },
    /// Credentials can't be read.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// How the host is to be reached can't be found out.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// What should be sent can't be read.
    #[error("the content to upload can't be read")]
    Source(#[source] std::io::Error),
    /// A file can't be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl RegistryError {
    /// Returns the HTTP status of the answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Response { status, .. } => Some(*status),
            Self::AuthorizationLoop { source, .. } | Self::Token { source, .. } => source.status(),
            _ => None,
        }
    }

    /// Whether the server says that what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Response { status: 404, .. })
    }

    /// Whether the server's error body has this code.
    pub fn has_code(&self, code: &str) -> bool {
        match self {
            Self::Response { errors, .. } => errors.iter().any(|error| error.code == code),
            Self::AuthorizationLoop { source, .. } | Self::Token { source, .. } => source.has_code(code),
            _ => false,
        }
    }

    /// Whether the same request may succeed a moment later: broken connections, 408, 429, 5xx, bad bytes.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Response { status, errors, .. } => {
                matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
                    && !errors.iter().any(|error| error.code == "UNSUPPORTED")
            }
            Self::Transport { temporary, .. } => *temporary,
            Self::Stalled { .. } | Self::Truncated { .. } | Self::Digest { .. } => true,
            Self::Token { source, .. } => source.is_temporary(),
            _ => false,
        }
    }

    /// Returns how long the server wants to be left alone, if it said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Response { retry_after, .. } => *retry_after,
            Self::Token { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}
