//! Errors in words.

use crate::causes::chain;
use crate::image::Reference;
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

/// What docker says when a pull fails: of the server's errors those that people look up.
pub fn pull_text(error: &RegistryError, reference: &Reference) -> String {
    let (name, whole) = (reference.familiar_repository(), reference.clone().or_latest().familiar());
    let Some((status, said)) = said(error) else { return chain(error) };
    let code = |code: &str| error.has_code(code);
    let with = |text: String| if said.is_empty() { text } else { format!("{text}: {said}") };
    if code("DENIED") || code("UNAUTHORIZED") || matches!(status, 401 | 403) {
        return with(format!(
            "pull access denied for {name}, repository does not exist or may require 'docker login'"
        ));
    }
    // A server that fails says nothing of what there is, whatever code it gives.
    if status >= 500 {
        return chain(error);
    }
    if code("NAME_UNKNOWN") {
        return with(format!("repository {name} not found"));
    }
    if code("MANIFEST_UNKNOWN") || status == 404 {
        return with(format!("manifest for {whole} not found"));
    }
    if code("TOOMANYREQUESTS") || status == 429 {
        return if said.is_empty() { chain(error) } else { said };
    }
    chain(error)
}

/// What docker says when a push fails: the server's own words where it has some.
pub fn push_text(error: &RegistryError) -> String {
    match said(error) {
        Some((400.., said)) if !said.is_empty() => said,
        Some((401, _)) => "unauthorized: authentication required".to_owned(),
        Some((403, _)) => "denied: requested access to the resource is denied".to_owned(),
        _ => chain(error),
    }
}

/// The status of an answer and its errors in words.
fn said(error: &RegistryError) -> Option<(u16, String)> {
    match error {
        RegistryError::Response { status, errors, .. } => {
            Some((*status, errors.iter().map(api_error).collect::<Vec<_>>().join("; ")))
        }
        RegistryError::AuthorizationLoop { source, .. } => said(source),
        // A token server that refuses says so for the registry.
        RegistryError::Token { source, .. } if matches!(source.status(), Some(401 | 403)) => said(source),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulls_fail_in_dockers_words() {
        let reference = Reference::parse("debian:nope").unwrap();
        let text = |status: u16, code: &str, message: &str| {
            let errors = match code {
                "" => Vec::new(),
                _ => vec![ApiError { code: code.into(), message: message.into(), detail: String::new() }],
            };
            let url = "https://r.test/v2/".to_owned();
            let (body, retry_after) = (String::new(), None);
            let error = RegistryError::Response { method: "GET", url, status, errors, body, retry_after };
            (pull_text(&error, &reference), push_text(&error))
        };
        let denied = "requested access to the resource is denied";
        assert_eq!(
            text(401, "DENIED", denied).0,
            format!(
                "pull access denied for debian, repository does not exist or may require 'docker login': denied: {denied}"
            )
        );
        assert_eq!(text(403, "DENIED", denied).1, format!("denied: {denied}"));
        assert_eq!(
            text(404, "MANIFEST_UNKNOWN", "manifest unknown").0,
            "manifest for debian:nope not found: manifest unknown: manifest unknown"
        );
        assert_eq!(
            text(404, "NAME_UNKNOWN", "repository name not known to registry").0,
            "repository debian not found: name unknown: repository name not known to registry"
        );
        assert_eq!(text(404, "", "").0, "manifest for debian:nope not found");
        assert_eq!(text(429, "TOOMANYREQUESTS", "slow").0, "toomanyrequests: slow");
        assert_eq!(text(500, "", "").0, "GET https://r.test/v2/: 500 Internal Server Error");
        let behind = "the registry behind failed";
        assert_eq!(
            text(502, "MANIFEST_UNKNOWN", behind).0,
            format!("GET https://r.test/v2/: 502 Bad Gateway: manifest unknown: {behind}")
        );
        assert_eq!(text(401, "", "").1, "unauthorized: authentication required");
    }
}
