//! Debian's `docker-registry` on a free port, with or without password, TLS and an upstream; gone when dropped.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{free_port, wait_until};

/// What a registry is started with.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// The address to listen on; its port is chosen.
    pub host: String,
    /// A file of names and bcrypt hashes.
    pub htpasswd: Option<PathBuf>,
    /// Certificate and key.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The registry whose mirror it is.
    pub upstream: Option<String>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), htpasswd: None, tls: None, upstream: None }
    }
}

/// A running registry.
pub struct DebianRegistry {
    child: Child,
    /// Host and port.
    pub address: String,
    dir: tempfile::TempDir,
}

impl DebianRegistry {
    /// Starts one without password and TLS.
    pub fn start() -> Self {
        Self::start_with(&RegistryOptions::default())
    }

    /// Starts one and waits until it answers.
    pub fn start_with(options: &RegistryOptions) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let address = format!("{}:{}", options.host, free_port());
        let config = dir.path().join("config.yml");
        std::fs::write(&config, text(options, &address, &dir.path().join("data"))).expect("written");
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor"))
            .stderr(log)
            .spawn()
            .expect("docker-registry is installed (scripts/packages test)");
        wait_until("the registry answers", Duration::from_secs(60), || TcpStream::connect(&address).is_ok());
        Self { child, address, dir }
    }

    /// Returns what it logged so far: a line a request.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Returns the folder of its blobs and repositories.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

impl Drop for DebianRegistry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the configuration file.
fn text(options: &RegistryOptions, address: &str, data: &Path) -> String {
    let mut text = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n",
        data.display()
    );
    if let Some((certificate, key)) = &options.tls {
        let (certificate, key) = (certificate.display(), key.display());
        text.push_str(&format!("  tls:\n    certificate: {certificate}\n    key: {key}\n"));
    }
    if let Some(file) = &options.htpasswd {
        text.push_str(&format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", file.display()));
    }
    if let Some(upstream) = &options.upstream {
        text.push_str(&format!("proxy:\n  remoteurl: {upstream}\n"));
    }
    text
}
