use std::time::{Duration, Instant};

use super::support::{Bench, can_run, chain};
use crate::builder::{AddHost, Entitlement, NetworkMode, Secret, SecretValue, SshAgent, Ulimit};

/// Builds one RUN on busybox and returns what it printed.
fn said(bench: &mut Bench, run: &str) -> String {
    bench.build(&format!("FROM busybox\n{run}\n"));
    bench.log()
}

#[test]
fn a_process_sees_what_the_stage_says() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    for (text, expected) in [
        ("RUN echo $0 a  b", "/bin/sh a b\n"),
        ("RUN [\"/bin/echo\", \"a  $b\"]", "a  $b\n"),
        ("SHELL [\"/bin/echo\", \"-n\"]\nRUN x y", "x y"),
        (
            "ENV a=1\nARG b=2\nARG c\nRUN echo $a $b ${c-unset} $HOME $PATH",
            "1 2 unset /root /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
        ),
        ("USER user\nRUN id; echo $HOME", "uid=1000(user) gid=1001(users) groups=1001(users)\n/home/user\n"),
        ("USER 5:6\nRUN id -u; id -g; id -G; echo $HOME", "5\n6\n6\n/\n"),
        ("WORKDIR /w\nRUN pwd", "/w\n"),
        ("RUN hostname", "buildkitsandbox\n"),
        (
            "RUN head -n 2 /etc/hosts",
            "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        ),
        ("RUN <<EOF\necho one\necho $((1+1))\nEOF", "one\n2\n"),
        ("RUN <<EOF\n#!/bin/cat\ntext\nEOF", "#!/bin/cat\ntext\n"),
        ("RUN cat <<A - <<B\na\nA\nb\nB", "b\n"),
        ("RUN test -t 0 || echo no terminal; cat", "no terminal\n"),
        ("RUN --network=none ip -o link | wc -l", "1\n"),
        ("RUN --mount=type=tmpfs,target=/t touch /t/x && ls /t", "x\n"),
    ] {
        assert_eq!(said(&mut bench, text), expected, "{text}");
    }
}

#[test]
fn only_what_the_process_changed_is_in_the_layer() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    for (text, expected) in [
        ("RUN true", &[][..]),
        ("RUN echo x > /f; rm /bin/wc", &["bin", "bin/wc", "f"]),
        ("WORKDIR /w\nRUN true", &[]),
        (
            "RUN --mount=type=tmpfs,target=/a/b --mount=type=cache,target=/c --mount=type=secret,id=s --mount=target=/ctx true",
            &[],
        ),
        ("RUN <<EOF\n#!/bin/sh\ntrue\nEOF", &[]),
        ("RUN --mount=from=busybox,target=/m,rw touch /m/x", &[]),
        ("RUN echo 1.2.3.4 x >> /etc/hosts; true", &[]),
        ("RUN --mount=type=cache,target=/c/d mkdir /c/e", &["c", "c/e"]),
    ] {
        let outcome = bench.build(&format!("FROM busybox\n{text}\n"));
        let last = bench.config(&outcome).rootfs.diff_ids.len() - 1;
        assert_eq!(bench.names(&outcome, last), expected, "{text}");
    }
}

#[test]
fn a_missing_working_directory_belongs_to_the_user() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let outcome = bench.build("FROM busybox\nWORKDIR /w\nRUN rm -r /w\nUSER user\nRUN pwd\n");
    assert_eq!(bench.layer(&outcome, 3)["w"], ('d', 0o755, (1000, 1001), String::new()));
}

#[test]
fn binds_show_files_of_every_place() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    bench.write("d/f", "context");
    for (text, expected) in [
        (
            "RUN --mount=target=/m cat /m/d/f; touch /m/x 2>&1 || echo read-only",
            "contexttouch: /m/x: Read-only file system\nread-only\n",
        ),
        ("RUN --mount=source=d,target=/m ls /m", "f\n"),
        ("RUN --mount=source=d/f,target=/m/file cat /m/file", "context"),
        ("RUN --mount=source=d,target=/m,rw echo y > /m/y && ls /m", "f\ny\n"),
        ("RUN --mount=from=busybox,source=/etc,target=/m ls /m", "group\npasswd\n"),
        ("RUN --mount=from=busybox,source=/etc,target=/m,rw rm /m/group && ls /m", "passwd\n"),
        ("RUN --mount=from=busybox,source=/bin/cat,target=/c ls -l /c | wc -l", "1\n"),
        ("RUN --mount=target=/m id -u && stat -c %u:%g /m/d/f", "0\n0:0\n"),
    ] {
        assert_eq!(said(&mut bench, text), expected, "{text}");
    }
    let text = "FROM busybox\nRUN --mount=source=d,target=/m cat /m/f\n";
    bench.build(text);
    bench.build(text);
    assert_eq!(bench.cached(), 1);
    bench.write("d/f", "changed");
    bench.build(text);
    assert_eq!(bench.log(), "changed");
}

#[test]
fn cache_mounts_outlive_builds() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let mount = "--mount=type=cache,target=/c";
    assert_eq!(said(&mut bench, &format!("RUN {mount} echo a > /c/a; stat -c %a /c")), "755\n");
    assert_eq!(said(&mut bench, &format!("RUN {mount} ls /c; : 2")), "a\n");
    assert_eq!(said(&mut bench, &format!("RUN {mount},id=other ls /c; : 2")), "");
    assert_eq!(said(&mut bench, &format!("RUN {mount},uid=7,mode=700 stat -c %a:%u /c; ls /c")), "700:7\n");
    // On one stream, for the order of two is anybody's.
    assert_eq!(
        said(&mut bench, &format!("RUN {mount},ro touch /c/b 2>&1 || ls /c")),
        "touch: /c/b: Read-only file system\na\n"
    );
    assert_eq!(
        said(&mut bench, "RUN --mount=type=cache,target=/c,from=busybox,source=/etc ls /c"),
        "group\npasswd\n"
    );
    let text = format!("FROM busybox\nRUN {mount},sharing=locked ls /c; : 3\n");
    bench.build(&text);
    bench.build(&text);
    assert_eq!(bench.cached(), 1);
}

#[test]
fn secrets_are_seen_by_the_process_alone() {
    if !can_run() {
        return;
    }
    const VALUE: &str = "hunter2-and-more";
    let mut bench = Bench::new();
    let text = "FROM busybox\nRUN --mount=type=secret,id=s,env=S --mount=type=secret,id=s,target=/x/y,mode=0440,uid=3 --mount=type=secret,id=none \
                test \"$S\" = \"$(cat /x/y)\" && stat -c %a:%u /x/y && test ! -e /run/secrets/none && grep /x/y /proc/mounts | grep -c tmpfs\n";
    let mut options = bench.options(text);
    let file = bench.dir.path().join("secret");
    std::fs::write(&file, VALUE).unwrap();
    options.secrets.insert("s".to_owned(), Secret { value: SecretValue::File(file.clone()) });
    let outcome = bench.try_build(&options).map_err(|error| chain(&error)).unwrap();
    assert_eq!(bench.log(), "440:3\n1\n");
    assert!(bench.names(&outcome, 1).is_empty());
    let shown = format!("{:?} {:?} {options:?}", bench.events, bench.told);
    assert!(!shown.contains(VALUE));
    let records = format!("{:?}", bench.store.cache_records().unwrap());
    assert!(!records.contains(VALUE) && !String::from_utf8_lossy(&outcome.config).contains(VALUE));
    std::fs::write(file, "another").unwrap();
    bench.try_build(&options).unwrap();
    assert_eq!(bench.cached(), 1, "a secret's value is in no key");
}

#[test]
fn an_agent_is_forwarded() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let socket = bench.dir.path().join("agent");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let text = "FROM busybox\nRUN --mount=type=ssh,uid=5,mode=0660 stat -c %a:%u:%F $SSH_AUTH_SOCK; echo $SSH_AUTH_SOCK; nc -h 2>&1 | head -n 0\n";
    let mut options = bench.options(text);
    options.ssh.insert("default".to_owned(), SshAgent { socket });
    let outcome = bench.try_build(&options).map_err(|error| chain(&error)).unwrap();
    assert_eq!(bench.log(), "660:5:socket\n/run/buildkit/ssh_agent.0\n");
    assert!(bench.names(&outcome, 1).is_empty());
    drop(listener);
}

#[test]
fn options_shape_the_process() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let text = "FROM busybox\nRUN grep -c 10.9.8.7 /etc/hosts; ulimit -n; env | grep -ci proxy=; ip -o link | wc -l; hostname\n";
    let mut options = bench.options(text);
    options.add_hosts = vec![AddHost { name: "h".to_owned(), addresses: vec!["10.9.8.7".parse().unwrap()] }];
    options.ulimits = vec![Ulimit { name: "nofile".to_owned(), soft: 100, hard: 200 }];
    options.network = NetworkMode::None;
    for (name, value) in [("https_proxy", "p"), ("BUILDKIT_SANDBOX_HOSTNAME", "box")] {
        options.build_args.insert(name.to_owned(), value.to_owned());
    }
    let outcome = bench.try_build(&options).map_err(|error| chain(&error)).unwrap();
    assert_eq!(bench.log(), "1\n100\n2\n1\nbox\n");
    assert!(!String::from_utf8_lossy(&outcome.config).contains("proxy=p"));
}

#[test]
fn rights_are_given_by_the_command_line_alone() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let text = "FROM busybox\nRUN grep CapEff /proc/self/status\nRUN --security=insecure grep CapEff /proc/self/status\n";
    let mut options = bench.options(text);
    let error = bench.try_build(&options).unwrap_err();
    assert_eq!(error.to_string(), "entitlement security.insecure is not allowed");
    options.entitlements.insert(Entitlement::SecurityInsecure);
    bench.try_build(&options).map_err(|error| chain(&error)).unwrap();
    let log = bench.log();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], "CapEff:\t00000000a80425fb");
    assert!(lines[1] > lines[0], "{log}");
}

#[test]
fn a_stopped_build_kills_its_processes() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let cancel = bench.cancel.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        cancel.cancel();
    });
    let began = Instant::now();
    let error = bench.fail("FROM busybox\nRUN sleep 600 & sleep 600\n");
    thread.join().unwrap();
    assert!(error.is_cancelled(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(300));
}

#[test]
fn a_failing_stage_stops_the_other() {
    if !can_run() {
        return;
    }
    let mut bench = Bench::new();
    let began = Instant::now();
    let error = bench.fail(
        "FROM busybox AS a\nRUN sleep 600\nFROM busybox AS b\nRUN sleep 0.2; exit 9\nFROM busybox\nCOPY --from=a / /a\nCOPY --from=b / /b\n",
    );
    assert!(error.to_string().ends_with("exit code: 9"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(300));
}
