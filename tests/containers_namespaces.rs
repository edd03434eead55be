//! Namespaces that containers share with each other, images as mounts, and what containers are told of themselves.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::engine::Engine;
use support::{TestEnv, wait_until};

const LONG: Duration = Duration::from_secs(30);

/// Runs `run -d` without a network and returns the id.
#[track_caller]
fn detached(env: &TestEnv, args: &[&str]) -> String {
    env.ok(&[&["run", "-d", "--network", "none"][..], args].concat()).trim().to_owned()
}

/// Runs `run --rm` without a network and returns what it printed.
#[track_caller]
fn once(env: &TestEnv, args: &[&str]) -> String {
    env.ok(&[&["run", "--rm", "--network", "none"][..], args].concat())
}

/// Runs a command that must fail so and say exactly this.
#[track_caller]
fn refused(env: &TestEnv, args: &[&str], code: i32, said: &str) {
    let ran = env.run(args).fails_with(code);
    let text = ran.stderr.split("\n\nRun '").next().unwrap_or_default().trim_end().to_owned();
    assert_eq!(text, said, "{args:?}");
}

fn inspect(env: &TestEnv, name: &str) -> Value {
    let all: Value = serde_json::from_str(&env.ok(&["inspect", name])).expect("JSON");
    all[0].clone()
}

#[track_caller]
fn await_exit(env: &TestEnv, name: &str) -> Value {
    let ended = || inspect(env, name)["State"]["Status"] == "exited";
    wait_until("the container's end", LONG, ended);
    inspect(env, name)["State"].clone()
}

/// Waits until a container sees a process: its shell takes its time to start it.
#[track_caller]
fn shows(env: &TestEnv, name: &str, command: &str) {
    let line = format!(" {command}\n");
    wait_until(command, LONG, || env.ok(&["exec", name, "ps", "-o", "pid,args"]).contains(&line));
}

#[test]
fn process_ids_of_another_container() {
    let env = TestEnv::new().with_busybox();
    let first = detached(&env, &["--name", "first", "busybox", "sleep", "1000"]);
    let script = "sleep 2000 & exec sleep 3000";
    detached(&env, &["--name", "guest", "--pid", "container:first", "--init", "busybox", "sh", "-c", script]);
    assert_eq!(inspect(&env, "guest")["HostConfig"]["PidMode"], format!("container:{first}"));
    let of = |name| env.ok(&["exec", name, "ps", "-o", "pid,args"]);
    for name in ["first", "guest"] {
        // The guest's shell takes its time.
        wait_until("the guest's processes", LONG, || {
            let seen = of(name);
            seen.contains(" sleep 2000\n") && seen.contains(" sleep 3000\n")
        });
        let seen = of(name);
        assert!(seen.contains("    1 sleep 1000"), "{name} sees the other's first process: {seen}");
    }
    // What belongs to whom is kept apart.
    let tops = [env.ok(&["top", "first"]), env.ok(&["top", "guest"])];
    assert!(tops[0].contains("sleep 1000") && !tops[0].contains("sleep 2000"), "{}", tops[0]);
    assert!(!tops[1].contains("sleep 1000") && tops[1].contains("sleep 2000"), "{}", tops[1]);
    // What exec ran may still be on its way out.
    let counts = || env.ok(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "first", "guest"]);
    wait_until("each one's own processes", LONG, || counts() == "first 1\nguest 2\n");
    env.ok(&["pause", "guest"]);
    assert!(of("first").contains("sleep 3000"), "only the guest stands still");
    env.ok(&["unpause", "guest"]);
    // A signal ends what is not process 1, and its children go with it though nobody's namespace ends.
    assert_eq!(env.ok(&["stop", "guest"]), "guest\n");
    let state = inspect(&env, "guest")["State"].clone();
    assert_eq!((state["Status"].as_str(), state["ExitCode"].as_i64()), (Some("exited"), Some(143)));
    let left = of("first");
    assert!(!left.contains("sleep 2000") && !left.contains("sleep 3000"), "{left}");
    assert!(left.contains("sleep 1000"), "{left}");
}

#[test]
fn a_guest_ends_with_its_host_and_starts_in_the_next_one() {
    let env = TestEnv::new().with_busybox();
    detached(&env, &["--name", "host", "busybox", "sleep", "1000"]);
    detached(&env, &["--name", "guest", "--pid", "container:host", "busybox", "sleep", "2000"]);
    env.ok(&["exec", "-d", "guest", "sleep", "3000"]);
    env.ok(&["kill", "host"]);
    let state = await_exit(&env, "guest");
    assert_eq!(state["ExitCode"], 137);
    assert_eq!(state["Pid"], 0);
    assert_eq!(env.ok(&["wait", "guest"]), "137\n");
    let id = inspect(&env, "host")["Id"].as_str().expect("an id").to_owned();
    let why = format!("failed to join PID namespace: container {id} is not running");
    let said = format!("Error response from daemon: {why}\nError: failed to start containers: guest");
    refused(&env, &["start", "guest"], 1, &said);
    assert_eq!(inspect(&env, "guest")["State"]["Error"], why);
    env.ok(&["start", "host"]);
    env.ok(&["start", "guest"]);
    shows(&env, "host", "sleep 2000");
    // A name may pass to another one; the container that was meant stays the same.
    env.ok(&["rename", "host", "moved"]);
    detached(&env, &["--name", "host", "busybox", "sleep", "4000"]);
    env.ok(&["restart", "-t", "0", "guest"]);
    // Not with the one that now has the name.
    shows(&env, "guest", "sleep 1000");
    env.ok(&["rm", "-f", "moved"]);
    await_exit(&env, "guest");
    refused(
        &env,
        &["start", "guest"],
        1,
        &format!(
            "Error response from daemon: failed to join PID namespace: No such container: {id}\n\
             Error: failed to start containers: guest"
        ),
    );
    env.ok(&["rm", "guest"]);
}

#[test]
fn a_restarting_guest_comes_back_and_a_killed_monitor_leaves_nothing() {
    let env = TestEnv::new().with_busybox();
    detached(&env, &["--name", "host", "busybox", "sleep", "1000"]);
    let flags = ["--name", "guest", "--pid", "container:host", "--restart", "always"];
    detached(&env, &[&flags[..], &["busybox", "sh", "-c", "sleep 2000 & exec sleep 3000"]].concat());
    let pid = |name: &str| inspect(&env, name)["State"]["Pid"].as_i64().expect("a number");
    let before = pid("guest");
    shows(&env, "host", "sleep 2000");
    shows(&env, "host", "sleep 3000");
    env.ok(&["exec", "host", "sh", "-c", "kill $(pidof sleep | tr ' ' '\\n' | grep -v '^1$')"]);
    wait_until("its next run", LONG, || {
        let state = inspect(&env, "guest")["State"].clone();
        state["Status"] == "running" && state["Pid"].as_i64() != Some(before)
    });
    shows(&env, "host", "sleep 3000");
    // Without its monitor, all of the guest goes, and nothing of the other one.
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid("guest"))).expect("it lives");
    let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent").trim();
    let monitor = rustix::process::Pid::from_raw(monitor.parse().expect("a number")).expect("a process");
    rustix::process::kill_process(monitor, rustix::process::Signal::KILL).expect("it can be killed");
    wait_until("the end to be seen", LONG, || inspect(&env, "guest")["State"]["Status"] == "exited");
    assert_eq!(inspect(&env, "guest")["State"]["ExitCode"], 137);
    wait_until("the rest to end", LONG, || {
        let seen = env.ok(&["exec", "host", "ps", "-o", "args"]);
        !seen.contains("sleep 2000") && !seen.contains("sleep 3000")
    });
    env.ok(&["start", "guest"]);
    shows(&env, "host", "sleep 3000");
}

#[test]
fn ipc_of_another_container() {
    let env = TestEnv::new().with_busybox();
    let flags = ["--name", "giver", "--ipc", "shareable", "--shm-size", "3m"];
    let giver = detached(&env, &[&flags[..], &["busybox", "sleep", "1000"]].concat());
    env.ok(&["exec", "giver", "sh", "-c", "echo told > /dev/shm/note; touch /dev/mqueue/queue"]);
    let flags = ["--name", "taker", "--ipc", "container:giver", "--shm-size", "1m"];
    detached(&env, &[&flags[..], &["busybox", "sleep", "1000"]].concat());
    assert_eq!(inspect(&env, "taker")["HostConfig"]["IpcMode"], format!("container:{giver}"));
    let script = "cat /dev/shm/note; ls /dev/mqueue; df -k /dev/shm | tail -1 | awk '{print $2}'; \
        readlink /proc/self/ns/ipc; stat -c %d /dev/shm; grep ' /dev/shm ' /proc/mounts | cut -d' ' -f4";
    let seen = ["giver", "taker"].map(|name| env.ok(&["exec", name, "sh", "-c", script]));
    assert!(seen[0].starts_with("told\nqueue\n3072\nipc:["), "{}", seen[0]);
    assert!(seen[0].contains("rw,nosuid,nodev,noexec"), "{}", seen[0]);
    assert_eq!(seen[0], seen[1], "namespace and memory are the same");
    env.ok(&["exec", "taker", "sh", "-c", "echo back > /dev/shm/answer"]);
    assert_eq!(env.ok(&["exec", "giver", "cat", "/dev/shm/answer"]), "back\n");
    // A mount of one's own stays.
    let own = once(&env, &["--ipc", "container:giver", "--tmpfs", "/dev/shm", "busybox", "ls", "/dev/shm"]);
    assert_eq!(own, "");
    // The taker lives on without the giver, with what they had in common.
    env.ok(&["rm", "-f", "giver"]);
    assert_eq!(env.ok(&["exec", "taker", "cat", "/dev/shm/answer"]), "back\n");
}

#[test]
fn ipc_without_memory_and_of_the_host() {
    let env = TestEnv::new().with_busybox();
    let seen = once(&env, &["--ipc", "none", "busybox", "sh", "-c", "ls /dev; readlink /proc/self/ns/ipc"]);
    let host = std::fs::read_link("/proc/self/ns/ipc").expect("a link").display().to_string();
    assert!(!seen.lines().any(|line| line == "shm") && seen.lines().any(|line| line == "mqueue"), "{seen}");
    assert!(!seen.contains(&host), "{seen}");
    let device = |path: &str| {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).expect("it is there").dev().to_string()
    };
    let script = "readlink /proc/self/ns/ipc; stat -c %d /dev/shm";
    let seen = once(&env, &["--ipc", "host", "busybox", "sh", "-c", script]);
    assert_eq!(seen, format!("{host}\n{}\n", device("/dev/shm")));
    for mode in ["", "private", "shareable"] {
        let seen = once(&env, &["--ipc", mode, "busybox", "sh", "-c", script]);
        assert!(!seen.contains(&host), "{mode}: {seen}");
        assert!(!seen.ends_with(&format!("\n{}\n", device("/dev/shm"))), "{mode}: {seen}");
    }
}

#[test]
fn what_can_not_be_joined_is_said_in_dockers_words() {
    let env = TestEnv::new().with_busybox();
    let run = ["run", "--rm", "--network", "none"];
    let stopped = env.ok(&["create", "--network", "none", "--name", "stopped", "busybox", "true"]);
    let stopped = stopped.trim();
    let alone = detached(&env, &["--name", "alone", "busybox", "sleep", "1000"]);
    let daemon = |why: String| format!("docker: Error response from daemon: {why}");
    for (flag, value, said) in [
        ("--pid", "container:none", daemon("No such container: none".to_owned())),
        ("--ipc", "container:none", daemon("No such container: none".to_owned())),
        (
            "--pid",
            "container:stopped",
            daemon(format!("failed to join PID namespace: container {stopped} is not running")),
        ),
        (
            "--ipc",
            "container:stopped",
            daemon(format!("failed to join IPC namespace: container {stopped} is not running")),
        ),
        (
            "--ipc",
            "container:alone",
            daemon(format!(
                "failed to join IPC namespace: container {alone}: non-shareable IPC (hint: use IpcMode:shareable for \
                 the donor container)"
            )),
        ),
        ("--pid", "private", "docker: --pid: invalid PID mode".to_owned()),
        ("--pid", "container:", "docker: --pid: invalid PID mode".to_owned()),
        ("--uts", "container:alone", "docker: --uts: invalid UTS mode".to_owned()),
        ("--userns", "keep-id", "docker: --userns: invalid USER mode".to_owned()),
        ("--cgroupns", "x", "docker: --cgroupns: invalid CGROUP mode".to_owned()),
        ("--ipc", "hosts", daemon("invalid IPC mode: hosts".to_owned())),
    ] {
        refused(&env, &[&run[..], &[flag, value, "busybox", "true"]].concat(), 125, &said);
    }
    // The name of what does not exist yet is nobody's, so no container joins itself.
    refused(
        &env,
        &["create", "--name", "me", "--pid", "container:me", "busybox", "true"],
        1,
        "Error response from daemon: No such container: me",
    );
    assert_eq!(env.ok(&["ps", "-aq"]).lines().count(), 2, "nothing is left of the refused ones");
    for (flag, value, key) in [("--userns", "host", "UsernsMode"), ("--uts", "host", "UTSMode")] {
        let name = format!("with-{}", &flag[2..]);
        env.ok(&["create", "--name", &name, "--network", "none", flag, value, "busybox", "true"]);
        assert_eq!(inspect(&env, &name)["HostConfig"][key], value);
    }
}

#[test]
fn the_files_of_an_image_are_a_mount() {
    let env = TestEnv::new().with_busybox();
    env.write("Dockerfile", "FROM busybox\nRUN mkdir -p /d && echo noted > /d/note\n");
    env.ok(&["build", "-q", "-t", "noted", "."]);
    let mount = |options: &str| format!("type=image,source=noted,target=/x{options}");
    let script = "cat /x/d/note; touch /x/new 2>&1; true";
    let seen = once(&env, &["--mount", &mount(""), "busybox", "sh", "-c", script]);
    assert_eq!(seen, "noted\ntouch: /x/new: Read-only file system\n");
    assert_eq!(once(&env, &["--mount", &mount(",image-subpath=d"), "busybox", "ls", "/x"]), "note\n");
    let file = mount(",image-subpath=d/note,readonly");
    assert_eq!(once(&env, &["--mount", &file, "busybox", "cat", "/x"]), "noted\n");
    let missing = mount(",image-subpath=gone");
    let run = ["run", "--rm", "--network", "none", "--mount"];
    let ran = env.run(&[&run[..], &[&missing, "busybox", "true"]].concat()).fails_with(127);
    assert!(ran.stderr.contains("cannot access path"), "{}", ran.stderr);
    assert!(ran.stderr.contains("no such file or directory"), "{}", ran.stderr);
    let never = ["--pull", "never", "--mount", "type=image,source=nowhere,target=/x", "busybox", "true"];
    let said = "docker: Error response from daemon: No such image: nowhere:latest";
    refused(&env, &[&["run", "--network", "none"][..], &never].concat(), 125, said);

    let command = ["busybox", "sh", "-c", "touch /own; cat /x/d/note"];
    let flags = ["create", "--name", "reader", "--network", "none", "--mount"];
    env.ok(&[&flags[..], &[&mount("")], &command].concat());
    let shown = inspect(&env, "reader");
    assert_eq!(shown["Mounts"][0]["Type"], "image");
    assert_eq!(shown["Mounts"][0]["Name"], "noted");
    assert_eq!(shown["Mounts"][0]["Destination"], "/x");
    assert_eq!(shown["Mounts"][0]["RW"], false);
    let expected = serde_json::json!([{ "Source": "noted", "Target": "/x", "Type": "image" }]);
    assert_eq!(shown["HostConfig"]["Mounts"], expected);
    // As long as the container is there, so is the image.
    let ran = env.run(&["rmi", "noted"]).fails_with(1);
    assert!(
        ran.stderr.contains("conflict: unable to remove repository reference \"noted\""),
        "{}",
        ran.stderr
    );
    env.ok(&["rmi", "-f", "noted"]);
    env.ok(&["image", "prune", "-af"]);
    env.ok(&["builder", "prune", "-af"]);
    assert_eq!(env.ok(&["start", "-a", "reader"]), "noted\n");
    assert_eq!(env.ok(&["diff", "reader"]), "A /own\n");
    assert_eq!(env.ok(&["cp", "-q", "reader:/x/d/note", "-"]).matches("noted").count(), 1);
    let archive = env.work().join("tree.tar");
    env.ok(&["export", "-o", archive.to_str().expect("a plain path"), "reader"]);
    let bytes = std::fs::read(archive).expect("an archive");
    assert!(!bytes.windows(6).any(|part| part == b"noted\n"), "what is mounted is not exported");
    env.ok(&["commit", "reader", "kept"]);
    env.run(&["run", "--rm", "--network", "none", "kept", "ls", "/x"]).fails_with(1);
    assert_eq!(once(&env, &["--volumes-from", "reader", "busybox", "cat", "/x/d/note"]), "noted\n");
}

#[test]
fn what_a_container_is_told_is_shown_and_handed_on() {
    let env = TestEnv::new().with_busybox();
    let flags = [
        "create",
        "--name",
        "told",
        "--network",
        "none",
        "--annotation",
        "a=b",
        "--annotation",
        "c",
        "--annotation",
        "d=e=f",
        "--label",
        "l=m",
        "--label-file",
        "labels",
        "--isolation",
        "default",
        "--runtime",
        "runc",
        "--volume-driver",
        "local",
        "--disable-content-trust=false",
        "--disable-content-trust",
    ];
    env.write("labels", "# of a file\nof=file=x\nnothing\n");
    env.ok(&[&flags[..], &["busybox", "true"]].concat());
    let labels = &inspect(&env, "told")["Config"]["Labels"];
    assert_eq!(labels, &serde_json::json!({ "l": "m", "of": "file=x" }));
    let host = inspect(&env, "told")["HostConfig"].clone();
    assert_eq!(host["Annotations"], serde_json::json!({ "a": "b", "c": "", "d": "e=f" }));
    assert_eq!((host["Isolation"].as_str(), host["Runtime"].as_str()), (Some("default"), Some("runc")));
    assert_eq!(host["VolumeDriver"], "local");
    env.ok(&["container", "bundle", "told", "bundle"]);
    let bundle = std::fs::read(env.work().join("bundle/config.json")).expect("a bundle");
    let bundle: Value = serde_json::from_slice(&bundle).expect("JSON");
    assert_eq!(
        bundle["annotations"],
        serde_json::json!({ "a": "b", "c": "", "d": "e=f", "l": "m", "of": "file=x" })
    );
    for (flag, value, said) in [
        (
            "--storage-opt",
            "size=1g",
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
        ("--isolation", "hyperv", "invalid isolation (hyperv): linux only supports 'default'"),
        ("--runtime", "crun", "unknown or invalid runtime name: crun"),
        ("--volume-driver", "nfs", "error looking up volume plugin nfs: plugin \"nfs\" not found"),
        ("--annotation", "=x", "invalid Annotations: the empty string is not permitted as an annotation key"),
    ] {
        let said = format!("Error response from daemon: {said}");
        refused(&env, &["create", "--network", "none", flag, value, "busybox", "true"], 1, &said);
    }
    let help = env.ok(&["run", "--help"]);
    for flag in [
        "annotation",
        "runtime",
        "isolation",
        "volume-driver",
        "storage-opt",
        "userns",
        "disable-content-trust",
    ] {
        assert!(help.contains(&format!("--{flag}")), "{flag}: {help}");
    }
    for word in ["shareable", "none", "container:NAME|ID"] {
        assert!(help.contains(word), "{word}");
    }
}

/// What a body asks for, over the socket, in the words of docker's engine.
#[test]
fn an_engines_clients_share_namespaces_too() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let made = |name: &str, host: Value| {
        let body = json!({ "Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": host });
        engine.post(&format!("/v1.51/containers/create?name={name}"), &body)
    };
    let none = json!({ "NetworkMode": "none" });
    let with = |key: &str, value: Value| {
        let mut host = none.clone();
        host[key] = value;
        host
    };
    made("giver", with("IpcMode", json!("shareable"))).is(201);
    let early = made("early", with("PidMode", json!("container:giver"))).is(201).json();
    let early = early["Id"].as_str().expect("an id").to_owned();
    let giver = inspect(&env, "giver")["Id"].as_str().expect("an id").to_owned();
    let said = engine.post(&format!("/containers/{early}/start"), &Value::Null).is(500).message();
    assert_eq!(said, format!("failed to join PID namespace: container {giver} is not running"));
    engine.post("/containers/giver/start", &Value::Null).is(204);
    engine.post(&format!("/containers/{early}/start"), &Value::Null).is(204);
    let shown = engine.get("/containers/early/json").is(200).json();
    assert_eq!(shown["HostConfig"]["PidMode"], format!("container:{giver}"));
    made("shy", with("IpcMode", json!("container:early"))).is(201);
    engine.post("/containers/shy/start", &Value::Null).is(409);
    let said = made("other", with("IpcMode", json!("container:gone"))).is(400).message();
    assert_eq!(said, "No such container: gone");
    for (key, value, expected) in [
        ("PidMode", json!("private"), "invalid PID mode: private"),
        ("IpcMode", json!("hosts"), "invalid IPC mode: hosts"),
        ("UTSMode", json!("container:giver"), "invalid UTS mode: container:giver"),
        (
            "StorageOpt",
            json!({ "size": "1g" }),
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
        ("Runtime", json!("crun"), "unknown or invalid runtime name: crun"),
    ] {
        assert_eq!(made("other", with(key, value)).is(400).message(), expected, "{key}");
    }
    let mount = json!([{ "Type": "image", "Source": "gone:1", "Target": "/x" }]);
    assert_eq!(made("other", with("Mounts", mount)).is(404).message(), "No such image: gone:1");

    // Flags of ours say all this to an engine.
    let remote = |args: &[&str]| env.run_with(args, &[("DOCKER_HOST", &engine.host())]);
    let mount = "type=image,source=busybox,target=/x,image-subpath=bin";
    let flags = [
        "run",
        "-d",
        "--name",
        "all",
        "--network",
        "none",
        "--pid",
        "container:early",
        "--ipc",
        "container:giver",
        "--userns",
        "host",
        "--annotation",
        "a=b",
        "--runtime",
        "runc",
        "--isolation",
        "default",
        "--mount",
        mount,
        "busybox",
        "sleep",
        "2000",
    ];
    remote(&flags).success();
    let shown = inspect(&env, "all");
    let host = &shown["HostConfig"];
    assert_eq!(host["PidMode"], format!("container:{early}"));
    assert_eq!(host["IpcMode"], format!("container:{giver}"));
    assert_eq!((host["UsernsMode"].as_str(), host["Runtime"].as_str()), (Some("host"), Some("runc")));
    assert_eq!(host["Annotations"], json!({ "a": "b" }));
    assert_eq!(host["Mounts"][0]["ImageOptions"]["Subpath"], "bin");
    assert_eq!(
        (shown["Mounts"][0]["Type"].as_str(), shown["Mounts"][0]["RW"].as_bool()),
        (Some("image"), Some(false))
    );
    let seen = || remote(&["exec", "all", "sh", "-c", "ps -o pid,args; ls /x/sh"]).success().stdout;
    let whole = ["    1 sleep 1000", "sleep 2000", "/x/sh"];
    wait_until("both containers' processes", LONG, || whole.iter().all(|part| seen().contains(part)));
    let ran = remote(&["run", "--pid", "private", "busybox", "true"]).fails_with(125);
    assert!(ran.stderr.starts_with("docker: --pid: invalid PID mode"), "{}", ran.stderr);
    let ran = remote(&["create", "--storage-opt", "size=1g", "busybox", "true"]).fails_with(1);
    assert!(ran.stderr.contains("'pquota' mount option"), "{}", ran.stderr);
}
