//! `exec` and health checks on the built binary.

mod support;

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use support::{TestEnv, wait_until};

const LONG: Duration = Duration::from_secs(30);

fn sleeper(env: &TestEnv, name: &str) -> String {
    let args = ["run", "-d", "--network", "none", "--name", name, "busybox", "sleep", "1000"];
    env.ok(&args).trim().to_owned()
}

#[test]
fn commands_run_in_a_running_container() {
    let env = TestEnv::new().with_busybox();
    let id = sleeper(&env, "web");
    assert_eq!(env.ok(&["exec", "web", "hostname"]).trim(), &id[..12]);
    // The kernel shows the words a moment after the program's start.
    wait_until("its process ids", LONG, || {
        env.ok(&["exec", "web", "cat", "/proc/1/cmdline"]) == "sleep\u{0}1000\u{0}"
    });
    let both = env.run(&["exec", "web", "sh", "-c", "echo out; echo err >&2; exit 7"]).fails_with(7);
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
    env.run(&["exec", "web", "sh", "-c", "kill -9 $$"]).fails_with(137);
    for (words, code, said) in [
        (&["nope"][..], 127, "exec: \"nope\": executable file not found in $PATH\n"),
        (&["/nope"], 127, "exec: \"/nope\": stat /nope: no such file or directory\n"),
        (&["/etc/passwd"], 126, "exec: \"/etc/passwd\": permission denied\n"),
        (&["/etc"], 126, "exec: \"/etc\": is a directory: permission denied\n"),
    ] {
        let ran = env.run(&[&["exec", "web"][..], words].concat()).fails_with(code);
        let begins = "OCI runtime exec failed: exec failed: unable to start container process: ";
        assert_eq!(ran.stderr, format!("{begins}{said}"));
    }
    let user = env.run(&["exec", "-u", "nobody2", "web", "true"]).fails_with(1);
    assert!(user.stderr.contains("unable to find user nobody2: no matching entries in passwd file"));
    assert_eq!(env.ok(&["exec", "-u", "3:4", "web", "sh", "-c", "id -u; id -g"]), "3\n4\n");
    assert_eq!(env.ok(&["exec", "-w", "/proc", "web", "pwd"]), "/proc\n");
    let nodir = env.run(&["exec", "-w", "/nodir", "web", "pwd"]).fails_with(127);
    assert!(
        nodir
            .stderr
            .contains("chdir to cwd (\"/nodir\") set in config.json failed: no such file or directory")
    );
    let detached = env.run(&["exec", "-d", "web", "nope"]).fails_with(1);
    assert!(detached.stderr.starts_with("Error response from daemon: OCI runtime exec failed"));
    env.write("vars", "A=file\nB=file\n");
    let args = ["exec", "--env-file", "vars", "-e", "B=flag", "-e", "HOSTNAME", "web", "env"];
    let vars = env.ok(&args);
    assert!(vars.contains("\nA=file\nB=flag\n") && !vars.contains("HOSTNAME="), "{vars}");
    assert!(env.ok(&["exec", "web", "tail", "-n", "1", "/proc/self/cgroup"]).trim().ends_with(":/"), "{id}");
    env.ok(&["exec", "-d", "web", "touch", "/made"]);
    wait_until("a detached command", LONG, || {
        env.run(&["exec", "web", "test", "-e", "/made"]).code == Some(0)
    });
    assert_eq!(env.ok(&["ps", "-q"]).lines().count(), 1, "it still runs");
}

#[test]
fn rights_are_the_containers() {
    let env = TestEnv::new().with_busybox();
    sleeper(&env, "web");
    let status = ["sh", "-c", "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status"];
    let own = env.ok(&[&["run", "--rm", "--network", "none", "busybox"][..], &status].concat());
    assert_eq!(env.ok(&[&["exec", "web"][..], &status].concat()), own);
    let more = env.ok(&[&["exec", "--privileged", "web"][..], &status].concat());
    assert!(more != own && more.contains("Seccomp:\t2"), "{more}");
    let user = env.ok(&[&["exec", "-u", "1", "web"][..], &status].concat());
    assert!(user.contains("CapEff:\t0000000000000000"), "{user}");
    let memory = ["--network", "none", "--name", "small", "-m", "20m", "busybox", "sleep", "1000"];
    env.ok(&[&["run", "-d"][..], &memory].concat());
    // Its limit holds for what comes later, too.
    let eaten = env.run(&["exec", "small", "sh", "-c", "head -c 200m /dev/zero | tail -c 200m >/dev/null"]);
    assert_ne!(eaten.code, Some(0), "{eaten:?}");
}

#[test]
fn containers_that_do_not_run_take_no_guests() {
    let env = TestEnv::new().with_busybox();
    let id = env.ok(&["create", "--network", "none", "--name", "web", "busybox", "sleep", "1000"]);
    let not_running = format!("Error response from daemon: container {} is not running\n", id.trim());
    assert_eq!(env.run(&["exec", "web", "true"]).fails_with(1).stderr, not_running);
    env.ok(&["start", "web"]);
    env.ok(&["pause", "web"]);
    let paused = env.run(&["exec", "web", "true"]).fails_with(1).stderr;
    assert_eq!(
        paused,
        "Error response from daemon: Container web is paused, unpause the container before exec\n"
    );
    env.ok(&["unpause", "web"]);
    let mut guest = env.skiff(&["exec", "web", "sh", "-c", "echo here; sleep 1000"]);
    let mut guest = guest.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut said = [0; 5];
    guest.stdout.as_mut().expect("piped").read_exact(&mut said).expect("it says something");
    env.ok(&["kill", "web"]);
    assert_eq!(guest.wait().expect("it ends").code(), Some(137), "it ends with the container");
    assert_eq!(env.run(&["exec", "web", "true"]).fails_with(1).stderr, not_running);
    let missing = env.run(&["exec", "nobody", "true"]).fails_with(1).stderr;
    assert_eq!(missing, "Error response from daemon: No such container: nobody\n");
    let few = env.run(&["exec", "web"]).fails_with(1).stderr;
    assert!(few.contains("'skiff exec' requires at least 2 arguments"), "{few}");
}

#[test]
fn input_goes_in_and_a_lost_client_hinders_nobody() {
    let env = TestEnv::new().with_busybox();
    sleeper(&env, "web");
    let mut command = env.skiff(&["exec", "-i", "web", "sh", "-c", "md5sum; echo end"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    let bytes = vec![7u8; 3_000_000];
    std::thread::spawn(move || stdin.write_all(&bytes));
    let out = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{}  -\nend\n", expected_sum()));
    // The process of a client that was killed goes on.
    let script = "echo begun; i=0; while [ $i -lt 3000 ]; do echo a line of some length to fill a pipe; i=$((i+1)); done; \
                  touch /done";
    let mut command = env.skiff(&["exec", "web", "sh", "-c", script]);
    let mut lost = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut said = [0; 6];
    lost.stdout.as_mut().expect("piped").read_exact(&mut said).expect("it says something");
    lost.kill().expect("killed");
    lost.wait().expect("it ends");
    wait_until("the lost command", LONG, || env.run(&["exec", "web", "test", "-e", "/done"]).code == Some(0));
    let many: Vec<_> = (0..8)
        .map(|n| env.skiff(&["exec", "web", "sh", "-c", &format!("exit {n}")]).spawn().expect("it starts"))
        .collect();
    for (n, mut child) in many.into_iter().enumerate() {
        assert_eq!(child.wait().expect("it ends").code(), i32::try_from(n).ok());
    }
}

#[test]
fn a_slow_reader_gets_all_that_was_written() {
    let env = TestEnv::new().with_busybox();
    sleeper(&env, "web");
    // More than what lies between can hold, so that some of it is left when the process has ended.
    let mut commands: Vec<(String, Vec<&str>, u64)> =
        vec![("exec".to_owned(), vec!["exec", "web", "head", "-c"], 100 << 10)];
    for size in [580, 600, 620] {
        let run = vec!["run", "--rm", "--network", "none", "busybox", "head", "-c"];
        commands.push((format!("run {size}"), run, size << 10));
    }
    std::thread::scope(|scope| {
        for (what, args, size) in commands {
            let env = &env;
            scope.spawn(move || {
                let count = size.to_string();
                let mut command = env.skiff(&[&args[..], &[&count, "/dev/zero"]].concat());
                let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
                std::thread::sleep(Duration::from_secs(4));
                let mut out = child.stdout.take().expect("piped");
                let read = std::io::copy(&mut out, &mut std::io::sink()).expect("it is read");
                assert_eq!((read, child.wait().expect("it ends").code()), (size, Some(0)), "{what}");
            });
        }
    });
}

/// What md5sum says of 3,000,000 bytes of 7.
fn expected_sum() -> String {
    let mut child = std::process::Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("md5sum is on every Debian");
    child.stdin.take().expect("piped").write_all(&vec![7u8; 3_000_000]).expect("it reads");
    let out = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&out.stdout).split_whitespace().next().expect("a sum").to_owned()
}

#[test]
fn health_is_found_out_and_shown() {
    let env = TestEnv::new().with_busybox();
    let health = |name: &str| env.ok(&["inspect", "-f", "{{json .State.Health}}", name]);
    let status = |name: &str| {
        env.ok(&["ps", "-a", "-f", &format!("name=^{name}$"), "--format", "{{.Status}}|{{.HealthStatus}}"])
    };
    let flags = ["--health-cmd", "echo looking; test -e /ok", "--health-interval", "100ms"];
    let more = ["--health-retries", "2", "--name", "sick", "busybox", "sleep", "1000"];
    env.ok(&[&["run", "-d", "--network", "none"][..], &flags, &more].concat());
    let later =
        ["--health-cmd", "true", "--health-interval", "1h", "--name", "early", "busybox", "sleep", "1000"];
    env.ok(&[&["run", "-d", "--network", "none"][..], &later].concat());
    let early = status("early");
    assert!(early.contains("(health: starting)|starting"), "{early}");
    wait_until("sickness", LONG, || status("sick").contains("(unhealthy)|unhealthy"));
    assert_eq!(env.ok(&["ps", "-f", "health=unhealthy", "--format", "{{.Names}}"]), "sick\n");
    assert_eq!(env.ok(&["ps", "-f", "health=healthy", "-q"]), "");
    let seen: serde_json::Value = serde_json::from_str(&health("sick")).expect("JSON");
    assert!(seen["FailingStreak"].as_u64() >= Some(2) && seen["Log"][0]["Output"] == "looking\n", "{seen}");
    env.ok(&["exec", "sick", "touch", "/ok"]);
    wait_until("recovery", LONG, || status("sick").contains("(healthy)|healthy"));
    assert_eq!(
        env.ok(&["inspect", "-f", "{{.State.Health.Status}} {{.State.Health.FailingStreak}}", "sick"]),
        "healthy 0\n"
    );
    wait_until("five results", LONG, || {
        let seen: serde_json::Value = serde_json::from_str(&health("sick")).expect("JSON");
        seen["Log"].as_array().map(Vec::len) == Some(5)
    });
    let slow = ["--health-cmd", "sleep 100", "--health-interval", "50ms", "--health-timeout", "50ms"];
    let more = ["--health-retries", "1", "--name", "slow", "busybox", "sleep", "1000"];
    env.ok(&[&["run", "-d", "--network", "none"][..], &slow, &more].concat());
    wait_until("the time limit", LONG, || status("slow").contains("(unhealthy)"));
    let seen: serde_json::Value = serde_json::from_str(&health("slow")).expect("JSON");
    let (code, text) = (&seen["Log"][0]["ExitCode"], &seen["Log"][0]["Output"]);
    assert_eq!((code, text), (&(-1).into(), &"Health check exceeded timeout (50ms)".into()));
    let both = ["run", "--rm", "--health-cmd", "x", "--no-healthcheck", "busybox", "true"];
    let both = env.run(&both).fails_with(125);
    assert!(both.stderr.contains("--no-healthcheck conflicts with --health-* options"), "{}", both.stderr);
}

#[test]
fn images_may_say_how_their_health_is_found_out() {
    let env = TestEnv::new().with_busybox();
    env.write(
        "Dockerfile",
        "FROM busybox\nHEALTHCHECK --interval=100ms CMD test -e /ok\nCMD [\"sh\", \"-c\", \"touch /ok; sleep 1000\"]\n",
    );
    env.ok(&["build", "-q", "-t", "checked", "."]);
    env.ok(&["run", "-d", "--network", "none", "--name", "web", "checked"]);
    let status = |name: &str| env.ok(&["ps", "-f", &format!("name=^{name}$"), "--format", "{{.Status}}"]);
    wait_until("health", LONG, || status("web").contains("(healthy)"));
    env.ok(&["run", "-d", "--network", "none", "--no-healthcheck", "--name", "bare", "checked"]);
    assert!(!status("bare").contains("health"), "{}", status("bare"));
    assert_eq!(env.ok(&["inspect", "-f", "{{json .Config.Healthcheck.Test}}", "bare"]), "[\"NONE\"]\n");
}
