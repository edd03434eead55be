//! Containers over the Engine API: what clients ask for, as bytes on the socket, and with a stock client where one is.

mod support;

use std::io::{BufReader, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::engine::Engine;
use support::{TestEnv, repository};

const UPGRADE: &[(&str, &str)] =
    &[("Connection", "Upgrade"), ("Upgrade", "tcp"), ("Content-Type", "application/json")];

/// Makes a container that runs a script and returns its id.
fn create(engine: &Engine, name: &str, script: &str, more: Value) -> String {
    let mut body = json!({ "Image": "busybox", "Cmd": ["sh", "-c", script] });
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    let made = engine.post(&format!("/v1.51/containers/create?name={name}"), &body).is(201).json();
    assert_eq!(made["Warnings"], json!([]), "{made}");
    made["Id"].as_str().expect("an id").to_owned()
}

fn start(engine: &Engine, id: &str) {
    engine.post(&format!("/containers/{id}/start"), &Value::Null).is(204);
}

/// Takes frames apart: standard output and standard error.
fn frames(mut from: impl Read) -> (String, String) {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("the stream ends");
    apart(&bytes)
}

fn apart(mut bytes: &[u8]) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[4..8].try_into().expect("four bytes")) as usize;
        let to = if bytes[0] == 1 { &mut out } else { &mut err };
        to.extend_from_slice(&bytes[8..8 + length]);
        bytes = &bytes[8 + length..];
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(out), text(err))
}

/// Takes the connection over; the head of the answer was 101.
fn upgraded(engine: &Engine, path: &str, body: &Value) -> (String, BufReader<UnixStream>) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (head, stream) = engine.open("POST", path, UPGRADE, body.as_bytes());
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    (head, stream)
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < limit, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_life_from_create_to_delete() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let missing = engine.post("/containers/create", &json!({ "Image": "nothere:1" })).is(404).message();
    assert_eq!(missing, "No such image: nothere:1");
    let id = create(&engine, "life", "echo out; echo err >&2; exit 3", json!({ "Labels": { "a.b": "c=d" } }));
    let taken = engine.post("/containers/create?name=life", &json!({ "Image": "busybox" })).is(409).message();
    assert!(taken.starts_with("Conflict. The container name \"/life\" is already in use"), "{taken}");
    for (body, words) in [
        (json!({ "Image": "busybox", "HostConfig": { "Memory": 1000 } }), "Minimum memory limit"),
        (
            json!({ "Image": "busybox", "HostConfig": { "Runtime": "x" } }),
            "unknown or invalid runtime name: x",
        ),
        (
            json!({ "Image": "busybox", "HostConfig": { "IOMaximumIOps": 5 } }),
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
        ),
        (json!({ "Image": "busybox", "HostConfig": { "Binds": ["./x:/y"] } }), "use absolute path"),
        (json!({ "Image": "busybox", "Cmd": 5 }), "Config.Cmd must be a list of strings"),
    ] {
        let said = engine.post("/containers/create", &body).is(400).message();
        assert!(said.contains(words), "{said}");
    }
    engine.post("/containers/create?name=a/b", &json!({ "Image": "busybox" })).is(400);

    let place = format!("/containers/{id}");
    assert_eq!(engine.get(&format!("{place}/json")).is(200).json()["State"]["Status"], "created");
    assert!(engine.get("/containers/json").is(200).json().as_array().expect("a list").is_empty());
    // Waiting begins before the run, and its head comes at once.
    let (head, mut waiting) = engine.open("POST", &format!("{place}/wait?condition=next-exit"), &[], b"");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    start(&engine, "life");
    let (mut said, mut byte) = (String::new(), [0]);
    while !said.ends_with('}') {
        assert_eq!(waiting.read(&mut byte).expect("an answer"), 1, "{said}");
        said.push(char::from(byte[0]));
    }
    assert!(said.ends_with("{\"StatusCode\":3}"), "{said}");
    assert_eq!(engine.post(&format!("{place}/wait"), &Value::Null).json(), json!({ "StatusCode": 3 }));

    let shown = engine.get(&format!("{place}/json?size=1")).is(200).json();
    assert_eq!(
        (&shown["State"]["ExitCode"], &shown["Config"]["Labels"]),
        (&json!(3), &json!({ "a.b": "c=d" }))
    );
    assert!(shown["SizeRootFs"].is_u64(), "{shown}");
    let filter = "%7B%22label%22%3A%5B%22a.b%3Dc%3Dd%22%5D%2C%22status%22%3A%7B%22exited%22%3Atrue%7D%7D";
    let listed = engine.get(&format!("/containers/json?filters={filter}")).is(200).json();
    assert_eq!((&listed[0]["Id"], &listed[0]["Names"]), (&json!(id), &json!(["/life"])), "{listed}");
    assert_eq!((&listed[0]["Image"], &listed[0]["State"]), (&json!("busybox"), &json!("exited")));
    engine.get("/containers/json?filters=%7B%22nosuch%22%3A%5B%221%22%5D%7D").is(400);

    engine.get(&format!("{place}/logs")).is(400);
    let logs = engine.get(&format!("/v1.51{place}/logs?stdout=1&stderr=1&follow=1")).is(200);
    assert_eq!(logs.header("Content-Type"), Some("application/vnd.docker.multiplexed-stream"));
    assert_eq!(apart(&logs.body), ("out\n".to_owned(), "err\n".to_owned()));
    let old = engine.get(&format!("/v1.41{place}/logs?stdout=1&timestamps=1")).is(200);
    assert_eq!(old.header("Content-Type"), Some("application/vnd.docker.raw-stream"));
    assert!(apart(&old.body).0.ends_with("Z out\n"));

    assert!(
        engine.post(&format!("{place}/kill"), &Value::Null).is(409).message().ends_with("is not running")
    );
    engine.post(&format!("{place}/stop"), &Value::Null).is(304);
    engine.post(&format!("{place}/rename?name=other"), &Value::Null).is(204);
    engine.delete("/containers/other").is(204);
    assert_eq!(engine.get(&format!("{place}/json")).is(404).message(), format!("No such container: {id}"));
}

#[test]
fn who_attaches_before_the_start_misses_nothing() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let given = json!({ "OpenStdin": true, "StdinOnce": true, "AttachStdin": true,
                        "HostConfig": { "AutoRemove": true } });
    let id = create(&engine, "att", "echo err >&2; cat", given);
    let path = format!("/v1.51/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
    let (head, mut stream) = upgraded(&engine, &path, &Value::Null);
    assert!(head.contains("application/vnd.docker.multiplexed-stream"), "{head}");
    let (_, removed) = engine.open("POST", &format!("/containers/{id}/wait?condition=removed"), &[], b"");
    // The service that the client has attached to needs not be the one that starts.
    env.ok(&["start", "att"]);
    stream.get_mut().write_all(b"in\n").expect("it reads");
    stream.get_mut().shutdown(std::net::Shutdown::Write).expect("half of it closes");
    assert_eq!(frames(stream), ("in\n".to_owned(), "err\n".to_owned()));
    let mut code = String::new();
    let mut removed = removed.take(40);
    until("the end", || {
        let mut one = [0];
        let count = removed.read(&mut one).expect("an answer");
        code.push(char::from(one[0]));
        count == 0 || code.contains('}')
    });
    assert!(code.contains("{\"StatusCode\":0}"), "{code}");
    engine.get(&format!("/containers/{id}/json")).is(404);

    // A terminal, its size, and the keys that leave it.
    let id = create(
        &engine,
        "tty",
        "stty size; read x; stty size; sleep 1000",
        json!({ "Tty": true, "OpenStdin": true }),
    );
    let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
    let (head, mut stream) = upgraded(&engine, &path, &Value::Null);
    assert!(head.contains("application/vnd.docker.raw-stream"), "{head}");
    start(&engine, &id);
    engine.post(&format!("/containers/{id}/resize?h=33&w=44"), &Value::Null).is(200);
    stream.get_mut().write_all(b"x\n").expect("it reads");
    let mut shown = Vec::new();
    until("the size", || {
        let mut some = [0; 256];
        let count = stream.read(&mut some).expect("output");
        shown.extend_from_slice(&some[..count]);
        String::from_utf8_lossy(&shown).contains("33 44")
    });
    stream.get_mut().write_all(b"\x10\x11").expect("it reads");
    stream.read_to_end(&mut shown).expect("the connection ends");
    assert_eq!(engine.get(&format!("/containers/{id}/json")).json()["State"]["Running"], true);
    engine.post(&format!("/containers/{id}/pause"), &Value::Null).is(204);
    engine.post(&path, &Value::Null).is(409);
    engine.delete(&format!("/containers/{id}")).is(409);
    engine.delete(&format!("/containers/{id}?force=1")).is(204);
}

/// Asks for a further process and returns its id.
fn exec(engine: &Engine, container: &str, words: &[&str], more: Value) -> String {
    let mut body = json!({ "Cmd": words, "AttachStdout": true, "AttachStderr": true });
    for (key, value) in more.as_object().expect("an object") {
        body[key] = value.clone();
    }
    let made = engine.post(&format!("/containers/{container}/exec"), &body).is(201).json();
    made["Id"].as_str().expect("an id").to_owned()
}

#[test]
fn further_processes_are_found_by_any_service() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let id = create(&engine, "box", "trap 'exit 0' TERM; sleep 1000 & wait", json!({}));
    let refused =
        engine.post(&format!("/containers/{id}/exec"), &json!({ "Cmd": ["true"] })).is(409).message();
    assert_eq!(refused, format!("container {id} is not running"));
    start(&engine, &id);

    let one =
        exec(&engine, "box", &["sh", "-c", "cat; echo err >&2; exit 4"], json!({ "AttachStdin": true }));
    let shown = || engine.get(&format!("/exec/{one}/json")).is(200).json();
    assert_eq!((&shown()["Running"], &shown()["ExitCode"]), (&json!(false), &Value::Null));
    assert_eq!(engine.get("/containers/box/json").json()["ExecIDs"], json!([one]));
    let (_, mut stream) = upgraded(&engine, &format!("/exec/{one}/start"), &json!({ "Detach": false }));
    // Another service knows of it as well.
    let other = env.work().join("other.sock");
    let host = format!("unix://{}", other.display());
    let second = Engine::on(&env, other, &["system", "service", "-H", &host]);
    until("the start", || second.get(&format!("/exec/{one}/json")).is(200).json()["Running"] == true);
    assert_eq!(second.get("/containers/box/json").json()["ExecIDs"], json!([one]));
    assert!(
        second
            .post(&format!("/exec/{one}/start"), &json!({}))
            .is(409)
            .message()
            .ends_with("is already running")
    );
    let sent: String = "0123456789abcdef".repeat(65536);
    let writing = {
        let mut to = stream.get_ref().try_clone().expect("a copy");
        let sent = sent.clone();
        std::thread::spawn(move || {
            to.write_all(sent.as_bytes()).expect("it reads");
            to.shutdown(std::net::Shutdown::Write).expect("half of it closes");
        })
    };
    let (out, err) = frames(&mut stream);
    writing.join().expect("all was written");
    assert!(out == sent, "{} bytes of {} came back", out.len(), sent.len());
    assert_eq!(err, "err\n");
    until("the exit code", || shown()["ExitCode"] == 4);
    assert_eq!((&shown()["Running"], &shown()["ContainerID"]), (&json!(false), &json!(id)));
    drop(second);

    // A client that leaves loses nothing but its view.
    let two = exec(
        &engine,
        "box",
        &["sh", "-c", "while ! [ -e /go ]; do sleep 0.1; echo x; done; exit 7"],
        json!({}),
    );
    drop(upgraded(&engine, &format!("/exec/{two}/start"), &json!({})));
    let go = exec(&engine, "box", &["touch", "/go"], json!({}));
    engine.post(&format!("/exec/{go}/start"), &json!({ "Detach": true })).is(200);
    until("the exit code", || engine.get(&format!("/exec/{two}/json")).json()["ExitCode"] == 7);

    let none = exec(&engine, "box", &["nothing"], json!({}));
    let (_, stream) = upgraded(&engine, &format!("/exec/{none}/start"), &json!({}));
    let (said, _) = frames(stream);
    assert!(said.contains("exec: \"nothing\": executable file not found in $PATH"), "{said}");
    assert_eq!(engine.get(&format!("/exec/{none}/json")).json()["ExitCode"], 127);

    let none = exec(&engine, "box", &["nothing"], json!({}));
    engine.post(&format!("/exec/{none}/start"), &json!({ "Detach": true })).is(400);
    assert_eq!(engine.get(&format!("/exec/{none}/json")).json()["ExitCode"], 127);

    let tty =
        exec(&engine, "box", &["sh", "-c", "read x; stty size"], json!({ "Tty": true, "AttachStdin": true }));
    let (_, mut stream) =
        upgraded(&engine, &format!("/exec/{tty}/start"), &json!({ "Tty": true, "ConsoleSize": [10, 20] }));
    engine.post(&format!("/exec/{tty}/resize?h=55&w=66"), &Value::Null).is(200);
    stream.get_mut().write_all(b"\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it ends");
    assert!(text.contains("55 66"), "{text}");
    engine.get(&format!("/exec/{}/json", "0".repeat(64))).is(404);

    // The end of the container ends them all.
    let last = exec(&engine, "box", &["sleep", "1000"], json!({}));
    engine.post(&format!("/exec/{last}/start"), &json!({ "Detach": true })).is(200);
    engine.post("/containers/box/stop?t=20", &Value::Null).is(204);
    assert_eq!(engine.get(&format!("/exec/{last}/json")).is(200).json()["ExitCode"], 137);
}

#[test]
fn files_go_in_and_out_as_tars() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let limit = json!({ "HostConfig": { "PidsLimit": 100 } });
    let id = create(&engine, "files", "sleep 1000", limit);
    for running in [false, true] {
        if running {
            start(&engine, &id);
        }
        let name = format!("f{running}");
        env.write(&format!("in/{name}"), "content");
        let tar = Command::new("tar")
            .args(["-C", "in", "-c", &name])
            .current_dir(env.work())
            .output()
            .expect("tar");
        let put = |path: &str| {
            let path = format!("/containers/files/archive?path={path}&noOverwriteDirNonDir=true");
            engine.send("PUT", &path, &[("Content-Type", "application/x-tar")], &tar.stdout)
        };
        put("/tmp").is(200);
        assert_eq!(put("/nope").is(404).message(), "Could not find the file /nope in container files");
        put(&format!("/tmp/{name}")).is(400);
        let head =
            engine.send("HEAD", &format!("/containers/files/archive?path=/tmp/{name}"), &[], b"").is(200);
        let stat = Command::new("sh")
            .args(["-c", "printf %s \"$1\" | base64 -d", "sh"])
            .arg(head.header("X-Docker-Container-Path-Stat").expect("the header"))
            .output()
            .expect("base64");
        let stat: Value = serde_json::from_slice(&stat.stdout).expect("JSON");
        assert_eq!(
            (&stat["name"], &stat["size"], &stat["linkTarget"]),
            (&json!(name), &json!(7), &json!(""))
        );
        let dir = engine.get("/containers/files/archive?path=/tmp").is(200);
        assert_eq!(dir.header("Content-Type"), Some("application/x-tar"));
        env.write("out.tar", &dir.body);
        let listed =
            Command::new("tar").args(["-tf", "out.tar"]).current_dir(env.work()).output().expect("tar");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.lines().any(|line| line == format!("tmp/{name}")), "{listed}");
    }
    let changes = engine.get("/containers/files/changes").is(200).json();
    assert!(
        changes.as_array().expect("a list").contains(&json!({ "Path": "/tmp/ftrue", "Kind": 1 })),
        "{changes}"
    );
    until("its process", || {
        let top = engine.get("/containers/files/top").is(200).json();
        (&top["Titles"][7], &top["Processes"][0][7]) == (&json!("CMD"), &json!("sleep 1000"))
    });
    let stats = engine.get("/containers/files/stats?stream=0").is(200).json();
    assert!(
        stats["memory_stats"]["usage"].as_u64() > Some(0) && stats["cpu_stats"]["online_cpus"].is_u64(),
        "{stats}"
    );
    assert!(stats["networks"]["eth0"]["rx_bytes"].is_u64(), "{stats}");
    let made = engine
        .post("/commit?container=files&repo=kept&tag=1&changes=ENV%20A%3Db", &Value::Null)
        .is(201)
        .json();
    assert!(
        env.ok(&["run", "--rm", "kept:1", "sh", "-c", "echo $A; cat /tmp/ftrue"]).contains("b\ncontent"),
        "{made}"
    );
    let updated = engine.post("/containers/files/update", &json!({ "PidsLimit": 50 })).is(200).json();
    assert_eq!(updated, json!({ "Warnings": [] }));
    assert_eq!(engine.get("/containers/files/json").json()["HostConfig"]["PidsLimit"], 50);
    engine.post("/containers/files/kill", &Value::Null).is(204);
    let pruned = engine.post("/containers/prune", &Value::Null).is(200).json();
    assert_eq!(pruned["ContainersDeleted"], json!([id]));
}

#[test]
fn a_request_says_what_flags_say_and_more() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    for name in ["one", "two"] {
        engine.post("/networks/create", &json!({ "Name": name, "CheckDuplicate": true })).is(201);
    }
    let network = engine.get("/networks/two").is(200).json()["Id"].as_str().expect("an id").to_owned();
    std::fs::create_dir(env.work().join("host")).expect("a folder");
    let body = json!({
        "image": "busybox",
        "Entrypoint": ["sh", "-c"], "Cmd": "echo $A; echo x > /m/y; cat /v/a /t/a 2>/dev/null; sleep 1000",
        "Env": ["A=b", "PATH"], "Volumes": { "/v": {} }, "ExposedPorts": { "81/tcp": {} },
        "Healthcheck": { "Test": ["CMD-SHELL", "true"], "Interval": 100_000_000 },
        "HostConfig": {
            "NetworkMode": "one", "Tmpfs": { "/t": "size=1m" },
            "Mounts": [{ "Type": "bind", "Source": env.work().join("host"), "Target": "/m" }],
            "PortBindings": { "80/tcp": [{ "HostIp": "127.0.0.1", "HostPort": "" }], "82/udp": null },
            "RestartPolicy": { "Name": "on-failure", "MaximumRetryCount": 2 },
            "LogConfig": { "Type": "", "Config": {} }, "PidsLimit": 0, "MemorySwappiness": null, "Init": null
        },
        "NetworkingConfig": { "EndpointsConfig": {
            "one": { "Aliases": ["web"] }, network.clone(): { "Aliases": ["second"], "GwPriority": 5 }
        } }
    });
    let id = engine.post("/containers/create?name=all", &body).is(201).json()["Id"]
        .as_str()
        .expect("id")
        .to_owned();
    start(&engine, "all");
    let shown = engine.get("/containers/all/json").is(200).json();
    let networks = &shown["NetworkSettings"]["Networks"];
    assert_eq!(networks["one"]["Aliases"], json!(["web"]), "{networks}");
    assert_eq!((&networks["two"]["NetworkID"], &networks["two"]["GwPriority"]), (&json!(network), &json!(5)));
    let old = engine.get("/v1.44/containers/all/json").is(200).json();
    assert_eq!(old["NetworkSettings"]["Networks"]["one"]["Aliases"], json!(["web", id[..12]]));
    let ports = &shown["NetworkSettings"]["Ports"];
    assert_eq!(
        (&ports["80/tcp"][0]["HostIp"], &ports["81/tcp"]),
        (&json!("127.0.0.1"), &Value::Null),
        "{ports}"
    );
    assert!(ports["82/udp"][0]["HostPort"].is_string(), "{ports}");
    assert_eq!(shown["HostConfig"]["RestartPolicy"], json!({ "Name": "on-failure", "MaximumRetryCount": 2 }));
    assert_eq!(shown["HostConfig"]["Mounts"][0]["Target"], "/m");
    assert_eq!(
        (&shown["Config"]["Volumes"], &shown["HostConfig"]["Binds"]),
        (&json!({ "/v": {} }), &Value::Null)
    );
    until("the file", || env.work().join("host/y").exists());
    until("health", || engine.get("/containers/all/json").json()["State"]["Health"]["Status"] == "healthy");
    let entry = engine.get("/containers/json").is(200).json()[0].clone();
    assert!(
        entry["Ports"].as_array().is_some_and(|ports| ports.iter().any(|p| p["IP"] == "127.0.0.1")),
        "{entry}"
    );
    assert!(entry["Status"].as_str().is_some_and(|text| text.ends_with("(healthy)")), "{entry}");
    let older = engine.post("/v1.43/containers/create", &body).is(400).message();
    assert!(older.starts_with("Container cannot be created with multiple network endpoints"), "{older}");
    let nowhere = json!({ "Image": "busybox", "HostConfig": { "NetworkMode": "none-such" } });
    engine.post("/containers/create?name=nowhere", &nowhere).is(201);
    let said = engine.post("/containers/nowhere/start", &Value::Null).is(404).message();
    assert!(said.ends_with("network none-such not found"), "{said}");
    engine.delete("/containers/all?force=1&v=1").is(204);
    for name in ["one", "two"] {
        engine.delete(&format!("/networks/{name}")).is(204);
    }
}

/// Returns the states of a process's children.
fn children(pid: u32) -> Vec<String> {
    let stat = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("stat")).ok();
    let all = std::fs::read_dir("/proc").expect("proc").flatten().filter_map(stat);
    let fields = all.filter_map(|text| text.rsplit_once(')').map(|(_, rest)| rest.to_owned()));
    let own = fields.filter(|rest| rest.split_whitespace().nth(1) == Some(&pid.to_string()));
    own.filter_map(|rest| rest.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn lists_are_whole_while_containers_come_and_go() {
    let env = TestEnv::new().with_busybox();
    let mut engine = Engine::start(&env);
    let ids: Vec<String> =
        (0..10).map(|n| create(&engine, &format!("c{n}"), "sleep 1000", json!({}))).collect();
    std::thread::scope(|scope| {
        for id in &ids {
            let engine = &engine;
            scope.spawn(move || {
                start(engine, id);
                engine.post(&format!("/containers/{id}/stop?t=0"), &Value::Null).is(204);
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let listed = engine.get("/containers/json?all=1").is(200).json();
                    assert_eq!(listed.as_array().map(Vec::len), Some(10));
                }
            });
        }
    });
    assert_eq!(engine.get("/containers/json").is(200).json(), json!([]));
    until("the end of all monitors", || children(engine.pid()).is_empty());

    // Containers outlive the service that started them.
    start(&engine, "c0");
    let pid = i32::try_from(engine.pid()).expect("a pid");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
        .expect("it lives");
    assert!(!engine.wait());
    assert_eq!(env.ok(&["exec", "c0", "echo", "alive"]), "alive\n");
    drop(engine);
    let engine = Engine::start(&env);
    engine.delete("/containers/c0?force=true").is(204);
}

/// Returns the stock client of the peer's root file system, if there is one.
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn docker(engine: &Engine, env: &TestEnv) -> Option<impl Fn(&[&str], &str) -> Output> {
    let script =
        Command::new(repository().join("scripts/peer-engine")).arg("root").output().expect("the script");
    let program = std::path::Path::new(String::from_utf8_lossy(&script.stdout).trim()).join("usr/bin/docker");
    if !program.exists() {
        eprintln!("skipped: no stock client; scripts/peer-engine make makes one");
        return None;
    }
    let (host, home) = (engine.host(), env.work().join("home"));
    Some(move |args: &[&str], input: &str| {
        let mut child = Command::new(&program)
            .env_clear()
            .envs([("DOCKER_HOST", host.as_str()), ("PATH", "/usr/bin:/bin")])
            .env("DOCKER_CONFIG", &home)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the client starts");
        // One that wants no input may be gone already.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        child.wait_with_output().expect("the client ends")
    })
}

#[test]
fn the_stock_client_runs_containers() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let Some(docker) = docker(&engine, &env) else { return };
    let said = |output: &Output| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    };
    for (args, code) in [
        (&["run", "--rm", "busybox", "true"][..], 0),
        (&["run", "--rm", "busybox", "sh", "-c", "exit 3"], 3),
        (&["run", "--rm", "--pull", "never", "nothere", "true"], 125),
        (&["run", "--rm", "busybox", "/etc"], 126),
        (&["run", "--rm", "busybox", "nothing"], 127),
        (&["run", "--rm", "busybox", "sh", "-c", "sleep 1000 & kill -9 $!; wait $!"], 137),
    ] {
        let output = docker(args, "");
        assert_eq!(output.status.code(), Some(code), "{args:?}: {:?}", said(&output));
    }
    assert_eq!(
        said(&docker(&["run", "-i", "--rm", "busybox", "cat"], "hi\n")),
        (0, "hi\n".into(), String::new())
    );
    assert_eq!(
        docker(&["run", "-d", "--name", "web", "-l", "x=y", "busybox", "sleep", "1000"], "").status.code(),
        Some(0)
    );
    let listed = docker(&["ps", "--filter", "label=x=y", "--format", "{{.Names}} {{.Image}}"], "");
    assert_eq!(said(&listed).1, "web busybox\n");
    assert_eq!(
        said(&docker(&["exec", "-i", "web", "sh", "-c", "cat; exit 5"], "in")),
        (5, "in".into(), String::new())
    );
    env.write("from", "copied");
    let from = env.work().join("from").display().to_string();
    assert_eq!(docker(&["cp", &from, "web:/tmp/to"], "").status.code(), Some(0));
    assert_eq!(said(&docker(&["exec", "web", "cat", "/tmp/to"], "")).1, "copied");
    let back = env.work().join("back").display().to_string();
    assert_eq!(said(&docker(&["cp", "web:/tmp/to", &back], "")).0, 0);
    assert_eq!(std::fs::read_to_string(&back).expect("the copy"), "copied");
    assert!(
        said(&docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "web"], ""))
            .1
            .starts_with("web 1")
    );
    assert_eq!(docker(&["rm", "-f", "web"], "").status.code(), Some(0));
    assert_eq!(said(&docker(&["ps", "-aq"], "")).1, "");
}
