//! The Engine API as a protocol: HTTP on sockets, versions, parameters, streams.
//!
//! `server` takes requests and hands each to a [`server::Handler`], which says what it means; `client` asks other
//! engines. Neither knows what a container or an image is.
//!
//! **Invariant:** the service keeps no state. What it answers is read when it is asked for, so commands and any
//! number of services work side by side.

pub mod client;
mod error;
pub mod frame;
pub mod server;
mod stdio;
mod version;

pub use error::{ApiError, EngineError};
pub use version::ApiVersion;
