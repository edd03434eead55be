//! The built-in registry against the distribution specification: pull, push, discovery, management.
//!
//! Each test names what the specification's own conformance suite checks, with
//! all of its switches on; the rest is what that suite has no switch for.

mod support;

use support::TestEnv;
use support::serve::{Serve, sha256, sha512};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn serve(arguments: &[&str]) -> (TestEnv, Serve) {
    let env = TestEnv::new();
    let registry = Serve::start(&env.store(), arguments);
    (env, registry)
}

/// Pushes a config and layers and returns a manifest over them.
fn manifest(registry: &Serve, repository: &str, layers: &[&[u8]], more: serde_json::Value) -> String {
    let config = registry.push_blob(repository, b"{}");
    let descriptor = |bytes: &[u8], digest: String, kind: &str| serde_json::json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            descriptor(layer, registry.push_blob(repository, layer), "application/vnd.oci.image.layer.v1.tar")
        })
        .collect();
    let mut text = serde_json::json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor(b"{}", config, "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    });
    for (key, value) in more.as_object().expect("an object") {
        text[key] = value.clone();
    }
    text.to_string()
}

#[test]
fn manifests_are_pulled_as_they_were_pushed() {
    let (_env, registry) = serve(&[]);
    registry.get("/v2/").is(200);
    let text =
        manifest(&registry, "a/b", &[b"layer", b""], serde_json::json!({ "custom": { "x": [1, null] } }));
    // Whitespace and unknown fields stay: the digest is over the exact bytes.
    let text = text.replacen('{', "{ \n", 1);
    let digest = sha256(text.as_bytes());
    let put = registry.put_manifest("a/b", "v1", MANIFEST, &text).is(201);
    assert_eq!(put.header("docker-content-digest"), digest);
    assert_eq!(put.header("location"), "/v2/a/b/manifests/v1");
    for reference in ["v1", &digest] {
        let path = format!("/v2/a/b/manifests/{reference}");
        let got = registry.get(&path).is(200);
        assert_eq!(got.body, text.as_bytes());
        assert_eq!(got.header("content-type"), MANIFEST);
        assert_eq!(got.header("docker-content-digest"), digest);
        let head = registry.send("HEAD", &path, &[], b"").is(200);
        assert_eq!(head.header("content-length"), text.len().to_string());
        assert_eq!(head.header("docker-content-digest"), digest);
        let etag = got.header("etag");
        registry.send("GET", &path, &[("If-None-Match", &etag)], b"").is(304);
    }
    registry.get("/v2/a/b/manifests/v2").is(404).says("MANIFEST_UNKNOWN");
    registry.get("/v2/a/c/manifests/v1").is(404).says("NAME_UNKNOWN");
    registry.get("/v2/A/manifests/v1").is(400).says("NAME_INVALID");
    registry.get("/v2/a/b/manifests/.INVALID_MANIFEST_NAME").is(404).says("MANIFEST_UNKNOWN");
    registry.put_manifest("a/b", ".INVALID_MANIFEST_NAME", MANIFEST, &text).is(400).says("TAG_INVALID");
    registry.put_manifest("a/b", "sha256:baddigeststring", MANIFEST, &text).is(400).says("DIGEST_INVALID");
    registry.get("/v2/a/b/manifests/sha256:baddigeststring").is(400);
    registry.send("GET", "/v2/a/b/manifests/v1", &[("Accept", INDEX)], b"").is(404).says("MANIFEST_UNKNOWN");
}

#[test]
fn manifests_that_cannot_be_are_refused() {
    let (_env, registry) = serve(&[]);
    let put = |kind: &str, text: &str| registry.put_manifest("a", "v1", kind, text);
    put(MANIFEST, "no json").is(400).says("MANIFEST_INVALID");
    put(MANIFEST, &format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#))
        .is(400)
        .says("MANIFEST_INVALID");
    put(INDEX, r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#).is(400).says("MANIFEST_INVALID");
    let absent = sha256(b"absent");
    let needs = format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"{absent}","size":1,"mediaType":"x"}},"layers":[]}}"#
    );
    let refused = put(MANIFEST, &needs).is(400).says("MANIFEST_BLOB_UNKNOWN");
    assert_eq!(refused.json()["errors"][0]["detail"]["digest"], absent);
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"digest":"{absent}","size":1,"mediaType":"{MANIFEST}"}}]}}"#
    );
    put(INDEX, &index).is(400).says("MANIFEST_BLOB_UNKNOWN");
    registry.put_manifest("a", &absent, INDEX, r#"{"manifests":[]}"#).is(400).says("DIGEST_INVALID");
    // Just below the limit is taken, above it is not.
    let filled = |size: usize| {
        let text = r#"{"schemaVersion":2,"manifests":[],"annotations":{"x":""}}"#;
        text.replace(r#""""#, &format!("\"{}\"", "a".repeat(size - text.len())))
    };
    put(INDEX, &filled(4 << 20)).is(201);
    put(INDEX, &filled((4 << 20) + 1)).is(413);
    let (_env, sparse) = serve(&["--sparse"]);
    sparse.put_manifest("a", "v1", MANIFEST, &needs).is(201);
    sparse.put_manifest("a", "v2", INDEX, &index).is(201);
}

#[test]
fn every_kind_of_manifest_is_taken() {
    let (_env, registry) = serve(&[]);
    let image = manifest(&registry, "a", &[b"x"], serde_json::json!({}));
    let digest = sha256(image.as_bytes());
    registry.put_manifest("a", &digest, MANIFEST, &image).is(201);
    let entry = serde_json::json!({ "digest": digest, "size": image.len(), "mediaType": MANIFEST });
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] }).to_string();
    registry.put_manifest("a", "index", INDEX, &index).is(201);
    let entry =
        serde_json::json!({ "digest": sha256(index.as_bytes()), "size": index.len(), "mediaType": INDEX });
    let nested =
        serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] }).to_string();
    registry.put_manifest("a", "nested", INDEX, &nested).is(201);
    registry
        .put_manifest("a", "none", MANIFEST, &manifest(&registry, "a", &[], serde_json::json!({})))
        .is(201);
    // Layers that may not be distributed are elsewhere.
    let foreign = serde_json::json!({ "layers": [{
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": sha256(b"elsewhere"), "size": 9, "urls": ["https://example.com/layer"] }] });
    registry.put_manifest("a", "foreign", MANIFEST, &manifest(&registry, "a", &[], foreign)).is(201);
    // The same bytes under sha512.
    let long = sha512(image.as_bytes());
    let put = registry.put_manifest("a", &long, MANIFEST, &image).is(201);
    assert_eq!(put.header("docker-content-digest"), long);
    assert_eq!(registry.get(&format!("/v2/a/manifests/{long}")).is(200).body, image.as_bytes());
    // Several tags with one request.
    let put = registry.put_manifest("a", &format!("{digest}?tag=t1&tag=t2"), MANIFEST, &image).is(201);
    assert_eq!(put.headers("oci-tag"), ["t1", "t2"]);
    for tag in ["t1", "t2"] {
        assert_eq!(
            registry.get(&format!("/v2/a/manifests/{tag}")).is(200).header("docker-content-digest"),
            digest
        );
    }
    registry.put_manifest("a", &format!("{digest}?tag=.bad"), MANIFEST, &image).is(400);
}

#[test]
fn blobs_are_served_whole_and_in_part() {
    let (_env, registry) = serve(&[]);
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let digest = registry.push_blob("a", &bytes);
    let path = format!("/v2/a/blobs/{digest}");
    let got = registry.get(&path).is(200);
    assert_eq!(got.body, bytes);
    assert_eq!(got.header("docker-content-digest"), digest);
    let head = registry.send("HEAD", &path, &[], b"").is(200);
    assert_eq!(head.header("content-length"), "3000000");
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, 3_000_000),
        ("bytes=-7", 2_999_993, 3_000_000),
        ("bytes=1000000-1999999", 1_000_000, 2_000_000),
    ] {
        let part = registry.send("GET", &path, &[("Range", range)], b"").is(206);
        assert_eq!(part.body, &bytes[from..to], "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/3000000", to - 1));
    }
    let none = registry.send("GET", &path, &[("Range", "bytes=3000000-")], b"").is(416);
    assert_eq!(none.header("content-range"), "bytes */3000000");
    registry.send("GET", &path, &[("Range", "bytes=500-0")], b"").is(416);
    registry.send("GET", &path, &[("If-None-Match", &got.header("etag"))], b"").is(304);
    registry.get(&format!("/v2/b/blobs/{digest}")).is(404).says("BLOB_UNKNOWN");
    registry.get("/v2/a/blobs/sha256:1").is(400).says("DIGEST_INVALID");
    let empty = registry.push_blob("a", b"");
    assert_eq!(registry.get(&format!("/v2/a/blobs/{empty}")).is(200).body, b"");
}

#[test]
fn uploads_go_on_in_order() {
    let (_env, registry) = serve(&[]);
    let bytes: Vec<u8> = (0..300_000u32).map(|n| (n % 241) as u8).collect();
    let digest = sha256(&bytes);
    let location = registry.begin("a");
    let chunk = |method: &str, path: &str, from: usize, to: usize| {
        registry.send(method, path, &[("Content-Range", &format!("{from}-{}", to - 1))], &bytes[from..to])
    };
    let state = registry.get(&location).is(204);
    assert!(state.header("range").starts_with("0-"));
    // Too early, then in order, then again what is there already.
    chunk("PATCH", &location, 100_000, 200_000).is(416);
    let first = chunk("PATCH", &location, 0, 100_000).is(202);
    assert_eq!(first.header("range"), "0-99999");
    chunk("PATCH", &location, 0, 100_000).is(416);
    chunk("PATCH", &location, 200_000, 300_000).is(416);
    assert_eq!(registry.get(&location).is(204).header("range"), "0-99999");
    let wrong = registry.send("PATCH", &location, &[("Content-Range", "100000-100009")], b"abc");
    wrong.is(400).says("SIZE_INVALID");
    chunk("PATCH", &location, 100_000, 200_000).is(202);
    let put = chunk("PUT", &format!("{location}?digest={digest}"), 200_000, 300_000).is(201);
    assert_eq!(put.header("location"), format!("/v2/a/blobs/{digest}"));
    assert_eq!(registry.get(&put.header("location")).is(200).body, bytes);
    registry.get(&location).is(404).says("BLOB_UPLOAD_UNKNOWN");
    // One stream without a range, as docker does.
    let location = registry.begin("a");
    registry.send("PATCH", &location, &[], &bytes).is(202);
    registry.send("PUT", &format!("{location}?digest={digest}"), &[], b"").is(201);
}

#[test]
fn uploads_with_another_content_leave_nothing() {
    let (_env, registry) = serve(&[]);
    let other = sha256(b"other");
    let location = registry.begin("a");
    registry.send("PATCH", &location, &[], b"bytes").is(202);
    registry.send("PUT", &format!("{location}?digest={other}"), &[], b"").is(400).says("DIGEST_INVALID");
    registry.get(&location).is(404);
    registry
        .send("POST", &format!("/v2/a/blobs/uploads/?digest={other}"), &[], b"bytes")
        .is(400)
        .says("DIGEST_INVALID");
    registry.get(&format!("/v2/a/blobs/{other}")).is(404);
    let location = registry.begin("a");
    registry.send("PUT", &format!("{location}?digest=nonsense"), &[], b"x").is(400).says("DIGEST_INVALID");
    registry.send("DELETE", &location, &[], b"").is(204);
    registry.get(&location).is(404);
    registry.send("PATCH", &location, &[], b"x").is(404).says("BLOB_UPLOAD_UNKNOWN");
    // A session belongs to its repository.
    let elsewhere = registry.begin("a").replace("/v2/a/", "/v2/b/");
    registry.send("PATCH", &elsewhere, &[], b"x").is(404);
    registry.send("PATCH", "/v2/a/blobs/uploads/..", &[], b"x").is(404);
}

#[test]
fn blobs_may_be_named_by_sha512() {
    let (_env, registry) = serve(&[]);
    let digest = sha512(b"bytes");
    let post = registry.send("POST", "/v2/a/blobs/uploads/?digest-algorithm=sha512", &[], b"").is(202);
    registry.send("PATCH", &post.header("location"), &[], b"bytes").is(202);
    let put = registry.send("PUT", &format!("{}?digest={digest}", post.header("location")), &[], b"").is(201);
    assert_eq!(put.header("docker-content-digest"), digest);
    assert_eq!(registry.get(&format!("/v2/a/blobs/{digest}")).is(200).body, b"bytes");
    // The algorithm may also come as late as the digest.
    let location = registry.begin("b");
    registry.send("PUT", &format!("{location}?digest={digest}"), &[], b"bytes").is(201);
    registry.send("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5", &[], b"").is(400);
}

#[test]
fn blobs_are_mounted() {
    let (_env, registry) = serve(&["--allow-delete"]);
    let digest = registry.push_blob("a", b"bytes");
    let mount =
        |from: &str| registry.send("POST", &format!("/v2/b/blobs/uploads/?mount={digest}{from}"), &[], b"");
    mount("&from=c").is(202);
    registry.get(&format!("/v2/b/blobs/{digest}")).is(404);
    let mounted = mount("&from=a").is(201);
    assert_eq!(mounted.header("location"), format!("/v2/b/blobs/{digest}"));
    assert_eq!(registry.get(&mounted.header("location")).is(200).body, b"bytes");
    registry.send("DELETE", &mounted.header("location"), &[], b"").is(202);
    registry.get(&mounted.header("location")).is(404);
    registry.get(&format!("/v2/a/blobs/{digest}")).is(200);
    mount("").is(201);
}

#[test]
fn tags_are_listed_in_pages() {
    let (_env, registry) = serve(&["--allow-delete"]);
    registry.get("/v2/a/tags/list").is(404).says("NAME_UNKNOWN");
    let text = manifest(&registry, "a", &[b"x"], serde_json::json!({}));
    for tag in ["b", "B", "a.1", "_z", "10", "9"] {
        registry.put_manifest("a", tag, MANIFEST, &text).is(201);
    }
    let sorted = serde_json::json!(["10", "9", "B", "_z", "a.1", "b"]);
    assert_eq!(
        registry.get("/v2/a/tags/list").is(200).json(),
        serde_json::json!({ "name": "a", "tags": sorted })
    );
    let none = registry.get("/v2/a/tags/list?n=0").is(200);
    assert_eq!((none.json()["tags"].as_array().unwrap().len(), none.header("link")), (0, String::new()));
    let (mut path, mut seen) = ("/v2/a/tags/list?n=4".to_owned(), Vec::new());
    while !path.is_empty() {
        let page = registry.get(&path).is(200);
        seen.extend(page.json()["tags"].as_array().unwrap().clone());
        path = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    }
    assert_eq!(serde_json::json!(seen), sorted);
    registry.get("/v2/a/tags/list?n=x").is(400);
    assert_eq!(registry.get("/v2/_catalog").is(200).json()["repositories"], serde_json::json!(["a"]));
}

#[test]
fn deleting_takes_effect_at_once() {
    let (_env, registry) = serve(&["--allow-delete"]);
    let text = manifest(&registry, "a", &[b"x"], serde_json::json!({}));
    let digest = sha256(text.as_bytes());
    let delete = |path: &str| registry.send("DELETE", path, &[], b"");
    for tag in ["v1", "v2"] {
        registry.put_manifest("a", tag, MANIFEST, &text).is(201);
    }
    delete("/v2/a/manifests/v1").is(202);
    registry.get("/v2/a/manifests/v1").is(404);
    registry.get(&format!("/v2/a/manifests/{digest}")).is(200);
    delete(&format!("/v2/a/manifests/{digest}")).is(202);
    registry.get("/v2/a/manifests/v2").is(404);
    assert_eq!(registry.get("/v2/a/tags/list").is(200).json()["tags"], serde_json::json!([]));
    delete(&format!("/v2/a/manifests/{digest}")).is(404);
    delete(&format!("/v2/a/blobs/{}", sha256(b"x"))).is(202);
    registry.get(&format!("/v2/a/blobs/{}", sha256(b"x"))).is(404);
    let (_env, kept) = serve(&[]);
    let blob = kept.push_blob("a", b"x");
    kept.send("DELETE", &format!("/v2/a/blobs/{blob}"), &[], b"").is(405).says("UNSUPPORTED");
}

#[test]
fn referrers_are_found() {
    let (_env, registry) = serve(&["--allow-delete"]);
    let subject = manifest(&registry, "a", &[b"x"], serde_json::json!({}));
    let digest = sha256(subject.as_bytes());
    let path = format!("/v2/a/referrers/{digest}");
    registry.put_manifest("a", "v1", MANIFEST, &subject).is(201);
    assert_eq!(registry.get(&path).is(200).json()["manifests"], serde_json::json!([]));
    registry.get("/v2/a/referrers/latest").is(400);
    let descriptor = serde_json::json!({ "digest": digest, "size": subject.len(), "mediaType": MANIFEST });
    let refer = |kind: &str, note: &str| {
        let more = serde_json::json!({ "subject": descriptor, "artifactType": kind, "annotations": { "note": note } });
        manifest(&registry, "a", &[], more)
    };
    let (one, two) = (refer("kind/one", "1"), refer("kind/two", "2"));
    let put = registry.put_manifest("a", &sha256(one.as_bytes()), MANIFEST, &one).is(201);
    assert_eq!(put.header("oci-subject"), digest);
    registry.put_manifest("a", "two", MANIFEST, &two).is(201);
    let plain = manifest(&registry, "a", &[], serde_json::json!({ "subject": descriptor }));
    registry.put_manifest("a", "three", MANIFEST, &plain).is(201);
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": descriptor, "artifactType": "kind/index" }).to_string();
    registry.put_manifest("a", "four", INDEX, &index).is(201);
    let all = registry.get(&path).is(200);
    assert_eq!(all.header("content-type"), INDEX);
    assert_eq!(all.json()["manifests"].as_array().unwrap().len(), 4);
    let filtered = registry.get(&format!("{path}?artifactType=kind/one")).is(200);
    assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
    assert_eq!(
        filtered.json()["manifests"],
        serde_json::json!([{
        "mediaType": MANIFEST, "digest": sha256(one.as_bytes()), "size": one.len(),
        "artifactType": "kind/one", "annotations": { "note": "1" } }])
    );
    // Without a type of its own a manifest is of its config's.
    let config = "application/vnd.oci.image.config.v1+json";
    assert_eq!(
        registry.get(&format!("{path}?artifactType={config}")).json()["manifests"][0]["digest"],
        sha256(plain.as_bytes())
    );
    // What older clients noted under the fallback tag counts as well, once.
    let known = serde_json::json!({ "digest": sha256(one.as_bytes()), "size": 1, "mediaType": MANIFEST });
    let noted = serde_json::json!({ "digest": sha256(b"noted"), "size": 5, "mediaType": MANIFEST, "artifactType": "kind/noted" });
    let (_env, sparse) = serve(&["--sparse"]);
    let fallback = serde_json::json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [known, noted] })
        .to_string();
    sparse.put_manifest("a", &digest.replace(':', "-"), INDEX, &fallback).is(201);
    assert_eq!(sparse.get(&path).json()["manifests"].as_array().unwrap().len(), 2);
    // A subject that was never pushed is no error, and deleting ends a reference.
    let lost =
        serde_json::json!({ "subject": { "digest": sha256(b"lost"), "size": 1, "mediaType": MANIFEST } });
    let lost = manifest(&registry, "a", &[], lost);
    registry.put_manifest("a", "lost", MANIFEST, &lost).is(201);
    registry.send("DELETE", &format!("/v2/a/manifests/{}", sha256(one.as_bytes())), &[], b"").is(202);
    assert_eq!(registry.get(&path).json()["manifests"].as_array().unwrap().len(), 3);
}
