//! Arguments, rendering, exit codes: the only module that prints.

mod error;
mod format;
mod human;
mod output;
mod table;

use std::process::ExitCode;

/// Runs the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
