//! Registries that break, lie, stall and never end: each is survived or said, within a time, and leaves nothing.

mod support;

use std::process::Stdio;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::fake::{Fake, build_app, noise};
use support::script::{Asked, Reply, Script};
use support::serve::sha256;
use support::{Ran, TestEnv};

/// Nothing here may take longer.
const LIMIT: Duration = Duration::from_secs(120);
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Patience that is tried on purpose; a machine that has no time for us for so long fails the test.
const SOON: &str = "3s";
/// Patience that never runs out here.
const LATE: &str = "60s";

/// An environment whose transfers give up after a few attempts, and when nothing came for a time.
fn with_patience(stall: &str) -> TestEnv {
    let env = TestEnv::new();
    let folder = env.work().parent().unwrap().join("home/.config/skiff");
    std::fs::create_dir_all(&folder).unwrap();
    let text = format!(r#"{{"stall-timeout": "{stall}", "max-download-attempts": 3}}"#);
    std::fs::write(folder.join("config.json"), text).unwrap();
    env
}

/// Runs the binary, which must end by itself within the limit.
fn run(env: &TestEnv, args: &[&str]) -> Ran {
    let mut command = env.skiff(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > LIMIT {
            let _ = child.kill();
            panic!("{args:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    Ran {
        args: args.iter().map(ToString::to_string).collect(),
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Pulls `app:1` into a fresh store.
fn pull(server: &Script) -> (TestEnv, Ran) {
    pull_with(server, LATE)
}

fn pull_with(server: &Script, stall: &str) -> (TestEnv, Ran) {
    let env = with_patience(stall);
    let ran = run(&env, &["pull", &format!("{}/app:1", server.host)]);
    (env, ran)
}

/// Pulls, which must fail with this text and leave no image.
#[track_caller]
fn pull_fails(server: &Script, said: &str) -> String {
    pull_fails_with(server, LATE, said)
}

#[track_caller]
fn pull_fails_with(server: &Script, stall: &str, said: &str) -> String {
    let (env, ran) = pull_with(server, stall);
    let ran = ran.fails_with(1);
    assert!(ran.stderr.contains(said), "{said:?} is not in {}", ran.stderr);
    assert_eq!(env.ok(&["images", "-q"]), "", "nothing stays");
    ran.stderr
}

/// A registry with `app:1` whose answers a test may replace; it gets the good answer and how often
/// this request came before.
fn with_mischief(
    fake: &Fake,
    mischief: impl Fn(&Asked, usize, Reply) -> Reply + Send + Sync + 'static,
) -> Script {
    let fake = fake.clone();
    let seen = Mutex::new(std::collections::HashMap::<String, usize>::new());
    Script::start(move |asked, _| {
        let before = {
            let mut seen = seen.lock().unwrap();
            let count = seen.entry(format!("{} {}", asked.method, asked.path())).or_default();
            *count += 1;
            *count - 1
        };
        mischief(asked, before, fake.answer(asked))
    })
}

fn big(fake: &Fake) -> (String, usize) {
    let (digest, bytes) = fake.layers("app", "1").remove(0);
    (digest, bytes.len())
}

#[test]
fn layers_that_break_go_on_where_they_were() {
    let fake = Fake::with_app();
    let (digest, size) = big(&fake);
    for kind in ["cut", "reset", "hang"] {
        let wanted = digest.clone();
        let server = with_mischief(&fake, move |asked, before, reply| {
            match asked.path().ends_with(&wanted) && before < 2 {
                true if kind == "cut" => reply.cut(700_000),
                true if kind == "reset" => reply.reset(700_000),
                true => reply.hang(700_000),
                false => reply,
            }
        });
        pull_with(&server, if kind == "hang" { SOON } else { LATE }).1.success();
        let asked = server.asked();
        let starts: Vec<usize> =
            asked.iter().filter(|a| a.path().ends_with(&digest)).map(Asked::from).collect();
        assert_eq!(starts[0], 0, "{kind}");
        // What was on its way when a connection is reset may be lost, but no more.
        assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "{kind}: {starts:?}");
        assert!(kind == "reset" || starts == [0, 700_000, 1_400_000], "{kind}: {starts:?} of {size}");
    }
}

#[test]
fn layers_that_always_break_are_an_error() {
    let fake = Fake::with_app();
    let (digest, size) = big(&fake);
    let wanted = digest.clone();
    let server = with_mischief(&fake, move |asked, _, reply| {
        let start = asked.path().ends_with(&wanted);
        if start {
            Reply::new(200).body(&reply.body[..]).header("content-length", size).cut(1000)
        } else {
            reply
        }
    });
    let said = pull_fails(&server, &digest);
    assert!(said.contains("bytes") || said.contains("closed") || said.contains("end"), "{said}");
    assert!(server.count(&format!("GET /v2/app/blobs/{digest}")) <= 20);
}

#[test]
fn layers_of_other_bytes_and_lengths() {
    let fake = Fake::with_app();
    let (digest, size) = big(&fake);
    let other = noise(size + 1)[1..].to_vec();
    assert_eq!(other.len(), size);
    for (body, said) in [
        (other, "the content has digest"),
        (vec![0; size - 1], "bytes"),
        (vec![0; size + 1], "bytes"),
        (Vec::new(), "bytes"),
    ] {
        let wanted = digest.clone();
        let server = with_mischief(&fake, move |asked, _, reply| {
            if asked.path().ends_with(&wanted) { support::fake::part(asked, &body) } else { reply }
        });
        pull_fails(&server, said);
        assert!(server.count(&format!("GET /v2/app/blobs/{digest}")) <= 6);
    }
    // What was wrong once is thrown away and fetched again.
    let wanted = digest.clone();
    let server = with_mischief(&fake, move |asked, before, mut reply| {
        if asked.path().ends_with(&wanted) && before == 0 {
            reply.body[1000] ^= 1;
        }
        reply
    });
    pull(&server).1.success();
}

#[test]
fn documents_of_other_bytes() {
    let fake = Fake::with_app();
    let config = fake.config("app", "1");
    let server = with_mischief(&fake, move |asked, _, mut reply| {
        if asked.path().ends_with(&config) {
            reply.body[0] = b' ';
        }
        reply
    });
    pull_fails(&server, "the content has digest");
    let other = sha256(b"other");
    let server = with_mischief(&fake, move |asked, _, mut reply| {
        if asked.path().contains("/manifests/") {
            reply.headers.retain(|(name, _)| name != "docker-content-digest");
            return reply.header("docker-content-digest", &other);
        }
        reply
    });
    pull_fails(&server, "the content has digest");
    let (kind, bytes) = fake.get("app", "1");
    let digest = sha256(&bytes);
    let server =
        with_mischief(&fake, move |_, _, _| Reply::new(200).header("content-type", &kind).body("{}"));
    let env = with_patience(LATE);
    let ran = run(&env, &["pull", &format!("{}/app@{digest}", server.host)]).fails_with(1);
    assert!(ran.stderr.contains(&format!("not {digest}")), "{}", ran.stderr);
    // Layers that are what their digest says, but not what the config says.
    let mut manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    manifest["layers"].as_array_mut().unwrap().swap(0, 1);
    fake.put("app", "1", MANIFEST, manifest.to_string().into_bytes());
    pull_fails(&with_mischief(&fake, |_, _, reply| reply), "wrong diff id calculated on extraction");
}

#[test]
fn manifests_that_are_none() {
    let fake = Fake::with_app();
    let index = "application/vnd.oci.image.index.v1+json";
    for (kind, body, said) in [
        ("text/html", "<html>log in here</html>", "text/html"),
        (MANIFEST, "not json", "invalid manifest"),
        (MANIFEST, "{}", "invalid manifest"),
        (MANIFEST, r#"{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}"#, "invalid manifest"),
        (index, r#"{"schemaVersion":2,"manifests":[]}"#, "no matching manifest for linux/amd64"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", r#"{"schemaVersion":1}"#, "schema 1"),
    ] {
        let server =
            with_mischief(&fake, move |asked, _, reply| match asked.path().contains("/manifests/") {
                true => Reply::new(200).header("content-type", kind).body(body),
                false => reply,
            });
        pull_fails(&server, said);
    }
}

#[test]
fn documents_without_end() {
    let fake = Fake::with_app();
    let server = with_mischief(&fake, |asked, _, reply| match asked.path().contains("/manifests/") {
        true => Reply {
            endless: true,
            ..Reply::new(200).header("content-type", MANIFEST).body(vec![b' '; 65536])
        },
        false => reply,
    });
    pull_fails(&server, "longer than the");
    let server = with_mischief(&fake, |asked, _, reply| match asked.path().contains("/manifests/") {
        true => Reply::new(200).header("content-length", 1u64 << 40).hang(0),
        false => reply,
    });
    pull_fails(&server, "longer than the");
    // A config that its manifest says to be huge is not begun.
    let mut manifest: serde_json::Value = serde_json::from_slice(&fake.get("app", "1").1).unwrap();
    manifest["config"]["size"] = (1u64 << 40).into();
    fake.put("app", "1", MANIFEST, manifest.to_string().into_bytes());
    let server = with_mischief(&fake, |_, _, reply| reply);
    pull_fails(&server, "longer than the");
    assert_eq!(server.count("GET /v2/app/blobs/"), 0);
    // Lists.
    let server = Script::start(|asked, number| match asked.path() {
        "/v2/" => Reply::new(200),
        "/v2/huge/tags/list" => Reply { endless: true, ..Reply::new(200).body(vec![b' '; 65536]) },
        _ => Reply::new(200)
            .header("link", format!("</v2/app/tags/list?last={number}>; rel=\"next\""))
            .body(r#"{"tags":["x"]}"#),
    });
    for args in [&["tags", "app"][..], &["pull", "-a", "app"]] {
        let name = format!("{}/{}", server.host, args[args.len() - 1]);
        let args: Vec<&str> = args[..args.len() - 1].iter().copied().chain([name.as_str()]).collect();
        let ran = run(&with_patience(LATE), &args).fails_with(1);
        assert!(ran.stderr.contains("the list has more than"), "{}", ran.stderr);
    }
    let ran = run(&with_patience(LATE), &["tags", &format!("{}/huge", server.host)]).fails_with(1);
    assert!(ran.stderr.contains("longer than the"), "{}", ran.stderr);
}

#[test]
fn servers_that_ask_for_patience() {
    let fake = Fake::with_app();
    let slow = |asked: &Asked, before: usize, reply: Reply| match before == 0 && asked.path() != "/v2/" {
        true => Reply::errors(429, "TOOMANYREQUESTS", "slow down").header("retry-after", 1),
        false => reply,
    };
    let server = with_mischief(&fake, slow);
    let began = Instant::now();
    pull(&server).1.success();
    assert!(began.elapsed() >= Duration::from_secs(1));
    // Who is to come back tomorrow is told so.
    let server = with_mischief(&fake, |_, _, _| {
        Reply::errors(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.")
            .header("retry-after", 86_400)
    });
    let began = Instant::now();
    let said = pull_fails(&server, "toomanyrequests: You have reached your pull rate limit.");
    assert!(began.elapsed() < LIMIT, "{said}");
    // A push is as patient.
    let kept = Fake::default();
    let server = with_mischief(&kept, slow);
    let env = with_patience(LATE);
    let name = build_app(&env, &server.host);
    run(&env, &["push", "-q", &name]).success();
    assert_eq!(kept.layers("app", "1").len(), 2);
}

#[test]
fn servers_that_fail() {
    let fake = Fake::with_app();
    let server = with_mischief(&fake, |_, before, reply| match before {
        0 => Reply::new(503).body("<html>busy</html>"),
        1 => Reply::errors(500, "UNKNOWN", "oops"),
        _ => reply,
    });
    pull(&server).1.success();
    for status in [500, 502, 503, 504] {
        let server = with_mischief(&fake, move |asked, _, reply| match asked.path().contains("/blobs/") {
            true => Reply::new(status),
            false => reply,
        });
        pull_fails(&server, &format!("{status} "));
        assert!(server.asked().len() < 20, "{}", server.asked().len());
    }
    // What was forbidden once is not asked again and again.
    let server = with_mischief(&fake, |asked, _, reply| match asked.path().contains("/blobs/") {
        true => Reply::errors(403, "DENIED", "not for you"),
        false => reply,
    });
    pull_fails(&server, "denied: not for you");
    let env = with_patience(LATE);
    env.write("Dockerfile", format!("FROM {}/app:1\n", server.host));
    let ran = run(&env, &["build", "."]).fails_with(1);
    assert!(ran.stderr.contains("denied: not for you"), "{}", ran.stderr);
}

#[test]
fn servers_that_drip_or_say_nothing() {
    let fake = Fake::with_app();
    let drip = |reply: Reply| Reply { drip: Some((Duration::from_millis(100), 1)), ..reply };
    for what in ["/manifests/", "/blobs/"] {
        let server = with_mischief(
            &fake,
            move |asked, _, reply| {
                if asked.path().contains(what) { drip(reply) } else { reply }
            },
        );
        pull_fails_with(&server, "1s", "no data for");
        let server =
            with_mischief(
                &fake,
                move |asked, _, reply| {
                    if asked.path().contains(what) { Reply::default().hang(0) } else { reply }
                },
            );
        pull_fails_with(&server, "1s", "no data for");
    }
    // Slow but steady is no failure.
    let server = with_mischief(&fake, |asked, _, reply| match asked.path().contains("/blobs/") {
        true => Reply { drip: Some((Duration::from_millis(10), 20_000)), ..reply },
        false => reply,
    });
    pull(&server).1.success();
}

#[test]
fn servers_that_want_a_password_again_and_again() {
    let fake = Fake::with_app();
    for challenge in ["Basic realm=\"x\"", "Bearer realm=\"http://REALM/token\",service=\"x\""] {
        let server = Script::start_with(|host| {
            let challenge = challenge.replace("REALM", &host);
            move |asked, _| match asked.path() {
                "/token" => Reply::json(&serde_json::json!({"token": "t"})),
                _ => Reply::errors(401, "UNAUTHORIZED", "again").header("www-authenticate", &challenge),
            }
        });
        let env = with_patience(LATE);
        let auth = STANDARD.encode("me:s3cret-pa55");
        let auths = serde_json::json!({"auths": {server.host.as_str(): {"auth": auth}}}).to_string();
        let args = ["pull", &format!("{}/app:1", server.host)];
        let ran = env.run_with(&args, &[("DOCKER_AUTH_CONFIG", &auths)]).fails_with(1);
        assert!(ran.stderr.contains("unauthorized: again"), "{}", ran.stderr);
        assert!(server.asked().len() <= 8, "{}", server.asked().len());
    }
    // Redirects take no password along, and end.
    let behind = fake.clone();
    let other = Script::start(move |asked, _| {
        assert_eq!(asked.header("authorization"), "", "{}", asked.line());
        behind.answer(asked)
    });
    let to = other.host.clone();
    let server = with_mischief(&fake, move |asked, _, reply| {
        if asked.header("authorization").is_empty() {
            return Reply::new(401).header("www-authenticate", "Basic realm=\"x\"");
        }
        match asked.path().contains("/blobs/") {
            true => Reply::new(302).header("location", format!("http://{to}{}", asked.target)),
            false => reply,
        }
    });
    let auth = serde_json::json!({"auths": {server.host.as_str(): {"auth": STANDARD.encode("me:pw")}}});
    let args = ["pull", "-q", &format!("{}/app:1", server.host)];
    with_patience(LATE).run_with(&args, &[("DOCKER_AUTH_CONFIG", &auth.to_string())]).success();
    assert_eq!(other.asked().len(), 3);
    for (location, said) in [
        ("/v2/app/manifests/1", "stopped after 10 redirects"),
        ("file:///etc/passwd", "the redirect leads to a file URL"),
        ("http://[", "the redirect leads to no URL"),
    ] {
        let server = with_mischief(&fake, move |_, _, _| Reply::new(307).header("location", location));
        pull_fails(&server, said);
    }
}

#[test]
fn uploads_that_break_go_on_where_they_were() {
    for kind in ["reset", "busy", "hang"] {
        let fake = Fake::default();
        let (kept, broken) = (fake.clone(), Mutex::new(false));
        let server = Script::start(move |asked, _| {
            let mut broken = broken.lock().unwrap();
            if asked.method == "PATCH" && asked.body.len() > 1_000_000 && !*broken {
                *broken = true;
                kept.receive(asked, 1_000_000);
                return match kind {
                    "reset" => Reply::default().reset(0),
                    "busy" => Reply::errors(503, "UNKNOWN", "busy"),
                    _ => Reply::default().hang(0),
                };
            }
            drop(broken);
            kept.answer(asked)
        });
        let env = with_patience(if kind == "hang" { SOON } else { LATE });
        let name = build_app(&env, &server.host);
        run(&env, &["push", "-q", &name]).success();
        let (_, size) = big(&fake);
        let sent: usize = server.asked().iter().filter(|a| a.method == "PATCH").map(|a| a.body.len()).sum();
        let small = fake.layers("app", "1")[1].1.len();
        let config = 10_000;
        assert!((size..=size + 2_200_000 + small + config).contains(&sent), "{kind}: {sent} of {size}");
        // The same bytes were not sent twice where the registry said that it has them.
        let again: Vec<usize> = server
            .asked()
            .iter()
            .filter(|a| a.method == "PATCH" && a.body.len() > small + config)
            .map(|a| a.body.len())
            .collect();
        assert_eq!(again.last(), Some(&(size - 1_000_000)), "{kind}: {again:?}");
    }
}

#[test]
fn uploads_that_are_refused() {
    let cases: [(&str, Reply, &str); 6] = [
        ("PATCH", Reply::errors(413, "SIZE_INVALID", "too big for me"), "too big for me"),
        ("PATCH", Reply::errors(500, "UNKNOWN", "disk full"), "disk full"),
        ("PUT blob", Reply::errors(400, "DIGEST_INVALID", "other bytes"), "other bytes"),
        ("PUT manifest", Reply::errors(400, "MANIFEST_INVALID", "ugly"), "ugly"),
        ("POST", Reply::errors(403, "DENIED", "not yours"), "denied: not yours"),
        ("POST", Reply::new(202), "names no upload location"),
    ];
    for (what, bad, said) in cases {
        let fake = Fake::default();
        let kind = move |asked: &Asked| match (asked.method.as_str(), asked.path().contains("/manifests/")) {
            ("PUT", true) => "PUT manifest".to_owned(),
            ("PUT", false) => "PUT blob".to_owned(),
            (method, _) => method.to_owned(),
        };
        let kept = fake.clone();
        let server =
            Script::start(move |asked, _| if kind(asked) == what { bad.clone() } else { kept.answer(asked) });
        let env = with_patience(LATE);
        let name = build_app(&env, &server.host);
        let ran = run(&env, &["push", &name]).fails_with(1);
        assert!(ran.stderr.contains(said), "{what}: {}", ran.stderr);
        assert!(!fake.references("app").contains(&"1".to_owned()), "{what}: nothing has the tag");
        assert!(server.asked().len() < 60, "{what}: {}", server.asked().len());
    }
    // Another digest than the one that was sent is no success.
    let fake = Fake::default();
    let server = with_mischief(&fake, |asked, _, reply| match asked.path().contains("/manifests/") {
        true if asked.method == "PUT" => Reply::new(201).header("docker-content-digest", sha256(b"other")),
        _ => reply,
    });
    let env = with_patience(LATE);
    let name = build_app(&env, &server.host);
    let ran = run(&env, &["push", &name]).fails_with(1);
    assert!(ran.stderr.contains(&sha256(b"other")), "{}", ran.stderr);
}
