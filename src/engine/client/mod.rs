//! A client of the Docker Engine API, 1.24 to 1.51.
//!
//! ```text
//! Endpoint -- connect --> a byte stream (unix, tcp, tls, ssh)
//!    Client -- request --> Response (Read), hijack --> Connection (both ways)
//!                          frames: stdout and stderr in one stream
//! ```
//!
//! Calls block. The version is agreed on before the first request, unless one is fixed. A
//! connection whose answer was read to its end serves the next request. Nothing here
//! prints, reads the environment, or knows what a command is.

mod body;
mod connect;
mod endpoint;
mod error;
pub mod frames;
mod hijack;
mod request;
mod response;
mod transport;

pub use endpoint::{Endpoint, Material, Tls};
pub use error::ClientError;
pub use hijack::{Connection, Input, Leaver, Output};
pub use request::{Request, segment};
pub use response::Response;
pub use transport::{Client, Options, Ping};

use super::ApiVersion;

/// The newest version of the API that is spoken.
pub const NEWEST: &str = "1.51";
/// The oldest one, also that of an engine that says none.
pub const OLDEST: &str = "1.24";

/// Whether a version of the API is at least another.
pub fn at_least(version: &str, other: &str) -> bool {
    ApiVersion::parse(version) >= ApiVersion::parse(other)
}
