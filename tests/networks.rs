//! Containers' networks, on a host of the test's own: a network namespace that nothing else uses.

mod support;

use std::process::Command;

use support::host::{Host, LONG};
use support::user::User;
use support::wait_until;

#[test]
fn containers_have_addresses_on_a_bridge() {
    let Some(host) = Host::new() else { return };
    let shown = host.ok(&["run", "--rm", "busybox", "ip", "-4", "addr", "show", "eth0"]);
    assert!(shown.contains("inet 172.17.0.2/16"), "{shown}");
    let bridge = host.here("ip -4 -o addr show | grep 172.17");
    assert!(bridge.contains("172.17.0.1/16"), "{bridge}");
    // The pair of one that ended of itself goes a moment after the command.
    wait_until("the end of the pair", LONG, || host.interfaces() == 3);
    let before = host.interfaces();
    for name in ["one", "two"] {
        host.ok(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]);
    }
    assert_eq!(host.interfaces(), before + 2, "each has one end of a pair here");
    let second =
        "ip -4 -o addr show dev eth0; ip route; ping -c 1 -W 30 172.17.0.1 && ping -c 1 -W 30 172.17.0.2";
    let shown = host.ok(&["run", "--rm", "busybox", "sh", "-c", second]);
    assert!(shown.contains("172.17.0.4/16") && shown.contains("default via 172.17.0.1"), "{shown}");
    assert_eq!(shown.matches("1 packets received").count(), 2, "{shown}");
    host.ok(&["rm", "-f", "one", "two"]);
    wait_until("the end of all pairs", LONG, || host.interfaces() == before);
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

#[test]
fn ports_are_published_as_the_flags_say() {
    let Some(host) = Host::new() else { return };
    host.env.write("app/Dockerfile", "FROM busybox\nEXPOSE 80 53/udp\n");
    host.ok(&["build", "-q", "-t", "app", "app"]);
    for (flags, shown) in [
        (&["-p", "127.0.0.1:8080:80"][..], "53/udp, 127.0.0.1:8080->80/tcp"),
        (&["-p", "[::1]:8080:80"], "53/udp, [::1]:8080->80/tcp"),
        (
            &["-p", "10.99.0.1:8080-8082:80-82"],
            "53/udp, 10.99.0.1:8080->80/tcp, 10.99.0.1:8081->81/tcp, 10.99.0.1:8082->82/tcp",
        ),
        (&["-p", "published=53,target=53,protocol=udp"], "0.0.0.0:53->53/udp, [::]:53->53/udp, 80/tcp"),
        (&["--expose", "81-82"], "53/udp, 80-82/tcp"),
    ] {
        host.ok(&[&["run", "-d", "--name", "it"][..], flags, &["app", "sleep", "1000"]].concat());
        assert_eq!(host.ok(&["ps", "--format", "{{.Ports}}"]).trim(), shown, "{flags:?}");
        host.ok(&["rm", "-f", "it"]);
    }
    host.ok(&["run", "-d", "--name", "all", "-P", "app", "sleep", "1000"]);
    let port = |what: &str| -> u16 {
        let line = host.ok(&["port", "all", what]);
        let first = line.lines().next().and_then(|line| line.strip_prefix("0.0.0.0:")).expect("a port");
        first.parse().expect("a number")
    };
    assert!(port("80") >= 1024 && port("53/udp") >= 1024);
    let all = host.ok(&["port", "all"]);
    assert!(all.contains(&format!("80/tcp -> 0.0.0.0:{}\n80/tcp -> [::]:", port("80/tcp"))), "{all}");
    let none = host.run(&["port", "all", "81"]).fails_with(1);
    assert_eq!(none.stderr, "Error: No public port '81' published for all\n");
    host.ok(&["run", "-d", "--name", "range", "-p", "8000-8010:80", "app", "sleep", "1000"]);
    host.ok(&["run", "-d", "--name", "next", "-p", "8000-8010:80", "app", "sleep", "1000"]);
    assert_eq!(host.ok(&["port", "next", "80"]), "0.0.0.0:8001\n[::]:8001\n");
    host.ok(&["restart", "-t", "0", "next"]);
    assert_eq!(host.ok(&["port", "next", "80"]), "0.0.0.0:8001\n[::]:8001\n");
}

#[test]
fn datagrams_reach_published_ports_and_come_back() {
    let Some(host) = Host::new() else { return };
    let tar = support::base("debian.tar");
    host.ok(&["import", tar.to_str().expect("a plain path"), "debian"]);
    let echo = "$s = IO::Socket::INET->new(LocalPort => 9000, Proto => 'udp') or die; \
                while (defined $s->recv($b, 999)) { $s->send(\"re:$b\") }";
    let run = [
        "run",
        "-d",
        "--name",
        "echo",
        "-p",
        "9001:9000/udp",
        "debian",
        "perl",
        "-MIO::Socket::INET",
        "-e",
        echo,
    ];
    host.ok(&run);
    let ask = |from: &str, address: &str| {
        let family = if address.contains(':') { "AF_INET6" } else { "AF_INET" };
        let script = format!(
            "python3 -c 'import socket; s = socket.socket(socket.{family}, socket.SOCK_DGRAM); s.settimeout(5); \
             s.connect((\"{address}\", 9001)); s.send(b\"hi\"); print(s.recv(99).decode())' 2>/dev/null"
        );
        let answered = || Host::shell(from, &script) == "re:hi\n";
        wait_until(&format!("an answer from {address}"), LONG, answered);
    };
    ask(&host.other, "10.99.0.1");
    ask(&host.other, "fd99::1");
    ask(&host.name, "127.0.0.1");
    ask(&host.name, "::1");
}

#[test]
fn names_resolve_in_networks_of_ones_own() {
    let Some(host) = Host::new() else { return };
    let id = host.ok(&["network", "create", "--subnet", "10.88.0.0/24", "--label", "a=b", "mine"]);
    assert_eq!(id.trim().len(), 64);
    let twice = host.run(&["network", "create", "mine"]).fails_with(1);
    assert_eq!(twice.stderr, "Error response from daemon: network with name mine already exists\n");
    host.web("web", &["--network", "mine", "--network-alias", "www", "--ip", "10.88.0.80"]);
    host.ok(&[
        "run",
        "-d",
        "--name",
        "two",
        "--net",
        "mine",
        "--net-alias",
        "www",
        "busybox",
        "sleep",
        "1000",
    ]);
    let inside = |script: &str| host.ok(&["run", "--rm", "--network", "mine", "busybox", "sh", "-c", script]);
    let resolv = inside("cat /etc/resolv.conf");
    assert!(resolv.starts_with("nameserver 127.0.0.11\n") && resolv.contains("ndots:0"), "{resolv}");
    for name in ["web", "WEB", "web.mine", "www"] {
        let answer = inside(&format!("nslookup -type=a {name}"));
        assert!(answer.contains("Address: 10.88.0.80"), "{name}: {answer}");
    }
    assert_eq!(inside("nslookup -type=a www").matches("Address: 10.88.0.").count(), 2);
    assert!(inside("nslookup 10.88.0.80").contains("name = web.mine"));
    assert!(inside("ping -c 1 -W 30 web").contains("1 packets received"));
    host.ok(&["rename", "web", "renamed"]);
    assert!(inside("nslookup -type=a renamed").contains("10.88.0.80"));
    assert!(inside("ping -c 1 -W 2 web || echo gone").contains("gone"), "an old name means nothing");
    let used = host.run(&["network", "rm", "mine"]).fails_with(1);
    assert!(used.stderr.contains("error while removing network: network mine id "), "{}", used.stderr);
    assert!(used.stderr.contains("has active endpoints (name:\"two\" id:"), "{}", used.stderr);
    let shown = host.ok(&[
        "network",
        "inspect",
        "-f",
        "{{json .IPAM.Config}} {{.Labels.a}} {{len .Containers}}",
        "mine",
    ]);
    assert_eq!(shown, "[{\"Subnet\":\"10.88.0.0/24\",\"Gateway\":\"10.88.0.1\"}] b 2\n");
    host.ok(&["rm", "-f", "renamed", "two"]);
    assert_eq!(host.ok(&["network", "rm", "mine"]), "mine\n");
    let gone = host.run(&["network", "rm", "mine"]).fails_with(1);
    assert_eq!(gone.stderr, "Error response from daemon: network mine not found\n");
}

#[test]
fn other_names_are_asked_where_the_host_or_a_flag_says() {
    let Some(host) = Host::new() else { return };
    host.ok(&["network", "create", "mine"]);
    let server = host.env.write("dns.py", include_str!("support/dns.py"));
    let mut command = Command::new("python3");
    command.args([server.to_str().expect("a plain path"), "10.99.0.2", "outside.example", "10.9.8.7"]);
    let mut serving = Host::inside(&host.other, &command).spawn().expect("python starts");
    let ask = |network: &str, name: &str| {
        let script = format!("nslookup -type=a {name}");
        host.run(&["run", "--rm", "--network", network, "--dns", "10.99.0.2", "busybox", "sh", "-c", &script])
            .stdout
    };
    wait_until("the server's answer", LONG, || ask("bridge", "outside.example").contains("10.9.8.7"));
    wait_until("the answer through a network's own server", LONG, || {
        ask("mine", "outside.example").contains("10.9.8.7")
    });
    let resolv = host.ok(&[
        "run",
        "--rm",
        "--dns",
        "10.99.0.2",
        "--dns-search",
        "x.y",
        "--dns-option",
        "ndots:3",
        "busybox",
        "cat",
        "/etc/resolv.conf",
    ]);
    serving.kill().expect("it runs");
    serving.wait().expect("it is a child");
    assert_eq!(resolv, "nameserver 10.99.0.2\nsearch x.y\noptions ndots:3\n");
}

#[test]
fn networks_are_listed_filtered_and_pruned() {
    let Some(host) = Host::new() else { return };
    assert_eq!(
        host.ok(&["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}"]),
        "bridge bridge local\nhost host local\nnone null local\n"
    );
    let table = host.ok(&["network", "ls"]);
    assert!(table.starts_with("NETWORK ID     NAME      DRIVER    SCOPE\n"), "{table}");
    for name in ["first", "second"] {
        host.ok(&["network", "create", "--label", &format!("name={name}"), name]);
    }
    assert_eq!(host.ok(&["network", "ls", "-q", "--filter", "type=custom"]).lines().count(), 2);
    assert_eq!(
        host.ok(&["network", "ls", "--filter", "label=name=first", "--format", "{{.Name}}"]),
        "first\n"
    );
    let pools = host.ok(&[
        "network",
        "inspect",
        "-f",
        "{{(index .IPAM.Config 0).Subnet}}",
        "bridge",
        "first",
        "second",
    ]);
    assert_eq!(pools, "172.17.0.0/16\n172.18.0.0/16\n172.19.0.0/16\n");
    let kept = host.run(&["network", "rm", "bridge"]).fails_with(1);
    assert_eq!(
        kept.stderr,
        "Error response from daemon: bridge is a pre-defined network and cannot be removed\n"
    );
    let overlap = host.run(&["network", "create", "--subnet", "172.18.5.0/24", "over"]).fails_with(1);
    assert!(
        overlap.stderr.contains("Pool overlaps with other one on this address space"),
        "{}",
        overlap.stderr
    );
    let driver = host.run(&["network", "create", "-d", "overlay", "over"]).fails_with(1);
    assert!(driver.stderr.contains("This node is not a swarm manager"), "{}", driver.stderr);
    host.ok(&["run", "-d", "--name", "used", "--network", "first", "busybox", "sleep", "1000"]);
    assert_eq!(host.ok(&["network", "prune", "-f"]), "Deleted Networks:\nsecond\n\n");
    host.ok(&["rm", "-f", "used"]);
    assert_eq!(host.ok(&["network", "prune", "-f"]), "Deleted Networks:\nfirst\n\n");
    assert_eq!(host.here("ip -o link show type bridge"), "", "no bridge that nobody needs");
    assert_eq!(host.here("nft list tables"), "");
    let missing = host.run(&["network", "inspect", "first"]).fails_with(1);
    assert_eq!(
        (missing.stdout.as_str(), missing.stderr.as_str()),
        ("[]\n", "Error response from daemon: network first not found\n")
    );
}

#[test]
fn a_running_container_changes_networks() {
    let Some(host) = Host::new() else { return };
    for name in ["first", "second"] {
        host.ok(&["network", "create", name]);
    }
    host.web("web", &["--network", "first", "-p", "8080:80"]);
    host.ok(&["network", "connect", "--alias", "also", "second", "web"]);
    let ask = |network: &str, name: &str| {
        let script = format!("ping -c 1 -W 30 {name} >/dev/null 2>&1 && echo reached || echo unknown");
        host.ok(&["run", "--rm", "--network", network, "busybox", "sh", "-c", &script])
    };
    assert_eq!((ask("second", "also").as_str(), ask("second", "web").as_str()), ("reached\n", "reached\n"));
    let again = host.run(&["network", "connect", "second", "web"]).fails_with(1);
    assert!(
        again.stderr.contains("endpoint with name web already exists in network second"),
        "{}",
        again.stderr
    );
    assert_eq!(host.ok(&["ps", "--format", "{{.Networks}}"]), "first,second\n");
    host.ok(&["restart", "-t", "0", "web"]);
    assert_eq!(ask("second", "also"), "reached\n", "it stays connected");
    host.ok(&["network", "disconnect", "first", "web"]);
    assert_eq!((ask("first", "web").as_str(), ask("second", "web").as_str()), ("unknown\n", "reached\n"));
    let twice = host.run(&["network", "disconnect", "first", "web"]).fails_with(1);
    assert!(twice.stderr.contains("is not connected to network first"), "{}", twice.stderr);
    // A stopped one is connected when it starts.
    host.ok(&["stop", "-t", "0", "web"]);
    host.ok(&["network", "connect", "first", "web"]);
    host.ok(&["start", "web"]);
    assert_eq!(ask("first", "web"), "reached\n");
    Host::page(&host.other, "http://10.99.0.1:8080/", "hello web\n");
}

#[test]
fn a_container_joins_another_ones_network() {
    let Some(host) = Host::new() else { return };
    host.web("web", &["-h", "shown"]);
    Host::page(&host.name, "http://172.17.0.2/", "hello web\n");
    let script =
        "hostname; tail -n 1 /etc/hosts; printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 80 | tail -n 1";
    let said = host.ok(&["run", "--rm", "--network", "container:web", "busybox", "sh", "-c", script]);
    assert_eq!(said, "shown\n172.17.0.2\tshown\nhello web\n");
    for (flags, said) in [
        (&["-p", "80:80"][..], "conflicting options: port publishing and the container type network mode"),
        (&["-h", "x"], "conflicting options: hostname and the network mode"),
        (&["--dns", "1.1.1.1"], "conflicting options: dns and the network mode"),
    ] {
        let ran = host.run(&[&["run", "--network", "container:web"][..], flags, &["busybox"]].concat());
        let ran = ran.fails_with(125);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    host.ok(&["stop", "-t", "0", "web"]);
    let stopped = host.run(&["run", "--rm", "--network", "container:web", "busybox"]).fails_with(125);
    assert!(stopped.stderr.contains("is not running"), "{}", stopped.stderr);
    let missing = host.run(&["run", "--rm", "--network", "container:nosuch", "busybox"]).fails_with(125);
    assert!(missing.stderr.contains("No such container: nosuch"), "{}", missing.stderr);
}

#[test]
fn hosts_and_links_and_addresses_follow_the_flags() {
    let Some(host) = Host::new() else { return };
    let hosts = host.ok(&[
        "run",
        "--rm",
        "-h",
        "me",
        "--domainname",
        "example.org",
        "--add-host",
        "db:10.1.2.3",
        "--add-host",
        "gw:host-gateway",
        "--mac-address",
        "92:d0:c6:0a:29:33",
        "busybox",
        "sh",
        "-c",
        "cat /etc/hosts /etc/hostname; cat /sys/class/net/eth0/address",
    ]);
    let expected = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n10.1.2.3\tdb\n172.17.0.1\tgw\n172.17.0.2\tme.example.org me\nme.example.org\n92:d0:c6:0a:29:33\n";
    assert_eq!(hosts, expected);
    host.web("web", &[]);
    host.ok(&["create", "--name", "linked", "--link", "web:alias", "busybox", "grep", "alias", "/etc/hosts"]);
    let line = host.ok(&["start", "-a", "linked"]);
    assert!(line.starts_with("172.17.0.2\talias ") && line.ends_with(" web\n"), "{line}");
    host.ok(&["rm", "--link", "/linked/alias"]);
    assert_eq!(host.run(&["start", "-a", "linked"]).fails_with(1).stdout, "");
    let ip = host.run(&["run", "--ip", "172.17.0.9", "busybox"]).fails_with(125);
    assert!(
        ip.stderr.contains("user specified IP address is supported on user defined networks only"),
        "{}",
        ip.stderr
    );
    host.ok(&["network", "create", "--subnet", "10.77.0.0/29", "small"]);
    let taken = ["run", "-d", "--network", "small", "--ip", "10.77.0.3", "busybox", "sleep", "1000"];
    host.ok(&taken);
    let again = host.run(&taken).fails_with(125);
    assert!(again.stderr.contains("Address already in use"), "{}", again.stderr);
}

#[test]
fn internal_networks_have_no_way_out() {
    let Some(host) = Host::new() else { return };
    host.ok(&["network", "create", "--internal", "closed"]);
    host.ok(&["network", "create", "-o", "com.docker.network.bridge.enable_icc=false", "apart"]);
    host.ok(&["run", "-d", "--name", "closed", "--network", "closed", "busybox", "sleep", "1000"]);
    host.ok(&["run", "-d", "--name", "apart", "--network", "apart", "busybox", "sleep", "1000"]);
    let reach = |network: &str, name: &str, expected: &str| {
        // What answers does so at once, on a machine that has the time.
        let patience = if expected.ends_with("yes\n") { 30 } else { 2 };
        let script = format!(
            "ip route | grep -c default; ping -c 1 -W {patience} {name} >/dev/null 2>&1 && echo yes || echo no"
        );
        let said = host.ok(&["run", "--rm", "--network", network, "busybox", "sh", "-c", &script]);
        assert_eq!(said, expected, "{network} {name}");
    };
    reach("closed", "closed", "0\nyes\n");
    reach("closed", "10.99.0.2", "0\nno\n");
    reach("apart", "apart", "1\nno\n");
    reach("apart", "10.99.0.2", "1\nyes\n");
    reach("bridge", "10.99.0.2", "1\nyes\n");
}

#[test]
fn each_container_has_a_namespace_and_runs_when_its_address_is_there() {
    let Some(host) = Host::new() else { return };
    let ask = "readlink /proc/self/ns/net; ip -4 -o addr show eth0";
    let parted = |said: String| {
        let (namespace, address) = said.split_once('\n').expect("two lines");
        assert!(address.contains(" 172.17.0."), "an address on the very first command: {said}");
        namespace.to_owned()
    };
    // The first one lives on, for numbers of namespaces are used again.
    host.ok(&["run", "-d", "--name", "first", "busybox", "sh", "-c", &format!("{ask}; exec sleep 1000")]);
    let said = || host.ok(&["logs", "first"]);
    wait_until("what the first one says", LONG, || said().lines().count() == 2);
    let first = parted(said());
    let second = parted(host.ok(&["run", "--rm", "-p", "80", "busybox", "sh", "-c", ask]));
    let hosts = host.here("readlink /proc/self/ns/net");
    assert!(first != second && first != hosts.trim() && second != hosts.trim(), "{first} {second} {hosts}");
    let shown = host.ok(&["run", "--name", "steps", "busybox", "sh", "-c", "touch /n; ip addr"]);
    assert!(shown.contains("inet 172.17.0.3/16"), "{shown}");
    let status = host.ok(&["ps", "-a", "--filter", "name=steps", "--format", "{{.Status}}"]);
    assert!(status.starts_with("Exited (0) "), "{status}");
}

#[test]
fn steps_of_builds_use_a_network() {
    let Some(host) = Host::new() else { return };
    host.ok(&["network", "create", "mine"]);
    host.web("web", &["--network", "mine"]);
    let file = "FROM busybox\nARG ASK\nRUN ip -4 -o addr show eth0 > /address; eval \"$ASK\" > /answer\n";
    host.env.write("app/Dockerfile", file);
    let build = |network: &str, ask: &str| {
        host.ok(&[
            "build",
            "-q",
            "-t",
            "it",
            "--network",
            network,
            "--build-arg",
            &format!("ASK={ask}"),
            "app",
        ]);
        host.ok(&["run", "--rm", "--network", "none", "it", "cat", "/address", "/answer"])
    };
    let said = build("mine", "ping -c 1 -W 30 web");
    assert!(said.contains(" 172.18.0.") && said.contains("1 packets received"), "{said}");
    let said = build("bridge", "ping -c 1 -W 30 10.99.0.2");
    assert!(said.contains(" 172.17.0.") && said.contains("1 packets received"), "{said}");
    let unknown = host.run(&["build", "--network", "nosuch", "app"]).fails_with(1);
    assert!(
        unknown.stderr.contains("network mode \"nosuch\" not supported by the builder"),
        "{}",
        unknown.stderr
    );
    host.ok(&["rm", "-f", "web"]);
    assert_eq!(host.ok(&["network", "rm", "mine"]), "mine\n", "no step is left in it");
}

#[test]
fn the_hosts_own_firewall_is_left_alone_and_may_be_loaded_anew() {
    let Some(host) = Host::new() else { return };
    let own = "table inet own { chain input { type filter hook input priority 0; tcp dport 9 drop; }; }";
    let load = || host.here(&format!("nft '{own}'"));
    load();
    let before = host.here("nft list table inet own");
    host.web("web", &["-p", "8080:80"]);
    Host::page(&host.other, "http://10.99.0.1:8080/", "hello web\n");
    assert_eq!(host.here("nft list table inet own"), before);
    // As `systemctl restart nftables` does.
    host.here("nft flush ruleset");
    load();
    host.ok(&["run", "--rm", "busybox", "true"]);
    let rules = host.here("nft list ruleset");
    assert!(rules.contains("tcp . 8080"), "the next start brings the rules back: {rules}");
    Host::page(&host.other, "http://10.99.0.1:8080/", "hello web\n");
    host.ok(&["rm", "-f", "web"]);
    host.ok(&["network", "prune", "-f"]);
    assert_eq!(host.here("nft list ruleset"), before);
}

#[test]
fn killed_monitors_leave_nothing() {
    let Some(host) = Host::new() else { return };
    let before = host.interfaces() + 1;
    host.web("web", &["-p", "8080:80"]);
    Host::page(&host.other, "http://10.99.0.1:8080/", "hello web\n");
    let id = host.ok(&["ps", "-q", "--no-trunc"]);
    let monitor = host.here(&format!("pgrep -f '[c]ontainer-monitor .* {}'", id.trim()));
    assert_eq!(monitor.lines().count(), 1, "{monitor}");
    host.here(&format!("kill -9 {}", monitor.trim()));
    let ended = || host.ok(&["ps", "-a", "--format", "{{.Status}}"]).starts_with("Exited (137)");
    wait_until("the truth", LONG, ended);
    wait_until("the end of its rules", LONG, || !host.here("nft list ruleset").contains("8080"));
    wait_until("the end of the interface", LONG, || host.interfaces() == before);
    // Address and port are free again.
    host.web("next", &["-p", "8080:80"]);
    Host::page(&host.other, "http://10.99.0.1:8080/", "hello next\n");
}

#[test]
fn two_hundred_containers_at_once_leave_nothing() {
    let Some(host) = Host::new() else { return };
    host.ok(&["run", "--rm", "busybox", "true"]);
    // The loopback interface, the wire, the bridge.
    wait_until("the end of the pair", LONG, || host.interfaces() == 3);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let host = &host;
            scope.spawn(move || {
                for number in 0..25 {
                    let publish = if number % 5 == 0 { &["-p", "80"][..] } else { &[] };
                    let check = ["busybox", "sh", "-c", "ip -4 -o addr show eth0 | grep -q 172.17.0."];
                    let ran = host.run(&[&["run", "--rm"][..], publish, &check].concat());
                    assert_eq!(ran.code, Some(0), "{worker} {number}: {}", ran.stderr);
                }
            });
        }
    });
    wait_until("the end of all interfaces", LONG, || host.interfaces() == 3);
    wait_until("the end of all rules", LONG, || host.here("nft list ruleset").is_empty());
    let networks = || host.env.store().join("networks").read_dir().expect("networks").flatten();
    let endpoints = |network: std::fs::DirEntry| network.path().join("endpoints").read_dir();
    let left = || networks().map(|n| endpoints(n).map_or(0, Iterator::count)).sum::<usize>();
    wait_until("the end of all endpoints", LONG, || left() == 0);
    let shown = host.ok(&["run", "--rm", "busybox", "ip", "-4", "addr", "show", "eth0"]);
    assert!(shown.contains("172.17.0.2/16"), "all addresses are free: {shown}");
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn ordinary_users_have_networks_and_publish_ports() {
    let Some(mut user) = User::new(true) else { return };
    if !std::path::Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: there is no /dev/net/tun");
        return;
    }
    user.ok(&["import", "--change", "CMD [\"sh\"]", &user.file("busybox.tar"), "busybox"]);
    // By pasta, and where that can't be run by slirp4netns.
    for hidden in [None, Some("/usr/bin/pasta")] {
        user.hidden = hidden;
        a_network_of_a_user(&user);
    }
}

fn a_network_of_a_user(user: &User) {
    let shown = user.ok(&[
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "ip -4 -o addr show eth0; cat /etc/resolv.conf; tail -n 1 /etc/hosts",
    ]);
    assert!(shown.contains(".0.2/16") && shown.contains("nameserver 10.0.2.3\n"), "{shown}");
    let script = "mkdir /w; echo hello > /w/index.html; exec httpd -f -p 80 -h /w";
    user.ok(&["run", "-d", "--name", "web", "-p", "127.0.0.1::80", "busybox", "sh", "-c", script]);
    let address = user.ok(&["port", "web", "80"]).trim().to_owned();
    wait_until("the page", LONG, || Host::ask(&address).ends_with("hello\n"));
    let low = user.run(&["run", "--rm", "-p", "80:80", "busybox"]);
    let said = String::from_utf8_lossy(&low.stderr).into_owned();
    assert_eq!(low.status.code(), Some(125), "{said}");
    assert!(said.contains("ports below net.ipv4.ip_unprivileged_port_start are for root"), "{said}");
    user.ok(&["rm", "-f", "web"]);
    wait_until("nobody listens any more", LONG, || Host::ask(&address).is_empty());
}

#[test]
fn a_range_gives_all_of_its_addresses_away() {
    let Some(host) = Host::new() else { return };
    let first = |name: &str| {
        let shown = host.ok(&["run", "--rm", "--network", name, "busybox", "ip", "-4", "-o", "route"]);
        let word = |after: &str| {
            let mut words = shown.split_whitespace().skip_while(|word| *word != after).skip(1);
            words.next().unwrap_or_default().to_owned()
        };
        (word("via"), word("src"))
    };
    host.ok(&["network", "create", "--subnet", "10.97.0.0/16", "--ip-range", "10.97.5.0/24", "range"]);
    assert_eq!(first("range"), ("10.97.5.0".to_owned(), "10.97.5.1".to_owned()));
    let gateway = ["--subnet", "10.98.0.0/16", "--gateway", "10.98.0.1", "--ip-range", "10.98.5.0/24"];
    host.ok(&[&["network", "create"][..], &gateway, &["other"]].concat());
    assert_eq!(first("other"), ("10.98.0.1".to_owned(), "10.98.5.0".to_owned()));
}
