//! What users' documents do to look at containers and to talk to them, row by row: attaching, logs, usage, inspection,
//! further commands, copying. The labels in comments name the rows.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::pty::Pty;
use support::{TestEnv, free_port, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a container in the background, without a network.
fn detached(env: &TestEnv, args: &[&str]) -> String {
    env.ok(&[&["run", "-d", "--network", "none"][..], args].concat()).trim().to_owned()
}

fn show(env: &TestEnv, format: &str, name: &str) -> String {
    env.ok(&["inspect", "-f", format, name]).trim().to_owned()
}

fn status(env: &TestEnv, name: &str) -> String {
    env.ok(&["ps", "-a", "--filter", &format!("name=^/{name}$"), "--format", "{{.Status}}"]).trim().to_owned()
}

fn pty(env: &TestEnv, args: &[&str]) -> Pty {
    Pty::start(&env.skiff(args), 24, 80)
}

#[test]
fn attaching_shows_what_the_first_process_writes() {
    let env = TestEnv::new().with_busybox();
    // D1, D3: without -i nothing is typed into it.
    detached(
        &env,
        &[
            "--name",
            "d1",
            "busybox",
            "sh",
            "-c",
            "until [ -e /go ]; do sleep 0.02; done; echo said; cat; exit 3",
        ],
    );
    let mut child = env.skiff(&["attach", "d1"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.as_mut().expect("a pipe").write_all(b"typed\n").expect("somebody reads");
    wait_until("the attachment", PATIENCE, || {
        env.ok(&["events", "--since", "1h", "--until", "0s", "-f", "event=attach"]).contains("name=d1")
    });
    env.ok(&["exec", "d1", "touch", "/go"]);
    let ended = child.wait_with_output().expect("our own child");
    assert_eq!((ended.stdout, ended.status.code()), (b"said\n".to_vec(), Some(3)));
    let stopped = env.run(&["attach", "d1"]).fails_with(1);
    assert!(
        stopped.stderr.contains("You cannot attach to a stopped container, start it first"),
        "{}",
        stopped.stderr
    );
    // With -i it is, also through an attachment; the end of input is the container's own affair then.
    detached(&env, &["-i", "--name", "d3", "busybox", "head", "-n", "1"]);
    let mut child = env.skiff(&["attach", "d3"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(b"typed\n").expect("somebody reads");
    assert_eq!(child.wait_with_output().expect("our own child").stdout, b"typed\n");
}

#[test]
fn one_that_stands_still_holds_up_neither_others_nor_the_log() {
    let env = TestEnv::new().with_busybox();
    // D4; one that the machine has no time for counts as one that stands still, so it may be tried again.
    let misses_nothing = (0..3).any(|number| beside_one_that_stands_still(&env, &format!("d4-{number}")));
    assert!(misses_nothing, "nobody ever saw all of it");
}

/// Whether one who attaches sees all that is in the log, while another one who has attached stands still.
fn beside_one_that_stands_still(env: &TestEnv, name: &str) -> bool {
    let lines = "until [ -e /go ]; do sleep 0.02; done; i=0; while [ $i -lt 20000 ]; do echo line $i of many that fill \
        what lies between; i=$((i+1)); done; echo the last";
    detached(env, &["--name", name, "busybox", "sh", "-c", lines]);
    let attach = || {
        let mut child = env.skiff(&["attach", name]);
        child.stdout(Stdio::piped()).spawn().expect("it starts")
    };
    let (mut slow, mut quick) = (attach(), attach());
    wait_until("two attachments", PATIENCE, || {
        let events = env.ok(&["events", "--since", "1h", "--until", "0s", "-f", "event=attach"]);
        events.matches(&format!("name={name})")).count() == 2
    });
    let mut shown = quick.stdout.take().expect("a pipe");
    let seen = std::thread::spawn(move || {
        let mut text = String::new();
        shown.read_to_string(&mut text).map(|_| text)
    });
    let pid = rustix::process::Pid::from_raw(i32::try_from(slow.id()).expect("small")).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("our own child");
    env.ok(&["exec", name, "touch", "/go"]);
    let text = seen.join().expect("no panic").expect("text");
    quick.wait().expect("our own child");
    let log = env.ok(&["logs", name]);
    assert!(log.ends_with("the last\n") && log.lines().count() == 20_001, "{}", log.lines().count());
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("our own child");
    slow.wait().expect("our own child");
    text == log
}

#[test]
fn keys_leave_a_terminal_and_the_container_goes_on() {
    let env = TestEnv::new().with_busybox();
    let run = ["run", "-it", "--network", "none"];
    // D5: a lone first key goes to the program, as soon as another one follows.
    let mut screen = pty(&env, &[&run[..], &["--name", "d5", "busybox", "sh"]].concat());
    screen.wait_for("/ # ");
    screen.type_in("echo o''ne\r");
    screen.wait_for("one");
    screen.type_in("\x10\x11");
    assert_eq!(screen.code(), Some(0));
    assert!(status(&env, "d5").starts_with("Up "));
    // D2: what the shell has shown long before is drawn again for whoever comes later.
    let mut screen = pty(&env, &["attach", "d5"]);
    screen.wait_for("/ # ");
    screen.type_in("echo tw''o\r");
    screen.wait_for("two");
    screen.type_in("\x10\x11");
    screen.wait_for("read escape sequence");
    assert_eq!(screen.code(), Some(1));
    assert!(status(&env, "d5").starts_with("Up "));
    let mut screen = pty(&env, &["exec", "-it", "--detach-keys", "ctrl-a,x", "d5", "sh"]);
    screen.wait_for("/ # ");
    screen.type_in("\x10\x11echo thr''ee\r");
    screen.wait_for("three");
    screen.type_in("\x01x");
    screen.wait_for("read escape sequence");
    screen.code();
    assert!(env.ok(&["top", "d5"]).matches("sh").count() >= 2, "what was left goes on");
    // Keys of one's own, by flag and by the client's configuration.
    std::fs::create_dir_all(env.work().join("conf")).expect("a directory");
    env.write("conf/config.json", r#"{"detachKeys": "ctrl-e,e"}"#);
    let mut screen = pty(&env, &["--config", "conf", "attach", "d5"]);
    screen.wait_for("/ # ");
    screen.type_in("\x05e");
    screen.wait_for("read escape sequence");
    assert_eq!(screen.code(), Some(1));
    let bad = env.run(&["attach", "--detach-keys", "ctrl-", "d5"]).fails_with(1);
    assert!(
        bad.stderr.contains("Unknown character: 'ctrl-'") || bad.stderr.contains("detach"),
        "{}",
        bad.stderr
    );
}

#[test]
fn a_window_that_changes_changes_the_terminal_inside() {
    let env = TestEnv::new().with_busybox();
    let mut screen = pty(&env, &["run", "-it", "--network", "none", "--name", "size", "busybox", "sh"]);
    screen.wait_for("/ # ");
    screen.type_in("stty size\r");
    screen.wait_for("24 80");
    screen.resize(33, 101);
    // The change is on its way: the shell is asked until it is there.
    let asked = |screen: &mut Pty, size: &str| {
        wait_until("the new size", PATIENCE, || {
            screen.type_in("stty size\r");
            std::thread::sleep(Duration::from_millis(30));
            screen.screen().contains(size)
        });
    };
    asked(&mut screen, "33 101");
    // Another one's window counts from then on, and so for what exec starts.
    let mut other = Pty::start(&env.skiff(&["attach", "size"]), 40, 90);
    other.wait_for("/ # ");
    asked(&mut other, "40 90");
    let mut inner = Pty::start(&env.skiff(&["exec", "-it", "size", "sh"]), 11, 60);
    inner.wait_for("/ # ");
    asked(&mut inner, "11 60");
    inner.resize(12, 61);
    asked(&mut inner, "12 61");
    inner.type_in("exit 4\r");
    assert_eq!(inner.code(), Some(4));
    screen.type_in("exit 5\r");
    assert_eq!((screen.code(), other.code()), (Some(5), Some(5)));
}

#[test]
fn signals_of_an_attached_client_go_in_unless_it_says_no() {
    let env = TestEnv::new().with_busybox();
    let trap = "trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.05; done";
    for (name, flag, code) in [("on", "--sig-proxy=true", Some(9)), ("off", "--sig-proxy=false", None)] {
        let args = ["run", "--network", "none", "--name", name, flag, "busybox", "sh", "-c", trap];
        let mut child = env.skiff(&args).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut ready = [0; 6];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("it says that it is ready");
        let pid =
            rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("small")).expect("not zero");
        rustix::process::kill_process(pid, rustix::process::Signal::USR1).expect("our own child");
        assert_eq!(child.wait().expect("our own child").code(), code, "{name}");
    }
    assert!(status(&env, "off").starts_with("Up "), "the signal ended the client alone");
}

#[test]
fn logs_are_what_was_written() {
    let env = TestEnv::new().with_busybox();
    // D6, D10
    detached(&env, &["--name", "d10", "busybox", "sh", "-c", "echo a; echo b >&2"]);
    env.ok(&["wait", "d10"]);
    let both = env.run(&["logs", "d10"]).success();
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("a\n", "b\n"));
    let script = "i=1; while [ $i -le 12 ]; do echo $i; i=$((i+1)); done";
    detached(&env, &["--name", "d6", "busybox", "sh", "-c", script]);
    env.ok(&["wait", "d6"]);
    assert_eq!(env.ok(&["logs", "d6"]).lines().count(), 12);
    // D8: both forms, and nothing but what comes.
    assert_eq!(env.ok(&["logs", "--tail=5", "d6"]), "8\n9\n10\n11\n12\n");
    assert_eq!(env.ok(&["logs", "--tail", "2", "d6"]), "11\n12\n");
    assert_eq!(env.ok(&["logs", "--tail", "0", "-f", "d6"]), "");
    // D9
    for flags in [&["-t"][..], &["-ft"], &["-f", "-t"]] {
        let stamped = env.ok(&[&["logs"][..], flags, &["--tail", "3", "d6"]].concat());
        for line in stamped.lines() {
            let stamp = line.split(' ').next().unwrap_or_default();
            assert!(stamp.len() == "2006-01-02T15:04:05.000000000Z".len() && stamp.ends_with('Z'), "{line}");
        }
        assert_eq!(stamped.lines().count(), 3);
    }
    // D7: a line comes while it runs, and the command ends with it.
    let script = "until [ -e /go ]; do sleep 0.02; done; echo first; until [ -e /end ]; do sleep 0.02; done; echo last";
    detached(&env, &["--name", "d7", "busybox", "sh", "-c", script]);
    let mut child = env.skiff(&["logs", "-f", "d7"]).stdout(Stdio::piped()).spawn().expect("it starts");
    env.ok(&["exec", "d7", "touch", "/go"]);
    let mut line = [0; 6];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut line).expect("a line");
    assert_eq!(&line, b"first\n");
    env.ok(&["exec", "d7", "touch", "/end"]);
    let rest = child.wait_with_output().expect("our own child");
    assert_eq!((rest.stdout, rest.status.code()), (b"last\n".to_vec(), Some(0)));
}

/// Returns the next message that comes.
fn message(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let count = socket.recv(&mut buffer).expect("a message comes");
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[test]
fn output_goes_to_syslog() {
    let env = TestEnv::new().with_busybox();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket takes a time");
    let address = format!("syslog-address=udp://{}", socket.local_addr().expect("an address"));
    // D11: a driver in quotes is what the shell makes of them.
    let flags = ["--log-driver=syslog", "--log-opt", &address, "--log-opt", "syslog-facility=local3"];
    let tag = ["--log-opt", "tag={{.ImageName}}/{{.Name}}/{{.ID}}"];
    let script = ["busybox", "sh", "-c", "echo hi; sleep 0.1; echo no >&2"];
    let id = detached(&env, &[&["--name", "d11"][..], &flags, &tag, &script].concat());
    let said = message(&socket);
    let ends = format!(" busybox/d11/{}[", &id[..12]);
    assert!(said.starts_with("<158>") && said.contains(&ends) && said.ends_with("]: hi\n"), "{said}");
    assert!(message(&socket).starts_with("<155>"), "standard error is worse");
    env.ok(&["wait", "d11"]);
    // What was sent is kept beside, unless that is not wanted.
    let kept = env.run(&["logs", "d11"]).success();
    assert_eq!((kept.stdout.as_str(), kept.stderr.as_str()), ("hi\n", "no\n"));
    let none = ["--log-opt", "cache-disabled=true", "--name", "d11b", "busybox", "echo", "hi"];
    detached(&env, &[&flags[..], &none].concat());
    assert!(message(&socket).ends_with(": hi\n"));
    let refused = env.run(&["logs", "d11b"]).fails_with(1);
    assert_eq!(
        refused.stderr,
        "Error response from daemon: configured logging driver does not support reading\n"
    );
    let modern = ["--log-opt", "syslog-format=rfc5424micro", "--name", "d11c", "busybox", "echo", "hi"];
    let id = detached(&env, &[&flags[..], &modern].concat());
    let said = message(&socket);
    assert!(said.starts_with("<158>1 2") && said.ends_with(&format!(" {} - hi\n", &id[..12])), "{said}");
    // A socket of a path, and one that is not there.
    let path = env.work().join("log");
    let datagrams = UnixDatagram::bind(&path).expect("a socket");
    datagrams.set_read_timeout(Some(PATIENCE)).expect("a socket takes a time");
    let address = format!("syslog-address=unix://{}", path.display());
    detached(&env, &["--log-driver", "syslog", "--log-opt", &address, "busybox", "echo", "hi"]);
    let mut buffer = [0; 4096];
    let count = datagrams.recv(&mut buffer).expect("a message comes");
    assert!(buffer[..count].starts_with(b"<30>") && buffer[..count].ends_with(b": hi\n"));
    let gone =
        ["run", "--log-driver", "syslog", "--log-opt", "syslog-address=unix:///no/where", "busybox", "true"];
    let gone = env.run(&gone).fails_with(125);
    assert!(gone.stderr.contains("stat /no/where: no such file or directory"), "{}", gone.stderr);
    let nobody =
        ["run", "--log-driver", "syslog", "--log-opt", "syslog-address=tcp://127.0.0.1:1", "busybox", "true"];
    let nobody = env.run(&nobody).fails_with(125);
    let said = "failed to initialize logging driver: dial tcp 127.0.0.1:1: connect: connection refused";
    assert!(nobody.stderr.contains(said), "{}", nobody.stderr);
}

#[test]
fn syslog_may_be_encrypted() {
    let env = TestEnv::new().with_busybox();
    let work = env.work();
    support::certificates::authority(&work);
    let port = free_port();
    let mut server = Command::new("openssl")
        .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")])
        .args(["-cert", "server.crt", "-key", "server.key", "-CAfile", "ca.crt"])
        .current_dir(&work)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is there");
    let limit = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < limit, "nobody listens");
        std::thread::sleep(Duration::from_millis(10));
    }
    let address = format!("syslog-address=tcp+tls://127.0.0.1:{port}");
    let authority = format!("syslog-tls-ca-cert={}", work.join("ca.crt").display());
    let base = ["run", "--rm", "--log-driver", "syslog", "--log-opt", &address];
    // A server that nobody vouches for is none.
    let ran = env.run(&[&base[..], &["busybox", "true"]].concat()).fails_with(125);
    assert!(ran.stderr.contains("failed to initialize logging driver: dial tcp"), "{}", ran.stderr);
    let trusted = ["--log-opt", &authority, "--log-opt", "syslog-format=rfc5424", "--log-opt", "tag=t"];
    env.ok(&[&base[..], &trusted, &["busybox", "echo", "geheim"]].concat());
    let any = ["--log-opt", "syslog-tls-skip-verify=true"];
    env.ok(&[&base[..], &any, &["busybox", "echo", "egal"]].concat());
    let mut said = String::new();
    let mut lines = BufReader::new(server.stdout.take().expect("a pipe"));
    while !said.contains("egal") {
        assert!(lines.read_line(&mut said).expect("text") > 0, "{said}");
    }
    let _ = (server.kill(), server.wait());
    let (count, message) = said.lines().next().and_then(|line| line.split_once(' ')).expect("a count");
    assert_eq!(count.parse(), Ok(message.len() + 1), "{said}");
    assert!(message.starts_with("<30>1 2") && message.ends_with(" t - geheim"), "{said}");
}

#[test]
fn a_driver_may_be_everybodys() {
    let env = TestEnv::new().with_busybox();
    // D12
    assert!(env.ok(&["info"]).contains("\n Logging Driver: json-file\n"));
    let folder = env.work().join("etc");
    env.write("etc/skiff/config.json", r#"{"log-driver": "local", "log-opts": {"max-size": "2m"}}"#);
    let variables = [("XDG_CONFIG_HOME", folder.to_str().expect("text"))];
    assert!(env.run_with(&["info"], &variables).success().stdout.contains("\n Logging Driver: local\n"));
    assert_eq!(env.run_with(&["info", "-f", "{{.LoggingDriver}}"], &variables).success().stdout, "local\n");
    for (name, flags, expected) in [
        ("own", &[][..], r#"{"Type":"local","Config":{"max-size":"2m"}}"#),
        (
            "more",
            &["--log-opt", "max-file=3"],
            r#"{"Type":"local","Config":{"max-file":"3","max-size":"2m"}}"#,
        ),
        ("other", &["--log-driver", "json-file"], r#"{"Type":"json-file","Config":{}}"#),
    ] {
        let args = [&["create", "--name", name][..], flags, &["busybox", "true"]].concat();
        env.run_with(&args, &variables).success();
        assert_eq!(show(&env, "{{json .HostConfig.LogConfig}}", name), expected);
    }
    // Lines of files may have labels, variables and a tag.
    let flags = [
        "--label",
        "l=v",
        "-e",
        "E=1",
        "--log-opt",
        "labels=l",
        "--log-opt",
        "env=E",
        "--log-opt",
        "tag={{.Name}}",
    ];
    env.ok(
        &[&["run", "--network", "none", "--name", "attrs"][..], &flags, &["busybox", "echo", "hi"]].concat()
    );
    assert_eq!(env.ok(&["logs", "--details", "attrs"]), "E=1,l=v,tag=attrs hi\n");
}

#[test]
fn processes_and_what_they_use_are_shown() {
    let env = TestEnv::new().with_busybox();
    let id = detached(&env, &["--name", "d13", "-m", "64m", "busybox", "sleep", "1000"]);
    detached(&env, &["--name", "d14", "busybox", "sh", "-c", "while :; do :; done"]);
    env.ok(&["create", "--name", "idle", "busybox", "true"]);
    // D13
    let top = env.ok(&["top", "d13"]);
    let mut lines = top.lines();
    let words: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(words, ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    let pid = lines.next().and_then(|line| line.split_whitespace().nth(1)).unwrap_or_default();
    assert_eq!(pid, show(&env, "{{.State.Pid}}", "d13"), "the host's number");
    // D14
    let header =
        ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];
    let stats = env.ok(&["stats", "--no-stream", "d13", "d14"]);
    let titles: Vec<&str> = stats
        .lines()
        .next()
        .unwrap_or_default()
        .split("   ")
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .collect();
    assert_eq!(titles, header);
    assert_eq!(stats.lines().count(), 3, "{stats}");
    let format =
        "{{.Container}}|{{.ID}}|{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.MemPerc}}|{{.NetIO}}|{{.PIDs}}";
    let row = env.ok(&["stats", "--no-stream", "--format", format, "d13"]);
    let row: Vec<&str> = row.trim().split('|').collect();
    assert_eq!((row[0], row[1], row[2]), ("d13", &id[..12], "d13"));
    assert!(row[4].ends_with(" / 64MiB") && !row[4].starts_with("0B"), "{row:?}");
    assert!(row[5].ends_with('%') && row[6] == "0B / 0B" && row[7] == "1", "{row:?}");
    // The machine may have had no time for it just then.
    wait_until("a busy processor", PATIENCE, || {
        let busy = env.ok(&["stats", "--no-stream", "--format", "{{.CPUPerc}}", "d14"]);
        busy.trim().trim_end_matches('%').parse::<f64>().expect("a number") > 1.0
    });
    let all = env.ok(&["stats", "--no-stream", "-a", "--no-trunc"]);
    assert!(all.contains(&id) && all.lines().count() == 4, "{all}");
    let idle = env.ok(&["stats", "--no-stream", "--format", "json", "idle"]);
    let idle: serde_json::Value = serde_json::from_str(&idle).expect("an object a line");
    assert_eq!((&idle["MemUsage"], &idle["PIDs"]), (&"0B / 0B".into(), &"0".into()));
    let missing = env.run(&["stats", "--no-stream", "nosuch", "d13"]).fails_with(1);
    assert_eq!(missing.stderr, "Error response from daemon: No such container: nosuch\n");
    // It goes on, on a terminal in one place.
    let screen = pty(&env, &["stats", "d13"]);
    screen.wait_for("\x1b[H");
    wait_until("further looks", PATIENCE, || screen.screen().matches("\x1b[H").count() > 1);
    env.ok(&["rm", "-f", "d13"]);
    assert_eq!(screen.code(), Some(0), "all that were asked for are gone");
}

#[test]
fn inspecting_takes_templates() {
    let env = TestEnv::new().with_busybox();
    let id = env.ok(&["run", "-d", "--name", "d15", "busybox", "sleep", "1000"]).trim().to_owned();
    // D15
    let shown: serde_json::Value = serde_json::from_str(&env.ok(&["inspect", "d15"])).expect("JSON");
    assert_eq!(shown.as_array().map(Vec::len), Some(1));
    assert_eq!(shown[0]["Id"], id);
    for key in ["Image", "HostConfig", "NetworkSettings", "Mounts"] {
        assert!(!shown[0][key].is_null(), "{key}");
    }
    // D16, D17, D19
    for flags in [
        &["--format={{ .State.Running}}"][..],
        &["--format", "{{.State.Running}}"],
        &["-f", "{{ .State.Running }}"],
    ] {
        assert_eq!(env.ok(&[&["inspect"][..], flags, &["d15"]].concat()), "true\n");
    }
    let address = env.ok(&["inspect", "--format={{ .NetworkSettings.IPAddress }}", "d15"]);
    assert!(address.trim().parse::<std::net::Ipv4Addr>().is_ok(), "{address}");
    // D18
    assert_eq!(show(&env, "{{.Name}} {{.State.Running}}", "d15"), "/d15 true");
    let wrong = env.run(&["inspect", "--format", "{{ .Name}} {{ .state.Running}}", "d15"]).fails_with(1);
    assert!(wrong.stderr.contains("\"state\"") && wrong.stderr.contains(".State"), "{}", wrong.stderr);
    let none = env.run(&["inspect", "--format", "{{.Name}}"]).fails_with(1);
    assert!(none.stderr.contains("requires at least 1 argument"), "{}", none.stderr);
}

#[test]
fn further_commands_come_and_go() {
    let env = TestEnv::new().with_busybox();
    detached(&env, &["--name", "d20", "busybox", "sleep", "1000"]);
    // D20
    assert_eq!(env.ok(&["exec", "-d", "d20", "touch", "/made"]), "");
    wait_until("the file", PATIENCE, || env.run(&["exec", "d20", "test", "-e", "/made"]).code == Some(0));
    wait_until("its end", PATIENCE, || show(&env, "{{json .ExecIDs}}", "d20") == "null");
    env.ok(&["exec", "-d", "d20", "sleep", "1000"]);
    let ids: Vec<String> = serde_json::from_str(&show(&env, "{{json .ExecIDs}}", "d20")).expect("ids");
    assert!(ids.len() == 1 && ids[0].len() == 64, "{ids:?}");
    // D21
    for flags in ["-it", "-ti"] {
        let mut screen = pty(&env, &["exec", flags, "d20", "sh"]);
        screen.wait_for("/ # ");
        screen.type_in("tty; exit 6\r");
        screen.wait_for("/dev/pts/");
        assert_eq!(screen.code(), Some(6));
    }
    let own = env.run(&["exec", "-i", "d20", "sh", "-c", "echo $$; exit 7"]).fails_with(7);
    assert!(own.stdout.trim().parse::<u32>().is_ok_and(|pid| pid > 1), "{}", own.stdout);
    // D22
    let missing = env.run(&["exec", "d20", "/bin/hash"]).fails_with(127);
    assert!(missing.stderr.contains("/bin/hash"), "{}", missing.stderr);
    // D24
    assert!(status(&env, "d20").starts_with("Up "));
}

#[test]
fn files_go_in_and_out() {
    let env = TestEnv::new().with_busybox();
    // D23
    detached(&env, &["--name", "d23", "busybox", "sh", "-c", "echo inside > /file; sleep 1000"]);
    wait_until("the file", PATIENCE, || env.run(&["exec", "d23", "test", "-s", "/file"]).code == Some(0));
    env.ok(&["cp", "d23:/file", "out"]);
    assert_eq!(std::fs::read(env.work().join("out")).expect("it arrived"), b"inside\n");
    env.write("in", "outside\n");
    env.ok(&["cp", "in", "d23:/in"]);
    assert_eq!(env.ok(&["exec", "d23", "cat", "/in"]), "outside\n");
    env.ok(&["kill", "d23"]);
    env.ok(&["wait", "d23"]);
    env.ok(&["cp", "d23:/in", "again"]);
    assert_eq!(std::fs::read(env.work().join("again")).expect("it arrived"), b"outside\n");
}
