//! What a failed build says: the step's last output, the lines of the Dockerfile, the error.

use super::super::error::{CliError, chain};
use super::super::render::FailedLogs;
use crate::builder::BuildError;
use crate::builder::context::Context;
use crate::parser::{ParseError, Source, excerpt};

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
