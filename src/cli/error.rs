//! What a command ends with when it fails: text and exit code, in docker's words.

use std::error::Error;

use crate::causes::chain;

/// A command failed.
#[derive(Debug)]
pub struct CliError {
    /// Exit code of the process.
    pub code: u8,
    /// What stands on standard error; empty when all was said already.
    pub text: String,
    /// Whether it is about flags, so that how the command is used belongs below it.
    pub usage: bool,
}

/// Exit code of a wrong flag.
const BAD_FLAG: u8 = 125;

impl CliError {
    /// A failure with a text of its own; exit code 1.
    pub fn new(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into(), usage: false }
    }

    /// A value that a flag can't have; the flag as it is in the help: `-m, --memory`.
    pub fn flag(flag: &str, value: &str, why: impl std::fmt::Display) -> Self {
        let text = format!("invalid argument \"{value}\" for \"{flag}\" flag: {why}");
        Self { code: BAD_FLAG, text, usage: true }
    }

    /// A failure of what would be the engine's side in docker: scripts look for the prefix.
    pub fn engine(error: &dyn Error) -> Self {
        Self::new(format!("Error response from daemon: {}", chain(error)))
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// A failure about which everything was said already.
    pub fn silent(code: u8) -> Self {
        Self { code, ..Self::new("") }
    }
}

/// Reads a flag's value as a number of bytes: `64m`, `1.5GiB`.
///
/// # Errors
/// It is none.
pub fn flag_size(flag: &str, text: &str) -> Result<u64, CliError> {
    let wrong = || CliError::flag(flag, text, format!("invalid size: '{text}'"));
    super::human::parse_size(text).ok_or_else(wrong)
}

impl From<crate::store::StoreError> for CliError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::engine(&error)
    }
}

impl From<crate::containers::ContainerError> for CliError {
    fn from(error: crate::containers::ContainerError) -> Self {
        Self::engine(&error)
    }
}

impl From<crate::archive::ArchiveError> for CliError {
    fn from(error: crate::archive::ArchiveError) -> Self {
        Self::engine(&error)
    }
}

impl From<crate::fs::FsError> for CliError {
    fn from(error: crate::fs::FsError) -> Self {
        Self::new(chain(&error))
    }
}

impl From<crate::image::ReferenceError> for CliError {
    fn from(error: crate::image::ReferenceError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
