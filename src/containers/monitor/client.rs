//! A client of a monitor, as the monitor sees it.

use std::io::{ErrorKind, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::super::descriptors;
use super::super::error::ContainerError;
use super::super::log::Stream;
use super::super::protocol::{Attach, Frame, Kind};
use super::PATIENCE;

/// Bytes that may wait for a client before the container is held up.
const FULL: usize = 256 << 10;
/// How long a client that may miss something is waited for at the end.
const LAST: Duration = Duration::from_secs(3);

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It has not said yet.
    New,
    /// The start, and nothing after it.
    Starter,
    /// Output, and the end.
    Attached,
    /// The end of this run.
    Waiter,
    /// The end of the container.
    Stopper,
    /// The end of a guest that it asked for.
    Guest,
    /// Nothing more: it was answered.
    Answered,
}

/// A connection.
pub(super) struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    pub role: Role,
    pub attach: Attach,
    /// What it sent beside its bytes.
    pub descriptors: Vec<OwnedFd>,
    /// The guest whose end it waits for.
    pub guest: Option<String>,
    /// It hung up, or said what means nothing.
    pub gone: bool,
    /// Since when it has taken nothing though something waits for it.
    stalled: Option<Instant>,
}

impl Client {
    pub fn new(stream: UnixStream) -> Result<Self, ContainerError> {
        stream.set_nonblocking(true).map_err(|e| ContainerError::io("talk to a client", e))?;
        let (input, output, attach) = (Vec::new(), Vec::new(), Attach::default());
        Ok(Self {
            stream,
            input,
            output,
            role: Role::New,
            attach,
            descriptors: Vec::new(),
            guest: None,
            gone: false,
            stalled: None,
        })
    }

    /// Makes it the one who started the container.
    pub fn begin(&mut self, attach: Option<Attach>) {
        self.role = if attach.is_some() { Role::Attached } else { Role::Starter };
        self.attach = attach.unwrap_or_default();
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Whether something waits for it.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether the container must not write more now for its sake.
    pub fn holds_up(&self) -> bool {
        let patient = self.attach.lossless || self.stalled.is_none_or(|since| since.elapsed() < PATIENCE);
        self.role == Role::Attached && !self.gone && self.output.len() > FULL && patient
    }

    /// Whether it is slow and may soon miss something.
    pub fn is_waited_for(&self) -> bool {
        self.holds_up() && !self.attach.lossless
    }

    /// Queues what the container wrote.
    pub fn show(&mut self, stream: Stream, bytes: &[u8]) {
        let (wanted, kind) = match stream {
            Stream::Stdout => (self.attach.stdout, Kind::Stdout),
            Stream::Stderr => (self.attach.stderr, Kind::Stderr),
        };
        let lost = !self.attach.lossless && self.output.len() > FULL;
        if self.role == Role::Attached && wanted && !lost {
            self.send(kind, bytes);
        }
    }

    /// Queues a frame and writes what can be written at once.
    pub fn send(&mut self, kind: Kind, bytes: &[u8]) {
        self.output.extend(Frame::encode(kind, bytes));
        self.write();
    }

    /// Sends a frame with a descriptor; to be used before anything else waits.
    pub fn send_descriptor(&mut self, kind: Kind, fd: BorrowedFd<'_>) {
        self.send_descriptors(kind, &[fd]);
    }

    /// Sends a frame with descriptors; to be used before anything else waits.
    pub fn send_descriptors(&mut self, kind: Kind, fds: &[BorrowedFd<'_>]) {
        let frame = Frame::encode(kind, b"");
        match descriptors::send(&self.stream, &frame, fds) {
            Ok(count) if count == frame.len() && self.output.is_empty() => {}
            _ => self.gone = true,
        }
    }

    pub fn send_json(&mut self, kind: Kind, value: &impl Serialize) {
        self.send(kind, &serde_json::to_vec(value).expect("an answer serialises"));
    }

    /// Writes what can be written.
    pub fn write(&mut self) {
        while !self.output.is_empty() && !self.gone {
            match self.stream.write(&self.output) {
                Ok(0) => self.gone = true,
                Ok(count) => {
                    self.output.drain(..count);
                    self.stalled = None;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return;
                }
                Err(_) => self.gone = true,
            }
        }
    }

    /// Reads what there is.
    pub fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        match descriptors::receive(&self.stream, &mut buffer, &mut self.descriptors) {
            Ok(0) => self.gone = true,
            Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.gone = true,
        }
    }

    /// Returns the next frame that is whole.
    pub fn frame(&mut self) -> Option<Frame> {
        match Frame::take(&mut self.input) {
            Ok(frame) => frame,
            Err(_) => {
                self.gone = true;
                None
            }
        }
    }

    /// Writes the rest and hangs up; one that can't miss anything is waited for without end.
    pub fn finish(&mut self) {
        let _ = self.stream.set_nonblocking(false);
        let limit = if self.attach.lossless { None } else { Some(LAST) };
        let _ = self.stream.set_write_timeout(limit);
        if !self.gone {
            let _ = self.stream.write_all(&self.output);
        }
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        self.gone = true;
    }
}
