//! Tests of the store as a whole.

use std::io::Write as _;

use super::*;
use crate::image::manifest::media_type;
use crate::image::{Descriptor, Digest, ImageConfig, Manifest, ManifestDigest, Platform, Reference};

/// A store in a directory of its own.
pub(super) fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
    (dir, store)
}

pub(super) fn add_layer(store: &Store, bytes: &[u8]) -> DiffId {
    let diff_id = DiffId::of_tar(Digest::of(bytes));
    let draft = store.begin_layer().unwrap();
    draft.root().create_file("layer.tar", 0o600).unwrap().write_all(bytes).unwrap();
    assert_eq!(draft.commit(diff_id, bytes.len() as u64).unwrap().diff_id(), diff_id);
    diff_id
}

/// Stores an image whose layers have these bytes; `name` makes its config differ.
pub(super) fn add_image(store: &Store, name: &str, layers: &[&[u8]]) -> ImageRecord {
    add_image_for(store, &Platform::host(), name, layers)
}

pub(super) fn add_image_for(store: &Store, platform: &Platform, name: &str, layers: &[&[u8]]) -> ImageRecord {
    let mut config = ImageConfig::scratch(platform);
    config.config.labels.insert("name".to_owned(), name.to_owned());
    config.created = Some("2024-01-02T03:04:05Z".to_owned());
    let mut descriptors = Vec::new();
    for bytes in layers {
        let diff_id = add_layer(store, bytes);
        config.rootfs.diff_ids.push(diff_id);
        descriptors.push(Descriptor::new(media_type::OCI_LAYER, diff_id.as_digest(), bytes.len() as u64));
    }
    let config = config.to_json();
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, Digest::of(&config), config.len() as u64);
    let (manifest, _) = Manifest::oci(descriptor, descriptors).to_json();
    store.put_image(&config, &manifest).unwrap()
}

pub(super) fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

#[test]
fn blobs_are_verified_and_appear_whole() {
    let (dir, store) = store();
    let digest = store.put_blob(b"hello").unwrap();
    assert_eq!(store.put_blob(b"hello").unwrap(), digest);
    assert_eq!(store.read_blob(digest, 5).unwrap(), b"hello");
    assert!(matches!(store.read_blob(digest, 4), Err(StoreError::BlobTooLarge { .. })));
    let mut writer = store.blob_writer().unwrap();
    writer.write_all(b"other").unwrap();
    assert!(matches!(writer.commit(Some(digest)), Err(StoreError::WrongDigest { .. })));
    assert!(!store.has_blob(Digest::of(b"other")).unwrap());
    let tmp = dir.path().join("store/tmp");
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0);
    std::fs::write(dir.path().join("store").join(blob::blob_name(digest)), b"hullo").unwrap();
    let error = store.read_blob(digest, 5).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
}

#[test]
fn a_store_of_another_format_is_refused() {
    let (dir, store) = store();
    drop(store);
    let path = dir.path().join("store");
    Store::open(&path, &StoreOptions::default()).unwrap();
    std::fs::write(path.join("version"), "2\n").unwrap();
    let error = Store::open(&path, &StoreOptions::default()).unwrap_err();
    assert!(matches!(&error, StoreError::Version { found, .. } if found == "2"), "{error}");
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("letter.txt"), "").unwrap();
    let error = Store::open(foreign.path(), &StoreOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::NotAStore { .. }));
}

#[test]
fn names_move_and_images_are_found_in_dockers_order() {
    let (_dir, store) = store();
    let a = add_image(&store, "a", &[b"one", b"two"]);
    let b = add_image(&store, "b", &[b"one"]);
    assert_eq!(a.size, 6);
    assert_eq!(store.tag(&name("app"), a.manifest).unwrap(), None);
    assert_eq!(store.tag(&name("app:latest"), b.manifest).unwrap(), Some(a.manifest));
    assert_eq!(store.refs_of(b.manifest).unwrap()[0].reference.familiar(), "app:latest");
    let find = |text: &str| store.find(text).map(|f| f.target);
    assert_eq!(find("app").unwrap(), b.manifest);
    assert_eq!(find(&a.id.to_string()).unwrap(), a.manifest);
    assert_eq!(find(&a.id.hex()).unwrap(), a.manifest);
    assert_eq!(find(&a.manifest.to_string()).unwrap(), a.manifest);
    assert_eq!(find(&a.id.short()).unwrap(), a.manifest);
    assert_eq!(find(&format!("sha256:{}", a.id.short())).unwrap(), a.manifest);
    assert_eq!(find(&format!("app@{}", b.manifest)).unwrap(), b.manifest);
    assert_eq!(find("nosuch").unwrap_err().to_string(), "No such image: nosuch:latest");
    assert_eq!(find("nosuch:1").unwrap_err().to_string(), "No such image: nosuch:1");
    // A name wins over the beginning of an id.
    let prefix = &b.id.hex()[..6];
    store.tag(&name(prefix), a.manifest).unwrap();
    assert_eq!(find(prefix).unwrap(), a.manifest);
    let missing = ManifestDigest::of(b"missing");
    assert!(matches!(store.tag(&name("x"), missing), Err(StoreError::NoManifest(m)) if m == missing));
}

#[test]
fn an_image_without_its_layers_is_refused() {
    let (_dir, store) = store();
    let mut config = ImageConfig::scratch(&Platform::host());
    let missing = DiffId::of_tar(Digest::of(b"missing"));
    config.rootfs.diff_ids.push(missing);
    let config = config.to_json();
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, Digest::of(&config), config.len() as u64);
    let layer = Descriptor::new(media_type::OCI_LAYER, missing.as_digest(), 1);
    let (manifest, _) = Manifest::oci(descriptor.clone(), vec![layer]).to_json();
    assert!(matches!(store.put_image(&config, &manifest), Err(StoreError::NoLayer(id)) if id == missing));
    let (manifest, _) = Manifest::oci(descriptor, Vec::new()).to_json();
    assert!(matches!(store.put_image(&config, &manifest), Err(StoreError::Inconsistent { .. })));
    assert!(store.images().unwrap().is_empty());
}

#[test]
fn records_are_found_while_their_layers_are_there() {
    let (dir, store) = store();
    let layer = add_layer(&store, b"layer");
    let step = StepId { scope: "s".into(), stage: "0".into(), position: 2, text: "RUN make".into() };
    let key = CacheKey::from_bytes([7; 32]);
    let mut record = CacheRecord::new(key, "{}".into(), vec![layer], 5, step.clone());
    record.fields = vec![("command".into(), "make".into())];
    store.cache_put(&record).unwrap();
    let found = store.cache_get(&key).unwrap().unwrap();
    assert_eq!((found.layers, found.fields), (vec![layer], Vec::new()));
    let moved = StepId { position: 3, ..step.clone() };
    assert_eq!(store.nearest(&moved).unwrap()[0].fields, record.fields);
    let other = StepId { text: "RUN all".into(), ..step.clone() };
    assert_eq!(store.nearest(&other).unwrap()[0].key, key);
    let elsewhere = StepId { scope: "t".into(), ..step };
    assert!(store.nearest(&elsewhere).unwrap().is_empty());
    assert_eq!(store.cache_records().unwrap()[0].uses, 1);
    let path = dir.path().join("store");
    drop(store);
    std::fs::remove_dir_all(path.join(layer::layer_name(layer))).unwrap();
    let store = Store::open(&path, &StoreOptions::default()).unwrap();
    assert_eq!(store.cache_get(&key).unwrap(), None);
    assert!(matches!(store.cache_put(&record), Err(StoreError::NoLayer(_))));
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let (dir, store) = store();
    let path = dir.path().join("store");
    drop(store);
    for damage in [true, false] {
        for file in ["cache.db", "cache.db-wal", "cache.db-shm"] {
            let _ = std::fs::remove_file(path.join(file));
        }
        if damage {
            std::fs::write(path.join("cache.db"), [b'x'; 8192]).unwrap();
        }
        let store = Store::open(&path, &StoreOptions::default()).unwrap();
        assert!(store.cache_records().unwrap().is_empty());
    }
}

#[test]
fn a_keys_lock_is_held_by_one() {
    let (_dir, store) = store();
    let key = CacheKey::from_bytes([1; 32]);
    let held = store.key_lock(&key).unwrap();
    assert!(store.try_key_lock(&key).unwrap().is_none());
    drop(held);
    let count = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let _held = store.key_lock(&key).unwrap();
                    assert_eq!(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    count.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
    assert!(store.try_key_lock(&key).unwrap().is_some());
}
