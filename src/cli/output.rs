//! Standard output and standard error: data on the one, talk on the other.

use std::io::Write as _;

use super::error::CliError;

/// Writes data to standard output; a reader that went away ends the command quietly.
///
/// # Errors
/// Standard output can't be written.
pub fn data(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| {
        if error.kind() == std::io::ErrorKind::BrokenPipe { CliError::silent(1) } else { error.into() }
    })
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
