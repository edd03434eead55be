//! Volumes whose files are a file system of their own, as docker's local driver mounts it, and what `--mount` says of
//! volumes and binds.

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use support::user::User;
use support::{TestEnv, wait_until};

const LONG: Duration = Duration::from_secs(30);

/// A file with a file system, as a block device as long as this lives.
struct Disk {
    device: String,
}

impl Disk {
    /// Makes one; none, and why, where the machine gives no such devices.
    #[allow(clippy::print_stderr, reason = "a skipped test says why")]
    fn new(env: &TestEnv) -> Option<Self> {
        let image = env.work().join("disk.img");
        std::fs::File::create(&image).expect("a file").set_len(8 << 20).expect("a size");
        let made = Command::new("mkfs.ext4").args(["-q", "-O", "^has_journal"]).arg(&image).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no mkfs.ext4");
            return None;
        }
        let output =
            Command::new("losetup").args(["-f", "--show"]).arg(&image).output().expect("losetup runs");
        if !output.status.success() {
            eprintln!("skipped: no loop devices: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Some(Self { device: String::from_utf8_lossy(&output.stdout).trim().to_owned() })
    }

    /// Whether anybody has it mounted: then it can't be had alone.
    fn is_mounted(&self) -> bool {
        use std::os::unix::fs::OpenOptionsExt as _;
        std::fs::OpenOptions::new().write(true).custom_flags(libc::O_EXCL).open(&self.device).is_err()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.device]).status();
    }
}

fn run(env: &TestEnv, line: &str) -> String {
    env.ok(&[&["run", "--network", "none"][..], &line.split(' ').collect::<Vec<_>>()].concat())
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_device_is_mounted_while_containers_use_it() {
    let env = TestEnv::new().with_busybox();
    let Some(disk) = root().then(|| Disk::new(&env)).flatten() else { return };
    let device = format!("device={}", disk.device);
    env.ok(&["volume", "create", "-o", "type=ext4", "-o", &device, "disk"]);
    assert!(!disk.is_mounted(), "nobody uses it");
    run(&env, "-d --name one -v disk:/m busybox sleep 1000");
    assert!(disk.is_mounted());
    env.ok(&["exec", "one", "sh", "-c", "echo kept > /m/file; mkdir /m/dir; echo below > /m/dir/file"]);
    assert_eq!(run(&env, "--rm -v disk:/m:ro busybox cat /m/file"), "kept\n");
    assert_eq!(
        run(&env, "--rm --mount source=disk,target=/m,volume-subpath=dir busybox cat /m/file"),
        "below\n"
    );
    let read_only =
        env.run(&["run", "--rm", "--network", "none", "-v", "disk:/m:ro", "busybox", "touch", "/m/x"]);
    assert!(read_only.fails_with(1).stderr.contains("Read-only file system"));
    let used = env.run(&["volume", "rm", "disk"]).fails_with(1);
    assert!(used.stderr.contains("volume is in use"), "{}", used.stderr);
    env.ok(&["stop", "-t", "0", "one"]);
    assert!(!disk.is_mounted(), "the last one has ended");
    // A monitor that is killed leaves nothing mounted.
    env.ok(&["start", "one"]);
    let id = env.ok(&["inspect", "-f", "{{.Id}}", "one"]);
    let monitor = support::monitor_of(id.trim());
    assert!(Command::new("kill").args(["-9", &monitor.to_string()]).status().is_ok_and(|s| s.success()));
    wait_until("the end of the mount", LONG, || !disk.is_mounted());
    assert_eq!(env.ok(&["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one"]), "exited 137\n");
    assert_eq!(env.ok(&["start", "one"]), "one\n");
    assert_eq!(env.ok(&["exec", "one", "cat", "/m/file"]), "kept\n");
    env.ok(&["rm", "-f", "one"]);
    assert!(!disk.is_mounted());
    env.ok(&["volume", "rm", "disk"]);
    // Options of the mount.
    env.ok(&["volume", "create", "-o", "type=ext4", "-o", &device, "-o", "o=ro,noatime", "disk"]);
    let shown = run(&env, "--rm -v disk:/m busybox grep /m /proc/mounts");
    let line = shown.lines().find(|line| line.contains(" /m ")).expect("it is mounted");
    assert!(line.contains(" ext4 ro,") && line.contains("noatime"), "{line}");
}

#[test]
fn memory_is_one_for_all_who_use_it_at_a_time() {
    let env = TestEnv::new().with_busybox();
    env.ok(&[
        "volume",
        "create",
        "-o",
        "type=tmpfs",
        "-o",
        "device=tmpfs",
        "-o",
        "o=size=1m,mode=711",
        "memory",
    ]);
    run(&env, "-d --name one -v memory:/m busybox sleep 1000");
    env.ok(&["exec", "one", "sh", "-c", "mkdir /m/dir; echo shared > /m/dir/file"]);
    assert_eq!(run(&env, "--rm -v memory:/m busybox stat -c %a /m"), "711\n");
    // Who sees but a part of it, has all of it for others.
    run(&env, "-d --name two --mount source=memory,target=/s,volume-subpath=dir busybox sleep 1000");
    env.ok(&["rm", "-f", "one"]);
    assert_eq!(env.ok(&["exec", "two", "cat", "/s/file"]), "shared\n");
    assert_eq!(run(&env, "--rm -v memory:/m busybox cat /m/dir/file"), "shared\n");
    env.ok(&["rm", "-f", "two"]);
    assert_eq!(run(&env, "--rm -v memory:/m busybox ls /m"), "");
    let path = env.run(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--mount",
        "source=memory,target=/s,volume-subpath=dir",
        "busybox",
        "true",
    ]);
    let said = path.fails_with(127).stderr;
    assert!(said.contains("/volumes/memory/_data/dir: no such file or directory"), "{said}");
}

#[test]
fn what_can_not_be_mounted_is_said_as_docker_says_it() {
    let env = TestEnv::new().with_busybox();
    for (name, options, code, part) in [
        ("kind", &["type=no-such", "device=/dev/null"][..], 125, "mount /dev/null:{}: no such device\n"),
        (
            "gone",
            &["type=none", "device=/no-such", "o=bind"],
            127,
            "mount /no-such:{}, flags: 0x1000: no such file or directory\n",
        ),
        (
            "word",
            &["type=tmpfs", "device=tmpfs", "o=odd=1,nosuid"],
            125,
            "mount tmpfs:{}, flags: 0x2, data: odd=1: invalid argument\n",
        ),
        ("none", &["type=tmpfs", "device="], 125, "'{}': missing device in volume options\n"),
        (
            "secret",
            &["type=cifs", "device=//127.0.0.1/no", "o=username=a,password=xyzzy,port=1"],
            125,
            "mount //127.0.0.1/no:{}, data: username=a,password=********,port=1: ",
        ),
        (
            "name",
            &["type=nfs", "device=:/x", "o=addr=no-such-host.invalid,rw"],
            125,
            "'{}': error resolving passed in network volume address: lookup no-such-host.invalid: no such host\n",
        ),
    ] {
        let mut args = vec!["volume", "create"];
        options.iter().for_each(|option| args.extend(["-o", option]));
        args.push(name);
        env.ok(&args);
        let volume = format!("{name}:/m");
        let said = env.run(&["run", "--rm", "--network", "none", "-v", &volume, "busybox", "true"]);
        let said = said.fails_with(code).stderr;
        let place = env.store().join("volumes").join(name).join("_data");
        let expected = part.replace("{}", &place.display().to_string());
        assert!(
            said.contains("error while mounting volume ") && said.contains(&expected),
            "{said}: {expected}"
        );
        assert!(!said.contains("xyzzy"), "{said}");
    }
    assert_eq!(env.ok(&["ps", "-aq"]), "", "nothing is left of them");
    for (options, why) in [
        (&["type=tmpfs"][..], "create x1: missing required option: \"device\"\n"),
        (&["colour=red"], "create x1: invalid option: \"colour\"\n"),
        (&["size=1g"], "create x1: quota size requested but no quota support\n"),
    ] {
        let mut args = vec!["volume", "create"];
        options.iter().for_each(|option| args.extend(["-o", option]));
        args.push("x1");
        assert_eq!(env.run(&args).fails_with(1).stderr, format!("Error response from daemon: {why}"));
    }
}

#[test]
fn an_ordinary_user_is_told_what_the_kernel_refuses() {
    let Some(user) = User::new(true) else { return };
    user.ok(&["import", "--change", "CMD [\"sh\"]", &user.file("busybox.tar"), "busybox"]);
    user.ok(&["volume", "create", "-o", "type=ext4", "-o", "device=/dev/loop0", "disk"]);
    let output = user.run(&["run", "--rm", "--network", "none", "-v", "disk:/m", "busybox", "true"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("operation not permitted (of an ordinary user's, only tmpfs"), "{said}");
    // Memory is shared here too.
    user.ok(&["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]);
    user.ok(&[
        "run",
        "-d",
        "--name",
        "one",
        "--network",
        "none",
        "-v",
        "memory:/m",
        "busybox",
        "sleep",
        "1000",
    ]);
    user.ok(&["exec", "one", "sh", "-c", "echo shared > /m/file"]);
    user.ok(&[
        "run",
        "-d",
        "--name",
        "two",
        "--network",
        "none",
        "-v",
        "memory:/m",
        "busybox",
        "sleep",
        "1000",
    ]);
    user.ok(&["rm", "-f", "one"]);
    let seen = user.ok(&["run", "--rm", "--network", "none", "-v", "memory:/m", "busybox", "cat", "/m/file"]);
    assert_eq!(seen, "shared\n");
    user.ok(&["rm", "-f", "two"]);
}

#[test]
fn a_mount_says_how_its_volume_is_made() {
    let env = TestEnv::new().with_busybox();
    let given = "type=volume,source=fresh,target=/m,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs,\
                 \"volume-opt=o=size=1m,mode=700\",volume-label=a=b,volume-label=c,volume-nocopy";
    env.ok(&[
        "create",
        "--name",
        "one",
        "--network",
        "none",
        "--mount",
        given,
        "busybox",
        "stat",
        "-c",
        "%a",
        "/m",
    ]);
    assert_eq!(env.ok(&["start", "-a", "one"]), "700\n");
    assert_eq!(
        env.ok(&["volume", "inspect", "-f", "{{json .Options}} {{json .Labels}}", "fresh"]),
        "{\"device\":\"tmpfs\",\"o\":\"size=1m,mode=700\",\"type\":\"tmpfs\"} {\"a\":\"b\",\"c\":\"\"}\n"
    );
    let shown = env.ok(&["inspect", "-f", "{{json (index .HostConfig.Mounts 0).VolumeOptions}}", "one"]);
    for part in ["\"NoCopy\":true", "\"Name\":\"local\"", "\"o\":\"size=1m,mode=700\"", "\"a\":\"b\""] {
        assert!(shown.contains(part), "{shown}");
    }
    env.ok(&["create", "--name", "two", "--mount", "target=/m,volume-label=a=b", "busybox"]);
    let name = env.ok(&["inspect", "-f", "{{(index .Mounts 0).Name}}", "two"]);
    let labels = env.ok(&["volume", "inspect", "-f", "{{json .Labels}}", name.trim()]);
    assert_eq!(labels, "{\"a\":\"b\",\"com.docker.volume.anonymous\":\"\"}\n");
    let bad =
        env.run(&["create", "--mount", "source=other,target=/m,volume-opt=x=y", "busybox"]).fails_with(1);
    assert_eq!(bad.stderr, "Error response from daemon: create other: invalid option: \"x\"\n");
}

#[test]
fn a_bound_volume_is_filled_like_any_other() {
    let env = TestEnv::new().with_busybox();
    env.write("Dockerfile", "FROM busybox\nRUN mkdir /data && echo image > /data/file\n");
    env.ok(&["build", "-q", "-t", "filled", "."]);
    let dir: PathBuf = env.work().join("bound");
    std::fs::create_dir(&dir).expect("a directory");
    let device = format!("device={}", dir.display());
    env.ok(&["volume", "create", "-o", "type=none", "-o", &device, "-o", "o=bind", "bound"]);
    assert_eq!(run(&env, "--rm -v bound:/data filled cat /data/file"), "image\n");
    assert_eq!(std::fs::read_to_string(dir.join("file")).expect("it was copied"), "image\n");
    std::fs::write(dir.join("file"), "host\n").expect("it is the host's");
    assert_eq!(run(&env, "--rm -v bound:/data filled cat /data/file"), "host\n");
}

#[test]
fn mounts_below_a_read_only_bind_can_be_left_writable() {
    let env = TestEnv::new().with_busybox();
    let dir = env.work().join("outer");
    std::fs::create_dir_all(dir.join("inner")).expect("directories");
    let script = format!(
        "mount -t tmpfs inner {0}/inner && exec \"$@\" --rm --network none --mount \
         type=bind,source={0},target=/m,readonly,\"$HOW\" busybox sh -c 'touch /m/x; touch /m/inner/x; ls /m/inner'",
        dir.display()
    );
    let ran = |how: &str| {
        let command = env.skiff(&["run"]);
        let mut unshared = Command::new("unshare");
        unshared.args(["-m", "sh", "-c", &script, "sh"]).arg(command.get_program()).args(command.get_args());
        unshared.env_clear().envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let output = unshared.env("HOW", how).current_dir(env.work()).output().expect("unshare runs");
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).matches("Read-only file system").count(),
        )
    };
    if !root() {
        return;
    }
    assert_eq!(ran("bind-recursive=writable"), ("x\n".to_owned(), 1));
    assert_eq!(ran("bind-recursive=enabled"), (String::new(), 2));
    assert_eq!(ran("bind-recursive=disabled"), (String::new(), 2));
}
