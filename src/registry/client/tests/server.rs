//! A server that does exactly what a test tells it, down to the bytes of its answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What the server does with a request.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes of the body that are really sent before the connection breaks.
    pub cut: Option<usize>,
    /// Wait between single bytes.
    pub drip: Option<Duration>,
    /// Nothing is ever answered.
    pub hang: bool,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub fn errors(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status).body(body.to_string())
    }

    pub fn cut(mut self, after: usize) -> Self {
        self.cut = Some(after);
        self
    }
}

type Handler = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

/// A server on loopback; it ends with the value.
pub struct Server {
    /// `127.0.0.1:PORT`
    pub host: String,
    pub log: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts a server; the handler gets each request and its number, from 0.
    pub async fn start(handler: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(|_| handler).await
    }

    /// The same for a handler that needs to know where it is reached.
    pub async fn start_with<H: Fn(&Asked, usize) -> Reply + Send + Sync + 'static>(
        make: impl FnOnce(String) -> H,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let handler: Arc<Handler> = Arc::new(make(host.clone()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&log);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&handler), Arc::clone(&kept)));
            }
        });
        Self { host, log, task }
    }

    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(Asked::line).collect()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, handler: Arc<Handler>, log: Arc<Mutex<Vec<Asked>>>) {
    stream.set_nodelay(true).unwrap();
    while let Some(asked) = read(&mut stream).await {
        let number = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        let reply = handler(&asked, number);
        if reply.hang {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return;
        }
        if !answer(&mut stream, &asked, &reply).await {
            return;
        }
    }
}

async fn answer(stream: &mut TcpStream, asked: &Asked, reply: &Reply) -> bool {
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head.push_str(&format!("content-length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    if stream.write_all(head.as_bytes()).await.is_err() {
        return false;
    }
    if asked.method == "HEAD" {
        return true;
    }
    let body = &reply.body[..reply.cut.unwrap_or(reply.body.len()).min(reply.body.len())];
    if let Some(wait) = reply.drip {
        for byte in body {
            tokio::time::sleep(wait).await;
            if stream.write_all(&[*byte]).await.is_err() {
                return false;
            }
        }
        return true;
    }
    stream.write_all(body).await.is_ok() && reply.cut.is_none()
}

/// Reads a request; none when the connection ends or is no HTTP, such as a TLS greeting.
async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.ok()?;
        if head.is_empty() && !byte.is_ascii_uppercase() {
            return None;
        }
        head.push(byte);
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|v| v == "chunked") {
        loop {
            let mut line = String::new();
            while !line.ends_with("\r\n") {
                line.push(char::from(stream.read_u8().await.ok()?));
            }
            let length = usize::from_str_radix(line.trim(), 16).ok()?;
            let mut piece = vec![0; length + 2];
            stream.read_exact(&mut piece).await.ok()?;
            if length == 0 {
                break;
            }
            body.extend_from_slice(&piece[..length]);
        }
    } else {
        body = vec![0; headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0)];
        stream.read_exact(&mut body).await.ok()?;
    }
    Some(Asked { method, target, headers, body })
}
