//! The service of the Engine API, and its clients as bytes on a socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::TestEnv;

/// How long something may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A service on a socket in a test's environment; it ends with the value.
pub struct Engine {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Engine {
    /// Starts a service on a socket of its own and waits until it listens.
    pub fn start(env: &TestEnv) -> Self {
        Self::start_with(env, &[])
    }

    /// The same with further flags.
    pub fn start_with(env: &TestEnv, flags: &[&str]) -> Self {
        let socket = env.work().join("engine.sock");
        let host = format!("unix://{}", socket.display());
        Self::on(env, socket, &[&["system", "service", "-H", &host], flags].concat())
    }

    /// Starts a service by any words; it listens at `socket` among others.
    pub fn on(env: &TestEnv, socket: PathBuf, words: &[&str]) -> Self {
        Self::by(env.skiff(words), env, socket)
    }

    /// Starts a service on a host of a test's own.
    pub fn inside(host: &super::host::Host) -> Self {
        let socket = host.env.work().join("engine.sock");
        let words = format!("unix://{}", socket.display());
        Self::by(host.skiff(&["system", "service", "-H", &words]), &host.env, socket)
    }

    fn by(mut command: std::process::Command, env: &TestEnv, socket: PathBuf) -> Self {
        let log = env.work().join("engine.log");
        let file = std::fs::File::create(&log).expect("a file");
        let child = command.stdout(Stdio::null()).stderr(file).spawn().expect("the binary starts");
        let mut engine = Self { child, socket, log };
        let limit = Instant::now() + PATIENCE;
        while UnixStream::connect(&engine.socket).is_err() {
            let ended = engine.child.try_wait().expect("it can be asked");
            assert!(ended.is_none() && Instant::now() < limit, "no service: {}", engine.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        engine
    }

    /// Returns the socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the value of `DOCKER_HOST` that leads here.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Returns what the service has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the service ends by itself, and tells whether it succeeded.
    pub fn wait(&mut self) -> bool {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                return status.success();
            }
            assert!(Instant::now() < limit, "the service does not end: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Makes a request on a connection of its own, and reads the answer whole.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let stream = UnixStream::connect(&self.socket).expect("the service listens");
        Answer::read(ask(stream, method, path, headers, body, true))
    }

    /// `GET`s a path.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// `POST`s a value.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send("POST", path, &[("Content-Type", "application/json")], text.as_bytes())
    }

    /// `DELETE`s something.
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    /// Makes a request and returns the connection behind the head of its answer, with that head.
    pub fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (String, BufReader<UnixStream>) {
        let stream = UnixStream::connect(&self.socket).expect("the service listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut reader = BufReader::new(ask(stream, method, path, headers, body, false));
        (read_head(&mut reader), reader)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        let limit = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > limit {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Writes a request; `alone` says that the connection ends with its answer.
fn ask<S: Write>(
    mut stream: S,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    alone: bool,
) -> S {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if alone {
        head.push_str("Connection: close\r\n");
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).expect("the service reads");
    stream.write_all(body).expect("the service reads");
    stream
}

fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let count = reader.read_line(&mut head).expect("an answer");
        assert!(count > 0, "the connection ended in the head: {head}");
    }
    head
}

/// An answer that was read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head, as it came.
    pub head: String,
    /// What came behind it, without the marks of its pieces.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads until the connection ends.
    pub fn read(stream: impl Read) -> Self {
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader);
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).expect("an answer");
        let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if chunked { pieces(&bytes) } else { bytes };
        Self { status, head, body }
    }

    /// Returns the answer, whose status has to be this one.
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}{}", self.head, self.text());
        self
    }

    /// Returns a header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fits = |line: &&str| line.split(':').next().is_some_and(|key| key.eq_ignore_ascii_case(name));
        self.head.lines().find(fits).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// Returns the body as one value a line.
    pub fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// Returns the `message` of a failure.
    pub fn message(&self) -> String {
        self.json()["message"].as_str().expect("a message").to_owned()
    }
}

/// Puts the pieces of a chunked body together.
fn pieces(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a piece has a length");
        let length = std::str::from_utf8(&bytes[..end]).expect("a number");
        let length = usize::from_str_radix(length, 16).expect("a number");
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 4 + length..];
    }
}
