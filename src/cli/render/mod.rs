//! What a build looks like while it runs: plain lines, a live view, JSON lines, or nothing.
//!
//! A renderer is a [`Reporter`] that draws on standard error. Names and logs
//! come from Dockerfiles and programs, so control characters in them are made
//! harmless before a terminal sees them.

mod clean;
mod json;
mod layers;
mod look;
mod plain;
mod quiet;
mod tail;
mod transfers;
mod tty;

#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::sync::Arc;

use super::error::CliError;
use crate::progress::{CheckEvent, Reporter};

pub use json::warning;
pub use layers::{Out, Way, layers, progress_bar, state_words};
pub use look::Look;
pub use tail::FailedLogs;
pub use transfers::transfers;

/// Returns text from elsewhere on one line, without what could steer a terminal.
pub fn harmless(text: &str) -> String {
    clean::name(text)
}

/// A reporter that draws.
pub trait Renderer: Reporter {
    /// Ends drawing; what is on the screen then stays.
    fn finish(&self);

    /// Returns what build checks found.
    fn checks(&self) -> Vec<CheckEvent>;

    /// Returns the step that failed with the last of its output.
    fn failed_logs(&self) -> Option<FailedLogs>;
}

/// `--progress`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A live view on a terminal, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Plain,
    /// A live view.
    Tty,
    /// Nothing but warnings.
    Quiet,
    /// An object a line.
    RawJson,
}

impl Mode {
    /// Reads the flag's value.
    ///
    /// # Errors
    /// There is no such mode.
    pub fn parse(text: &str) -> Result<Self, CliError> {
        Ok(match text {
            "" | "auto" => Self::Auto,
            "plain" => Self::Plain,
            "tty" => Self::Tty,
            "quiet" | "none" => Self::Quiet,
            "rawjson" => Self::RawJson,
            other => {
                return Err(CliError::new(format!(
                    "ERROR: invalid progress mode {other}: use auto, plain, tty, quiet, none or rawjson"
                )));
            }
        })
    }
}

/// What the variables say.
pub fn look() -> Look {
    Look::read(|name| std::env::var(name).ok())
}

/// Returns the colour of warnings, where standard error shows colours.
pub fn warning_colour() -> Option<String> {
    let look = look();
    (std::io::stderr().is_terminal() && look.colours).then_some(look.warning)
}

/// Returns the renderer for a mode, on standard error as it is.
pub fn choose(mode: Mode) -> Arc<dyn Renderer> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    choose_for(mode, std::io::stderr().is_terminal(), dumb, look())
}

/// Returns the renderer for a mode on a terminal or not; a dumb one can't be drawn over.
fn choose_for(mode: Mode, terminal: bool, dumb: bool, look: Look) -> Arc<dyn Renderer> {
    match mode {
        Mode::Quiet => Arc::new(quiet::Quiet::default()),
        Mode::RawJson => Arc::new(json::Json::default()),
        Mode::Tty | Mode::Auto if terminal && !dumb => tty::Tty::start(look),
        _ => Arc::new(plain::Plain::new(std::io::stderr(), look)),
    }
}
