//! Registries behind a token server: what is asked for, what is shown to whom, and tokens that run out.

mod support;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::TestEnv;
use support::fake::{Fake, build_app, noise};
use support::script::{Asked, Reply, Script};

const PASSWORD: &str = "s3cret-pa55";
const REFRESH: &str = "refresh-t0ken";

/// How long a token that runs out is still good, for requests that are on their way.
const LIFE: Duration = Duration::from_millis(200);

/// Tokens that are good now, and whether they were shown.
#[derive(Clone, Default)]
struct Tokens(Arc<Mutex<HashMap<String, bool>>>);

impl Tokens {
    fn server(&self) -> Script {
        let tokens = self.clone();
        Script::start(move |asked, number| tokens.issue(asked, number))
    }

    fn issue(&self, asked: &Asked, number: usize) -> Reply {
        let basic = format!("Basic {}", STANDARD.encode(format!("me:{PASSWORD}")));
        let known =
            asked.header("authorization") == basic || asked.form("refresh_token").as_deref() == Some(REFRESH);
        if !known {
            return Reply::errors(401, "UNAUTHORIZED", "incorrect username or password");
        }
        let scopes = match asked.method.as_str() {
            "POST" => asked.form("scope").unwrap_or_default().split(' ').map(str::to_owned).collect(),
            _ => asked.queries("scope"),
        };
        let token = STANDARD.encode(format!("{number}|{}", scopes.join(" ")));
        self.0.lock().unwrap().insert(token.clone(), false);
        let mut answer = serde_json::json!({"token": token, "expires_in": 300});
        if asked.query("offline_token").is_some() {
            answer["refresh_token"] = REFRESH.into();
        }
        Reply::json(&answer)
    }

    /// Ends all tokens but those that someone has only just got: however long they take to come here, they are good.
    fn expire(&self) {
        let old: Vec<String> = self
            .0
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, shown)| **shown)
            .map(|(token, _)| token.clone())
            .collect();
        std::thread::sleep(LIFE);
        self.0.lock().unwrap().retain(|token, _| !old.contains(token));
    }

    /// Refuses what the token does not allow; none for what may pass.
    fn refuse(&self, asked: &Asked, realm: &str) -> Option<Reply> {
        let name = asked.path().trim_start_matches("/v2/").split("/blobs/").next().unwrap_or_default();
        let name = name.split("/manifests/").next().unwrap_or_default().trim_end_matches("/tags/list");
        let actions = if matches!(asked.method.as_str(), "GET" | "HEAD") { "pull" } else { "pull,push" };
        let scope = if name.is_empty() { String::new() } else { format!("repository:{name}:{actions}") };
        let token = asked.header("authorization").trim_start_matches("Bearer ");
        let good = self.0.lock().unwrap().get_mut(token).map(|shown| *shown = true).is_some();
        let granted = String::from_utf8(STANDARD.decode(token).unwrap_or_default()).unwrap_or_default();
        let fits = granted.split(['|', ' ']).any(|one| one.starts_with(&scope));
        if good && fits {
            return None;
        }
        let challenge = format!("Bearer realm=\"http://{realm}/token\",service=\"fake\",scope=\"{scope}\"");
        Some(
            Reply::errors(401, "UNAUTHORIZED", "authentication required")
                .header("www-authenticate", challenge),
        )
    }
}

/// A registry that wants tokens, and the server that gives them.
fn guarded(fake: &Fake) -> (Tokens, Script, Script) {
    let tokens = Tokens::default();
    let realm = tokens.server();
    let (fake, guard, host) = (fake.clone(), tokens.clone(), realm.host.clone());
    let registry =
        Script::start(move |asked, _| guard.refuse(asked, &host).unwrap_or_else(|| fake.answer(asked)));
    (tokens, realm, registry)
}

fn auths(host: &str) -> String {
    let auth = STANDARD.encode(format!("me:{PASSWORD}"));
    serde_json::json!({"auths": {host: {"auth": auth}}}).to_string()
}

fn scopes(realm: &Script) -> Vec<String> {
    realm.take().iter().map(|asked| asked.queries("scope").join(" ")).collect()
}

fn shows_no_password(registry: &Script) {
    let password = STANDARD.encode(format!("me:{PASSWORD}"));
    for asked in registry.asked() {
        assert!(!asked.header("authorization").contains(&password), "{}", asked.line());
        assert!(!asked.target.contains(PASSWORD) && !asked.target.contains(REFRESH));
    }
}

#[test]
fn each_command_asks_for_the_least_that_it_needs() {
    let fake = Fake::with_app();
    let (_tokens, realm, registry) = guarded(&fake);
    let env = TestEnv::new();
    let own = auths(&registry.host);
    let run = |args: &[&str]| env.run_with(args, &[("DOCKER_AUTH_CONFIG", &own)]).success().stdout;
    let app = format!("{}/app:1", registry.host);
    run(&["pull", "-q", &app]);
    assert_eq!(scopes(&realm), ["repository:app:pull"], "one token for everything");
    run(&["tags", &format!("{}/app", registry.host)]);
    assert_eq!(scopes(&realm), ["repository:app:pull"]);
    run(&["image", "inspect", "--remote", &app]);
    assert_eq!(scopes(&realm), ["repository:app:pull"]);
    let copy = format!("{}/team/copy:1", registry.host);
    run(&["tag", &app, &copy]);
    run(&["push", "-q", &copy]);
    let asked = scopes(&realm);
    assert_eq!(asked[0], "repository:team/copy:pull,push");
    let more = "repository:app:pull repository:team/copy:pull,push";
    assert!(asked[1..].iter().all(|scope| scope == more) && asked.len() == 2, "{asked:?}");
    assert!(registry.asked().iter().any(|a| a.line().contains("?mount=") && a.line().ends_with("&from=app")));
    // Each command is challenged once; the look-ups of a push, which come together, once each.
    let challenged = registry.asked().iter().filter(|a| a.header("authorization").is_empty()).count();
    assert!(challenged <= 3 + 3, "{challenged}");
    shows_no_password(&registry);
}

#[test]
fn a_login_keeps_what_the_server_gives_instead_of_the_password() {
    let fake = Fake::with_app();
    let (_tokens, realm, registry) = guarded(&fake);
    let env = TestEnv::new();
    let host = registry.host.as_str();
    let wrong = env.run(&["login", "-u", "me", "-p", "wrong", host]).fails_with(1);
    assert!(wrong.stderr.contains("unauthorized: incorrect username or password"), "{}", wrong.stderr);
    let good = env.run(&["login", "-u", "me", "-p", PASSWORD, host]).success();
    assert_eq!(good.stdout, "Login Succeeded\n");
    let asked = realm.take().pop().unwrap();
    assert_eq!(asked.queries("scope"), [""; 0], "a login asks for no rights");
    assert_eq!(asked.query("account").as_deref(), Some("me"));
    assert_eq!(asked.query("service").as_deref(), Some("fake"));
    let file = env.work().parent().unwrap().join("home/.docker/config.json");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(REFRESH) && !text.contains(&STANDARD.encode(format!("me:{PASSWORD}"))), "{text}");
    env.ok(&["pull", "-q", &format!("{host}/app:1")]);
    let asked = realm.take().pop().unwrap();
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.form("grant_type").as_deref(), Some("refresh_token"));
    assert_eq!(asked.form("scope").as_deref(), Some("repository:app:pull"));
    shows_no_password(&registry);
}

#[test]
fn a_token_that_runs_out_in_the_middle_of_a_layer_is_renewed() {
    let fake = Fake::with_app();
    let tokens = Tokens::default();
    let realm = tokens.server();
    let (big, bytes) = fake.layers("app", "1").remove(0);
    let (guard, host, size) = (tokens.clone(), realm.host.clone(), bytes.len());
    let (broken, name_of_big) = (Mutex::new(false), big.clone());
    let registry = Script::start(move |asked, _| {
        if let Some(refused) = guard.refuse(asked, &host) {
            return refused;
        }
        let reply = fake.answer(asked);
        let mut broken = broken.lock().unwrap();
        if asked.path().ends_with(&big) && !*broken {
            *broken = true;
            guard.expire();
            return reply.cut(size / 2);
        }
        reply
    });
    let env = TestEnv::new();
    let own = auths(&registry.host);
    let name = format!("{}/app:1", registry.host);
    env.run_with(&["pull", "-q", &name], &[("DOCKER_AUTH_CONFIG", &own)]).success();
    let asked: Vec<Asked> =
        registry.asked().into_iter().filter(|asked| asked.path().ends_with(&name_of_big)).collect();
    let (first, last) = (asked.first().unwrap(), asked.last().unwrap());
    assert_eq!((first.from(), last.from()), (0, size / 2), "it goes on where it broke");
    assert_ne!(first.header("authorization"), last.header("authorization"), "with a new token");
    assert!((2..=3).contains(&realm.asked().len()));
}

#[test]
fn a_token_that_runs_out_between_the_pieces_of_a_push_is_renewed() {
    let fake = Fake::default();
    let tokens = Tokens::default();
    let realm = tokens.server();
    let (guard, host, kept) = (tokens.clone(), realm.host.clone(), fake.clone());
    let seen = Mutex::new(HashSet::new());
    let registry = Script::start(move |asked, _| {
        // All tokens end when a layer, its end, and the manifest are sent for the first time.
        let kind = format!("{} {}", asked.method, asked.path().contains("/manifests/"));
        let is_upload = matches!(asked.method.as_str(), "PATCH" | "PUT");
        if is_upload && seen.lock().unwrap().insert(kind) {
            guard.expire();
        }
        guard.refuse(asked, &host).unwrap_or_else(|| kept.answer(asked))
    });
    let env = TestEnv::new();
    let name = build_app(&env, &registry.host);
    let own = auths(&registry.host);
    env.run_with(&["push", "-q", &name], &[("DOCKER_AUTH_CONFIG", &own)]).success();
    assert_eq!(fake.layers("app", "1").len(), 2);
    let patched: HashSet<String> = registry
        .asked()
        .iter()
        .filter(|asked| asked.method == "PATCH")
        .map(|asked| asked.header("authorization").to_owned())
        .collect();
    assert!(patched.len() >= 2, "one that ran out, and one that replaced it: {patched:?}");
    assert!(realm.asked().len() >= 3);
    shows_no_password(&registry);
}

#[test]
fn anonymous_tokens_and_servers_that_never_are_content() {
    let fake = Fake::with_app();
    let realm = Script::start(|asked, _| {
        assert_eq!(asked.header("authorization"), "");
        Reply::json(&serde_json::json!({"access_token": "anybody"}))
    });
    let host = realm.host.clone();
    let registry = Script::start(move |asked, _| {
        let open = asked.header("authorization") == "Bearer anybody" && !asked.path().contains("closed");
        let challenge = format!("bearer REALM=\"http://{host}/t\",scope=\"repository:x/closed:pull\"");
        match open {
            true => fake.answer(asked),
            false => Reply::errors(401, "UNAUTHORIZED", "no").header("WWW-Authenticate", challenge),
        }
    });
    let env = TestEnv::new();
    env.ok(&["pull", "-q", &format!("{}/app:1", registry.host)]);
    registry.take();
    let ran = env.run(&["pull", &format!("{}/x/closed:1", registry.host)]).fails_with(1);
    assert!(ran.stderr.contains("unauthorized: no"), "{}", ran.stderr);
    assert!(registry.asked().len() < 8, "a loop of 401 ends: {}", registry.asked().len());
}

#[test]
fn a_redirect_to_another_host_takes_no_credential_along() {
    let fake = Fake::with_app();
    let behind = fake.clone();
    let storage = Script::start(move |asked, _| {
        assert_eq!((asked.header("authorization"), asked.header("cookie")), ("", ""), "{}", asked.line());
        behind.answer(asked)
    });
    let tokens = Tokens::default();
    let realm = tokens.server();
    let (guard, host, elsewhere) = (tokens.clone(), realm.host.clone(), storage.host.clone());
    let registry = Script::start(move |asked, _| {
        if let Some(refused) = guard.refuse(asked, &host) {
            return refused;
        }
        match asked.path().contains("/blobs/") {
            true => Reply::new(307).header("location", format!("http://{elsewhere}{}", asked.target)),
            false => fake.answer(asked),
        }
    });
    let env = TestEnv::new();
    let own = auths(&registry.host);
    let name = format!("{}/app:1", registry.host);
    env.run_with(&["pull", "-q", &name], &[("DOCKER_AUTH_CONFIG", &own)]).success();
    assert_eq!(storage.asked().len(), 3, "the config and two layers");
    env.ok(&["save", "-o", "app.tar", &name]);
    let saved = std::fs::read(env.work().join("app.tar")).unwrap();
    let content = noise(3 << 20);
    assert!(saved.windows(64).any(|window| window == &content[..64]), "the bytes are the image's");
}
