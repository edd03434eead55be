//! `GET /images/NAME/json`, and what lists say of manifests too.

use serde_json::{Map, Value, json};

use super::super::super::global::Global;
use super::super::super::inspect::document;
use super::list::Users;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::manifest::{Descriptor, Document};
use crate::image::{ManifestDigest, Reference};
use crate::store::{ImageRecord, Store};

/// Annotation of what says something about an image and is none.
const KIND: &str = "vnd.docker.reference.type";
/// Annotation that names the image which is spoken of.
const SUBJECT: &str = "vnd.docker.reference.digest";

/// Answers the request.
///
/// # Errors
/// There is no such image, or the store can't be read.
pub fn answer(global: &Global, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let version = request.version;
    let platform = super::platform(request)?;
    let with_manifests = request.query.flag("manifests") && version.since(48);
    if with_manifests && platform.is_some() {
        return Err(ApiError::bad("conflicting options: manifests and platform options cannot both be set"));
    }
    let store = global.store()?;
    let found = store.find(name)?;
    let image = store.select_image(&found, platform.as_ref(), name)?;
    let Value::Object(mut map) = document(store, &image)? else {
        return Err(ApiError::internal("an image has no document"));
    };
    let mut without = |keys: &[&str]| keys.iter().for_each(|key| drop(map.remove(*key)));
    if version.since(44) {
        without(&["VirtualSize"]);
    }
    without(&["Descriptor"]);
    if version.since(48) {
        map.insert("Descriptor".to_owned(), descriptor(store, found.target)?);
    }
    if !version.since(45) {
        map.insert("Container".to_owned(), json!(""));
        map.insert("ContainerConfig".to_owned(), json!({}));
    }
    if with_manifests {
        map.insert("Manifests".to_owned(), manifests(store, found.target, &super::list::users(global)?)?);
    }
    Ok(Answer::json(Value::Object(map)))
}

/// Returns what an image can be found by: indexes with names that lead to it first, then its own manifest.
///
/// # Errors
/// The store can't be read.
pub fn targets(store: &Store, image: &ImageRecord) -> Result<Vec<ManifestDigest>, ApiError> {
    let mut found = Vec::new();
    for index in store.indexes()?.iter().filter(|index| index.children.contains(&image.manifest)) {
        if !store.refs_of(index.digest)?.is_empty() || !store.repo_digests(index.digest)?.is_empty() {
            found.push(index.digest);
        }
    }
    found.push(image.manifest);
    Ok(found)
}

/// Returns the digests under which registries know an image.
///
/// # Errors
/// The store can't be read.
pub fn digests(store: &Store, targets: &[ManifestDigest]) -> Result<Vec<String>, ApiError> {
    let mut found = Vec::new();
    for target in targets {
        found.extend(store.repo_digests(*target)?.iter().map(Reference::familiar));
    }
    Ok(found)
}

/// Returns what names a manifest or an index.
///
/// # Errors
/// The store can't be read.
pub fn descriptor(store: &Store, target: ManifestDigest) -> Result<Value, ApiError> {
    let (document, bytes) = store.document(target)?;
    let media_type = match &document {
        Document::Manifest(manifest) => manifest.media_type.clone(),
        Document::Index(index) => index.media_type.clone(),
    };
    Ok(json!({ "mediaType": media_type, "digest": target.to_string(), "size": bytes.len() }))
}

/// Returns the manifests that a name leads to: one, or those of its index, whether they are here or not.
///
/// # Errors
/// The store can't be read.
pub fn manifests(store: &Store, target: ManifestDigest, users: &Users) -> Result<Value, ApiError> {
    let (document, bytes) = store.document(target)?;
    let own = |media_type: &str| Descriptor::new(media_type, target.as_digest(), bytes.len() as u64);
    match document {
        Document::Manifest(_) => Ok(json!([manifest(store, &own(""), users)?])),
        Document::Index(index) => index.manifests.iter().map(|child| manifest(store, child, users)).collect(),
    }
}

fn manifest(store: &Store, child: &Descriptor, users: &Users) -> Result<Value, ApiError> {
    let image = store.image_by_manifest(ManifestDigest::from_bytes(*child.digest.as_bytes()))?;
    let annotation = |key: &str| child.annotations.as_ref().and_then(|all| all.get(key)).cloned();
    let attests = annotation(KIND).is_some_and(|kind| kind == "attestation-manifest");
    let size = image.as_ref().map_or(0, |image| child.size + image.size);
    let here = image.is_some();
    let containers = image.as_ref().and_then(|image| users.get(&image.id)).cloned().unwrap_or_default();
    let mut map = Map::new();
    for (key, value) in [
        ("ID", json!(child.digest.to_string())),
        ("Descriptor", json!(child)),
        ("Available", json!(here)),
        ("Size", json!({ "Content": if here { moved(store, child)? } else { 0 }, "Total": size })),
        ("Kind", json!(if attests { "attestation" } else { "image" })),
    ] {
        map.insert(key.to_owned(), value);
    }
    if attests {
        let subject = annotation(SUBJECT).unwrap_or_default();
        map.insert("AttestationData".to_owned(), json!({ "For": subject }));
    } else {
        let unpacked = image.as_ref().map_or(0, |image| image.size);
        let platform = image.map(|image| image.platform).or_else(|| child.platform.clone());
        let data =
            json!({ "Platform": platform, "Containers": containers, "Size": { "Unpacked": unpacked } });
        map.insert("ImageData".to_owned(), data);
    }
    Ok(Value::Object(map))
}

/// The bytes of a manifest and of all that it names, as they are moved.
fn moved(store: &Store, child: &Descriptor) -> Result<u64, ApiError> {
    let (document, _) = store.document(ManifestDigest::from_bytes(*child.digest.as_bytes()))?;
    let named = match &document {
        Document::Manifest(manifest) => {
            manifest.config.size + manifest.layers.iter().map(|layer| layer.size).sum::<u64>()
        }
        Document::Index(_) => 0,
    };
    Ok(child.size + named)
}
