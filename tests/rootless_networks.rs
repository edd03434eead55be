//! Networks that an ordinary user's containers have in common: names, addresses, ports, and what stays of them.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use support::user::User;
use support::wait_until;

const LONG: Duration = Duration::from_secs(30);

/// What serves its own name at port 80.
const SERVE: &str = "mkdir /w; hostname > /w/index.html; exec httpd -f -p 80 -h /w";

/// A user whose containers end with it, after which no process of theirs is left.
struct Guest(User);

impl Guest {
    #[allow(clippy::print_stderr, reason = "a skipped test says why")]
    fn new(subordinate: bool) -> Option<Self> {
        if !std::path::Path::new("/dev/net/tun").exists() {
            eprintln!("skipped: there is no /dev/net/tun");
            return None;
        }
        let user = User::new(subordinate)?;
        user.ok(&["import", "--change", "CMD [\"sh\"]", &user.file("busybox.tar"), "busybox"]);
        Some(Self(user))
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        self.0.ok(args)
    }

    /// Starts a container that serves its host name, which is its own.
    #[track_caller]
    fn serve(&self, name: &str, args: &[&str]) {
        let first = ["run", "-d", "--name", name, "--hostname", name];
        self.ok(&[&first[..], args, &["busybox", "sh", "-c", SERVE]].concat());
    }

    /// What a container of the user's hears from another one.
    fn asks(&self, container: &str, address: &str) -> String {
        let output = self.0.run(&["exec", container, "wget", "-qO-", &format!("http://{address}/")]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    fn hears(&self, container: &str, address: &str, expected: &str) {
        wait_until(&format!("{container} hears {address}"), LONG, || {
            self.asks(container, address) == format!("{expected}\n")
        });
    }

    fn inspect(&self, container: &str, template: &str) -> String {
        self.ok(&["inspect", "-f", template, container]).trim().to_owned()
    }

    /// The processes that live and have the user's store among their arguments, by number and the second word.
    fn processes(&self) -> Vec<(i32, String)> {
        let store = self.0.env.store();
        let store = store.to_str().expect("a plain path");
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            if words.first().is_some_and(|word| word == "skiff") && words.iter().any(|word| word == store) {
                found.push((pid, words[1].clone().into_owned()));
            }
        }
        found
    }

    fn holder(&self) -> Option<i32> {
        self.processes().iter().find(|(_, word)| word == "network-holder").map(|(pid, _)| *pid)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let ids = self.0.run(&["ps", "-aq"]).stdout;
        let ids = String::from_utf8_lossy(&ids).into_owned();
        for id in ids.split_whitespace() {
            self.0.run(&["rm", "-f", "-v", id]);
        }
        if !std::thread::panicking() {
            wait_until("the end of all processes", LONG, || self.processes().is_empty());
        }
    }
}

/// Returns the numbers of the processes that descend from one.
fn descendants(of: i32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
    let own: Vec<i32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    own.iter().flat_map(|pid| descendants(*pid)).chain(own.iter().copied()).collect()
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    // It may have ended with another one.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// What is heard at a port of this machine.
fn get(address: &str) -> String {
    let mut said = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let _ = stream.read_to_string(&mut said);
    }
    said
}

#[test]
fn containers_reach_each_other_by_names_addresses_and_ports() {
    let Some(guest) = Guest::new(true) else { return };
    guest.ok(&["network", "create", "--subnet", "10.88.7.0/24", "one"]);
    guest.serve("web", &["--network", "one", "--network-alias", "www", "-p", "127.0.0.1::80"]);
    guest.serve("other", &["--network", "one", "--ip", "10.88.7.77"]);
    for (from, address, heard) in [
        ("other", "web", "web"),
        ("other", "www", "web"),
        ("other", "web.one", "web"),
        ("other", "10.88.7.2", "web"),
        ("web", "other", "other"),
        ("web", "10.88.7.77", "other"),
    ] {
        guest.hears(from, address, heard);
    }
    // Ports of this machine lead there.
    let port = guest.ok(&["port", "web", "80"]).trim().to_owned();
    wait_until("the page", LONG, || get(&port).ends_with("web\n"));
    // What it is told of itself, and what is told of it.
    let hosts = guest.ok(&["exec", "other", "cat", "/etc/hosts"]);
    assert!(hosts.contains("10.88.7.77\tother\n"), "{hosts}");
    let inside = guest.ok(&[
        "network",
        "inspect",
        "-f",
        "{{range .Containers}}{{.Name}} {{.IPv4Address}},{{end}}",
        "one",
    ]);
    assert!(inside.contains("web 10.88.7.2/24,") && inside.contains("other 10.88.7.77/24,"), "{inside}");
    assert_eq!(guest.inspect("web", "{{.NetworkSettings.Networks.one.IPAddress}}"), "10.88.7.2");
    // Without a network of its own: the default one, which is in common too, but knows no names.
    guest.serve("plain", &[]);
    guest.serve("second", &[]);
    let address = guest.inspect("second", "{{.NetworkSettings.IPAddress}}");
    guest.hears("plain", &address, "second");
    assert_eq!(guest.asks("plain", "second"), "");
    // In another one's network.
    guest.ok(&["run", "-d", "--name", "beside", "--network", "container:other", "busybox", "sleep", "1000"]);
    guest.hears("beside", "localhost", "other");
    guest.hears("beside", "web", "web");
    // One that is in use stays, one that is not goes.
    let busy = guest.0.run(&["network", "rm", "one"]);
    assert!(String::from_utf8_lossy(&busy.stderr).contains("has active endpoints"), "{busy:?}");
    guest.ok(&["rm", "-f", "beside", "web", "other"]);
    wait_until("nobody listens any more", LONG, || get(&port).is_empty());
    guest.ok(&["network", "rm", "one"]);
    // The same addresses are another one's now.
    guest.ok(&["network", "create", "--subnet", "10.88.7.0/24", "two"]);
    guest.serve("web", &["--network", "two"]);
    guest.hears("web", "10.88.7.2", "web");
}

#[test]
fn running_containers_change_networks() {
    let Some(guest) = Guest::new(true) else { return };
    guest.ok(&["network", "create", "one"]);
    guest.ok(&["network", "create", "--internal", "--ipv6", "--subnet", "fd00:88::/64", "two"]);
    guest.serve("web", &["--network", "one"]);
    guest.serve("other", &[]);
    assert_eq!(guest.asks("other", "web"), "");
    guest.ok(&["network", "connect", "--alias", "here", "one", "other"]);
    guest.hears("other", "web", "web");
    guest.hears("web", "here", "other");
    guest.ok(&["network", "disconnect", "one", "other"]);
    assert_eq!(guest.asks("web", "here"), "");
    // Inside they see each other, over IPv6 too; nothing else.
    guest.serve("first", &["--network", "two", "--ip6", "fd00:88::99"]);
    guest.ok(&["network", "connect", "two", "other"]);
    guest.hears("other", "first", "first");
    guest.ok(&["exec", "other", "ping", "-c", "1", "-W", "30", "fd00:88::99"]);
    let routes = guest.ok(&["exec", "first", "ip", "route"]);
    assert!(!routes.contains("default"), "{routes}");
    // A name is right as soon as its container has it, also after a restart.
    guest.ok(&["rename", "first", "last"]);
    guest.hears("other", "last", "first");
    guest.ok(&["restart", "-t", "0", "last"]);
    guest.hears("other", "last", "first");
}

#[test]
fn whoever_is_killed_is_replaced() {
    let Some(guest) = Guest::new(true) else { return };
    guest.ok(&["network", "create", "one"]);
    guest.serve("web", &["--network", "one"]);
    guest.serve("other", &["--network", "one"]);
    // There is one program for all, and one process that holds the networks.
    let holder = guest.holder().expect("there are networks");
    let carriers = || guest.holder().map(descendants).unwrap_or_default();
    let first = carriers();
    assert!(!first.is_empty(), "somebody carries packets");
    kill(holder);
    let replaced = |old: i32| guest.holder().is_some_and(|new| new != old);
    wait_until("another holder", LONG, || replaced(holder));
    guest.hears("other", "web", "web");
    guest.ok(&["run", "--rm", "--network", "one", "busybox", "wget", "-qO-", "http://web/"]);
    wait_until("another carrier", LONG, || !carriers().is_empty());
    let second = carriers();
    assert!(first.iter().all(|old| !second.contains(old)));
    let old = carriers();
    old.iter().for_each(|pid| kill(*pid));
    wait_until("one more carrier", LONG, || {
        let new = carriers();
        !new.is_empty() && new.iter().all(|pid| !old.contains(pid))
    });
    // All of them at once: the next command finds that nothing runs, and what it starts is well.
    for (pid, _) in guest.processes() {
        kill(pid);
    }
    wait_until("the end of all", LONG, || guest.processes().is_empty());
    assert_eq!(guest.ok(&["ps", "-q"]), "");
    guest.ok(&["start", "web", "other"]);
    guest.hears("other", "web", "web");
    // A monitor alone: its container's name and address are free again.
    let pid = guest.inspect("web", "{{.State.Pid}}").parse::<i32>().expect("it runs");
    let of = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let parent = of.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).expect("a parent");
    kill(parent.parse().expect("a number"));
    wait_until("the end of its container", LONG, || guest.inspect("web", "{{.State.Status}}") == "exited");
    wait_until("the end of its name", LONG, || guest.asks("other", "web").is_empty());
    guest.ok(&["start", "web"]);
    guest.hears("other", "web", "web");
}

#[test]
fn many_at_once_are_in_one_network_and_leave_nothing() {
    let Some(guest) = Guest::new(false) else { return };
    guest.ok(&["network", "create", "one"]);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let guest = &guest;
            scope.spawn(move || {
                for _ in 0..3 {
                    // Whoever comes first makes what the others find, and whoever ends last ends it.
                    let name = format!("n{number}");
                    let ask = "hostname > /index.html; httpd -p 80 -h /; wget -qO- http://$(hostname)/";
                    let args = ["run", "--rm", "--network", "one", "--name", &name, "--hostname", &name];
                    assert_eq!(
                        guest.ok(&[&args[..], &["busybox", "sh", "-c", ask]].concat()),
                        format!("{name}\n")
                    );
                }
            });
        }
    });
    wait_until("the end of the holder", LONG, || guest.holder().is_none());
    let networks = || guest.0.env.store().join("networks").read_dir().expect("networks").flatten();
    let is_used =
        |entry: std::fs::DirEntry| entry.path().join("endpoints").read_dir().is_ok_and(|all| all.count() > 0);
    wait_until("the end of all endpoints", LONG, || !networks().any(is_used));
    // Steps of builds are in it too.
    guest.serve("web", &["--network", "one"]);
    guest.hears("web", "localhost", "web");
    guest.0.env.write("Dockerfile", "FROM busybox\nRUN wget -qO /page http://web/\n");
    guest.ok(&["build", "--network", "one", "-t", "made", "."]);
    assert_eq!(guest.ok(&["run", "--rm", "--network", "none", "made", "cat", "/page"]), "web\n");
}
