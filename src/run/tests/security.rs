//! What a process can't do.

use super::super::*;
use super::support::*;

#[test]
fn capabilities_are_dockers() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let show = "grep Cap /proc/self/status | tr -d '\\t'";
    let own = rustix::thread::capabilities(None).expect("known").permitted.bits();
    let default = format!("{:016x}", CapSet::DEFAULT.0 & own);
    let zero = "0".repeat(16);
    let expected =
        format!("CapInh:{zero}\nCapPrm:{default}\nCapEff:{default}\nCapBnd:{default}\nCapAmb:{zero}\n");
    assert_eq!(rig.ok(&shell(show)), expected);
    let mut spec = shell(show);
    spec.capabilities = CapSet::adjusted(&["SYS_ADMIN".into()], &["ALL".into()]).expect("known");
    assert!(rig.ok(&spec).contains("CapEff:0000000000200000\n"));
    spec.user = User { uid: 5, gid: 5, groups: vec![], home: "/".into() };
    assert!(rig.ok(&spec).contains("CapEff:0000000000000000\nCapBnd:0000000000200000\n"));
}

#[test]
fn seccomp_denies_what_docker_denies() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let denied = |spec: &ProcessSpec| rig.run(spec, rig.rootfs());
    let status = rig.ok(&shell("grep -E 'Seccomp:|NoNewPrivs' /proc/self/status"));
    assert_eq!(status, "NoNewPrivs:\t0\nSeccomp:\t2\n");
    for script in
        ["unshare -U true", "unshare -r true", "mount -t tmpfs x /tmp", "hostname x", "umount /proc"]
    {
        let (exit, text) = denied(&shell(script));
        assert_ne!(exit, Exit::Code(0), "{script}: {text}");
        assert!(text.contains("not permitted") || text.contains("permission denied"), "{script}: {text}");
    }
    // With the capability the filter lets it through.
    let mut spec = shell("hostname x && mount -t tmpfs x /tmp && echo done");
    spec.hostname = Some("a".into());
    spec.capabilities = CapSet(CapSet::DEFAULT.0 | CapSet::one("SYS_ADMIN").expect("known").0);
    assert_eq!(denied(&spec).1, "done\n");
    // Without a filter, user namespaces can be made.
    let spec = ProcessSpec {
        seccomp: Seccomp::Unconfined,
        ..shell("unshare -U true && grep Seccomp: /proc/self/status")
    };
    assert_eq!(denied(&spec).1, "Seccomp:\t0\n");
}

#[test]
fn a_profile_of_ones_own() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}"#;
    let spec = ProcessSpec { seccomp: Seccomp::Profile(profile.into()), ..shell("mkdir /x; echo still") };
    let (_, text) = rig.run(&spec, rig.rootfs());
    assert!(text.contains("No space left on device") && text.ends_with("still\n"), "{text}");
    for (bad, expected) in [
        ("{", "seccomp profile: EOF while parsing"),
        (r#"{"defaultAction":"NO"}"#, "seccomp profile: unknown action \"NO\""),
    ] {
        let spec = ProcessSpec { seccomp: Seccomp::Profile(bad.into()), ..shell("true") };
        let error = rig.try_run(&spec, rig.rootfs()).expect_err("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn no_new_privileges() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    for uid in [0, 1000] {
        let mut spec = ProcessSpec {
            no_new_privileges: true,
            ..shell("grep -E 'NoNewPrivs|Seccomp:' /proc/self/status")
        };
        spec.user.uid = uid;
        assert_eq!(rig.ok(&spec), "NoNewPrivs:\t1\nSeccomp:\t2\n");
    }
}

#[test]
fn masked_and_read_only_paths() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let script = "for f in kcore keys timer_list interrupts; do test ! -e /proc/$f || wc -c < /proc/$f; done | sort -u; ls /sys/firmware | wc -l; \
        ! touch /sys/firmware/x 2>/dev/null; \
        cd /proc; for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/mm/ksm/run; do \
          test ! -e $f || (echo 0 > $f) 2>&1 | grep -o 'Read-only.*' || echo writable $f; done; true";
    let text = rig.ok(&shell(script));
    assert!(text.starts_with("0\n0\n"), "{text}");
    assert!(text.contains("Read-only file system") && !text.contains("writable"), "{text}");
    let mut spec = shell("wc -c < /proc/timer_list");
    spec.masked_paths.clear();
    spec.read_only_paths.clear();
    assert_ne!(rig.ok(&spec), "0\n");
}

#[test]
fn namespaces_of_its_own() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let script = "for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done; echo $$; hostname; \
        ls /proc | grep -c '^[0-9]'; ip -o link | cut -d: -f2,3 | cut -d' ' -f2,3; ping -c 1 -W 1 127.0.0.1 | grep -c 'bytes from'";
    let spec = ProcessSpec { hostname: Some("boat".into()), ..shell(script) };
    let text = rig.ok(&spec);
    let lines: Vec<&str> = text.lines().collect();
    for (line, name) in lines.iter().zip(["cgroup", "ipc", "mnt", "net", "pid", "uts"]) {
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("proc is mounted");
        assert_ne!(*line, ours.to_string_lossy(), "{name}");
    }
    assert_eq!(lines[6..8], ["1", "boat"]);
    assert!(text.contains("lo: <LOOPBACK,UP") && text.ends_with("1\n"), "{text}");
    // Shared on demand.
    let mut spec = shell("for n in ipc net pid uts; do readlink /proc/self/ns/$n; done");
    spec.network = Network::Host;
    spec.namespaces = Namespaces { pid: Namespace::Caller, ipc: Namespace::Caller, cgroup: true };
    for (line, name) in rig.ok(&spec).lines().zip(["ipc", "net", "pid", "uts"]) {
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("proc is mounted");
        assert_eq!(line, ours.to_string_lossy(), "{name}");
    }
}

#[test]
fn a_network_namespace_that_was_prepared() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let namespace = std::thread::spawn(|| {
        crate::run::sys::unshare(libc::CLONE_NEWNET).expect("we are root");
        std::fs::File::open("/proc/thread-self/ns/net").expect("proc is mounted")
    });
    let namespace: std::os::fd::OwnedFd = namespace.join().expect("no panic").into();
    let link = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&namespace)));
    let mut spec = shell("readlink /proc/self/ns/net");
    spec.network = Network::Join(std::sync::Arc::new(namespace));
    assert_eq!(rig.ok(&spec).trim(), link.expect("it is there").to_string_lossy());
}

#[test]
fn privileged() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let script = "grep CapEff /proc/self/status; grep Seccomp: /proc/self/status; test -w /proc/sys/kernel && \
        mount -t tmpfs x /tmp && echo mounted; grep -o ' /sys sysfs rw' /proc/mounts; ls /dev | wc -l; \
        mknod /node c 1 5 && head -c 1 /node | wc -c";
    let text = rig.ok(&ProcessSpec { privileged: true, ..shell(script) });
    let own = rustix::thread::capabilities(None).expect("known").permitted.bits();
    assert!(text.contains(&format!("{:016x}", CapSet::ALL.0 & own)), "{text}");
    assert!(text.contains("Seccomp:\t0\nmounted\n /sys sysfs rw\n"), "{text}");
    assert!(text.ends_with("\n1\n"), "{text}");
}

#[test]
fn sysctls_limits_and_oom_score() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let mut spec = shell(
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax /proc/self/oom_score_adj; ulimit -n; ulimit -Hn; ulimit -c",
    );
    spec.sysctls = Sysctl::network_defaults();
    spec.sysctls.push(Sysctl { key: "kernel.msgmax".into(), value: "4321".into(), optional: false });
    spec.oom_score_adj = Some(500);
    let limit = |name, soft, hard| Rlimit { resource: resource(name).expect("known"), soft, hard };
    spec.rlimits = vec![limit("nofile", Some(100), Some(200)), limit("core", Some(0), Some(0))];
    assert_eq!(rig.ok(&spec), "0\n4321\n500\n100\n200\n0\n");
    // One above the hard limit is clamped, never a reason to fail.
    let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
    let mut spec = shell("ulimit -Hn");
    spec.rlimits = vec![limit("nofile", None, Some(1 << 40))];
    if rustix::thread::capabilities(None).expect("known").permitted.bits() & 1 << 24 == 0 {
        assert_eq!(rig.ok(&spec).trim(), hard.expect("there is one").to_string());
    }
    let mut spec = shell("true");
    spec.sysctls = vec![Sysctl { key: "no.such.thing".into(), value: "1".into(), optional: false }];
    let error = rig.try_run(&spec, rig.rootfs()).expect_err("refused");
    assert_eq!(chain(&error), "cannot write no.such.thing: No such file or directory (os error 2)");
}

#[test]
fn extra_devices() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let source =
        rustix::fs::open("/dev/zero", rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).expect("it opens");
    let devices = vec![Device { target: "/dev/deep/mine".into(), source, access: "rwm".into() }];
    let spec = ProcessSpec { devices, ..shell("head -c 4 /dev/deep/mine | wc -c") };
    assert_eq!(rig.ok(&spec), "4\n");
}
