//! `cp`, `commit`, `update`, `events`, and what happens after a boot, on the built binary.

mod support;

use std::fs;

use support::TestEnv;

#[test]
fn files_are_copied_in_and_out() {
    let env = TestEnv::new().with_busybox();
    env.write("file", "hello\n");
    env.write("dir/sub/x", "x\n");
    // No layer is copied, so this hides nothing.
    env.write("dir/sub/.wh.x", "");
    std::os::unix::fs::symlink("x", env.work().join("dir/sub/link")).expect("a link");
    env.ok(&["create", "--network", "none", "-v", "data:/data", "--name", "web", "busybox", "sleep", "1000"]);
    for state in ["stopped", "running"] {
        if state == "running" {
            env.ok(&["start", "web"]);
        }
        for (from, to) in [
            ("file", format!("web:/{state}")),
            ("file", "web:/tmp".to_owned()),
            ("file", format!("web:/data/{state}")),
            ("dir", "web:/tmp/".to_owned()),
            ("dir/.", format!("web:/new-{state}")),
            ("dir", format!("web:{state}-too")),
        ] {
            env.ok(&["cp", from, &to]);
        }
        for (from, to, said) in [
            ("nofile", "web:/", "lstat nofile: no such file or directory\n"),
            (
                "file",
                "web:/no/x",
                "Error response from daemon: Could not find the file /no in container web\n",
            ),
            ("file", "web:/no/", "no such directory\n"),
            ("dir", "web:/etc/passwd", "cannot copy directory\n"),
            (
                "web:/nope",
                "x",
                "Error response from daemon: Could not find the file /nope in container web\n",
            ),
            ("web:/a", "web:/b", "copying between containers is not supported\n"),
            ("a", "b", "must specify at least one container source\n"),
            ("-", "web:/etc/passwd", "destination \"web:/etc/passwd\" must be a directory\n"),
        ] {
            assert_eq!(env.run(&["cp", from, to]).fails_with(1).stderr, said, "{state}: {from} {to}");
        }
        let out = format!("out-{state}");
        fs::create_dir(env.work().join(&out)).expect("a directory");
        for path in ["tmp/file", "tmp/dir", &format!("data/{state}"), &format!("new-{state}/sub/link")] {
            env.ok(&["cp", &format!("web:{path}"), &out]);
        }
        let read = |path: &str| fs::read_to_string(env.work().join(&out).join(path)).expect("it arrived");
        assert_eq!(
            (read("file").as_str(), read(state).as_str(), read("dir/sub/x").as_str()),
            ("hello\n", "hello\n", "x\n")
        );
        assert!(
            fs::read_link(env.work().join(&out).join("link")).is_ok_and(|to| to == std::path::Path::new("x"))
        );
        env.ok(&["cp", "-L", &format!("web:/new-{state}/sub/link"), &format!("{out}/followed")]);
        assert_eq!(read("followed"), "x\n");
        let tar = env.skiff(&["cp", "web:/tmp/dir", "-"]).output().expect("it runs").stdout;
        fs::write(env.work().join("dir.tar"), &tar).expect("written");
        let stdin = fs::File::open(env.work().join("dir.tar")).expect("there");
        let status = env.skiff(&["cp", "-", "web:/home"]).stdin(stdin).status().expect("it runs");
        assert!(status.success());
    }
    let all = env.ok(&[
        "exec",
        "web",
        "sh",
        "-c",
        "cat /stopped /data/stopped /home/dir/sub/x; stat -c %u /running",
    ]);
    assert_eq!(all, "hello\nhello\nx\n0\n");
    let listed = env.ok(&["exec", "web", "ls", "-A", "/tmp/dir/sub", "/home/dir/sub"]);
    assert_eq!(listed, "/home/dir/sub:\n.wh.x\nlink\nx\n\n/tmp/dir/sub:\n.wh.x\nlink\nx\n");
    env.ok(&["stop", "-t", "0", "web"]);
    assert_eq!(env.ok(&["start", "web"]), "web\n", "what was copied hinders no start");
}

#[test]
fn owners_stay_and_nothing_goes_nowhere() {
    if !support::is_root() {
        return;
    }
    let env = TestEnv::new().with_busybox();
    let file = env.write("file", "hello\n");
    std::os::unix::fs::chown(&file, Some(1234), Some(2345)).expect("root gives files away");
    for (name, user) in [("plain", "0"), ("owned", "nobody")] {
        env.ok(&["create", "--network", "none", "-u", user, "--name", name, "busybox", "true"]);
    }
    env.ok(&["create", "--network", "none", "--name", "none", "busybox", "true"]);
    // As docker has it: archive mode is about the container's user, and without it no owner changes either.
    for (flags, name, owner) in [
        (&["cp"][..], "none", (1234, 2345)),
        (&["cp", "-a"], "none", (1234, 2345)),
        (&["cp"], "owned", (1234, 2345)),
        (&["cp", "-a"], "owned", (65534, 65534)),
        (&["cp", "-a"], "plain", (0, 0)),
    ] {
        env.ok(&[flags, &["file", &format!("{name}:/to")]].concat());
        let tar = env.skiff(&["cp", &format!("{name}:/to"), "-"]).output().expect("it runs").stdout;
        let field = |from: usize| {
            let text = String::from_utf8_lossy(&tar[from..from + 7]).into_owned();
            u32::from_str_radix(text.trim_matches(['\0', ' ']), 8).expect("an octal number")
        };
        assert_eq!((field(108), field(116)), owner, "{flags:?} {name}");
    }
    for (from, to, said) in [
        ("file", "none:", "no such directory\n"),
        ("none:", "x", "Error response from daemon: bad parameter: path cannot be empty\n"),
        ("file", ":/x", "must specify at least one container source\n"),
        ("", "none:/x", "source can not be empty\n"),
        ("file", "", "destination can not be empty\n"),
    ] {
        assert_eq!(env.run(&["cp", from, to]).fails_with(1).stderr, said, "{from} {to}");
    }
}

#[test]
fn links_of_a_container_lead_nowhere_else() {
    let env = TestEnv::new().with_busybox();
    let secret = env.write("secret", "of the host\n");
    let script = format!("ln -s {} /leak; ln -s / /up; ln -s ../../../../../../etc /out", secret.display());
    env.ok(&["run", "--network", "none", "--name", "bad", "busybox", "sh", "-c", &script]);
    env.run(&["cp", "-L", "bad:/leak", "got"]).fails_with(1);
    assert!(!env.work().join("got").exists());
    env.write("mine", "mine\n");
    env.ok(&["cp", "mine", "bad:/out/planted"]);
    assert!(!std::path::Path::new("/etc/planted").exists());
    env.ok(&["cp", "bad:/etc/planted", "back"]);
    assert_eq!(fs::read_to_string(env.work().join("back")).expect("it arrived"), "mine\n");
}

#[test]
fn changes_become_an_image() {
    let env = TestEnv::new().with_busybox();
    env.ok(&["run", "--network", "none", "-e", "A=b", "--name", "made", "busybox", "touch", "/m"]);
    let changes =
        ["-m", "a text", "-a", "somebody", "-c", "ENV X=y", "-c", "CMD [\"cat\", \"/etc/hostname\"]"];
    let id = env.ok(&[&["commit"][..], &changes, &["made", "name:1"]].concat());
    assert!(id.starts_with("sha256:") && id.len() == 72, "{id}");
    assert_eq!(env.ok(&["run", "--rm", "--network", "none", "name:1", "ls", "/m"]), "/m\n");
    let shown = env.ok(&[
        "inspect",
        "-f",
        "{{.Comment}}|{{.Author}}|{{json .Config.Env}}|{{json .Config.Cmd}}",
        "name:1",
    ]);
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(shown, format!("a text|somebody|[\"{path}\",\"A=b\",\"X=y\"]|[\"cat\",\"/etc/hostname\"]\n"));
    assert!(env.ok(&["history", "name:1"]).contains("a text"));
    let refused = env.run(&["commit", "-c", "RUN x", "made"]).fails_with(1);
    assert_eq!(refused.stderr, "Error response from daemon: RUN is not a valid change command\n");
    env.ok(&["run", "-d", "--network", "none", "--name", "runs", "busybox", "sleep", "1000"]);
    assert!(env.ok(&["commit", "runs"]).starts_with("sha256:"));
    assert!(env.ok(&["ps", "--format", "{{.Status}}"]).starts_with("Up "), "it goes on");
}

#[test]
fn limits_and_policies_change() {
    let env = TestEnv::new().with_busybox();
    env.ok(&["run", "-d", "--network", "none", "--name", "web", "-m", "64m", "busybox", "sleep", "1000"]);
    assert_eq!(
        env.run(&["update", "web"]).fails_with(1).stderr,
        "you must provide one or more flags when using this command\n"
    );
    assert_eq!(
        env.ok(&["update", "-m", "32m", "--memory-swap", "64m", "--restart", "always", "web"]),
        "web\n"
    );
    let format = "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}";
    assert_eq!(env.ok(&["inspect", "-f", format, "web"]), "33554432 always\n");
    // More than memory and swap together.
    let eaten = env.run(&["exec", "web", "sh", "-c", "head -c 200m /dev/zero | tail -c 200m >/dev/null"]);
    assert_ne!(eaten.code, Some(0), "the new limit holds at once");
    env.run(&["update", "-m", "1m", "web"]).fails_with(1);
    env.ok(&["run", "-d", "--rm", "--network", "none", "--name", "brief", "busybox", "sleep", "1000"]);
    let both = env.run(&["update", "--restart", "always", "brief"]).fails_with(1);
    assert!(
        both.stderr.contains("Restart policy cannot be updated because AutoRemove is enabled"),
        "{}",
        both.stderr
    );
}

#[test]
fn after_a_boot_policies_hold() {
    let env = TestEnv::new().with_busybox();
    for (name, policy) in [("always", "always"), ("unless", "unless-stopped"), ("never", "no")] {
        env.ok(&[
            "run",
            "-d",
            "--network",
            "none",
            "--restart",
            policy,
            "--name",
            name,
            "busybox",
            "sleep",
            "1000",
        ]);
    }
    env.ok(&[
        "run",
        "-d",
        "--network",
        "none",
        "--restart",
        "unless-stopped",
        "--name",
        "hand",
        "busybox",
        "sleep",
        "1000",
    ]);
    env.ok(&["stop", "-t", "0", "hand"]);
    let ids = env.ok(&["ps", "-q", "--no-trunc"]);
    for id in ids.lines() {
        // A machine that loses its power gives nobody time.
        let monitor =
            std::process::Command::new("pgrep").args(["-f", &format!("container-monitor .*{id}")]).output();
        let monitor = String::from_utf8_lossy(&monitor.expect("pgrep is there").stdout).into_owned();
        let pid =
            rustix::process::Pid::from_raw(monitor.trim().parse().expect("one monitor")).expect("a number");
        let watched =
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("it lives");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
        let mut end = [rustix::event::PollFd::new(&watched, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut end, None).expect("it ends");
    }
    let mut started: Vec<String> =
        env.ok(&["system", "start-containers"]).lines().map(str::to_owned).collect();
    started.sort();
    assert_eq!(started, ["always", "unless"]);
    assert_eq!(env.ok(&["system", "start-containers"]), "", "those that run are left alone");
    let names = env.ok(&["ps", "--format", "{{.Names}}"]);
    assert_eq!(names.lines().count(), 2, "{names}");
}

#[test]
fn what_happened_is_told() {
    let env = TestEnv::new().with_busybox();
    env.ok(&["run", "--rm", "--network", "none", "--name", "web", "--label", "a=b", "busybox", "true"]);
    let past = |args: &[&str]| env.ok(&[&["events", "--since", "1h", "--until", "0s"][..], args].concat());
    let actions = past(&["--filter", "container=web", "--format", "{{.Action}}"]);
    let actions: Vec<&str> = actions.lines().collect();
    for action in ["create", "start", "die", "destroy"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    let line = past(&["--filter", "event=die"]);
    // How long it ran is the machine's affair.
    let (before, after) = line.split_once("(a=b, execDuration=").expect("a duration");
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    assert!(
        before.contains(" container die ") && after.ends_with(", exitCode=0, image=busybox, name=web)\n"),
        "{line}"
    );
    let document: serde_json::Value =
        serde_json::from_str(past(&["--filter", "event=start", "--format", "json"]).trim()).expect("JSON");
    assert_eq!(
        (&document["Type"], &document["Actor"]["Attributes"]["name"]),
        (&"container".into(), &"web".into())
    );
    assert_eq!(past(&["--filter", "label=a=c"]), "");
    env.run(&["events", "--until", "0s", "--format", "{{.x"]).fails_with(64);
}
