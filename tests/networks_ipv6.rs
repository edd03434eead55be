//! IPv6 inside networks of one's own, and the way out of them and in.

mod support;

use std::process::Command;

use support::host::{Host, LONG};
use support::wait_until;

const NETWORKS: &str = "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}/{{.GlobalIPv6PrefixLen}} \
                        {{.IPv6Gateway}} {{json .IPAMConfig}}{{end}}";

#[test]
fn containers_have_ipv6_addresses_names_and_ports() {
    let Some(host) = Host::new() else { return };
    host.ok(&["network", "create", "--ipv6", "--subnet", "fd00:77::/64", "six"]);
    host.web(
        "web",
        &["--network", "six", "--ip6", "fd00:77::99", "-p", "8080:80", "-p", "[fd99::1]:8081:80"],
    );
    host.ok(&["run", "-d", "--name", "asks", "--network", "six", "busybox", "sleep", "1000"]);
    assert_eq!(
        host.ok(&["inspect", "-f", NETWORKS, "web", "asks"]),
        "fd00:77::99/64 fd00:77::1 {\"IPv6Address\":\"fd00:77::99\"}\nfd00:77::2/64 fd00:77::1 null\n"
    );
    let shown = host.ok(&["network", "inspect", "-f", "{{.EnableIPv6}} {{json .IPAM.Config}}", "six"]);
    assert!(
        shown.starts_with("true ") && shown.contains(r#"{"Subnet":"fd00:77::/64","Gateway":"fd00:77::1"}"#),
        "{shown}"
    );
    let inside = host.ok(&[
        "network",
        "inspect",
        "-f",
        "{{range .Containers}}{{.Name}} {{.IPv6Address}} {{end}}",
        "six",
    ]);
    assert!(inside.contains("web fd00:77::99/64") && inside.contains("asks fd00:77::2/64"), "{inside}");
    let listed = host.ok(&["network", "ls", "-f", "name=six", "--format", "{{.Name}} {{.IPv4}} {{.IPv6}}"]);
    assert_eq!(listed, "six true true\n");
    // Files and addresses inside, as docker has them.
    let files =
        host.ok(&["exec", "asks", "sh", "-c", "tail -n 2 /etc/hosts; ip -6 addr show eth0; ip -6 route"]);
    let id = host.ok(&["ps", "-q", "--filter", "name=asks"]);
    assert!(files.contains(&format!("\nfd00:77::2\t{}", id.trim())), "{files}");
    assert!(
        files.contains("inet6 fd00:77::2/64") && files.contains("default via fd00:77::1 dev eth0"),
        "{files}"
    );
    // Names have both kinds of addresses, and addresses names.
    let names = host.ok(&["exec", "asks", "nslookup", "web"]);
    assert!(names.contains("Address: fd00:77::99") && names.contains("Address: 172."), "{names}");
    let four = host.ok(&["exec", "asks", "nslookup", "-type=aaaa", "asks"]);
    assert!(four.contains("fd00:77::2") && !four.contains("172."), "{four}");
    let back = host.ok(&["exec", "asks", "nslookup", "fd00:77::99"]);
    assert!(back.contains("web.six"), "{back}");
    // From the host, from another container, and through published ports.
    Host::page(&host.name, "http://[fd00:77::99]/", "hello web\n");
    let ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 20 fd00:77::99 80";
    assert!(host.ok(&["exec", "asks", "sh", "-c", ask]).ends_with("hello web\n"));
    for url in ["http://[::1]:8080/", "http://127.0.0.1:8080/", "http://[fd99::1]:8081/"] {
        Host::page(&host.name, url, "hello web\n");
    }
    for url in ["http://[fd99::1]:8080/", "http://[fd99::1]:8081/", "http://10.99.0.1:8080/"] {
        Host::page(&host.other, url, "hello web\n");
    }
    let rules = host.here("nft list ruleset");
    assert!(rules.contains("fd99::1 . tcp . 8081 : fd00:77::99 . 80"), "the kernel carries it: {rules}");
    host.ok(&["rm", "-f", "web", "asks"]);
    assert_eq!(host.here("nft list ruleset"), "");
}

#[test]
fn the_way_out_carries_the_hosts_address() {
    let Some(host) = Host::new() else { return };
    // One that hears routers goes on when the host forwards.
    host.here("echo 1 > /proc/sys/net/ipv6/conf/wire/accept_ra");
    host.ok(&["network", "create", "--ipv6", "out"]);
    let subnet = host.ok(&["network", "inspect", "-f", "{{(index .IPAM.Config 1).Subnet}}", "out"]);
    assert!(subnet.starts_with("fd") && subnet.ends_with("/64\n"), "one's own: {subnet}");
    let served = host.env.write("served/index.html", "from outside\n");
    let mut web = Command::new("busybox");
    web.args([
        "httpd",
        "-f",
        "-v",
        "-p",
        "[::]:8000",
        "-h",
        served.parent().expect("a folder").to_str().expect("plain"),
    ]);
    let mut serving = Host::inside(&host.other, &web).spawn().expect("busybox starts");
    Host::page(&host.name, "http://[fd99::2]:8000/", "from outside\n");
    // The other host has no way back to the container's own address.
    let ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 20 fd99::2 8000";
    let out = host.run(&["run", "--rm", "--network", "out", "busybox", "sh", "-c", ask]);
    host.ok(&["network", "create", "--ipv6", "--internal", "in"]);
    let no = host.run(&[
        "run",
        "--rm",
        "--network",
        "in",
        "busybox",
        "sh",
        "-c",
        "ip -6 route; ping -6 -c 1 -W 1 fd99::2",
    ]);
    serving.kill().expect("it runs");
    serving.wait().expect("it is a child");
    assert!(out.success().stdout.ends_with("from outside\n"));
    let no = no.fails_with(1).stdout;
    assert!(!no.contains("default"), "{no}");
    assert_eq!(host.here("cat /proc/sys/net/ipv6/conf/wire/accept_ra"), "2\n");
}

#[test]
fn what_does_not_fit_is_refused_with_dockers_words() {
    let Some(host) = Host::new() else { return };
    host.ok(&["network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd00:77::/64", "six"]);
    host.ok(&["network", "create", "four"]);
    host.ok(&["network", "create", "--ipv6", "own"]);
    let run = |args: &[&str]| {
        host.run(&[&["run", "--rm"][..], args, &["busybox", "true"]].concat()).fails_with(125).stderr
    };
    let configured = "user specified IP address is supported only when connecting to networks with user configured subnets";
    let only = "user specified IP address is supported on user defined networks only";
    for (args, why) in [
        (&["--network", "four", "--ip6", "fd00:77::9"][..], configured),
        (&["--network", "own", "--ip6", "fd00:77::9"], configured),
        (&["--ip6", "fd00:77::9"], only),
        (
            &["--network", "six", "--ip6", "fd00:66::9"],
            "no configured subnet or ip-range contain the IP address fd00:66::9",
        ),
        (
            &["--network", "six", "--ip", "10.66.0.9"],
            "no configured subnet or ip-range contain the IP address 10.66.0.9",
        ),
        (&["--network", "six", "--ip6", "fd00:77::1"], "Address already in use"),
    ] {
        let said = run(args);
        assert!(said.contains(why), "{args:?}: {said}");
    }
    let create = |args: &[&str]| {
        host.run(&[&["network", "create", "--ipv6"][..], args, &["new"]].concat()).fails_with(1).stderr
    };
    for (args, why) in [
        (&["--subnet", "fd00:77::/80"][..], "Pool overlaps with other one on this address space"),
        (
            &["--subnet", "fd00:79::/64", "--gateway", "fd00:7a::1"],
            "no matching subnet for gateway fd00:7a::1",
        ),
        (&["--gateway", "fd00:7a::1"], "must have a corresponding subnet"),
        (&["--subnet", "fd00::1/64"], "it should be fd00::/64"),
        (
            &["--subnet", "fd00:1::/64", "--subnet", "fd00:2::/64"],
            "bridge driver doesn't support multiple subnets",
        ),
    ] {
        let said = create(args);
        assert!(said.contains(why), "{args:?}: {said}");
    }
    // The wire's own subnet.
    host.ok(&["network", "create", "--ipv6", "--subnet", "fd99::/64", "wired"]);
    assert!(run(&["--network", "wired"]).contains("Pool overlaps"));
    // As docker: without the flag there is no IPv6.
    let made = host.run(&["network", "create", "--subnet", "fd00:80::/64", "plain"]).success();
    assert!(made.stderr.contains("without --ipv6"), "{}", made.stderr);
    assert_eq!(host.ok(&["network", "inspect", "-f", "{{.EnableIPv6}}", "plain"]), "false\n");
}

#[test]
fn running_containers_come_into_ipv6_and_leave_it() {
    let Some(host) = Host::new() else { return };
    host.ok(&[
        "network",
        "create",
        "--ipv6",
        "--subnet",
        "fd00:77::/64",
        "--ip-range",
        "fd00:77::80/121",
        "six",
    ]);
    host.ok(&["run", "-d", "--name", "late", "busybox", "sleep", "1000"]);
    let shown = |device: &str| {
        host.ok(&["exec", "late", "sh", "-c", &format!("ip -6 addr show {device} 2>&1; true")])
    };
    assert_eq!(shown("eth0"), "", "a network without IPv6 gives none");
    host.ok(&["network", "connect", "six", "late"]);
    assert!(
        shown("eth1").contains("inet6 fd00:77::81/64") && !shown("eth0").contains("inet6"),
        "{}",
        shown("eth1")
    );
    host.ok(&["network", "disconnect", "six", "late"]);
    assert!(shown("eth1").contains("can't find device"), "{}", shown("eth1"));
    host.ok(&["network", "connect", "--ip6", "fd00:77::85", "six", "late"]);
    assert!(shown("eth1").contains("inet6 fd00:77::85/64"), "{}", shown("eth1"));
    host.ok(&["restart", "-t", "0", "late"]);
    wait_until("the same address", LONG, || shown("eth1").contains("inet6 fd00:77::85/64"));
}
