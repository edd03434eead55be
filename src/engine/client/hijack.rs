//! A connection that an engine has given over: bytes both ways, each side closed for itself.

use std::io::{self, Read, Write};
use std::sync::Arc;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Both ways of a connection.
pub struct Connection {
    /// What the container writes.
    pub output: Output,
    /// What it reads.
    pub input: Input,
    /// Whether the engine says that the output has frames; none if it says nothing of use.
    pub framed: Option<bool>,
}

/// The reading side.
pub struct Output {
    from: ReadHalf<TokioIo<Upgraded>>,
    runtime: Handle,
    left: Leaver,
}

/// Ends the reading side from another thread.
#[derive(Clone, Default)]
pub struct Leaver(Arc<Notify>);

impl Leaver {
    /// Ends it.
    pub fn leave(&self) {
        self.0.notify_one();
    }
}

/// The writing side.
pub struct Input {
    to: WriteHalf<TokioIo<Upgraded>>,
    runtime: Handle,
}

impl Connection {
    pub(super) fn new(upgraded: Upgraded, runtime: &Handle, kind: Option<&str>) -> Self {
        let (from, to) = tokio::io::split(TokioIo::new(upgraded));
        let framed = match kind {
            Some("application/vnd.docker.multiplexed-stream") => Some(true),
            // Before 1.42 it stands there for both.
            _ => None,
        };
        Self {
            output: Output { from, runtime: runtime.clone(), left: Leaver::default() },
            input: Input { to, runtime: runtime.clone() },
            framed,
        }
    }
}

impl Read for Output {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.runtime.block_on(async {
            tokio::select! {
                count = self.from.read(buffer) => count,
                () = self.left.0.notified() => Ok(0),
            }
        })
    }
}

impl Output {
    /// Returns what ends it from another thread.
    pub fn leaver(&self) -> Leaver {
        self.left.clone()
    }
}

impl Input {
    /// Says that no more comes; the output goes on.
    pub fn close(&mut self) {
        let _ = self.runtime.block_on(self.to.shutdown());
    }
}

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime.block_on(self.to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.runtime.block_on(self.to.flush())
    }
}
