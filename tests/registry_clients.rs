//! The built-in registry with the clients that people have: podman, skopeo, docker, containerd and this program.

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;

use sha2::Digest as _;
use support::certificates::authority;
use support::clients::{Clients, failed};
use support::fake::{Fake, build_app};
use support::peer::Peer;
use support::registry::DebianRegistry;
use support::script::{Reply, Script};
use support::serve::Serve;
use support::{Ran, TestEnv};

const PASSWORD: &str = "s3cret-pa55";

fn path(env: &TestEnv, name: &str) -> String {
    env.work().join(name).to_str().expect("a plain path").to_owned()
}

fn serve(arguments: &[&str]) -> (TestEnv, Serve) {
    let env = TestEnv::new();
    let registry = Serve::start(&env.store(), arguments);
    (env, registry)
}

fn htpasswd(env: &TestEnv) -> PathBuf {
    env.write("htpasswd", format!("me:{}\n", bcrypt::hash(PASSWORD, 4).expect("bcrypt works")))
}

/// The config's digest of what a name means, as skopeo reads it.
fn image_id(clients: &Clients, name: &str) -> String {
    let raw = clients.skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}")]);
    let manifest: serde_json::Value = serde_json::from_str(&raw).unwrap();
    manifest["config"]["digest"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn podman_and_skopeo_push_and_pull() {
    let (env, registry) = serve(&["--allow-delete"]);
    let clients = Clients::new(&env);
    let name = build_app(&env, &registry.address);
    env.ok(&["push", "-q", &name]);
    let plain = "--tls-verify=false";
    clients.podman(&["pull", "-q", plain, &name]);
    let id = clients.podman(&["image", "inspect", "--format", "{{.Id}}", &name]);
    assert_eq!(
        format!("sha256:{}", id.trim()),
        env.ok(&["image", "inspect", "-f", "{{.Id}}", &name]).trim(),
        "the same image here and there"
    );
    for (format, compression) in [("v2s2", "gzip"), ("oci", "gzip"), ("oci", "zstd")] {
        let copy = format!("{}/by/podman:{format}-{compression}", registry.address);
        clients.podman(&["tag", &name, &copy]);
        let args = ["push", "-q", plain, "--format", format, "--compression-format", compression, &copy];
        clients.podman(&args);
        let fresh = TestEnv::new();
        fresh.ok(&["pull", "-q", &copy]);
        assert_eq!(fresh.ok(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", &copy]), "2\n");
    }
    let copy = format!("docker://{}/by/skopeo:1", registry.address);
    let (source, both) = (format!("docker://{name}"), ["--src-tls-verify=false", "--dest-tls-verify=false"]);
    clients.skopeo(&["copy", "-q", both[0], both[1], &source, &copy]);
    let layout = format!("oci:{}:1", path(&env, "layout"));
    clients.skopeo(&["copy", "-q", both[0], &copy, &layout]);
    clients.skopeo(&["copy", "-q", both[1], &layout, &format!("docker://{}/again:1", registry.address)]);
    let tags = clients.skopeo(&["list-tags", plain, &format!("docker://{}/by/podman", registry.address)]);
    assert!(tags.contains("oci-zstd") && tags.contains("v2s2-gzip"), "{tags}");
    clients.skopeo(&["delete", plain, &copy]);
    assert!(failed(&clients.try_skopeo(&["inspect", plain, &copy])).contains("manifest unknown"));
}

#[test]
fn tls_and_passwords() {
    let env = TestEnv::new();
    authority(&env.work());
    let (certificate, key) = (path(&env, "server.crt"), path(&env, "server.key"));
    let users = htpasswd(&env);
    let arguments = [
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--htpasswd",
        users.to_str().unwrap(),
        "--anonymous-pull",
    ];
    let registry = Serve::start(&env.store(), &arguments);
    let name = build_app(&env, &registry.address);
    let trust = env.work().parent().unwrap().join("home/.config/skiff/certs.d").join(&registry.address);
    fs::create_dir_all(&trust).unwrap();
    fs::copy(env.work().join("ca.crt"), trust.join("ca.crt")).unwrap();
    let refused = env.run(&["push", &name]).fails_with(1);
    assert_eq!(refused.stderr, "denied: requested access to the resource is denied\n");
    env.run(&["login", "-u", "me", "-p", "wrong", &registry.address]).fails_with(1);
    env.ok(&["login", "-u", "me", "-p", PASSWORD, &registry.address]);
    env.ok(&["push", "-q", &name]);
    let clients = Clients::new(&env);
    let theirs = format!("--cert-dir={}", trust.display());
    let theirs = theirs.as_str();
    let unknown = failed(&clients.try_podman(&["pull", &name]));
    assert!(unknown.contains("certificate"), "{unknown}");
    clients.podman(&["pull", "-q", theirs, &name]);
    let copy = format!("{}/copy:1", registry.address);
    let refused = failed(&clients.try_podman(&["push", theirs, &name, &copy]));
    assert!(refused.contains("denied"), "{refused}");
    let login = clients.podman(&["login", theirs, "-u", "me", "-p", PASSWORD, &registry.address]);
    assert!(login.contains("Login Succeeded!"), "{login}");
    clients.podman(&["push", "-q", theirs, &name, &copy]);
    assert!(clients.skopeo(&["inspect", theirs, &format!("docker://{copy}")]).contains("\"Layers\""));
    assert!(!registry.log().contains(PASSWORD));
}

#[test]
fn everybody_pulls_and_users_push() {
    let env = TestEnv::new();
    let users = htpasswd(&env);
    let registry = Serve::start(&env.store(), &["--htpasswd", users.to_str().unwrap(), "--anonymous-pull"]);
    let asked = registry.get("/v2/").is(401).header("www-authenticate");
    let expected = format!("Bearer realm=\"http://{0}/token\",service=\"{0}\"", registry.address);
    assert_eq!(asked, expected);
    let nobody = registry.get("/token").is(200).json()["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {nobody}");
    let nobody = [("Authorization", bearer.as_str())];
    registry.send("GET", "/v2/", &nobody, b"").is(200);
    let refused = registry.send("POST", "/v2/a/blobs/uploads/", &nobody, b"").is(401);
    let why = ",scope=\"repository:a:pull,push\",error=\"insufficient_scope\"";
    assert!(refused.header("www-authenticate").ends_with(why));
    registry.send("GET", "/v2/", &[("Authorization", "Bearer 99999999999.bWU.c2ln")], b"").is(401);
    registry.send("GET", "/token", &[("Authorization", "Basic bWU6d3Jvbmc=")], b"").is(401);
    registry.send("POST", "/token", &[], b"").is(405);
    // A change of the file ends what was given before.
    fs::write(&users, format!("you:{}\n", bcrypt::hash(PASSWORD, 4).unwrap())).unwrap();
    registry.send("GET", "/v2/", &nobody, b"").is(401);
}

#[test]
fn read_only_means_it() {
    let (env, registry) = serve(&[]);
    let name = build_app(&env, &registry.address);
    env.ok(&["push", "-q", &name]);
    drop(registry);
    let registry = Serve::start(&env.store(), &["--read-only"]);
    let copy = format!("{}/copy:1", registry.address);
    let theirs = format!("{}/app:1", registry.address);
    let fresh = TestEnv::new();
    fresh.ok(&["pull", "-q", &theirs]);
    fresh.ok(&["tag", &theirs, &copy]);
    let refused = fresh.run(&["push", &copy]).fails_with(1);
    assert!(refused.stderr.contains("read-only"), "{}", refused.stderr);
    let clients = Clients::new(&env);
    let (from, to) = (format!("docker://{theirs}"), format!("docker://{copy}"));
    let args = ["copy", "--src-tls-verify=false", "--dest-tls-verify=false", &from, &to];
    let said = failed(&clients.try_skopeo(&args));
    assert!(said.contains("read-only"), "{said}");
    let said = failed(&clients.try_skopeo(&["delete", "--tls-verify=false", &from]));
    assert!(said.to_lowercase().contains("read-only") || said.contains("405"), "{said}");
}

#[test]
fn many_clients_at_once() {
    let (env, registry) = serve(&[]);
    let name = build_app(&env, &registry.address);
    env.ok(&["save", "-o", "app.tar", &name]);
    let archive = format!("docker-archive:{}", path(&env, "app.tar"));
    let address = registry.address.as_str();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let archive = &archive;
            scope.spawn(move || {
                // Three repositories for six: half of the uploads meet another one of the same blob.
                let env = TestEnv::new();
                let clients = Clients::new(&env);
                let to = format!("{address}/many/{}:{number}", number % 3);
                let docker = format!("docker://{to}");
                clients.skopeo(&["copy", "-q", "--dest-tls-verify=false", archive, &docker]);
                env.ok(&["pull", "-q", &to]);
                if number < 2 {
                    clients.podman(&["pull", "-q", "--tls-verify=false", &to]);
                }
                env.ok(&["tag", &to, &format!("{address}/own/{number}:1")]);
                env.ok(&["push", "-q", &format!("{address}/own/{number}:1")]);
            });
        }
    });
    let clients = Clients::new(&env);
    let first = image_id(&clients, &format!("{address}/many/0:0"));
    assert!(first.starts_with("sha256:"));
    for number in 0..6 {
        assert_eq!(image_id(&clients, &format!("{address}/many/{}:{number}", number % 3)), first);
    }
    let log = registry.log();
    assert!(!log.contains(" 500 ") && !log.contains(" 400 "), "{log}");
}

#[test]
fn docker_and_containerd() {
    let Some(engine) = Peer::start() else { return };
    let env = TestEnv::new();
    authority(&env.work());
    let (certificate, key, users) = (path(&env, "server.crt"), path(&env, "server.key"), htpasswd(&env));
    let plain = Serve::start(&env.store(), &["--allow-delete"]);
    let name = build_app(&env, &plain.address);
    env.ok(&["push", "-q", &name]);
    engine.docker(&["pull", &name]);
    let theirs = engine.docker(&["image", "inspect", "-f", "{{json .RootFS.Layers}}", &name]);
    assert_eq!(theirs, env.ok(&["image", "inspect", "-f", "{{json .RootFS.Layers}}", &name]));
    let copy = format!("{}/by/docker:1", plain.address);
    engine.docker(&["tag", &name, &copy]);
    let said = engine.docker(&["push", &copy]);
    assert!(said.contains("1: digest: sha256:"), "{said}");
    let again = engine.docker(&["push", &copy]);
    assert!(!again.contains("Pushed"), "nothing is sent twice: {again}");
    env.ok(&["pull", "-q", &copy]);
    engine.docker(&["rmi", &name, &copy]);
    // The engine's own containerd, with its client.
    let socket = "/run/docker/containerd/containerd.sock";
    let ctr =
        |args: &[&str]| engine.inside(&[&["ctr", "-a", socket, "-n", "trial", "images"][..], args].concat());
    ctr(&["pull", "--plain-http", "--local", &copy]);
    let pushed = format!("{}/by/containerd:1", plain.address);
    ctr(&["push", "--plain-http", "--local", &pushed, &copy]);
    env.ok(&["pull", "-q", &pushed]);
    ctr(&["rm", "--sync", &copy]);
    // With TLS and a password.
    let store = env.work().join("second");
    let arguments = ["--tls-cert", &certificate, "--tls-key", &key, "--htpasswd", users.to_str().unwrap()];
    let closed = Serve::start(&store, &arguments);
    let trust = engine.root().join("etc/docker/certs.d").join(&closed.address);
    fs::create_dir_all(&trust).unwrap();
    fs::copy(env.work().join("ca.crt"), trust.join("ca.crt")).unwrap();
    let secret = format!("{}/app:1", closed.address);
    env.ok(&["tag", &name, &secret]);
    env.ok(&["login", "-u", "me", "-p", PASSWORD, &closed.address]);
    env.ok(&["push", "-q", &secret]);
    let refused = failed(&engine.try_docker(&["pull", &secret]));
    assert!(refused.contains("no basic auth credentials"), "{refused}");
    let login = ["--config", "/tmp/login", "login", "-u", "me", "-p", PASSWORD, &closed.address];
    assert!(engine.docker(&login).contains("Login Succeeded"));
    engine.docker(&["--config", "/tmp/login", "pull", &secret]);
    engine.docker(&["rmi", &secret]);
    fs::remove_dir_all(trust).unwrap();
    // Everybody may pull, users push.
    let open = ["--htpasswd", users.to_str().unwrap(), "--anonymous-pull"];
    let open = Serve::start(&env.work().join("third"), &open);
    let name = format!("{}/app:1", open.address);
    env.ok(&["tag", &secret, &name]);
    env.ok(&["login", "-u", "me", "-p", PASSWORD, &open.address]);
    env.ok(&["push", "-q", &name]);
    engine.docker(&["pull", &name]);
    let copy = format!("{}/copy:1", open.address);
    engine.docker(&["tag", &name, &copy]);
    let refused = failed(&engine.try_docker(&["push", &copy]));
    assert!(refused.contains("denied: requested access to the resource is denied"), "{refused}");
    let wrong = ["--config", "/tmp/login", "login", "-u", "me", "-p", "wrong", &open.address];
    failed(&engine.try_docker(&wrong));
    engine.docker(&["--config", "/tmp/login", "login", "-u", "me", "-p", PASSWORD, &open.address]);
    engine.docker(&["--config", "/tmp/login", "push", &copy]);
    engine.docker(&["rmi", &name, &copy]);
}

#[test]
fn a_cache_of_another_registry() {
    let upstream = DebianRegistry::start();
    let (env, cache) = {
        let env = TestEnv::new();
        let url = format!("http://{}", upstream.address);
        let cache = Serve::start(&env.store(), &["--upstream", &url, "--ttl", "1s"]);
        (env, cache)
    };
    let builder = TestEnv::new();
    let name = build_app(&builder, &upstream.address);
    builder.ok(&["push", "-q", &name]);
    let cached = format!("{}/app:1", cache.address);
    let clients = Clients::new(&env);
    env.ok(&["pull", "-q", &cached]);
    clients.podman(&["pull", "-q", "--tls-verify=false", &cached]);
    let gets = |log: &str| log.lines().filter(|line| line.contains("\"GET /v2/app/blobs/")).count();
    assert_eq!(gets(&upstream.log()), 3, "each blob came once: {}", upstream.log());
    let copy = format!("{}/copy:1", cache.address);
    env.ok(&["tag", &cached, &copy]);
    let refused = env.run(&["push", &copy]).fails_with(1);
    assert!(refused.stderr.contains("cache"), "nobody pushes to a cache: {}", refused.stderr);
    // A new image under the same tag is seen once the time is over.
    builder.write("app/small", "another\n");
    builder.ok(&["build", "-q", "-t", &name, "app"]);
    builder.ok(&["push", "-q", &name]);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    env.ok(&["pull", "-q", &cached]);
    let id = |env: &TestEnv, name: &str| env.ok(&["image", "inspect", "-f", "{{.Id}}", name]);
    assert_eq!(id(&env, &cached), id(&builder, &name));
    assert_eq!(gets(&upstream.log()), 5, "a config and a layer more");
    // What is there is served when the registry behind is gone, and what is not is said.
    drop(upstream);
    let fresh = TestEnv::new();
    fresh.ok(&["pull", "-q", &cached]);
    assert_eq!(id(&fresh, &cached), id(&builder, &name));
    let ran = fresh.run(&["pull", &format!("{}/other:1", cache.address)]).fails_with(1);
    assert!(ran.stderr.contains("the registry behind failed"), "{}", ran.stderr);
}

#[test]
fn a_cache_asks_once_for_many_and_goes_on_where_it_broke() {
    let fake = Fake::with_app();
    let (digest, bytes) = fake.layers("app", "1").remove(0);
    let (behind, big, broken) = (fake.clone(), digest.clone(), std::sync::Mutex::new(false));
    let upstream = Script::start(move |asked, _| {
        let reply = behind.answer(asked);
        if !asked.path().ends_with(&big) {
            return reply;
        }
        let slow = Reply { drip: Some((std::time::Duration::from_millis(5), 16_384)), ..reply };
        match std::mem::replace(&mut *broken.lock().unwrap(), true) {
            false => slow.cut(1_500_000),
            true => slow,
        }
    });
    let url = format!("http://{}", upstream.host);
    let (_env, cache) = serve(&["--upstream", &url]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                TestEnv::new().ok(&["pull", "-q", &format!("{}/app:1", cache.address)]);
            });
        }
    });
    let asked = upstream.asked();
    let starts: Vec<usize> = asked.iter().filter(|a| a.path().ends_with(&digest)).map(|a| a.from()).collect();
    assert_eq!(starts, [0, 1_500_000], "of {}", bytes.len());
}

/// Returns the most memory that a process had, in MiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn memory_stays_flat_with_a_gigabyte() {
    let (_env, registry) = serve(&[]);
    let piece = vec![0x5a_u8; 1 << 20];
    let count = 1024;
    let mut hasher = sha2::Sha256::new();
    (0..count).for_each(|_| hasher.update(&piece));
    let digest: String = hasher.finalize().iter().map(|b| format!("{b:02x}")).collect();
    let digest = format!("sha256:{digest}");
    let location = registry.begin("big");
    let mut stream = TcpStream::connect(&registry.address).unwrap();
    let length = piece.len() * count;
    write!(
        stream,
        "PUT {location}?digest={digest} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n",
        registry.address
    )
    .unwrap();
    (0..count).for_each(|_| stream.write_all(&piece).unwrap());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let mut stream = TcpStream::connect(&registry.address).unwrap();
    write!(
        stream,
        "GET /v2/big/blobs/{digest} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        registry.address
    )
    .unwrap();
    let got = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    assert!(got > length as u64, "{got}");
    let peak = peak(registry.pid());
    assert!(peak < 100, "{peak} MiB");
}

#[test]
fn an_upload_survives_a_kill() {
    let (_env, registry) = serve(&[]);
    let bytes: Vec<u8> = (0..200_000u32).map(|n| (n % 253) as u8).collect();
    let digest = support::serve::sha256(&bytes);
    let location = registry.begin("a");
    registry.send("PATCH", &location, &[], &bytes[..120_000]).is(202);
    let registry = registry.restart();
    let state = registry.get(&location).is(204);
    assert_eq!(state.header("range"), "0-119999");
    registry.send("PATCH", &location, &[("Content-Range", "120000-199999")], &bytes[120_000..]).is(202);
    registry.send("PUT", &format!("{location}?digest={digest}"), &[], b"").is(201);
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).is(200).body, bytes);
}

#[test]
fn what_nobody_needs_is_collected() {
    let (env, registry) = serve(&["--allow-delete"]);
    let name = build_app(&env, &registry.address);
    env.ok(&["push", "-q", &name]);
    let stray = registry.push_blob("app", b"stray");
    let gc = |args: &[&str]| -> Ran { env.run(&[&["registry", "gc"][..], args].concat()).success() };
    assert!(gc(&[]).stdout.starts_with("Removed 0 manifests, 0 blobs"), "what is new may still be needed");
    let would = gc(&["--grace", "0s", "--dry-run"]).stdout;
    assert!(would.starts_with("Would remove 0 manifests, 1 blobs"), "{would}");
    registry.get(&format!("/v2/app/blobs/{stray}")).is(200);
    assert!(gc(&["--grace", "0s"]).stdout.starts_with("Removed 0 manifests, 1 blobs"));
    registry.get(&format!("/v2/app/blobs/{stray}")).is(404);
    TestEnv::new().ok(&["pull", "-q", &name]);
    registry.send("DELETE", "/v2/app/manifests/1", &[], b"").is(202);
    let taken = gc(&["--grace", "0s", "--untagged"]).stdout;
    assert!(taken.starts_with("Removed 1 manifests, 4 blobs"), "its own bytes are one: {taken}");
}
