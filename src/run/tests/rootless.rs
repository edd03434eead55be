//! The same as an ordinary user.

use std::path::Path;
use std::process::Command;

use super::super::*;
use super::support::*;

/// An ordinary user's id that no account of a Debian system has.
const USER: u32 = 54_321;

/// Runs `test`, the test of that name, as an ordinary user in a process of its own.
#[track_caller]
fn as_user(name: &str, subordinate: bool, test: fn(rootless::Mapping)) {
    if std::env::var_os("SKIFF_TEST_ALONE").is_some() {
        // The test's thread is not the only one, but its copy will be.
        match sys::fork().expect("forked") {
            Some(child) => {
                let status = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
                let (_, status) = status.expect("it is ours").expect("it has ended");
                assert_eq!(status.exit_status(), Some(0));
            }
            None => {
                let run = || test(rootless::enter().unwrap_or_else(|e| panic!("{}", chain(&e))));
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
                sys::exit_now(i32::from(result.is_err()));
            }
        }
        return;
    }
    if !possible() {
        return;
    }
    // Where the user may read it.
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), mode).expect("set");
    let binary = dir.path().join("tests");
    std::fs::copy(std::env::current_exe().expect("known"), &binary).expect("copied");
    let ids = if subordinate { "tester:600100000:65536" } else { "" };
    let script = format!(
        "set -e; d=$(mktemp -d); mount -t tmpfs tmpfs $d; echo '{ids}' > $d/sub; \
         (cat /etc/passwd; echo tester:x:{USER}:{USER}::/:/bin/sh) > $d/passwd; mount --bind $d/passwd /etc/passwd; \
         touch /etc/subuid /etc/subgid; for f in /etc/subuid /etc/subgid; do mount --bind $d/sub $f; done; umount -l $d; rmdir $d; \
         exec setpriv --reuid {USER} --regid {USER} --clear-groups \"$@\""
    );
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
        .arg(&binary)
        .args(["--exact", name, "--nocapture"])
        .env("SKIFF_TEST_ALONE", "1")
        .output()
        .expect("unshare starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let text = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn rig() -> Rig {
    Rig { userxattr: true, ..Rig::new() }
}

/// What must hold with both kinds of mapping.
fn common(rig: &Rig) {
    let text = rig.ok(&ProcessSpec {
        mounts: vec![
            Mount::file("/etc/hosts", "hosts\n", 0o644).read_only(true),
            Mount::tmpfs("/tmp"),
            Mount::new("/data", MountSource::Bind(rig.open("image"))),
        ],
        hostname: Some("boat".into()),
        sysctls: Sysctl::network_defaults(),
        ..shell(
            "id -u; hostname; cat /etc/hosts; echo $$; echo x > /dev/null; head -c 2 /dev/zero | wc -c; \
             ls /data/bin/sh; touch /tmp/x; mkdir /made; ip -o link | grep -c LOOPBACK,UP; ls /sys/class/net",
        )
    });
    assert_eq!(text, "0\nboat\nhosts\n1\n2\n/data/bin/sh\n1\nlo\n");
    assert_eq!(rig.upper(), ["./made"]);
    let text =
        rig.ok(&shell("grep -E 'CapEff|Seccomp:' /proc/self/status; ls /sys/firmware /proc/acpi | wc -l"));
    assert!(text.starts_with(&format!("CapEff:\t{:016x}\nSeccomp:\t2\n", CapSet::DEFAULT.0)), "{text}");
    // The network of the host, whose /sys is shown read-only.
    let mut spec = shell("readlink /proc/self/ns/net; ! touch /sys/x 2>/dev/null; ls -d /sys/class/net/lo");
    spec.network = Network::Host;
    let net = std::fs::read_link("/proc/self/ns/net").expect("proc is mounted");
    assert_eq!(rig.ok(&spec), format!("{}\n/sys/class/net/lo\n", net.display()));
    // Replacing and removing what the image has.
    assert_eq!(
        rig.sh("rm -r /etc && mkdir /etc && ls /etc; rm /bin/true; ls /bin/true 2>&1 | wc -l").1,
        "1\n"
    );
    // A terminal.
    let io = Io { stdin: Input::Null, output: Output::Terminal { rows: 24, columns: 80 } };
    let mut running = rig.executor.start(&shell("test -t 0 && tty"), rig.rootfs(), io).expect("it starts");
    assert_eq!(running.wait().expect("it ends"), Exit::Code(0));
    // An init, privileged, and a limit that can't be set.
    let spec =
        ProcessSpec { init: true, privileged: true, ..shell("mount -t tmpfs x /tmp && cat /proc/1/comm") };
    assert_eq!(rig.ok(&spec), "skiff-init\n");
    let (_reader, io) = piped(Input::Null);
    let limits = Limits { memory: Some(64 << 20), ..Limits::default() };
    let mut running =
        rig.executor.start(&ProcessSpec { limits, ..shell("true") }, rig.rootfs(), io).expect("it starts");
    assert_eq!(running.wait().expect("it ends"), Exit::Code(0));
    assert!(running.warnings()[0].0.contains("not applied") || running.warnings()[0].0.contains("no limit"));
}

#[test]
fn with_subordinate_ids() {
    as_user("run::tests::rootless::with_subordinate_ids", true, |mapping| {
        assert_eq!(mapping, rootless::Mapping::Ranges { uids: 65_536, gids: 65_536 });
        let rig = rig();
        common(&rig);
        let mut spec =
            shell("id -u; id -g; id -G; touch /tmp/mine; stat -c '%u %g' /tmp/mine; echo hi > /dev/stderr");
        spec.user = User { uid: 1000, gid: 1001, groups: vec![1001, 29], home: "/".into() };
        spec.mounts = vec![Mount::tmpfs("/tmp")];
        assert_eq!(rig.ok(&spec), "1000\n1001\n1001 29\n1000 1001\nhi\n");
        assert_eq!(rig.ok(&shell("touch /f; chown 7:8 /f; stat -c '%u %g' /f")), "7 8\n");
        let devpts = rig.ok(&shell("grep ' /dev/pts ' /proc/mounts"));
        assert!(devpts.contains("gid="), "{devpts}");
    });
}

#[test]
fn with_a_single_id() {
    as_user("run::tests::rootless::with_a_single_id", false, |mapping| {
        let reason = "/etc/subuid has no ids for this user".to_owned();
        assert_eq!(mapping, rootless::Mapping::Single { reason });
        let rig = rig();
        common(&rig);
        let mut spec = shell("true");
        spec.user = User { uid: 1000, gid: 1000, groups: vec![1000], home: "/".into() };
        let error = rig.try_run(&spec, rig.rootfs()).expect_err("there is no such user");
        assert!(error.to_string().starts_with("user 1000 is not mapped"), "{error}");
        let source = MountSource::File { bytes: b"s".to_vec(), mode: 0o400, uid: 1000, gid: 1000 };
        let spec = ProcessSpec { mounts: vec![Mount::new("/s", source)], ..shell("stat -c '%a %u' /s") };
        assert_eq!(rig.ok(&spec), "400 0\n");
    });
}

#[test]
fn a_process_with_threads_is_refused() {
    if !possible() {
        return;
    }
    // The harness itself has threads.
    let error = rootless::enter().expect_err("it has threads");
    assert!(chain(&error).contains("has more than one thread"), "{}", chain(&error));
    assert!(Path::new("/proc/self/uid_map").exists());
}
