//! A web server that does exactly what a test says, down to the bytes, delays and resets of its answers.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Returns a decoded value of the query.
    pub fn query(&self, name: &str) -> Option<String> {
        self.queries(name).into_iter().next()
    }

    /// Returns all decoded values of a name in the query.
    pub fn queries(&self, name: &str) -> Vec<String> {
        let text = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }

    /// Returns a decoded value of a form.
    pub fn form(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(&self.body);
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Returns where a `Range: bytes=N-` begins; 0 without one.
    pub fn from(&self) -> usize {
        let text = self.header("range").trim_start_matches("bytes=");
        text.split('-').next().and_then(|from| from.parse().ok()).unwrap_or(0)
    }
}

/// What the server does with a request.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes of the body that are really sent before the connection ends.
    pub cut: Option<usize>,
    /// Whether the connection then ends with a reset.
    pub reset: bool,
    /// Wait between pieces of so many bytes.
    pub drip: Option<(Duration, usize)>,
    /// Nothing more is ever sent behind the cut, or at all.
    pub hang: bool,
    /// The body is repeated as chunks without end.
    pub endless: bool,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub fn errors(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status).body(body.to_string())
    }

    pub fn json(body: &serde_json::Value) -> Self {
        Self::new(200).header("content-type", "application/json").body(body.to_string())
    }

    /// Ends the connection in the middle of the body.
    pub fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }

    /// Resets the connection in the middle of the body.
    pub fn reset(mut self, after: usize) -> Self {
        self.reset = true;
        self.cut(after)
    }

    /// Sends nothing more, and keeps the connection open.
    pub fn hang(mut self, after: usize) -> Self {
        self.hang = true;
        self.cut(after)
    }
}

type Handler = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

/// A server on loopback; its threads end with the test's process.
pub struct Script {
    /// `127.0.0.1:PORT`
    pub host: String,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Script {
    /// Starts a server; the handler gets each request and its number, from 0.
    pub fn start(handler: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(|_| handler)
    }

    /// The same for a handler that needs to know where it is reached.
    pub fn start_with<H: Fn(&Asked, usize) -> Reply + Send + Sync + 'static>(
        make: impl FnOnce(String) -> H,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let host = listener.local_addr().expect("it is bound").to_string();
        let handler: Arc<Handler> = Arc::new(make(host.clone()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (handler, log) = (Arc::clone(&handler), Arc::clone(&kept));
                std::thread::spawn(move || serve(stream, &*handler, &log));
            }
        });
        Self { host, log }
    }

    /// Returns the requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    /// Returns the requests so far and forgets them.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// Returns how many requests came whose line begins so.
    pub fn count(&self, start: &str) -> usize {
        self.asked().iter().filter(|asked| asked.line().starts_with(start)).count()
    }
}

fn serve(stream: TcpStream, handler: &Handler, log: &Mutex<Vec<Asked>>) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        let reply = handler(&asked, number);
        if !answer(reader.get_mut(), &asked, &reply) {
            if reply.reset {
                let zero = Some(Duration::ZERO);
                rustix::net::sockopt::set_socket_linger(reader.get_ref(), zero).expect("a socket");
            }
            return;
        }
    }
}

/// Sends a reply; tells whether the connection may go on.
fn answer(stream: &mut TcpStream, asked: &Asked, reply: &Reply) -> bool {
    if reply.status == 0 {
        return wait(stream, reply);
    }
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let given = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if reply.endless {
        head.push_str("transfer-encoding: chunked\r\n");
    } else if !given && reply.status != 204 {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    if stream.write_all(head.as_bytes()).is_err() {
        return false;
    }
    if asked.method == "HEAD" {
        return true;
    }
    if reply.endless {
        let chunk = [format!("{:x}\r\n", reply.body.len()).as_bytes(), &reply.body, b"\r\n"].concat();
        while stream.write_all(&chunk).is_ok() {}
        return false;
    }
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len()).min(reply.body.len())];
    let (pause, size) = reply.drip.unwrap_or((Duration::ZERO, usize::MAX));
    for piece in body.chunks(size.min(body.len().max(1))) {
        std::thread::sleep(pause);
        if stream.write_all(piece).is_err() {
            return false;
        }
    }
    if reply.cut.is_some() || reply.hang { wait(stream, reply) } else { true }
}

/// Keeps a connection that hangs until the other side gives up.
fn wait(stream: &mut TcpStream, reply: &Reply) -> bool {
    if reply.hang {
        let _ = std::io::copy(stream, &mut std::io::sink());
    }
    false
}

/// Reads a request; none when the connection ends or is no HTTP, such as a TLS greeting.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    if !reader.fill_buf().ok()?.first()?.is_ascii_uppercase() {
        return None;
    }
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|v| v == "chunked") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let length = usize::from_str_radix(line.trim(), 16).ok()?;
            let start = body.len();
            body.resize(start + length + 2, 0);
            reader.read_exact(&mut body[start..]).ok()?;
            body.truncate(start + length);
            if length == 0 {
                break;
            }
        }
    } else {
        body = vec![0; headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
    }
    Some(Asked { method, target, headers, body })
}
