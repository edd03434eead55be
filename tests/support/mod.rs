//! What whole-binary tests share: a hermetic environment, base images, a peer engine, an image reader.
#![allow(dead_code, reason = "each test binary uses its own part of this folder")]

pub mod certificates;
pub mod clients;
pub mod conformance;
pub mod engine;
pub mod fake;
pub mod host;
pub mod http;
pub mod image;
pub mod peer;
pub mod proxy;
pub mod pty;
pub mod registry;
pub mod script;
pub mod serve;
pub mod user;
pub mod vendor;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// A store, a home and a working directory of one test's own.
pub struct TestEnv {
    dir: TempDir,
}

impl TestEnv {
    /// Makes an empty environment; it disappears with the value.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("skiff-test-").tempdir().expect("a temporary directory");
        for part in ["home", "work"] {
            fs::create_dir(dir.path().join(part)).expect("a fresh directory takes a folder");
        }
        Self { dir }
    }

    /// Returns the store's root.
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Returns the directory in which commands run.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// Returns a command for the built binary, with a clean environment and this store.
    pub fn skiff(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skiff"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path().join("home"))
            .env("SKIFF_ROOT", self.store())
            .env("TZ", "UTC")
            .current_dir(self.work())
            .stdin(Stdio::null())
            .args(args);
        command
    }

    /// Runs the binary and returns what it printed, whatever its exit code.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, &[])
    }

    /// Runs the binary with more variables in its environment.
    pub fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = self.skiff(args).envs(variables.iter().copied()).output();
        Ran::of(args, output.expect("the binary starts"))
    }

    /// Runs the binary, which must succeed, and returns its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).success().stdout
    }

    /// Writes a file below the working directory, with its folders.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(path);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folders can be made");
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Imports the busybox base image as `busybox:latest`.
    pub fn with_busybox(self) -> Self {
        self.import("busybox.tar", "busybox:latest", r#"CMD ["sh"]"#);
        self
    }

    /// Imports the Debian base image as `debian:bookworm` into an environment that is in use.
    pub fn import_debian(&self) {
        self.import("debian.tar", "debian:bookworm", r#"CMD ["bash"]"#);
    }

    /// Imports the Debian base image as `debian:bookworm`.
    pub fn with_debian(self) -> Self {
        self.import_debian();
        self
    }

    fn import(&self, tar: &str, name: &str, change: &str) {
        let tar = base(tar);
        self.ok(&["import", "--change", change, tar.to_str().expect("a plain path"), name]);
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        // What a test left running must not outlive its store.
        let left = self.store().join("containers").read_dir().map_or(0, Iterator::count);
        if left > 0 {
            let ids = self.run(&["ps", "-aq"]).stdout;
            let ids: Vec<&str> = ids.split_whitespace().collect();
            self.run(&[&["rm", "-f", "-v"][..], &ids].concat());
        }
        self.remove_bridges();
    }
}

impl TestEnv {
    /// Takes away what networks of this store left on the machine.
    fn remove_bridges(&self) {
        for network in self.store().join("networks").read_dir().into_iter().flatten().flatten() {
            let text = fs::read_to_string(network.path().join("config.json")).unwrap_or_default();
            let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            if let Some(bridge) = config["bridge"].as_str().filter(|name| !name.is_empty()) {
                let quiet = |program: &str, args: &[&str]| {
                    let _ = Command::new(program).args(args).stderr(Stdio::null()).status();
                };
                quiet("nft", &["delete", "table", "inet", &format!("skiff-{bridge}")]);
                quiet("ip", &["link", "del", bridge]);
            }
        }
    }
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// The arguments, for messages.
    pub args: Vec<String>,
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    fn of(args: &[&str], output: Output) -> Self {
        Self {
            args: args.iter().map(ToString::to_string).collect(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Returns itself if the command succeeded, otherwise fails the test with all it printed.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "{:?} failed\n{}{}", self.args, self.stdout, self.stderr);
        self
    }

    /// Returns itself if the command ended with `code`, otherwise fails the test with all it printed.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{:?} ended otherwise\n{}{}", self.args, self.stdout, self.stderr);
        self
    }
}

/// Returns the process that holds a container.
pub fn monitor_of(id: &str) -> u32 {
    let processes = fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        String::from_utf8_lossy(&words).contains(id).then_some(pid)
    });
    processes.min().expect("the container has a monitor")
}

/// Returns the repository's root.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns a base root file system, made by `scripts/bases` if it is not there.
pub fn base(name: &str) -> PathBuf {
    let dir =
        std::env::var_os("SKIFF_BASES").map_or_else(|| repository().join(".cache/bases"), PathBuf::from);
    let path = dir.join(name);
    if !path.exists() {
        static MAKING: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _guard = MAKING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let status = Command::new(repository().join("scripts/bases")).arg(&dir).status();
        assert!(
            status.is_ok_and(|s| s.success()) && path.exists(),
            "scripts/bases did not make {}",
            path.display()
        );
    }
    path
}

/// Returns a port of loopback on which nobody listens, and which nobody gets by chance: it is below those that the kernel
/// gives away, and this process gives it to one test alone.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + u16::try_from(number % 12_000).expect("it is small");
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// Returns a number of seconds that no other process sleeps, to know a process by.
pub fn own_seconds() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}{:02}", 1_000_000 + std::process::id() % 1_000_000, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Polls until `done` holds; fails the test after `limit`.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what} did not happen within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
