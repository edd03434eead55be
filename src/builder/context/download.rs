//! One HTTP GET into a temporary file: sources of `ADD`, contexts and Dockerfiles by URL.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Once;
use std::time::Duration;

use super::checksum::{Checksum, Hashes};
use super::error::ContextError;
use super::http::{Answer, Get, Validators};
use super::spool;
use super::tree::{Attributes, Child, FileKind, Node, Tree};
use crate::builder::cancel::Cancel;
use crate::fs::Root;
use crate::image::Digest;
use crate::layers::Mtime;
use crate::paths::show;
use crate::progress::{Event, Reporter, TransferId};

/// Progress is reported each time so many more bytes are there.
const REPORT_EVERY: u64 = 256 << 10;

/// How often a download looks whether it is to stop.
pub(super) const CANCEL_PAUSE: Duration = Duration::from_millis(50);

/// What a download may use besides its URL.
pub struct DownloadOptions<'a> {
    /// Digest that the body must have.
    pub checksum: Option<Checksum>,
    /// Returns the build secret of a name, e.g. `HTTP_AUTH_TOKEN_example.com`.
    pub secret: &'a (dyn Fn(&str) -> Option<Vec<u8>> + Sync),
    /// Receives the progress.
    pub reporter: &'a dyn Reporter,
    /// Under which number.
    pub transfer: TransferId,
    /// Directory for the temporary file.
    pub spool: &'a Root,
    /// Stops it.
    pub cancel: Option<&'a Cancel>,
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
    /// What the server said, to ask again with.
    pub validators: Validators,
}

impl Download {
    /// Returns the name that the file has as a source of `ADD`.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Returns the tree with its file under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.as_bytes().to_vec();
        self
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
/// early again and again or is not what the checksum names (`digest mismatch`), or the disk is full.
pub fn download(url: &str, options: &DownloadOptions<'_>) -> Result<Download, ContextError> {
    let body = fetch(url, None, options)?;
    body.ok_or_else(|| ContextError::Status { url: super::http::redacted(url), status: 304 })
}

/// Downloads a URL unless it still has the body that `known` speaks of; none if it has.
///
/// # Errors
/// As [`download`].
pub fn revalidate(
    url: &str,
    known: &Validators,
    options: &DownloadOptions<'_>,
) -> Result<Option<Download>, ContextError> {
    fetch(url, Some(known).filter(|known| !known.is_empty()), options)
}

fn fetch(
    url: &str,
    known: Option<&Validators>,
    options: &DownloadOptions<'_>,
) -> Result<Option<Download>, ContextError> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Someone else may have installed one already; then that one serves.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ContextError::Spool)?;
    let Some(cancel) = options.cancel else { return runtime.block_on(get(url, known, options)) };
    runtime.block_on(async {
        let stopped = async {
            while !cancel.is_cancelled() {
                tokio::time::sleep(CANCEL_PAUSE).await;
            }
        };
        tokio::select! {
            done = get(url, known, options) => done,
            () = stopped => Err(ContextError::Cancelled),
        }
    })
}

async fn get(
    url: &str,
    known: Option<&Validators>,
    options: &DownloadOptions<'_>,
) -> Result<Option<Download>, ContextError> {
    let get = Get::new(url, options)?;
    let (response, validators) = match get.ask(known).await? {
        Answer::Unchanged => return Ok(None),
        Answer::Body(response, validators) => (response, validators),
    };
    let (id, label, total) = (options.transfer, url_file_name(url), response.content_length());
    options.reporter.report(Event::TransferStarted { id, label, total });
    let file = spool::unnamed(options.spool)?;
    let mut hashes = Hashes::new(options.checksum.as_ref());
    let mut reported = 0;
    let received = get.receive(response, &validators, |place, bytes| {
        if place == 0 {
            hashes = Hashes::new(options.checksum.as_ref());
            file.set_len(0)?;
            (&file).rewind()?;
            reported = 0;
        }
        (&file).write_all(bytes)?;
        hashes.update(bytes);
        let done = place + bytes.len() as u64;
        if done - reported >= REPORT_EVERY {
            reported = done;
            options.reporter.report(Event::TransferProgress { id, done });
        }
        Ok(())
    });
    let received = received.await;
    if let Ok(done) = received {
        options.reporter.report(Event::TransferProgress { id, done });
    }
    options.reporter.report(Event::TransferDone { id, skipped: false });
    let size = received?;
    let (digest, compared) = hashes.finish();
    let url_shown = get.shown().to_owned();
    if let Some(expected) = options.checksum.as_ref().map(ToString::to_string).filter(|sum| *sum != compared)
    {
        return Err(ContextError::Digest { url: url_shown, found: compared, expected });
    }
    let mtime = validators.last_modified.as_deref().and_then(http_date).unwrap_or_default();
    let node = Node {
        kind: FileKind::File,
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
    Ok(Some(Download { url: url_shown, file, name, node, digest, validators }))
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
            return Ok(Some(Node { kind: FileKind::Directory, mode: 0o755, size: 0, ..self.node.clone() }));
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
