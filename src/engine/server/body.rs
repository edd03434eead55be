//! The body of a request, as a blocking reader.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// For how long an answered client may still send what nobody wants to read.
const LINGER: Duration = Duration::from_secs(5);

/// What a client sends behind the head of its request; read on a thread that may block.
///
/// What is left unread is read to its end when this is dropped: a connection that closed before
/// would take an early answer away from a client that is still writing.
pub struct Body {
    /// There until the drop.
    incoming: Option<Incoming>,
    runtime: Handle,
    rest: Bytes,
    count: u64,
}

impl Body {
    pub(super) fn new(incoming: Incoming, runtime: Handle) -> Self {
        Self { incoming: Some(incoming), runtime, rest: Bytes::new(), count: 0 }
    }

    /// Returns whether nothing was sent, as far as the head tells.
    pub fn is_empty(&self) -> bool {
        use hyper::body::Body as _;
        self.rest.is_empty() && self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    /// Returns how many bytes were read.
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let Some(incoming) = &mut self.incoming else { return Ok(0) };
            match self.runtime.block_on(incoming.frame()) {
                None => return Ok(0),
                Some(Err(error)) => return Err(io::Error::other(error)),
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
            }
        }
        let count = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        self.count += count as u64;
        Ok(count)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        use hyper::body::Body as _;
        if let Some(mut incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) {
            self.runtime.spawn(async move {
                let rest = async { while let Some(Ok(_)) = incoming.frame().await {} };
                let _ = tokio::time::timeout(LINGER, rest).await;
            });
        }
    }
}
