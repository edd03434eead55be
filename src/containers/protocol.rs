//! What a monitor and its clients say to each other: frames of a letter, a length and bytes.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use serde::{Deserialize, Serialize};

use super::error::ContainerError;
use crate::run::Limits;

/// Largest frame that is taken.
const MAX_FRAME: usize = 1 << 20;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// To the monitor: a [`Request`] as JSON, the first frame.
    Request = b'q',
    /// To the monitor: bytes for standard input.
    Stdin = b'i',
    /// To the monitor: standard input ends.
    StdinEnd = b'e',
    /// To the monitor: rows and columns, 16 bits each.
    Resize = b'w',
    /// To the monitor: the number of a signal for the first process, 32 bits.
    Signal = b's',
    /// To the monitor: the terminal whose input this is was closed, so the container's own is too.
    HangUp = b'h',
    /// From the monitor: bytes of standard output, or of the terminal.
    Stdout = b'1',
    /// From the monitor: bytes of standard error.
    Stderr = b'2',
    /// From the monitor: a warning about the start.
    Warning = b'W',
    /// From the monitor: done; after a start, the process runs.
    Done = b'd',
    /// From the monitor: an exit code, 32 bits.
    Exit = b'x',
    /// From the monitor: a [`super::remote::Failure`] as JSON.
    Failed = b'f',
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        use Kind::*;
        [Request, Stdin, StdinEnd, Resize, Signal, HangUp, Stdout, Stderr, Warning, Done, Exit, Failed]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What a client wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Request {
    /// The start of the process; only by whoever made the monitor.
    Start {
        /// Whether the client goes on as if it had attached.
        attach: Option<Attach>,
    },
    /// What the process reads and writes.
    Attach(Attach),
    /// The end of the run.
    Wait,
    /// A signal for the first process.
    Kill { signal: i32 },
    /// The end of the container; the signal's place is taken by SIGKILL after some seconds.
    Stop { signal: Option<i32>, timeout: Option<i64> },
    /// All processes stand still.
    Pause,
    /// They go on.
    Unpause,
    /// The config was changed and is to be read again.
    Reload,
    /// Limits of kinds for which the container has no cgroups yet.
    Limits(Box<Limits>),
    /// The networks of the config were changed and are to be joined and left.
    Networks,
    /// A further process in the container; its pipes come with the frame.
    Exec(Exec),
    /// A descriptor of the root that the container's processes see.
    Root,
    /// The file system of a volume, and the mount namespace where it was made.
    Volume(String),
    /// The ids of the further processes that run.
    Execs,
    /// The size of the terminal, without being attached; that of a further process where one is named.
    Resize {
        rows: u16,
        columns: u16,
        #[serde(default)]
        exec: Option<String>,
    },
}

/// How a client attaches.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Attach {
    /// Whether it gives standard input.
    pub stdin: bool,
    /// Whether it takes standard output.
    pub stdout: bool,
    /// Whether it takes standard error.
    pub stderr: bool,
    /// Whether it can't miss anything: the process waits for it.
    pub lossless: bool,
    /// Size of its terminal.
    pub rows: u16,
    /// Size of its terminal.
    pub columns: u16,
}

/// A further process in a container.
///
/// Unless it is detached or has a terminal, these descriptors come with the request: its standard input if it has one, its
/// standard output, its standard error, and the other ends of the latter two.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Exec {
    /// Its id, if it has a record; without, it gets one.
    #[serde(default)]
    pub id: Option<String>,
    /// The command and its arguments.
    pub args: Vec<String>,
    /// Variables beside the container's own; with none as its value, one of those goes.
    pub env: Vec<(String, Option<String>)>,
    /// Who runs it, else the container's user.
    pub user: Option<String>,
    /// Where it runs, else in the container's working directory.
    pub cwd: Option<String>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it has a standard input.
    pub stdin: bool,
    /// Whether it has all capabilities.
    pub privileged: bool,
    /// Whether nobody waits for it.
    pub detach: bool,
    /// Size of its terminal.
    pub rows: u16,
    /// Size of its terminal.
    pub columns: u16,
}

/// A frame that was read.
#[derive(Debug)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// What it says.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Returns a frame as it goes over the wire.
    pub fn encode(kind: Kind, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(5 + bytes.len());
        out.push(kind as u8);
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
        out
    }

    /// Takes the first frame off `buffer`, if it is whole.
    ///
    /// # Errors
    /// What is there is no frame.
    pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Self>, ContainerError> {
        let Some(head) = buffer.first_chunk::<5>() else { return Ok(None) };
        let (kind, length) = Self::head(*head)?;
        if buffer.len() < 5 + length {
            return Ok(None);
        }
        let bytes = buffer[5..5 + length].to_vec();
        buffer.drain(..5 + length);
        Ok(Some(Self { kind, bytes }))
    }

    fn head(head: [u8; 5]) -> Result<(Kind, usize), ContainerError> {
        let kind = Kind::of(head[0])
            .ok_or_else(|| ContainerError::Protocol(format!("a frame of kind {}", head[0])))?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > MAX_FRAME {
            return Err(ContainerError::Protocol(format!("a frame of {length} bytes")));
        }
        Ok((kind, length))
    }

    /// Reads a frame; none at the end of the stream.
    ///
    /// # Errors
    /// What is there is no frame, or the stream fails.
    pub fn read(stream: &mut UnixStream) -> Result<Option<Self>, ContainerError> {
        let mut head = [0u8; 5];
        match stream.read_exact(&mut head) {
            Err(error) if ended(&error) => return Ok(None),
            other => other.map_err(|e| ContainerError::io("hear the monitor", e))?,
        }
        Self::after(head, stream)
    }

    /// Reads the rest of a frame whose beginning was read.
    pub(super) fn after(head: [u8; 5], stream: &mut UnixStream) -> Result<Option<Self>, ContainerError> {
        let (kind, length) = Self::head(head)?;
        let mut bytes = vec![0; length];
        match stream.read_exact(&mut bytes) {
            Err(error) if ended(&error) => return Ok(None),
            other => other.map_err(|e| ContainerError::io("hear the monitor", e))?,
        }
        Ok(Some(Self { kind, bytes }))
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// Nobody listens any more.
    pub fn write(stream: &mut impl Write, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        stream.write_all(&Self::encode(kind, bytes))
    }
}

fn ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// Reads a 32-bit number.
pub(super) fn number(bytes: &[u8]) -> Option<i32> {
    bytes.try_into().ok().map(i32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_cut_where_they_end() {
        let mut buffer = Frame::encode(Kind::Stdin, b"abc");
        buffer.extend(Frame::encode(Kind::StdinEnd, b""));
        let rest = buffer.split_off(6);
        assert!(Frame::take(&mut buffer).expect("so far a frame").is_none());
        buffer.extend(rest);
        let first = Frame::take(&mut buffer).expect("a frame").expect("whole");
        assert_eq!((first.kind, first.bytes.as_slice()), (Kind::Stdin, &b"abc"[..]));
        assert_eq!(Frame::take(&mut buffer).expect("a frame").expect("whole").kind, Kind::StdinEnd);
        assert!(buffer.is_empty());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        assert!(Frame::take(&mut vec![0, 0, 0, 0, 0]).is_err());
        assert!(Frame::take(&mut vec![b'i', 255, 255, 255, 255]).is_err());
    }
}
