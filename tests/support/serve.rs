//! The built-in registry as a process, and a client that sends exactly what a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sha2::Digest as _;

use super::wait_until;

/// A running `skiff registry serve`; killed when dropped.
pub struct Serve {
    child: Child,
    /// Host and port.
    pub address: String,
    root: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
    log: PathBuf,
}

impl Serve {
    /// Starts one whose store is `root` on a free port.
    pub fn start(root: &Path, arguments: &[&str]) -> Self {
        Self::start_with(root, arguments, &[])
    }

    /// The same with variables in its environment.
    pub fn start_with(root: &Path, arguments: &[&str], variables: &[(&'static str, String)]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let log = root.with_extension("log");
        Self::launch(root.to_owned(), arguments, variables.to_vec(), "127.0.0.1:0", log)
    }

    fn launch(
        root: PathBuf,
        arguments: Vec<String>,
        variables: Vec<(&'static str, String)>,
        address: &str,
        log: PathBuf,
    ) -> Self {
        let file = std::fs::File::create(&log).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_skiff"))
            .env_remove("SKIFF_ROOT")
            .env("HOME", root.parent().expect("a folder"))
            .arg("--root")
            .arg(&root)
            .args(["registry", "serve", "--addr", address])
            .args(&arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .expect("the binary starts");
        let mut found = String::new();
        wait_until("the registry listens", Duration::from_secs(30), || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("listening on "));
            let address = line.and_then(|line| line.split("://").nth(1)?.split(',').next());
            found = address.unwrap_or_default().to_owned();
            !found.is_empty()
        });
        Self { child, address: found, root, arguments, variables, log }
    }

    /// Kills it without warning and starts it again at the same address.
    pub fn restart(self) -> Self {
        let (root, arguments, variables) =
            (self.root.clone(), self.arguments.clone(), self.variables.clone());
        let (address, log) = (self.address.clone(), self.log.clone());
        drop(self);
        Self::launch(root, arguments, variables, &address, log)
    }

    /// Returns what it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request with a body.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        let lengths = ["content-length", "transfer-encoding"];
        if !headers.iter().any(|(name, _)| lengths.contains(&name.to_lowercase().as_str())) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).expect("sent");
        // A server may answer and close before it has read a body that it refuses.
        let _ = stream.write_all(body);
        Answer::read(stream, method == "HEAD")
    }

    /// Sends a GET.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    /// Pushes a blob in one request and returns its digest.
    pub fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.send("POST", &path, &[], bytes).is(201);
        digest
    }

    /// Starts an upload and returns its location.
    pub fn begin(&self, repository: &str) -> String {
        self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"").is(202).header("location")
    }

    /// Puts a manifest under a reference.
    pub fn put_manifest(&self, repository: &str, reference: &str, kind: &str, text: &str) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.send("PUT", &path, &[("Content-Type", kind)], text.as_bytes())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Answer {
    fn read(stream: TcpStream, is_head: bool) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).expect("a status line");
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("headers");
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let mut body = Vec::new();
        if !is_head {
            let _ = reader.read_to_end(&mut body);
        }
        Self { status, headers, body }
    }

    /// Returns itself if it has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, String::from_utf8_lossy(&self.body));
        self
    }

    /// Returns itself if its error has this code.
    #[track_caller]
    pub fn says(self, code: &str) -> Self {
        assert_eq!(self.json()["errors"][0]["code"], code);
        self
    }

    /// Returns a header; empty if it is not there.
    pub fn header(&self, name: &str) -> String {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Returns all values of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// Returns `sha256:...` of bytes.
pub fn sha256(bytes: &[u8]) -> String {
    let digest: String = sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{digest}")
}

/// Returns `sha512:...` of bytes.
pub fn sha512(bytes: &[u8]) -> String {
    let digest: String = sha2::Sha512::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha512:{digest}")
}
