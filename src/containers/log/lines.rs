//! From bytes to lines.

/// Bytes of a line after which it is split.
pub(super) const LONGEST: usize = 16 << 10;

/// Which of the two a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// What came without a newline so far, of each stream.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: [Vec<u8>; 2],
}

impl Lines {
    /// Takes bytes, and gives each line that is whole or too long, with its newline if it has one.
    pub fn take<E>(
        &mut self,
        stream: Stream,
        mut bytes: &[u8],
        mut give: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let partial = &mut self.partial[stream as usize];
            let room = LONGEST - partial.len();
            let end = memchr::memchr(b'\n', &bytes[..bytes.len().min(room)]).map(|at| at + 1);
            let taken = end.unwrap_or(bytes.len().min(room));
            partial.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if end.is_some() || partial.len() == LONGEST {
                give(&std::mem::take(partial))?;
            }
        }
        Ok(())
    }

    /// Gives what came without a newline at the end.
    pub fn rest<E>(&mut self, mut give: impl FnMut(Stream, &[u8]) -> Result<(), E>) -> Result<(), E> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(&mut self.partial[stream as usize]);
            if !line.is_empty() {
                give(stream, &line)?;
            }
        }
        Ok(())
    }
}
