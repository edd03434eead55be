//! The life of containers, from `create` to `rm`, as people type it.

mod support;

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{Ran, TestEnv, own_seconds, wait_until};

const LONG: Duration = Duration::from_secs(30);

/// Runs `run -d` and returns the id.
fn detached(env: &TestEnv, args: &[&str]) -> String {
    let out = env.ok(&[&["run", "-d", "--network", "none"][..], args].concat());
    let id = out.trim().to_owned();
    assert!(id.len() == 64 && id.bytes().all(|c| c.is_ascii_hexdigit()), "{out}");
    id
}

fn status(env: &TestEnv, name: &str) -> String {
    let name = format!("name=^/{name}$");
    env.ok(&["ps", "-a", "--filter", &name, "--format", "{{.Status}}"]).trim().to_owned()
}

#[test]
fn a_container_is_created_started_stopped_and_removed() {
    let env = TestEnv::new().with_busybox();
    // Without a time on the line it would be waited for much longer than this test takes.
    let patient = ["create", "--network", "none", "--stop-timeout", "600", "--name", "web"];
    let id = env.ok(&[&patient[..], &["busybox", "sleep", "1000"]].concat());
    let id = id.trim();
    assert_eq!(id.len(), 64);
    assert_eq!(env.ok(&["ps", "-q"]), "");
    assert_eq!(status(&env, "web"), "Created");
    assert_eq!(env.ok(&["start", "web"]), "web\n");
    assert!(status(&env, "web").starts_with("Up "));
    assert_eq!(env.ok(&["start", &id[..4]]), format!("{}\n", &id[..4]), "running is no mistake");
    let table = env.ok(&["ps"]);
    assert!(table.starts_with("CONTAINER ID   IMAGE     COMMAND"), "{table}");
    let row = table.lines().nth(1).expect("a row");
    assert!(row.starts_with(&id[..12]) && row.contains("\"sleep 1000\"") && row.ends_with("web"), "{row}");
    let refused = env.run(&["rm", "web"]).fails_with(1);
    assert_eq!(
        refused.stderr,
        "Error response from daemon: cannot remove container \"web\": container is running: stop the container \
         before removing or force remove\n"
    );
    let begun = Instant::now();
    assert_eq!(env.ok(&["stop", "-t", "1", "web"]), "web\n", "sleep as process 1 ignores SIGTERM");
    assert!((1..500).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    assert!(status(&env, "web").starts_with("Exited (137) "));
    assert_eq!(env.ok(&["stop", "web"]), "web\n", "stopped is no mistake");
    assert_eq!(env.ok(&["restart", "-t", "0", "web"]), "web\n");
    assert_eq!(env.ok(&["kill", "web"]), "web\n");
    assert_eq!(env.ok(&["wait", "web"]), "137\n");
    let dead = env.run(&["kill", "web"]).fails_with(1);
    assert!(dead.stderr.contains(&format!("container {id} is not running")), "{}", dead.stderr);
    assert_eq!(env.ok(&["rm", "web"]), "web\n");
    let gone = env.run(&["rm", "web"]).fails_with(1);
    assert_eq!(gone.stderr, "Error response from daemon: No such container: web\n");
    assert_eq!(env.ok(&["rm", "-f", "web"]), "");
    assert_eq!(env.ok(&["ps", "-aq"]), "");
}

#[test]
fn output_is_kept_with_its_streams_and_times() {
    let env = TestEnv::new().with_busybox();
    let script = "echo one; sleep 0.2; echo two >&2; sleep 0.2; echo three; exit 7";
    let ran = env.run(&["run", "--network", "none", "--name", "talk", "busybox", "sh", "-c", script]);
    let ran: Ran = ran.fails_with(7);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("one\nthree\n", "two\n"));
    assert!(status(&env, "talk").starts_with("Exited (7) "));
    let logs = env.run(&["logs", "talk"]).success();
    assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("one\nthree\n", "two\n"));
    // Which of both streams is read first is left to chance.
    env.ok(&["run", "--network", "none", "--name", "lines", "busybox", "sh", "-c", "echo one; echo last"]);
    assert_eq!(env.ok(&["logs", "--tail=1", "lines"]), "last\n");
    assert_eq!(env.ok(&["logs", "-n", "0", "talk"]), "");
    let stamped = env.ok(&["logs", "-t", "talk"]);
    let (stamp, text) = stamped.lines().next().and_then(|line| line.split_once(' ')).expect("a stamp");
    assert!(stamp.len() == 30 && stamp.ends_with('Z') && text == "one", "{stamped}");
    assert_eq!(env.ok(&["logs", "--since", "2100-01-01", "talk"]), "");
    detached(&env, &["--name", "slow", "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"]);
    assert_eq!(env.ok(&["logs", "-f", "slow"]), "1\n2\n3\n", "it ends with the container");
    detached(&env, &["--name", "mute", "--log-driver", "none", "busybox", "echo", "x"]);
    let mute = env.run(&["logs", "mute"]).fails_with(1);
    assert!(mute.stderr.contains("configured logging driver does not support reading"), "{}", mute.stderr);
}

#[test]
fn names_are_unique_and_ids_may_be_short() {
    let env = TestEnv::new().with_busybox();
    let id = env.ok(&["create", "--network", "none", "--name", "only", "busybox"]).trim().to_owned();
    let again = env.run(&["run", "--network", "none", "--name", "only", "busybox"]).fails_with(125);
    let said = format!(
        "docker: Error response from daemon: Conflict. The container name \"/only\" is already in use by container \
         \"{id}\". You have to remove (or rename) that container to be able to reuse that name.\n"
    );
    assert!(again.stderr.starts_with(&said), "{}", again.stderr);
    env.ok(&["rename", "only", "other"]);
    env.ok(&["create", "--network", "none", "--name", "only", "busybox"]);
    assert_eq!(env.ok(&["ps", "-a", "--format", "{{.Names}}"]), "only\nother\n");
    assert_eq!(env.ok(&["ps", "-lq"]).lines().count(), 1);
    assert_eq!(env.ok(&["ps", "-n", "1", "--format", "{{.Names}}"]), "only\n");
    for n in 0..16 {
        env.ok(&["create", "--network", "none", "--name", &format!("c{n}"), "busybox"]);
    }
    let all = env.ok(&["ps", "-aq", "--no-trunc"]);
    let first = |id: &str| id.as_bytes()[0];
    let twice = all.lines().find(|id| all.lines().filter(|other| first(other) == first(id)).count() > 1);
    let letter = &twice.expect("18 ids share one of 16 digits")[..1];
    let many = env.run(&["start", letter]).fails_with(1);
    assert!(
        many.stderr.contains(&format!("multiple IDs found with provided prefix: {letter}")),
        "{}",
        many.stderr
    );
    env.ok(&["container", "prune", "-f"]);
    assert_eq!(env.ok(&["ps", "-aq"]), "");
    env.ok(&["create", "--network", "none", "busybox"]);
    let name = env.ok(&["ps", "-a", "--format", "{{.Names}}"]);
    assert!(name.trim().split_once('_').is_some(), "{name}");
}

#[test]
fn policies_start_containers_again() {
    let env = TestEnv::new().with_busybox();
    detached(&env, &["--name", "never", "busybox", "false"]);
    detached(&env, &["--name", "thrice", "--restart=on-failure:3", "busybox", "sh", "-c", "echo x; exit 1"]);
    detached(&env, &["--name", "well", "--restart=on-failure", "busybox", "true"]);
    detached(&env, &["--name", "always", "--restart=always", "busybox", "sh", "-c", "echo x; exit 5"]);
    wait_until("three restarts", LONG, || status(&env, "thrice").starts_with("Exited (1)"));
    assert_eq!(env.ok(&["logs", "thrice"]).lines().count(), 4, "one run and three more");
    wait_until("one end", LONG, || status(&env, "never").starts_with("Exited (1)"));
    wait_until("a good end", LONG, || status(&env, "well").starts_with("Exited (0)"));
    for name in ["never", "well"] {
        assert_eq!(env.ok(&["inspect", "-f", "{{.RestartCount}}", name]), "0\n", "{name}");
    }
    wait_until("further runs", LONG, || env.ok(&["logs", "always"]).lines().count() > 2);
    let always = status(&env, "always");
    assert!(always.starts_with("Restarting (5) ") || always.starts_with("Up "), "{always}");
    assert_eq!(env.ok(&["stop", "-t", "0", "always"]), "always\n");
    let runs = env.ok(&["logs", "always"]).lines().count();
    std::thread::sleep(Duration::from_millis(900));
    assert_eq!(env.ok(&["logs", "always"]).lines().count(), runs, "stopped by hand");
    let both = env.run(&["run", "--rm", "--restart=always", "busybox"]).fails_with(125);
    assert!(both.stderr.contains("conflicting options: cannot specify both --restart and --rm"));
    let wrong = env.run(&["run", "--restart=on-ailure", "busybox"]).fails_with(125);
    assert!(
        wrong.stderr.contains("unknown policy 'on-ailure'; use one of 'no', 'always'"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn volumes_go_or_stay_as_they_were_named() {
    let env = TestEnv::new().with_busybox();
    let volumes = || std::fs::read_dir(env.store().join("volumes")).map_or(0, Iterator::count);
    let data = ["-v", "/data", "-v", "kept:/kept"];
    detached(&env, &[&["--name", "owner"][..], &data, &["busybox", "sh", "-c", "echo x > /data/f"]].concat());
    env.ok(&["wait", "owner"]);
    assert_eq!(volumes(), 2);
    let read = ["run", "--rm", "--network", "none", "--volumes-from", "owner", "busybox", "cat", "/data/f"];
    assert_eq!(env.ok(&read), "x\n", "also of a container that has ended");
    assert_eq!(volumes(), 2);
    env.ok(&["rm", "-v", "owner"]);
    assert_eq!(volumes(), 1, "the named one stays");
    let once = ["--network", "none", "busybox", "true"];
    env.ok(&[&["run", "--name", "first", "-v", "/data"][..], &once].concat());
    env.ok(&[&["run", "--name", "second", "--volumes-from", "first"][..], &once].concat());
    env.ok(&["rm", "-v", "first"]);
    assert_eq!(volumes(), 2, "another one has it");
    env.ok(&["rm", "-v", "second"]);
    assert_eq!(volumes(), 1, "the last one takes it along");
    detached(&env, &["--rm", "--name", "brief", "-v", "/data", "busybox", "sleep", "0.1"]);
    wait_until("the end", LONG, || env.ok(&["ps", "-aq"]).is_empty());
    wait_until("the volume's end", LONG, || volumes() == 1);
}

#[test]
fn a_killed_monitor_leaves_no_lie() {
    let env = TestEnv::new().with_busybox();
    let seconds = own_seconds();
    let id = detached(&env, &["--name", "orphan", "busybox", "sleep", &seconds]);
    let monitor = Command::new("pgrep").args(["-f", &format!("container-monitor.*{id}")]).output().unwrap();
    let pid: i32 = String::from_utf8_lossy(&monitor.stdout).trim().parse().expect("one monitor");
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mut seen = String::new();
    wait_until("the truth", LONG, || {
        seen = status(&env, "orphan");
        seen.starts_with("Exited (137) ")
    });
    let word = format!("sleep {seconds}");
    let left = || Command::new("pgrep").args(["-f", &word]).stdout(Stdio::null()).status().unwrap().code();
    wait_until("the end of the process with its monitor", LONG, || left() == Some(1));
    assert_eq!(env.ok(&["start", "orphan"]), "orphan\n");
    assert!(status(&env, "orphan").starts_with("Up "));
    env.ok(&["pause", "orphan"]);
    assert!(status(&env, "orphan").ends_with("(Paused)"));
    env.ok(&["unpause", "orphan"]);
    assert_eq!(env.ok(&["rm", "-f", "orphan"]), "orphan\n");
    assert_eq!(std::fs::read_dir(env.store().join("containers")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(env.store().join("container-names")).unwrap().count(), 0);
}

/// Runs a command whose standard output nobody reads any more after its first byte; what it says and how it ends.
fn unread(env: &TestEnv, args: &[&str]) -> (String, Option<i32>) {
    let mut running = env
        .skiff(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut byte = [0];
    running.stdout.take().expect("a pipe").read_exact(&mut byte).expect("it writes");
    let ended = running.wait_with_output().expect("it ends");
    (String::from_utf8_lossy(&ended.stderr).into_owned(), ended.status.code())
}

#[test]
fn commands_end_when_nobody_reads_them() {
    let env = TestEnv::new().with_busybox();
    let script = "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done";
    let flags = ["--name", "talks", "--log-opt", "max-size=1m"];
    // Nobody sees what it writes, but it goes on.
    let run = [&["run", "--network", "none"][..], &flags, &["busybox", "sh", "-c", script]].concat();
    let gone = ("write /dev/stdout: broken pipe\n".to_owned(), Some(1));
    assert_eq!(unread(&env, &run), gone);
    assert_eq!(unread(&env, &["attach", "talks"]), gone);
    let quiet = (String::new(), Some(141));
    for args in [
        &["logs", "-f", "talks"][..],
        &["exec", "talks", "yes"],
        &["export", "talks"],
        &["cp", "talks:/", "-"],
        &["save", "busybox"],
    ] {
        assert_eq!(unread(&env, args), quiet, "{args:?}");
    }
    assert!(status(&env, "talks").starts_with("Up "));
    env.ok(&["rm", "-f", "talks"]);
}
