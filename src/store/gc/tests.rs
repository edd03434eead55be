//! Tests of pruning, `rmi` and `system df`.

use super::super::tests::{add_image, add_image_for, add_layer, name, store};
use super::super::*;
use crate::image::manifest::media_type;
use crate::image::{ChainId, Descriptor, Digest, Index, Platform};

fn record(store: &Store, n: u8, layers: &[&[u8]]) -> CacheKey {
    let layers: Vec<DiffId> = layers.iter().map(|bytes| add_layer(store, bytes)).collect();
    let key = CacheKey::from_bytes([n; 32]);
    let mut record = CacheRecord::new(key, "{}".into(), layers, 0, StepId::default());
    record.last_used = jiff::Timestamp::from_second(1_000_000 + i64::from(n)).unwrap();
    store.cache_put(&record).unwrap();
    key
}

fn has(store: &Store, bytes: &[u8]) -> bool {
    let id = DiffId::of_tar(Digest::of(bytes));
    store.inner.root.stat(layer::layer_name(id), crate::fs::Follow::No).unwrap().is_some()
}

fn prune_images(store: &Store, policy: &ImagePolicy<'_>) -> Removed {
    store.apply(&store.plan_image_prune(policy).unwrap()).unwrap()
}

fn remove(store: &Store, text: &str, force: bool, uses: &[ImageUse]) -> Result<Removed, String> {
    let plan = store.plan_remove(text, force, uses).map_err(|e| e.to_string())?;
    Ok(store.apply(&plan).unwrap())
}

fn entries(store: &Store, dir: &str) -> usize {
    std::fs::read_dir(store.path().join(dir)).unwrap().count()
}

#[test]
fn only_images_without_a_name_are_dangling() {
    let (_dir, store) = store();
    let a = add_image(&store, "a", &[b"base", b"top a"]);
    let b = add_image(&store, "b", &[b"base", b"top b"]);
    store.tag(&name("a"), a.manifest).unwrap();
    let plan = store.plan_image_prune(&ImagePolicy::default()).unwrap();
    assert_eq!(plan.images.iter().map(|i| i.id).collect::<Vec<_>>(), [b.id]);
    assert_eq!(plan.layers, [(b.layers[1], 5)]);
    let removed = store.apply(&plan).unwrap();
    let chain = ChainId::of(&b.layers).unwrap();
    assert_eq!(removed.deleted, [b.id.to_string(), chain.to_string()]);
    assert_eq!(removed.bytes, plan.bytes());
    assert!(has(&store, b"base") && has(&store, b"top a") && !has(&store, b"top b"));
    assert_eq!(store.images().unwrap(), [a]);
    assert!(store.read_blob(b.id.as_digest(), 1 << 20).is_err());
    assert_eq!(entries(&store, "tmp"), 0);
    assert!(store.plan_image_prune(&ImagePolicy::default()).unwrap().is_empty());
}

#[test]
fn prune_all_spares_what_containers_use() {
    let (_dir, store) = store();
    let a = add_image(&store, "a", &[b"a"]);
    let b = add_image(&store, "b", &[b"b"]);
    store.tag(&name("a"), a.manifest).unwrap();
    store.tag(&name("b:1"), b.manifest).unwrap();
    store.tag(&name("b:2"), b.manifest).unwrap();
    let uses = [ImageUse { container: "c".repeat(64), image: a.id, running: false }];
    let removed = prune_images(&store, &ImagePolicy { all: true, uses: &uses, filter: None });
    assert_eq!(removed.untagged, ["b:1", "b:2"]);
    assert_eq!(store.images().unwrap(), [a]);
    assert!(!has(&store, b"b"));
    let keep = |_: &ImageRecord| false;
    let removed = prune_images(&store, &ImagePolicy { all: true, uses: &[], filter: Some(&keep) });
    assert_eq!(removed, Removed::default());
}

#[test]
fn leftovers_are_found() {
    let (_dir, store) = store();
    add_layer(&store, b"layer");
    store.put_blob(b"blob").unwrap();
    let tmp = store.path().join("tmp");
    std::fs::create_dir_all(tmp.join("dead/fs/x")).unwrap();
    std::fs::write(tmp.join("dead/fs/x/file"), b"12345").unwrap();
    let draft = store.begin_layer().unwrap();
    let removed = prune_images(&store, &ImagePolicy::default());
    assert!(removed.bytes >= 9, "{removed:?}");
    assert_eq!(
        (entries(&store, "layers"), entries(&store, "blobs/sha256"), entries(&store, "tmp")),
        (0, 0, 1)
    );
    drop(draft);
    assert_eq!(entries(&store, "tmp"), 0);
}

#[test]
fn a_lease_keeps_what_its_holder_made_or_saw() {
    let (dir, store) = store();
    let other = Store::open(store.path(), &StoreOptions::default()).unwrap();
    let old = add_layer(&Store::open(store.path(), &StoreOptions::default()).unwrap(), b"old");
    let image = add_image(&Store::open(store.path(), &StoreOptions::default()).unwrap(), "x", &[b"image"]);
    let lease = store.lease().unwrap();
    assert!(store.layer(old).unwrap().is_some());
    add_layer(&store, b"new");
    let blob = store.put_blob(b"blob").unwrap();
    let untagged = add_image(&store, "y", &[b"fresh"]);
    for collector in [&other, &store] {
        prune_images(collector, &ImagePolicy { all: true, ..ImagePolicy::default() });
        assert!(has(&store, b"old") && has(&store, b"new") && store.has_blob(blob).unwrap());
        // The holder may be about to tag it.
        assert_eq!(store.images().unwrap(), std::slice::from_ref(&untagged));
    }
    assert!(!has(&store, b"image"), "{image:?}");
    drop(lease);
    prune_images(&other, &ImagePolicy::default());
    assert!(!has(&store, b"old") && !has(&store, b"new"));
    drop((store, other, dir));
}

#[test]
fn a_dead_holders_lease_is_worth_nothing() {
    let (_dir, store) = store();
    let id = add_layer(&store, b"layer");
    let mut bytes = vec![b'l'];
    bytes.extend(id.as_bytes());
    std::fs::write(store.path().join("leases/dead"), bytes).unwrap();
    prune_images(&store, &ImagePolicy::default());
    assert!(!has(&store, b"layer"));
}

#[test]
fn removing_by_name_follows_docker() {
    let (_dir, store) = store();
    let image = add_image(&store, "a", &[b"one", b"two"]);
    store.tag(&name("app:1"), image.manifest).unwrap();
    store.tag(&name("app:2"), image.manifest).unwrap();
    let digest = Digest::of(b"pushed");
    store.add_repo_digest(&name("app"), digest, image.manifest).unwrap();
    let removed = remove(&store, "app:1", false, &[]).unwrap();
    assert_eq!((removed.untagged, removed.deleted), (vec!["app:1".to_owned()], vec![]));
    let uses = [ImageUse { container: "0123456789abcdef".repeat(4), image: image.id, running: false }];
    assert_eq!(
        remove(&store, "app:2", false, &uses).unwrap_err(),
        format!(
            "conflict: unable to remove repository reference \"app:2\" (must force) - \
             container 0123456789ab is using its referenced image {}",
            image.id.short()
        )
    );
    let removed = remove(&store, "app:2", false, &[]).unwrap();
    assert_eq!(removed.untagged, ["app:2".to_owned(), format!("app@{digest}")]);
    let chains = [ChainId::of(&image.layers).unwrap(), ChainId::of(&image.layers[..1]).unwrap()];
    assert_eq!(removed.deleted, [image.id.to_string(), chains[0].to_string(), chains[1].to_string()]);
    assert_eq!(remove(&store, "app:2", true, &[]).unwrap_err(), "No such image: app:2");
    assert_eq!((entries(&store, "layers"), entries(&store, "blobs/sha256")), (0, 0));
}

#[test]
fn removing_by_id_follows_docker() {
    let (_dir, store) = store();
    let image = add_image(&store, "a", &[b"one"]);
    let id = image.id.short();
    store.tag(&name("app:1"), image.manifest).unwrap();
    store.tag(&name("other"), image.manifest).unwrap();
    assert_eq!(
        remove(&store, &id, false, &[]).unwrap_err(),
        format!(
            "conflict: unable to delete {id} (must be forced) - image is referenced in multiple repositories"
        )
    );
    store.untag(&name("other")).unwrap();
    let user = |running| [ImageUse { container: "c".repeat(64), image: image.id, running }];
    for (running, force, expected) in [
        (true, true, "(cannot be forced) - image is being used by running container cccccccccccc"),
        (false, false, "(must be forced) - image is being used by stopped container cccccccccccc"),
    ] {
        let error = remove(&store, &id, force, &user(running)).unwrap_err();
        assert_eq!(error, format!("conflict: unable to delete {id} {expected}"));
    }
    let removed = remove(&store, &id, true, &user(false)).unwrap();
    assert_eq!((removed.untagged, removed.deleted), (vec!["app:1".to_owned()], vec![]));
    assert!(has(&store, b"one"), "a container uses it");
    let removed = remove(&store, &id, false, &[]).unwrap();
    assert_eq!(removed.deleted.len(), 2);
    assert!(!has(&store, b"one"));
}

#[test]
fn an_index_goes_with_its_children_unless_they_have_names() {
    let (_dir, store) = store();
    let platform = |text| Platform::parse(text).unwrap();
    let amd = add_image_for(&store, &platform("linux/amd64"), "amd", &[b"amd"]);
    let arm = add_image_for(&store, &platform("linux/arm64"), "arm", &[b"arm"]);
    let entry = |image: &ImageRecord| Descriptor {
        platform: Some(image.platform.clone()),
        ..Descriptor::new(media_type::OCI_MANIFEST, image.manifest.as_digest(), 1)
    };
    let index = Index::oci(vec![entry(&arm), entry(&amd)]);
    let digest = store.put_index(&serde_json::to_vec(&index).unwrap()).unwrap();
    store.tag(&name("multi"), digest).unwrap();
    assert!(store.plan_image_prune(&ImagePolicy::default()).unwrap().is_empty());
    assert_eq!(store.find("multi").unwrap().target, digest);
    let find = |wanted| store.find_image("multi", Some(&platform(wanted)));
    assert_eq!(find("linux/amd64/v3").unwrap(), amd);
    assert_eq!(find("linux/arm64").unwrap(), arm);
    assert_eq!(
        find("linux/s390x").unwrap_err().to_string(),
        "image with reference multi was found but does not match the specified platform: \
         wanted linux/s390x, actual: linux/arm64, linux/amd64"
    );
    store.tag(&name("arm"), arm.manifest).unwrap();
    let removed = remove(&store, "multi", false, &[]).unwrap();
    assert_eq!(removed.untagged, ["multi:latest"]);
    assert_eq!(store.images().unwrap(), [arm]);
    assert!(!has(&store, b"amd") && has(&store, b"arm"));
    assert!(store.indexes().unwrap().is_empty());
}

#[test]
fn the_cache_is_pruned_by_age_and_size() {
    let (_dir, store) = store();
    let keys = [
        record(&store, 1, &[b"11111"]),
        record(&store, 2, &[b"2222222", b"shared"]),
        record(&store, 3, &[b"333"]),
        record(&store, 4, &[b"image"]),
    ];
    let image = add_image(&store, "i", &[b"image"]);
    store.tag(&name("i"), image.manifest).unwrap();
    let plan = |policy: &CachePolicy<'_>| {
        let plan = store.plan_builder_prune(policy).unwrap();
        plan.records.iter().map(|r| r.key).collect::<Vec<_>>()
    };
    assert_eq!(plan(&CachePolicy::default()), keys[..3]);
    assert_eq!(plan(&CachePolicy { all: true, ..CachePolicy::default() }), keys);
    let since = jiff::Timestamp::from_second(1_000_003).unwrap();
    let old = CachePolicy { unused_since: Some(since), ..CachePolicy::default() };
    assert_eq!(plan(&old), keys[..2]);
    let size = |keep| CachePolicy { keep_bytes: Some(keep), ..CachePolicy::default() };
    assert_eq!(plan(&size(21)), []);
    assert_eq!(plan(&size(20)), keys[..1]);
    assert_eq!(plan(&size(4)), keys[..2]);
    // A record that was used since then stays.
    let stale = store.plan_builder_prune(&CachePolicy::default()).unwrap();
    assert!(store.cache_get(&keys[0]).unwrap().is_some());
    store.flush().unwrap();
    let removed = store.apply(&stale).unwrap();
    assert_eq!(removed.records, keys[1..3]);
    assert!(has(&store, b"11111") && !has(&store, b"333") && has(&store, b"image"));
    let removed =
        store.apply(&store.plan_builder_prune(&CachePolicy { all: true, ..CachePolicy::default() }).unwrap());
    assert_eq!(removed.unwrap().records.len(), 2);
    assert!(has(&store, b"image"), "an image needs it");
}

#[test]
fn usage_counts_shared_layers_once() {
    let (_dir, store) = store();
    let a = add_image(&store, "a", &[b"base", b"aa"]);
    let b = add_image(&store, "b", &[b"base", b"b"]);
    store.tag(&name("a"), a.manifest).unwrap();
    record(&store, 1, &[b"base", b"cached"]);
    let uses = [ImageUse { container: "c".into(), image: a.id, running: true }];
    let usage = store.usage(&uses).unwrap();
    assert_eq!(usage.images, Summary { total: 2, active: 1, size: 7, reclaimable: 1 });
    let of = |id| usage.image_list.iter().find(|u| u.image.id == id).unwrap();
    assert_eq!((of(a.id).shared, of(a.id).unique, of(a.id).containers), (4, 2, 1));
    assert_eq!(of(a.id).names[0].familiar(), "a:latest");
    assert_eq!((of(b.id).shared, of(b.id).unique), (4, 1));
    assert_eq!(usage.cache, Summary { total: 1, active: 0, size: 6, reclaimable: 6 });
    assert!(usage.cache_list[0].shared);
}

#[test]
fn a_compressed_layer_lives_as_long_as_the_layer() {
    let (_dir, store) = store();
    let image = add_image(&store, "a", &[b"layer"]);
    store.tag(&name("a"), image.manifest).unwrap();
    let blob = store.put_blob(b"compressed").unwrap();
    let descriptor = Descriptor::new(media_type::OCI_LAYER_GZIP, blob, 10);
    store.put_compressed(image.layers[0], "gzip:6", &descriptor).unwrap();
    prune_images(&store, &ImagePolicy::default());
    assert_eq!(store.compressed(image.layers[0], "gzip:6").unwrap(), Some(descriptor));
    assert_eq!(store.compressed(image.layers[0], "gzip:9").unwrap(), None);
    remove(&store, "a", false, &[]).unwrap();
    assert_eq!(store.compressed(image.layers[0], "gzip:6").unwrap(), None);
    assert_eq!(entries(&store, "blobs/sha256"), 0);
}

#[test]
fn cache_mounts_in_use_stay() {
    let (_dir, store) = store();
    let fill = |root: &crate::fs::Root| {
        use std::io::Write as _;
        root.create_file("first", 0o644)?.write_all(b"123").unwrap();
        Ok::<(), StoreError>(())
    };
    let none = |_: &crate::fs::Root| -> Result<(), StoreError> { panic!("it is not new") };
    let mount = store.cache_mount("apt", Sharing::Shared, fill).unwrap();
    let second = store.cache_mount("apt", Sharing::Shared, none).unwrap();
    assert_eq!(second.root().entries(".").unwrap().len(), 1);
    let private = store.cache_mount("apt", Sharing::Private, fill).unwrap();
    assert_eq!(store.usage(&[]).unwrap().mounts.len(), 2);
    drop((private, second));
    let plan = store.plan_builder_prune(&CachePolicy::default()).unwrap();
    assert_eq!(plan.mounts.len(), 2);
    let removed = store.apply(&plan).unwrap();
    assert!(removed.bytes >= 3);
    assert_eq!(store.cache_mounts().unwrap().len(), 1);
    drop(mount);
    store.apply(&store.plan_builder_prune(&CachePolicy::default()).unwrap()).unwrap();
    assert_eq!(entries(&store, "cachemounts"), 0);
    let locked = store.cache_mount("apt", Sharing::Locked, fill).unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| store.cache_mount("apt", Sharing::Locked, none).map(|_| ()));
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert!(!waiter.is_finished());
        drop(locked);
        waiter.join().unwrap().unwrap();
    });
}
