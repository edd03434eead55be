//! The body of a request, as a blocking reader.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// What a client sends behind the head of its request; read on a thread that may block.
pub struct Body {
    incoming: Incoming,
    runtime: Handle,
    rest: Bytes,
    count: u64,
}

impl Body {
    pub(super) fn new(incoming: Incoming, runtime: Handle) -> Self {
        Self { incoming, runtime, rest: Bytes::new(), count: 0 }
    }

    /// Returns whether nothing was sent, as far as the head tells.
    pub fn is_empty(&self) -> bool {
        use hyper::body::Body as _;
        self.rest.is_empty() && self.incoming.is_end_stream()
    }

    /// Returns how many bytes were read.
    pub fn count(&self) -> u64 {
        self.count
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.incoming.frame()) {
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
