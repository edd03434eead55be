//! Devices by request: qualified names (`--device vendor/class=name`) and `--gpus`, from files that say what they need.

#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::TestEnv;
use support::engine::Engine;
use support::user::User;
use support::vendor::Vendor;

fn run(env: &TestEnv, flags: &[&str], script: &str) -> support::Ran {
    let words = [&["run", "--rm", "--network", "none"], flags, &["busybox", "sh", "-c", script]].concat();
    env.run(&words)
}

#[test]
fn what_a_device_needs_is_there() {
    let env = TestEnv::new().with_busybox();
    let shown = env.write("shown", "of the host\n");
    let devices = json!([
        { "name": "one", "containerEdits": {
            "env": ["FOO=one", "BAR=one"],
            "deviceNodes": [
                { "path": "/dev/mine", "hostPath": "/dev/null", "uid": 3, "gid": 4, "fileMode": 0o640 },
                { "path": "/dev/deep/zero", "type": "c", "major": 1, "minor": 5 }],
            "mounts": [{ "hostPath": shown, "containerPath": "/etc/shown", "options": ["ro", "nosuid", "bind"] }],
            "additionalGids": [77, 0] } },
        { "name": "two", "containerEdits": { "env": ["BAR=two"] } },
        { "name": "lost", "containerEdits": { "deviceNodes": [{ "path": "/dev/no-such" }] } },
        { "name": "wired", "containerEdits": { "netDevices": [{ "hostInterfaceName": "x", "name": "y" }] } },
    ]);
    let Some(vendor) = Vendor::new("needs", &devices) else { return };
    let (one, two) = (vendor.name("one"), vendor.name("two"));
    let script = "echo $FOO $BAR $FOR_ALL; stat -c '%a %u %g %t %T' /dev/mine /dev/deep/zero; echo x > /dev/mine && \
                  head -c 3 /dev/deep/zero | wc -c; cat /etc/shown; (echo y > /etc/shown) 2>&1; \
                  grep Groups /proc/self/status";
    let said = run(&env, &["--device", &one, "--device", &two, "-e", "FOO=mine"], script).success().stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..5], ["one two 1", "640 3 4 1 3", "666 0 0 1 5", "3", "of the host"], "{said}");
    assert!(lines[5].contains("Read-only file system") && lines[6].ends_with("77 "), "{said}");
    // Who runs it owns what names no owner.
    let said = run(&env, &["-u", "5:6", "--device", &one], "stat -c '%u %g' /dev/deep/zero").success().stdout;
    assert_eq!(said, "5 6\n");
    // Where devices are allowed by number, so are these.
    let flags = ["--device-cgroup-rule", "c 42:* r", "--device", &one];
    assert_eq!(run(&env, &flags, "head -c 3 /dev/deep/zero | wc -c").success().stdout, "3\n");
    for (device, why) in [
        (
            "lost",
            "CDI device injection failed: failed to stat CDI host device \"/dev/no-such\": no such file",
        ),
        ("wired", "CDI device injection failed: network devices of"),
    ] {
        let ran = run(&env, &["--device", &vendor.name(device)], "true").fails_with(125);
        assert!(
            ran.stderr.starts_with(&format!("docker: Error response from daemon: {why}")),
            "{}",
            ran.stderr
        );
    }
    let info = env.ok(&["info"]);
    assert!(
        info.contains(" CDI spec directories:\n  /etc/cdi\n  /var/run/cdi\n Discovered Devices:\n"),
        "{info}"
    );
    assert!(info.contains(&format!("  cdi: {one}\n")), "{info}");
    assert_eq!(env.ok(&["ps", "-aq"]), "");
}

#[test]
fn devices_are_looked_up_at_every_start() {
    let env = TestEnv::new().with_busybox();
    let Some(vendor) =
        Vendor::new("starts", &json!([{ "name": "one", "containerEdits": { "env": ["A=first"] } }]))
    else {
        return;
    };
    let one = vendor.name("one");
    env.ok(&[
        "create",
        "--name",
        "box",
        "--network",
        "none",
        "--device",
        &one,
        "busybox",
        "sh",
        "-c",
        "echo $A",
    ]);
    let format = "{{json .HostConfig.DeviceRequests}} {{json .HostConfig.Devices}}";
    let shown = format!(
        "[{{\"Driver\":\"cdi\",\"Count\":0,\"DeviceIDs\":[\"{one}\"],\"Capabilities\":null,\"Options\":null}}] []\n"
    );
    assert_eq!(env.ok(&["inspect", "-f", format, "box"]), shown);
    assert_eq!(env.ok(&["start", "-a", "box"]), "first\n");
    let text = fs::read_to_string(&vendor.file).expect("the file").replace("A=first", "A=second");
    fs::write(&vendor.file, text).expect("a file");
    assert_eq!(env.ok(&["start", "-a", "box"]), "second\n");
    fs::remove_file(&vendor.file).expect("the file");
    let said = env.run(&["start", "box"]).fails_with(1).stderr;
    let why =
        format!("Error response from daemon: CDI device injection failed: unresolvable CDI devices {one}");
    assert!(said.starts_with(&why), "{said}");
}

#[test]
fn the_service_and_its_clients_ask_for_the_same() {
    let env = TestEnv::new().with_busybox();
    let Some(vendor) =
        Vendor::new("asks", &json!([{ "name": "one", "containerEdits": { "env": ["A=given"] } }]))
    else {
        return;
    };
    let engine = Engine::start(&env);
    let (at, one) = (engine.host(), vendor.name("one"));
    let words =
        ["-H", &at, "run", "--rm", "--network", "none", "--device", &one, "busybox", "sh", "-c", "echo $A"];
    assert_eq!(env.ok(&words), "given\n");
    let body = json!({ "Image": "busybox", "HostConfig": { "DeviceRequests": [{ "Driver": "foo", "Count": -1,
                       "Capabilities": [["gpu"]] }] } });
    engine.post("/v1.51/containers/create?name=gpu", &body).is(201);
    let said = engine.post("/containers/gpu/start", &Value::Null).is(500).message();
    assert_eq!(said, "could not select device driver \"foo\" with capabilities: [[gpu]]");
    let dirs = engine.get("/info").is(200).json()["CDISpecDirs"].clone();
    assert_eq!(dirs, json!(["/etc/cdi", "/var/run/cdi"]));
}

#[test]
fn gpus_are_devices_of_their_vendor() {
    let env = TestEnv::new().with_busybox();
    for (gpus, code, said) in [
        (
            "driver=foo",
            125,
            "docker: Error response from daemon: could not select device driver \"foo\" with capabilities: [[gpu]]",
        ),
        (
            "x",
            125,
            "invalid argument \"x\" for \"--gpus\" flag: invalid count (x): value must be either \"all\" or an integer",
        ),
        (
            "foo=bar",
            125,
            "invalid argument \"foo=bar\" for \"--gpus\" flag: unexpected key 'foo' in 'foo=bar'",
        ),
    ] {
        let ran = run(&env, &["--gpus", gpus], "true").fails_with(code);
        assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
    }
    let missing =
        run(&env, &["--device", "vendor.example/class=a", "--device", "vendor.example/class=b"], "true");
    let said = "docker: Error response from daemon: CDI device injection failed: unresolvable CDI devices \
                vendor.example/class=a, vendor.example/class=b";
    assert!(missing.fails_with(125).stderr.starts_with(said));
}

#[test]
fn an_ordinary_user_has_files_of_their_own() {
    let Some(user) = User::new(true) else { return };
    user.ok(&["import", "--change", "CMD [\"sh\"]", &user.file("busybox.tar"), "busybox"]);
    let home = PathBuf::from(user.file("home"));
    let folder = home.join(".config/cdi");
    fs::create_dir_all(&folder).expect("folders");
    let gpu = |name: &str| {
        json!({ "name": name, "containerEdits": { "env": [format!("GPU_{name}=1")],
                                  "deviceNodes": [{ "path": format!("/dev/gpu{name}"), "hostPath": "/dev/zero" }] } })
    };
    let text = json!({ "cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [gpu("0"), gpu("1"), gpu("all")] });
    fs::write(folder.join("gpus.json"), text.to_string()).expect("a file");
    let run = |flags: &[&str]| {
        let script = "env | grep GPU_ | sort; ls /dev | grep gpu; head -c 2 /dev/gpu[01a]* | wc -c";
        let words = [&["run", "--rm", "--network", "none"], flags, &["busybox", "sh", "-c", script]].concat();
        user.ok(&words).lines().collect::<Vec<_>>().join(" ")
    };
    if PathBuf::from("/etc/cdi/nvidia.yaml").exists() {
        return eprintln!("skipped: this machine has GPUs of its own");
    }
    assert_eq!(run(&["--gpus", "all"]), "GPU_all=1 gpuall 2");
    assert_eq!(run(&["--gpus", "1"]), "GPU_0=1 gpu0 2");
    assert_eq!(run(&["--gpus", "\"device=1\",\"capabilities=compute\""]), "GPU_1=1 gpu1 2");
    assert!(run(&["--gpus", "2"]).starts_with("GPU_0=1 GPU_1=1 gpu0 gpu1 "));
    let three = user.run(&["run", "--rm", "--network", "none", "--gpus", "3", "busybox", "true"]);
    let said = String::from_utf8_lossy(&three.stderr).into_owned();
    assert_eq!(three.status.code(), Some(125), "{said}");
    assert!(
        said.contains("CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=2"),
        "{said}"
    );
}
