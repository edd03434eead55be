//! Roots, mounts, targets that leave no trace.

use std::os::unix::fs::MetadataExt as _;

use super::super::*;
use super::support::*;

fn hosts() -> Vec<Mount> {
    vec![
        Mount::file("/etc/hosts", "127.0.0.1 localhost\n", 0o644).read_only(true),
        Mount::file("/etc/resolv.conf", "nameserver 1.2.3.4\n", 0o644).read_only(true),
    ]
}

fn both_kinds(test: impl Fn(Rig)) {
    test(Rig::new());
    let mut rig = Rig::new();
    rig.executor = NamespaceExecutor::with_targets_in_root();
    test(rig);
}

#[test]
fn the_usual_mounts() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let text = rig.ok(&shell("cut -d' ' -f2-4 /proc/mounts"));
    for expected in [
        "/ overlay ro,nodev",
        "/ overlay rw,nodev",
        "/proc proc rw,nosuid,nodev,noexec,relatime",
        "/dev tmpfs rw,nosuid,nodev,relatime,size=65536k,mode=755",
        "/dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666",
        "/dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k",
        "/dev/mqueue mqueue rw,nosuid,nodev,noexec,relatime",
        "/sys sysfs ro,nosuid,nodev,noexec,relatime",
        "/proc/bus proc ro,",
        "/proc/sys proc ro,",
    ] {
        assert!(expected.contains("overlay ro") || text.contains(expected), "{expected} not in\n{text}");
    }
    assert!(!text.contains("/old") && text.lines().filter(|l| l.starts_with("/ ")).count() == 1, "{text}");
}

#[test]
fn devices_work_in_dev_and_nowhere_else() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let script = "cd /dev; for f in null zero full random urandom tty; do stat -c '%n %a %t:%T' $f; done; \
        head -c 3 zero | wc -c; echo x > null && ls -l fd stdin stdout stderr ptmx | sed 's/.* \\([^ ]* -> \\)/\\1/'; \
        mknod /node c 1 5 && ! head -c 1 /node 2>&1; mknod /dev/node c 1 5 && ! head -c 1 /dev/node 2>&1; ls /dev/pts";
    let (exit, text) = rig.sh(script);
    assert_eq!(exit, Exit::Code(0), "{text}");
    for line in ["null 666 1:3", "full 666 1:7", "tty 666 5:0", "3\n", "ptmx -> pts/ptmx"] {
        assert!(text.contains(line), "{line:?} not in\n{text}");
    }
    assert_eq!(text.matches("Permission denied").count(), 2, "{text}");
    assert_eq!(rig.sh("chmod 600 /dev/null; echo changed").1, "changed\n");
    assert_eq!(std::fs::metadata("/dev/null").expect("it is there").mode() & 0o777, 0o666);
}

#[test]
fn targets_that_the_image_lacks_leave_no_trace() {
    if !possible() {
        return;
    }
    both_kinds(|rig| {
        let before = std::fs::metadata(rig.path("image/etc")).expect("it is there");
        let spec = ProcessSpec { mounts: hosts(), ..shell("cat /etc/hosts /etc/resolv.conf; ls /") };
        let text = rig.ok(&spec);
        assert!(text.starts_with("127.0.0.1 localhost\nnameserver 1.2.3.4\n"), "{text}");
        assert!(rig.upper().iter().all(|name| name == "./etc"), "{:?}", rig.upper());
        if rig.path("upper/etc").exists() {
            let after = std::fs::metadata(rig.path("upper/etc")).expect("it is there");
            assert_eq!(before.mtime_nsec(), after.mtime_nsec());
        }
    });
}

#[test]
fn targets_that_the_image_has_stay_as_they_are() {
    if !possible() {
        return;
    }
    both_kinds(|rig| {
        rig.write("image/etc/hosts", "the image's\n");
        rig.write("image/etc/resolv.conf", "");
        for name in ["proc", "sys", "dev"] {
            std::fs::create_dir(rig.path("image").join(name)).expect("made");
        }
        let spec = ProcessSpec { mounts: hosts(), ..shell("cat /etc/hosts; ! echo x 2>&1 >> /etc/hosts") };
        assert!(rig.ok(&spec).contains("127.0.0.1 localhost\n"));
        assert_eq!(rig.upper(), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(rig.path("image/etc/hosts")).expect("read"), "the image's\n");
    });
}

#[test]
fn targets_that_are_links() {
    if !possible() {
        return;
    }
    both_kinds(|rig| {
        // A dangling one as systemd-resolved leaves it, one that climbs, one that is absolute, and a linked directory.
        let link =
            |to: &str, at: &str| std::os::unix::fs::symlink(to, rig.path("image").join(at)).expect("linked");
        link("../run/systemd/resolve/stub-resolv.conf", "etc/resolv.conf");
        link("/../../../../../../../../real/hosts", "etc/hosts");
        rig.write("image/real/hosts", "");
        link("/real", "linked");
        let mut mounts = hosts();
        mounts.push(Mount::file("/linked/deep/er/file", "deep\n", 0o600));
        let script =
            "cat /etc/hosts /etc/resolv.conf /run/systemd/resolve/stub-resolv.conf /real/deep/er/file";
        let spec = ProcessSpec { mounts, ..shell(script) };
        let text = rig.ok(&spec);
        assert_eq!(text, "127.0.0.1 localhost\nnameserver 1.2.3.4\nnameserver 1.2.3.4\ndeep\n");
        assert!(!rig.upper().iter().any(|n| n.contains("run") || n.contains("deep")), "{:?}", rig.upper());
    });
}

#[test]
fn directories_of_missing_targets_look_as_the_image_has_them() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    rig.write("image/home/anna/file", "x");
    std::os::unix::fs::chown(rig.path("image/home/anna"), Some(1000), Some(1000)).expect("set");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(rig.path("image/home/anna"), mode).expect("set");
    let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let directory = std::fs::File::open(rig.path("image/home/anna")).expect("it opens");
    directory.set_modified(time).expect("set");
    let cache = tempfile::tempdir().expect("a temporary directory");
    let bind = std::fs::File::open(cache.path()).expect("it opens").into();
    let mounts = vec![Mount::new("/home/anna/.cache/pip", MountSource::Bind(bind))];
    let script = "stat -c '%a %u %g %Y' /home/anna; stat -c '%a %u' /home/anna/.cache; ls -A /home/anna; \
        echo x > /home/anna/.cache/pip/y; echo z > /home/anna/.cache/z";
    let text = rig.ok(&ProcessSpec { mounts, ..shell(script) });
    assert_eq!(text, "700 1000 1000 1000000000\n755 0\n.cache\nfile\n");
    assert_eq!(rig.upper(), ["./home", "./home/anna", "./home/anna/.cache", "./home/anna/.cache/z"]);
    assert!(cache.path().join("y").exists());
}

#[test]
fn an_upper_directory_that_hides_a_target() {
    if !possible() {
        return;
    }
    both_kinds(|rig| {
        rig.write("image/etc/hosts", "the image's\n");
        rig.write("image/data/x", "");
        assert_eq!(rig.sh("rm /etc/hosts; rm -r /data; mkdir /data").0, Exit::Code(0));
        let before = rig.upper();
        let mut mounts = hosts();
        mounts.push(Mount::tmpfs("/data/inner"));
        let spec =
            ProcessSpec { mounts, ..shell("cat /etc/hosts; touch /data/inner/a; ls /data /data/inner") };
        assert_eq!(rig.ok(&spec), "127.0.0.1 localhost\n/data:\ninner\n\n/data/inner:\na\n");
        assert_eq!(rig.upper(), before, "the whiteout is back in place");
        // And again, for the image is the same as before.
        assert_eq!(rig.sh("ls /etc /data").1, "/data:\n\n/etc:\ngroup\npasswd\n");
    });
}

#[test]
fn an_image_of_nothing() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let busybox = rig.open("image/bin");
    let mounts = || vec![Mount::new("/bin", MountSource::Bind(busybox.try_clone().expect("duplicated")))];
    let spec = ProcessSpec { mounts: mounts(), ..shell("ls /") };
    let empty = |upper| Rootfs { upper, ..Rootfs::default() };
    assert_eq!(rig.run(&spec, empty(rig.rootfs().upper)).1, "bin\ndev\nproc\nsys\n");
    assert_eq!(rig.upper(), Vec::<String>::new());
    assert_eq!(rig.run(&spec, empty(None)).1, "bin\ndev\nproc\nsys\n");
}

#[test]
fn roots_that_cannot_be_written() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let spec = shell("! touch /x 2>/dev/null && touch /dev/shm/x /dev/x && echo kept");
    let rootfs = Rootfs { read_only: true, ..rig.rootfs() };
    assert_eq!(rig.run(&spec, rootfs), (Exit::Code(0), "kept\n".into()));
    let rootfs = Rootfs { upper: None, ..rig.rootfs() };
    assert_eq!(rig.run(&spec, rootfs), (Exit::Code(0), "kept\n".into()));
    // A working directory is still made.
    let spec = ProcessSpec { cwd: "/made".into(), ..shell("pwd") };
    let rootfs = Rootfs { read_only: true, ..rig.rootfs() };
    assert_eq!(rig.run(&spec, rootfs), (Exit::Code(0), "/made\n".into()));
}

#[test]
fn binds_tmpfs_and_nesting() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    rig.write("shared/inner/file", "from the host\n");
    rig.write("single", "one file\n");
    let mounts = vec![
        // Given children first.
        Mount::new("/data/inner/deep/er", MountSource::Tmpfs { size: Some(1 << 20), mode: 0o700 }),
        Mount::new("/data/single", MountSource::Bind(rig.open("single"))),
        Mount::new("/data/../data/", MountSource::Bind(rig.open("shared"))),
        Mount::new("/ro", MountSource::Bind(rig.open("shared"))).read_only(true),
        Mount::tmpfs("/tmp"),
    ];
    let script = "cat /data/inner/file /data/single; echo written > /data/new; ! touch /ro/x 2>/dev/null; \
        ! head -c 2000000 /dev/zero 2>/dev/null > /data/inner/deep/er/big; \
        grep ' /tmp ' /proc/mounts | cut -d' ' -f4; stat -c %a /data/inner/deep/er; cat /ro/new";
    let text = rig.ok(&ProcessSpec { mounts, ..shell(script) });
    let expected = "from the host\none file\nrw,nosuid,nodev,noexec,relatime\n700\nwritten\n";
    assert_eq!(text.replace(",inode64", "").replace(",mode=1777", ""), expected);
    assert_eq!(
        names(&rig.path("shared")).join(" "),
        "./inner ./inner/deep ./inner/deep/er ./inner/file ./new ./single"
    );
    assert_eq!(rig.upper(), Vec::<String>::new());
}

#[test]
fn a_view_whose_writes_are_lost() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    rig.write("context/file", "kept\n");
    let overlay = MountSource::Overlay { lowers: vec![rig.open("context")], upper: None, userxattr: false };
    let script = "cd /ctx; echo more >> file; touch new; cat file; ls";
    let text = rig.ok(&ProcessSpec { mounts: vec![Mount::new("/ctx", overlay)], ..shell(script) });
    assert_eq!(text, "kept\nmore\nfile\nnew\n");
    assert_eq!(std::fs::read_to_string(rig.path("context/file")).expect("read"), "kept\n");
    assert_eq!(names(&rig.path("context")), ["./file"]);
}

#[test]
fn secrets_have_their_owner_and_mode() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let source = MountSource::File { bytes: b"secret".to_vec(), mode: 0o440, uid: 1000, gid: 29 };
    let secret = Mount { nosuid: true, nodev: true, noexec: true, ..Mount::new("/run/secrets/it", source) };
    let script = "cat /run/secrets/it; stat -c ' %a %u %g' /run/secrets/it; ! touch /run/secrets/it; \
        grep -o ' /run/secrets/it tmpfs [a-z,]*' /proc/mounts";
    let text = rig.ok(&ProcessSpec { mounts: vec![secret.read_only(true)], ..shell(script) });
    assert!(text.starts_with("secret 440 1000 29\n"), "{text}");
    assert!(text.contains(" /run/secrets/it tmpfs ro,nosuid,nodev,noexec,relatime"), "{text}");
    assert_eq!(rig.upper(), Vec::<String>::new());
}

#[test]
fn mounts_in_the_place_of_the_usual_ones() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    rig.write("mine/file", "");
    let at = |target: &str| vec![Mount::new(target, MountSource::Bind(rig.open("mine")))];
    assert_eq!(rig.ok(&ProcessSpec { mounts: at("/dev/shm"), ..shell("ls /dev/shm") }), "file\n");
    assert_eq!(rig.ok(&ProcessSpec { mounts: at("/dev"), ..shell("ls /dev") }), "file\n");
    assert_eq!(rig.ok(&ProcessSpec { mounts: at("/sys"), ..shell("ls /sys") }), "file\n");
    assert_eq!(rig.ok(&ProcessSpec { mounts: at("/proc"), ..shell("ls /proc") }), "file\n");
}

#[test]
fn bad_targets_are_refused() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    for (target, expected) in [
        ("/", "invalid mount target /: destination can't be '/'"),
        ("/a/..", "invalid mount target /a/..: destination can't be '/'"),
        ("rel", "invalid mount target rel: mount path must be absolute"),
    ] {
        let spec = ProcessSpec { mounts: vec![Mount::tmpfs(target)], ..shell("true") };
        assert_eq!(rig.try_run(&spec, rig.rootfs()).expect_err("refused").to_string(), expected);
    }
    let spec = ProcessSpec { mounts: vec![Mount::tmpfs("/a"), Mount::tmpfs("//a/.")], ..shell("true") };
    let error = rig.try_run(&spec, rig.rootfs()).expect_err("refused");
    assert_eq!(error.to_string(), "Duplicate mount point: //a/.");
    // A directory onto a file.
    let spec = ProcessSpec { mounts: vec![Mount::tmpfs("/etc/passwd")], ..shell("true") };
    let error = rig.try_run(&spec, rig.rootfs()).expect_err("refused");
    let text = chain(&error);
    assert!(text.starts_with("cannot mount /etc/passwd: not a directory: Are you trying to mount"), "{text}");
    assert_eq!(error.exit_code(), 127);
}

#[test]
fn a_large_context_of_layers() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    let mut rootfs = rig.rootfs();
    for number in 0..40 {
        rig.write(&format!("layers/{number}/etc/layer{number}"), "x");
        rootfs.lowers.insert(0, rig.open(&format!("layers/{number}")));
    }
    assert_eq!(rig.run(&shell("ls /etc | grep -c layer"), rootfs).1, "40\n");
}

#[test]
fn scripts_can_be_executed_while_other_processes_are_made() {
    if !possible() {
        return;
    }
    let rig = Rig::new();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let rig = &rig;
            scope.spawn(move || {
                for _ in 0..50 {
                    let bytes = b"#!/bin/sh\necho ran\n".to_vec();
                    let script = MountSource::File { bytes, mode: 0o755, uid: 0, gid: 0 };
                    let mounts = vec![Mount::new("/dev/pipes/script", script).read_only(true)];
                    let spec = ProcessSpec { mounts, ..shell("/dev/pipes/script") };
                    let rootfs = rig.rootfs_with(&format!("upper{n}"), &format!("work{n}"));
                    assert_eq!(rig.run(&spec, rootfs), (Exit::Code(0), "ran\n".to_owned()));
                }
            });
        }
    });
}
