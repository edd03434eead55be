//! `run` as people type it, on a busybox image.

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{TestEnv, own_seconds, wait_until};

fn run(env: &TestEnv, args: &[&str]) -> support::Ran {
    env.run(&[&["run", "--rm", "--network", "none"][..], args].concat())
}

#[test]
fn exit_codes_are_the_commands_own_or_dockers() {
    let env = TestEnv::new().with_busybox();
    run(&env, &["busybox", "true"]).success();
    run(&env, &["busybox", "sh", "-c", "exit 7"]).fails_with(7);
    run(&env, &["busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).fails_with(137);
    let missing = run(&env, &["busybox", "/no/such"]).fails_with(127);
    assert!(missing.stderr.contains("no such file or directory"), "{}", missing.stderr);
    let named = run(&env, &["busybox", "nosuchprogram"]).fails_with(127);
    assert!(named.stderr.contains("executable file not found in $PATH"), "{}", named.stderr);
    let denied = run(&env, &["busybox", "/etc/passwd"]).fails_with(126);
    assert!(denied.stderr.contains("permission denied"), "{}", denied.stderr);
    let flag = run(&env, &["--nosuch", "busybox"]).fails_with(125);
    assert!(flag.stderr.contains("unknown flag: --nosuch"), "{}", flag.stderr);
    let image = run(&env, &["nosuch/image:1", "true"]).fails_with(125);
    assert!(image.stderr.contains("Unable to find image 'nosuch/image:1' locally"), "{}", image.stderr);
    run(&env, &["-u", "nosuchuser", "busybox", "true"]).fails_with(125);
}

#[test]
fn environment_user_and_directory() {
    let env = TestEnv::new().with_busybox();
    env.write("vars", "\u{feff}# comment\n\n  FILE=a b \"c\"\nBOTH=file\n");
    let args = [
        "--env-file",
        "vars",
        "-e",
        "BOTH=flag",
        "-e",
        "HOME2=x=y",
        "-w",
        "/made/here",
        "-u",
        "nobody",
        "busybox",
    ];
    let said =
        run(&env, &[&args[..], &["sh", "-c", "echo \"$FILE|$BOTH|$HOME2|$HOME\"; pwd; id -u"]].concat());
    assert_eq!(said.success().stdout, "a b \"c\"|flag|x=y|/home\n/made/here\n65534\n");
    env.write("bad", "A B=c\n");
    let bad = run(&env, &["--env-file", "bad", "busybox", "true"]).fails_with(125);
    assert!(bad.stderr.contains("contains whitespaces"), "{}", bad.stderr);
    let said = run(
        &env,
        &["-u", "1234:5", "-h", "named", "busybox", "sh", "-c", "id -u; id -g; hostname; echo $HOME"],
    );
    assert_eq!(said.success().stdout, "1234\n5\nnamed\n/\n");
}

#[test]
fn entrypoint_and_command_join_as_dockers_do() {
    let env = TestEnv::new().with_busybox();
    env.ok(&[
        "import",
        "-c",
        "ENTRYPOINT [\"echo\", \"e\"]",
        "-c",
        "CMD [\"c\"]",
        support::base("busybox.tar").to_str().unwrap(),
        "ep",
    ]);
    assert_eq!(run(&env, &["ep"]).success().stdout, "e c\n");
    assert_eq!(run(&env, &["ep", "-n", "x"]).success().stdout, "e -n x\n");
    assert_eq!(run(&env, &["--entrypoint", "echo", "ep"]).success().stdout, "\n");
    assert_eq!(run(&env, &["--entrypoint", "", "ep", "echo", "reset"]).success().stdout, "reset\n");
    let none = run(&env, &["--entrypoint", "", "ep"]).fails_with(125);
    assert!(none.stderr.contains("no command specified"), "{}", none.stderr);
}

#[test]
fn volumes_binds_and_memory() {
    let env = TestEnv::new().with_busybox();
    env.write("data/file", "host\n");
    let data = env.work().join("data");
    let bind = format!("{}:/d", data.display());
    assert_eq!(
        run(&env, &["-v", &bind, "busybox", "sh", "-c", "cat /d/file; echo new > /d/new"]).success().stdout,
        "host\n"
    );
    assert_eq!(std::fs::read_to_string(data.join("new")).unwrap(), "new\n");
    let read_only = run(&env, &["-v", &format!("{bind}:ro"), "busybox", "touch", "/d/x"]).fails_with(1);
    assert!(read_only.stderr.contains("Read-only file system"), "{}", read_only.stderr);
    assert_eq!(run(&env, &["-v", "./data:/rel", "busybox", "cat", "/rel/file"]).success().stdout, "host\n");
    // A named volume gets the image's content when it is made, and keeps what is written.
    run(&env, &["-v", "named:/etc", "busybox", "sh", "-c", "test -s /etc/passwd && echo kept > /etc/mine"])
        .success();
    assert_eq!(run(&env, &["-v", "named:/v", "busybox", "cat", "/v/mine"]).success().stdout, "kept\n");
    run(&env, &["-v", "/anonymous", "busybox", "touch", "/anonymous/x"]).success();
    assert_eq!(std::fs::read_dir(env.store().join("volumes")).unwrap().count(), 1, "anonymous ones go");
    let script = "grep ' /t tmpfs' /proc/mounts | grep -c noexec; touch /t/x && echo ok";
    assert_eq!(run(&env, &["--tmpfs", "/t", "busybox", "sh", "-c", script]).success().stdout, "1\nok\n");
    let root =
        run(&env, &["--read-only", "--tmpfs", "/tmp", "busybox", "sh", "-c", "touch /tmp/a && ! touch /b"]);
    assert!(root.success().stderr.contains("Read-only"));
    let twice = run(&env, &["-v", "/x", "--tmpfs", "/x", "busybox", "true"]).fails_with(125);
    assert!(twice.stderr.contains("Duplicate mount point: /x"), "{}", twice.stderr);
    let missing =
        run(&env, &["--mount", "type=bind,src=/no/such/place,dst=/x", "busybox", "true"]).fails_with(125);
    assert!(missing.stderr.contains("bind source path does not exist: /no/such/place"), "{}", missing.stderr);
    // Writes to the root go with the container.
    run(&env, &["busybox", "touch", "/marker"]).success();
    run(&env, &["busybox", "ls", "/marker"]).fails_with(1);
}

#[test]
fn privileges() {
    let env = TestEnv::new().with_busybox();
    let caps = |args: &[&str]| {
        let script = "grep CapEff /proc/self/status | cut -f2";
        run(&env, &[args, &["busybox", "sh", "-c", script]].concat()).success().stdout.trim().to_owned()
    };
    assert_eq!(caps(&[]), "00000000a80425fb", "docker's default set");
    assert_eq!(caps(&["--cap-drop", "ALL"]), "0000000000000000");
    assert_eq!(caps(&["--cap-drop", "all", "--cap-add", "net_raw"]), "0000000000002000");
    assert_eq!(caps(&["-u", "nobody"]), "0000000000000000");
    assert!(u64::from_str_radix(&caps(&["--privileged"]), 16).unwrap() > 0xa804_25fb);
    let script = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr -s '\\t\\n' ' '";
    assert_eq!(run(&env, &["busybox", "sh", "-c", script]).success().stdout, "NoNewPrivs: 0 Seccomp: 2 ");
    let hardened = ["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"];
    let said = run(&env, &[&hardened[..], &["busybox", "sh", "-c", script]].concat());
    assert_eq!(said.success().stdout, "NoNewPrivs: 1 Seccomp: 0 ");
    run(&env, &["busybox", "mount", "-t", "tmpfs", "x", "/mnt"]).fails_with(1);
    run(&env, &["busybox", "sh", "-c", "echo x > /proc/sys/kernel/hostname"]).fails_with(1);
    run(&env, &["busybox", "sh", "-c", "test -s /proc/kcore"]).fails_with(1);
}

#[test]
fn standard_streams_and_terminals() {
    let env = TestEnv::new().with_busybox();
    let mut child = env
        .skiff(&["run", "--rm", "-i", "--network", "none", "busybox", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"through\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"through\n");
    assert_eq!(
        run(&env, &["busybox", "sh", "-c", "cat; echo out; echo err >&2"]).success().stdout,
        "out\n",
        "no -i, no input"
    );
    let both = run(&env, &["busybox", "sh", "-c", "echo out; echo err >&2"]).success();
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
    assert!(run(&env, &["-t", "busybox", "tty"]).success().stdout.starts_with("/dev/pts/0"));
    let piped = run(&env, &["-it", "busybox", "true"]);
    assert!(piped.stderr.contains("the input device is not a TTY"), "{}", piped.stderr);
    let inside = format!(
        "{} run --rm -it --network none busybox sh -c 'tty; stty size; read x; echo got $x; exit 3'; echo code $?",
        env!("CARGO_BIN_EXE_skiff")
    );
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("stty rows 33 cols 99; {inside}"), "/dev/null"])
        .env("SKIFF_ROOT", env.store());
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    script.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let text = String::from_utf8_lossy(&script.wait_with_output().unwrap().stdout).into_owned();
    for part in ["/dev/pts/0", "33 99", "got typed", "code 3"] {
        assert!(text.contains(part), "{part} is missing in {text:?}");
    }
}

#[test]
fn signals_reach_the_container() {
    let env = TestEnv::new().with_busybox();
    let script =
        "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo ready; while true; do sleep 0.05; done";
    let mut child = env
        .skiff(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        line
    };
    assert_eq!(next(), "ready\n");
    rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
    assert_eq!(next(), "usr1\n");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(next(), "term\n");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn an_init_reaps_and_a_container_survives_its_command() {
    let env = TestEnv::new().with_busybox();
    // Whoever has lost its parent ends, and nothing is left of it.
    let script = "(sleep 0.05 &); for i in $(seq 300); do ps -o stat,comm >/list; grep -Eq '^Z|sleep' /list || break; \
                  usleep 100000; done; grep -Ec '^Z|sleep' /list";
    assert_eq!(run(&env, &["--init", "busybox", "sh", "-c", script]).stdout, "0\n");
    let seconds = own_seconds();
    let mut child = env
        .skiff(&["run", "--rm", "--name", "left", "--network", "none", "busybox", "sleep", &seconds])
        .spawn()
        .unwrap();
    let word = format!("sleep {seconds}");
    let running = || Command::new("pgrep").args(["-f", &word]).output().unwrap().stdout.len();
    wait_until("the start", Duration::from_secs(30), || !env.ok(&["ps", "-q"]).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(running() > 0, "its monitor owns it");
    env.ok(&["stop", "-t", "0", "left"]);
    assert_eq!(env.ok(&["ps", "-aq"]), "");
    assert_eq!(running(), 0);
}

#[test]
fn limits_are_set_where_cgroups_allow() {
    let env = TestEnv::new().with_busybox();
    let limited = run(
        &env,
        &[
            "-m",
            "16m",
            "--pids-limit",
            "20",
            "--cpus",
            "0.5",
            "busybox",
            "sh",
            "-c",
            "head -c 200m /dev/zero | tail | wc -c",
        ],
    );
    assert!(limited.stderr.contains("WARNING") || limited.stdout.trim() != "209715200", "{limited:?}");
    assert_eq!(
        run(&env, &["--ulimit", "nofile=77:88", "busybox", "sh", "-c", "ulimit -n; ulimit -Hn"])
            .success()
            .stdout,
        "77\n88\n"
    );
    let small = run(&env, &["-m", "1m", "busybox", "true"]).fails_with(125);
    assert!(small.stderr.contains("Minimum memory limit allowed is 6MB"), "{}", small.stderr);
    assert_eq!(
        run(
            &env,
            &["--shm-size", "1m", "busybox", "sh", "-c", "df -k /dev/shm | tail -1 | awk '{print $2}'"]
        )
        .success()
        .stdout,
        "1024\n"
    );
}

#[test]
fn what_is_not_there_is_refused_by_name() {
    let env = TestEnv::new().with_busybox();
    for (args, said) in [
        (&["--link-local-ip", "x", "busybox"][..], "invalid link-local IP address: x"),
        (&["-p", "x:80", "busybox"], "Invalid hostPort: x"),
        (&["--restart", "always", "busybox"], "cannot specify both --restart and --rm"),
        (&["--log-driver", "splunk", "busybox"], "logging driver 'splunk' is not available"),
        (&["--security-opt", "apparmor=x", "busybox"], "--security-opt apparmor=x is not available"),
        (&["--cpuset-cpus", "9999", "busybox"], "Requested CPUs are not available - requested 9999"),
        (&["--name", "x", "busybox"], "Invalid container name (x), only [a-zA-Z0-9]"),
        (&["-u", "nobody:nosuchgroup", "busybox"], "unable to find group nosuchgroup"),
        (&["-w", "relative", "busybox"], "it needs to be an absolute path"),
        (
            &["--mount", "type=npipe,src=x,dst=/x", "busybox"],
            "invalid mount config for type \"npipe\": mount type unknown",
        ),
    ] {
        let ran = run(&env, args).fails_with(125);
        assert!(ran.stderr.starts_with("docker: ") && ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
    }
    for (args, said) in [
        (
            &["--sysctl", "vm.swappiness=1"][..],
            "for \"--sysctl\" flag: sysctl 'vm.swappiness=1' is not allowed",
        ),
        (&["-m", "many"], "invalid argument \"many\" for \"-m, --memory\" flag: invalid size: 'many'"),
        (&["--cpus", "x"], "for \"--cpus\" flag: failed to parse x as a rational number"),
        (&["--add-host", "x:y"], "for \"--add-host\" flag: invalid IP address in add-host: \"y\""),
        (&["-l", "=x"], "for \"-l, --label\" flag: invalid label '=x': empty name"),
    ] {
        let ran = run(&env, &[args, &["busybox"]].concat()).fails_with(125);
        let usage = "Usage:  skiff run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'skiff run --help' for more information\n";
        let whole = ran.stderr.starts_with("invalid argument ") && ran.stderr.ends_with(usage);
        assert!(whole && ran.stderr.contains(said), "{args:?}: {}", ran.stderr);
    }
    run(&env, &["--restart", "no", "-d=false", "--log-driver=none", "busybox", "true"]).success();
    let unknown = env.run(&["run", "--network", "nosuch", "busybox"]).fails_with(125);
    assert!(unknown.stderr.contains("network nosuch not found"), "{}", unknown.stderr);
    let discarded = env.run(&["run", "--network", "host", "-p", "80:80", "busybox", "true"]).success();
    assert!(discarded.stderr.starts_with("WARNING: Published ports are discarded"), "{}", discarded.stderr);
    let piped = env.run(&["run", "-it", "busybox", "true"]).fails_with(1);
    assert!(piped.stderr.starts_with("cannot attach stdin to a TTY-enabled container"), "{}", piped.stderr);
}

#[test]
fn flags_end_with_the_image() {
    let env = TestEnv::new().with_busybox();
    let script = "echo got $0 $1 $2";
    let said = run(&env, &["busybox", "sh", "-c", script, "-e", "--rm", "-u"]).success();
    assert_eq!(said.stdout, "got -e --rm -u\n");
}

#[test]
fn volumes_fill() {
    let env = TestEnv::new().with_busybox();
    // An empty volume is filled when it is first used where the image has something.
    run(&env, &["-v", "later:/nothing/here", "busybox", "true"]).success();
    run(&env, &["-v", "other:/etc:nocopy", "busybox", "sh", "-c", "test ! -e /etc/passwd"]).success();
    run(&env, &["-v", "later:/etc", "busybox", "test", "-s", "/etc/passwd"]).success();
    let outside = ["--mount", "src=later,dst=/x,volume-subpath=../..", "busybox", "ls", "/x"];
    let said = run(&env, &outside).fails_with(125).stderr;
    assert!(said.contains("subpath must be a relative path within the volume"), "{said}");
    run(&env, &["-v", "later:/etc", "busybox", "ln", "-s", "/../..", "/etc/out"]).success();
    let below = ["--mount", "src=later,dst=/x,volume-subpath=out", "busybox", "ls", "/x"];
    let listed = run(&env, &below).success().stdout;
    assert!(listed.contains("passwd"), "a link in a volume does not lead out of it: {listed}");
    // What the user mounts on a file of ours stands in its place.
    env.write("hosts", "1.2.3.4 mine\n");
    let said = run(&env, &["-v", "./hosts:/etc/hosts:ro", "busybox", "cat", "/etc/hosts"]).success();
    assert_eq!(said.stdout, "1.2.3.4 mine\n");
    let said = run(&env, &["--add-host", "there:10.1.2.3", "busybox", "tail", "-1", "/etc/hosts"]).success();
    assert_eq!(said.stdout, "10.1.2.3\tthere\n");
}

#[test]
fn the_id_is_written_for_a_container_that_started() {
    let env = TestEnv::new().with_busybox();
    let said = run(&env, &["--cidfile", "id", "busybox", "hostname"]).success();
    let id = std::fs::read_to_string(env.work().join("id")).unwrap();
    assert!(id.len() == 64 && id.starts_with(said.stdout.trim()), "{id} {}", said.stdout);
    let again = run(&env, &["--cidfile", "id", "busybox", "true"]).fails_with(125);
    assert!(again.stderr.contains("container ID file found"), "{}", again.stderr);
    run(&env, &["--cidfile", "none", "busybox", "nosuchprogram"]).fails_with(127);
    assert!(!env.work().join("none").exists());
}
