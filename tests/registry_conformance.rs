//! The built-in registry under the requests of the distribution specification's conformance suite.
//!
//! One test a group of that suite (pull, push, discovery, management), in both
//! of its forms: the one by workflows up to version 1.1.0, and the one by data
//! sets after it. What it may skip is required here: the registry claims all of
//! it. A test goes on after a difference and fails with the list of them.

mod support;

use support::conformance::blobs::{Push, THREE_CHUNKS, WAYS, Way, delete, gone, look};
use support::conformance::data::{Data, Document, all, bytes, digest, sparse};
use support::conformance::{INDEX, MANIFEST, Suite};

const ONE: &str = "conformance/one";
const TWO: &str = "conformance/two";
/// The config of artifacts.
const EMPTY_JSON: &[u8] = b"{}";

/// Pushes a set as the suite does: blobs by turns in every way, manifests by digest, then tags.
fn push(suite: &Suite, data: &Data) {
    for (at, (digest, bytes)) in data.blobs.iter().enumerate() {
        Push { repository: ONE, digest, bytes, is_bad: false }.by(suite, WAYS[at % WAYS.len()]);
    }
    for document in &data.documents {
        let tags: Vec<&str> = match data.tags_in_query {
            true => tags_of(data, document),
            false => Vec::new(),
        };
        put(suite, &document.digest, document, &tags);
    }
    for (tag, digest) in data.tags.iter().filter(|_| !data.tags_in_query) {
        let document = data.documents.iter().find(|one| one.digest == *digest).expect("tags name documents");
        put(suite, tag, document, &[]);
    }
}

fn tags_of<'a>(data: &'a Data, document: &Document) -> Vec<&'a str> {
    data.tags.iter().filter(|(_, digest)| *digest == document.digest).map(|(tag, _)| tag.as_str()).collect()
}

/// Puts a manifest, with its length under a tag and without under a digest, and looks where it is.
fn put(suite: &Suite, reference: &str, document: &Document, tags: &[&str]) {
    let text = document.text.as_bytes();
    let mut ask =
        suite.ask("PUT", &format!("/v2/{ONE}/manifests/{reference}")).header("Content-Type", &document.kind);
    for tag in tags {
        ask = ask.query("tag", tag);
    }
    let ask = if reference.contains(':') { ask.stream(text) } else { ask.body(text) };
    let answer = ask.send(&[201]).has("Docker-Content-Digest", &document.digest);
    let answer = answer.has("OCI-Subject", document.subject.as_deref().unwrap_or_default());
    let lines = answer.answer.headers("oci-tag");
    let named: Vec<&str> = lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect();
    suite.holds(tags.iter().all(|tag| named.contains(tag)), format!("OCI-Tag is {named:?}, not {tags:?}"));
    let Some(location) = answer.location() else { return };
    let got = suite.ask("GET", &location).header("Accept", INDEX).header("Accept", MANIFEST).send(&[200]);
    got.holds(text).has("Content-Type", &document.kind);
}

/// Pulls a manifest by HEAD and GET.
fn pull(suite: &Suite, reference: &str, document: &Document) {
    for method in ["HEAD", "GET"] {
        let got = suite.ask_manifest(method, ONE, reference).send(&[200]);
        let got = got.has("Content-Type", &document.kind).has("Docker-Content-Digest", &document.digest);
        match method {
            "HEAD" => got.has("Content-Length", document.text.len().to_string()),
            _ => got.holds(document.text.as_bytes()),
        };
    }
}

#[test]
fn pulling() {
    let suite = Suite::start(&["--allow-delete", "--sparse"]);
    suite.case("ping");
    suite.ask("GET", "/v2/").send(&[200]);
    suite.case("nothing there");
    let nothing = digest(false, b"hello world");
    for repository in [ONE, TWO] {
        gone(&suite, &format!("/v2/{repository}/blobs/{nothing}"));
        for reference in [".INVALID_MANIFEST_NAME", "missing-tag", &nothing] {
            suite.ask_manifest("HEAD", repository, reference).send(&[404]);
            suite.ask_manifest("GET", repository, reference).send(&[404]);
        }
        // The repository is there in the second turn.
        Push { repository: TWO, digest: &digest(false, b"x"), bytes: b"x", is_bad: false }
            .by(&suite, Way::Post);
    }
    for data in all().iter().chain(&sparse()) {
        suite.case(data.name);
        push(&suite, data);
        for document in &data.documents {
            pull(&suite, &document.digest, document);
            tags_of(data, document).iter().for_each(|tag| pull(&suite, tag, document));
        }
        data.blobs.iter().for_each(|(digest, bytes)| look(&suite, ONE, digest, bytes));
    }
    for is_long in [false, true] {
        parts(&suite, is_long);
    }
    suite.case("invalid references");
    let path = format!("/v2/{ONE}/manifests/sha256:totallywrong");
    suite.ask("PUT", &path).header("Content-Type", MANIFEST).body(b"blablabla").send(&[400]);
    suite.ask_manifest("GET", ONE, "sha256:baddigeststring").send(&[400, 404]);
    suite.end();
}

/// Asks for parts of a blob.
fn parts(suite: &Suite, is_long: bool) {
    suite.case(if is_long { "parts of a sha512 blob" } else { "parts of a blob" });
    let content = bytes(2048);
    let digest = digest(is_long, &content);
    Push { repository: ONE, digest: &digest, bytes: &content, is_bad: false }.by(suite, Way::PostPut);
    let ask = |range: &str| {
        suite.ask("GET", &format!("/v2/{ONE}/blobs/{digest}")).header("Range", format!("bytes={range}"))
    };
    for (range, from, to) in
        [("500-1499", 500, 1500), ("500-", 500, 2048), ("-500", 1548, 2048), ("2000-5000", 2000, 2048)]
    {
        let part = ask(range).send(&[206]).holds(&content[from..to]);
        part.has("Content-Range", format!("bytes {from}-{}/2048", to - 1));
    }
    for range in ["500-0", "5000-10000"] {
        ask(range).send(&[416]);
    }
}

#[test]
fn pushing() {
    let suite = Suite::start(&["--allow-delete"]);
    for is_long in [false, true] {
        blob_ways(&suite, is_long);
        mounts(&suite, is_long);
    }
    sessions(&suite);
    for data in &all() {
        suite.case(data.name);
        push(&suite, data);
    }
    wrong_manifests(&suite);
    let taken = Suite::start(&["--sparse"]);
    for data in sparse() {
        taken.case(data.name);
        push(&taken, &data);
        // Whoever does not ask for sparse manifests gets none.
        suite.case(data.name);
        let Some(last) = data.documents.last() else { continue };
        let ask = suite.ask("PUT", &format!("/v2/{ONE}/manifests/sparse"));
        let refused = ask.header("Content-Type", &last.kind).body(last.text.as_bytes()).send(&[400]);
        let code = refused.json()["errors"][0]["code"].clone();
        suite.holds(code == "MANIFEST_BLOB_UNKNOWN", format!("the error of {} is {code}", data.name));
    }
    suite.join(taken);
    suite.end();
}

/// Pushes blobs of known contents in every way, and wrong bytes in every way.
fn blob_ways(suite: &Suite, is_long: bool) {
    let stray = |put_last| Way::Chunks { put_last, out_of_order: true };
    for way in WAYS.into_iter().chain([stray(false), stray(true)]) {
        for content in [bytes(512), bytes(THREE_CHUNKS), Vec::new(), EMPTY_JSON.to_vec()] {
            let is_stray = matches!(way, Way::Chunks { out_of_order: true, .. });
            if is_stray && content.len() < THREE_CHUNKS {
                continue;
            }
            suite.case(&format!("{way:?}, {} bytes, sha512 {is_long}", content.len()));
            let digest = digest(is_long, &content);
            gone(suite, &format!("/v2/{ONE}/blobs/{digest}"));
            Push { repository: ONE, digest: &digest, bytes: &content, is_bad: false }.by(suite, way);
            look(suite, ONE, &digest, &content);
            delete(suite, ONE, &digest);
        }
        let content = bytes(THREE_CHUNKS);
        let digest = digest(is_long, &content);
        suite.case(&format!("{way:?}, other bytes than the digest's, sha512 {is_long}"));
        let bytes = [&content[..], b"oh no"].concat();
        Push { repository: ONE, digest: &digest, bytes: &bytes, is_bad: true }.by(suite, way);
        gone(suite, &format!("/v2/{ONE}/blobs/{digest}"));
    }
}

/// Mounts from a repository that has the blob, from one that has not, and from anywhere.
fn mounts(suite: &Suite, is_long: bool) {
    for (case, is_there, from) in [
        ("mount", true, Some(TWO)),
        ("mount from anywhere", true, None),
        ("mount of nothing", false, Some(TWO)),
        ("mount of nothing from anywhere", false, None),
    ] {
        suite.case(&format!("{case}, sha512 {is_long}"));
        let content = bytes(512);
        let digest = digest(is_long, &content);
        if is_there {
            Push { repository: TWO, digest: &digest, bytes: &content, is_bad: false }.by(suite, Way::Post);
        }
        let mut ask = suite.ask("POST", &format!("/v2/{ONE}/blobs/uploads/")).query("mount", &digest);
        if let Some(from) = from {
            ask = ask.query("from", from);
        }
        let answer = ask.send(&[if is_there { 201 } else { 202 }]);
        let Some(location) = answer.location() else { continue };
        if is_there {
            answer.has("Location", format!("/v2/{ONE}/blobs/{digest}")).has("Docker-Content-Digest", &digest);
        } else {
            // It goes on as an upload.
            suite.holds(location.starts_with(&format!("/v2/{ONE}/blobs/uploads/")), &location);
            suite.ask("PUT", &location).query("digest", &digest).body(&content).send(&[201]);
        }
        look(suite, ONE, &digest, &content);
        delete(suite, ONE, &digest);
        if is_there {
            delete(suite, TWO, &digest);
        }
    }
}

/// Sessions: asked about, gone on with after a chunk that was sent twice, cancelled.
fn sessions(suite: &Suite) {
    let uploads = format!("/v2/{ONE}/blobs/uploads/");
    let begin = || suite.ask("POST", &uploads).header("Content-Length", "0").send(&[202]).location();
    suite.case("a chunk sent twice");
    let content = bytes(THREE_CHUNKS);
    let digest = digest(false, &content);
    let Some(location) = begin() else { return };
    let chunk = |from: usize, to: usize| {
        let range = format!("{from}-{}", to - 1);
        suite.ask("PATCH", &location).header("Content-Range", range).body(&content[from..to])
    };
    chunk(1024, THREE_CHUNKS).send(&[416]);
    chunk(0, 1024).send(&[202]).has("Range", "0-1023");
    chunk(0, 1024).send(&[416]);
    let state = suite.ask("GET", &location).send(&[204]).has("Range", "0-1023");
    suite.holds(state.location().is_some(), "an upload's state has no Location");
    chunk(1024, THREE_CHUNKS).send(&[202]);
    suite.ask("PUT", &location).query("digest", &digest).send(&[201]);
    look(suite, ONE, &digest, &content);
    suite.case("a finished upload");
    suite.ask("GET", &location).send(&[404]);
    suite.case("a cancelled upload");
    let Some(location) = begin() else { return };
    suite.ask("DELETE", &location).send(&[204]);
    suite.ask("GET", &location).send(&[404]);
    suite.ask("PUT", &location).query("digest", &digest).body(&content).send(&[404]);
}

/// Manifests that are refused: other bytes than the digest's, invalid digests, no manifests at all.
fn wrong_manifests(suite: &Suite) {
    let sets = all();
    let document = &sets[0].documents[0];
    let spaced = format!("{}  ", document.text);
    for (case, reference, kind, text) in [
        ("other bytes", document.digest.as_str(), MANIFEST, spaced.as_str()),
        ("an invalid digest", "sha256:baddigeststring", MANIFEST, &document.text),
        ("no manifest", "sha256:totallywrong", MANIFEST, "blablabla"),
        ("no JSON", "latest", MANIFEST, "blablabla"),
        ("another media type", "latest", INDEX, &document.text),
        ("blobs that are not there", "latest", MANIFEST, &document.text),
    ] {
        suite.case(case);
        let path = format!("/v2/{ONE}/manifests/{reference}");
        suite.ask("PUT", &path).header("Content-Type", kind).body(text.as_bytes()).send(&[400]);
        suite.ask_manifest("GET", ONE, reference).send(&[400, 404]);
    }
}

#[test]
fn discovering() {
    let suite = Suite::start(&["--allow-delete"]);
    suite.case("nothing there");
    suite.holds(suite.tags(ONE, "").is_empty(), "there are tags");
    let nothing = digest(false, b"hello world");
    referrers(&suite, &nothing, "", &[]);
    let sets = all();
    let mut expected: Vec<String> = Vec::new();
    for data in &sets {
        suite.case(data.name);
        push(&suite, data);
        expected.extend(data.tags.iter().map(|(tag, _)| tag.clone()));
        expected.sort();
        expected.dedup();
        tags(&suite, &expected);
        for (subject, of) in subjects(data) {
            referrers(&suite, &subject, "", &of);
            for kind in of.iter().filter_map(|one| one["artifactType"].as_str()) {
                let fit: Vec<_> = of.iter().filter(|one| one["artifactType"] == kind).cloned().collect();
                referrers(&suite, &subject, kind, &fit);
            }
            referrers(&suite, &subject, "application/vnd.example.none", &[]);
        }
    }
    referrers(&suite, &nothing, "", &[]);
    for data in &sets {
        suite.case(&format!("{}, deleted", data.name));
        for (subject, mut of) in subjects(data) {
            while let Some(one) = of.pop() {
                let digest = one["digest"].as_str().unwrap_or_default();
                suite.ask("DELETE", &format!("/v2/{ONE}/manifests/{digest}")).send(&[202]);
                referrers(&suite, &subject, "", &of);
            }
        }
    }
    suite.end();
}

/// Lists tags as a whole, after each one, and in pages.
fn tags(suite: &Suite, expected: &[String]) {
    let listed = suite.tags(ONE, "");
    suite.holds(listed == expected, format!("tags are {listed:?}, not {expected:?}"));
    for at in 1..=expected.len() {
        let rest = suite.tags(ONE, &format!("?last={}", expected[at - 1]));
        suite.holds(rest == expected[at..], format!("after {} come {rest:?}", expected[at - 1]));
    }
    let half = expected.len() / 2;
    for (n, first) in [(0, 0), (half, half), (expected.len() + 9, expected.len())] {
        let some = suite.tags(ONE, &format!("?n={n}"));
        suite.holds(some == expected[..first], format!("the first {n} are {some:?}"));
    }
    let (mut path, mut seen) = (format!("/v2/{ONE}/tags/list?n=3"), Vec::new());
    while !path.is_empty() && seen.len() <= expected.len() {
        let page = suite.ask("GET", &path).send(&[200]);
        let names = page.json()["tags"].as_array().cloned().unwrap_or_default();
        suite.holds(names.len() <= 3, format!("a page of 3 has {}", names.len()));
        seen.extend(names.iter().filter_map(|name| name.as_str().map(str::to_owned)));
        let link = page.header("Link");
        suite.holds(link.is_empty() || link.ends_with("rel=\"next\""), format!("Link is {link:?}"));
        path = link.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    }
    suite.holds(seen == expected, format!("pages have {seen:?}"));
}

/// The subjects of a set with what refers to each.
fn subjects(data: &Data) -> Vec<(String, Vec<serde_json::Value>)> {
    let mut found: Vec<(String, Vec<_>)> = Vec::new();
    for (subject, one) in &data.referrers {
        match found.iter_mut().find(|(known, _)| known == subject) {
            Some((_, of)) => of.push(one.clone()),
            None => found.push((subject.clone(), vec![one.clone()])),
        }
    }
    found
}

/// Lists what refers to a subject; `kind` filters if there is one.
fn referrers(suite: &Suite, subject: &str, kind: &str, expected: &[serde_json::Value]) {
    let ask = suite.ask("GET", &format!("/v2/{ONE}/referrers/{subject}"));
    let ask = if kind.is_empty() { ask } else { ask.query("artifactType", kind) };
    let answer = ask.send(&[200]).has("Content-Type", INDEX);
    let answer = answer.has("OCI-Filters-Applied", if kind.is_empty() { "" } else { "artifactType" });
    let list = answer.json();
    suite.holds(list["schemaVersion"] == 2 && list["mediaType"] == INDEX, "the referrers are no index");
    let found = list["manifests"].as_array().cloned().unwrap_or_default();
    suite.holds(list["manifests"].is_array(), "the list of referrers is no list");
    let is_whole = found.len() == expected.len() && expected.iter().all(|one| found.contains(one));
    suite.holds(is_whole, format!("{subject} of {kind:?} has {found:?}, not {expected:?}"));
}

#[test]
fn managing() {
    let suite = Suite::start(&["--allow-delete", "--sparse"]);
    for data in all().iter().chain(&sparse()) {
        suite.case(data.name);
        push(&suite, data);
        remove(&suite, data);
    }
    suite.case("what was never there");
    let nothing = digest(false, b"hello world");
    for path in
        ["manifests/missing-tag".to_owned(), format!("manifests/{nothing}"), format!("blobs/{nothing}")]
    {
        suite.ask("DELETE", &format!("/v2/{ONE}/{path}")).send(&[404]);
    }
    let kept = Suite::start(&[]);
    kept.case("a registry that deletes nothing");
    let data = &all()[0];
    push(&kept, data);
    let document = &data.documents[0];
    for path in [
        format!("manifests/{}", data.tags[0].0),
        format!("manifests/{}", document.digest),
        format!("blobs/{}", data.blobs[0].0),
    ] {
        let answer = kept.ask("DELETE", &format!("/v2/{ONE}/{path}")).send(&[405]);
        kept.holds(
            answer.json()["errors"][0]["code"] == "UNSUPPORTED",
            format!("{path} says something else"),
        );
    }
    pull(&kept, &data.tags[0].0, document);
    suite.join(kept);
    suite.end();
}

/// Deletes tags, then manifests from the last to the first, then blobs; each is gone at once.
fn remove(suite: &Suite, data: &Data) {
    for (tag, digest) in &data.tags {
        let count = suite.tags(ONE, "").len();
        suite.ask("DELETE", &format!("/v2/{ONE}/manifests/{tag}")).send(&[202]);
        gone(suite, &format!("/v2/{ONE}/manifests/{tag}"));
        suite.ask_manifest("HEAD", ONE, digest).send(&[200]);
        suite.holds(suite.tags(ONE, "").len() + 1 == count, format!("the tag {tag} is still listed"));
        suite.ask("DELETE", &format!("/v2/{ONE}/manifests/{tag}")).send(&[404]);
    }
    let (again, last) = ("again", data.documents.last().expect("every set has one"));
    put(suite, &last.digest, last, &[again]);
    for document in data.documents.iter().rev() {
        let path = format!("/v2/{ONE}/manifests/{}", document.digest);
        suite.ask("DELETE", &path).send(&[202]);
        gone(suite, &path);
        suite.ask("DELETE", &path).send(&[404]);
    }
    // A manifest takes its tags along.
    suite.holds(!suite.tags(ONE, "").iter().any(|tag| tag == again), "a deleted manifest's tag is listed");
    suite.ask_manifest("GET", ONE, again).send(&[404]);
    data.blobs.iter().for_each(|(digest, _)| delete(suite, ONE, digest));
}
