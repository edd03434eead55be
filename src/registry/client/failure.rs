//! What a server says when it says no: the protocol's errors, bounded, cleaned, without our secrets.

use std::time::{Duration, SystemTime};

use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Response};
use serde_json::Value;
use url::Url;

use super::exchange::method_name;
use super::url_text::redacted;
use crate::registry::{ApiError, RegistryError};

/// Most bytes of an error's body.
const MAX_BODY: usize = 1 << 20;
/// Longest time for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Errors of one answer that are kept.
const MAX_ERRORS: usize = 16;
/// Characters of one text that are kept.
const MAX_TEXT: usize = 1000;

/// Puts an answer that is no success into an error.
pub(super) async fn error_of(
    method: &Method,
    url: &Url,
    response: Response,
    secrets: &[String],
) -> RegistryError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let bytes = body(response).await;
    let errors = api_errors(&bytes, secrets);
    let is_html = bytes.trim_ascii_start().starts_with(b"<");
    let body = if errors.is_empty() && !is_html {
        clean(&String::from_utf8_lossy(&bytes), secrets).chars().take(200).collect()
    } else {
        String::new()
    };
    RegistryError::Response {
        method: method_name(method),
        url: redacted(url),
        status,
        errors,
        body,
        retry_after,
    }
}

/// Reads `Retry-After`: seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
    let then = SystemTime::from(then);
    Some(then.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}

async fn body(mut response: Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    let all = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_BODY {
                bytes.truncate(MAX_BODY);
                break;
            }
        }
    };
    // What came until then is worth more than nothing.
    let _ = tokio::time::timeout(PATIENCE, all).await;
    bytes
}

fn api_errors(bytes: &[u8], secrets: &[String]) -> Vec<ApiError> {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return Vec::new() };
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text, secrets),
        other => clean(&other.to_string(), secrets),
    };
    let one = |entry: &Value| ApiError {
        code: text(&entry["code"]),
        message: text(&entry["message"]),
        detail: text(&entry["detail"]),
    };
    match value["errors"].as_array() {
        Some(entries) => entries.iter().take(MAX_ERRORS).map(one).collect(),
        // Token servers and Docker Hub have shapes of their own.
        None => {
            let said = ["details", "message", "error_description", "error", "detail"];
            let said = said.iter().map(|key| text(&value[*key])).find(|said| !said.is_empty());
            said.map(|message| ApiError { message, ..ApiError::default() }).into_iter().collect()
        }
    }
}

/// Returns a server's text on one line, without control characters and without secrets it may repeat.
pub(super) fn clean(text: &str, secrets: &[String]) -> String {
    let mut text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "***");
    }
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_all_their_shapes() {
        let shown = |text: &str| {
            let said = api_errors(text.as_bytes(), &["hunter2".to_owned()]);
            said.iter()
                .map(|e| format!("{}|{}|{}", e.code, e.message, e.detail))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let table = [
            (r#"{"errors":[{"code":"DENIED","message":"no","detail":[1]}]}"#, "DENIED|no|[1]"),
            (r#"{"errors":[{"code":"A"},{"message":"b"}]}"#, "A|| |b|"),
            (r#"{"details":"incorrect username or password"}"#, "|incorrect username or password|"),
            (r#"{"errors":[{"message":"you sent hunter2\n\u001b[31m"}]}"#, "|you sent *** [31m|"),
            (r#"{"errors":5}"#, ""),
            ("[]", ""),
            ("<html>", ""),
        ];
        for (text, expected) in table {
            assert_eq!(shown(text), expected, "{text}");
        }
        let many = format!("{{\"errors\":[{}]}}", vec![r#"{"code":"A"}"#; 500].join(","));
        assert_eq!(api_errors(many.as_bytes(), &[]).len(), MAX_ERRORS);
    }

    #[test]
    fn servers_say_when_to_come_again() {
        let after = |text: &str| {
            retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().expect("plain"))]))
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let year = after("Fri, 31 Dec 2999 23:59:59 GMT").expect("a date");
        assert!(year > Duration::from_secs(3600));
        assert_eq!(after("soon"), None);
    }
}
