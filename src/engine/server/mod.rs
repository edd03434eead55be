//! The server's side: sockets, connections, and each request to a [`Handler`] and back.
//!
//! `endpoint` is where it listens, `listen` takes connections, `connection` speaks HTTP on one of them, `request` and
//! `query` are what was asked, `answer` what goes back: values, streams, or the connection itself.
//!
//! Handlers run on threads of their own and may block; a client that is gone ends what streams to it
//! ([`Output::on_gone`]), but nothing that changes something.

mod answer;
mod body;
mod connection;
mod endpoint;
mod gone;
mod listen;
mod query;
mod request;
mod upgrade;

pub use answer::{Answer, Handler, MULTIPLEXED, Output, RAW, Stream};
pub use body::Body;
pub use connection::Log;
pub use endpoint::Endpoint;
pub use gone::Gone;
pub use listen::{Listener, Server};
pub use query::{Filters, Query};
pub use request::Request;
