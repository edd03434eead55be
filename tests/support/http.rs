//! A web server of a test's own: bodies with validators, redirects, broken connections, folders.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What one path answers.
#[derive(Default, Clone)]
pub struct Page {
    /// The bytes.
    pub body: Vec<u8>,
    /// Its `ETag`; a request that knows it is answered with 304.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub modified: Option<String>,
    /// The connection breaks after so many bytes, once.
    pub break_at: Option<usize>,
    /// The answer points here instead.
    pub redirect: Option<String>,
}

#[derive(Default)]
struct State {
    pages: HashMap<String, Page>,
    folders: Vec<(String, PathBuf)>,
    log: Vec<Request>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its path with the query.
    pub path: String,
    /// Its head, lowered.
    pub head: String,
    /// The status of the answer.
    pub status: u16,
}

/// A server on a free port; it ends with the test's process.
pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Starts a server without pages.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { url, state }
    }

    /// Puts a page in place of the one that was there.
    pub fn page(&self, path: &str, page: Page) {
        self.state.lock().unwrap().pages.insert(path.to_owned(), page);
    }

    /// Puts a body without validators.
    pub fn body(&self, path: &str, body: impl Into<Vec<u8>>) {
        self.page(path, Page { body: body.into(), ..Page::default() });
    }

    /// Serves the files of a folder below a path.
    pub fn folder(&self, prefix: &str, folder: impl Into<PathBuf>) {
        self.state.lock().unwrap().folders.push((prefix.to_owned(), folder.into()));
    }

    /// Returns the requests so far and forgets them.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().log)
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
    let mut head = String::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line == "\r\n" => break,
            Ok(_) => head.push_str(&line),
        }
    }
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let page = find(&path, state);
    let (status, bytes) = answer(&head.to_lowercase(), page.as_ref());
    {
        let mut state = state.lock().unwrap();
        state.log.push(Request { path: path.clone(), head: head.to_lowercase(), status });
        let plain = path.split('?').next().unwrap_or(&path);
        if let Some(page) = state.pages.get_mut(plain).filter(|_| status == 200) {
            page.break_at = None;
        }
    }
    let mut stream = stream;
    let _ = stream.write_all(&bytes);
}

fn find(path: &str, state: &Mutex<State>) -> Option<Page> {
    let state = state.lock().unwrap();
    let plain = path.split('?').next().unwrap_or(path);
    if let Some(page) = state.pages.get(path).or_else(|| state.pages.get(plain)) {
        return Some(page.clone());
    }
    let inside = |(prefix, folder): &(String, PathBuf)| {
        let rest = plain.strip_prefix(prefix.as_str())?;
        let body = std::fs::read(folder.join(rest.trim_start_matches('/'))).ok()?;
        Some(Page { body, ..Page::default() })
    };
    state.folders.iter().find_map(inside)
}

/// Returns the status and the whole answer.
fn answer(head: &str, page: Option<&Page>) -> (u16, Vec<u8>) {
    let header = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(|v| v.trim().to_owned())
    };
    let Some(page) = page else {
        return (404, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec());
    };
    let mut fields = String::new();
    if let Some(to) = &page.redirect {
        fields.push_str(&format!("Location: {to}\r\n"));
        return (302, whole("302 Found", &fields, b"", 0));
    }
    for (name, value) in [("ETag", &page.etag), ("Last-Modified", &page.modified)] {
        if let Some(value) = value {
            fields.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let same = |name: &str, value: &Option<String>| {
        value.as_ref().is_some_and(|value| header(name).is_some_and(|sent| sent == value.to_lowercase()))
    };
    if same("if-none-match", &page.etag) || same("if-modified-since", &page.modified) {
        return (304, whole("304 Not Modified", &fields, b"", 0));
    }
    let start =
        header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let fresh =
        header("if-range").is_none() || same("if-range", &page.etag) || same("if-range", &page.modified);
    if let Some(start) = start.filter(|_| fresh) {
        let rest: &[u8] = &page.body[start..];
        fields.push_str(&format!(
            "Content-Range: bytes {start}-{}/{}\r\n",
            page.body.len() - 1,
            page.body.len()
        ));
        return (206, whole("206 Partial Content", &fields, rest, rest.len()));
    }
    let sent = page.break_at.unwrap_or(page.body.len()).min(page.body.len());
    (200, whole("200 OK", &fields, &page.body[..sent], page.body.len()))
}

fn whole(status: &str, fields: &str, body: &[u8], length: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}
