//! Errors in words.

use crate::registry::ApiError;

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

/// `manifest unknown: ...` as docker writes one entry: the code in small words, then the message.
pub(crate) fn api_error(error: &ApiError) -> String {
    let code = error.code.to_lowercase().replace('_', " ");
    match (code.is_empty(), error.message.is_empty()) {
        (true, _) => error.message.clone(),
        (false, true) => code,
        (false, false) => format!("{code}: {}", error.message),
    }
}
