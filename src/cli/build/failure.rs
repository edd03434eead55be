//! What a failed build says: the step's last output, the lines of the Dockerfile, the error.

use std::io::ErrorKind;

use super::super::error::CliError;
use super::super::render::FailedLogs;
use crate::builder::BuildError;
use crate::builder::context::{Context, ContextError};
use crate::causes::chain;
use crate::parser::{ParseError, Source, excerpt};

/// Exit code where a resource of the machine is exhausted, as docker's.
const EXHAUSTED: u8 = 102;
/// Exit code after an interruption, as docker's.
const CANCELLED: u8 = 130;

/// Returns the text that stands at the end of a failed build; `findings` is what build checks found.
pub fn text(error: &BuildError, logs: Option<FailedLogs>, findings: &str) -> String {
    let mut text = String::new();
    if let Some(logs) = logs {
        text.push_str(&format!("------\n > {}:\n", logs.name.replace('\n', " ")));
        logs.lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        text.push_str("------\n");
    }
    if !findings.is_empty() {
        text.push_str(&format!("{findings}\n"));
    }
    if let Some(place) = &error.place {
        text.push_str(&excerpt(&place.source, place.span));
    }
    text.push_str(&format!("ERROR: failed to build: failed to solve: {}", chain(error)));
    text
}

/// Returns the exit code of a failed build: 102 where the machine has no room left, as docker's, else 1.
pub fn code(error: &BuildError) -> u8 {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::OutOfMemory)) {
            return EXHAUSTED;
        }
        cause = error.source();
    }
    1
}

/// The error for a context or a Dockerfile that can't be had; docker tells what its client finds from the rest.
pub fn of_context(error: &ContextError) -> CliError {
    use ContextError::{NoContext, NoDirectory, StdinTwice, TwoDockerfiles};
    if matches!(error, ContextError::Cancelled) {
        return cancelled();
    }
    let solving = !matches!(error, NoContext { .. } | NoDirectory { .. } | StdinTwice | TwoDockerfiles);
    let solve = if solving { "failed to solve: " } else { "" };
    CliError::new(format!("ERROR: failed to build: {solve}{}", chain(error)))
}

/// The error after an interruption.
pub fn cancelled() -> CliError {
    CliError::new("ERROR: failed to build: failed to solve: Canceled: context canceled").code(CANCELLED)
}

/// The error for a Dockerfile that is no text.
pub fn unreadable(context: &Context, error: &ParseError) -> CliError {
    let lossy = String::from_utf8_lossy(&context.dockerfile).into_owned();
    unparsed(&Source::new(context.dockerfile_name.clone(), lossy), error)
}

/// The error for a Dockerfile that does not parse.
pub fn unparsed(source: &Source, error: &ParseError) -> CliError {
    let lines = error.span.map(|span| excerpt(source, span)).unwrap_or_default();
    CliError::new(format!("{lines}ERROR: failed to build: failed to solve: {}", chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_code_of_its_own() {
        let failed = |kind: ErrorKind| {
            let io = crate::builder::ErrorKind::Io { action: "cannot write", source: kind.into() };
            code(&BuildError::from(io))
        };
        assert_eq!(failed(ErrorKind::StorageFull), 102);
        assert_eq!(failed(ErrorKind::NotFound), 1);
    }
}
