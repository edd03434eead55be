//! Networks without a bridge: their containers are on a wire of the host's, or on one of the network's own.

mod support;

use std::process::Command;

use support::host::{Host, LONG};
use support::wait_until;

/// The wire's own addresses, of which the containers get some.
const ON_THE_WIRE: [&str; 15] = [
    "--subnet",
    "10.99.0.0/24",
    "--gateway",
    "10.99.0.2",
    "--ip-range",
    "10.99.0.64/26",
    "--aux-address",
    "router=10.99.0.65",
    "--ipv6",
    "--subnet",
    "fd99::/64",
    "--gateway",
    "fd99::2",
    "--ip-range",
    "fd99::100/120",
];

/// Whether the kernel makes interfaces of a kind, tried where nobody is disturbed.
#[allow(clippy::print_stderr, reason = "a test that is left out says why")]
fn has(kind: &str, words: &str) -> bool {
    let script = format!("ip link add v0 type veth peer name v1 && ip link add {words}");
    let tried = Command::new("unshare").args(["-n", "sh", "-c", &script]).output().expect("unshare starts");
    if !tried.status.success() {
        eprintln!("only its refusal is tried: this kernel has no {kind} interfaces");
    }
    tried.status.success()
}

#[test]
fn macvlan_containers_are_on_their_parents_wire() {
    let Some(host) = Host::new() else { return };
    let before = host.here("ip -o link; ip -4 -o addr show dev wire");
    host.create(&[&["-d", "macvlan"][..], &ON_THE_WIRE, &["-o", "parent=wire", "lan"]].concat());
    host.web("web", &["--network", "lan", "-p", "8080:80", "--network-alias", "www"]);
    host.sleeper("asks", &["--network", "lan", "--ip", "10.99.0.99", "--ip6", "fd99::99"]);
    // Other machines on the wire see them as their neighbours.
    Host::page(&host.other, "http://10.99.0.64/", "hello web\n");
    let six = host.ok(&["inspect", "-f", "{{.NetworkSettings.Networks.lan.GlobalIPv6Address}}", "web"]);
    Host::page(&host.other, &format!("http://[{}]/", six.trim()), "hello web\n");
    let inside = host.sh("asks", "ip -4 addr show eth0; ip route; ip -6 route; cat /etc/resolv.conf");
    for part in [
        "inet 10.99.0.99/24",
        "default via 10.99.0.2 dev eth0",
        "default via fd99::2",
        "nameserver 127.0.0.11",
    ] {
        assert!(inside.contains(part), "{part}: {inside}");
    }
    // They know each other's names, and reach each other.
    for name in ["web", "www", "web.lan"] {
        assert!(host.sh("asks", &Host::fetch(name)).ends_with("hello web\n"), "{name}");
    }
    // Ports are nobody's, and there are no rules.
    assert_eq!(host.ok(&["port", "web"]), "");
    assert_eq!(host.here("nft list ruleset; ss -Htln"), "");
    let shown = host.ok(&[
        "network", "inspect", "-f",
        "{{.Driver}} {{.EnableIPv4}} {{.EnableIPv6}} {{json .Options}} {{json .IPAM.Config}} {{range .Containers}}{{.Name}}={{.IPv4Address}} {{end}}",
        "lan",
    ]);
    for part in [
        "macvlan true true {\"parent\":\"wire\"} ",
        r#"{"Subnet":"10.99.0.0/24","IPRange":"10.99.0.64/26","Gateway":"10.99.0.2","AuxiliaryAddresses":{"router":"10.99.0.65"}}"#,
        "asks=10.99.0.99/24",
        "web=10.99.0.64/24",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(
        host.ok(&["network", "ls", "-f", "driver=macvlan", "--format", "{{.Name}} {{.Scope}}"]),
        "lan local\n"
    );
    let used = host.run(&["network", "rm", "lan"]).fails_with(1).stderr;
    assert!(used.contains("has active endpoints"), "{used}");
    // Stopped ones come back to their addresses; after the last nothing is left.
    host.ok(&["restart", "-t", "0", "asks"]);
    assert!(host.sh("asks", "ip -4 addr show eth0").contains("10.99.0.99/24"));
    host.ok(&["rm", "-f", "web", "asks"]);
    assert_eq!(host.ok(&["network", "prune", "-f"]), "Deleted Networks:\nlan\n\n");
    assert_eq!(host.here("ip -o link; ip -4 -o addr show dev wire"), before, "the parent is as it was");
}

#[test]
fn running_and_stopped_containers_come_into_macvlan_and_leave_it() {
    let Some(host) = Host::new() else { return };
    host.create(&[
        "-d",
        "macvlan",
        "--subnet",
        "10.99.0.0/24",
        "--subnet",
        "10.98.0.0/24",
        "-o",
        "parent=wire",
        "lan",
    ]);
    host.sleeper("late", &[]);
    host.ok(&["create", "--name", "stopped", "busybox", "ip", "-4", "-o", "addr"]);
    for name in ["late", "stopped"] {
        host.ok(&["network", "connect", "--alias", &format!("{name}-alias"), "lan", name]);
    }
    // Docker's choice too: the first by name has the way out.
    let routes = host.sh("late", "ip -4 -o addr show eth1; ip route");
    assert!(
        routes.contains("10.99.0.2/24") && routes.contains("default via 172.17.0.1 dev eth0"),
        "{routes}"
    );
    assert!(host.ok(&["start", "-a", "stopped"]).contains("10.99.0.3/24"));
    assert!(host.sh("late", "nslookup late-alias").contains("Address: 10.99.0.2"));
    // The other subnet's addresses are there for those who ask.
    let other = [
        "run",
        "--rm",
        "--network",
        "lan",
        "--ip",
        "10.98.0.7",
        "busybox",
        "sh",
        "-c",
        "ip -4 -o addr show eth0; ip route",
    ];
    let other = host.ok(&other);
    assert!(other.contains("10.98.0.7/24") && other.contains("default via 10.98.0.1"), "{other}");
    host.ok(&["network", "disconnect", "bridge", "late"]);
    let routes = host.sh("late", "ip route");
    assert!(routes.contains("default via 10.99.0.1 dev eth1"), "{routes}");
    host.ok(&["network", "disconnect", "lan", "late"]);
    assert_eq!(host.sh("late", "ip route; ip -o link | wc -l"), "1\n");
    // A monitor that is killed leaves nothing that would keep its address.
    host.sleeper("killed", &["--network", "lan", "--ip", "10.99.0.50"]);
    let monitor = host.ok(&["inspect", "-f", "{{.State.Pid}}", "killed"]);
    host.here(&format!("kill -9 $(awk '/^PPid/ {{print $2}}' /proc/{}/status)", monitor.trim()));
    wait_until("its end", LONG, || host.ok(&["ps", "-q", "-f", "name=killed"]).is_empty());
    host.sleeper("next", &["--network", "lan", "--ip", "10.99.0.50"]);
}

#[test]
fn modes_of_macvlan_are_the_kernels() {
    let Some(host) = Host::new() else { return };
    let reach = |network: &str, reached: bool| {
        // What answers does so at once, on a machine that has the time.
        let patience = if reached { "30" } else { "2" };
        host.sleeper("there", &["--network", network]);
        let asked = host.run(&[
            "run",
            "--rm",
            "--network",
            network,
            "busybox",
            "ping",
            "-c",
            "1",
            "-W",
            patience,
            "there",
        ]);
        host.ok(&["rm", "-f", "there"]);
        asked.code == Some(0)
    };
    for (mode, reached) in [("bridge", true), ("private", false), ("vepa", false)] {
        let name = &format!("m-{mode}");
        host.create(&["-d", "macvlan", "-o", "parent=wire", "-o", &format!("macvlan_mode={mode}"), name]);
        assert_eq!(reach(name, reached), reached, "{mode}");
        host.ok(&["network", "rm", name]);
    }
    // One container alone has all of the parent.
    host.create(&["-d", "macvlan", "-o", "parent=wire", "-o", "macvlan_mode=passthru", "alone"]);
    let beside =
        host.run(&["network", "create", "-d", "macvlan", "-o", "parent=wire", "beside"]).fails_with(1).stderr;
    assert!(beside.ends_with("is already using parent interface wire in mode passthru\n"), "{beside}");
    host.sleeper("one", &["--network", "alone"]);
    let two = host.run(&["run", "--rm", "--network", "alone", "busybox", "true"]).fails_with(125).stderr;
    assert!(
        two.contains(
            "failed to set up container networking: failed to create the macvlan port: Invalid argument"
        ),
        "{two}"
    );
    host.ok(&["rm", "-f", "one"]);
}

#[test]
fn ipvlan_shares_the_parents_hardware_address() {
    let Some(host) = Host::new() else { return };
    host.create(&[&["-d", "ipvlan"][..], &ON_THE_WIRE, &["-o", "parent=wire", "lan"]].concat());
    let again =
        host.run(&["network", "create", "-d", "ipvlan", "-o", "parent=wire", "again"]).fails_with(1).stderr;
    assert!(
        again.starts_with("Error response from daemon: network di-")
            && again.ends_with("is already using parent interface wire\n"),
        "{again}"
    );
    if !has("ipvlan", "link v0 name i0 type ipvlan") {
        let refused =
            host.run(&["run", "--rm", "--network", "lan", "busybox", "true"]).fails_with(125).stderr;
        assert!(refused.contains("failed to create the ipvlan port: Operation not supported"), "{refused}");
        return;
    }
    host.web("web", &["--network", "lan"]);
    Host::page(&host.other, "http://10.99.0.64/", "hello web\n");
    let own = host.here("ip -br link show wire | awk '{print $3}'");
    assert_eq!(host.sh("web", "cat /sys/class/net/eth0/address"), own);
    assert_eq!(host.ok(&["inspect", "-f", "{{.NetworkSettings.Networks.lan.MacAddress}}", "web"]), "\n");
    let asks = ["run", "--rm", "--network", "lan", "busybox", "sh", "-c", &Host::fetch("web")];
    assert!(host.ok(&asks).ends_with("hello web\n"));
    host.ok(&["rm", "-f", "web"]);
    host.ok(&["network", "rm", "lan"]);
    for mode in ["l3", "l3s"] {
        host.create(&[
            "-d",
            "ipvlan",
            "-o",
            "parent=wire",
            "-o",
            &format!("ipvlan_mode={mode}"),
            "--subnet",
            "10.81.0.0/24",
            "--ipv6",
            "--subnet",
            "fd81::/64",
            mode,
        ]);
        host.web("web", &["--network", mode]);
        Host::shell(&host.other, "ip route replace 10.81.0.0/24 via 10.99.0.1 dev wire onlink");
        let routes = host.sh("web", "ip route; ip -6 route");
        assert!(routes.contains("default dev eth0") && !routes.contains("via"), "{routes}");
        host.ok(&["rm", "-f", "web"]);
        host.ok(&["network", "rm", mode]);
    }
}

#[test]
fn vlans_and_links_of_its_own_are_made_and_go_with_the_network() {
    let Some(host) = Host::new() else { return };
    let before = host.here("ip -o link");
    if has("vlan", "link v0 name v0.10 type vlan id 10") {
        host.create(&["-d", "macvlan", "-o", "parent=wire.10", "--subnet", "10.10.0.0/24", "vlan"]);
        host.create(&["-d", "macvlan", "-o", "parent=wire.10", "--subnet", "10.11.0.0/24", "vlan2"]);
        assert!(host.here("ip -d -o link show wire.10").contains("vlan protocol 802.1Q id 10"));
        Host::shell(
            &host.other,
            "ip link add link wire name wire.10 type vlan id 10; ip addr add 10.10.0.200/24 dev wire.10; ip link set wire.10 up",
        );
        host.web("web", &["--network", "vlan"]);
        Host::page(&host.other, "http://10.10.0.2/", "hello web\n");
        host.ok(&["rm", "-f", "web"]);
        host.ok(&["network", "rm", "vlan"]);
        assert!(host.here("ip -o link show wire.10").contains("wire.10"), "another network has it still");
        host.ok(&["network", "rm", "vlan2"]);
    } else {
        let refused = host
            .run(&["network", "create", "-d", "macvlan", "-o", "parent=wire.10", "vlan"])
            .fails_with(1)
            .stderr;
        assert!(refused.contains("failed to create the vlan wire.10: Operation not supported"), "{refused}");
    }
    assert_eq!(host.here("ip -o link"), before);
    for driver in ["macvlan", "ipvlan"] {
        if !has("dummy", "d0 type dummy") || !has(driver, &format!("link v0 name m0 type {driver}")) {
            let made = host.run(&["network", "create", "-d", driver, "own"]);
            if made.code == Some(0) {
                host.ok(&["network", "rm", "own"]);
                continue;
            }
            let refused = made.fails_with(1).stderr;
            assert!(refused.contains("failed to create the dummy dm-"), "{refused}");
            assert_eq!(host.ok(&["network", "ls", "-q", "-f", "type=custom"]), "");
            continue;
        }
        let id = host.create(&["-d", driver, "own"]);
        assert!(host.here("ip -o link").contains(&format!("dm-{}", &id[..12])));
        host.web("web", &["--network", "own"]);
        let asks = [
            "run",
            "--rm",
            "--network",
            "own",
            "busybox",
            "sh",
            "-c",
            &format!("ip route | grep -c default; {}", Host::fetch("web")),
        ];
        let asked = host.ok(&asks);
        assert!(asked.starts_with("0\n") && asked.ends_with("hello web\n"), "{asked}");
        host.ok(&["rm", "-f", "web"]);
        host.ok(&["network", "rm", "own"]);
    }
    assert_eq!(host.here("ip -o link"), before);
}

#[test]
fn what_can_not_be_is_refused_with_dockers_words() {
    let Some(host) = Host::new() else { return };
    host.create(&["-d", "macvlan", "-o", "parent=wire", "lan"]);
    let no_swarm = "This node is not a swarm manager.";
    for (words, said) in [
        ("-d host", "only one instance of \"host\" network is allowed\n"),
        ("-d null", "only one instance of \"null\" network is allowed\n"),
        ("-d none", "plugin \"none\" not found\n"),
        ("-d foo", "plugin \"foo\" not found\n"),
        ("-d overlay", no_swarm),
        ("--scope swarm", "cannot create a swarm scoped network when swarm is not active\n"),
        ("--ingress", "Ingress network can only be global scope network\n"),
        ("--ipam-driver null", "ipv4 pool is empty\n"),
        (
            "--ipam-driver null --subnet 10.1.0.0/24",
            "null ipam driver does not handle specific address pool requests\n",
        ),
        ("--ipam-driver foo", "plugin \"foo\" not found\n"),
        ("--ipv4=false", "IPv4 or IPv6 must be enabled\n"),
        ("--subnet 10.1.0.0/24 --subnet 10.2.0.0/24", "bridge driver doesn't support multiple subnets\n"),
        (
            "--subnet 10.1.0.0/16 --subnet 10.1.2.0/24",
            "multiple overlapping subnet configuration is not supported\n",
        ),
        (
            "--subnet 10.1.0.0/24 --gateway 10.1.0.1 --gateway 10.1.0.2",
            "cannot configure multiple gateways (10.1.0.2, 10.1.0.1) for the same subnet (10.1.0.0/24)\n",
        ),
        ("-d macvlan -o parent=lo", "loopback interface is not a valid macvlan parent link\n"),
        ("-d macvlan -o parent=nope", "invalid subinterface vlan name nope, example formatting is eth0.10\n"),
        ("-d macvlan -o parent=nope.10", "-o parent interface was not found on the host: nope\n"),
        (
            "-d macvlan -o parent=wire.x",
            "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)\n",
        ),
        ("-d macvlan -o parent=wire.9999", "vlan id must be between 1-4094, received: 9999\n"),
        (
            "-d macvlan -o parent=wire -o macvlan_mode=x",
            "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default\n",
        ),
        ("-d macvlan -o parent=wire -o macvlan_mode=passthru", "is already using parent interface wire\n"),
        (
            "-d ipvlan -o parent=wire -o ipvlan_mode=x",
            "requested ipvlan mode 'x' is not valid, 'l2' mode is the ipvlan driver default\n",
        ),
        (
            "-d ipvlan -o parent=wire -o ipvlan_flag=x",
            "requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default\n",
        ),
        ("-o com.docker.network.bridge.gateway_mode_ipv4=x", "(unknown gateway mode x)\n"),
        (
            "-o com.docker.network.bridge.gateway_mode_ipv4=isolated",
            "gateway mode 'isolated' can only be used for an internal network\n",
        ),
        (
            "-o com.docker.network.bridge.enable_icc=x",
            "value: x (strconv.ParseBool: parsing \"x\": invalid syntax)\n",
        ),
        ("-o com.docker.network.host_ipv4=10.99.0.1", "host_ipv4 is not available in this version\n"),
    ] {
        let args: Vec<&str> = words.split(' ').collect();
        let refused = host.run(&[&["network", "create"][..], &args, &["new"]].concat()).fails_with(1).stderr;
        assert!(refused.contains(said), "{words}: {refused}");
    }
    assert_eq!(host.ok(&["network", "ls", "-f", "type=custom", "--format", "{{.Name}}"]), "lan\n");
}
