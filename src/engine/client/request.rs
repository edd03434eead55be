//! A request, built step by step.

use std::io::Read;

use serde_json::Value;

/// What is sent along.
pub(super) enum Content {
    Nothing,
    Bytes(Vec<u8>),
    Stream(Box<dyn Read + Send>),
}

/// A request to an engine; its path is the one without the version.
pub struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content: Content,
}

impl Request {
    fn new(method: &'static str, path: impl Into<String>) -> Self {
        let (path, content) = (path.into(), Content::Nothing);
        Self { method, path, query: Vec::new(), headers: Vec::new(), content }
    }

    /// Reads something.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// Reads only the headers.
    pub fn head(path: impl Into<String>) -> Self {
        Self::new("HEAD", path)
    }

    /// Does something.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new("POST", path)
    }

    /// Puts something there.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new("PUT", path)
    }

    /// Removes something.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new("DELETE", path)
    }

    /// Adds a parameter.
    #[must_use]
    pub fn query(mut self, key: &str, value: impl Into<String>) -> Self {
        self.query.push((key.to_owned(), value.into()));
        self
    }

    /// Adds a parameter that is set or left out.
    #[must_use]
    pub fn flag(self, key: &str, set: bool) -> Self {
        if set { self.query(key, "1") } else { self }
    }

    /// Adds a parameter where there is a value.
    #[must_use]
    pub fn maybe(self, key: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sends a document.
    #[must_use]
    pub fn json(mut self, value: &Value) -> Self {
        self.content = Content::Bytes(value.to_string().into_bytes());
        self.header("Content-Type", "application/json")
    }

    /// Sends bytes while they are read.
    #[must_use]
    pub fn stream(mut self, from: Box<dyn Read + Send>, kind: &str) -> Self {
        self.content = Content::Stream(from);
        self.header("Content-Type", kind)
    }

    /// The path with the version before it and the parameters behind it.
    pub(super) fn target(&self, version: Option<&str>) -> String {
        let mut target = version.map_or(String::new(), |version| format!("/v{version}"));
        target.push_str(&self.path);
        if !self.query.is_empty() {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.extend_pairs(&self.query);
            target.push('?');
            target.push_str(&query.finish());
        }
        target
    }
}

/// Returns a name as a part of a path; slashes and colons of images stay.
pub fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@+".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_escaped() {
        let request = Request::get(format!("/images/{}/json", segment("r:5/a b?c#é%")))
            .query("filters", "{\"a\":[\"b c\"]}")
            .flag("all", true)
            .flag("size", false)
            .maybe("t", Some("a&b"))
            .maybe("u", None::<String>);
        assert_eq!(
            request.target(Some("1.44")),
            "/v1.44/images/r:5/a%20b%3Fc%23%C3%A9%25/json?filters=%7B%22a%22%3A%5B%22b+c%22%5D%7D&all=1&t=a%26b"
        );
        assert_eq!(Request::head("/_ping").target(None), "/_ping");
    }
}
