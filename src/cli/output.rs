//! Standard output and standard error: data on the one, talk on the other.

use std::io::Write;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::error::CliError;

/// Exit code of a command whose output nobody reads any more: what a shell says of one that SIGPIPE has ended.
const UNREAD: u8 = 141;

/// Writes data to standard output; a reader that went away ends the command quietly.
///
/// # Errors
/// Standard output can't be written.
pub fn data(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| unread(error.into()))
}

/// Makes the failure of writing to standard output a quiet one, if that is because nobody reads it any more.
pub fn unread(error: CliError) -> CliError {
    use std::os::fd::AsFd as _;
    let out = std::io::stdout();
    let mut polled = [PollFd::new(out.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    let known = poll(&mut polled, PollTimeout::ZERO).ok().and_then(|_| polled[0].revents());
    if known.is_some_and(|events| events.intersects(gone)) { CliError::silent(UNREAD) } else { error }
}

/// One of this process's streams, on which a container's output is shown. What can't be written is an error that names
/// the stream, in docker's words.
pub enum Shown {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Shown {
    fn failed(&self, error: &std::io::Error) -> std::io::Error {
        let why = match error.raw_os_error() {
            Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
            None => error.to_string(),
        };
        let name = match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        };
        std::io::Error::new(error.kind(), format!("write /dev/{name}: {why}"))
    }

    /// Shows bytes at once.
    ///
    /// # Errors
    /// They can't be written.
    pub fn show(&self, bytes: &[u8]) -> std::io::Result<()> {
        let written = match self {
            Self::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush())
            }
            Self::Stderr => std::io::stderr().lock().write_all(bytes),
        };
        written.map_err(|error| self.failed(&error))
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.show(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes a line of data to standard output.
///
/// # Errors
/// As [`data`].
pub fn line(text: &str) -> Result<(), CliError> {
    data(&format!("{text}\n"))
}

/// Writes a line for those who asked for more with `--debug`.
pub fn debug(text: &str) {
    talk(&format!("level=debug msg={text:?}"));
}

/// Writes a line of talk to standard error; there is nowhere to say that this failed.
pub fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
