//! An answer whose body is read as it comes.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde_json::Value;
use tokio::runtime::Handle;

use super::error::ClientError;
use super::transport::{Idle, Sender};

/// Largest document that is taken into memory.
const MAX_DOCUMENT: u64 = 256 << 20;

/// An answer; reading it reads its body.
pub struct Response {
    status: u16,
    headers: HeaderMap,
    what: String,
    body: Incoming,
    rest: Bytes,
    runtime: Handle,
    /// The connection, given back when the body is read.
    connection: Option<(Sender, Idle)>,
}

impl Response {
    pub(super) fn new(
        response: hyper::Response<Incoming>,
        what: String,
        runtime: Handle,
        connection: (Sender, Idle),
    ) -> Self {
        let (head, body) = response.into_parts();
        let (status, headers) = (head.status.as_u16(), head.headers);
        Self { status, headers, what, body, rest: Bytes::new(), runtime, connection: Some(connection) }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// It breaks off, or is larger than any document.
    pub fn whole(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        Read::take(&mut *self, MAX_DOCUMENT).read_to_end(&mut bytes).map_err(ClientError::Stream)?;
        Ok(bytes)
    }

    /// Reads the body as a document; an empty one is null.
    ///
    /// # Errors
    /// It breaks off or is no JSON.
    pub fn json(mut self) -> Result<Value, ClientError> {
        let bytes = self.whole()?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|e| ClientError::Answer { what: self.what.clone(), reason: e.to_string() })
    }

    /// Reads the body to its end and gives an error of the engine back as that.
    pub(super) fn checked(mut self) -> Result<Self, ClientError> {
        if self.status < 400 {
            return Ok(self);
        }
        let bytes = self.whole()?;
        let said = serde_json::from_slice::<Value>(&bytes).ok();
        let message = said.and_then(|said| said["message"].as_str().map(str::to_owned));
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&bytes).trim().to_owned());
        let message = if message.is_empty() {
            format!("request returned {} for API route {}", self.status, self.what)
        } else {
            message
        };
        Err(ClientError::Refused { status: self.status, message })
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.body.frame()) {
                None => {
                    if let Some((sender, idle)) = self.connection.take() {
                        idle.put(sender);
                    }
                    return Ok(0);
                }
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(io::Error::other(error)),
            }
        }
        let count = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
