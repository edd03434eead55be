//! TLS as both sides speak it here: whom a client trusts, what a server shows, and certificates and keys in PEM form.
//!
//! Nothing here connects: registries, engines and servers of logs bring their own sockets.

mod client;
mod error;
mod pem;
mod server;
mod verify;

pub use client::{Trust, client_config};
pub use error::TlsError;
pub use pem::{Identity, certificates, read_certificates};
pub use server::{ServerFiles, acceptor};
