//! Images over the Engine API: asked by bytes on a socket, and by docker's own client where it is there.

mod support;

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use support::engine::{Answer, Engine};
use support::fake::Fake;
use support::script::Script;
use support::serve::Serve;
use support::{TestEnv, wait_until};

const PASSWORD: &str = "s3cret-pa55";
const LONG: Duration = Duration::from_secs(60);

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A tar archive of files.
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, text.as_bytes()).expect("a file fits");
    }
    builder.into_inner().expect("the archive ends")
}

fn build(engine: &Engine, query: &str, files: &[(&str, &str)]) -> Answer {
    let kind = [("Content-Type", "application/x-tar")];
    engine.send("POST", &format!("/build?{query}"), &kind, &tar(files))
}

/// The text of a stream's objects.
fn streamed(answer: &Answer) -> String {
    answer.lines().iter().filter_map(|line| line["stream"].as_str()).collect()
}

fn statuses(answer: &Answer) -> Vec<String> {
    answer.lines().iter().filter_map(|line| line["status"].as_str().map(str::to_owned)).collect()
}

#[test]
fn images_are_listed_described_named_and_removed() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    env.ok(&["tag", "busybox", "localhost:5000/team/app:1"]);
    env.write("Dockerfile", "FROM busybox\nLABEL a=b\nRUN echo x > /x\n");
    let nameless = env.ok(&["build", "-q", "."]);

    let list = |path: &str| engine.get(path).is(200).json();
    let new = list("/v1.51/images/json");
    assert_eq!(new.as_array().map(Vec::len), Some(2), "{new}");
    let named =
        |list: &Value| list.as_array().unwrap().iter().find(|i| i["Labels"].is_null()).unwrap().clone();
    assert_eq!(named(&new)["RepoTags"], json!(["busybox:latest", "localhost:5000/team/app:1"]));
    assert_eq!((&named(&new)["Containers"], &named(&new)["SharedSize"]), (&json!(0), &json!(-1)));
    assert!(named(&new)["Descriptor"]["size"].is_u64() && named(&new).get("VirtualSize").is_none());
    let old = named(&list("/v1.40/images/json?shared-size=1"));
    assert_eq!(
        (&old["Containers"], &old["VirtualSize"], &old["SharedSize"]),
        (&json!(-1), &old["Size"], &old["Size"])
    );
    let filter = |text: &str| list(&format!("/images/json?filters={}", encoded(text)));
    let dangling = filter(r#"{"dangling":{"true":true}}"#);
    assert_eq!((&dangling[0]["Id"], &dangling[0]["RepoTags"]), (&json!(nameless.trim()), &json!([])));
    let none = list(&format!("/v1.42/images/json?filters={}", encoded(r#"{"label":["a=b"]}"#)));
    assert_eq!(
        (&none[0]["RepoTags"], &none[0]["RepoDigests"]),
        (&json!(["<none>:<none>"]), &json!(["<none>@<none>"]))
    );
    assert_eq!(
        filter(r#"{"reference":["localhost:5000/team/*"]}"#)[0]["RepoTags"],
        json!(["localhost:5000/team/app:1"])
    );
    let bad = engine.get(&format!("/images/json?filters={}", encoded(r#"{"x":["1"]}"#)));
    assert_eq!(bad.is(400).message(), "invalid filter 'x'");

    let one = list("/images/localhost:5000/team/app:1/json");
    assert_eq!((&one["Id"], &one["Os"]), (&named(&new)["Id"], &json!("linux")));
    assert!(one.get("VirtualSize").is_none() && one.get("ContainerConfig").is_none());
    assert_eq!(list("/v1.40/images/busybox/json")["VirtualSize"], one["Size"]);
    let manifests = list("/images/busybox/json?manifests=1");
    assert_eq!(
        (&manifests["Manifests"][0]["Kind"], &manifests["Manifests"][0]["Available"]),
        (&json!("image"), &json!(true))
    );
    assert_eq!(engine.get("/images/x:1/json").is(404).message(), "No such image: x:1");
    let wrong = engine.get("/images/busybox/json?platform=linux/s390x").is(404).message();
    assert!(wrong.contains("was found but does not match the specified platform"), "{wrong}");
    let history = list(&format!("/images/{}/history", nameless.trim()));
    assert_eq!((&history[0]["Id"], &history[1]["Id"]), (&json!(nameless.trim()), &json!("<missing>")));

    engine.post("/images/busybox/tag?repo=r.test/b&tag=2", &Value::Null).is(201);
    engine.post("/images/busybox/tag?repo=Bad", &Value::Null).is(400);
    engine.post("/images/nope/tag?repo=b", &Value::Null).is(404);
    assert_eq!(engine.delete("/images/r.test/b:2").is(200).json(), json!([{"Untagged": "r.test/b:2"}]));
    env.ok(&["create", "--name", "user", nameless.trim()]);
    let used = engine.delete(&format!("/images/{}", nameless.trim())).is(409).message();
    assert!(used.starts_with("conflict: unable to delete"), "{used}");
    env.ok(&["rm", "user"]);
    let pruned = engine.post("/images/prune", &Value::Null).is(200).json();
    assert_eq!(pruned["ImagesDeleted"][0], json!({"Deleted": nameless.trim()}));
    engine.delete("/images/nope").is(404);

    let usage = list("/system/df");
    assert_eq!((usage["Images"].as_array().map(Vec::len), &usage["Containers"]), (Some(1), &json!([])));
    assert!(usage["BuildCache"][0]["Size"].is_u64() && usage["LayersSize"].as_u64() >= one["Size"].as_u64());
    assert!(list("/system/df?type=image")["BuildCache"].is_null());
    let cache = engine.post("/build/prune?all=1", &Value::Null).is(200).json();
    assert_eq!(cache["CachesDeleted"].as_array().map(Vec::len), usage["BuildCache"].as_array().map(Vec::len));
}

#[test]
fn images_move_to_and_from_a_registry() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let hash = bcrypt::hash(PASSWORD, 4).expect("bcrypt works");
    let users = env.write("htpasswd", format!("me:{hash}\n"));
    let registry =
        Serve::start(&env.work().join("registry"), &["--htpasswd", users.to_str().expect("a plain path")]);
    let domain = registry.address.to_string();
    let me = json!({"username": "me", "password": PASSWORD, "serveraddress": domain});
    let auth = URL_SAFE.encode(me.to_string());
    let auth = [("X-Registry-Auth", auth.as_str())];
    let post = |path: &str, headers: &[(&str, &str)]| engine.send("POST", path, headers, b"");

    assert_eq!(engine.post("/auth", &me).is(200).json()["Status"], "Login Succeeded");
    let wrong = json!({"username": "me", "password": "x", "serveraddress": domain});
    assert!(engine.post("/auth", &wrong).is(401).message().contains("401 Unauthorized"));

    post(&format!("/images/busybox/tag?repo={domain}/team/app&tag=1"), &[]).is(201);
    let refused = post(&format!("/images/{domain}/team/app/push?tag=1"), &[]).is(200);
    let last = refused.lines().pop().expect("it says something");
    assert_eq!(last["errorDetail"]["message"], "unauthorized: authentication required");
    let pushed = post(&format!("/images/{domain}/team/app/push?tag=1"), &auth).is(200);
    assert_eq!(statuses(&pushed)[0], format!("The push refers to repository [{domain}/team/app]"));
    assert!(statuses(&pushed).contains(&"Pushed".to_owned()), "{}", pushed.text());
    let aux = &pushed.lines().pop().expect("it ends")["aux"];
    assert_eq!((&aux["Tag"], aux["Size"].is_u64()), (&json!("1"), true), "{aux}");
    let missing = post(&format!("/images/{domain}/nope/push?tag=1"), &auth);
    let why = missing.lines().pop().expect("it says something").to_string();
    assert!(why.contains("does not exist locally"), "{why}");

    let found =
        engine.send("GET", &format!("/distribution/{domain}/team/app:1/json"), &auth, b"").is(200).json();
    assert_eq!(
        (&found["Descriptor"]["digest"], &found["Platforms"][0]["os"]),
        (&aux["Digest"], &json!("linux"))
    );

    engine.delete(&format!("/images/{domain}/team/app:1")).is(200);
    engine.delete("/images/busybox").is(200);
    let create = format!("/images/create?fromImage={}&tag=", encoded(&format!("{domain}/team/app")));
    let denied = post(&format!("{create}1"), &[]).is(404).message();
    assert!(
        denied.starts_with(&format!("pull access denied for {domain}/team/app, repository does not exist")),
        "{denied}"
    );
    let unknown = post(&format!("{create}2"), &auth).is(404).message();
    assert!(unknown.contains(&format!("manifest for {domain}/team/app:2 not found")), "{unknown}");
    let pulled = post(&format!("{create}1"), &auth).is(200);
    let lines = pulled.lines();
    assert_eq!(lines[0], json!({"status": "Pulling from team/app", "id": "1"}));
    assert!(lines[1]["id"].is_string() && lines[1]["progressDetail"].is_object(), "{}", pulled.text());
    let said = statuses(&pulled);
    assert!(said.contains(&"Pull complete".to_owned()), "{said:?}");
    let newer = format!("Status: Downloaded newer image for {domain}/team/app:1");
    assert_eq!(said[said.len() - 2..], [format!("Digest: {}", aux["Digest"].as_str().unwrap()), newer]);
    // The same by its digest.
    let again = post(&format!("{create}{}", aux["Digest"].as_str().unwrap()), &auth).is(200);
    assert!(statuses(&again).last().unwrap().starts_with("Status: Image is up to date"), "{}", again.text());
    let one = engine.get(&format!("/images/{domain}/team/app:1/json")).is(200).json();
    assert_eq!(one["RepoDigests"], json!([format!("{domain}/team/app@{}", aux["Digest"].as_str().unwrap())]));

    // A build has credentials of several registries.
    let file = format!("FROM {domain}/team/app:1\nRUN true\n");
    let files = [("Dockerfile", file.as_str())];
    assert!(build(&engine, "pull=1", &files).text().contains("pull access denied"));
    let config = URL_SAFE.encode(json!({ &domain: {"username": "me", "password": PASSWORD} }).to_string());
    let headers = [("X-Registry-Config", config.as_str())];
    let built = engine.send("POST", "/build?pull=1", &headers, &tar(&files)).is(200);
    assert!(streamed(&built).contains("Successfully built"), "{}", built.text());
}

#[test]
fn archives_come_and_go() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    engine.post("/images/busybox/tag?repo=a/b&tag=1", &Value::Null).is(201);
    let whole = engine.get("/images/get?names=a/b:1&names=busybox").is(200);
    assert_eq!(whole.header("content-type"), Some("application/x-tar"));
    let one = engine.get("/images/a/b:1/get").is(200);
    engine.get("/images/get?names=nope").is(404);
    for name in ["a/b:1", "busybox"] {
        engine.delete(&format!("/images/{name}")).is(200);
    }
    let load = |bytes: &[u8]| engine.send("POST", "/images/load?quiet=1", &[], bytes);
    assert_eq!(streamed(&load(&one.body).is(200)), "Loaded image: a/b:1\n");
    assert_eq!(streamed(&load(&whole.body).is(200)), "Loaded image: a/b:1\nLoaded image: busybox:latest\n");
    load(b"no archive").is(500);
    // One that ends too early leaves nothing.
    engine.delete("/images/busybox").is(200);
    engine.delete("/images/a/b:1").is(200);
    let mut stream = std::os::unix::net::UnixStream::connect(engine.socket()).expect("it listens");
    let head =
        format!("POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: {}\r\n\r\n", whole.body.len());
    stream.write_all(head.as_bytes()).expect("it reads");
    stream.write_all(&whole.body[..whole.body.len() / 2]).expect("it reads");
    drop(stream);
    let temporary = || std::fs::read_dir(env.store().join("tmp")).map_or(0, Iterator::count);
    wait_until("the load's end", LONG, || temporary() == 0);
    assert_eq!(engine.get("/images/json").is(200).json(), json!([]));

    let query = format!(
        "fromSrc=-&repo=imp&tag=2&message=hello&changes={}&changes={}",
        encoded("ENV A=b"),
        encoded(r#"CMD ["sh"]"#)
    );
    let kind = [("Content-Type", "application/x-tar")];
    let root = tar(&[("etc/hello", "world\n")]);
    let imported = engine.send("POST", &format!("/images/create?{query}"), &kind, &root).is(200);
    let shown = engine.get("/images/imp:2/json").is(200).json();
    assert_eq!(json!(statuses(&imported).last()), shown["Id"]);
    assert_eq!((&shown["Comment"], &shown["Config"]["Env"]), (&json!("hello"), &json!(["A=b"])));
    engine.send("POST", "/images/create?fromSrc=-&changes=RUN%20x", &kind, &root).is(400);
}

const FILE: &str = "ARG V=latest\nFROM busybox:$V AS one\nENV A=1\nRUN echo hello $A; echo err >&2\nFROM busybox AS never\n\
                    RUN echo never\nFROM busybox\nCOPY --from=one /etc/passwd /a\nCOPY f /f\nCMD [\"sh\"]\n";

#[test]
fn builds_are_told_step_by_step() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let files = [("Dockerfile", FILE), ("f", "x"), ("sub/File", "FROM busybox\nARG A\nLABEL a=$A\n")];
    let first = build(&engine, "t=t:1&t=r.test/t&version=1&rm=1&dockerfile=Dockerfile", &files).is(200);
    let id = engine.get("/images/t:1/json").is(200).json()["Id"].as_str().expect("an id").to_owned();
    let base = engine.get("/images/busybox/json").is(200).json()["Id"].as_str().expect("an id").to_owned();
    let (short, base) = (&id[7..19], &base[7..19]);
    let expected = format!(
        "Step 1/8 : ARG V=latest\nStep 2/8 : FROM busybox:$V AS one\n ---> {base}\nStep 3/8 : ENV A=1\nStep 4/8 : RUN \
         echo hello $A; echo err >&2\nhello 1\nerr\nStep 5/8 : FROM busybox\n ---> {base}\nStep 6/8 : COPY --from=one \
         /etc/passwd /a\nStep 7/8 : COPY f /f\nStep 8/8 : CMD [\"sh\"]\n ---> {short}\nSuccessfully built {short}\n\
         Successfully tagged t:1\nSuccessfully tagged r.test/t:latest\n"
    );
    assert_eq!(streamed(&first), expected);
    let aux: Vec<Value> = first.lines().into_iter().filter(|line| line.get("aux").is_some()).collect();
    assert_eq!(aux, [json!({"aux": {"ID": id}})]);
    let again = streamed(&build(&engine, "", &files).is(200));
    assert_eq!(again.matches(" ---> Using cache\n").count(), 3, "{again}");
    assert!(again.ends_with(&format!("Successfully built {short}\n")), "{again}");
    assert_eq!(streamed(&build(&engine, "q=1", &files).is(200)), format!("{id}\n"));

    let query = format!(
        "t=two&dockerfile=sub/File&buildargs={}&labels={}",
        encoded(r#"{"A":"7","B":null}"#),
        encoded(r#"{"l":"m"}"#)
    );
    let context = tar(&files);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&context).expect("memory");
    engine.send("POST", &format!("/build?{query}"), &[], &packed.finish().expect("memory")).is(200);
    let labels = engine.get("/images/two/json").is(200).json()["Config"]["Labels"].clone();
    assert_eq!(labels, json!({"a": "7", "l": "m"}));

    let failing = build(&engine, "", &[("Dockerfile", "FROM busybox\nRUN echo out; exit 3\n")]).is(200);
    assert!(streamed(&failing).ends_with("out\n"), "{}", failing.text());
    let text = "The command '/bin/sh -c echo out; exit 3' returned a non-zero code: 3";
    assert_eq!(
        failing.lines().pop(),
        Some(json!({"errorDetail": {"code": 3, "message": text}, "error": text}))
    );
    let unknown = build(&engine, "", &[("Dockerfile", "FROM busybox\nNOSUCH x\n")]).is(400).message();
    assert_eq!(unknown, "dockerfile parse error on line 2: unknown instruction: NOSUCH");
    let outside = build(&engine, "dockerfile=../../etc/passwd", &files).is(500).message();
    assert_eq!(outside, "Cannot locate specified Dockerfile: ../../etc/passwd");
    let empty = build(&engine, "", &[]).is(500).message();
    assert_eq!(empty, "Cannot locate specified Dockerfile: Dockerfile");
    build(&engine, "remote=/etc", &files).is(400);
    // Said at once, and heard also by a client that has far more to send.
    engine.send("POST", "/build?remote=/etc", &[], &vec![0; 8 << 20]).is(400);
    for (path, word) in [
        ("/build?version=2", "version=2"),
        ("/session", "session"),
        ("/grpc", "grpc"),
        ("/build/cancel?id=x", "cancel"),
    ] {
        let message = engine.post(path, &Value::Null).is(501).message();
        assert!(message.starts_with(word) && message.contains("DOCKER_BUILDKIT=0"), "{message}");
    }
    // Two at once.
    std::thread::scope(|scope| {
        for name in ["x", "y"] {
            let (engine, file) = (&engine, format!("FROM busybox\nRUN echo {name} > /{name}; sleep 0.3\n"));
            scope.spawn(move || {
                let built = build(engine, &format!("t={name}"), &[("Dockerfile", &file)]).is(200);
                assert!(streamed(&built).contains(&format!("tagged {name}:latest")), "{}", built.text());
            });
        }
    });
}

/// Whether a process runs whose command line has this word.
fn runs(word: &str) -> bool {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| line.split(|byte| *byte == 0).any(|part| part == word.as_bytes()))
}

#[test]
fn a_build_ends_with_its_client() {
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    // Nobody else sleeps for so long.
    let time = format!("{}.{:09}", 9000 + std::process::id() % 1000, std::process::id());
    let file = format!("FROM busybox\nRUN echo begun; exec sleep {time}\n");
    let (head, mut reader) = engine.open("POST", "/build?t=gone", &[], &tar(&[("Dockerfile", &file)]));
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut said = String::new();
    let mut byte = [0];
    while !said.contains("begun\\n") {
        assert_eq!(reader.read(&mut byte).expect("it goes on"), 1, "{said}");
        said.push(char::from(byte[0]));
    }
    wait_until("the step", LONG, || runs(&time));
    drop(reader);
    wait_until("the step's end", LONG, || !runs(&time));
    engine.get("/images/gone/json").is(404);
    // The service is as well as before.
    assert!(
        streamed(&build(&engine, "", &[("Dockerfile", "FROM busybox\nRUN true\n")]))
            .contains("Successfully built")
    );
}

/// The names of a process's threads.
fn threads(pid: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
    tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok()).collect()
}

#[test]
fn a_pull_ends_with_its_client() {
    let env = TestEnv::new();
    let engine = Engine::start(&env);
    let fake = Fake::with_app();
    let (digest, _) = fake.layers("app", "1").remove(0);
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = Script::start(move |asked, _| {
        let reply = fake.answer(asked);
        let stops = asked.line().starts_with("GET") && asked.path().ends_with(&digest);
        let stops = stops && first.swap(false, std::sync::atomic::Ordering::SeqCst);
        if stops { reply.hang(700_000) } else { reply }
    });
    let path = format!("/images/create?fromImage={}/app&tag=1", server.host);
    let (_, mut reader) = engine.open("POST", &path, &[], b"");
    let mut said = String::new();
    let mut byte = [0];
    while !said.contains("\"Downloading\"") {
        assert_eq!(reader.read(&mut byte).expect("it goes on"), 1, "{said}");
        said.push(char::from(byte[0]));
    }
    drop(reader);
    // Long before it would find that nothing moves.
    wait_until("the pull's end", Duration::from_secs(30), || {
        !threads(engine.pid()).contains(&"request\n".to_owned())
    });
    engine.get(&format!("/images/{}/app:1/json", server.host)).is(404);
    let again = engine.send("POST", &path, &[], b"").is(200);
    assert!(
        statuses(&again).last().expect("it says so").starts_with("Status: Downloaded newer image"),
        "{}",
        again.text()
    );
}

/// Docker's own client, out of a peer engine's file system.
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn client() -> Option<PathBuf> {
    let peer = std::env::var_os("SKIFF_PEER")
        .map_or_else(|| support::repository().join(".cache/peer"), PathBuf::from);
    let path = peer.join("root/usr/bin/docker");
    if !path.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "in CI the peer engine must be there: run scripts/peer-engine make"
        );
        eprintln!("skipped: no docker client; scripts/peer-engine make makes one");
        return None;
    }
    Some(path)
}

#[test]
fn dockers_client_builds_and_moves_images() {
    let Some(client) = client() else { return };
    let env = TestEnv::new().with_busybox();
    let engine = Engine::start(&env);
    let registry = Serve::start(&env.work().join("registry"), &[]);
    let name = format!("{}/app:1", registry.address);
    let docker = |args: &[&str]| {
        let mut command = Command::new(&client);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", env.work())
            .env("DOCKER_HOST", engine.host());
        let output = command
            .env("DOCKER_BUILDKIT", "0")
            .current_dir(env.work())
            .args(args)
            .output()
            .expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let ok = |args: &[&str]| {
        let (code, out, err) = docker(args);
        assert_eq!(code, Some(0), "{args:?}\n{out}{err}");
        out
    };
    env.write(
        "c/Dockerfile",
        "FROM busybox AS a\nRUN echo a > /a\nFROM busybox\nCOPY --from=a /a /\nCOPY . /c\nRUN ls /c\n",
    );
    env.write("c/.dockerignore", "secret\n");
    env.write("c/secret", "s");
    env.write("c/plain", "p");
    let built = ok(&["build", "-t", &name, "c"]);
    assert!(built.contains("Step 6/6 : RUN ls /c\nDockerfile\nplain\n"), "{built}");
    env.write("bad/Dockerfile", "FROM busybox\nRUN exit 7\n");
    let (code, _, err) = docker(&["build", "bad"]);
    assert_eq!(code, Some(7), "{err}");
    assert!(err.contains("The command '/bin/sh -c exit 7' returned a non-zero code: 7"), "{err}");
    assert!(ok(&["push", &name]).contains("1: digest: sha256:"));
    ok(&["rmi", &name]);
    assert!(ok(&["pull", &name]).ends_with(&format!("Status: Downloaded newer image for {name}\n{name}\n")));
    assert!(ok(&["history", "-q", &name]).starts_with(&ok(&["images", "-q", &name])));
    ok(&["save", "-o", "a.tar", &name]);
    ok(&["rmi", &name]);
    assert_eq!(ok(&["load", "-i", "a.tar"]), format!("Loaded image: {name}\n"));
    assert!(ok(&["system", "df"]).contains("Build Cache"));
    assert!(ok(&["image", "prune", "-af"]).contains(&format!("untagged: {name}")));
    assert_eq!(
        docker(&["image", "inspect", &name]).2,
        format!("Error response from daemon: No such image: {name}\n")
    );
}
