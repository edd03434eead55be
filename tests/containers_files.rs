//! What containers are and have: `inspect`, `attach`, `diff`, `export`, `top`, and volumes, on the built binary.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{TestEnv, wait_until};

const LONG: Duration = Duration::from_secs(30);

fn run(env: &TestEnv, args: &[&str]) -> String {
    env.ok(&[&["run", "-d", "--network", "none"][..], args].concat()).trim().to_owned()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn inspect_shows_dockers_document() {
    let env = TestEnv::new().with_busybox();
    env.write("dir/file", "x");
    let bind = format!("{}:/bound:ro", env.work().join("dir").display());
    let id = run(
        &env,
        &[
            "--name",
            "web",
            "-v",
            "named:/data",
            "-v",
            "/anon",
            "-v",
            &bind,
            "-e",
            "A=b",
            "busybox",
            "sleep",
            "1000",
        ],
    );
    let all = json(&env.ok(&["inspect", "web"]));
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    let shown = &all[0];
    for (pointer, wanted) in [
        ("/Id", Value::from(id.as_str())),
        ("/Name", "/web".into()),
        ("/Path", "sleep".into()),
        ("/Args/0", "1000".into()),
        ("/State/Status", "running".into()),
        ("/State/Running", true.into()),
        ("/State/FinishedAt", "0001-01-01T00:00:00Z".into()),
        ("/Config/Image", "busybox".into()),
        ("/Config/Hostname", id[..12].into()),
        ("/HostConfig/NetworkMode", "none".into()),
        ("/HostConfig/RestartPolicy/Name", "no".into()),
        ("/Mounts/0/Type", "volume".into()),
        ("/Mounts/0/Name", "named".into()),
        ("/Mounts/2/Type", "bind".into()),
        ("/Mounts/2/Mode", "ro".into()),
        ("/Mounts/2/RW", false.into()),
    ] {
        assert_eq!(shown.pointer(pointer), Some(&wanted), "{pointer}");
    }
    assert_eq!(shown["Mounts"][1]["Name"].as_str().map(str::len), Some(64));
    assert!(
        shown["State"]["Pid"].as_i64() > Some(0)
            && shown["LogPath"].as_str().is_some_and(|p| p.ends_with("-json.log"))
    );
    let one = |format: &str| env.ok(&["inspect", "--format", format, "web"]);
    assert_eq!(one("{{ .State.Running }}"), "true\n");
    assert_eq!(one("{{.Name}} {{.State.Running}}"), "/web true\n");
    assert_eq!(
        one("{{.HostConfig.RestartPolicy.Name}}|{{.NetworkSettings.IPAddress}}|{{join .Config.Cmd \" \"}}"),
        "no||sleep 1000\n"
    );
    assert_eq!(env.ok(&["container", "inspect", "-s", "-f", "{{.SizeRw}}", "web"]), "0\n");
    let slip = env.run(&["inspect", "-f", "{{.state.Running}}", "web"]).fails_with(1);
    assert!(slip.stderr.contains("did you mean .State?"), "{}", slip.stderr);
    env.run(&["inspect", "-f", "{{.State", "web"]).fails_with(64);
    let none = env.run(&["inspect", "nobody"]).fails_with(1);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("[]\n", "error: no such object: nobody\n"));
    let image = env.run(&["container", "inspect", "busybox"]).fails_with(1);
    assert!(
        image
            .stderr
            .starts_with("Error response from daemon: No such container: busybox\nbusybox is an image")
    );
    assert!(env.ok(&["inspect", "-f", "{{.Mountpoint}}", "named"]).ends_with("/volumes/named/_data\n"));
    env.ok(&["kill", "web"]);
    wait_until("the end", LONG, || {
        one("{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}") == "exited 137 0\n"
    });
}

fn attached(env: &TestEnv, args: &[&str]) -> Child {
    let mut command = env.skiff(&[&["attach"][..], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

#[test]
fn several_clients_see_the_same() {
    let env = TestEnv::new().with_busybox();
    run(
        &env,
        &[
            "-i",
            "--name",
            "echo",
            "busybox",
            "sh",
            "-c",
            "while read x; do echo got $x; echo err $x >&2; done; exit 3",
        ],
    );
    let mut first = attached(&env, &["echo"]);
    let mut second = attached(&env, &["--no-stdin", "echo"]);
    let events = || env.ok(&["inspect", "-f", "{{.State.Status}}", "echo"]);
    assert_eq!(events(), "running\n");
    let mut lines = BufReader::new(first.stdout.take().expect("piped"));
    let mut others = BufReader::new(second.stdout.take().expect("piped"));
    let mut stdin = first.stdin.take().expect("piped");
    // Who attaches late misses what was before: say it until both have heard something.
    let heard = std::thread::spawn(move || {
        let mut line = String::new();
        others.read_line(&mut line).map(|_| (line, others))
    });
    while !heard.is_finished() {
        stdin.write_all(b"again\n").expect("it reads");
        let mut line = String::new();
        lines.read_line(&mut line).expect("it answers");
        assert_eq!(line, "got again\n");
    }
    let (line, mut others) = heard.join().expect("no panic").expect("it hears");
    assert_eq!(line, "got again\n");
    stdin.write_all(b"last\n").expect("it reads");
    let mut line = String::new();
    while line != "got last\n" {
        line.clear();
        assert!(others.read_line(&mut line).expect("it hears") > 0, "the end came first");
    }
    env.ok(&["stop", "-t", "0", "echo"]);
    assert_eq!(first.wait().expect("it ends").code(), Some(137));
    assert_eq!(second.wait().expect("it ends").code(), Some(137));
    let mut err = String::new();
    second.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
    assert!(err.contains("err last"), "{err}");
    let stopped = env.run(&["attach", "echo"]).fails_with(1);
    assert_eq!(stopped.stderr, "You cannot attach to a stopped container, start it first\n");
    assert!(env.ok(&["logs", "echo"]).ends_with("got last\n"));
}

#[test]
fn changes_are_listed_and_exported() {
    let env = TestEnv::new().with_busybox();
    let script = "echo x > /new; mkdir -p /d1/d2; touch /d1/d2/f; rm /etc/passwd; echo x > /etc/fresh; echo v > /vol/no";
    env.ok(&["run", "--network", "none", "-v", "/vol", "--name", "changed", "busybox", "sh", "-c", script]);
    let listed = env.ok(&["diff", "changed"]);
    let wanted = "A /d1\nA /d1/d2\nA /d1/d2/f\nC /etc\nA /etc/fresh\nD /etc/passwd\nA /new\n";
    assert_eq!(listed.replace("A /vol\n", ""), wanted, "volumes are no changes");
    env.ok(&["export", "-o", "all.tar", "changed"]);
    let list = std::process::Command::new("tar").args(["tf", "all.tar"]).current_dir(env.work()).output();
    let list = String::from_utf8_lossy(&list.expect("tar is there").stdout).into_owned();
    let names: Vec<&str> = list.lines().map(|line| line.trim_start_matches("./")).collect();
    assert!(names.contains(&"new") && names.contains(&"d1/d2/f") && names.contains(&"etc/fresh"), "{list}");
    assert!(!names.contains(&"etc/passwd") && !names.contains(&"vol/no"), "{list}");
    let piped = env.skiff(&["export", "changed"]).output().expect("it runs").stdout;
    assert_eq!(piped, std::fs::read(env.work().join("all.tar")).expect("written"));
    env.ok(&["import", "all.tar", "again:1"]);
    assert_eq!(env.ok(&["run", "--rm", "--network", "none", "again:1", "cat", "/new"]), "x\n");
}

#[test]
fn processes_are_listed_with_the_hosts_numbers() {
    let env = TestEnv::new().with_busybox();
    run(&env, &["--name", "web", "busybox", "sh", "-c", "sleep 1001 & exec sleep 1002"]);
    let wanted = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
    wait_until("its processes", LONG, || {
        let table = env.ok(&["top", "web"]);
        table.contains(" sleep 1001\n") && table.lines().any(|line| line.ends_with("sleep 1002"))
    });
    let table = env.ok(&["top", "web"]);
    assert_eq!(
        table.lines().next().map(|line| line.split_whitespace().collect::<Vec<_>>()),
        Some(wanted.to_vec())
    );
    let row = table.lines().find(|line| line.ends_with("sleep 1002")).expect("a row");
    let pid = row.split_whitespace().nth(1).expect("a number");
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).expect("it is the host's number");
    assert_eq!(command, b"sleep\x001002\x00");
    env.ok(&["stop", "-t", "0", "web"]);
    let stopped = env.run(&["top", "web"]).fails_with(1);
    assert!(stopped.stderr.ends_with(" is not running\n"), "{}", stopped.stderr);
}

#[test]
fn volumes_are_made_listed_and_removed() {
    let env = TestEnv::new().with_busybox();
    assert_eq!(env.ok(&["volume", "create", "one"]), "one\n");
    assert_eq!(env.ok(&["volume", "create", "one"]), "one\n", "again is no mistake");
    env.ok(&["volume", "create", "--label", "a=b", "two"]);
    let anonymous = env.ok(&["volume", "create"]).trim().to_owned();
    assert_eq!(anonymous.len(), 64);
    assert_eq!(env.ok(&["volume", "ls", "-q", "-f", "label=a"]), "two\n");
    assert_eq!(env.ok(&["volume", "ls", "-f", "name=o"]).lines().next(), Some("DRIVER    VOLUME NAME"));
    let shown = json(&env.ok(&["volume", "inspect", "two"]));
    assert_eq!((&shown[0]["Labels"]["a"], &shown[0]["Driver"]), (&"b".into(), &"local".into()));
    for (words, said) in [
        (&["create", "a b"][..], "includes invalid characters for a local volume name"),
        (&["create", "-d", "other", "v"], "error looking up volume plugin other: plugin \"other\" not found"),
        (&["create", "-o", "foo=bar", "vv"], "create vv: invalid option: \"foo\""),
        (&["inspect", "nov"], "get nov: no such volume"),
        (&["rm", "nov"], "get nov: no such volume"),
        (&["ls", "-f", "bogus=1"], "invalid filter 'bogus'"),
    ] {
        let ran = env.run(&[&["volume"][..], words].concat()).fails_with(1);
        assert!(ran.stderr.contains(said), "{words:?}: {}", ran.stderr);
    }
    let id = run(&env, &["--name", "web", "-v", "one:/data", "-v", "/mine", "busybox", "sleep", "1000"]);
    let used = env.run(&["volume", "rm", "one"]).fails_with(1);
    assert!(used.stderr.contains(&format!("remove one: volume is in use - [{id}]")), "{}", used.stderr);
    assert_eq!(env.ok(&["volume", "ls", "-q", "-f", "dangling=true"]), format!("{anonymous}\ntwo\n"));
    let pruned = env.ok(&["volume", "prune", "-f"]);
    assert!(
        pruned.contains(&format!("Deleted Volumes:\n{anonymous}\n\nTotal reclaimed space: 0B\n")),
        "{pruned}"
    );
    env.ok(&["rm", "-f", "-v", "web"]);
    assert_eq!(env.ok(&["volume", "ls", "-q"]), "one\ntwo\n", "rm -v takes what nobody named");
    assert!(env.ok(&["volume", "prune", "-a", "-f"]).contains("one\ntwo\n"));
    env.ok(&["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "memory"]);
    let kind =
        ["run", "--rm", "--network", "none", "-v", "memory:/m", "busybox", "grep", " /m ", "/proc/mounts"];
    assert!(env.ok(&kind).starts_with("tmpfs /m tmpfs"));
}

#[test]
fn what_is_private_out_here_is_not_in_a_container() {
    let env = TestEnv::new().with_busybox();
    let private = |args: &[&str]| {
        let own = env.skiff(args);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(own.get_program()).args(own.get_args());
        command.env_clear().envs(own.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let output = command.current_dir(env.work()).output().expect("it runs");
        assert!(output.status.success(), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let modes =
        "umask; stat -c %a / /etc/hosts /etc/hostname /etc/resolv.conf /data /made/here /bound/deep /bound";
    let flags = ["-v", "data:/data", "-w", "/made/here", "-v", "data:/bound/deep"];
    let shown = private(
        &[&["run", "--rm", "--network", "none"], &flags[..], &["busybox", "sh", "-c", modes]].concat(),
    );
    assert_eq!(shown, "0022\n755\n644\n644\n644\n755\n755\n755\n755\n");
    env.write(
        "Dockerfile",
        "FROM busybox\nRUN --mount=type=tmpfs,target=/a/b stat -c %a / /a > /modes\nUSER nobody\nRUN id\n",
    );
    private(&["build", "-q", "-t", "made", "."]);
    assert_eq!(env.ok(&["run", "--rm", "--network", "none", "made", "cat", "/modes"]), "755\n755\n");
}
