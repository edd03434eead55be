//! What a well-behaved registry sees.

use bytes::Bytes;

use super::server::{Reply, Server};
use super::{anonymous, repo, run};
use crate::image::{Descriptor, Digest};
use crate::registry::{MountOutcome, TagOrDigest, UploadBody};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

#[test]
fn a_manifest_comes_with_type_and_digest() {
    run(async {
        let body = br#"{"schemaVersion":2}"#;
        let server = Server::start(move |_, _| {
            Reply::new(200).header("content-type", format!("{OCI}; charset=utf-8")).body(body)
        })
        .await;
        let client = anonymous().client;
        let repo = repo(&server.host, "a/b");
        let found = client.manifest(&repo, &TagOrDigest::Tag("v1".into())).await.unwrap();
        assert_eq!((found.bytes.as_ref(), found.media_type.as_str()), (body.as_slice(), OCI));
        assert_eq!(found.digest, Digest::of(body));
        let asked = &server.asked()[0];
        assert_eq!(asked.line(), "GET /v2/a/b/manifests/v1");
        assert_eq!(asked.header("accept").split(", ").count(), 4);
        assert!(asked.header("user-agent").starts_with("skiff/"));
        let head = client.head_manifest(&repo, &TagOrDigest::Tag("v1".into())).await.unwrap().unwrap();
        assert_eq!(head.size, Some(body.len() as u64));
    });
}

#[test]
fn a_blob_streams_from_where_it_is_wanted() {
    run(async {
        let server = Server::start(|asked, _| match asked.header("range") {
            "" => Reply::new(200).body(b"0123456789"),
            "bytes=4-7" => Reply::new(206).header("content-range", "bytes 4-7/10").body(b"4567"),
            other => panic!("unexpected range {other}"),
        })
        .await;
        let client = anonymous().client;
        let (repo, digest) = (repo(&server.host, "a"), Digest::of(b"0123456789"));
        let mut all = client.blob(&repo, &digest, None).await.unwrap();
        assert_eq!((all.total(), all.is_range(), all.offset()), (Some(10), false, 0));
        assert_eq!(all.next().await.unwrap().unwrap(), "0123456789");
        assert!(all.next().await.unwrap().is_none());
        let mut part = client.blob(&repo, &digest, Some((4, Some(8)))).await.unwrap();
        assert_eq!((part.total(), part.is_range(), part.offset()), (Some(10), true, 4));
        assert_eq!(part.next().await.unwrap().unwrap(), "4567");
        assert_eq!(part.offset(), 8);
        let wanted = Descriptor::new("", digest, 10);
        assert_eq!(client.small_blob(&repo, &wanted, 100).await.unwrap(), "0123456789");
    });
}

#[test]
fn uploads_whole_and_in_chunks() {
    run(async {
        let server = Server::start(|asked, number| match asked.method.as_str() {
            "POST" => {
                Reply::new(202).header("location", "/v2/a/up/1?state=s0").header("oci-chunk-min-length", 3)
            }
            "PATCH" if asked.header("content-range") == "0-2" => {
                Reply::new(202).header("location", "/v2/a/up/1?state=s1").header("range", "0-2")
            }
            "PATCH" => Reply::new(202).header("location", "/v2/a/up/1?state=s2").header("range", "0-4"),
            "GET" => Reply::new(204).header("location", "/v2/a/up/1?state=s9").header("range", "0-4"),
            "PUT" => Reply::new(201).header("location", "/x"),
            _ => panic!("request {number}: {}", asked.line()),
        })
        .await;
        let client = anonymous().client;
        let (repo, digest) = (repo(&server.host, "a"), Digest::of(b"hello"));
        let mut upload = client.begin_upload(&repo).await.unwrap();
        assert_eq!(upload.min_chunk(), Some(3));
        upload.patch_chunk(Bytes::from_static(b"hel")).await.unwrap();
        upload.patch_chunk(Bytes::from_static(b"lo")).await.unwrap();
        assert_eq!(upload.offset(), 5);
        assert_eq!(upload.state().await.unwrap(), 5);
        upload.finish(&digest).await.unwrap();
        let escaped = digest.to_string().replace(':', "%3A");
        let lines = server.lines();
        assert_eq!(lines[1], "PATCH /v2/a/up/1?state=s0");
        assert_eq!(lines[2], "PATCH /v2/a/up/1?state=s1", "the newest location is used");
        assert_eq!(lines[4], format!("PUT /v2/a/up/1?state=s9&digest={escaped}"));
        let mut upload = client.begin_upload(&repo).await.unwrap();
        let stream = || -> crate::registry::ByteStream {
            Box::pin(futures_util::stream::iter([Ok(Bytes::from("hel")), Ok(Bytes::from("lo"))]))
        };
        upload.put_stream(&digest, UploadBody::once(Some(5), stream())).await.unwrap();
        let put = server.asked().pop().unwrap();
        assert_eq!((put.body.as_slice(), put.header("content-length")), (b"hello".as_slice(), "5"));
        let mut upload = client.begin_upload(&repo).await.unwrap();
        upload.patch_stream(UploadBody::once(None, stream())).await.unwrap();
        let patch = server.asked().pop().unwrap();
        assert_eq!(
            (patch.body.as_slice(), patch.header("transfer-encoding")),
            (b"hello".as_slice(), "chunked")
        );
        assert_eq!(upload.offset(), 5);
        let taken_up = client.resume_upload(&repo, upload.location()).unwrap();
        assert_eq!(taken_up.location(), upload.location());
    });
}

#[test]
fn a_mount_is_taken_or_becomes_an_upload() {
    run(async {
        let server = Server::start(|asked, _| {
            let status = if asked.target.contains("from=there") { 201 } else { 202 };
            Reply::new(status).header("location", "/v2/a/blobs/uploads/1")
        })
        .await;
        let client = anonymous().client;
        let (to, digest) = (repo(&server.host, "a"), Digest::of(b"x"));
        let there = client.mount_blob(&to, &digest, &to.sibling("there")).await.unwrap();
        assert!(matches!(there, MountOutcome::Mounted));
        let other = client.mount_blob(&to, &digest, &to.sibling("elsewhere")).await.unwrap();
        assert!(matches!(other, MountOutcome::Upload(_)));
    });
}

#[test]
fn lists_go_on_by_links() {
    run(async {
        let server = Server::start(|asked, _| match asked.target.as_str() {
            "/v2/a/tags/list" => Reply::new(200)
                .header("link", r#"</v2/a/tags/list?last=b>; rel="next""#)
                .body(r#"{"name":"a","tags":["a","b"]}"#),
            "/v2/a/tags/list?last=b" => Reply::new(200).body(r#"{"name":"a","tags":["c"]}"#),
            "/v2/_catalog" => Reply::new(200).body(r#"{"repositories":null}"#),
            other => panic!("{other}"),
        })
        .await;
        let client = anonymous().client;
        assert_eq!(client.tags(&repo(&server.host, "a")).await.unwrap(), ["a", "b", "c"]);
        assert!(client.catalog(&server.host).await.unwrap().is_empty());
    });
}

#[test]
fn referrers_fall_back_to_their_tag() {
    run(async {
        let entry = |kind: &str| format!(r#"{{"digest":"sha256:x","size":1,"artifactType":"{kind}"}}"#);
        let list = format!(r#"{{"manifests":[{},{}]}}"#, entry("sig"), entry("sbom"));
        let server = Server::start(move |asked, _| {
            if asked.path().contains("/referrers/") {
                return Reply::new(404);
            }
            Reply::new(200).header("content-type", "application/vnd.oci.image.index.v1+json").body(&list)
        })
        .await;
        let (client, repo, digest) = (anonymous().client, repo(&server.host, "a"), Digest::of(b"x"));
        assert_eq!(client.referrers(&repo, &digest, None).await.unwrap().manifests.len(), 2);
        let sbom = client.referrers(&repo, &digest, Some("sbom")).await.unwrap();
        assert_eq!(sbom.manifests.len(), 1);
        assert!(server.lines()[1].ends_with(&format!("/manifests/sha256-{}", digest.hex())));
    });
}

#[test]
fn a_manifest_with_a_subject_is_added_where_the_registry_does_not_do_it() {
    run(async {
        for keeps in [true, false] {
            let server = Server::start(move |asked, _| match asked.method.as_str() {
                "GET" => Reply::new(404),
                _ if keeps => Reply::new(201).header("oci-subject", "sha256:x"),
                _ => Reply::new(201),
            })
            .await;
            let (client, repo) = (anonymous().client, repo(&server.host, "a"));
            let subject = Digest::of(b"subject");
            let body = format!(
                r#"{{"schemaVersion":2,"artifactType":"sig","annotations":{{"a":"b"}},"subject":{{"digest":"{subject}"}}}}"#
            );
            let digest = Digest::of(body.as_bytes());
            let what = TagOrDigest::Digest(digest);
            assert_eq!(client.put_manifest(&repo, &what, OCI, body.clone().into()).await.unwrap(), digest);
            let asked = server.asked();
            if keeps {
                assert_eq!(asked.len(), 1);
                continue;
            }
            let last = asked.last().unwrap();
            assert_eq!(last.line(), format!("PUT /v2/a/manifests/sha256-{}", subject.hex()));
            let index: serde_json::Value = serde_json::from_slice(&last.body).unwrap();
            assert_eq!(
                index["manifests"],
                serde_json::json!([{"mediaType": OCI, "digest": digest, "size": body.len(),
                                    "artifactType": "sig", "annotations": {"a": "b"}}])
            );
        }
    });
}
