//! Networks made like others, networks of IPv6 alone, and what may be asked of interfaces and of bridges.

mod support;

use support::host::{Host, LONG};
use support::wait_until;

#[test]
fn networks_are_made_like_others() {
    let Some(host) = Host::new() else { return };
    let option = "com.docker.network.driver.mtu=1400";
    host.create(&[
        "--config-only",
        "--subnet",
        "10.77.0.0/24",
        "--label",
        "a=b",
        "--ipam-opt",
        "c=d",
        "-o",
        option,
        "like",
    ]);
    let shown = "{{.Driver}} {{.ConfigOnly}} {{.ConfigFrom.Network}} {{json .IPAM}} {{json .Options}} {{json .Labels}}";
    let inspect = |name: &str| host.ok(&["network", "inspect", "-f", shown, name]);
    let rest = r#"{"com.docker.network.driver.mtu":"1400"} {"a":"b"}"#;
    let subnet = r#"{"Driver":"default","Options":{"c":"d"},"Config":[{"Subnet":"10.77.0.0/24""#;
    assert_eq!(inspect("like"), format!("null true  {subnet}}}]}} {rest}\n"));
    host.create(&["--config-from", "like", "made"]);
    assert_eq!(
        inspect("made"),
        format!("bridge false like {subnet},\"Gateway\":\"10.77.0.1\"}}]}} {rest}\n")
    );
    let run = |network: &str| {
        host.run(&["run", "--rm", "--network", network, "busybox", "ip", "addr", "show", "eth0"])
    };
    let inside = run("made").success().stdout;
    assert!(inside.contains("mtu 1400") && inside.contains("10.77.0.2/24"), "{inside}");
    let nobody = run("like").fails_with(125).stderr;
    assert!(nobody.contains("cannot create endpoint on configuration-only network"), "{nobody}");
    let own =
        "user specified configurations are not supported if the network depends on a configuration network";
    for (args, said) in [
        (&["--config-from", "nope"][..], "configuration network \"nope\" does not exist"),
        (&["--config-from", "made"], "configuration network \"made\" does not exist"),
        (&["--config-from", "like"], "Pool overlaps with other one on this address space"),
        (&["--config-from", "like", "--label", "x=y"], own),
        (&["--config-from", "like", "--subnet", "10.1.0.0/24"], own),
        (&["--config-from", "like", "--ipv6"], own),
        (&["--config-from", "like", "-o", "a=b"], "network driver options are not supported if"),
        (&["--config-from", "like", "--config-only"], "cannot depend on another configuration network"),
        (&["--config-only", "--internal"], "configuration network can only contain network specific fields"),
    ] {
        let refused = host.run(&[&["network", "create"][..], args, &["new"]].concat()).fails_with(1).stderr;
        assert!(refused.contains(said), "{args:?}: {refused}");
    }
    let used = host.run(&["network", "rm", "like"]).fails_with(1).stderr;
    assert!(used.contains("configuration network \"like\" is in use"), "{used}");
    assert_eq!(
        host.ok(&["network", "prune", "-f"]),
        "Deleted Networks:\nmade\n\n",
        "what others are made like stays"
    );
    host.ok(&["network", "rm", "like"]);
    // Further words of the scope and of the attachable are kept.
    host.create(&["--scope", "global", "--attachable", "wide"]);
    assert_eq!(
        host.ok(&["network", "ls", "-f", "scope=global", "--format", "{{.Name}} {{.Scope}}"]),
        "wide global\n"
    );
}

#[test]
fn networks_may_be_of_ipv6_alone() {
    let Some(host) = Host::new() else { return };
    host.create(&["--ipv4=false", "--ipv6", "--subnet", "fd00:77::/64", "six"]);
    host.web("web", &["--network", "six", "-p", "8080:80"]);
    let shown = host.ok(&["network", "inspect", "-f", "{{.EnableIPv4}} {{.EnableIPv6}} {{len .IPAM.Config}} {{range .Containers}}{{json .IPv4Address}} {{.IPv6Address}}{{end}}", "six"]);
    assert_eq!(shown, "false true 1 \"\" fd00:77::2/64\n");
    assert_eq!(host.ok(&["port", "web"]), "80/tcp -> [::]:8080\n");
    let place = "{{with .NetworkSettings.Networks.six}}{{json .IPAddress}} {{.IPPrefixLen}} {{.GlobalIPv6Address}} {{.IPv6Gateway}}{{end}}";
    assert_eq!(host.ok(&["inspect", "-f", place, "web"]), "\"\" 0 fd00:77::2 fd00:77::1\n");
    let inside = host.sh("web", "ip -4 addr show eth0; ip route; ip -6 route; tail -n 1 /etc/hosts");
    assert!(
        inside.starts_with("fd00:77::/64 dev eth0")
            && inside.contains("default via fd00:77::1")
            && inside.contains("fd00:77::2\t"),
        "{inside}"
    );
    for url in ["http://[::1]:8080/", "http://[fd00:77::2]/"] {
        Host::page(&host.name, url, "hello web\n");
    }
    Host::page(&host.other, "http://[fd99::1]:8080/", "hello web\n");
    let asks = ["run", "--rm", "--network", "six", "busybox", "sh", "-c", &Host::fetch("web")];
    assert!(host.ok(&asks).ends_with("hello web\n"));
    // Beside a network of IPv4, each kind has its own way out.
    host.sleeper("both", &["--network", "six"]);
    host.ok(&["network", "connect", "bridge", "both"]);
    let routes = host.sh("both", "ip route; ip -6 route");
    assert!(
        routes.contains("default via 172.17.0.1 dev eth1")
            && routes.contains("default via fd00:77::1 dev eth0"),
        "{routes}"
    );
    let four = host
        .run(&["run", "--rm", "--network", "six", "--ip", "10.1.1.1", "busybox", "true"])
        .fails_with(125)
        .stderr;
    assert!(four.contains("user configured subnets"), "{four}");
    host.ok(&["rm", "-f", "web", "both"]);
    assert_eq!(host.here("nft list ruleset"), "");
}

#[test]
fn interfaces_have_what_is_asked_of_them() {
    let Some(host) = Host::new() else { return };
    host.create(&["--ipv6", "own"]);
    host.create(&["-d", "macvlan", "-o", "parent=wire", "lan"]);
    let name = "driver-opt=com.docker.network.endpoint.ifname=foo0";
    let settings = "driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1";
    for network in ["own", "lan"] {
        let long =
            format!("name={network},link-local-ip=169.254.7.7,{name},{settings},driver-opt=some.thing=x");
        let inside = host.ok(&[
            "run",
            "--rm",
            "--network",
            &long,
            "busybox",
            "sh",
            "-c",
            "ip -4 addr show foo0; cat /proc/sys/net/ipv4/conf/foo0/log_martians",
        ]);
        assert!(inside.contains("inet 169.254.7.7/16") && inside.ends_with("\n1\n"), "{inside}");
    }
    let flag = [
        "run",
        "--rm",
        "--network",
        "own",
        "--link-local-ip",
        "169.254.8.8",
        "--link-local-ip",
        "fe80::77",
        "busybox",
        "ip",
        "addr",
        "show",
        "eth0",
    ];
    let inside = host.ok(&flag);
    assert!(inside.contains("inet 169.254.8.8/16") && inside.contains("inet6 fe80::77/64"), "{inside}");
    // And of those that come later.
    host.sleeper("web", &["--network", "own"]);
    host.sleeper("late", &["--network", "lan"]);
    host.ok(&[
        "network", "connect", "--link-local-ip", "169.254.7.7", "--link", "web:called", "--link", "nobody:missing",
        "--driver-opt", "com.docker.network.endpoint.ifname=foo1",
        "--driver-opt", "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.neigh.IFNAME.app_solicit=5",
        "own", "late",
    ]);
    let inside = host.sh("late",
        "ip -4 addr show foo1; cat /proc/sys/net/ipv4/conf/foo1/log_martians /proc/sys/net/ipv4/neigh/foo1/app_solicit",
    );
    assert!(inside.contains("169.254.7.7/16") && inside.ends_with("\n1\n5\n"), "{inside}");
    let shown = "{{with .NetworkSettings.Networks.own}}{{json .IPAMConfig}} {{json .Links}} {{json .DriverOpts}}{{end}}";
    assert_eq!(
        host.ok(&["inspect", "-f", shown, "late"]),
        "{\"LinkLocalIPs\":[\"169.254.7.7\"]} [\"web:called\",\"nobody:missing\"] {\"com.docker.network.endpoint.ifname\":\"foo1\",\
         \"com.docker.network.endpoint.sysctls\":\"net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.neigh.IFNAME.app_solicit=5\"}\n"
    );
    // A link is a name for one container alone.
    assert!(host.sh("late", "nslookup called").contains("Address: 172."));
    host.run(&["exec", "web", "nslookup", "called"]).fails_with(1);
    let linked =
        host.ok(&["run", "--rm", "--network", "own", "--link", "web:mine", "busybox", "nslookup", "mine"]);
    assert!(linked.contains("Address: 172."), "{linked}");
    for (field, said) in [
        ("driver-opt=foo", "invalid key value pair format in driver options"),
        ("driver-opt=com.docker.network.endpoint.ifname=lo", "an interface lo already"),
        ("driver-opt=com.docker.network.endpoint.ifname=a/b", "invalid interface name"),
        (
            "driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.eth0.x=1",
            "unrecognised network interface sysctl 'net.ipv4.conf.eth0.x=1'",
        ),
        (
            "driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.nosuch=1",
            "/proc/sys/net/ipv4/conf/eth0/nosuch is not a sysctl file",
        ),
        ("link-local-ip=zz", "invalid link-local IP address: zz"),
        ("link-local-ip=10.1.2.3", "invalid link local IP address: 10.1.2.3"),
    ] {
        let refused = host
            .run(&["run", "--rm", "--network", &format!("name=own,{field}"), "busybox", "true"])
            .fails_with(125)
            .stderr;
        assert!(refused.contains(said), "{field}: {refused}");
    }
    let none = host
        .run(&["run", "--rm", "--network", "lan", "--link-local-ip", "fe80::5", "busybox", "true"])
        .fails_with(125)
        .stderr;
    assert!(none.contains("the address fe80::5 needs IPv6"), "{none}");
    let pair = host.run(&["network", "connect", "--driver-opt", "foo", "own", "web"]).fails_with(1).stderr;
    assert_eq!(pair, "invalid key/value pair format in driver options\n");
}

#[test]
fn bridges_let_pass_what_their_gateway_mode_says() {
    let Some(host) = Host::new() else { return };
    Host::shell(&host.other, "ip route add 10.77.0.0/24 via 10.99.0.1");
    let key = "com.docker.network.bridge";
    // Asked at its own address and a published port of its own, a port that is not, and the host's port.
    let addresses = ["10.77.0.2:80", "10.77.0.2:81", "10.99.0.1:8080"];
    for (option, ports, expected) in [
        (format!("{key}.gateway_mode_ipv4=nat"), "80/tcp -> 0.0.0.0:8080", [false, false, true]),
        (format!("{key}.gateway_mode_ipv4=nat-unprotected"), "80/tcp -> 0.0.0.0:8080", [true, true, true]),
        (format!("{key}.gateway_mode_ipv4=routed"), "80/tcp -> 0.0.0.0:\n", [true, false, false]),
        (format!("{key}.trusted_host_interfaces=wire:other"), "80/tcp -> 0.0.0.0:8080", [true, true, true]),
        (format!("{key}.host_binding_ipv4=127.0.0.1"), "80/tcp -> 127.0.0.1:8080", [false, false, false]),
    ] {
        host.create(&["--subnet", "10.77.0.0/24", "-o", &option, "it"]);
        host.web("web", &["--network", "it", "-p", "8080:80"]);
        host.ok(&["exec", "-d", "web", "httpd", "-f", "-p", "81", "-h", "/w"]);
        let inside = format!("wget -qO- http://{}/", "127.0.0.1:81");
        wait_until("both servers", LONG, || host.run(&["exec", "web", "sh", "-c", &inside]).code == Some(0));
        Host::page(&host.name, "http://10.77.0.2/", "hello web\n");
        for (address, reached) in addresses.into_iter().zip(expected) {
            if reached {
                Host::page(&host.other, &format!("http://{address}/"), "hello web\n");
            } else {
                let said = Host::shell(&host.other, &format!("curl -s --max-time 2 http://{address}/"));
                assert_eq!(said, "", "{option}: {address}");
            }
        }
        let shown = host.ok(&["port", "web"]);
        assert!(shown.starts_with(ports), "{option}: {shown}");
        host.ok(&["rm", "-f", "web"]);
        host.ok(&["network", "rm", "it"]);
    }
    // Without masquerading others see the container's own address, as they do where it is routed to.
    host.create(&["--subnet", "10.77.0.0/24", "-o", &format!("{key}.gateway_mode_ipv4=routed"), "it"]);
    let out =
        host.ok(&["run", "--rm", "--network", "it", "busybox", "ping", "-c", "1", "-W", "30", "10.99.0.2"]);
    assert!(out.contains("1 packets received"), "{out}");
    host.ok(&["network", "rm", "it"]);
    // The bridge of an isolated network has no address; a container may have the first.
    host.create(&[
        "--internal",
        "-o",
        &format!("{key}.gateway_mode_ipv4=isolated"),
        "--subnet",
        "10.77.0.0/24",
        "it",
    ]);
    let inside =
        host.ok(&["run", "--rm", "--network", "it", "busybox", "sh", "-c", "ip -4 addr show eth0; ip route"]);
    assert!(inside.contains("10.77.0.1/24") && !inside.contains("default"), "{inside}");
    assert_eq!(host.here("ip -4 -o addr | grep br-; ip -o link | grep -c br-"), "1\n");
    assert_eq!(
        host.ok(&["network", "inspect", "-f", "{{json .IPAM.Config}}", "it"]),
        "[{\"Subnet\":\"10.77.0.0/24\"}]\n"
    );
    host.ok(&["network", "rm", "it"]);
    host.create(&["-o", &format!("{key}.inhibit_ipv4=true"), "--subnet", "10.77.0.0/24", "it"]);
    let inside = host.ok(&["run", "--rm", "--network", "it", "busybox", "ip", "route"]);
    assert!(inside.contains("default via 10.77.0.1"), "{inside}");
    assert_eq!(host.here("ip -4 -o addr | grep br-; ip -o link | grep -c br-"), "1\n");
}

#[test]
fn an_engine_and_its_clients_have_it_all_too() {
    let Some(host) = Host::new() else { return };
    let engine = support::engine::Engine::inside(&host);
    let at = engine.host();
    let client = |args: &[&str]| host.run(&[&["-H", &at][..], args].concat());
    let ok = |args: &[&str]| client(args).success().stdout;
    ok(&[
        "network",
        "create",
        "-d",
        "macvlan",
        "--subnet",
        "10.99.0.0/24",
        "--subnet",
        "10.98.0.0/24",
        "--gateway",
        "10.99.0.2",
        "--aux-address",
        "a=10.98.0.1",
        "-o",
        "parent=wire",
        "lan",
    ]);
    ok(&["network", "create", "--ipv4=false", "--ipv6", "--scope", "global", "--ipam-opt", "a=b", "six"]);
    ok(&["network", "create", "--config-only", "--label", "a=b", "like"]);
    ok(&["network", "create", "--config-from", "like", "made"]);
    assert_eq!(
        ok(&[
            "network",
            "ls",
            "-f",
            "type=custom",
            "--format",
            "{{.Name}} {{.Driver}} {{.Scope}} {{.IPv4}} {{.IPv6}}"
        ]),
        "lan macvlan local true false\nlike null local true false\nmade bridge local true false\nsix bridge global false true\n"
    );
    let lan = ok(&["network", "inspect", "-f", "{{json .IPAM.Config}}", "lan"]);
    assert_eq!(
        lan,
        "[{\"Subnet\":\"10.99.0.0/24\",\"Gateway\":\"10.99.0.2\"},{\"Subnet\":\"10.98.0.0/24\",\"Gateway\":\"10.98.0.2\",\"AuxiliaryAddresses\":{\"a\":\"10.98.0.1\"}}]\n"
    );
    let made = ok(&["network", "inspect", "-f", "{{.ConfigFrom.Network}} {{json .Labels}}", "made"]);
    assert_eq!(made, "like {\"a\":\"b\"}\n");
    let long = "name=lan,link-local-ip=169.254.7.7,driver-opt=com.docker.network.endpoint.ifname=foo0";
    ok(&["run", "-d", "--name", "one", "--network", long, "busybox", "sleep", "1000"]);
    ok(&[
        "run",
        "-d",
        "--name",
        "two",
        "--network",
        "made",
        "--link-local-ip",
        "169.254.7.8",
        "--link",
        "one:mine",
        "busybox",
        "sleep",
        "1000",
    ]);
    assert!(ok(&["exec", "one", "ip", "addr", "show", "foo0"]).contains("169.254.7.7/16"));
    assert!(ok(&["exec", "two", "ip", "addr", "show", "eth0"]).contains("169.254.7.8/16"));
    ok(&[
        "network",
        "connect",
        "--link",
        "one:called",
        "--driver-opt",
        "com.docker.network.endpoint.ifname=foo1",
        "lan",
        "two",
    ]);
    assert!(ok(&["exec", "two", "nslookup", "called"]).contains("Address: 10.99.0.1"));
    assert!(ok(&["exec", "two", "ip", "addr", "show", "foo1"]).contains("10.99.0."));
    ok(&["network", "disconnect", "lan", "two"]);
    let host_only = client(&["network", "create", "-d", "host", "hh"]).fails_with(1).stderr;
    assert_eq!(host_only, "Error response from daemon: only one instance of \"host\" network is allowed\n");
    let missing =
        client(&["network", "create", "-d", "macvlan", "-o", "parent=nope.1", "hh"]).fails_with(1).stderr;
    assert_eq!(missing, "Error response from daemon: -o parent interface was not found on the host: nope\n");
    let bad = client(&[
        "run",
        "--rm",
        "--network",
        "name=made,driver-opt=com.docker.network.endpoint.sysctls=a=b",
        "busybox",
    ])
    .fails_with(125)
    .stderr;
    assert!(bad.contains("unrecognised network interface sysctl 'a=b'"), "{bad}");
    ok(&["rm", "-f", "one", "two"]);
    assert_eq!(ok(&["network", "prune", "-f"]), "Deleted Networks:\nlan\nmade\nsix\n\n");
    ok(&["network", "rm", "like"]);
}
