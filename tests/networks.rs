//! Containers' networks, on a host of the test's own: a network namespace that nothing else uses.

mod support;

use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use support::{Ran, TestEnv, is_root, wait_until};

/// How long anything may take on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// A host of a test's own, and another one on a wire with it.
struct Host {
    env: TestEnv,
    name: String,
    other: String,
}

static HOSTS: AtomicU32 = AtomicU32::new(0);

fn ip(args: &str) {
    let done = Command::new("ip").args(args.split_whitespace()).output().expect("ip starts");
    assert!(done.status.success(), "ip {args}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Host {
    /// Makes both hosts: 10.99.0.1 and fd99::1 are the containers' host, 10.99.0.2 and fd99::2 the other.
    #[allow(clippy::print_stderr, reason = "a skipped test says why")]
    fn new() -> Option<Self> {
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

    fn inside(host: &str, command: &Command) -> Command {
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
    fn skiff(&self, args: &[&str]) -> Command {
        Self::inside(&self.name, &self.env.skiff(args))
    }

    fn run(&self, args: &[&str]) -> Ran {
        let Output { status, stdout, stderr } = self.skiff(args).output().expect("the binary starts");
        Ran {
            args: args.iter().map(ToString::to_string).collect(),
            code: status.code(),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        self.run(args).success().stdout
    }

    /// Runs a shell command on one of the hosts.
    fn shell(host: &str, script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let done = Self::inside(host, &command).output().expect("a shell starts");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn here(&self, script: &str) -> String {
        Self::shell(&self.name, script)
    }

    /// Starts a container that answers `hello NAME` on port 80.
    #[track_caller]
    fn web(&self, name: &str, flags: &[&str]) {
        let script = format!("mkdir /w; echo hello {name} > /w/index.html; exec httpd -f -p 80 -h /w");
        let head = ["run", "-d", "--name", name];
        self.ok(&[&head[..], flags, &["busybox", "sh", "-c", &script]].concat());
    }

    /// Asks for a page until it comes.
    #[track_caller]
    fn page(host: &str, url: &str, expected: &str) {
        let script = format!("curl -sg --max-time 5 {url}");
        wait_until(&format!("{expected:?} from {url}"), LONG, || Self::shell(host, &script) == expected);
    }

    fn interfaces(&self) -> usize {
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

#[test]
fn containers_have_addresses_on_a_bridge() {
    let Some(host) = Host::new() else { return };
    let shown = host.ok(&["run", "--rm", "busybox", "ip", "-4", "addr", "show", "eth0"]);
    assert!(shown.contains("inet 172.17.0.2/16"), "{shown}");
    let bridge = host.here("ip -4 -o addr show | grep 172.17");
    assert!(bridge.contains("172.17.0.1/16"), "{bridge}");
    let before = host.interfaces();
    for name in ["one", "two"] {
        host.ok(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]);
    }
    assert_eq!(host.interfaces(), before + 2, "each has one end of a pair here");
    let second =
        "ip -4 -o addr show dev eth0; ip route; ping -c 1 -W 5 172.17.0.1 && ping -c 1 -W 5 172.17.0.2";
    let shown = host.ok(&["run", "--rm", "busybox", "sh", "-c", second]);
    assert!(shown.contains("172.17.0.4/16") && shown.contains("default via 172.17.0.1"), "{shown}");
    assert_eq!(shown.matches("1 packets received").count(), 2, "{shown}");
    host.ok(&["rm", "-f", "one", "two"]);
    assert_eq!(host.interfaces(), before);
}

#[test]
fn containers_reach_other_hosts_through_their_own() {
    let Some(host) = Host::new() else { return };
    let files = host.env.write("served/index.html", "from outside\n");
    let files = files.parent().expect("a folder").to_str().expect("a plain path").to_owned();
    let mut command = Command::new("busybox");
    command.args(["httpd", "-f", "-p", "8000", "-h", &files]);
    let mut serving = Host::inside(&host.other, &command).spawn().expect("busybox starts");
    Host::page(&host.name, "http://10.99.0.2:8000/", "from outside\n");
    let ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 20 10.99.0.2 8000";
    let asked = host.run(&["run", "--rm", "busybox", "sh", "-c", ask]);
    let alone = host.run(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", ask]);
    serving.kill().expect("it runs");
    serving.wait().expect("it is a child");
    let answer = asked.success().stdout;
    assert!(answer.ends_with("from outside\n"), "{answer}");
    alone.fails_with(1);
}

#[test]
fn published_ports_lead_to_containers() {
    let Some(host) = Host::new() else { return };
    host.web("web", &["-p", "8080:80"]);
    for url in
        ["http://127.0.0.1:8080/", "http://[::1]:8080/", "http://10.99.0.1:8080/", "http://[fd99::1]:8080/"]
    {
        Host::page(&host.name, url, "hello web\n");
    }
    for url in ["http://10.99.0.1:8080/", "http://[fd99::1]:8080/"] {
        Host::page(&host.other, url, "hello web\n");
    }
    let ports = host.ok(&["ps", "--format", "{{.Ports}}"]);
    assert_eq!(ports, "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp\n");
    let taken = host.run(&["run", "--name", "late", "-p", "8080:80", "busybox"]).fails_with(125);
    assert!(
        taken.stderr.contains("Bind for 0.0.0.0:8080 failed: port is already allocated"),
        "{}",
        taken.stderr
    );
    assert_eq!(host.ok(&["ps", "-a", "--filter", "name=late", "--format", "{{.Status}}"]), "Created\n");
    host.ok(&["rm", "-f", "web"]);
    let rules = host.here("nft list ruleset");
    assert!(!rules.contains("8080"), "{rules}");
    let found = Host::shell(&host.other, "curl -s --max-time 5 http://10.99.0.1:8080/; echo $?");
    assert_eq!(found, "7\n", "nobody listens any more");
}
