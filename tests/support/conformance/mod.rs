//! The registry under the distribution specification's requests: asked, judged, every difference kept.

pub mod blobs;
pub mod data;

use std::cell::{Cell, RefCell};

use serde_json::Value;

use super::TestEnv;
use super::serve::{Answer, Serve};

/// An image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The error codes of the specification, with the two that only its first versions have.
const CODES: [&str; 16] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "MANIFEST_UNVERIFIED",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "TAG_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

/// A registry and what it did otherwise than the specification says.
pub struct Suite {
    registry: Serve,
    _env: TestEnv,
    case: RefCell<String>,
    differences: RefCell<Vec<String>>,
    requests: Cell<usize>,
}

impl Suite {
    /// Starts a registry of its own.
    pub fn start(arguments: &[&str]) -> Self {
        let env = TestEnv::new();
        let registry = Serve::start(&env.store(), arguments);
        Self {
            registry,
            _env: env,
            case: RefCell::default(),
            differences: RefCell::default(),
            requests: Cell::new(0),
        }
    }

    /// Names what follows.
    pub fn case(&self, name: &str) {
        name.clone_into(&mut self.case.borrow_mut());
    }

    /// Keeps a difference.
    pub fn differ(&self, text: impl AsRef<str>) {
        self.differences.borrow_mut().push(format!("[{}] {}", self.case.borrow(), text.as_ref()));
    }

    /// Keeps a difference unless this holds.
    pub fn holds(&self, is_so: bool, text: impl AsRef<str>) {
        if !is_so {
            self.differ(text);
        }
    }

    /// Makes a request.
    pub fn ask(&self, method: &'static str, path: &str) -> Ask<'_> {
        let path = path.split_once("://").map_or(path, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
        Ask { suite: self, method, path: path.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// Makes a request for a manifest, as a client that knows images and indexes.
    pub fn ask_manifest(&self, method: &'static str, repository: &str, reference: &str) -> Ask<'_> {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.ask(method, &path).header("Accept", INDEX).header("Accept", MANIFEST)
    }

    /// Returns the tags of a repository; none if it is not there.
    pub fn tags(&self, repository: &str, query: &str) -> Vec<String> {
        let answer = self.ask("GET", &format!("/v2/{repository}/tags/list{query}")).send(&[200, 404]);
        if answer.answer.status == 404 {
            return Vec::new();
        }
        let list = answer.json();
        self.holds(list["name"] == repository, format!("the list of tags is of {}", list["name"]));
        let tags = list["tags"].as_array().cloned().unwrap_or_default();
        tags.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Takes over what another registry did otherwise.
    pub fn join(&self, other: Self) {
        self.requests.set(self.requests.get() + other.requests.get());
        self.differences.borrow_mut().append(&mut other.differences.borrow_mut());
    }

    /// Ends with a list of all differences.
    ///
    /// # Panics
    /// There is a difference.
    pub fn end(self) {
        let differences = self.differences.borrow();
        assert!(
            differences.is_empty(),
            "{} of {} answers differ:\n{}",
            differences.len(),
            self.requests.get(),
            differences.join("\n")
        );
    }
}

/// A request.
#[must_use]
pub struct Ask<'a> {
    suite: &'a Suite,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl<'a> Ask<'a> {
    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a query parameter, encoded as web forms are.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(&format!("{name}={}", encoded(value)));
        self
    }

    /// Sends bytes with their number before them.
    pub fn body(mut self, bytes: &[u8]) -> Self {
        self.body = bytes.to_vec();
        self
    }

    /// Sends bytes without saying how many, in two chunks.
    pub fn stream(mut self, bytes: &[u8]) -> Self {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        for chunk in [first, second].into_iter().filter(|chunk| !chunk.is_empty()) {
            self.body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            self.body.extend_from_slice(chunk);
            self.body.extend_from_slice(b"\r\n");
        }
        self.body.extend_from_slice(b"0\r\n\r\n");
        self.header("Transfer-Encoding", "chunked")
    }

    /// Sends it; any status but these is a difference, and an error without the specification's body is one.
    pub fn send(self, expected: &[u16]) -> Reply<'a> {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        self.suite.requests.set(self.suite.requests.get() + 1);
        let answer = self.suite.registry.send(self.method, &self.path, &headers, &self.body);
        let reply = Reply { suite: self.suite, what: format!("{} {}", self.method, self.path), answer };
        if !expected.contains(&reply.answer.status) {
            let body: String = String::from_utf8_lossy(&reply.answer.body).chars().take(300).collect();
            reply.differ(format!("status {}, not {expected:?}: {body}", reply.answer.status));
        } else if reply.answer.status >= 400 && self.method != "HEAD" {
            reply.check_error();
        }
        reply
    }
}

/// What came back.
pub struct Reply<'a> {
    suite: &'a Suite,
    what: String,
    /// The answer itself.
    pub answer: Answer,
}

impl Reply<'_> {
    fn differ(&self, text: impl AsRef<str>) {
        self.suite.differ(format!("{}: {}", self.what, text.as_ref()));
    }

    fn check_error(&self) {
        let body: Value = serde_json::from_slice(&self.answer.body).unwrap_or_default();
        let code = body["errors"][0]["code"].as_str();
        if !code.is_some_and(|code| CODES.contains(&code)) {
            self.differ(format!("the error {} has the code {code:?}", self.answer.status));
        }
    }

    /// Returns a header; empty if it is not there.
    pub fn header(&self, name: &str) -> String {
        self.answer.header(&name.to_lowercase())
    }

    /// Holds a header against a value.
    pub fn has(self, name: &str, value: impl AsRef<str>) -> Self {
        let found = self.header(name);
        if found != value.as_ref() {
            self.differ(format!("{name} is {found:?}, not {:?}", value.as_ref()));
        }
        self
    }

    /// Holds the bytes, and the number of them, against these.
    pub fn holds(self, bytes: &[u8]) -> Self {
        if self.answer.body != bytes {
            self.differ(format!("{} other bytes, not {}", self.answer.body.len(), bytes.len()));
        }
        self.has("Content-Length", bytes.len().to_string())
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.answer.body).unwrap_or_else(|error| {
            self.differ(format!("no JSON: {error}"));
            Value::Null
        })
    }

    /// Returns where an upload or what was pushed is.
    pub fn location(&self) -> Option<String> {
        let found = self.header("Location");
        if found.is_empty() {
            self.differ("no Location");
            return None;
        }
        Some(found)
    }
}

/// Encodes a query's value as Go's `url.Values` does.
fn encoded(text: &str) -> String {
    let keeps = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|b| if keeps(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
