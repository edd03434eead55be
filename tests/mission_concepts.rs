//! The rows of users' notes about concepts (H1 to H12): what of them can be seen.

mod support;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use support::TestEnv;

fn show(env: &TestEnv, template: &str, name: &str) -> String {
    env.ok(&["inspect", "-f", template, name]).trim_end().to_owned()
}

fn detached(env: &TestEnv, args: &[&str]) {
    env.ok(&[&["run", "-d", "--network", "none"][..], args].concat());
}

#[test]
fn a_container_shares_the_kernel_and_nothing_else() {
    let env = TestEnv::new().with_busybox();
    // H1
    let ours = rustix::system::uname().release().to_string_lossy().into_owned();
    assert_eq!(env.ok(&["run", "--rm", "--network", "none", "busybox", "uname", "-r"]).trim_end(), ours);
    // H3
    detached(&env, &["--name", "one", "busybox", "sh", "-c", "echo mine > /only-here; sleep 1000"]);
    detached(&env, &["--name", "two", "busybox", "sleep", "1000"]);
    let namespaces = |pid: &str| -> Vec<_> {
        let of = |kind: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("a namespace");
        ["mnt", "pid", "net", "uts", "ipc"].map(of).to_vec()
    };
    let (one, two) = (show(&env, "{{.State.Pid}}", "one"), show(&env, "{{.State.Pid}}", "two"));
    for (a, b) in [(&one, "self"), (&two, "self"), (&one, two.as_str())] {
        assert!(namespaces(a).iter().zip(namespaces(b)).all(|(a, b)| *a != b), "{a} {b}");
    }
    // H11
    let seen = env.ok(&["exec", "two", "ps", "-o", "args"]);
    assert!(seen.contains("sleep 1000") && !seen.contains("only-here"), "{seen}");
    env.run(&["exec", "two", "ls", "/only-here"]).fails_with(1);
    // H7
    let root = env.ok(&["exec", "two", "ls", "/"]);
    assert!(
        ["dev", "proc", "bin", "etc"].iter().all(|name| root.lines().any(|line| line == *name)),
        "{root}"
    );
}

/// Runs a bundle with crun in a mount namespace where cgroups look like version 2, for hybrid ones it refuses.
fn crun(bundle: &Path) -> String {
    let script = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; \
                  exec crun --cgroup-manager=disabled run \"$0\"";
    let name = format!("skiff-test-{}", std::process::id());
    let ran = Command::new("unshare").args(["-m", "sh", "-c", script, &name]).current_dir(bundle).output();
    let ran = ran.expect("unshare runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[test]
fn another_runtime_runs_a_container_as_a_bundle() {
    let env = TestEnv::new().with_busybox();
    // H2
    let script = "hostname; id; pwd; echo $A; grep -E '^(Cap|Seccomp:|NoNew)' /proc/self/status; ulimit -n; \
                  ls /dev/shm /proc/acpi; cat /data/x /etc/hosts; touch /data/y; touch /t/z; ls /t; \
                  unshare -U true 2>&1; exit 0";
    let make = |name: &str, flags: &[&str]| {
        let all = ["create", "--network", "none", "--name", name, "-v", "vol:/data", "--tmpfs", "/t"];
        let rest = ["-e", "A=b", "-w", "/new/dir", "--ulimit", "nofile=100:200", "--hostname", "box"];
        env.ok(&[&all[..], &rest, flags, &["busybox", "sh", "-c", script]].concat());
    };
    env.ok(&[
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        "vol:/data",
        "busybox",
        "sh",
        "-c",
        "echo x >/data/x; chmod 777 /data",
    ]);
    for (name, flags) in [
        ("root", &[][..]),
        ("nobody", &["-u", "nobody"]),
        ("caps", &["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]),
    ] {
        make(name, flags);
        env.ok(&["container", "bundle", name, name]);
        let theirs = crun(&env.work().join(name));
        assert!(env.store().join("volumes/vol/_data/y").exists(), "volumes are the container's");
        let ours = env.run(&["start", "-a", name]).stdout;
        assert!(
            ours.contains("box\n") && ours.contains("/new/dir\n") && ours.contains("Seccomp:\t2\n"),
            "{ours}"
        );
        assert_eq!(theirs, ours, "{name}");
    }
    let full = env.run(&["container", "bundle", "root", "root"]).fails_with(1);
    assert!(full.stderr.ends_with("is not empty\n"), "{}", full.stderr);
    env.ok(&["create", "--name", "init", "--init", "busybox"]);
    let refused = env.run(&["container", "bundle", "init", "other"]).fails_with(1);
    assert!(refused.stderr.contains("a container with --init"), "{}", refused.stderr);
    assert!(!env.work().join("other").exists());
}

#[test]
fn memory_is_limited_by_a_cgroup() {
    let env = TestEnv::new().with_busybox();
    // H4
    detached(&env, &["--name", "small", "-m", "64m", "busybox", "sleep", "1000"]);
    assert_eq!(show(&env, "{{.HostConfig.Memory}}", "small"), "67108864");
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", show(&env, "{{.State.Pid}}", "small")));
    let groups = groups.expect("its cgroups");
    let file = groups.lines().find_map(|line| {
        let (kinds, path) = line.split_once(':')?.1.split_once(':')?;
        let file = match kinds {
            "" => format!("/sys/fs/cgroup{path}/memory.max"),
            "memory" => format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"),
            _ => return None,
        };
        Path::new(&file).exists().then_some(file)
    });
    let file = file.unwrap_or_else(|| panic!("no limit in {groups}"));
    assert_eq!(std::fs::read_to_string(file).expect("a limit").trim_end(), "67108864");
}

#[test]
fn layers_are_shared_and_writes_go_on_top() {
    let env = TestEnv::new().with_busybox();
    fn blocks(dir: &Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
        let of = |entry: std::fs::DirEntry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => meta.blocks() + blocks(&entry.path()),
            Ok(meta) => meta.blocks(),
            Err(_) => 0,
        };
        entries.flatten().map(of).sum()
    }
    // H5
    env.ok(&["run", "--rm", "--network", "none", "busybox", "true"]);
    let before = blocks(&env.store());
    for name in ["c1", "c2", "c3", "c4"] {
        detached(&env, &["--name", name, "busybox", "sleep", "1000"]);
    }
    let each = (blocks(&env.store()) - before) * 512 / 4;
    assert!(each < 256 << 10, "a container takes {each} bytes of a disk on which its image has 2 MB");
    // H6
    assert!(show(&env, "{{.RootFS.Layers}}", "busybox").starts_with("[sha256:"));
    let mounts = std::fs::read_to_string(format!("/proc/{}/mounts", show(&env, "{{.State.Pid}}", "c1")));
    let mounts = mounts.expect("its mounts");
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).expect("a root");
    assert!(root.contains(" overlay ") && root.contains("lowerdir") && root.contains("upperdir="), "{root}");
    // H8
    let script = "echo x > /new; rm /bin/ls; echo y >> /etc/passwd";
    env.ok(&["run", "--network", "none", "--name", "h8", "busybox", "sh", "-c", script]);
    assert_eq!(env.ok(&["diff", "h8"]), "C /bin\nD /bin/ls\nC /etc\nC /etc/passwd\nA /new\n");
    env.ok(&["run", "--rm", "--network", "none", "busybox", "ls", "/bin/ls"]);
}

#[test]
fn an_image_is_all_that_another_machine_needs() {
    let (here, there) = (TestEnv::new().with_busybox(), TestEnv::new());
    // H10
    here.write("Dockerfile", "FROM busybox\nRUN echo '#!/bin/sh' > /app && echo 'echo it runs' >> /app && chmod +x /app\nCMD /app\n");
    here.ok(&["build", "-q", "-t", "app", "."]);
    let archive = there.work().join("app.tar");
    here.ok(&["save", "-o", archive.to_str().expect("a path"), "app"]);
    there.ok(&["load", "-i", "app.tar"]);
    assert_eq!(there.ok(&["run", "--rm", "--network", "none", "app"]), "it runs\n");
}
