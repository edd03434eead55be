//! A small registry in memory, in front of which a test can put its mischief.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::TestEnv;
use super::script::{Asked, Reply, Script};
use super::serve::sha256;

#[derive(Default)]
struct State {
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and reference: media type and bytes.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
    begun: usize,
}

/// The registry; clones share it.
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<State>>);

impl Fake {
    /// Answers a request as a good registry does.
    pub fn answer(&self, asked: &Asked) -> Reply {
        let path = asked.path().trim_start_matches("/v2/").to_owned();
        if path.is_empty() {
            return Reply::new(200).body("{}");
        }
        if let Some((name, id)) = path.split_once("/blobs/uploads/") {
            return self.upload(asked, name, id);
        }
        if let Some((name, digest)) = path.split_once("/blobs/") {
            let state = self.0.lock().unwrap();
            let Some(blob) = state.blobs.get(&(name.to_owned(), digest.to_owned())) else {
                return Reply::errors(404, "BLOB_UNKNOWN", "blob unknown to registry");
            };
            return part(asked, blob);
        }
        if let Some((name, reference)) = path.split_once("/manifests/") {
            return self.manifest(asked, name, reference);
        }
        if let Some(name) = path.strip_suffix("/tags/list") {
            let tags: Vec<String> = self.references(name).into_iter().filter(|r| !r.contains(':')).collect();
            return Reply::json(&serde_json::json!({"name": name, "tags": tags}));
        }
        Reply::errors(404, "UNSUPPORTED", "no such route")
    }

    fn manifest(&self, asked: &Asked, name: &str, reference: &str) -> Reply {
        let mut state = self.0.lock().unwrap();
        if asked.method == "PUT" {
            let digest = sha256(&asked.body);
            let kept = (asked.header("content-type").to_owned(), asked.body.clone());
            for reference in [reference, &digest] {
                state.manifests.insert((name.to_owned(), reference.to_owned()), kept.clone());
            }
            return Reply::new(201).header("docker-content-digest", digest).header("location", asked.path());
        }
        match state.manifests.get(&(name.to_owned(), reference.to_owned())) {
            None => Reply::errors(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            Some((kind, bytes)) => Reply::new(200)
                .header("content-type", kind)
                .header("docker-content-digest", sha256(bytes))
                .body(bytes.clone()),
        }
    }

    fn upload(&self, asked: &Asked, name: &str, id: &str) -> Reply {
        let mut state = self.0.lock().unwrap();
        if asked.method == "POST" {
            if let (Some(digest), Some(from)) = (asked.query("mount"), asked.query("from"))
                && let Some(blob) = state.blobs.get(&(from, digest.clone())).cloned()
            {
                state.blobs.insert((name.to_owned(), digest), blob);
                return Reply::new(201);
            }
            state.begun += 1;
            let id = state.begun.to_string();
            state.uploads.insert(id.clone(), Vec::new());
            return Reply::new(202).header("location", format!("/v2/{name}/blobs/uploads/{id}"));
        }
        let Some(held) = state.uploads.get_mut(id) else {
            return Reply::errors(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry");
        };
        let here = format!("/v2/{name}/blobs/uploads/{id}");
        if asked.method == "PATCH" || asked.method == "PUT" {
            let at = asked.header("content-range").split('-').next().and_then(|at| at.parse().ok());
            if at.is_some_and(|at: usize| at != held.len()) {
                return Reply::new(416).header("range", format!("0-{}", held.len().saturating_sub(1)));
            }
            held.extend_from_slice(&asked.body);
        }
        let range = format!("0-{}", held.len().saturating_sub(1));
        match asked.method.as_str() {
            "PUT" => {
                let (bytes, digest) = (held.clone(), asked.query("digest").unwrap_or_default());
                state.uploads.remove(id);
                if sha256(&bytes) != digest {
                    return Reply::errors(400, "DIGEST_INVALID", "provided digest did not match");
                }
                state.blobs.insert((name.to_owned(), digest), bytes);
                Reply::new(201)
            }
            "DELETE" => {
                state.uploads.remove(id);
                Reply::new(204)
            }
            "PATCH" => Reply::new(202).header("location", here).header("range", range),
            _ => Reply::new(204).header("location", here).header("range", range),
        }
    }

    /// Adds bytes to a running upload, as if a request had broken in its middle.
    pub fn receive(&self, asked: &Asked, count: usize) {
        let mut state = self.0.lock().unwrap();
        let id = asked.path().rsplit('/').next().unwrap_or_default().to_owned();
        state.uploads.get_mut(&id).expect("an upload").extend_from_slice(&asked.body[..count]);
    }

    /// Returns a manifest's media type and bytes.
    pub fn get(&self, name: &str, reference: &str) -> (String, Vec<u8>) {
        self.0.lock().unwrap().manifests[&(name.to_owned(), reference.to_owned())].clone()
    }

    /// Puts a manifest in place.
    pub fn put(&self, name: &str, reference: &str, kind: &str, bytes: Vec<u8>) {
        let key = (name.to_owned(), reference.to_owned());
        self.0.lock().unwrap().manifests.insert(key, (kind.to_owned(), bytes));
    }

    /// Returns tags and digests of a repository's manifests.
    pub fn references(&self, name: &str) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.manifests.keys().filter(|(known, _)| known == name).map(|(_, r)| r.clone()).collect()
    }

    /// Returns digests and bytes of the layers of an image.
    pub fn layers(&self, name: &str, reference: &str) -> Vec<(String, Vec<u8>)> {
        let manifest: serde_json::Value = serde_json::from_slice(&self.get(name, reference).1).unwrap();
        let digests = manifest["layers"].as_array().unwrap().iter().map(|l| l["digest"].as_str().unwrap());
        let state = self.0.lock().unwrap();
        digests.map(|d| (d.to_owned(), state.blobs[&(name.to_owned(), d.to_owned())].clone())).collect()
    }

    /// Returns the digest of an image's config.
    pub fn config(&self, name: &str, reference: &str) -> String {
        let manifest: serde_json::Value = serde_json::from_slice(&self.get(name, reference).1).unwrap();
        manifest["config"]["digest"].as_str().unwrap().to_owned()
    }

    /// Makes a registry that has `app:1`: two layers, the first of some megabytes that don't compress.
    pub fn with_app() -> Self {
        let fake = Self::default();
        let behind = fake.clone();
        let server = Script::start(move |asked, _| behind.answer(asked));
        let env = TestEnv::new();
        let name = build_app(&env, &server.host);
        env.ok(&["push", "-q", &name]);
        fake
    }
}

/// Builds an image of two layers and names it for a registry.
pub fn build_app(env: &TestEnv, host: &str) -> String {
    let name = format!("{host}/app:1");
    env.write("app/big", noise(3 << 20));
    env.write("app/small", "small\n");
    env.write("app/Dockerfile", "FROM scratch\nCOPY big /big\nCOPY small /small\nCMD [\"/none\"]\n");
    env.ok(&["build", "-q", "-t", &name, "app"]);
    name
}

/// Returns bytes that no compression makes smaller.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    });
    next.take(count).collect()
}

/// Answers with a blob, or with the part of it that was asked for.
pub fn part(asked: &Asked, blob: &[u8]) -> Reply {
    let Some(range) = asked.header("range").strip_prefix("bytes=") else {
        return Reply::new(200).body(blob);
    };
    let (from, to) = range.split_once('-').expect("a range");
    let from: usize = from.parse().expect("a number");
    let end = to.parse::<usize>().map_or(blob.len(), |to| to + 1).min(blob.len());
    if from >= blob.len() {
        return Reply::new(416);
    }
    let said = format!("bytes {from}-{}/{}", end - 1, blob.len());
    Reply::new(206).header("content-range", said).body(&blob[from..end])
}
