//! A host with a firewall of its own: containers work beside it, and it is afterwards what it was before.

mod support;

use support::host::{Host, LONG};
use support::wait_until;

/// Rules as they are, without what counts packets and tells the time.
fn rules(host: &Host) -> String {
    let all = "nft list ruleset; for save in iptables-save ip6tables-save; do $save; done | grep -v '^#'";
    let bare = "sed -E 's/ ?counter packets [0-9]+ bytes [0-9]+//; s/ \\[[0-9]+:[0-9]+\\]$//'";
    host.here(&format!("{{ {all}; }} | {bare}"))
}

/// A container that serves others and asks others.
fn works(host: &Host) {
    host.web("web", &["-p", "8080:80"]);
    Host::page(&host.other, "http://10.99.0.1:8080/", "hello web\n");
    let ping = ["exec", "web", "ping", "-c", "1", "-W", "5", "10.99.0.2"];
    wait_until("an answer from another host", LONG, || host.run(&ping).code == Some(0));
}

/// Each of the host's own rules is there, in its order.
fn contains(now: &str, before: &str) -> bool {
    let mut lines = now.lines();
    before.lines().all(|line| lines.any(|other| other == line))
}

#[test]
fn iptables_that_drop_let_containers_through_and_are_the_same_afterwards() {
    let Some(host) = Host::new() else { return };
    host.here(
        "for t in iptables ip6tables; do $t -P FORWARD DROP; $t -A FORWARD -i tun9 -j ACCEPT; \
         $t -A INPUT -p tcp --dport 9 -j DROP; $t -t nat -A POSTROUTING -o tun9 -j MASQUERADE; done",
    );
    let before = rules(&host);
    assert!(before.contains(":FORWARD DROP") && before.contains("-o tun9 -j MASQUERADE"), "{before}");
    works(&host);
    let now = rules(&host);
    assert!(contains(&now, &before), "{now}");
    // Another container of the network needs no rules of its own, and its end takes none away.
    let passing = |host: &Host| host.here("iptables-save | grep -c 'comment \"skiff '");
    assert_eq!(passing(&host), "2\n");
    host.ok(&["run", "--rm", "busybox", "ping", "-c", "1", "-W", "20", "10.99.0.2"]);
    assert_eq!(passing(&host), "2\n");
    // iptables is loaded anew: the next start brings the way back.
    host.here("iptables -D FORWARD 1; iptables -D FORWARD 1");
    assert_eq!(passing(&host), "0\n");
    host.ok(&["run", "--rm", "busybox", "ping", "-c", "1", "-W", "20", "10.99.0.2"]);
    assert_eq!(passing(&host), "2\n");
    // The last container takes everything along, however it ends.
    host.ok(&["rm", "-f", "web"]);
    // Of one that ended of itself it may be a moment later.
    wait_until("the end of the rules", LONG, || rules(&host) == before);
    host.ok(&["run", "--rm", "busybox", "true"]);
    wait_until("the end of the rules", LONG, || rules(&host) == before);
}

#[test]
fn tables_of_others_are_theirs() {
    let Some(host) = Host::new() else { return };
    let own = "table inet own {
        chain forward { type filter hook forward priority 10; policy drop; %; }
        chain input { type filter hook input priority 0; tcp dport 9 drop; }
        chain prerouting { type nat hook prerouting priority -100; tcp dport 7777 redirect to :7; }
    }";
    host.here(&format!("nft '{}'", own.replace('%', "ct state established accept")));
    let before = rules(&host);
    // What drops by default drops containers' packets too.
    host.web("web", &["-p", "8080:80"]);
    Host::page(&host.name, "http://127.0.0.1:8080/", "hello web\n");
    assert_eq!(Host::shell(&host.other, "curl -s --max-time 1 http://10.99.0.1:8080/"), "");
    let now = rules(&host);
    assert!(contains(&now, &before), "{now}");
    host.ok(&["rm", "-f", "web"]);
    assert_eq!(rules(&host), before);
    // One that lets bridges through lets containers through.
    let through = "ct state established accept; iifname \"br-*\" accept; oifname \"br-*\" accept";
    host.here(&format!("nft flush ruleset; nft '{}'", own.replace('%', through)));
    let before = rules(&host);
    works(&host);
    host.ok(&["network", "create", "mine"]);
    host.ok(&[
        "run",
        "-d",
        "--name",
        "other",
        "--network",
        "mine",
        "-p",
        "8081:80",
        "busybox",
        "sleep",
        "1000",
    ]);
    let now = rules(&host);
    assert!(contains(&now, &before) && now.contains("8081"), "{now}");
    host.ok(&["rm", "-f", "web"]);
    host.ok(&["stop", "-t", "0", "other"]);
    assert_eq!(rules(&host), before);
}

#[test]
fn rules_go_with_a_container_whose_monitor_was_killed() {
    let Some(host) = Host::new() else { return };
    host.here("iptables -P FORWARD DROP");
    let before = rules(&host);
    works(&host);
    let id = host.ok(&["ps", "-q", "--no-trunc"]);
    host.here(&format!("pkill -9 -f '[c]ontainer-monitor .* {}'", id.trim()));
    wait_until("the truth", LONG, || host.ok(&["ps", "-a", "--format", "{{.Status}}"]).starts_with("Exited"));
    wait_until("the end of the rules", LONG, || rules(&host) == before);
    host.ok(&["rm", "web"]);
}
