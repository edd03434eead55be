//! The rows of users' notes about the life of containers (C1 to C66), as they are typed there.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::pty::OpenptFlags;
use support::{TestEnv, free_port, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

fn is_id(text: &str) -> bool {
    text.trim_end().len() == 64 && text.trim_end().bytes().all(|c| c.is_ascii_hexdigit())
}

fn show(env: &TestEnv, template: &str, name: &str) -> String {
    env.ok(&["inspect", "-f", template, name]).trim_end().to_owned()
}

/// Returns the column STATUS.
fn status(env: &TestEnv, name: &str) -> String {
    let filter = format!("name=^/{name}$");
    env.ok(&["ps", "-a", "--filter", &filter, "--format", "{{.Status}}"]).trim_end().to_owned()
}

/// Runs `run -d --network none` and returns the id.
fn detached(env: &TestEnv, args: &[&str]) -> String {
    let id = env.ok(&[&["run", "-d", "--network", "none"][..], args].concat());
    assert!(is_id(&id), "only the id is printed: {id}");
    id.trim_end().to_owned()
}

/// Runs a command line of the binary on a terminal of its own, types `input`, and returns what the screen showed.
fn on_terminal(env: &TestEnv, line: &str, input: &str) -> String {
    let command = env.skiff(&[]);
    let mut script = Command::new("script");
    let line = format!("{} {line}", env!("CARGO_BIN_EXE_skiff"));
    script.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    script.current_dir(env.work()).args(["-qec", &line, "/dev/null"]);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script runs");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it is typed");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn create_run_and_start_are_the_same_life() {
    let env = TestEnv::new().with_busybox();
    // C1
    assert!(is_id(&env.ok(&["create", "--name", "c1", "busybox"])));
    assert_eq!(status(&env, "c1"), "Created");
    // C2
    env.ok(&["create", "-it", "--network", "none", "--name", "c2", "busybox"]);
    let screen = on_terminal(&env, "start -ai c2", "echo a''b; exit 3\n");
    assert!(screen.contains("ab"), "{screen}");
    assert!(status(&env, "c2").starts_with("Exited (3) "));
    // C3, C13, C29
    detached(
        &env,
        &["--name", "c3", "busybox", "sh", "-c", "while true; do echo hello world; sleep 1; done"],
    );
    assert!(status(&env, "c3").starts_with("Up "));
    wait_until("a line in the log", PATIENCE, || env.ok(&["logs", "c3"]).starts_with("hello world\n"));
    // C4
    assert_eq!(env.ok(&["run", "--network", "none", "busybox", "echo", "hello", "docker"]), "hello docker\n");
    // C10, C30
    let mut typed = env.skiff(&["run", "-i", "--network", "none", "--name", "c30", "busybox", "sh"]);
    let mut child = typed.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(b"echo hi; exit\n").expect("it is typed");
    assert_eq!(String::from_utf8_lossy(&child.wait_with_output().expect("it ends").stdout), "hi\n");
    assert!(status(&env, "c30").starts_with("Exited (0) "));
    // C27
    detached(&env, &["--name", "c27", "busybox", "true"]);
    wait_until("the end", PATIENCE, || status(&env, "c27").starts_with("Exited (0) "));
    // C24, C25
    let names = || env.ok(&["ps", "-a", "--format", "{{.Names}}"]);
    env.ok(&["run", "--rm", "--network", "none", "--name", "c24", "busybox", "true"]);
    detached(&env, &["--rm", "--name", "c25", "busybox", "sleep", "1"]);
    wait_until("its removal", PATIENCE, || !names().contains("c25\n"));
    assert!(!names().contains("c24\n"));
    let both = env.run(&["run", "--rm", "--restart=always", "busybox", "true"]).fails_with(125);
    assert!(both.stderr.contains("conflicting options: cannot specify both --restart and --rm"));
}

#[test]
fn a_container_has_an_address_and_writes_to_a_layer_of_its_own() {
    let env = TestEnv::new().with_busybox();
    // C6
    let shown = env.ok(&["run", "--name", "one", "busybox", "sh", "-c", "touch /n; ip addr"]);
    assert!(
        shown.contains("inet 172.") || shown.contains("inet 192.168.") || shown.contains("inet 10."),
        "{shown}"
    );
    assert_eq!(env.ok(&["diff", "one"]), "A /n\n");
    assert!(status(&env, "one").starts_with("Exited (0) "));
    // C32, C33
    let cidfile = env.work().join("cid");
    let run = ["run", "--rm", "--network", "none", "--cidfile", cidfile.to_str().expect("a path")];
    let host = env.ok(&[&run[..], &["busybox", "hostname"]].concat());
    let id = std::fs::read_to_string(&cidfile).expect("the id");
    assert_eq!(host.trim_end(), &id[..12]);
    let processes = env.ok(&["run", "--rm", "--network", "none", "busybox", "ps"]);
    let rows: Vec<&str> = processes.lines().skip(1).collect();
    assert!(rows.len() == 1 && rows[0].trim_start().starts_with("1 root"), "{processes}");
    // C19, C64, C61
    assert!(env.ok(&["run", "--rm", "-e", "A=b", "--network", "none", "busybox", "env"]).contains("A=b\n"));
    env.run(&[
        "run",
        "--network",
        "none",
        "--name",
        "ended",
        "busybox",
        "sh",
        "-c",
        "echo out; echo x >/f; exit 7",
    ])
    .fails_with(7);
    assert_eq!(show(&env, "{{.State.ExitCode}}", "ended"), "7");
    assert!(status(&env, "ended").starts_with("Exited (7) "));
    assert_eq!(env.ok(&["logs", "ended"]), "out\n");
    env.ok(&["cp", "ended:/f", "f"]);
    assert_eq!(std::fs::read_to_string(env.work().join("f")).expect("copied"), "x\n");
    env.ok(&["export", "-o", "e.tar", "ended"]);
    let listed = Command::new("tar").arg("tf").arg(env.work().join("e.tar")).output().expect("tar runs");
    assert!(String::from_utf8_lossy(&listed.stdout).lines().any(|name| name == "f"));
    // C26
    let ours = std::fs::read_to_string("/proc/self/status").expect("a status");
    let bounding = ours.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("a set");
    let theirs =
        env.ok(&["run", "--rm", "--privileged=true", "busybox", "grep", "CapEff", "/proc/self/status"]);
    assert_eq!(theirs.trim_end(), format!("CapEff:{bounding}"));
}

#[test]
fn names_are_given_found_and_unique() {
    let env = TestEnv::new().with_busybox();
    // C7, C8, C9
    let id = detached(&env, &["--name=n7", "busybox", "sleep", "1000"]);
    let clash = env.run(&["run", "--name", "n7", "busybox", "true"]).fails_with(125);
    let words = format!("Conflict. The container name \"/n7\" is already in use by container \"{id}\"");
    assert!(clash.stderr.contains(&words), "{}", clash.stderr);
    env.ok(&["create", "busybox"]);
    let name = env.ok(&["ps", "-l", "--format", "{{.Names}}"]);
    let parts: Vec<&str> =
        name.trim_end().trim_end_matches(|c: char| c.is_ascii_digit()).split('_').collect();
    let lower = |part: &&str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_lowercase());
    assert!(parts.len() == 2 && parts.iter().all(lower), "{name}");
    // C44, C45, C66
    let short = &id[..4];
    assert_eq!(env.ok(&["stop", "-t", "0", short]), format!("{short}\n"));
    assert_eq!(env.ok(&["start", "n7"]), "n7\n");
    for _ in 0..16 {
        env.ok(&["create", "busybox"]);
    }
    let ids = env.ok(&["ps", "-aq"]);
    let first = |digit: char| ids.lines().filter(|id| id.starts_with(digit)).count();
    let shared =
        ids.chars().find(|digit| digit.is_ascii_hexdigit() && first(*digit) > 1).expect("17 ids share one");
    let many = env.run(&["rm", &shared.to_string()]).fails_with(1);
    assert!(
        many.stderr.contains(&format!("multiple IDs found with provided prefix: {shared}")),
        "{}",
        many.stderr
    );
    // C65, C40
    env.ok(&["tag", "busybox", "img:v1"]);
    env.ok(&["create", "--name", "c65", "img:v1"]);
    assert_eq!(show(&env, "{{.Config.Image}}", "c65"), "img:v1");
    let column = |name: &str| env.ok(&["ps", "-a", "-f", &format!("name={name}"), "--format", "{{.Image}}"]);
    assert_eq!(column("c65"), "img:v1\n");
    env.ok(&["rmi", "img:v1"]);
    assert_eq!(column("c65").trim_end(), &show(&env, "{{.Image}}", "c65")["sha256:".len()..][..12]);
}

#[test]
fn lists_have_dockers_columns() {
    let env = TestEnv::new().with_busybox();
    // C35 to C39, C41 to C43
    env.ok(&["run", "--network", "none", "--name", "echo", "busybox", "/bin/echo", "hello world"]);
    env.ok(&["create", "--name", "made", "busybox"]);
    let id = detached(&env, &["--name", "up", "busybox", "sleep", "1000"]);
    let columns = |table: &str| {
        let header = table.lines().next().unwrap_or_default();
        header.split("  ").map(|c| c.trim().to_owned()).filter(|c| !c.is_empty()).collect::<Vec<_>>()
    };
    let expected = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
    let running = env.ok(&["ps"]);
    assert_eq!(columns(&running), expected);
    assert_eq!(running.lines().count(), 2, "{running}");
    let all = env.ok(&["ps", "-a"]);
    assert!(all.contains("\"/bin/echo 'hello wo…\""), "{all}");
    assert!(all.lines().any(|row| row.contains("Exited (0) ") && row.ends_with("echo")), "{all}");
    assert!(env.ok(&["ps", "-a", "--no-trunc"]).contains("\"/bin/echo 'hello world'\""));
    assert_eq!(env.ok(&["ps", "-q"]), format!("{}\n", &id[..12]));
    for flags in [&["-a", "-q"][..], &["-aq"]] {
        let ids = env.ok(&[&["ps"], flags].concat());
        assert!(ids.lines().count() == 3 && ids.lines().all(|id| id.len() == 12), "{ids}");
    }
    assert_eq!(env.ok(&["ps", "-l", "-q"]), format!("{}\n", &id[..12]));
    assert_eq!(env.ok(&["ps", "-n", "2", "--format", "{{.Names}}"]), "up\nmade\n");
}

#[test]
fn terminals_are_given_and_taken_away() {
    let env = TestEnv::new().with_busybox();
    // C11, C12
    let run = ["run", "--rm", "--network", "none"];
    let tty = env.ok(&[&run[..], &["-t", "busybox", "tty"]].concat());
    assert!(tty.starts_with("/dev/pts/"), "{tty}");
    for flags in ["-it", "-i -t", "-ti", "-t -i"] {
        let screen = on_terminal(&env, &format!("run --rm --network none {flags} busybox echo o''k"), "");
        assert!(screen.contains("ok"), "{flags}: {screen}");
    }
    // C14, C46
    detached(&env, &["-it", "--name", "c14", "busybox", "sh"]);
    assert!(status(&env, "c14").starts_with("Up "));
    let screen = on_terminal(&env, "attach c14", "echo he''llo\nexit 5\n");
    assert!(screen.contains("hello"), "{screen}");
    wait_until("the end", PATIENCE, || status(&env, "c14").starts_with("Exited (5) "));
    assert_eq!(env.ok(&["start", "c14"]), "c14\n", "it comes back at once");
    assert!(status(&env, "c14").starts_with("Up "));
    let screen = on_terminal(&env, "start -ai c14", "echo a''gain\nexit 6\n");
    assert!(screen.contains("again"), "one that runs already is attached to: {screen}");
    wait_until("the end", PATIENCE, || status(&env, "c14").starts_with("Exited (6) "));
}

/// Runs a command on a terminal and closes that when `ready`; returns when the command has ended.
fn closed(env: &TestEnv, args: &[&str], ready: impl FnMut() -> bool) {
    // No other process may have a copy of our end.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = rustix::pty::openpt(flags).expect("a terminal");
    rustix::pty::unlockpt(&ours).expect("its other end opens");
    let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags).expect("its other end");
    let end = || Stdio::from(theirs.try_clone().expect("a copy"));
    let mut child = env.skiff(args).stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
    drop(theirs);
    wait_until("the container", PATIENCE, ready);
    drop(ours);
    wait_until("the command's end", PATIENCE, || child.try_wait().expect("a child").is_some());
}

#[test]
fn closing_the_terminal_ends_the_shell_that_it_started() {
    let env = TestEnv::new().with_busybox();
    // C31
    let up = |name: &str| status(&env, name).starts_with("Up ");
    closed(&env, &["run", "-it", "--network", "none", "--name", "front", "busybox", "sh"], || up("front"));
    wait_until("the shell's end", PATIENCE, || status(&env, "front").starts_with("Exited "));
    detached(&env, &["-it", "--name", "back", "busybox", "sh"]);
    let mut events = 0;
    closed(&env, &["attach", "back"], || {
        events = env
            .ok(&["events", "--since", "1h", "--until", "0s", "-f", "event=attach"])
            .matches("name=back")
            .count();
        events > 0
    });
    assert!(up("back"), "only the attachment ends");
}

#[test]
fn policies_decide_what_starts_again() {
    let env = TestEnv::new().with_busybox();
    let count = |name: &str| show(&env, "{{.RestartCount}}", name).parse::<u32>().expect("a number");
    // C20, C28
    detached(&env, &["--name", "c20", "--restart=always", "busybox", "false"]);
    detached(&env, &["--name", "c28", "--restart=always", "busybox", "/bin/sh", "-c"]);
    // C21, C22, C23
    detached(&env, &["--name", "c21", "--restart=on-failure", "busybox", "true"]);
    detached(&env, &["--name", "c22", "--restart=on-failure:3", "busybox", "false"]);
    detached(&env, &["--name", "c23", "busybox", "false"]);
    wait_until("restarts", PATIENCE, || count("c20") >= 2 && count("c28") >= 2);
    let now = status(&env, "c20");
    assert!(now.starts_with("Restarting (1) ") && now.ends_with(" ago") || now.starts_with("Up "), "{now}");
    wait_until("the last restart", PATIENCE, || status(&env, "c22").starts_with("Exited (1) "));
    assert_eq!(count("c22"), 3);
    wait_until("a good end", PATIENCE, || status(&env, "c21").starts_with("Exited (0) "));
    wait_until("a bad end", PATIENCE, || status(&env, "c23").starts_with("Exited (1) "));
    assert_eq!((count("c23"), count("c21")), (0, 0));
    // C28
    detached(&env, &["--name", "once", "busybox", "/bin/sh", "-c"]);
    wait_until("the end", PATIENCE, || status(&env, "once").starts_with("Exited (2) "));
    let logs = env.run(&["logs", "once"]).success();
    assert!(logs.stderr.contains("-c requires an argument"), "{}", logs.stderr);
}

#[test]
fn containers_are_stopped_killed_and_started_again() {
    let env = TestEnv::new().with_busybox();
    let deaf = ["busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"];
    // C48: ten seconds, then SIGKILL; C49 while that goes on.
    detached(&env, &[&["--name", "slow"][..], &deaf].concat());
    let begun = Instant::now();
    let stopping = env.skiff(&["stop", "slow"]).stdout(Stdio::null()).spawn();
    for (n, flag) in ["-t 1", "--time 1", "--time=1", "--timeout 1"].into_iter().enumerate() {
        let name = format!("deaf{n}");
        detached(&env, &[&["--stop-timeout", "600", "--name", &name][..], &deaf].concat());
        let begun = Instant::now();
        let line = [&["stop"][..], &flag.split(' ').collect::<Vec<_>>(), &[&name]].concat();
        assert_eq!(env.ok(&line), format!("{name}\n"));
        assert!((1..500).contains(&begun.elapsed().as_secs()), "{flag}: {:?}", begun.elapsed());
    }
    // C47, C50
    detached(&env, &["--name", "c47", "busybox", "sleep", "1000"]);
    let started = show(&env, "{{.State.StartedAt}}", "c47");
    assert_eq!(env.ok(&["restart", "-t", "0", "c47"]), "c47\n");
    assert_ne!(show(&env, "{{.State.StartedAt}}", "c47"), started);
    assert_eq!(env.ok(&["kill", "c47"]), "c47\n");
    assert_eq!(show(&env, "{{.State.ExitCode}}", "c47"), "137");
    let id = show(&env, "{{.Id}}", "c47");
    let dead = env.run(&["kill", "c47"]).fails_with(1);
    assert_eq!(
        dead.stderr,
        format!("Error response from daemon: cannot kill container: c47: container {id} is not running\n")
    );
    assert!(stopping.expect("it starts").wait().expect("it ends").success());
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!(show(&env, "{{.State.ExitCode}}", "slow"), "137");
    // C51
    for _ in 0..2 {
        detached(&env, &["busybox", "sleep", "1000"]);
    }
    let ids = env.ok(&["ps", "-q"]);
    env.ok(&[&["stop", "-t", "0"][..], &ids.split_whitespace().collect::<Vec<_>>()].concat());
    assert_eq!(env.ok(&["ps", "-q"]), "");
}

#[test]
fn containers_are_removed_one_or_all() {
    let env = TestEnv::new().with_busybox();
    // C52, C53, C54, C57
    env.ok(&["create", "--name", "one", "busybox"]);
    env.ok(&["create", "--name", "two", "busybox"]);
    let some = env.run(&["rm", "one", "nosuch", "two"]).fails_with(1);
    assert_eq!(some.stdout, "one\ntwo\n");
    assert_eq!(some.stderr, "Error response from daemon: No such container: nosuch\n");
    detached(&env, &["--name", "up", "busybox", "sleep", "1000"]);
    let refused = env.run(&["rm", "--force=false", "--link=false", "--volumes=false", "up"]).fails_with(1);
    assert_eq!(
        refused.stderr,
        "Error response from daemon: cannot remove container \"up\": container is running: stop the container \
         before removing or force remove\n"
    );
    assert_eq!(env.ok(&["rm", "--force=true", "up"]), "up\n");
    assert_eq!(env.ok(&["ps", "-aq"]), "");
    // C56
    detached(&env, &["--name", "c56", "-v", "/anon", "-v", "named:/n", "busybox", "sleep", "1000"]);
    assert_eq!(env.ok(&["volume", "ls", "-q"]).lines().count(), 2);
    env.ok(&["rm", "-f", "-v", "c56"]);
    assert_eq!(env.ok(&["volume", "ls", "-q"]), "named\n");
    // C58 to C60
    let make = || {
        for _ in 0..2 {
            env.ok(&["create", "busybox"]);
        }
        env.ok(&["ps", "-a", "-q"])
    };
    let ids = make();
    env.ok(&[&["rm"][..], &ids.split_whitespace().collect::<Vec<_>>()].concat());
    make();
    let unasked = env.ok(&["container", "prune"]);
    assert!(unasked.contains("WARNING! This will remove all stopped containers."), "{unasked}");
    assert_eq!(env.ok(&["ps", "-aq"]).lines().count(), 2, "without a terminal the answer is no");
    let pruned = env.ok(&["container", "prune", "-f"]);
    assert!(
        pruned.starts_with("Deleted Containers:\n") && pruned.contains("Total reclaimed space: "),
        "{pruned}"
    );
    assert_eq!(env.ok(&["ps", "-aq"]), "");
}

#[test]
fn a_link_goes_and_its_containers_stay() {
    let env = TestEnv::new().with_busybox();
    // C55
    env.ok(&["run", "-d", "--name", "db", "busybox", "sleep", "1000"]);
    env.ok(&["run", "-d", "--name", "web", "--link", "db:alias", "busybox", "sleep", "1000"]);
    assert_eq!(show(&env, "{{.HostConfig.Links}}", "web"), "[/db:/web/alias]");
    env.ok(&["exec", "web", "ping", "-c1", "-W30", "alias"]);
    assert_eq!(env.ok(&["rm", "-l", "/web/alias"]), "/web/alias\n");
    assert_eq!(show(&env, "{{.HostConfig.Links}}", "web"), "[]");
    env.run(&["exec", "web", "ping", "-c1", "-W5", "alias"]).fails_with(1);
    assert_eq!(env.ok(&["ps", "-q"]).lines().count(), 2);
    let again = env.run(&["rm", "--link", "web/alias"]).fails_with(1);
    assert_eq!(again.stderr, "Error response from daemon: No such container: web/alias\n");
    env.ok(&["restart", "-t", "0", "web"]);
    assert!(!env.ok(&["exec", "web", "cat", "/etc/hosts"]).contains("alias"));
}

/// Asks for `/` over HTTP and returns the first line of the answer.
fn first_line(address: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
    let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn ports_are_published_and_shown() {
    let env = TestEnv::new().with_busybox();
    let httpd = ["busybox", "httpd", "-f", "-p", "8080"];
    let ports = |name: &str| env.ok(&["ps", "--filter", &format!("name={name}"), "--format", "{{.Ports}}"]);
    // C17
    env.ok(&[&["run", "-d", "--name", "c17", "-p", "8080"][..], &httpd].concat());
    let lines = env.ok(&["port", "c17", "8080"]);
    let port = lines.lines().find_map(|line| line.strip_prefix("0.0.0.0:")).expect("an address").to_owned();
    assert!(port.parse::<u16>().is_ok_and(|port| port > 1024), "{lines}");
    wait_until("an answer", PATIENCE, || first_line(&format!("127.0.0.1:{port}")).contains("404"));
    let none = env.run(&["port", "c17", "81"]).fails_with(1);
    assert_eq!(none.stderr, "Error: No public port '81' published for c17\n");
    env.ok(&["rm", "-f", "c17"]);
    // C15, C16
    let port = free_port();
    env.ok(&[&["run", "-d", "--name", "c15", "-p", &format!("{port}:8080")][..], &httpd].concat());
    let shown = ports("c15");
    assert!(shown.contains(&format!("0.0.0.0:{port}->8080/tcp")), "{shown}");
    wait_until("an answer", PATIENCE, || first_line(&format!("127.0.0.1:{port}")).contains("404"));
    env.ok(&["rm", "-f", "c15"]);
    env.ok(&[&["run", "-d", "--name", "c16", "-p", &format!("127.0.0.1:{port}:8080")][..], &httpd].concat());
    assert_eq!(ports("c16"), format!("127.0.0.1:{port}->8080/tcp\n"));
    // C18
    env.write("Dockerfile", "FROM busybox\nEXPOSE 80\nCMD [\"httpd\", \"-f\"]\n");
    env.ok(&["build", "-q", "-t", "exposing", "."]);
    env.ok(&["run", "-d", "-P", "--name", "c18", "exposing"]);
    let shown = ports("c18");
    let port =
        shown.strip_prefix("0.0.0.0:").and_then(|rest| rest.split_once("->80/tcp")).expect("an address").0;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("a range");
    let range: Vec<u16> = range.split_whitespace().map(|n| n.parse().expect("a port")).collect();
    assert!((range[0]..=range[1]).contains(&port.parse().expect("a port")), "{shown}");
}
