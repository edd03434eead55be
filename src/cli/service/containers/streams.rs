//! Between a client that has taken its connection over, and a process: frames or a terminal's bytes.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use super::super::super::run::session::DetachKeys;
use crate::engine::frame::{self, FrameStream};
use crate::engine::server::{MULTIPLEXED, RAW, Request};
use crate::engine::{ApiError, ApiVersion};

/// The client's side, to which a process's output is written.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    tty: bool,
}

impl Client {
    /// Takes a connection; a terminal's bytes have no frames.
    pub fn new(stream: UnixStream, tty: bool) -> Self {
        Self { stream, tty }
    }

    /// Returns a second handle, for another thread.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()?, tty: self.tty })
    }

    /// Writes what a process wrote.
    ///
    /// # Errors
    /// The client is gone.
    pub fn show(&mut self, stream: FrameStream, bytes: &[u8]) -> io::Result<()> {
        match self.tty {
            true => self.stream.write_all(bytes),
            false => frame::write(&mut self.stream, stream, bytes),
        }
    }

    /// Writes what the engine itself has to say.
    pub fn say(&mut self, text: &str) {
        // Docker's clients show it with the output; one that is gone needs none.
        let _ = self.show(FrameStream::Stdout, format!("{text}\r\n").as_bytes());
    }

    /// Reads what the client gives until its end, and hands it on; true if it left with the keys for that.
    pub fn give(&mut self, mut keys: Option<DetachKeys>, mut hand_on: impl FnMut(&[u8]) -> bool) -> bool {
        let mut buffer = vec![0; 32 << 10];
        loop {
            let count = match self.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            let (bytes, leaves) = match &mut keys {
                Some(keys) => keys.take(&buffer[..count]),
                None => (buffer[..count].to_vec(), false),
            };
            if !bytes.is_empty() && !hand_on(&bytes) || leaves {
                return leaves;
            }
        }
    }

    /// Ends the connection for all handles.
    pub fn hang_up(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// The type of a connection that is taken over.
pub fn content_type(tty: bool, request: &Request) -> &'static str {
    let new: ApiVersion = request.version;
    if tty || !request.upgrade || !new.since(42) { RAW } else { MULTIPLEXED }
}

/// Reads keys that leave a process; without any the usual ones are it.
///
/// # Errors
/// A word names no key.
pub fn keys(text: Option<&str>) -> Result<DetachKeys, ApiError> {
    DetachKeys::parse(text.filter(|text| !text.is_empty()).unwrap_or("ctrl-p,ctrl-q"))
        .map_err(|error| ApiError::bad(error.text))
}
