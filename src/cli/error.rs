//! What a command ends with when it fails: text and exit code, in docker's words.

use std::error::Error;

/// A command failed.
#[derive(Debug)]
pub struct CliError {
    /// Exit code of the process.
    pub code: u8,
    /// What stands on standard error; empty when all was said already.
    pub text: String,
}

impl CliError {
    /// A failure with a text of its own; exit code 1.
    pub fn new(text: impl Into<String>) -> Self {
        Self { code: 1, text: text.into() }
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
        Self { code, text: String::new() }
    }
}

/// Returns an error's text with the texts of its causes.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        // Transparent wrappers say the same twice.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
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
