//! Limits of disks, of swapping, of killing for lack of memory and of real-time scheduling: here, over the service, and
//! from a client of it. What a machine's kernel has not is told by a warning, and left out.

#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::TestEnv;
use support::engine::Engine;

/// Returns the cgroups of a name.
fn found(below: &Path, name: &str) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name() == name {
                all.push(entry.path());
            }
            all.extend(found(&entry.path(), name));
        }
    }
    all
}

/// Returns what a file of a container's cgroups holds, in whichever of them it is.
fn held(id: &str, file: &str) -> Option<String> {
    let groups = found(Path::new("/sys/fs/cgroup"), &format!("skiff-{}", id.trim()));
    let text = groups.iter().find_map(|group| fs::read_to_string(group.join(file)).ok());
    text.map(|text| text.trim().to_owned())
}

/// Whether the kernel has a file in one of its v1 hierarchies.
fn has(hierarchy: &str, file: &str) -> bool {
    Path::new("/sys/fs/cgroup").join(hierarchy).join(file).exists()
}

/// Returns the disk that a directory is on.
fn disk(path: &Path) -> Option<String> {
    let device = fs::metadata(path).expect("a directory").dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let at = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // Rates are those of whole disks.
    let at = if at.join("partition").exists() { at.parent()?.to_owned() } else { at };
    Some(format!("/dev/{}", at.file_name()?.to_str()?)).filter(|path| Path::new(path).exists())
}

const PLAIN: &[&str] = &["run", "--rm", "--network", "none"];

fn run(env: &TestEnv, flags: &[&str], command: &[&str]) -> support::Ran {
    env.run(&[PLAIN, flags, &["busybox"], command].concat())
}

#[test]
fn writing_to_a_disk_is_slowed_down() {
    let env = TestEnv::new().with_busybox();
    let Some(disk) = disk(&env.work()) else {
        return eprintln!("skipped: the tests' directory is on no disk");
    };
    let volume = format!("{}:/d", env.work().display());
    let took = |flags: &[&str]| {
        let flags = [&["-v", &volume], flags].concat();
        let command = ["dd", "if=/dev/zero", "of=/d/x", "bs=64k", "count=48", "oflag=direct"];
        let began = Instant::now();
        let ran = run(&env, &flags, &command);
        (ran.code == Some(0), ran.stderr, began.elapsed())
    };
    let (direct, said, _) = took(&[]);
    if !direct {
        return eprintln!("skipped: no direct writing here: {said}");
    }
    // Three megabytes at one in a second: not faster than two seconds, however slow the machine is.
    let rate = format!("{disk}:1mb");
    let (_, said, time) = took(&["--device-write-bps", &rate]);
    if said.contains("discarded") || said.contains("not limited") || said.contains("no limit is set") {
        return eprintln!("skipped: {said}");
    }
    assert!(time > Duration::from_secs(2), "{time:?} {said}");
    let writes = format!("{disk}:20");
    let (_, said, time) = took(&["--device-write-iops", &writes]);
    assert!(time > Duration::from_millis(1500), "{time:?} {said}");
}

#[test]
fn limits_stand_in_the_cgroups_and_in_inspect() {
    let env = TestEnv::new().with_busybox();
    let Some(disk) = disk(&env.work()) else {
        return eprintln!("skipped: the tests' directory is on no disk");
    };
    let (rate, count) = (format!("{disk}:2mb"), format!("{disk}:30"));
    let flags =
        ["--device-read-bps", &rate, "--device-read-iops", &count, "--memory-swappiness", "7", "-m", "64m"];
    let more = ["--oom-kill-disable", "--blkio-weight", "300"];
    let create =
        [&["create", "--name", "box", "--network", "none"], &flags[..], &more, &["busybox", "sleep", "1000"]];
    let made = env.run(&create.concat()).success();
    let id = made.stdout.trim().to_owned();
    let old = has("memory", "memory.swappiness");
    let swappiness = "WARNING: Your kernel does not support memory swappiness capabilities or the cgroup is not \
                      mounted. Memory swappiness discarded.";
    assert_eq!(made.stderr.contains(swappiness), !old, "{}", made.stderr);
    let killing = "WARNING: Your kernel does not support OomKillDisable. OomKillDisable discarded.";
    assert_eq!(made.stderr.contains(killing), !old, "{}", made.stderr);
    let host = || -> Value {
        serde_json::from_str(&env.ok(&["inspect", "-f", "{{json .HostConfig}}", "box"])).expect("JSON")
    };
    let shown = host();
    let expected = if old { (json!(7), json!(true)) } else { (Value::Null, Value::Null) };
    assert_eq!((shown["MemorySwappiness"].clone(), shown["OomKillDisable"].clone()), expected);
    let started = env.run(&["start", "box"]).success();
    if old {
        assert_eq!(held(&id, "memory.swappiness").as_deref(), Some("7"));
        assert!(held(&id, "memory.oom_control").is_some_and(|text| text.starts_with("oom_kill_disable 1")));
    }
    let io = has("blkio", "blkio.throttle.read_bps_device")
        || Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    if !io || started.stderr.contains("io") {
        return eprintln!("skipped: no block I/O here: {}{}", made.stderr, started.stderr);
    }
    assert_eq!(shown["BlkioDeviceReadBps"], json!([{ "Path": disk, "Rate": 2 << 20 }]));
    assert_eq!(shown["BlkioDeviceReadIOps"], json!([{ "Path": disk, "Rate": 30 }]));
    assert_eq!(shown["BlkioDeviceWriteBps"], json!([]));
    let read = held(&id, "blkio.throttle.read_bps_device").or_else(|| held(&id, "io.max")).expect("a file");
    assert!(read.contains("2097152"), "{read}");
    let weight = || {
        ["blkio.bfq.weight", "blkio.weight", "io.bfq.weight", "io.weight"]
            .iter()
            .find_map(|file| held(&id, file))
    };
    if made.stderr.contains("Weight discarded.") {
        return eprintln!("skipped: {}", made.stderr);
    }
    assert_eq!(shown["BlkioWeight"], 300);
    let before = weight().expect("a weight");
    assert!(before.contains("300") || before.contains("2930"), "{before}");
    env.ok(&["update", "--blkio-weight", "500", "box"]);
    assert_eq!(host()["BlkioWeight"], 500);
    let after = weight().expect("a weight");
    assert!(after.contains("500") || after.contains("4950"), "{after}");
}

#[test]
fn a_running_container_gets_a_weight() {
    let env = TestEnv::new().with_busybox();
    if !has("blkio", "blkio.bfq.io_service_bytes") {
        return eprintln!("skipped: no weights in cgroup v1 here");
    }
    let id = env.ok(&["run", "-d", "--network", "none", "--name", "box", "busybox", "sleep", "1000"]);
    assert_eq!(held(&id, "blkio.bfq.weight"), None);
    env.ok(&["update", "--blkio-weight", "400", "box"]);
    assert_eq!(held(&id, "blkio.bfq.weight").as_deref(), Some("400"));
}

#[test]
fn real_time_is_shared_out_where_the_kernel_can() {
    let env = TestEnv::new().with_busybox();
    let flags = ["--cpu-rt-period", "1000000", "--cpu-rt-runtime", "1000"];
    let made = env.run(
        &[&["run", "-d", "--network", "none", "--name", "box"], &flags[..], &["busybox", "sleep", "1000"]]
            .concat(),
    );
    if !has("cpu", "cpu.rt_runtime_us") {
        let said = made.success().stderr;
        assert!(said.contains("WARNING: Your kernel does not support CPU realtime scheduler."), "{said}");
        return;
    }
    if made.code != Some(0) {
        // Where the cgroup above has no such time, it can't give any.
        assert!(made.stderr.contains("cannot limit the real-time runtime to 1000"), "{}", made.stderr);
        return eprintln!("skipped: {}", made.stderr);
    }
    let id = made.stdout;
    assert_eq!(held(&id, "cpu.rt_runtime_us").as_deref(), Some("1000"));
    env.ok(&["update", "--cpu-rt-period", "500000", "--cpu-rt-runtime", "2000", "box"]);
    assert_eq!(held(&id, "cpu.rt_period_us").as_deref(), Some("500000"));
    assert_eq!(held(&id, "cpu.rt_runtime_us").as_deref(), Some("2000"));
    let shown = env.ok(&[
        "inspect",
        "-f",
        "{{.HostConfig.CpuRealtimePeriod}} {{.HostConfig.CpuRealtimeRuntime}}",
        "box",
    ]);
    assert_eq!(shown, "500000 2000\n");
}

#[test]
fn what_is_wrong_is_said_as_docker_says_it() {
    let env = TestEnv::new().with_busybox();
    for (flags, code, said) in [
        (&["--blkio-weight", "70000"][..], 125, "strconv.ParseUint: parsing \"70000\": value out of range"),
        (&["--blkio-weight-device", "/dev/null:9"], 125, "flag: invalid weight for device: /dev/null:9"),
        (&["--device-read-bps", "null:1"], 125, "flag: bad format for device path: null:1"),
        (
            &["--device-write-iops", "/dev/null:1k"],
            125,
            "invalid rate for device: /dev/null:1k. The correct format is",
        ),
        (
            &["--memory-swappiness", "101"],
            125,
            "docker: invalid value: 101. Valid memory swappiness range is 0-100",
        ),
        (
            &["--kernel-memory", "x"],
            125,
            "invalid argument \"x\" for \"--kernel-memory\" flag: invalid size: 'x'",
        ),
        (
            &["--cpu-count", "2"],
            1,
            "\"--cpu-count\" is only supported on a Docker daemon running on windows, but the Docker daemon is running on \
             linux",
        ),
    ] {
        let ran = run(&env, flags, &["true"]).fails_with(code);
        assert!(ran.stderr.contains(said), "{flags:?}: {}", ran.stderr);
    }
    let kernel = run(&env, &["--kernel-memory", "50m"], &["true"]).success().stderr;
    assert!(
        kernel.starts_with("WARNING: Your kernel does not support kernel memory limit capabilities"),
        "{kernel}"
    );
    if disk(&env.work()).is_some() && has("blkio", "blkio.throttle.read_bps_device") {
        let ran = run(&env, &["--device-read-bps", "/dev/no-such:1"], &["true"]).fails_with(127);
        let said = "docker: Error response from daemon: stat /dev/no-such: no such file or directory\n";
        assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
    }
    assert_eq!(env.ok(&["ps", "-aq"]), "", "what failed is gone");
}

#[test]
fn the_service_and_its_clients_limit_the_same() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let devices = json!([{ "Path": "/dev/null", "Rate": 0 }]);
    let body = json!({ "Image": "busybox", "Cmd": ["true"], "HostConfig": {
        "MemorySwappiness": 9, "OomKillDisable": true, "Memory": 64 << 20, "KernelMemory": 1, "CpuPercent": 3,
        "BlkioDeviceWriteIOps": devices, "BlkioWeight": 0, "CpuRealtimeRuntime": 0 } });
    let made = engine.post("/v1.51/containers/create?name=asked", &body).is(201).json();
    let warnings: Vec<&str> =
        made["Warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert!(warnings.contains(&"linux does not support CPU percent. Percent discarded."), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("kernel memory limit")), "{warnings:?}");
    let host = engine.get("/containers/asked/json").is(200).json()["HostConfig"].clone();
    if has("memory", "memory.swappiness") {
        assert_eq!((&host["MemorySwappiness"], &host["OomKillDisable"]), (&json!(9), &json!(true)));
    } else {
        assert!(warnings.iter().any(|text| text.contains("Memory swappiness discarded.")), "{warnings:?}");
    }
    if has("blkio", "blkio.throttle.read_bps_device") {
        assert_eq!(host["BlkioDeviceWriteIOps"], devices);
    }
    for (wrong, said) in [
        (json!({ "MemorySwappiness": 101 }), "Invalid value: 101, valid memory swappiness range is 0-100"),
        (json!({ "BlkioWeight": 70000 }), "Range of blkio weight is from 10 to 1000"),
        (json!({ "IOMaximumIOps": 1 }), "Invalid QoS settings: linux does not support Maximum IO Bandwidth"),
        (json!({ "BlkioDeviceReadBps": 5 }), "HostConfig.BlkioDeviceReadBps must be a list"),
    ] {
        let body = json!({ "Image": "busybox", "HostConfig": wrong });
        let answer = engine.post("/v1.51/containers/create", &body).is(400).message();
        assert!(answer.contains(said), "{answer}");
    }
    let at = engine.host();
    let flags = ["--memory-swappiness", "11", "--device-read-bps", "/dev/null:0", "--kernel-memory", "50m"];
    let made = env
        .run(&[&["-H", &at, "create", "--name", "far"], &flags[..], &["busybox", "true"]].concat())
        .success();
    assert!(
        made.stderr.contains("WARNING: Your kernel does not support kernel memory limit"),
        "{}",
        made.stderr
    );
    let host = engine.get("/containers/far/json").is(200).json()["HostConfig"].clone();
    if has("memory", "memory.swappiness") {
        assert_eq!(host["MemorySwappiness"], 11);
    }
    let changed =
        json!({ "MemorySwappiness": 13, "BlkioDeviceReadIOps": [{ "Path": "/dev/null", "Rate": 5 }] });
    engine.post("/v1.51/containers/far/update", &changed).is(200);
    let host = engine.get("/containers/far/json").is(200).json()["HostConfig"].clone();
    if has("memory", "memory.swappiness") {
        assert_eq!(host["MemorySwappiness"], 13);
    }
    if has("blkio", "blkio.throttle.read_bps_device") {
        assert_eq!(host["BlkioDeviceReadIOps"][0]["Rate"], 5);
    }
    let updated = env.run(&["-H", &at, "update", "--kernel-memory", "50m", "far"]).success();
    assert!(
        updated.stderr.starts_with("Your kernel does not support kernel memory limit"),
        "{}",
        updated.stderr
    );
    env.run(&["-H", &at, "run", "--cpu-percent", "3", "busybox"]).fails_with(1);
}
