//! Starting, ending, environment, directories, users, terminals.

use std::io::{Read as _, Write as _};

use super::super::*;
use super::support::*;

#[test]
fn exit_codes_and_signals() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    for (script, expected) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 255", Exit::Code(255)),
        ("sh -c 'kill -9 $$'; exit $?", Exit::Code(137)),
    ] {
        assert_eq!(rig.sh(script).0, expected, "{script}");
    }
    let spec = ProcessSpec { args: args(&["true"]), ..ProcessSpec::default() };
    assert_eq!(rig.run(&spec, rig.rootfs()).0, Exit::Code(0));
    assert_eq!(Exit::Signal(9).code(), 137);
}

#[test]
fn errors_have_dockers_words_and_codes() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    rig.write("image/plain", "text");
    rig.write("image/script", "#!/no/such/interpreter\n");
    rig.write("image/garbage", "\u{1}\u{2}");
    rig.write("image/bin/unexecutable", "text");
    for name in ["script", "garbage"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(rig.path("image").join(name), mode).expect("set");
    }
    for (command, init, expected, code) in [
        ("nothing", false, "exec: \"nothing\": executable file not found in $PATH", 127),
        ("unexecutable", false, "exec: \"unexecutable\": executable file not found in $PATH", 127),
        ("", false, "exec: \"\": executable file not found in $PATH", 127),
        ("/nothing", false, "exec: \"/nothing\": stat /nothing: no such file or directory", 127),
        ("/bin", false, "exec: \"/bin\": is a directory: permission denied", 126),
        ("/plain", false, "exec: \"/plain\": permission denied", 126),
        ("/script", false, "exec /script: no such file or directory", 127),
        ("/garbage", false, "exec /garbage: Exec format error (os error 8)", 126),
        ("nothing", true, "exec: \"nothing\": executable file not found in $PATH", 127),
        ("/nothing", true, "exec: \"/nothing\": stat /nothing: no such file or directory", 127),
        ("/plain", true, "exec: \"/plain\": permission denied", 126),
        ("/bin", true, "exec: \"/bin\": is a directory: permission denied", 126),
    ] {
        let spec = ProcessSpec { args: args(&[command]), init, ..ProcessSpec::default() };
        let error = rig.try_run(&spec, rig.rootfs()).expect_err("it does not start");
        assert_eq!((chain(&error).as_str(), error.exit_code()), (expected, code), "{command:?} init {init}");
    }
    let error = rig.try_run(&ProcessSpec::default(), rig.rootfs()).expect_err("nothing to run");
    assert_eq!(error.to_string(), "no command specified");
}

#[test]
fn the_environment_is_exactly_what_was_given() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let mut spec = ProcessSpec { args: args(&["/bin/env"]), ..ProcessSpec::default() };
    spec.env = vec![(b"A".to_vec(), b"b c=d".to_vec()), (b"E\xff".to_vec(), b"".to_vec())];
    let (mut reader, io) = piped(Input::Null);
    let mut running = rig.executor.start(&spec, rig.rootfs(), io).expect("it starts");
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("read");
    assert_eq!(running.wait().expect("it ends"), Exit::Code(0));
    assert_eq!(bytes, b"A=b c=d\nE\xff=\n");
}

#[test]
fn a_missing_working_directory_is_made() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let mut spec = shell("pwd; stat -c '%a %u %g' . ..; umask");
    spec.cwd = "/a/b/../c".into();
    assert_eq!(rig.ok(&spec), "/a/c\n755 0 0\n755 0 0\n0022\n");
    assert_eq!(rig.upper(), ["./a", "./a/b", "./a/c"]);
    spec.cwd = "/mine/too".into();
    spec.user = User { uid: 1000, gid: 1001, groups: vec![1001], home: "/".into() };
    spec.user_owns_cwd = true;
    assert_eq!(rig.ok(&spec), "/mine/too\n755 1000 1001\n755 1000 1001\n0022\n");
    spec.cwd = "/bin/sh".into();
    let error = rig.try_run(&spec, rig.rootfs()).expect_err("no directory");
    assert!(
        chain(&error).contains("change to working directory /bin/sh: Not a directory"),
        "{}",
        chain(&error)
    );
}

#[test]
fn a_working_directory_cannot_be_a_descriptor_of_ours() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    for fd in 0..64 {
        let mut spec = shell("ls -a");
        spec.cwd = format!("/proc/self/fd/{fd}/").into();
        let error = rig.try_run(&spec, rig.rootfs()).expect_err("nothing is left open");
        assert!(error.to_string().contains("change to working directory"), "{error}");
    }
    assert_eq!(rig.ok(&shell("cd /proc/self/fd; for f in [3-9]*; do readlink $f; done; true")), "");
}

#[test]
fn users_and_groups() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let root = crate::fs::Root::open(&rig.path("image")).expect("it opens");
    let mut spec = shell("id -u; id -g; id -G; grep CapEff /proc/self/status; echo hi > /dev/stdout");
    spec.user = lookup_user(&root, "anna").expect("she is there");
    assert_eq!(rig.ok(&spec), "1000\n1000\n1000 29\nCapEff:\t0000000000000000\nhi\n");
    spec.user = lookup_user(&root, "").expect("root");
    assert!(rig.ok(&spec).starts_with("0\n0\n0\n"));
}

#[test]
fn standard_input_is_empty_or_a_pipe() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    assert_eq!(rig.sh("cat; echo end").1, "end\n");
    let (theirs, ours) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    let (mut reader, io) = piped(Input::Fd(theirs));
    let mut running = rig.executor.start(&shell("cat"), rig.rootfs(), io).expect("it starts");
    std::fs::File::from(ours).write_all(b"through").expect("written");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("read");
    assert_eq!((running.wait().expect("it ends"), text.as_str()), (Exit::Code(0), "through"));
}

#[test]
fn killing_ends_everything() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let (mut reader, io) = piped(Input::Null);
    let script = "(trap '' TERM HUP; sleep 1000 & sleep 1000 & echo ready; wait) & wait";
    let mut running = rig.executor.start(&shell(script), rig.rootfs(), io).expect("it starts");
    let mut ready = [0; 6];
    reader.read_exact(&mut ready).expect("read");
    assert!(running.kill(4711).is_err());
    let pidfd = running.pidfd().try_clone_to_owned().expect("duplicated");
    let killer = std::thread::spawn(move || signal(std::os::fd::AsFd::as_fd(&pidfd), libc::SIGKILL));
    assert_eq!(running.wait().expect("it ends"), Exit::Signal(libc::SIGKILL));
    killer.join().expect("no panic").expect("killed");
    running.kill(libc::SIGKILL).expect("one that has ended is no error");
    // The pipe's other ends are closed once all are dead.
    assert_eq!(reader.read(&mut ready).expect("read"), 0);
}

#[test]
fn dropping_a_running_process_kills_it() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let (mut reader, io) = piped(Input::Null);
    drop(rig.executor.start(&shell("sleep 1000"), rig.rootfs(), io).expect("it starts"));
    assert_eq!(reader.read(&mut [0]).expect("read"), 0);
}

#[test]
fn a_terminal() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let script = "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo three; \
        stat -c %t:%T /dev/console /dev/pts/0; read x; echo got $x; stty size; echo to >/dev/tty; ps -o tty | tail -1";
    let spec = shell(script);
    let io = Io { stdin: Input::Null, output: Output::Terminal { rows: 24, columns: 80 } };
    let mut running = rig.executor.start(&spec, rig.rootfs(), io).expect("it starts");
    running.resize(50, 100).expect("resized");
    let mut terminal = std::fs::File::from(
        running.terminal().expect("there is one").try_clone_to_owned().expect("duplicated"),
    );
    terminal.write_all(b"line\n").expect("written");
    let mut text = Vec::new();
    // The end of a terminal whose other end is closed is an error.
    let _ = terminal.read_to_end(&mut text);
    assert_eq!(running.wait().expect("it ends"), Exit::Code(0));
    // The terminal's echo of what was written stands anywhere between the lines.
    let text = String::from_utf8_lossy(&text).replace('\r', "").replacen("\nline\n", "\n", 1);
    assert!(text.contains("/dev/pts/0\n") && text.contains("three\n88:0\n88:0\n"), "{text}");
    assert!(text.contains("got line\n50 100\nto\n"), "{text}");
    let error = {
        let (_reader, io) = piped(Input::Null);
        let mut running = rig.executor.start(&shell("true"), rig.rootfs(), io).expect("it starts");
        running.wait().expect("it ends");
        running.resize(1, 1).expect_err("it has none")
    };
    assert_eq!(error.to_string(), "the process has no terminal");
}

#[test]
fn an_init_reaps_and_forwards() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let with = |script: &str| ProcessSpec { init: true, ..shell(script) };
    assert_eq!(rig.run(&with("exit 7"), rig.rootfs()).0, Exit::Code(7));
    assert_eq!(rig.run(&with("kill -9 $$"), rig.rootfs()).0, Exit::Code(137));
    let text = rig.ok(&with("cat /proc/1/comm; readlink /proc/1/exe; test $$ -ne 1 && echo not first"));
    assert!(text.starts_with("skiff-init\n/memfd:skiff-init (deleted)\nnot first\n"), "{text}");
    // Until only the shell itself is left, and no other one.
    let zombies = "sh -c '(sleep 0.05; exit 3) & exit 0'; for i in $(seq 300); do ps -o stat,comm >/list; \
        [ $(grep -c ' sh$' /list) -gt 1 ] || grep -Eq '^Z|sleep' /list || break; usleep 100000; done; \
        grep -Ec '^Z|sleep' /list";
    assert_eq!(rig.run(&with(zombies), rig.rootfs()).1, "0\n");
    assert_eq!(rig.run(&shell(zombies), rig.rootfs()).1, "0\n", "a shell as process 1 reaps as well");
    let spec = with("trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    let (mut reader, io) = piped(Input::Null);
    let mut running = rig.executor.start(&spec, rig.rootfs(), io).expect("it starts");
    let mut ready = [0; 6];
    reader.read_exact(&mut ready).expect("read");
    running.kill(libc::SIGTERM).expect("sent");
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("read");
    assert_eq!((running.wait().expect("it ends"), text.as_str()), (Exit::Code(5), "caught\n"));
    // Signals reach a program that does not handle them, which process 1 would ignore.
    let (mut reader, io) = piped(Input::Null);
    let spec = with("echo ready; exec sleep 1000");
    let mut running = rig.executor.start(&spec, rig.rootfs(), io).expect("it starts");
    reader.read_exact(&mut ready).expect("read");
    running.kill(libc::SIGTERM).expect("sent");
    assert_eq!(running.wait().expect("it ends"), Exit::Code(143));
}

#[test]
fn an_init_on_a_terminal_leaves_it_to_the_program() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let spec =
        ProcessSpec { init: true, ..shell("read x < /dev/tty; echo got $x; kill -s TTOU $$; echo alive") };
    let io = Io { stdin: Input::Null, output: Output::Terminal { rows: 24, columns: 80 } };
    let mut running = rig.executor.start(&spec, rig.rootfs(), io).expect("it starts");
    let mut terminal = std::fs::File::from(
        running.terminal().expect("there is one").try_clone_to_owned().expect("duplicated"),
    );
    terminal.write_all(b"line\n").expect("written");
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"got line\r\n") && terminal.read(&mut byte).is_ok_and(|n| n == 1) {
        text.push(byte[0]);
    }
    assert!(text.ends_with(b"got line\r\n"), "{}", String::from_utf8_lossy(&text));
    // A program that stopped itself does not keep init from handing SIGKILL's effect on.
    running.kill(libc::SIGKILL).expect("sent");
    assert_eq!(running.wait().expect("it ends"), Exit::Signal(9));
}

#[test]
fn many_at_once_leave_nothing_behind() {
    // In a process of its own, for other tests have children and descriptors.
    if !possible() || !alone("run::tests::process::many_at_once_leave_nothing_behind") {
        return;
    }
    let rig = Rig::new();
    // The init's program and the usual places are kept for the next.
    rig.ok(&ProcessSpec { init: true, ..shell("true") });
    let before = (mounts(), cgroups(), open_descriptors());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let rig = &rig;
            scope.spawn(move || {
                for round in 0..25 {
                    let name = format!("run/{thread}-{round}");
                    let rootfs = rig.rootfs_with(&format!("{name}/upper"), &format!("{name}/work"));
                    let spec = ProcessSpec {
                        hostname: Some(format!("h{thread}")),
                        init: round % 5 == 0,
                        limits: Limits { pids: (round % 5 == 1).then_some(50), ..Limits::default() },
                        ..shell("hostname > /name; cat /name; exit 3")
                    };
                    let (exit, text) = rig.run(&spec, rootfs);
                    assert_eq!((exit, text), (Exit::Code(3), format!("h{thread}\n")));
                    let written = std::fs::read_to_string(rig.path(&name).join("upper/name"));
                    assert_eq!(written.expect("it was written"), format!("h{thread}\n"));
                }
            });
        }
    });
    assert_eq!(before, (mounts(), cgroups(), open_descriptors()));
    assert_eq!(children(), "");
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mounts").expect("proc is mounted")
}

/// Cgroups of processes; those of containers, which others on this machine may run, have longer names.
fn cgroups() -> Vec<String> {
    let random = |name: &String| {
        let name = name.rsplit('/').next().and_then(|name| name.strip_prefix("skiff-"));
        name.is_some_and(|digits| digits.len() == 16)
    };
    names(std::path::Path::new("/sys/fs/cgroup")).into_iter().filter(random).collect()
}

/// Numbers of this process's children, zombies included.
fn children() -> String {
    let threads = std::fs::read_dir("/proc/self/task").expect("proc is mounted").flatten();
    threads.filter_map(|t| std::fs::read_to_string(t.path().join("children")).ok()).collect()
}
