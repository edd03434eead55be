//! Network namespaces as machines: one where containers run, and another one on a wire with it.

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Ran, TestEnv, is_root, wait_until};

/// How long anything may take on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);

/// A host of a test's own, and another one on a wire with it.
pub struct Host {
    /// The store and its commands, outside of both hosts.
    pub env: TestEnv,
    /// The namespace of the containers' host.
    pub name: String,
    /// The other host's.
    pub other: String,
}

static HOSTS: AtomicU32 = AtomicU32::new(0);

fn ip(args: &str) {
    let done = Command::new("ip").args(args.split_whitespace()).output().expect("ip starts");
    assert!(done.status.success(), "ip {args}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Host {
    /// Makes both hosts: 10.99.0.1 and fd99::1 are the containers' host, 10.99.0.2 and fd99::2 the other.
    #[allow(clippy::print_stderr, reason = "a skipped test says why")]
    pub fn new() -> Option<Self> {
        if !is_root() {
            eprintln!("skipped: only root has bridges");
            return None;
        }
        let number = HOSTS.fetch_add(1, Ordering::Relaxed);
        let name = format!("skt{}-{number}", std::process::id());
        let other = format!("{name}o");
        for host in [&name, &other] {
            ip(&format!("netns add {host}"));
            ip(&format!("-n {host} link set lo up"));
        }
        ip(&format!("-n {name} link add wire type veth peer name wire netns {other}"));
        for (host, last) in [(&name, 1), (&other, 2)] {
            ip(&format!("-n {host} addr add 10.99.0.{last}/24 dev wire"));
            ip(&format!("-n {host} addr add fd99::{last}/64 dev wire nodad"));
            ip(&format!("-n {host} link set wire up"));
        }
        let host = Self { env: TestEnv::new().with_busybox(), name, other };
        Some(host)
    }

    /// Returns a command that runs on a host.
    pub fn inside(host: &str, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net=/run/netns/{host}")).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(key, value),
                None => inside.env_remove(key),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            inside.current_dir(dir);
        }
        inside.stdin(Stdio::null());
        inside
    }

    /// Returns a command for the binary on the host.
    pub fn skiff(&self, args: &[&str]) -> Command {
        Self::inside(&self.name, &self.env.skiff(args))
    }

    /// Runs the binary on the host.
    pub fn run(&self, args: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.skiff(args).output().expect("the binary starts");
        Ran {
            args: args.iter().map(ToString::to_string).collect(),
            code: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    /// Runs the binary on the host, which must succeed.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).success().stdout
    }

    /// Runs a shell command on one of the hosts.
    pub fn shell(host: &str, script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let done = Self::inside(host, &command).output().expect("a shell starts");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Runs a shell command on the containers' host.
    pub fn here(&self, script: &str) -> String {
        Self::shell(&self.name, script)
    }

    /// Starts a container that answers `hello NAME` on port 80.
    #[track_caller]
    pub fn web(&self, name: &str, flags: &[&str]) {
        let script = format!("mkdir /w; echo hello {name} > /w/index.html; exec httpd -f -p 80 -h /w");
        let head = ["run", "-d", "--name", name];
        self.ok(&[&head[..], flags, &["busybox", "sh", "-c", &script]].concat());
    }

    /// Makes a network and returns what was printed.
    #[track_caller]
    pub fn create(&self, args: &[&str]) -> String {
        self.ok(&[&["network", "create"][..], args].concat())
    }

    /// Runs a container that sleeps.
    #[track_caller]
    pub fn sleeper(&self, name: &str, flags: &[&str]) {
        self.ok(&[&["run", "-d", "--name", name][..], flags, &["busybox", "sleep", "1000"]].concat());
    }

    /// Runs a script in a container.
    #[track_caller]
    pub fn sh(&self, name: &str, script: &str) -> String {
        self.ok(&["exec", name, "sh", "-c", script])
    }

    /// Returns a script that asks a container's port 80 from inside another one, until it answers.
    pub fn fetch(address: &str) -> String {
        let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 20 {address} 80");
        format!("n=0; until {ask}; do n=$((n+1)); [ $n -lt 60 ] || exit 1; sleep 0.5; done")
    }

    /// Asks for a page until it comes.
    #[track_caller]
    pub fn page(host: &str, url: &str, expected: &str) {
        let script = format!("curl -sg --max-time 5 {url}");
        wait_until(&format!("{expected:?} from {url}"), LONG, || Self::shell(host, &script) == expected);
    }

    /// Asks for a page from here; nothing if nobody listens.
    pub fn ask(address: &str) -> String {
        use std::io::{Read as _, Write as _};
        let Ok(mut stream) = std::net::TcpStream::connect(address) else { return String::new() };
        let mut answer = String::new();
        let _ = stream.set_read_timeout(Some(LONG));
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n").and_then(|()| stream.read_to_string(&mut answer));
        answer
    }

    /// Counts the interfaces of the containers' host.
    pub fn interfaces(&self) -> usize {
        self.here("ip -o link").lines().count()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let ids = self.run(&["ps", "-aq"]).stdout;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            self.run(&[&["rm", "-f", "-v"][..], &ids].concat());
        }
        for host in [&self.name, &self.other] {
            let _ = Command::new("ip").args(["netns", "del", host]).status();
        }
    }
}
