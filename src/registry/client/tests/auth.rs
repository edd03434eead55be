//! Who sees which credential, and how often a token is fetched.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;

use super::server::{Asked, Reply, Server};
use super::{PASSWORD, SOON, anonymous, options, repo, run, with_user, with_user_and};
use crate::image::Digest;
use crate::registry::hosts::HostsConfig;
use crate::registry::{
    ApiError, Credential, CredentialError, CredentialSource, RegistryClient, RegistryError, Secret,
    TagOrDigest, UploadBody,
};

fn tag() -> TagOrDigest {
    TagOrDigest::Tag("t".to_owned())
}

fn basic() -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}")))
}

/// A registry and its token server in one; `ok` says which tokens are good.
fn tokened(
    host: String,
    ok: impl Fn(&Asked, &str) -> bool + Send + Sync + 'static,
) -> impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static {
    let realm = format!("http://{host}/token");
    move |asked, number| {
        if asked.path() == "/token" {
            return Reply::new(200).body(format!("{{\"token\":\"T{number}\",\"expires_in\":300}}"));
        }
        match asked.header("authorization").strip_prefix("Bearer ") {
            Some(token) if ok(asked, token) => Reply::new(200).body(b"{}"),
            _ => Reply::errors(401, "UNAUTHORIZED", "authentication required").header(
                "www-authenticate",
                format!("Bearer realm=\"{realm}\",service=\"r.test\",scope=\"repository:a:pull\""),
            ),
        }
    }
}

#[test]
fn a_token_is_asked_for_once_with_the_least_scope() {
    run(async {
        let server = Server::start_with(|host| tokened(host, |_, _| true)).await;
        let trial = with_user(&server.host, HostsConfig::default());
        let repo = repo(&server.host, "a");
        for _ in 0..3 {
            trial.client.manifest(&repo, &tag()).await.unwrap();
        }
        trial.client.has_blob(&repo, &Digest::of(b"")).await.unwrap();
        trial.client.manifest(&repo, &tag()).await.unwrap();
        let lines = server.lines();
        let tokens: Vec<_> = lines.iter().filter(|line| line.contains("/token")).collect();
        assert_eq!(
            tokens,
            [
                "GET /token?service=r.test&scope=repository%3Aa%3Apull&account=me",
                "GET /token?service=r.test&scope=repository%3Aa%3Apull%2Cpush&account=me"
            ]
        );
        for asked in server.asked() {
            let expected = if asked.path() == "/token" { basic() } else { String::new() };
            let seen = asked.header("authorization");
            assert!(seen == expected || seen.starts_with("Bearer T"), "{}: {seen}", asked.line());
        }
    });
}

#[test]
fn parallel_requests_share_one_token() {
    run(async {
        let server = Server::start_with(|host| tokened(host, |_, _| true)).await;
        let client = anonymous().client;
        let repo = repo(&server.host, "a");
        let all = futures_util::future::join_all((0..8).map(|_| {
            let (client, repo) = (client.clone(), repo.clone());
            tokio::spawn(async move { client.manifest(&repo, &tag()).await })
        }));
        for one in all.await {
            one.unwrap().unwrap();
        }
        assert_eq!(server.lines().iter().filter(|line| line.contains("/token")).count(), 1);
    });
}

#[test]
fn a_token_that_ran_out_is_renewed_in_the_middle() {
    run(async {
        // Each token is good for two requests.
        let server = Server::start_with(|host| {
            let used = std::sync::Mutex::new(std::collections::HashMap::<String, usize>::new());
            tokened(host, move |_, token| {
                let mut used = used.lock().unwrap();
                let count = used.entry(token.to_owned()).or_default();
                *count += 1;
                *count <= 2
            })
        })
        .await;
        let client = anonymous().client;
        for _ in 0..5 {
            client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap();
        }
        assert_eq!(server.lines().iter().filter(|line| line.contains("/token")).count(), 3);
    });
}

#[test]
fn an_upload_is_sent_again_after_a_token_ran_out() {
    run(async {
        let server = Server::start_with(|host| {
            let realm = format!("Bearer realm=\"http://{host}/token\"");
            move |asked, number| match (asked.method.as_str(), asked.header("authorization")) {
                ("GET", _) => Reply::new(200).body(format!("{{\"token\":\"T{number}\"}}")),
                ("POST", "Bearer T1") => Reply::new(202).header("location", "/v2/a/up/1"),
                ("PUT", "Bearer T4") => Reply::new(201),
                _ => Reply::new(401).header("www-authenticate", &realm),
            }
        })
        .await;
        let mut upload = anonymous().client.begin_upload(&repo(&server.host, "a")).await.unwrap();
        let body =
            UploadBody::again(Some(2), || Box::pin(futures_util::stream::iter([Ok(Bytes::from("hi"))])));
        upload.put_stream(&Digest::of(b"hi"), body).await.unwrap();
        let last = server.asked().pop().unwrap();
        assert_eq!((last.body.as_slice(), last.header("authorization")), (b"hi".as_slice(), "Bearer T4"));
    });
}

#[test]
fn scopes_grow_when_the_registry_says_that_they_do_not_suffice() {
    run(async {
        let server = Server::start_with(|host| {
            let realm = format!("http://{host}/token");
            move |asked, _| {
                if asked.path() == "/token" {
                    let more = asked.target.contains("mapped");
                    return Reply::new(200)
                        .body(format!("{{\"token\":\"{}\"}}", if more { "big" } else { "small" }));
                }
                let challenge = |rest: &str| {
                    Reply::new(401).header("www-authenticate", format!("Bearer realm=\"{realm}\"{rest}"))
                };
                match asked.header("authorization") {
                    "Bearer big" => Reply::new(200).body(b"{}"),
                    "Bearer small" => {
                        challenge(",error=\"insufficient_scope\",scope=\"repository:mapped/a:pull\"")
                    }
                    _ => challenge(""),
                }
            }
        })
        .await;
        anonymous().client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap();
        let last = server.lines().into_iter().rfind(|line| line.contains("/token")).unwrap();
        assert!(last.contains("scope=repository%3Aa%3Apull&scope=repository%3Amapped%2Fa%3Apull"), "{last}");
    });
}

#[test]
fn a_401_loop_ends() {
    run(async {
        let server = Server::start_with(|host| {
            let realm = format!("http://{host}/token");
            move |asked, number| {
                if asked.path() == "/token" {
                    return Reply::new(200).body(format!("{{\"token\":\"T{number}\"}}"));
                }
                // A new wish each time.
                let challenge = format!("Bearer realm=\"{realm}\",scope=\"repository:x{number}:pull\"");
                Reply::errors(401, "UNAUTHORIZED", "more").header("www-authenticate", challenge)
            }
        })
        .await;
        let error = with_user(&server.host, HostsConfig::default())
            .client
            .manifest(&repo(&server.host, "a"), &tag())
            .await
            .unwrap_err();
        assert!(matches!(error, RegistryError::AuthorizationLoop { .. }), "{error}");
        assert!(server.lines().len() <= 8, "{:?}", server.lines());
        let server = Server::start_with(|host| tokened(host, |_, _| false)).await;
        let error = anonymous().client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap_err();
        assert_eq!(error.status(), Some(401));
        assert_eq!(server.lines().len(), 3, "a fresh token that is refused is not fetched again");
    });
}

#[test]
fn basic_is_sent_when_asked_for_and_once() {
    run(async {
        let good = basic();
        let server = Server::start(move |asked, _| match asked.header("authorization") {
            seen if seen == good && asked.path().contains("/good/") => Reply::new(200).body(b"{}"),
            seen => Reply::errors(401, "UNAUTHORIZED", &format!("you sent {seen} and {PASSWORD}"))
                .header("www-authenticate", "Basic realm=\"x\""),
        })
        .await;
        let client = with_user(&server.host, HostsConfig::default()).client;
        client.manifest(&repo(&server.host, "good"), &tag()).await.unwrap();
        client.manifest(&repo(&server.host, "good"), &tag()).await.unwrap();
        assert_eq!(server.lines().len(), 3, "the scheme is remembered");
        let error = client.manifest(&repo(&server.host, "bad"), &tag()).await.unwrap_err();
        let RegistryError::Response { errors, .. } = &error else { panic!("{error}") };
        assert_eq!(
            errors[0],
            ApiError {
                code: "UNAUTHORIZED".into(),
                message: "you sent Basic *** and ***".into(),
                detail: String::new()
            }
        );
        assert!(!format!("{error:?}").contains(PASSWORD));
    });
}

#[test]
fn redirects_take_no_credential_to_another_host() {
    run(async {
        let far = Server::start(|asked, _| match asked.path() {
            "/asks" => Reply::new(401).header("www-authenticate", "Basic realm=\"give\""),
            _ => Reply::new(200).body(b"far"),
        })
        .await;
        let target = far.host.clone();
        let server = Server::start(move |asked, _| match asked.header("authorization") {
            "" => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
            _ if asked.path() == "/near" => {
                Reply::new(302).header("location", format!("http://{target}/far?signature=s"))
            }
            _ if asked.path().contains("/asks/") => {
                Reply::new(307).header("location", format!("http://{target}/asks"))
            }
            _ => Reply::new(307).header("location", "/near"),
        })
        .await;
        let client = with_user(&server.host, HostsConfig::default()).client;
        let mut blob = client.blob(&repo(&server.host, "a"), &Digest::of(b"far"), None).await.unwrap();
        assert_eq!(blob.next().await.unwrap().unwrap(), "far");
        let near = server.asked().into_iter().find(|asked| asked.path() == "/near").unwrap();
        assert_eq!(near.header("authorization"), basic(), "the same host keeps it");
        let error = client.manifest(&repo(&server.host, "asks"), &tag()).await.unwrap_err();
        assert_eq!(error.status(), Some(401));
        assert_eq!(far.lines(), ["GET /far?signature=s", "GET /asks"]);
        for asked in far.asked() {
            assert_eq!(asked.header("authorization"), "", "{}", asked.line());
            assert_eq!(asked.header("referer"), "", "{}", asked.line());
        }
    });
}

#[test]
fn uploads_that_move_to_another_host_go_without_credentials() {
    run(async {
        let far = Server::start(|_, _| Reply::new(201)).await;
        let target = format!("http://{}/store?key=k", far.host);
        let server = Server::start(move |asked, _| match asked.header("authorization") {
            "" => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
            _ => Reply::new(202).header("location", &target),
        })
        .await;
        let client = with_user(&server.host, HostsConfig::default()).client;
        let mut upload = client.begin_upload(&repo(&server.host, "a")).await.unwrap();
        upload.put_stream(&Digest::of(b"x"), UploadBody::bytes(&b"x"[..])).await.unwrap();
        let asked = &far.asked()[0];
        assert_eq!((asked.method.as_str(), asked.header("authorization")), ("PUT", ""));
        assert!(asked.target.starts_with("/store?key=k&digest="), "{}", asked.target);
    });
}

#[test]
fn token_servers_get_a_secret_only_where_it_is_safe() {
    run(async {
        // A name that is not loopback and not marked insecure, without TLS.
        let server = Server::start(|_, _| {
            Reply::new(401).header("www-authenticate", "Bearer realm=\"http://tokens.test/token\"")
        })
        .await;
        let client = with_user(&server.host, HostsConfig::default()).client;
        let error = client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap_err().to_string();
        assert!(
            error.contains("credentials are not sent to http://tokens.test/token without TLS"),
            "{error}"
        );
        // A token server that sends on: the header stays behind, a form is not sent on at all.
        let far = Server::start(|_, _| Reply::new(200).body(r#"{"token":"T"}"#)).await;
        for identity in [false, true] {
            let target = format!("http://{}/token", far.host);
            let server = Server::start_with(move |host| {
                let realm = format!("Bearer realm=\"http://{host}/token\"");
                move |asked, _| match asked.header("authorization") {
                    "Bearer T" => Reply::new(200).body(b"{}"),
                    _ if asked.path() == "/token" => Reply::new(307).header("location", &target),
                    _ => Reply::new(401).header("www-authenticate", &realm),
                }
            })
            .await;
            let (mut options, _) = options();
            options.credentials = std::sync::Arc::new(Holds(identity));
            let client = RegistryClient::new(options);
            let result = client.manifest(&repo(&server.host, "a"), &tag()).await;
            assert_eq!(result.is_err(), identity, "{result:?}");
        }
        let asked = far.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        assert_eq!(asked[0].header("authorization"), "");
    });
}

struct Holds(bool);

impl CredentialSource for Holds {
    fn get(&self, _: &str, _: Option<&str>) -> Result<Option<Credential>, CredentialError> {
        let (username, token) = ("me".to_owned(), Secret::new("id&token"));
        Ok(Some(match self.0 {
            true => Credential::Identity { username, token },
            false => Credential::Basic { username, password: token },
        }))
    }
}

#[test]
fn identity_tokens_are_posted_and_fall_back_to_get() {
    run(async {
        for posts in [true, false] {
            let server = Server::start_with(move |host| {
                let realm = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
                move |asked, _| match (asked.path(), asked.method.as_str(), asked.header("authorization")) {
                    ("/token", "POST", _) if !posts => Reply::new(405),
                    ("/token", _, _) => Reply::new(200).body(r#"{"access_token":"T"}"#),
                    (_, _, "Bearer T") => Reply::new(200).body(b"{}"),
                    _ => Reply::new(401).header("www-authenticate", &realm),
                }
            })
            .await;
            let (mut options, _) = options();
            options.credentials = std::sync::Arc::new(Holds(true));
            RegistryClient::new(options).manifest(&repo(&server.host, "a"), &tag()).await.unwrap();
            let asked = server.asked();
            let form = String::from_utf8(asked[1].body.clone()).unwrap();
            assert_eq!(
                form,
                "grant_type=refresh_token&refresh_token=id%26token&service=s&client_id=skiff&scope=repository%3Aa%3Apull"
            );
            assert_eq!(asked[2].method == "GET" && asked[2].path() == "/token", !posts);
        }
    });
}

#[test]
fn token_servers_that_fail_or_talk_too_much() {
    run(async {
        for (reply, expected) in [
            (
                Reply::new(401).body(r#"{"details":"incorrect username or password"}"#),
                "incorrect username or password",
            ),
            (Reply::new(200).body(r#"{"no":"token"}"#), "holds no token"),
            (Reply::new(200).body(vec![b'x'; (1 << 20) + 1]), "longer than the 1048576 bytes"),
            (
                Reply { drip: Some(Duration::from_millis(50)), ..Reply::new(200).body(vec![b' '; 500]) },
                "no data",
            ),
        ] {
            let server = Server::start_with(move |host| {
                let realm = format!("Bearer realm=\"http://{host}/token\"");
                move |asked, _| match asked.path() {
                    "/token" => reply.clone(),
                    _ => Reply::new(401).header("www-authenticate", &realm),
                }
            })
            .await;
            let mut given = options();
            if expected == "no data" {
                given.0.stall = SOON;
            }
            let client = with_user_and(given, &server.host, HostsConfig::default()).client;
            let error = client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap_err();
            let text = crate::causes::chain(&error);
            assert!(text.contains(expected), "{text}");
            assert!(text.starts_with(&format!("failed to fetch a token for {}: ", server.host)), "{text}");
            assert!(!text.contains(PASSWORD), "{text}");
        }
    });
}

#[test]
fn mirrors_come_first_and_never_see_the_credentials_of_whom_they_stand_for() {
    run(async {
        let silent = Server::start(|_, _| Reply::new(404)).await;
        let greedy = Server::start(|_, _| {
            Reply::new(401).header("www-authenticate", "Basic realm=\"give me the hub's password\"")
        })
        .await;
        let origin = Server::start(|asked, _| match asked.header("authorization") {
            "" => Reply::new(401).header("www-authenticate", "Basic realm=\"x\""),
            _ => Reply::new(200).body(b"{}"),
        })
        .await;
        let hosts = HostsConfig {
            mirrors: vec![format!("http://{}", silent.host), format!("http://{}/", greedy.host)],
            origins: [("docker.io".to_owned(), format!("http://{}", origin.host))].into(),
            ..HostsConfig::default()
        };
        let trial = with_user("docker.io", hosts);
        trial.client.manifest(&repo("docker.io", "library/a"), &tag()).await.unwrap();
        assert_eq!(silent.lines(), ["GET /v2/library/a/manifests/t"]);
        assert_eq!(greedy.lines().len(), 1);
        assert!(greedy.asked().iter().chain(&silent.asked()).all(|a| a.header("authorization").is_empty()));
        assert_eq!(origin.asked().last().unwrap().header("authorization"), basic());
        assert_eq!(
            trial.notices.lock().unwrap().len(),
            1,
            "a mirror that has nothing is nothing to speak of"
        );
        // Writing goes to the registry itself.
        trial.client.begin_upload(&repo("docker.io", "library/a")).await.unwrap_err();
        assert_eq!(silent.lines().len(), 1);
        // A mirror has its own credentials, by its own name.
        let hosts = HostsConfig {
            mirrors: vec![format!("http://{}", origin.host)],
            origins: [("docker.io".to_owned(), format!("http://{}", silent.host))].into(),
            ..HostsConfig::default()
        };
        let client = with_user(&origin.host, hosts).client;
        client.manifest(&repo("docker.io", "library/a"), &tag()).await.unwrap();
    });
}

#[test]
fn a_login_proves_the_credential() {
    run(async {
        let server = Server::start_with(|host| tokened(host, |_, _| true)).await;
        let me = Credential::Basic { username: "me".into(), password: Secret::new(PASSWORD) };
        assert_eq!(anonymous().client.login(&server.host, &me).await.unwrap(), None);
        assert_eq!(
            server.lines(),
            [
                "GET /v2/",
                "GET /token?service=r.test&account=me&offline_token=true&client_id=skiff",
                "GET /v2/"
            ]
        );
        let server = Server::start(|asked, _| match asked.header("authorization") {
            seen if seen == basic() => Reply::new(200),
            _ => Reply::errors(401, "UNAUTHORIZED", "no").header("www-authenticate", "Basic realm=\"x\""),
        })
        .await;
        assert_eq!(anonymous().client.login(&server.host, &me).await.unwrap(), None);
        let other = Credential::Basic { username: "me".into(), password: Secret::new("wrong") };
        let error = anonymous().client.login(&server.host, &other).await.unwrap_err();
        assert_eq!(error.status(), Some(401));
    });
}
