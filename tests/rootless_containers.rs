//! Containers of an ordinary user, through their life: what root's do, and why not where not.

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use support::user::User;
use support::wait_until;

const LONG: Duration = Duration::from_secs(30);

fn user() -> Option<User> {
    let user = User::new(true)?;
    user.ok(&["import", "--change", "CMD [\"sh\"]", &user.file("busybox.tar"), "busybox"]);
    Some(user)
}

#[track_caller]
fn refused(output: Output, code: i32, why: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(why), "{said}");
}

/// Runs a command of the user's on a terminal, which types `input` again and again; what it shows and how it ends.
fn on_terminal(user: &User, args: &[&str], input: &[u8]) -> (String, Option<i32>) {
    let command = user.command(args);
    let quote = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"));
    let words: Vec<String> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(quote).collect();
    let mut script = Command::new("script");
    script.args(["-qefc", &words.join(" "), "/dev/null"]).env_clear();
    script.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut running = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script starts");
    let mut keys = running.stdin.take().expect("a pipe");
    let mut shown = running.stdout.take().expect("a pipe");
    let reading = std::thread::spawn(move || {
        let mut said = Vec::new();
        shown.read_to_end(&mut said).expect("it shows text");
        String::from_utf8_lossy(&said).into_owned()
    });
    // What is typed before the command listens may mean something else.
    let mut code = None;
    wait_until("the end of a command on a terminal", LONG, || {
        let _ = keys.write_all(input);
        std::thread::sleep(Duration::from_millis(100));
        code = running.try_wait().expect("a child");
        code.is_some()
    });
    (reading.join().expect("no panic"), code.and_then(|status| status.code()))
}

/// The end of a user's containers, before their store goes.
struct Ends<'a>(&'a User);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        let ids = self.0.run(&["ps", "-aq"]).stdout;
        let ids = String::from_utf8_lossy(&ids).into_owned();
        for id in ids.split_whitespace() {
            self.0.run(&["rm", "-f", "-v", id]);
        }
    }
}

#[test]
fn further_processes_run_and_end_in_a_users_container() {
    let Some(user) = user() else { return };
    let _ends = Ends(&user);
    user.ok(&["run", "-d", "--name", "web", "--network", "none", "-e", "A=b", "busybox", "sleep", "1000"]);
    let exec = |args: &[&str]| user.run(&[&["exec"][..], args].concat());
    assert_eq!(user.ok(&["exec", "web", "id", "-u"]), "0\n");
    assert_eq!(
        user.ok(&[
            "exec",
            "-u",
            "nobody",
            "-w",
            "/tmp",
            "-e",
            "C=d",
            "web",
            "sh",
            "-c",
            "id -u; pwd; echo $A$C"
        ]),
        "65534\n/tmp\nbd\n"
    );
    assert_eq!(exec(&["web", "sh", "-c", "exit 7"]).status.code(), Some(7));
    refused(exec(&["web", "nosuch"]), 127, "executable file not found in $PATH");
    let mut cat = user
        .command(&["exec", "-i", "web", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    cat.stdin.take().expect("a pipe").write_all(b"through\n").expect("it reads");
    assert_eq!(cat.wait_with_output().expect("it ends").stdout, b"through\n");
    let (said, code) = on_terminal(&user, &["exec", "-it", "web", "sh", "-c", "tty; exit 5"], b"");
    assert!(said.contains("/dev/pts/") && code == Some(5), "{said}");
    user.ok(&["exec", "-d", "web", "sh", "-c", "touch /beside; sleep 1000"]);
    wait_until("what a detached one does", LONG, || exec(&["web", "ls", "/beside"]).status.success());
    wait_until("both sleepers", LONG, || {
        let top = user.ok(&["top", "web"]);
        top.matches("sleep 1000").count() == 2 + usize::from(top.contains("sh -c"))
    });
    // It goes on after all of that, and ends with all of it.
    assert_eq!(user.ok(&["inspect", "-f", "{{.State.Running}}", "web"]), "true\n");
    user.ok(&["stop", "-t", "0", "web"]);
    assert_eq!(user.ok(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "web"]), "exited 137\n");
}

#[test]
fn a_users_container_is_watched_copied_and_restarted() {
    let Some(user) = user() else { return };
    let _ends = Ends(&user);
    let script = "echo begun; trap 'echo bye; exit 3' TERM; while read -r line; do echo got $line; done; sleep 1000 & wait";
    user.ok(&[
        "run",
        "-dit",
        "--name",
        "shell",
        "-v",
        "kept:/data",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    // Files go in and out, with owners that mean something inside.
    user.env.write("from/file", "from here\n");
    user.ok(&["cp", "from", "shell:/to"]);
    assert_eq!(user.ok(&["exec", "shell", "cat", "/to/file"]), "from here\n");
    user.ok(&["exec", "shell", "sh", "-c", "echo inside > /data/f; chown -R nobody /to; ls -ln /to"]);
    user.ok(&["cp", "shell:/data/f", "out"]);
    assert_eq!(std::fs::read_to_string(user.env.work().join("out")).expect("it is there"), "inside\n");
    let diff = user.ok(&["diff", "shell"]);
    assert!(diff.contains("A /to\nA /to/file\n"), "{diff}");
    // Somebody attaches, types, and leaves by the keys for it.
    let (said, code) = on_terminal(&user, &["attach", "shell"], b"typed\r\x10\x11");
    assert!(said.contains("read escape sequence"), "{said} {code:?}");
    let log = || user.ok(&["logs", "shell"]);
    wait_until("what was typed", LONG, || log().contains("got typed"));
    let whole = log();
    assert!(whole.starts_with("begun"), "{whole}");
    assert_eq!(user.ok(&["inspect", "-f", "{{.State.Running}}", "shell"]), "true\n");
    // The volume stays when the container goes.
    user.ok(&["rm", "-f", "shell"]);
    assert_eq!(
        user.ok(&["run", "--rm", "--network", "none", "-v", "kept:/data", "busybox", "cat", "/data/f"]),
        "inside\n"
    );
    user.ok(&["volume", "rm", "kept"]);
    // Its log is followed, a policy brings it back, a stop ends both.
    let script = "echo run; sleep 1000 & echo $! > /pid; wait";
    user.ok(&[
        "run",
        "-d",
        "--name",
        "again",
        "--restart",
        "always",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        script,
    ]);
    let mut follow =
        user.command(&["logs", "-f", "again"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "run");
    // The container's end may be faster than the command that brings it about, which is killed then.
    user.run(&["exec", "again", "sh", "-c", "while ! kill -9 $(cat /pid); do sleep 1; done"]);
    assert_eq!(lines.next().expect("a line of the next run").expect("text"), "run");
    wait_until("the count", LONG, || user.ok(&["inspect", "-f", "{{.RestartCount}}", "again"]) == "1\n");
    user.ok(&["stop", "-t", "0", "again"]);
    assert!(follow.wait().expect("it is a child").success());
    assert!(user.ok(&["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).starts_with("again Exited (137)"));
    user.ok(&["start", "again"]);
    user.ok(&["restart", "-t", "0", "again"]);
    user.ok(&["kill", "again"]);
    wait_until("the end", LONG, || user.ok(&["ps", "-q"]).is_empty());
}

#[test]
fn a_users_containers_share_namespaces_and_mount_images() {
    let Some(user) = user() else { return };
    let _ends = Ends(&user);
    let run = |args: &[&str]| user.ok(&[&["run", "-d", "--network", "none", "--name"][..], args].concat());
    run(&["host", "--ipc", "shareable", "--shm-size", "3m", "busybox", "sleep", "1000"]);
    let script = "sleep 2000 & exec sleep 3000";
    let flags = ["guest", "--pid", "container:host", "--ipc", "container:host"];
    run(&[&flags[..], &["busybox", "sh", "-c", script]].concat());
    let seen = || user.ok(&["exec", "host", "ps", "-o", "pid,args"]);
    // The guest's shell takes its time.
    wait_until("the guest's processes", LONG, || {
        let text = user.ok(&["exec", "guest", "ps", "-o", "pid,args"]);
        ["    1 sleep 1000\n", " sleep 2000\n", " sleep 3000\n"].iter().all(|line| text.contains(line))
    });
    let top = user.ok(&["top", "guest"]);
    assert!(top.contains("sleep 2000") && !top.contains("sleep 1000"), "{top}");
    user.ok(&["exec", "guest", "sh", "-c", "echo told > /dev/shm/note"]);
    let shared = "cat /dev/shm/note; df -k /dev/shm | tail -1 | awk '{print $2}'; readlink /proc/self/ns/ipc";
    let both = ["host", "guest"].map(|name| user.ok(&["exec", name, "sh", "-c", shared]));
    assert!(both[0].starts_with("told\n3072\nipc:["), "{}", both[0]);
    assert_eq!(both[0], both[1]);
    // Without a cgroup too, its end is that of all its processes, and of them alone.
    user.ok(&["stop", "guest"]);
    let state = "{{.State.Status}} {{.State.ExitCode}}\n";
    assert_eq!(user.ok(&["inspect", "-f", state.trim_end(), "guest"]), "exited 143\n");
    let left = seen();
    assert!(!left.contains("sleep 2000"), "{left}");
    // Nor does it leave anything when its monitor is killed.
    user.ok(&["start", "guest"]);
    let pid = user.ok(&["inspect", "-f", "{{.State.Pid}}", "guest"]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).expect("it lives");
    let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("a parent").trim();
    let monitor = rustix::process::Pid::from_raw(monitor.parse().expect("a number")).expect("a process");
    rustix::process::kill_process(monitor, rustix::process::Signal::KILL).expect("it can be killed");
    wait_until("the end to be seen", LONG, || {
        user.ok(&["inspect", "-f", state, "guest"]).starts_with("exited 137")
    });
    wait_until("the rest to end", LONG, || !seen().contains("sleep 2000") && !seen().contains("sleep 3000"));
    user.ok(&["start", "guest"]);
    // And it ends with the other one.
    user.ok(&["rm", "-f", "host"]);
    wait_until("the guest's end", LONG, || {
        user.ok(&["inspect", "-f", state, "guest"]).starts_with("exited 137")
    });

    let run = ["run", "--rm", "--network", "none"];
    let tried = |args: &[&str]| user.run(&[&run[..], args].concat());
    refused(
        tried(&["--pid", "container:guest", "busybox", "true"]),
        125,
        "failed to join PID namespace: container ",
    );
    let shown = user.ok(&[&run[..], &["--ipc", "none", "busybox", "ls", "/dev"]].concat());
    assert!(!shown.lines().any(|line| line == "shm"), "{shown}");
    let mount = "type=image,source=busybox,target=/x,image-subpath=bin";
    let shown =
        user.ok(&[&run[..], &["--mount", mount, "busybox", "sh", "-c", "ls /x/sh; touch /x/y 2>&1; true"]]
            .concat());
    assert_eq!(shown, "/x/sh\ntouch: /x/y: Read-only file system\n");
    let ipc = user.ok(&[
        &run[..],
        &["--ipc", "host", "--userns", "host", "busybox", "readlink", "/proc/self/ns/ipc"],
    ]
    .concat());
    let host = std::fs::read_link("/proc/self/ns/ipc").expect("a link").display().to_string();
    assert_eq!(ipc.trim(), host);
}
