//! What people who come from docker type first: pull, search, push, log in. Each case is a row of that
//! list, held on the built binary as they would see it.

#![allow(clippy::print_stderr, reason = "tests say why they skip")]

mod support;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::fake::{Fake, build_app, noise};
use support::proxy::Proxy;
use support::pty::Pty;
use support::script::{Asked, Reply, Script};
use support::{TestEnv, is_root, wait_until};

/// A registry of loopback with `app:1`, which also answers for the public one as its mirror.
fn public(fake: &Fake) -> (Script, TestEnv) {
    let behind = fake.clone();
    let server = Script::start(move |asked, _| behind.answer(asked));
    let env = TestEnv::new();
    let text = format!(r#"{{"registry-mirrors":["http://{}"]}}"#, server.host);
    env.write("../home/.config/skiff/config.json", text);
    (server, env)
}

/// A registry with `library/ubuntu` under two tags and one more image on the same layers.
fn library() -> Fake {
    let fake = Fake::default();
    let behind = fake.clone();
    let server = Script::start(move |asked, _| behind.answer(asked));
    let env = TestEnv::new();
    let name = build_app(&env, &server.host);
    for repository in ["library/ubuntu:latest", "library/ubuntu:14.04"] {
        let other = format!("{}/{repository}", server.host);
        env.ok(&["tag", &name, &other]);
        env.ok(&["push", "-q", &other]);
    }
    let more = format!("{}/library/more:1", server.host);
    env.write("more/x", "x");
    env.write("more/Dockerfile", format!("FROM {name}\nCOPY x /x\n"));
    env.ok(&["build", "-q", "-t", &more, "more"]);
    env.ok(&["push", "-q", &more]);
    fake
}

/// A line that says the state of a layer: twelve digits, a colon, the state.
fn states<'a>(text: &'a str, state: &str) -> Vec<&'a str> {
    let of = |line: &'a str| {
        let (id, said) = line.split_once(": ")?;
        (id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()) && said == state).then_some(id)
    };
    text.lines().filter_map(of).collect()
}

/// Runs a command on a terminal of so many columns, through a slow wire until what it shows is enough; returns that.
fn on_terminal(
    env: &TestEnv,
    columns: u16,
    command: &[&str],
    proxy: &Proxy,
    enough: impl Fn(&str) -> bool,
) -> String {
    proxy.slow(256 << 10);
    let mut command = env.skiff(command);
    let screen = Pty::start(command.env("TERM", "xterm"), 24, columns);
    wait_until("what is counted", Duration::from_secs(60), || enough(&screen.screen()));
    proxy.slow(0);
    let (seen, code) = screen.finish();
    assert_eq!(code, Some(0), "{seen}");
    seen
}

#[test]
fn a_name_alone_is_the_latest_of_the_public_library() {
    let (server, env) = public(&library());
    let pulled = env.ok(&["pull", "ubuntu"]);
    let lines: Vec<&str> = pulled.lines().collect();
    assert_eq!(lines[..2], ["Using default tag: latest", "latest: Pulling from library/ubuntu"]);
    assert_eq!(states(&pulled, "Pulling fs layer").len(), 2, "{pulled}");
    assert_eq!(states(&pulled, "Download complete").len(), 2, "{pulled}");
    assert_eq!(states(&pulled, "Pull complete").len(), 2, "{pulled}");
    assert!(lines[lines.len() - 3].starts_with("Digest: sha256:"), "{pulled}");
    assert_eq!(
        lines[lines.len() - 2..],
        ["Status: Downloaded newer image for ubuntu:latest", "docker.io/library/ubuntu:latest"]
    );
    assert!(server.count("GET /v2/library/ubuntu/manifests/") > 0);
    assert_eq!(env.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "ubuntu:latest\n");
    let again = env.ok(&["pull", "ubuntu"]);
    assert!(
        again.ends_with("Status: Image is up to date for ubuntu:latest\ndocker.io/library/ubuntu:latest\n")
    );
}

#[test]
fn a_tag_is_pulled_as_it_is_named() {
    let (_server, env) = public(&library());
    let pulled = env.ok(&["pull", "ubuntu:14.04"]);
    assert!(pulled.starts_with("14.04: Pulling from library/ubuntu\n"), "{pulled}");
    assert_eq!(env.ok(&["images", "--format", "{{.Repository}} {{.Tag}}"]), "ubuntu 14.04\n");
    assert_eq!(env.ok(&["tags", "ubuntu"]), "14.04\nlatest\n", "one repository has many tags");
}

#[test]
fn what_moves_is_counted_on_a_terminal() {
    let fake = Fake::with_app();
    let server = Script::start(move |asked, _| fake.answer(asked));
    let (proxy, env) = (Proxy::before(&server.host), TestEnv::new());
    let counted = regex::Regex::new(
        r"[0-9a-f]{12}: Downloading  \[=*> *\]  [0-9.]+(B|kB|MB)/3\.[0-9]+MB  [0-9.]+(B|kB|MB)/s",
    );
    let (counted, name) = (counted.unwrap(), format!("{}/app:1", proxy.address));
    let seen = on_terminal(&env, 120, &["pull", &name], &proxy, |seen| counted.is_match(seen));
    assert!(seen.contains("Download complete") && seen.contains("Pull complete"), "{seen:?}");
    assert!(seen.contains("Status: Downloaded newer image for"), "{seen:?}");
}

#[test]
fn a_pushed_layer_is_counted_in_its_own_bytes_on_a_terminal() {
    let fake = Fake::default();
    let server = Script::start(move |asked, _| fake.answer(asked));
    let (proxy, env) = (Proxy::before(&server.host), TestEnv::new());
    let name = build_app(&env, &proxy.address);
    let codes = regex::Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").unwrap();
    // A line is drawn with spaces up to the edge, where the terminal goes on with the next one.
    let rows = |seen: &str| -> Vec<String> {
        let plain = codes.replace_all(seen, "\n").into_owned();
        let chars: Vec<Vec<char>> = plain.lines().map(|line| line.chars().collect()).collect();
        chars.iter().flat_map(|line| line.chunks(70)).map(|row| row.iter().collect::<String>()).collect()
    };
    let counted = r"^[0-9a-f]{12}: Pushing  (\[=*>? *\]  )?[0-9.]+k?M?B/3\.14[0-9]MB  [0-9.]+k?M?B/s *$";
    let counted = regex::Regex::new(counted).unwrap();
    let is_counted = |seen: &str| rows(seen).iter().any(|line| counted.is_match(line));
    let lines = rows(&on_terminal(&env, 70, &["push", &name], &proxy, is_counted));
    let starts = |line: &String| line.split_once(": ").is_some_and(|(id, _)| id.len() == 12);
    assert!(lines.iter().filter(|line| line.contains("Pushing")).all(starts), "no line is two: {lines:#?}");
    let last = lines.iter().rfind(|line| line.contains("digest: ")).unwrap();
    let place = lines.iter().rposition(|line| line.contains(": Pushed")).unwrap();
    assert!(place < lines.iter().position(|line| line == last).unwrap(), "{lines:#?}");
    assert!(last.starts_with("1: digest: sha256:"), "the digest stays below what was drawn: {lines:#?}");
}

#[test]
fn the_host_of_a_name_says_which_registry() {
    let fake = library();
    let (mirror, env) = public(&fake);
    let behind = fake.clone();
    let other = Script::start(move |asked, _| behind.answer(asked));
    env.ok(&["pull", "-q", &format!("{}/library/ubuntu:14.04", other.host)]);
    assert!(other.count("GET /v2/library/ubuntu/") > 0);
    assert!(mirror.asked().is_empty(), "nobody else was asked");
}

#[test]
fn layers_in_common_are_fetched_once() {
    let (server, env) = public(&library());
    env.ok(&["pull", "-q", "ubuntu"]);
    let first = server.take();
    let pulled = env.ok(&["pull", "more:1"]);
    assert_eq!(states(&pulled, "Already exists").len(), 2, "{pulled}");
    assert_eq!(states(&pulled, "Pull complete").len(), 1, "{pulled}");
    let blob = |asked: &Asked| asked.path().rsplit("/blobs/").next().unwrap_or_default().to_owned();
    let there: Vec<String> = first.iter().filter(|a| a.path().contains("/blobs/")).map(blob).collect();
    assert!(
        server.asked().iter().filter(|a| a.path().contains("/blobs/")).all(|a| !there.contains(&blob(a)))
    );
}

#[test]
fn what_is_nowhere_is_an_error_of_run() {
    if !is_root() {
        eprintln!("skipped: run needs root here");
        return;
    }
    let (_server, env) = public(&Fake::default());
    let ran = env.run(&["run", "--rm", "127.0.0.1:1/nosuch/none:1"]).fails_with(125);
    assert!(ran.stdout.is_empty(), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("Unable to find image '127.0.0.1:1/nosuch/none:1' locally\n"),
        "{}",
        ran.stderr
    );
    let fake = Fake::default();
    let server = Script::start(move |asked, _| fake.answer(asked));
    let name = format!("{}/nosuch/none:1", server.host);
    let ran = env.run(&["run", "--rm", &name]).fails_with(125);
    assert!(ran.stderr.contains(&format!("manifest for {name} not found")), "{}", ran.stderr);
}

/// A registry that gives tokens for pulling to everybody, and for pushing to nobody.
fn closed() -> (Script, Script) {
    let realm = Script::start(|_, _| Reply::json(&serde_json::json!({"token": "anybody"})));
    let at = realm.host.clone();
    let server = Script::start(move |asked, _| {
        if asked.header("authorization").is_empty() {
            let challenge =
                format!("Bearer realm=\"http://{at}/token\",service=\"s\",scope=\"repository:app:pull\"");
            return Reply::errors(401, "UNAUTHORIZED", "authentication required")
                .header("www-authenticate", challenge);
        }
        Reply::errors(403, "DENIED", "requested access to the resource is denied")
    });
    (realm, server)
}

#[test]
fn a_push_without_login_is_denied() {
    let (_realm, server) = closed();
    let env = TestEnv::new();
    let name = build_app(&env, &server.host);
    let ran = env.run(&["push", &name]).fails_with(1);
    assert_eq!(ran.stderr, "denied: requested access to the resource is denied\n");
    let ran = env.run(&["pull", &format!("{}/app:2", server.host)]).fails_with(1);
    let name = format!("{}/app", server.host);
    assert_eq!(
        ran.stderr,
        format!(
            "Error response from daemon: pull access denied for {name}, repository does not exist or may \
             require 'docker login': denied: requested access to the resource is denied\n"
        )
    );
    // The same of a repository that is not there at all.
    for args in [&["tags", &name][..], &["pull", "-a", &name]] {
        let ran = env.run(args).fails_with(1);
        assert!(ran.stderr.contains(&format!("pull access denied for {name}")), "{}", ran.stderr);
    }
}

#[test]
fn a_login_lasts_until_the_logout() {
    let right = format!("Basic {}", STANDARD.encode("ann:s3cret"));
    let fake = Fake::default();
    let server = Script::start(move |asked, _| match asked.header("authorization") == right {
        true => fake.answer(asked),
        false => Reply::errors(401, "UNAUTHORIZED", "authentication required")
            .header("www-authenticate", "Basic realm=\"r\""),
    });
    let env = TestEnv::new();
    let name = build_app(&env, &server.host);
    env.run(&["push", "-q", &name]).fails_with(1);
    let mut login = env.skiff(&["login", "-u", "ann", "--password-stdin", &server.host]);
    let secret = env.write("secret", "s3cret\n");
    login.stdin(std::fs::File::open(secret).unwrap());
    let ran = login.output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert!(String::from_utf8_lossy(&ran.stdout).ends_with("Login Succeeded\n"), "{ran:?}");
    let pushed = env.ok(&["push", &name]);
    let digest = pushed.split_whitespace().rev().nth(2).unwrap().to_owned();
    assert!(digest.starts_with("sha256:"), "{pushed}");

    // Another one with the same right gets the same image.
    let other = TestEnv::new();
    let auth =
        serde_json::json!({"auths": {&server.host: {"auth": STANDARD.encode("ann:s3cret")}}}).to_string();
    let ran = other.run_with(&["pull", &name], &[("DOCKER_AUTH_CONFIG", &auth)]).success();
    assert!(ran.stdout.contains(&format!("Digest: {digest}\n")), "{}", ran.stdout);

    let out = env.ok(&["logout", &server.host]);
    assert_eq!(out, format!("Removing login credentials for {}\n", server.host));
    env.run(&["pull", &format!("{}/app:9", server.host)]).fails_with(1);
}

#[test]
fn search_prints_a_table() {
    let server = Script::start(|asked, _| {
        assert_eq!(asked.path(), "/v1/search");
        let result = |name: &str, stars: u64, official: bool| {
            serde_json::json!({"name": name, "description": "An image with a description that is longer than its column",
                "star_count": stars, "is_official": official, "is_automated": false})
        };
        Reply::json(
            &serde_json::json!({"results": [result("ubuntu", 17000, true), result("ann/ubuntu", 2, false)]}),
        )
    });
    let env = TestEnv::new();
    let term = format!("{}/ubuntu", server.host);
    let table = env.ok(&["search", &term]);
    let lines: Vec<&str> = table.lines().collect();
    let words: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(words, ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]);
    assert!(
        lines[1].starts_with("ubuntu ") && lines[1].contains('…') && lines[1].trim_end().ends_with("[OK]")
    );
    assert!(!lines[2].contains("[OK]"), "{table}");
    for few in ["-s=3", "--stars=3", "--filter=stars=3"] {
        assert_eq!(env.ok(&["search", few, "--format", "{{.Name}}", &term]), "ubuntu\n", "{few}");
    }
    let ran = env.run(&["search", "--automated=false", "--no-trunc=false", &term]).success();
    assert!(ran.stderr.to_lowercase().contains("deprecated"), "{}", ran.stderr);
    assert!(ran.stdout.contains('…'));
    assert!(env.ok(&["search", "--no-trunc", &term]).contains("longer than its column"));
    let ran = env.run(&["search", "--starts", "3", &term]);
    assert!(ran.code != Some(0) && ran.stderr.contains("--stars"), "{}", ran.stderr);
}

#[test]
fn noise_stays_noise() {
    // What cannot be compressed is sent as it is, hardly larger.
    let fake = Fake::default();
    let behind = fake.clone();
    let server = Script::start(move |asked, _| behind.answer(asked));
    let env = TestEnv::new();
    let name = build_app(&env, &server.host);
    env.ok(&["push", "-q", &name]);
    let largest = fake.layers("app", "1").iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    let plain = noise(3 << 20).len();
    assert!(largest < plain + plain / 100 && largest > plain / 2, "{largest} of {plain}");
}
