//! What goes back to a client.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use hyper::StatusCode;
use serde_json::Value;
use tokio::sync::mpsc;

use super::gone::Gone;
use super::request::Request;
use crate::engine::ApiError;

/// Type of streams in which standard output and standard error have frames of their own (since 1.42).
pub const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// Type of other streams.
pub const RAW: &str = "application/vnd.docker.raw-stream";

/// Says what requests mean.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request; called on a thread that may block.
    ///
    /// # Errors
    /// What the client is told, with its status.
    fn answer(&self, request: Request) -> Result<Answer, ApiError>;
}

/// An answer.
pub enum Answer {
    /// A status alone.
    Empty(StatusCode),
    /// A value.
    Json(StatusCode, Value),
    /// Bytes of a type, with headers.
    Bytes(&'static str, Vec<(&'static str, String)>, Vec<u8>),
    /// What comes piece by piece.
    Stream(Stream),
    /// The connection itself, with the type of what goes over it.
    Hijack(&'static str, Box<dyn FnOnce(UnixStream, Gone) + Send>),
}

/// An answer that comes piece by piece.
pub struct Stream {
    pub(super) content: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) produce: Box<dyn FnOnce(&mut Output) -> io::Result<()> + Send>,
}

impl Answer {
    /// A value with status 200.
    pub fn json(value: Value) -> Self {
        Self::Json(StatusCode::OK, value)
    }

    /// 204: done, and nothing to say.
    pub fn done() -> Self {
        Self::Empty(StatusCode::NO_CONTENT)
    }

    /// A stream of a type; `produce` writes it on a thread that may block. An error cuts the connection, which tells
    /// the client that the stream is not whole.
    pub fn stream(
        content: &'static str,
        produce: impl FnOnce(&mut Output) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self::Stream(Stream { content, headers: Vec::new(), produce: Box::new(produce) })
    }

    /// The same with headers of its own.
    pub fn stream_with(
        content: &'static str,
        headers: Vec<(&'static str, String)>,
        produce: impl FnOnce(&mut Output) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self::Stream(Stream { content, headers, produce: Box::new(produce) })
    }

    /// Takes the connection: `act` gets it on a thread that may block. Its end of reading is the client's; dropping it
    /// ends the connection. Where the client asked for no upgrade, it can only be written to.
    pub fn hijack(content: &'static str, act: impl FnOnce(UnixStream, Gone) + Send + 'static) -> Self {
        Self::Hijack(content, Box::new(act))
    }
}

/// Where a stream is written: what is written goes out at once, and waits for slow clients.
pub struct Output {
    sender: mpsc::Sender<io::Result<Bytes>>,
    gone: Gone,
}

impl Output {
    pub(super) fn new(sender: mpsc::Sender<io::Result<Bytes>>, gone: Gone) -> Self {
        Self { sender, gone }
    }

    /// Writes a value as a line.
    ///
    /// # Errors
    /// The client is gone.
    pub fn json(&mut self, value: &Value) -> io::Result<()> {
        self.write_all(format!("{value}\r\n").as_bytes())
    }

    /// Does something when the client is gone, for those who wait for something else than for it.
    pub fn on_gone(&self, act: impl FnOnce() + Send + 'static) {
        self.gone.act(act);
    }

    /// Returns what tells that the client is gone.
    pub fn gone(&self) -> &Gone {
        &self.gone
    }

    pub(super) fn fail(&self, error: io::Error) {
        let _ = self.sender.blocking_send(Err(error));
    }
}

impl Write for Output {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let sent = self.sender.blocking_send(Ok(Bytes::copy_from_slice(buffer)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
