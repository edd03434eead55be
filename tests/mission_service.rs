//! The rows of users' notes about the engine's socket (A9 to A16, A20), and what every client of it begins with.

mod support;

use std::io::{BufRead as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use support::engine::{Answer, Engine};
use support::{TestEnv, free_port, repository, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// Asks a TCP endpoint.
fn over_tcp(address: &str, path: &str) -> Answer {
    let mut stream = None;
    wait_until("the endpoint listens", PATIENCE, || {
        stream = TcpStream::connect(address).ok();
        stream.is_some()
    });
    let mut stream = stream.expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
    Answer::read(stream)
}

#[test]
fn every_client_begins_with_a_ping_and_a_version() {
    let env = TestEnv::new();
    let engine = Engine::start(&env);
    let mode = std::fs::metadata(engine.socket()).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    // A9
    for path in ["/_ping", "/v1.24/_ping", "/v1.51/_ping"] {
        let ping = engine.get(path).is(200);
        assert_eq!(ping.text(), "OK");
        for (name, value) in [
            ("Api-Version", "1.51"),
            ("Docker-Experimental", "false"),
            ("Ostype", "linux"),
            ("Builder-Version", "1"),
            ("Swarm", "inactive"),
            ("Cache-Control", "no-cache, no-store, must-revalidate"),
            ("Pragma", "no-cache"),
        ] {
            assert_eq!(ping.header(name), Some(value), "{}", ping.head);
        }
        assert!(ping.header("Server").is_some_and(|s| s.starts_with("Docker/") && s.ends_with(" (linux)")));
    }
    let head = engine.send("HEAD", "/_ping", &[], b"").is(200);
    assert!(head.body.is_empty() && head.header("Api-Version") == Some("1.51"), "{}", head.head);
    let version = engine.get("/version").is(200).json();
    assert_eq!(version, engine.get("/v1.24/version").json());
    assert_eq!(version["Components"][0]["Name"], "Engine");
    assert_eq!((&version["ApiVersion"], &version["MinAPIVersion"]), (&json!("1.51"), &json!("1.24")));
    let old = engine.get("/v1.23/info").is(400).message();
    assert_eq!(
        old,
        "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a \
         newer version"
    );
    let new = engine.get("/v9.9/info").is(400).message();
    assert_eq!(new, "client version 9.9 is too new. Maximum supported API version is 1.51");
    assert_eq!(engine.get("/nothing").is(404).message(), "page not found");
    assert!(engine.get("/swarm").is(503).message().starts_with("This node is not a swarm manager."));
    let info = engine.get("/info").is(200).json();
    for key in ["ID", "NCPU", "MemTotal", "OSType", "SecurityOptions", "Swarm", "RegistryConfig", "Runtimes"]
    {
        assert!(!info[key].is_null(), "{key} is missing: {info}");
    }
    let wrong = engine.send("POST", "/networks/create", &[("Content-Type", "text/plain")], b"{}").is(400);
    assert_eq!(wrong.message(), "unsupported Content-Type header (text/plain): must be 'application/json'");
}

#[test]
fn it_listens_on_several_endpoints_and_warns_of_open_ones() {
    let env = TestEnv::new();
    let port = free_port();
    let (tcp, place) = (format!("tcp://127.0.0.1:{port}"), format!("127.0.0.1:{port}"));
    // A10 to A12, A14: the old name of the command, a relative path, two endpoints.
    let words = ["-D", "daemon", "-H", "unix://rel.sock", "-H", &tcp];
    let engine = Engine::on(&env, env.work().join("rel.sock"), &words);
    assert_eq!(engine.get("/_ping").is(200).text(), "OK");
    assert_eq!(over_tcp(&place, "/_ping").is(200).text(), "OK");
    let says = |text: &str| wait_until(text, PATIENCE, || engine.said().contains(text));
    says(&format!("WARNING: API is accessible on http://{place} without encryption"));
    let whole = env.work().join("rel.sock");
    says(&format!("unix://rel.sock is a relative path: it is {} here", whole.display()));
    // A13: requests are told with -D, without what may be secret.
    engine.get("/containers/json?all=1&filters=%7B%22name%22%3A%5B%22geheim%22%5D%7D");
    says("GET /containers/json");
    let said = engine.said();
    assert!(!said.contains("geheim"), "{said}");
    // A10: our own client on that port.
    let listed = env.run(&["-H", &tcp, "ps"]).success();
    assert!(listed.stdout.starts_with("CONTAINER ID   IMAGE"), "{}", listed.stdout);
    // A second service does not take the socket away.
    let second = env.run(&["system", "service", "-H", "unix://rel.sock"]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("another service listens there"), "{}", second.stderr);
    drop(engine);
    assert!(!whole.exists(), "the socket goes with its service");
}

#[test]
fn what_is_wrong_is_said_at_once() {
    let env = TestEnv::new();
    env.write("file", "x");
    for (flags, text) in [
        (&["-H", "ftp://x"][..], "invalid bind address format: ftp://x"),
        (&["-H", "unix://file"], "there is a file that is no socket"),
        (&["-H", "fd://"], "the service manager has passed no sockets"),
        (&["--log-opt", "x"], "invalid value \"x\" for --log-opt"),
        (&["-H", "tcp://127.0.0.1:1", "--tlsverify", "--tlscert", "none.pem"], "none.pem"),
        (&["-H", "unix://s", "--group", "no-such-group"], "there is no such group"),
    ] {
        let ran = env.run(&[&["system", "service"], flags].concat());
        assert!(ran.code != Some(0) && ran.stderr.contains(text), "{flags:?}: {:?} {}", ran.code, ran.stderr);
    }
}

#[test]
fn options_show_and_units_are_right() {
    let env = TestEnv::new();
    // A15
    let flags = ["--registry-mirror", "https://mirror.test", "--label", "site=a", "--log-driver", "local"];
    let engine = Engine::start_with(&env, &flags);
    let info = engine.get("/info").is(200).json();
    assert_eq!(info["RegistryConfig"]["Mirrors"], json!(["https://mirror.test"]));
    assert_eq!((&info["Labels"], &info["LoggingDriver"]), (&json!(["site=a"]), &json!("local")));
    let unit = std::fs::read_to_string(repository().join("systemd/skiff.service")).expect("the unit");
    assert!(unit.contains("EnvironmentFile=-/etc/default/docker") && unit.contains("$DOCKER_OPTS"));
}

#[test]
fn a_passed_socket_starts_it_and_it_ends_when_nothing_happens() {
    let env = TestEnv::new();
    let socket = env.work().join("passed.sock");
    // What systemd does for a `.socket` unit, sd_listen_fds(3).
    let script = "import os,socket,sys\ns=socket.socket(socket.AF_UNIX);s.bind(sys.argv[1]);s.listen()\n\
                  os.dup2(s.fileno(),3);os.set_inheritable(3,True)\n\
                  os.environ['LISTEN_FDS']='1';os.environ['LISTEN_PID']=str(os.getpid())\n\
                  os.execv(sys.argv[2],['skiff','system','service','-H','fd://','--idle-exit','2s'])";
    let begun = Instant::now();
    let mut service = Command::new("python3")
        .args(["-c", script, &socket.display().to_string(), env!("CARGO_BIN_EXE_skiff")])
        .env("SKIFF_ROOT", env.store())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("python3 is there");
    let stream = loop {
        match std::os::unix::net::UnixStream::connect(&socket) {
            Ok(stream) => break stream,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(30), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    // A stream that is open keeps it from ending.
    let mut reader = std::io::BufReader::new(&stream);
    (&stream).write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("an answer") > 0, "the connection ended: {head}");
    }
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    std::thread::sleep(Duration::from_millis(4500));
    assert!(service.try_wait().expect("it can be asked").is_none(), "a client still listens");
    drop(reader);
    drop(stream);
    let ended = Instant::now();
    while service.try_wait().expect("it can be asked").is_none() {
        assert!(ended.elapsed() < Duration::from_secs(30), "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(socket.exists(), "a passed socket belongs to whoever passed it");
}

#[test]
fn a_container_asks_the_engine_through_the_bound_socket() {
    let env = TestEnv::new().with_debian();
    let engine = Engine::start(&env);
    // A20: what tools in containers do that manage the engine they run on.
    let bind = format!("{}:/var/run/docker.sock", engine.socket().display());
    let ask = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => '/var/run/docker.sock') or die $!; \
               print $s \"GET /containers/json HTTP/1.0\\r\\n\\r\\n\"; print while <$s>;";
    let ran = env.run(&[
        "run",
        "--rm",
        "--name",
        "manager",
        "--network",
        "none",
        "-v",
        &bind,
        "debian:bookworm",
        "perl",
        "-e",
        ask,
    ]);
    let ran = ran.success();
    let body = ran.stdout.rsplit("\r\n\r\n").next().unwrap_or_default();
    let list: serde_json::Value =
        serde_json::from_str(body.trim()).unwrap_or_else(|e| panic!("{e}: {}", ran.stdout));
    assert_eq!(list[0]["Names"], json!(["/manager"]));
}

#[test]
fn networks_and_volumes_answer_as_compose_asks() {
    let env = TestEnv::new();
    let engine = Engine::start(&env);
    let (mut head, mut events) = (String::new(), engine.open("GET", "/events", &[], b""));
    std::mem::swap(&mut head, &mut events.0);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    engine.get("/networks/p_default").is(404);
    let labels = json!({"com.docker.compose.project": "p", "com.docker.compose.network": "default"});
    let body = json!({"CheckDuplicate": true, "Name": "p_default", "Driver": "bridge", "IPAM": null, "Labels": labels,
                      "Options": null, "EnableIPv6": false});
    let made = engine.post("/v1.44/networks/create", &body).is(201).json();
    assert_eq!(
        engine.post("/networks/create", &body).is(409).message(),
        "network with name p_default already exists"
    );
    let filter = "/networks?filters=%7B%22label%22%3A%7B%22com.docker.compose.project%3Dp%22%3Atrue%7D%7D";
    let listed = engine.get(filter).is(200).json();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["Id"]), (Some(1), &made["Id"]));
    assert_eq!(listed[0]["Labels"], labels);
    engine.get("/volumes/p_data").is(404);
    let body = json!({"Name": "p_data", "Labels": labels});
    assert_eq!(engine.post("/volumes/create", &body).is(201).json()["Name"], "p_data");
    engine.post("/volumes/create", &body).is(201);
    let listed = engine.get("/volumes").is(200).json();
    assert_eq!(listed["Volumes"].as_array().map(Vec::len), Some(1), "{listed}");
    // Only volumes that nobody named go by themselves.
    assert_eq!(engine.post("/volumes/prune", &json!(null)).is(200).json()["VolumesDeleted"], json!([]));
    engine.delete("/volumes/p_data").is(204);
    assert_eq!(engine.delete("/volumes/p_data").is(404).message(), "get p_data: no such volume");
    engine.delete("/volumes/p_data?force=1").is(204);
    engine.delete("/networks/p_default").is(204);
    engine.delete("/networks/bridge").is(403);
    assert!(engine.get("/networks?filters=x").is(400).message().contains("invalid filter"));
    assert_eq!(
        engine.get("/networks?filters=%7B%22x%22%3A%5B%22y%22%5D%7D").is(400).message(),
        "invalid filter 'x'"
    );
    // What happened was told to who listens, in order.
    let mut told = Vec::new();
    let mut line = String::new();
    while told.len() < 4 {
        line.clear();
        assert!(events.1.read_line(&mut line).expect("the stream goes on") > 0);
        // Between events stand the lengths of the pieces.
        if let Ok(event) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line.trim()) {
            told.push(format!("{} {}", event["Type"].as_str().unwrap(), event["Action"].as_str().unwrap()));
        }
    }
    assert_eq!(told, ["network create", "volume create", "volume destroy", "network destroy"]);
}

#[test]
fn a_machine_behind_ssh_needs_no_service() {
    let env = TestEnv::new().with_busybox();
    // What ssh would do there, without going there: everything up to the word `docker` is for ssh.
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != docker ]; do shift; done\nshift\nunset DOCKER_HOST\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_skiff")
    );
    let path = env.write("bin/ssh", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = format!("{}:{}", env.work().join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let variables = [("PATH", path.as_str()), ("DOCKER_HOST", "ssh://user@machine")];
    let run = ["run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo there; exit 5"];
    let ran = env.run_with(&run, &variables);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(5), "there\n"), "{}", ran.stderr);
    env.run_with(&["create", "--name", "far", "--network", "none", "busybox", "sleep", "1000"], &variables)
        .success();
    env.run_with(&["start", "far"], &variables).success();
    assert_eq!(env.run_with(&["exec", "far", "echo", "inside"], &variables).success().stdout, "inside\n");
    assert!(env.ok(&["ps"]).contains("far"), "it goes on without the connection that started it");
    let again = env.run(&["-H", "ssh://user@machine", "system", "dial-stdio"]).fails_with(1);
    assert!(again.stderr.contains("can't go on over ssh"), "{}", again.stderr);
}
