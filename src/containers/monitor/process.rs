//! One run of the container's process, and the pipes or the terminal between it and the monitor.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::super::error::ContainerError;
use super::super::log::Stream;
use super::super::volumes::Mounted;
use crate::run::{Input, Io, Output, Running};

/// Bytes that may wait for standard input before a client is not read any more.
const FULL: usize = 256 << 10;
/// How long output is read after the end, when others than the container's own processes hold it open and nothing comes.
const DRAIN: Duration = Duration::from_secs(1);
/// More than the container itself can have left behind: what comes then is others'.
const LEFT: usize = 1 << 20;

/// A run.
pub(super) struct Run {
    pub process: Box<dyn Running>,
    /// The file systems of its volumes.
    pub volumes: Mounted,
    pub began: Instant,
    /// Our ends of what it writes, until it ends.
    outputs: Vec<(Stream, OwnedFd)>,
    /// Our end of what it reads.
    stdin: Option<OwnedFd>,
    waiting: Vec<u8>,
    /// Whether standard input ends after what waits.
    ends: bool,
    tty: bool,
    /// When it was seen to have ended.
    pub ended: Option<Instant>,
    /// When something of it was read last since then.
    stirred: Option<Instant>,
    /// Bytes that were read since its end.
    left: usize,
}

/// Our ends, and the process's.
pub(super) struct Pipes {
    outputs: Vec<(Stream, OwnedFd)>,
    stdin: Option<OwnedFd>,
    pub io: Io,
}

fn pipe() -> Result<(OwnedFd, OwnedFd), ContainerError> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| ContainerError::io("make a pipe", e))
}

fn nonblocking(fd: &OwnedFd) -> Result<(), ContainerError> {
    rustix::fs::fcntl_getfl(fd)
        .and_then(|flags| rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK))
        .map_err(|e| ContainerError::io("set a pipe up", e))
}

impl Pipes {
    /// Makes what lies between; a terminal is made by the executor.
    pub fn new(tty: bool, open_stdin: bool, size: (u16, u16)) -> Result<Self, ContainerError> {
        if tty {
            let output = Output::Terminal { rows: size.0, columns: size.1 };
            return Ok(Self { outputs: Vec::new(), stdin: None, io: Io { stdin: Input::Null, output } });
        }
        let (out, stdout) = pipe()?;
        let (err, stderr) = pipe()?;
        nonblocking(&out)?;
        nonblocking(&err)?;
        let (stdin, theirs) = match open_stdin {
            true => {
                let (read, write) = pipe()?;
                nonblocking(&write)?;
                (Some(write), Input::Fd(read))
            }
            false => (None, Input::Null),
        };
        let io = Io { stdin: theirs, output: Output::Pipes { stdout, stderr } };
        Ok(Self { outputs: vec![(Stream::Stdout, out), (Stream::Stderr, err)], stdin, io })
    }

    /// Takes our ends out.
    pub fn split(self) -> (OurEnds, Io) {
        (OurEnds { outputs: self.outputs, stdin: self.stdin }, self.io)
    }
}

/// Our ends of the pipes.
pub(super) struct OurEnds {
    outputs: Vec<(Stream, OwnedFd)>,
    stdin: Option<OwnedFd>,
}

impl Run {
    /// Joins a process with our ends of its pipes, or of its terminal.
    pub fn new(
        process: Box<dyn Running>,
        ends: OurEnds,
        tty: bool,
        volumes: Mounted,
    ) -> Result<Self, ContainerError> {
        let OurEnds { mut outputs, mut stdin } = ends;
        if let Some(terminal) = process.terminal() {
            let copy =
                || terminal.try_clone_to_owned().map_err(|e| ContainerError::io("duplicate a terminal", e));
            let ours = copy()?;
            nonblocking(&ours)?;
            stdin = Some(copy()?);
            outputs = vec![(Stream::Stdout, ours)];
        }
        let (began, waiting) = (Instant::now(), Vec::new());
        let (ended, stirred, left) = (None, None, 0);
        Ok(Self { process, volumes, began, outputs, stdin, waiting, ends: false, tty, ended, stirred, left })
    }

    pub fn outputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.outputs.iter().map(|(_, fd)| fd.as_fd())
    }

    /// Whether all was read that it wrote.
    pub fn is_drained(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Returns when no more is read of one that has ended, though others hold its output open.
    pub fn deadline(&self) -> Option<Instant> {
        self.ended.map(|at| self.stirred.unwrap_or(at).max(at) + DRAIN)
    }

    /// Whether it has ended and what it left is still being read.
    pub fn leaves(&self) -> bool {
        self.ended.is_some() && self.left < LEFT
    }

    /// Where what waits for it can be written.
    pub fn stdin(&self) -> Option<BorrowedFd<'_>> {
        self.stdin.as_ref().filter(|_| !self.waiting.is_empty()).map(|fd| fd.as_fd())
    }

    /// Whether no more can be taken for it now.
    pub fn is_full(&self) -> bool {
        self.stdin.is_some() && self.waiting.len() > FULL
    }

    /// Queues bytes for it.
    pub fn give(&mut self, bytes: &[u8]) {
        if self.stdin.is_some() && !self.ends {
            self.waiting.extend_from_slice(bytes);
            self.write();
        }
    }

    /// Ends its standard input after what waits; a terminal has no end.
    pub fn end_stdin(&mut self) {
        if !self.tty {
            self.ends = true;
            self.write();
        }
    }

    /// Writes what can be written.
    pub fn write(&mut self) {
        while let Some(fd) = self.stdin.as_ref().filter(|_| !self.waiting.is_empty()) {
            match rustix::io::write(fd, &self.waiting) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // It reads no more.
                Err(_) => self.stdin = None,
            }
        }
        if self.ends || self.stdin.is_none() {
            (self.stdin, self.waiting) = (None, Vec::new());
        }
    }

    /// Reads what it wrote, once from each.
    pub fn read(&mut self, mut take: impl FnMut(Stream, &[u8])) {
        let mut buffer = [0; 32 << 10];
        let mut total = 0;
        self.outputs.retain(|(stream, fd)| match rustix::io::read(fd, &mut buffer[..]) {
            Ok(0) => false,
            Ok(count) => {
                total += count;
                take(*stream, &buffer[..count]);
                true
            }
            // A terminal whose other side is closed fails with EIO: that is its end.
            Err(errno) => matches!(errno, Errno::AGAIN | Errno::INTR),
        });
        if self.ended.is_some() && total > 0 {
            self.left += total;
            if self.left < LEFT {
                self.stirred = Some(Instant::now());
            }
        }
    }

    /// Closes its terminal, so that a shell on it reads its end.
    pub fn hang_up(&mut self) {
        if self.tty {
            (self.stdin, self.waiting) = (None, Vec::new());
            self.outputs.clear();
            self.process.hang_up();
        }
    }

    /// Reads no more, whatever others still write.
    pub fn stop_reading(&mut self) {
        self.outputs.clear();
    }
}
