//! What the client makes of servers that break, lie or never end.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::server::{Reply, Server};
use super::{anonymous, impatient, repo, run};
use crate::image::{Descriptor, Digest};
use crate::registry::{Notice, RegistryClient, RegistryError, Repository, TagOrDigest};

fn tag() -> TagOrDigest {
    TagOrDigest::Tag("t".to_owned())
}

async fn whole(
    client: &RegistryClient,
    repo: &Repository,
    digest: &Digest,
) -> Result<Vec<u8>, RegistryError> {
    let mut stream = client.blob(repo, digest, None).await?;
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await? {
        all.extend_from_slice(&chunk);
    }
    Ok(all)
}

fn blob() -> Vec<u8> {
    (0..200_000u32).map(|n| (n * 7 % 251) as u8).collect()
}

#[test]
fn a_blob_that_breaks_is_taken_up_where_it_broke() {
    run(async {
        let bytes = blob();
        let body = bytes.clone();
        let server = Server::start(move |asked, _| {
            let start: usize = match asked.header("range") {
                "" => return Reply::new(200).body(&body).cut(70_000),
                range => range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap(),
            };
            let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
            let reply = Reply::new(206).header("content-range", range).body(&body[start..]);
            if start < 100_000 { reply.cut(50_000) } else { reply }
        })
        .await;
        let trial = anonymous();
        let got = whole(&trial.client, &repo(&server.host, "a"), &Digest::of(&bytes)).await.unwrap();
        assert!(got == bytes, "the pieces fit");
        assert_eq!(server.lines().len(), 3);
        assert_eq!(trial.notices.lock().unwrap().len(), 2);
    });
}

#[test]
fn a_server_without_ranges_sends_again_and_the_caller_sees_each_byte_once() {
    run(async {
        let bytes = blob();
        let body = bytes.clone();
        let server = Server::start(move |_, number| {
            let reply = Reply::new(200).body(&body);
            if number < 2 { reply.cut(90_000) } else { reply }
        })
        .await;
        let got = whole(&anonymous().client, &repo(&server.host, "a"), &Digest::of(&bytes)).await.unwrap();
        assert!(got == bytes);
    });
}

#[test]
fn a_blob_that_always_breaks_is_an_error() {
    run(async {
        let server = Server::start(|_, _| Reply::new(200).body(blob()).cut(10)).await;
        let error = whole(&anonymous().client, &repo(&server.host, "a"), &Digest::of(b"")).await.unwrap_err();
        assert!(
            matches!(error, RegistryError::Transport { .. } | RegistryError::Truncated { .. }),
            "{error}"
        );
        assert_eq!(server.lines().len(), 3);
    });
}

#[test]
fn a_range_that_nobody_asked_for_is_refused() {
    run(async {
        let server =
            Server::start(|_, _| Reply::new(206).header("content-range", "bytes 5-9/10").body(b"56789"))
                .await;
        let (client, repo, digest) = (anonymous().client, repo(&server.host, "a"), Digest::of(b""));
        let error = client.blob(&repo, &digest, Some((3, None))).await.unwrap_err().to_string();
        assert!(error.contains("asked for bytes from 3, the answer begins at 5"), "{error}");
    });
}

#[test]
fn wrong_digests_and_lengths() {
    run(async {
        let server = Server::start(|asked, _| match asked.path() {
            "/v2/a/manifests/t" => {
                Reply::new(200).header("docker-content-digest", Digest::of(b"other")).body(b"{}")
            }
            _ => Reply::new(200).body(b"four"),
        })
        .await;
        let (client, repo) = (anonymous().client, repo(&server.host, "a"));
        let error = client.manifest(&repo, &tag()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Digest { .. }), "{error}");
        let digest = Digest::of(b"{}");
        let error = client.manifest(&repo, &digest.into()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Digest { expected, .. } if expected == digest), "{error}");
        for (size, what) in [(3, "not 3"), (5, "not 5")] {
            let wanted = Descriptor::new("", Digest::of(b"four"), size);
            let error = client.small_blob(&repo, &wanted, 100).await.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        let wanted = Descriptor::new("", Digest::of(b"five"), 4);
        let error = client.small_blob(&repo, &wanted, 100).await.unwrap_err();
        assert!(matches!(error, RegistryError::Digest { .. }), "{error}");
        let error = client.small_blob(&repo, &wanted, 3).await.unwrap_err();
        assert!(matches!(error, RegistryError::TooLarge { limit: 3, .. }), "{error}");
    });
}

#[test]
fn oversized_documents_are_not_read() {
    run(async {
        let server = Server::start(|asked, _| match asked.path() {
            "/v2/a/manifests/t" => Reply::new(200).body(vec![b' '; (4 << 20) + 1]),
            _ => Reply::new(200).header("transfer-encoding", "chunked").header("content-length", "0"),
        })
        .await;
        let error = anonymous().client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap_err();
        assert!(error.to_string().contains("longer than the 4194304 bytes"), "{error}");
        assert_eq!(server.lines().len(), 1, "it is not asked for again");
    });
}

#[test]
fn lists_that_never_end() {
    run(async {
        let server = Server::start(|_, number| {
            let link = format!("</v2/a/tags/list?last={number}>; rel=\"next\"");
            Reply::new(200).header("link", link).body(r#"{"tags":["x"]}"#)
        })
        .await;
        let error = anonymous().client.tags(&repo(&server.host, "a")).await.unwrap_err();
        assert!(error.to_string().ends_with("the list has more than 1000 pages"), "{error}");
    });
}

#[test]
fn redirects_that_never_end_or_lead_nowhere() {
    run(async {
        let server = Server::start(|asked, number| match asked.path() {
            "/v2/a/manifests/t" => Reply::new(307).header("location", format!("/v2/a/manifests/t?{number}")),
            "/v2/b/manifests/t" => Reply::new(302).header("location", "file:///etc/passwd"),
            _ => Reply::new(302).header("location", "/elsewhere"),
        })
        .await;
        let client = anonymous().client;
        let error = client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Redirects { limit: 10, .. }), "{error}");
        let error = client.manifest(&repo(&server.host, "b"), &tag()).await.unwrap_err();
        assert!(error.to_string().contains("leads to a file URL"), "{error}");
        let error = client.begin_upload(&repo(&server.host, "c")).await.unwrap_err();
        assert!(error.to_string().contains("POST is redirected with status 302"), "{error}");
    });
}

#[test]
fn too_many_requests_are_waited_out() {
    run(async {
        let server = Server::start(|_, number| match number {
            0 => Reply::errors(429, "TOOMANYREQUESTS", "slow down").header("retry-after", "1"),
            _ => Reply::new(200).body(b"{}"),
        })
        .await;
        let (trial, began) = (anonymous(), Instant::now());
        trial.client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
        let notices = trial.notices.lock().unwrap();
        let Notice::Retrying { wait, attempt: 2, reason, .. } = &notices[0] else { panic!("{notices:?}") };
        assert_eq!(*wait, Duration::from_secs(1));
        assert!(reason.contains("toomanyrequests: slow down"), "{reason}");
    });
}

#[test]
fn failing_servers_are_tried_three_times_and_refusals_once() {
    run(async {
        for (status, code, expected) in
            [(503, "X", 3), (500, "X", 3), (500, "UNSUPPORTED", 1), (403, "DENIED", 1), (400, "X", 1)]
        {
            let server = Server::start(move |_, _| Reply::errors(status, code, "no")).await;
            let error = anonymous().client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap_err();
            assert_eq!(error.status(), Some(status));
            assert!(error.has_code(code));
            assert_eq!(server.lines().len(), expected, "{status} {code}");
        }
    });
}

#[test]
fn servers_that_stall_or_drip() {
    run(async {
        let server = Server::start(|asked, _| match asked.path() {
            "/v2/a/manifests/t" => Reply { hang: true, ..Reply::default() },
            _ => Reply { drip: Some(Duration::from_millis(20)), ..Reply::new(200).body(vec![7; 5000]) },
        })
        .await;
        let (client, began) = (impatient(), Instant::now());
        let error = client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Stalled { .. }), "{error}");
        let error = client.manifest(&repo(&server.host, "b"), &tag()).await.unwrap_err();
        assert!(matches!(error, RegistryError::Stalled { .. }), "{error}");
        let error = whole(&client, &repo(&server.host, "c"), &Digest::of(b"")).await.unwrap_err();
        assert!(matches!(error, RegistryError::Stalled { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(90), "{:?}", began.elapsed());
    });
}

#[test]
fn error_pages_are_not_repeated_and_errors_hold_no_query() {
    run(async {
        let server = Server::start_with(|host| {
            let target = format!("http://user:secret@{host}/signed?signature=topsecret");
            move |asked, _| match asked.path() {
                "/signed" => Reply::new(403).body("<html><b>a page</b></html>"),
                _ => Reply::new(307).header("location", &target),
            }
        })
        .await;
        let error = anonymous().client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("GET http://{}/signed: 403 Forbidden", server.host));
    });
}

#[test]
fn warnings_come_once() {
    run(async {
        let trial = anonymous();
        let server = Server::start(|_, _| {
            let reply = Reply::new(200).header("warning", "299 - \"this registry closes\"");
            reply.header("warning", "199 x \"something else\"").body(b"{}")
        })
        .await;
        for _ in 0..3 {
            trial.client.manifest(&repo(&server.host, "a"), &tag()).await.unwrap();
        }
        let expected = Notice::Warning { host: server.host.clone(), text: "this registry closes".to_owned() };
        assert_eq!(*trial.notices.lock().unwrap(), [expected]);
    });
}

#[test]
fn chunks_that_got_lost_are_sent_again() {
    run(async {
        let server = Server::start(|asked, number| match (asked.method.as_str(), number) {
            ("POST", _) => Reply::new(202).header("location", "/v2/a/up/1"),
            ("PATCH", 1) => Reply::new(202).body(b"x").cut(0).header("location", "/v2/a/up/1"),
            ("PATCH", 2) => Reply::errors(503, "X", "busy"),
            ("GET", _) => Reply::new(204).header("range", "0-3").header("location", "/v2/a/up/1"),
            ("PATCH", _) => Reply::new(202).header("range", "0-9").header("location", "/v2/a/up/2"),
            ("PUT", _) => Reply::new(404),
            ("HEAD", _) => Reply::new(200),
            _ => panic!("{}", asked.line()),
        })
        .await;
        let client = anonymous().client;
        let mut upload = client.begin_upload(&repo(&server.host, "a")).await.unwrap();
        upload.patch_chunk(Bytes::from_static(b"0123")).await.unwrap();
        upload.patch_chunk(Bytes::from_static(b"456789")).await.unwrap();
        assert_eq!(upload.offset(), 10);
        let last = server.asked().pop().unwrap();
        assert_eq!((last.header("content-range"), last.body.as_slice()), ("4-9", b"456789".as_slice()));
        upload
            .finish(&Digest::of(b"0123456789"))
            .await
            .expect("the blob is there, whatever became of the answer");
    });
}

#[test]
fn uploads_that_nobody_takes_stall() {
    run(async {
        let server = Server::start(|asked, _| match asked.method.as_str() {
            "POST" => Reply::new(202).header("location", "/v2/a/up/1"),
            _ => Reply { hang: true, ..Reply::default() },
        })
        .await;
        let client = impatient();
        let mut upload = client.begin_upload(&repo(&server.host, "a")).await.unwrap();
        let body = crate::registry::UploadBody::bytes(&b"x"[..]);
        let error = upload.put_stream(&Digest::of(b"x"), body).await.unwrap_err();
        assert!(matches!(error, RegistryError::Stalled { method: "PUT", .. }), "{error}");
    });
}

#[test]
fn answers_that_make_no_sense() {
    run(async {
        let server = Server::start(|asked, _| match asked.path() {
            "/v2/a/tags/list" => Reply::new(200).body("not json"),
            "/v2/b/blobs/uploads/" => Reply::new(202),
            _ => Reply::new(202).header("location", "gopher://x/"),
        })
        .await;
        let client = anonymous().client;
        let error = client.tags(&repo(&server.host, "a")).await.unwrap_err().to_string();
        assert!(error.contains("does not parse"), "{error}");
        let error = client.begin_upload(&repo(&server.host, "b")).await.unwrap_err().to_string();
        assert!(error.contains("names no upload location"), "{error}");
        let error = client.begin_upload(&repo(&server.host, "c")).await.unwrap_err().to_string();
        assert!(error.contains("gopher"), "{error}");
    });
}
