//! What was asked.

use std::io::Read as _;

use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method};
use serde::de::DeserializeOwned;

use super::body::Body;
use super::query::Query;
use crate::engine::{ApiError, ApiVersion};

/// Largest body that is read as JSON.
const MAX_JSON: u64 = 16 << 20;

/// A request, without the version before its path.
pub struct Request {
    /// What is to happen; `HEAD` stands as itself.
    pub method: Method,
    /// The version that was asked for, the newest without one.
    pub version: ApiVersion,
    /// The parts of the path between slashes, decoded.
    pub path: Vec<String>,
    /// What stands behind the question mark.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// Whether the connection is to be taken over.
    pub upgrade: bool,
    /// What was sent with it.
    pub body: Body,
}

impl Request {
    /// Returns a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Reads the body as JSON; an empty one is none.
    ///
    /// # Errors
    /// It is no JSON, something else, or too long.
    pub fn json_or_none<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ApiError> {
        let mut bytes = Vec::new();
        let read = (&mut self.body).take(MAX_JSON + 1).read_to_end(&mut bytes);
        read.map_err(|error| ApiError::bad(format!("cannot read the request: {error}")))?;
        if bytes.len() as u64 > MAX_JSON {
            return Err(ApiError::bad(format!("the request's body is longer than {MAX_JSON} bytes")));
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        self.check_type()?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| ApiError::bad(format!("invalid JSON: {error}")))
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// There is none, or as [`Self::json_or_none`].
    pub fn json<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        self.json_or_none()?.ok_or_else(|| ApiError::bad("invalid JSON: got EOF while reading request body"))
    }

    fn check_type(&self) -> Result<(), ApiError> {
        let given = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = given.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        Err(ApiError::bad(format!("unsupported Content-Type header ({given}): must be 'application/json'")))
    }
}

/// Cuts a path into its version and its decoded parts.
///
/// # Errors
/// The version is none that is spoken here.
pub(super) fn cut(path: &str) -> Result<(ApiVersion, Vec<String>), ApiError> {
    let decode = |part: &str| percent(part).ok_or_else(|| ApiError::bad(format!("invalid path {path}")));
    let mut parts = path.trim_start_matches('/').split('/').map(decode).collect::<Result<Vec<_>, _>>()?;
    let version = parts[0].strip_prefix('v').and_then(ApiVersion::parse);
    if let Some(version) = version {
        parts.remove(0);
        return Ok((version.check()?, parts));
    }
    Ok((ApiVersion::NEWEST, parts))
}

/// Decodes `%2F` and the like; none where no UTF-8 comes of it.
fn percent(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        rest = more;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::cut as whole;

    #[test]
    fn a_path_may_begin_with_a_version() {
        let cut = |path| whole(path).map(|(version, parts)| (version.to_string(), parts.join("|")));
        let found = |version: &str, parts: &str| Ok((version.to_owned(), parts.to_owned()));
        assert_eq!(cut("/v1.24/containers/json"), found("1.24", "containers|json"));
        assert_eq!(cut("/_ping"), found("1.51", "_ping"));
        assert_eq!(cut("/images/a%2Fb%3A1/json"), found("1.51", "images|a/b:1|json"));
        assert_eq!(cut("/volumes/v1.24"), found("1.51", "volumes|v1.24"));
        assert!(cut("/v1.23/info").is_err() && cut("/v9.9/info").is_err());
        assert!(cut("/images/%zz/json").is_err() && cut("/images/%ff/json").is_err());
    }
}
