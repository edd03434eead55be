//! One HTTP GET into a temporary file: sources of `ADD`, contexts and Dockerfiles by URL.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Once;

use sha2::{Digest as _, Sha256};

use super::error::ContextError;
use super::path::show;
use super::spool;
use super::tree::{Attributes, Child, Node, NodeKind, Tree};
use crate::fs::Root;
use crate::image::Digest;
use crate::layers::Mtime;
use crate::progress::{Event, Reporter, TransferId};

/// Progress is reported each time so many more bytes are there.
const REPORT_EVERY: u64 = 256 << 10;

/// What a download may use besides its URL.
pub struct DownloadOptions<'a> {
    /// Digest that the body must have.
    pub checksum: Option<Digest>,
    /// Returns the build secret of a name, e.g. `HTTP_AUTH_TOKEN_example.com`.
    pub secret: &'a (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    /// Receives the progress.
    pub reporter: &'a dyn Reporter,
    /// Under which number.
    pub transfer: TransferId,
    /// Directory for the temporary file.
    pub spool: &'a Root,
}

/// A body on disk, and what its server said of it. As a tree it is one file, mode 0600, owned by root.
#[derive(Debug)]
pub struct Download {
    url: String,
    file: File,
    name: Vec<u8>,
    node: Node,
    /// SHA-256 of the body.
    pub digest: Digest,
    /// `ETag`, as sent.
    pub etag: Option<String>,
    /// `Last-Modified`, as sent.
    pub last_modified: Option<String>,
}

impl Download {
    /// Returns the name that the file has as a source of `ADD`.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Returns the number of bytes.
    pub fn size(&self) -> u64 {
        self.node.size
    }

    /// Returns the time of the last change that the server told; the epoch if none.
    pub fn modified(&self) -> Mtime {
        self.node.mtime
    }

    /// Returns a reader over the body.
    pub fn body(&self) -> Result<File, ContextError> {
        let mut file = self.file.try_clone().map_err(ContextError::Spool)?;
        file.rewind().map_err(ContextError::Spool)?;
        Ok(file)
    }
}

/// Returns the name of what a URL points to: its last segment, decoded; `__unnamed__` if it has none.
pub fn url_file_name(url: &str) -> String {
    let parsed = url::Url::parse(url).ok();
    let segments = parsed.as_ref().and_then(url::Url::path_segments);
    let last = segments.and_then(|mut s| s.rfind(|part| !part.is_empty()).map(decode_percent));
    match last.as_deref().and_then(|name| name.rsplit('/').next()) {
        None | Some("" | "." | "..") => "__unnamed__".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn decode_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Downloads a URL, redirects followed, hashing on the way.
///
/// # Errors
/// The server can't be reached, answers 400 or above (`invalid response status N`), the body ends
/// early or is not what the checksum names (`digest mismatch`), or the disk is full.
pub fn download(url: &str, options: &DownloadOptions<'_>) -> Result<Download, ContextError> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Someone else may have installed one already; then that one serves.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ContextError::Spool)?;
    runtime.block_on(get(url, options))
}

async fn get(url: &str, options: &DownloadOptions<'_>) -> Result<Download, ContextError> {
    let shown = redacted(url);
    let fail =
        |source: reqwest::Error| ContextError::Http { url: shown.clone(), source: source.without_url() };
    let client = reqwest::Client::builder()
        .user_agent(concat!("skiff/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(std::time::Duration::from_secs(30))
        .read_timeout(std::time::Duration::from_secs(120))
        .build()
        .map_err(fail)?;
    let mut request = client.get(url);
    if let Some(value) = authorization(url, options.secret) {
        request = request.header(reqwest::header::AUTHORIZATION, value);
    }
    let mut response = request.send().await.map_err(fail)?;
    let status = response.status().as_u16();
    if status >= 400 {
        return Err(ContextError::Status { url: shown, status });
    }
    let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (etag, last_modified) = (header(reqwest::header::ETAG), header(reqwest::header::LAST_MODIFIED));
    let (id, label, total) = (options.transfer, url_file_name(url), response.content_length());
    options.reporter.report(Event::TransferStarted { id, label, total });
    let body = receive(&mut response, options).await.map_err(|error| match error {
        Broken::Http(source) => fail(source),
        Broken::Disk(source) => ContextError::Spool(source),
    });
    options.reporter.report(Event::TransferDone { id, skipped: false });
    let (file, size, hasher) = body?;
    let digest = Digest::from_bytes(hasher.finalize().into());
    if let Some(expected) = options.checksum.filter(|expected| *expected != digest) {
        return Err(ContextError::Digest { url: shown, found: digest, expected });
    }
    let mtime = last_modified.as_deref().and_then(http_date).unwrap_or_default();
    let node = Node {
        kind: NodeKind::File,
        mode: 0o600,
        uid: 0,
        gid: 0,
        size,
        mtime,
        device: (0, 0),
        link_group: None,
        stamp: (0, 0, 0),
    };
    let name = url_file_name(url).into_bytes();
    Ok(Download { url: shown, file, name, node, digest, etag, last_modified })
}

/// Why a body did not arrive.
enum Broken {
    Http(reqwest::Error),
    Disk(io::Error),
}

/// Writes the body to a temporary file; returns it with its size and the hash so far.
async fn receive(
    response: &mut reqwest::Response,
    options: &DownloadOptions<'_>,
) -> Result<(File, u64, Sha256), Broken> {
    let file = spool::unnamed(options.spool);
    let mut file = file.map_err(|error| Broken::Disk(io::Error::other(error)))?;
    let mut hasher = Sha256::new();
    let (mut size, mut reported) = (0, 0);
    let report = |done| options.reporter.report(Event::TransferProgress { id: options.transfer, done });
    while let Some(chunk) = response.chunk().await.map_err(Broken::Http)? {
        file.write_all(&chunk).map_err(Broken::Disk)?;
        hasher.update(&chunk);
        size += chunk.len() as u64;
        if size - reported >= REPORT_EVERY {
            reported = size;
            report(size);
        }
    }
    report(size);
    Ok((file, size, hasher))
}

/// Returns the credentials of the URL's host from the build's secrets.
fn authorization(
    url: &str,
    secret: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Option<reqwest::header::HeaderValue> {
    let url = url::Url::parse(url).ok()?;
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str()?),
        None => url.host_str()?.to_owned(),
    };
    let value = match secret(&format!("HTTP_AUTH_HEADER_{host}")) {
        Some(header) => header,
        None => [b"Bearer ", secret(&format!("HTTP_AUTH_TOKEN_{host}"))?.as_slice()].concat(),
    };
    let mut value = reqwest::header::HeaderValue::from_bytes(value.trim_ascii()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns the URL without user, password and query, for errors.
fn redacted(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return "an invalid URL".to_owned() };
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    if parsed.query().is_some() {
        parsed.set_query(Some("..."));
    }
    parsed.to_string()
}

/// Reads an HTTP date (RFC 9110, section 5.6.7).
fn http_date(text: &str) -> Option<Mtime> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Mtime { seconds: zoned.timestamp().as_second(), nanos: 0 })
}

impl Tree for Download {
    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.url)
    }

    fn stat(&self, path: &[u8]) -> Result<Option<Node>, ContextError> {
        if path.is_empty() {
            return Ok(Some(Node { kind: NodeKind::Directory, mode: 0o755, size: 0, ..self.node.clone() }));
        }
        Ok((path == self.name).then(|| self.node.clone()))
    }

    fn list(&self, dir: &[u8]) -> Result<Vec<Child>, ContextError> {
        let child = Child { name: self.name.clone(), node: self.node.clone() };
        Ok(if dir.is_empty() { vec![child] } else { Vec::new() })
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, ContextError> {
        Err(ContextError::Changed { path: show(path) })
    }

    fn open(&self, _: &[u8], _: &Node) -> Result<Box<dyn Read + Send + '_>, ContextError> {
        Ok(Box::new(Body { file: &self.file, at: 0 }))
    }

    fn xattrs(&self, _: &[u8], _: &Node) -> Result<Attributes, ContextError> {
        Ok(Vec::new())
    }
}

/// A file read without moving its position.
struct Body<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
