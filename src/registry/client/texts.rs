//! Errors in words.

use crate::registry::{ApiError, RegistryError};

/// The text of an answer that is no success.
pub(crate) fn response(method: &str, url: &str, status: u16, errors: &[ApiError], body: &str) -> String {
    let said: Vec<String> = errors.iter().map(api_error).collect();
    let reason = reqwest::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
    let status = match reason {
        Some(reason) => format!("{status} {reason}"),
        None => status.to_string(),
    };
    match (said.is_empty(), body.is_empty()) {
        (false, _) => format!("{method} {url}: {status}: {}", said.join("; ")),
        (true, false) => format!("{method} {url}: {status}: {body}"),
        (true, true) => format!("{method} {url}: {status}"),
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

/// Returns where an error happened; empty if it is no matter of one URL.
pub(crate) fn place(error: &RegistryError) -> String {
    match error {
        RegistryError::Response { url, .. }
        | RegistryError::Transport { url, .. }
        | RegistryError::Stalled { url, .. }
        | RegistryError::Truncated { url, .. }
        | RegistryError::Digest { url, .. } => url.clone(),
        _ => String::new(),
    }
}

/// `manifest unknown: ...` as docker writes one entry: the code in small words, then the message.
pub(crate) fn api_error(error: &ApiError) -> String {
    let code = error.code.to_lowercase().replace('_', " ");
    match (code.is_empty(), error.message.is_empty()) {
        (true, _) => error.message.clone(),
        (false, true) => code,
        (false, false) => format!("{code}: {}", error.message),
    }
}
