//! What is pushed: images, indexes, artifacts and referrers of every shape, each with what it needs.

use std::cell::Cell;

use base64::Engine as _;
use serde_json::{Value, json};

use super::super::serve::{sha256, sha512};
use super::{INDEX, MANIFEST};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const NOT_DISTRIBUTED: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const KIND_ONE: &str = "application/vnd.example.oci.conformance.v1";
const KIND_TWO: &str = "application/vnd.example.oci.conformance.v2";

/// Returns bytes that no other call has.
pub fn bytes(size: usize) -> Vec<u8> {
    thread_local! { static STATE: Cell<u64> = const { Cell::new(0x9e37_79b9_7f4a_7c15) } }
    let next = |_| {
        let mut state = STATE.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        STATE.set(state);
        (state >> 24) as u8
    };
    (0..size).map(next).collect()
}

/// Returns a digest of an algorithm.
pub fn digest(is_long: bool, bytes: &[u8]) -> String {
    if is_long { sha512(bytes) } else { sha256(bytes) }
}

/// A manifest or an index.
#[derive(Debug, Clone)]
pub struct Document {
    /// Digest by which it is put.
    pub digest: String,
    /// Media type.
    pub kind: String,
    /// Its bytes.
    pub text: String,
    /// What it refers to.
    pub subject: Option<String>,
}

/// Things that are pushed, looked at and deleted together.
#[derive(Debug, Default)]
pub struct Data {
    /// What a difference calls it.
    pub name: &'static str,
    /// Blobs by digest.
    pub blobs: Vec<(String, Vec<u8>)>,
    /// Manifests in the order in which they are pushed.
    pub documents: Vec<Document>,
    /// Tags and the digests they name.
    pub tags: Vec<(String, String)>,
    /// Subjects with the descriptors that refer to them.
    pub referrers: Vec<(String, Value)>,
    /// Tags come with the manifest's digest, as query parameters.
    pub tags_in_query: bool,
}

/// How an image or index is made.
#[derive(Clone, Default)]
struct Make {
    tag: &'static str,
    is_long: bool,
    kind: &'static str,
    layer: &'static str,
    layers: usize,
    layer_bytes: Option<&'static [u8]>,
    annotations: Option<Value>,
    subject: Option<Value>,
    inline: bool,
    unknown_field: bool,
}

impl Make {
    fn image(tag: &'static str) -> Self {
        Self { tag, layer: LAYER_GZIP, layers: 2, ..Self::default() }
    }

    fn artifact(tag: &'static str, kind: &'static str, layer: &'static str) -> Self {
        Self { tag, kind, layer, layers: 1, ..Self::default() }
    }

    fn about(self, subject: &Value) -> Self {
        let annotations = json!({ "org.opencontainers.conformance": "hello", "org.example.once": format!("{:x?}", bytes(8)) });
        Self { subject: Some(subject.clone()), annotations: Some(annotations), ..self }
    }
}

impl Data {
    fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    fn blob(&mut self, make: &Make, kind: &str, bytes: Vec<u8>) -> Value {
        let digest = digest(make.is_long, &bytes);
        let mut descriptor = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        if make.inline {
            descriptor["data"] = base64::engine::general_purpose::STANDARD.encode(&bytes).into();
        }
        if !self.blobs.iter().any(|(known, _)| *known == digest) {
            self.blobs.push((digest, bytes));
        }
        descriptor
    }

    /// Adds a manifest with its blobs and returns its descriptor.
    fn image(&mut self, make: &Make) -> Value {
        let layers: Vec<Value> = (0..make.layers)
            .map(|_| self.blob(make, make.layer, make.layer_bytes.map_or_else(|| bytes(700), <[u8]>::to_vec)))
            .collect();
        let config = match make.kind {
            "" => {
                let diffs: Vec<_> = layers.iter().map(|layer| &layer["digest"]).collect();
                let text = json!({ "author": "skiff", "architecture": "amd64", "os": "linux",
                    "created_by": format!("{:x?}", bytes(8)), "rootfs": { "type": "layers", "diff_ids": diffs } });
                self.blob(make, CONFIG, text.to_string().into_bytes())
            }
            _ => self.blob(make, EMPTY, b"{}".to_vec()),
        };
        self.document(make, MANIFEST, json!({ "config": config, "layers": layers }))
    }

    /// Adds an index over these descriptors.
    fn index(&mut self, make: &Make, of: &[Value]) -> Value {
        self.document(make, INDEX, json!({ "manifests": of }))
    }

    /// Adds an index over two platforms' images.
    fn platforms(&mut self, make: &Make) -> Value {
        let inner = Make { tag: "", subject: None, ..make.clone() };
        let of: Vec<Value> = ["amd64", "arm64"]
            .into_iter()
            .map(|architecture| {
                let mut one = self.image(&inner);
                one["platform"] = json!({ "os": "linux", "architecture": architecture });
                one
            })
            .collect();
        self.index(make, &of)
    }

    fn document(&mut self, make: &Make, kind: &str, body: Value) -> Value {
        let mut document = json!({ "schemaVersion": 2, "mediaType": kind });
        if !make.kind.is_empty() {
            document["artifactType"] = make.kind.into();
        }
        for (key, value) in body.as_object().expect("an object") {
            document[key] = value.clone();
        }
        if let Some(annotations) = &make.annotations {
            document["annotations"] = annotations.clone();
        }
        if let Some(subject) = &make.subject {
            document["subject"] = subject.clone();
        }
        if make.unknown_field {
            document["org.example.unknown"] = json!({ "x": [1, null, format!("{:x?}", bytes(8))] });
        }
        let text = document.to_string();
        let digest = digest(make.is_long, text.as_bytes());
        let descriptor = json!({ "mediaType": kind, "digest": digest, "size": text.len() });
        let subject = make.subject.as_ref().and_then(|s| s["digest"].as_str()).map(str::to_owned);
        if let Some(subject) = &subject {
            let mut entry = descriptor.clone();
            let own = if make.kind.is_empty() {
                &document["config"]["mediaType"]
            } else {
                &document["artifactType"]
            };
            entry["artifactType"] = own.clone();
            if let Some(annotations) = &make.annotations {
                entry["annotations"] = annotations.clone();
            }
            self.referrers.push((subject.clone(), entry));
        }
        if !make.tag.is_empty() {
            self.tags.push((make.tag.to_owned(), digest.clone()));
        }
        self.documents.push(Document { digest, kind: kind.to_owned(), text, subject });
        descriptor
    }

    /// Puts all tags, and one more for each manifest, by query parameters.
    fn with_tags_in_query(mut self) -> Self {
        let more = self.documents.iter().enumerate();
        self.tags.extend(more.map(|(at, one)| (format!("{}-{at}", self.name), one.digest.clone())));
        self.tags_in_query = true;
        self
    }
}

fn of(name: &'static str, fill: impl FnOnce(&mut Data)) -> Data {
    let mut data = Data::new(name);
    fill(&mut data);
    data
}

/// Returns everything that any registry has to take.
pub fn all() -> Vec<Data> {
    [images(), artifacts(), referrers()].into_iter().flatten().collect()
}

fn images() -> Vec<Data> {
    let annotations: serde_json::Map<_, _> =
        (0..390).map(|n| (format!("large-annotation-{n}"), "A".repeat(10_000).into())).collect();
    let plain = Make::image;
    let image = |name: &'static str, make: Make| {
        of(name, |data| {
            data.image(&make);
        })
    };
    let index = |name: &'static str, make: Make| {
        of(name, |data| {
            data.platforms(&make);
        })
    };
    vec![
        image("image", plain("image")),
        image("uncompressed", Make { layer: LAYER, ..plain("uncompressed") }),
        image("large-manifest", Make { annotations: Some(annotations.into()), ..plain("large-manifest") }),
        image("data-field", Make { inline: true, ..plain("data-field") }),
        image("no-layers", Make { layers: 0, ..plain("no-layers") }),
        index("index", plain("index")),
        index("custom-fields", Make { unknown_field: true, ..plain("custom-fields") }),
        index("sha512", Make { is_long: true, ..plain("") }),
        index("tag-query", plain("tag-query")).with_tags_in_query(),
        index("tag-query-sha512", Make { is_long: true, ..plain("tag-query-sha512") }).with_tags_in_query(),
        of("nested-index", |data| {
            let inner = [data.platforms(&plain("")), data.platforms(&plain(""))];
            data.index(&plain("nested-index"), &inner);
        }),
        of("empty-index", |data| {
            data.index(&plain("empty-index"), &[]);
        }),
        of("not-distributed", not_distributed),
    ]
}

/// An image of which two layers are elsewhere.
fn not_distributed(data: &mut Data) {
    let make = Make::image("not-distributed");
    let elsewhere = |kind: String| {
        let digest = sha256(&bytes(256));
        let url = format!("https://store.example.com/blobs/{}", digest.replace(':', "/"));
        json!({ "mediaType": kind, "digest": digest, "size": 12_345, "urls": [url] })
    };
    let here = data.blob(&make, LAYER_GZIP, bytes(700));
    let layers = [elsewhere(format!("{NOT_DISTRIBUTED}+gzip")), elsewhere(NOT_DISTRIBUTED.to_owned()), here];
    let config = data.blob(&make, CONFIG, bytes(80));
    data.document(&make, MANIFEST, json!({ "config": config, "layers": layers }));
}

fn artifacts() -> Vec<Data> {
    vec![
        of("artifact", |data| {
            data.image(&Make::artifact("artifact", KIND_ONE, KIND_ONE));
        }),
        of("artifact-index", |data| {
            data.platforms(&Make::artifact("artifact-index", KIND_ONE, KIND_ONE));
        }),
        of("artifact-without-layers", |data| {
            let make = Make::artifact("artifact-without-layers", KIND_ONE, EMPTY);
            data.image(&Make { layer_bytes: Some(b"{}"), ..make });
        }),
    ]
}

fn referrers() -> Vec<Data> {
    let one = || Make::artifact("artifact-one", KIND_ONE, KIND_ONE);
    vec![
        of("artifacts-with-subject", |data| {
            let subject = data.image(&Make::image("subject"));
            data.image(&Make { annotations: None, ..Make::image("").about(&subject) });
            data.image(&one().about(&subject));
            let two = Make::artifact("artifact-two", KIND_TWO, "application/octet-stream");
            data.image(&two.about(&subject));
            data.platforms(&Make { tag: "artifact-three", ..one() }.about(&subject));
        }),
        of("index-with-subject", |data| {
            let subject = data.platforms(&Make::image("subject-index"));
            data.platforms(&one().about(&subject));
        }),
        of("subject-after-its-referrers", |data| {
            let subject = data.image(&Make::image("late-subject"));
            data.image(&one().about(&subject));
            data.documents.rotate_left(1);
        }),
        of("missing-subject", |data| {
            let missing = sha256(&bytes(64));
            data.image(&one().about(&json!({ "mediaType": MANIFEST, "size": 123, "digest": missing })));
        }),
    ]
}

/// Returns an image without one of its layers, and an index without one of its images: for sparse registries.
pub fn sparse() -> Vec<Data> {
    let image = of("sparse-image", |data| {
        data.image(&Make::image("sparse-image"));
        data.blobs.remove(0);
    });
    let index = of("sparse-index", |data| {
        let there = data.image(&Make::image(""));
        let missing = json!({ "mediaType": MANIFEST, "size": 1024, "digest": sha256(&bytes(64)) });
        data.index(&Make::image("sparse-index"), &[there, missing]);
    });
    vec![image, index]
}
