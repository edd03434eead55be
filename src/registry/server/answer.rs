//! Answers: bodies, headers, and the errors of the distribution specification.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::storage::{BlobBytes, StorageError};
use crate::causes::chain;

/// A response's body.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;
/// What a handler returns.
pub type Answered = Result<Response<Body>, Failure>;

pub const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");
pub const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub const TAG: HeaderName = HeaderName::from_static("oci-tag");
pub const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Returns a body without bytes.
pub fn no_body() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Returns a body of bytes that are there.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Returns a body of bytes as they are read.
pub fn streamed(bytes: BlobBytes) -> Body {
    use futures_util::StreamExt as _;
    StreamBody::new(bytes.map(|piece| piece.map(hyper::body::Frame::data))).boxed_unsync()
}

/// Returns an answer without a body.
pub fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(no_body());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    response
}

/// Returns a JSON document.
pub fn json(value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    set(&mut response, header::CONTENT_TYPE, "application/json");
    response
}

/// Sets a header; a value that is no header text is left out.
pub fn set(response: &mut Response<Body>, name: HeaderName, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        response.headers_mut().insert(name, value);
    }
}

/// A refusal with the codes of the specification.
#[derive(Debug)]
pub struct Failure {
    /// Status of the answer.
    pub status: StatusCode,
    /// `MANIFEST_UNKNOWN` and the like.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// For programs.
    pub detail: Option<Box<serde_json::Value>>,
    /// More headers.
    pub headers: Vec<(HeaderName, String)>,
    /// What only the log says.
    pub log: Option<String>,
}

impl Failure {
    /// Returns a refusal.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None, headers: Vec::new(), log: None }
    }

    /// Adds the detail.
    #[must_use]
    pub fn detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = Some(Box::new(detail));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn manifest_unknown(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", format!("manifest unknown: {what}"))
    }

    pub fn manifest_invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", why)
    }

    pub fn blob_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry")
    }

    pub fn name_unknown(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "repository name not known to registry")
            .detail(serde_json::json!({ "name": name }))
    }

    pub fn upload_unknown() -> Self {
        Self::new(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
    }

    pub fn digest_invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", why)
    }

    pub fn unsupported(why: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", why)
    }

    /// Returns the answer.
    pub fn response(&self) -> Response<Body> {
        let mut error = serde_json::json!({ "code": self.code, "message": self.message });
        if let Some(detail) = &self.detail {
            error["detail"] = (**detail).clone();
        }
        let mut response = json(&serde_json::json!({ "errors": [error] }));
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            set(&mut response, name.clone(), value);
        }
        if let Some(text) = &self.log {
            response.extensions_mut().insert(LogText(text.clone()));
        }
        response
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NoSession => Self::upload_unknown(),
            StorageError::OutOfOrder { .. } => {
                Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", error.to_string())
            }
            StorageError::Mismatch { .. } => {
                Self::digest_invalid(format!("provided digest did not match uploaded content: {error}"))
            }
            StorageError::Interrupted(why) => Self::new(
                StatusCode::BAD_REQUEST,
                "BLOB_UPLOAD_INVALID",
                format!("the upload was interrupted: {why}"),
            ),
            StorageError::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", error.to_string())
            }
            // Names of files are no business of clients; the log has them.
            other => {
                let failure =
                    Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the registry's storage failed");
                Self { log: Some(chain(&other)), ..failure }
            }
        }
    }
}

/// What only the log says of an answer.
#[derive(Debug, Clone)]
pub struct LogText(pub String);
