//! Hooks of devices by request, as the OCI runtime specification has them.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::user::User;
use support::vendor::Vendor;
use support::{TestEnv, wait_until};

/// A hook that is a script of the host's shell.
fn hook(when: &str, script: &str) -> Value {
    json!({ "hookName": when, "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] })
}

/// A hook that notes its time, its mount namespace and what it reads.
fn noting(when: &str, file: &std::path::Path) -> Value {
    hook(when, &format!("echo {when} $(readlink /proc/self/ns/mnt) $(cat) >> {}", file.display()))
}

/// What hooks have noted: the time, the mount namespace, the state.
fn noted(file: &std::path::Path) -> Vec<(String, String, Value)> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        let mut next = || words.next().expect("three words");
        (next(), next(), serde_json::from_str(&next()).expect("a state is JSON"))
    };
    text.lines().map(line).collect()
}

fn run(env: &TestEnv, vendor: &Vendor, device: &str, more: &[&str]) -> support::Ran {
    let name = vendor.name(device);
    let words =
        [&["run", "--rm", "--network", "none", "--device", &name, "--label", "of=this", "busybox"], more]
            .concat();
    env.run(&words)
}

#[test]
fn hooks_run_at_their_times_and_places() {
    let env = TestEnv::new().with_busybox();
    let notes = env.work().join("notes");
    let times = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    let mut hooks: Vec<Value> = times.iter().map(|when| noting(when, &notes)).collect();
    // What NVIDIA's do: find the root by the bundle, from the host's files, and change it.
    let root = "root=$(sed -n 's/.*\"bundle\":\"\\([^\"]*\\)\".*/\\1/p')/rootfs";
    hooks.push(hook(
        "createContainer",
        &format!("{root}; ln -s /from/hook $root/link && ldconfig -r $root && test -c $root/dev/null"),
    ));
    let inside = "cat > /state; id -u > /seen; echo $MARK >> /seen; grep CapEff /proc/self/status >> /seen";
    hooks.push(json!({ "hookName": "startContainer", "path": "/bin/sh", "args": ["any", "-c", inside], "env": ["MARK=of-hook"] }));
    let Some(vendor) =
        Vendor::new("hooks", &json!([{ "name": "all", "containerEdits": { "hooks": hooks } }]))
    else {
        return;
    };
    let script = "readlink /link; test -s /etc/ld.so.cache && echo cached; cat /seen; grep CapEff /proc/self/status; cat /state";
    let said = run(&env, &vendor, "all", &["sh", "-c", script]).success().stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..4], ["/from/hook", "cached", "0", "of-hook"], "{said}");
    assert_eq!(lines[4], lines[5], "a program of the image has no more rights than the container");
    let state: Value = serde_json::from_str(lines[6]).expect("a state is JSON");
    assert_eq!(
        (&state["status"], &state["pid"], &state["annotations"]["of"]),
        (&json!("created"), &json!(1), &json!("this"))
    );
    let noted = noted(&notes);
    assert_eq!(noted.iter().map(|(when, ..)| when.as_str()).collect::<Vec<_>>(), times);
    let host = fs::read_link("/proc/self/ns/mnt").expect("it is there").display().to_string();
    for (when, namespace, state) in &noted {
        assert_eq!(*namespace != host, when == "createContainer", "{when}");
        let status = match when.as_str() {
            "poststart" => "running",
            "poststop" => "stopped",
            _ => "creating",
        };
        assert_eq!(state["status"], status, "{when}");
        let bundle = state["bundle"].as_str().expect("a path");
        assert!(
            bundle.starts_with(&env.store().display().to_string())
                && bundle.contains(state["id"].as_str().expect("an id"))
        );
    }
    assert!(noted[1].2["pid"].as_i64() > Some(1) && noted[4].2.get("pid").is_none(), "{noted:?}");
    assert_eq!(env.ok(&["ps", "-aq"]), "");
}

#[test]
fn a_hook_that_fails_fails_the_start() {
    let env = TestEnv::new().with_busybox();
    let notes = env.work().join("notes");
    let with = |name: &str, hooks: Value| json!({ "name": name, "containerEdits": { "hooks": hooks } });
    let slow = json!([{ "hookName": "createRuntime", "path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1 }]);
    let devices = json!([
        with(
            "fails",
            json!([hook("createContainer", "echo some; echo more >&2; exit 3"), noting("poststop", &notes)])
        ),
        with("gone", json!([{ "hookName": "createRuntime", "path": "/no/such" }])),
        with("inside", json!([hook("startContainer", "exit 4")])),
        with("slow", slow),
        with("after", json!([hook("poststart", "exit 5"), hook("poststop", "exit 6")])),
    ]);
    let Some(vendor) = Vendor::new("fails", &devices) else { return };
    for (device, code, why) in [
        (
            "fails",
            125,
            "error running createContainer hook #0: exit status 3, stdout: some\n, stderr: more\n",
        ),
        ("gone", 127, "error running createRuntime hook #0: fork/exec /no/such: no such file or directory"),
        ("inside", 125, "error running startContainer hook #0: exit status 4, stdout: , stderr: "),
        ("slow", 125, "error running createRuntime hook #0: hook ran past specified timeout of 1.0s"),
    ] {
        let ran = run(&env, &vendor, device, &["echo", "ran"]).fails_with(code);
        let expected =
            format!("docker: Error response from daemon: failed to create task for container: {why}");
        assert!(ran.stdout.is_empty() && ran.stderr.starts_with(&expected), "{}", ran.stderr);
    }
    assert_eq!(noted(&notes).len(), 1, "what has begun is undone");
    let ran = run(&env, &vendor, "after", &["echo", "ran"]).success();
    assert_eq!(ran.stdout, "ran\n");
    for word in ["poststart hook #0: exit status 5", "poststop hook #0: exit status 6"] {
        assert!(ran.stderr.contains(word), "{}", ran.stderr);
    }
    assert_eq!(env.ok(&["ps", "-aq"]), "");
}

#[test]
fn what_belongs_behind_the_end_runs_though_the_monitor_was_killed() {
    let env = TestEnv::new().with_busybox();
    let notes = env.work().join("notes");
    let hooks = json!([noting("poststop", &notes)]);
    let Some(vendor) =
        Vendor::new("killed", &json!([{ "name": "one", "containerEdits": { "hooks": hooks } }]))
    else {
        return;
    };
    let name = vendor.name("one");
    env.ok(&[
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "none",
        "--device",
        &name,
        "busybox",
        "sleep",
        "1000",
    ]);
    let id = env.ok(&["inspect", "-f", "{{.Id}}", "box"]);
    let monitor = support::monitor_of(id.trim());
    let killed = Command::new("kill").args(["-9", &monitor.to_string()]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    wait_until("the truth about the container", Duration::from_secs(30), || {
        env.ok(&["inspect", "-f", "{{.State.Status}}", "box"]) == "exited\n"
    });
    assert_eq!(noted(&notes).len(), 1);
    env.ok(&["start", "box"]);
    env.ok(&["restart", "-t", "0", "box"]);
    assert_eq!(noted(&notes).len(), 2, "once for each end");
    env.ok(&["rm", "-f", "box"]);
    assert_eq!(noted(&notes).len(), 3);
}

#[test]
fn an_ordinary_user_has_hooks_too() {
    let Some(user) = User::new(true) else { return };
    user.ok(&["import", "--change", "CMD [\"sh\"]", &user.file("busybox.tar"), "busybox"]);
    let folder = PathBuf::from(user.file("home")).join(".config/cdi");
    fs::create_dir_all(&folder).expect("folders");
    let root = "root=$(sed -n 's/.*\"bundle\":\"\\([^\"]*\\)\".*/\\1/p')/rootfs";
    let hooks = json!([
        hook("createRuntime", "cat > /dev/null"),
        hook("createContainer", &format!("{root}; ln -s /from/hook $root/link")),
        { "hookName": "startContainer", "path": "/bin/touch", "args": ["touch", "/inside"] },
    ]);
    let text = json!({ "cdiVersion": "0.5.0", "kind": "hooks.example/thing",
                       "devices": [{ "name": "one", "containerEdits": { "hooks": hooks } }] });
    fs::write(folder.join("hooks.json"), text.to_string()).expect("a file");
    let words = ["run", "--rm", "--network", "none", "--device", "hooks.example/thing=one", "busybox"];
    assert_eq!(
        user.ok(&[&words[..], &["sh", "-c", "readlink /link; ls /inside"]].concat()),
        "/from/hook\n/inside\n"
    );
}
