//! What the users' documents do with networks and ports, typed as they type it: an address of the default bridge,
//! a pair of interfaces, `/etc/hosts`, the way out, and the forms of `-p`.

mod support;

use std::process::Command;

use support::host::{Host, LONG};
use support::wait_until;

const ADDRESS: &str = "{{.NetworkSettings.IPAddress}}";

fn started(host: &Host, names: &[&str]) {
    for name in names {
        host.ok(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]);
    }
}

#[test]
fn containers_are_on_the_default_bridge() {
    let Some(host) = Host::new() else { return };
    assert_eq!(host.interfaces(), 2, "the loopback interface and the wire");
    started(&host, &["aa", "bb"]);
    // The bridge is there, with the first address of its subnet.
    let bridge = host.here("ip -4 -o addr show type bridge");
    assert!(bridge.contains("inet 172.17.0.1/16"), "{bridge}");
    assert_eq!(
        host.ok(&["network", "ls", "--format", "{{.Name}} {{.Driver}}"]),
        "bridge bridge\nhost host\nnone null\n"
    );
    let config = host.ok(&[
        "network",
        "inspect",
        "-f",
        "{{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}}",
        "bridge",
    ]);
    assert_eq!(config, "172.17.0.0/16 172.17.0.1\n");
    // Each has an address of its own, one more interface of the host, and a namespace.
    assert_eq!(host.ok(&["inspect", "-f", ADDRESS, "aa", "bb"]), "172.17.0.2\n172.17.0.3\n");
    assert_eq!(host.here("ip -o link show type veth | grep -c master"), "2\n");
    let namespaces = |name| host.ok(&["exec", name, "readlink", "/proc/1/ns/net"]);
    let mut all = vec![namespaces("aa"), namespaces("bb"), host.here("readlink /proc/self/ns/net")];
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 3, "{all:?}");
    // The host reaches them, and they each other.
    let ping = host.here("busybox ping -c 1 -W 20 172.17.0.2");
    assert!(ping.contains("1 packets received"), "{ping}");
    host.ok(&["exec", "bb", "ping", "-c", "1", "-W", "20", "172.17.0.2"]);
    let shown = host.ok(&["exec", "aa", "ip", "addr"]);
    assert!(shown.contains("eth0@") && shown.contains("inet 172.17.0.2/16"), "{shown}");
    // The very first command has its address.
    let first = host.ok(&["run", "--rm", "busybox", "ip", "-4", "addr", "show", "eth0"]);
    assert!(first.contains("inet 172.17.0.4/16"), "{first}");
    // All of it goes.
    host.ok(&["stop", "-t", "0", "aa"]);
    host.ok(&["rm", "-f", "bb"]);
    wait_until("the end of the pairs", LONG, || host.here("ip -o link show type veth").lines().count() == 1);
    assert_eq!(host.ok(&["inspect", "-f", ADDRESS, "aa"]), "\n");
    host.ok(&["start", "aa"]);
    assert_eq!(host.ok(&["inspect", "-f", ADDRESS, "aa"]), "172.17.0.2\n");
}

#[test]
fn hosts_files_and_the_way_out() {
    let Some(host) = Host::new() else { return };
    started(&host, &["aa"]);
    let short = host.ok(&["ps", "-q"]).trim().to_owned();
    let expected = format!(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n172.17.0.2\t{short}\n"
    );
    assert_eq!(host.ok(&["exec", "aa", "cat", "/etc/hosts"]), expected);
    assert_eq!(host.ok(&["exec", "aa", "hostname"]).trim(), short);
    // A server elsewhere is asked by its name, which a name server elsewhere knows.
    let files = host.env.write("served/index.html", "packages\n");
    let files = files.parent().expect("a folder").to_str().expect("a plain path").to_owned();
    let names = support::repository().join("tests/support/dns.py");
    let mut web = Command::new("busybox");
    web.args(["httpd", "-f", "-p", "80", "-h", &files]);
    let mut dns = Command::new("python3");
    dns.arg(names).args(["10.99.0.2", "packages.test", "10.99.0.2"]);
    let mut serving: Vec<_> = [web, dns]
        .iter()
        .map(|command| Host::inside(&host.other, command).spawn().expect("it starts"))
        .collect();
    Host::page(&host.name, "http://10.99.0.2/", "packages\n");
    let get = "for i in $(seq 30); do wget -q -O - http://packages.test/ && exit; sleep 1; done; exit 9";
    let asked = host.run(&["run", "--rm", "--dns", "10.99.0.2", "busybox", "sh", "-c", get]);
    for child in &mut serving {
        child.kill().expect("it runs");
        child.wait().expect("it is a child");
    }
    assert_eq!(asked.success().stdout, "packages\n");
}

#[test]
fn ports_are_published_in_each_form() {
    let Some(host) = Host::new() else { return };
    let ports = |name: &str| {
        let filter = format!("name=^{name}$");
        host.ok(&["ps", "--filter", &filter, "--format", "{{.Ports}}"]).trim().to_owned()
    };
    // HOST:CONTAINER, of all addresses.
    host.web("all", &["-p", "8080:8080", "-p", "8081:80"]);
    assert_eq!(
        ports("all"),
        "0.0.0.0:8080->8080/tcp, [::]:8080->8080/tcp, 0.0.0.0:8081->80/tcp, [::]:8081->80/tcp"
    );
    for url in ["http://127.0.0.1:8081/", "http://[::1]:8081/"] {
        Host::page(&host.name, url, "hello all\n");
    }
    Host::page(&host.other, "http://10.99.0.1:8081/", "hello all\n");
    // IP:HOST:CONTAINER, of one.
    host.web("one", &["-p", "127.0.0.1:8082:80"]);
    assert_eq!(ports("one"), "127.0.0.1:8082->80/tcp");
    Host::page(&host.name, "http://127.0.0.1:8082/", "hello one\n");
    assert_eq!(Host::shell(&host.other, "curl -s --max-time 5 http://10.99.0.1:8082/"), "");
    // CONTAINER alone: a free high port.
    host.web("free", &["-p", "80"]);
    let shown = host.ok(&["port", "free", "80"]);
    let port = free_port(&host, shown.lines().next().expect("a port"));
    Host::page(&host.other, &format!("http://10.99.0.1:{port}/"), "hello free\n");
    // -P: all that the image exposes.
    host.env.write("Dockerfile", "FROM busybox\nEXPOSE 80 53/udp\n");
    host.ok(&["build", "-q", "-t", "exposing", "."]);
    let serve = "mkdir /w; echo hello > /w/index.html; exec httpd -f -p 80 -h /w";
    host.ok(&["run", "-d", "-P", "--name", "every", "exposing", "sh", "-c", serve]);
    let shown = host.ok(&["port", "every"]);
    let line = |start: &str| shown.lines().find(|line| line.starts_with(start)).expect(start).to_owned();
    free_port(&host, &line("53/udp -> 0.0.0.0:"));
    let port = free_port(&host, &line("80/tcp -> 0.0.0.0:"));
    assert!(ports("every").contains(&format!("0.0.0.0:{port}->80/tcp")), "{}", ports("every"));
    Host::page(&host.other, &format!("http://10.99.0.1:{port}/"), "hello\n");
}

/// Returns the port that a line ends with, which is of those that the kernel gives.
#[track_caller]
fn free_port(host: &Host, line: &str) -> u16 {
    let port: u16 = line.rsplit(':').next().and_then(|port| port.trim().parse().ok()).expect(line);
    let range = host.here("cat /proc/sys/net/ipv4/ip_local_port_range");
    let mut ends = range.split_whitespace().map(|end| end.parse::<u16>().expect("a port"));
    let (first, last) = (ends.next().expect("two ports"), ends.next().expect("two ports"));
    assert!((first..=last).contains(&port), "{line}: {range}");
    port
}
