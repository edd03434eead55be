//! What the store's verbs cost; run by name, best in an optimised build.

use std::io::Write as _;
use std::time::Instant;

use super::tests::{add_image, add_layer, name};
use super::*;
use crate::layers::{Entry, EntryKind, LayerSink, Metadata, SinkOptions};

/// Prints the median time of a closure in microseconds.
fn median(what: &str, rounds: usize, mut work: impl FnMut(usize)) {
    let mut times: Vec<f64> = (0..rounds)
        .map(|n| {
            let start = Instant::now();
            work(n);
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let _ = writeln!(std::io::stderr(), "{what:<40} {:>9.1} us", times[times.len() / 2]);
}

#[test]
#[ignore = "measures"]
fn what_verbs_cost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let options = StoreOptions::default();
    median("make a store", 1, |_| drop(Store::open(&path, &options).unwrap()));
    let store = Store::open(&path, &options).unwrap();
    let layers: Vec<DiffId> = (0..20u8).map(|n| add_layer(&store, &[n; 100])).collect();
    let key = |n: usize| CacheKey::from_bytes([n as u8; 32]);
    for (n, layer) in layers.iter().enumerate() {
        store.cache_put(&CacheRecord::new(key(n), "{}".into(), vec![*layer], 1, StepId::default())).unwrap();
    }
    let image = add_image(&store, "a", &[b"layer"]);
    store.tag(&name("a"), image.manifest).unwrap();
    median("open", 200, |_| drop(Store::open(&path, &options).unwrap()));
    median("open and first look-up of a name", 200, |_| {
        Store::open(&path, &options).unwrap().find("a").unwrap();
    });
    median("open, lease, 20 cache hits, close", 100, |_| {
        let store = Store::open(&path, &options).unwrap();
        let _lease = store.lease().unwrap();
        (0..20).for_each(|n| drop(store.cache_get(&key(n)).unwrap().unwrap()));
    });
    let fresh = Store::open(&path, &options).unwrap();
    fresh.cache_records().unwrap();
    median("cache_get, first time in a handle", 20, |n| drop(fresh.cache_get(&key(n)).unwrap().unwrap()));
    median("cache_get, again", 200, |n| drop(store.cache_get(&key(n % 20)).unwrap().unwrap()));
    median("cache_put", 200, |n| {
        let record = CacheRecord::new(
            CacheKey::from_bytes([n as u8; 32]),
            "{}".into(),
            vec![layers[0]],
            1,
            StepId::default(),
        );
        store.cache_put(&record).unwrap();
    });
    median("key_lock and release", 200, |n| drop(store.key_lock(&key(n)).unwrap()));
    median("tag again", 200, |_| {
        store.tag(&name("a"), image.manifest).unwrap();
    });
    median("tag", 200, |n| {
        store.tag(&name(&format!("t:{n}")), image.manifest).unwrap();
    });
    median("find by name", 200, |_| drop(store.find("a").unwrap()));
    median("put_blob of 1 kB", 100, |n| {
        store.put_blob(&n.to_le_bytes().repeat(128)).unwrap();
    });
    median("put_image that is there", 100, |_| drop(add_image(&store, "a", &[b"layer"])));
    median("draft and commit of a layer", 100, |n| {
        add_layer(&store, &n.to_le_bytes());
    });
    median("lease", 100, |_| drop(Store::open(&path, &options).unwrap().lease().unwrap()));
    measure_trees(&store);
    measure_context(&store);
    median("plan of a prune", 20, |_| drop(store.plan_image_prune(&ImagePolicy::default()).unwrap()));
}

fn measure_trees(store: &Store) {
    let draft = store.begin_layer().unwrap();
    let mut sink = LayerSink::create(draft.root(), SinkOptions { index: true }).unwrap();
    for n in 0..1000 {
        let entry = Entry {
            path: format!("f{n}").into(),
            kind: EntryKind::File { size: 100 },
            meta: Metadata { mode: 0o644, ..Metadata::default() },
        };
        sink.append_bytes(&entry, &[n as u8; 100]).unwrap();
    }
    let written = sink.finish().unwrap();
    draft.commit(written.diff_id, written.size).unwrap();
    let handles: Vec<Store> =
        (0..50).map(|_| Store::open(store.path(), &StoreOptions::default()).unwrap()).collect();
    median("probe", 50, |n| drop(handles[n].support().unwrap().clone()));
    median("tree, first time in a handle", 50, |n| {
        drop(handles[n].layer(written.diff_id).unwrap().unwrap().tree().unwrap());
    });
    median("tree, again", 50, |n| {
        drop(handles[n].layer(written.diff_id).unwrap().unwrap().tree().unwrap());
    });
    median("mount of one layer, first time", 50, |n| drop(handles[n].mount(&[written.diff_id]).unwrap()));
    median("mount, again", 50, |n| drop(handles[n].mount(&[written.diff_id]).unwrap()));
}

fn measure_context(store: &Store) {
    let state = FileState { size: 1, mtime: (1_000_000, 1), ctime: (1_000_000, 1), ino: 7, mode: 0o100_644 };
    let paths: Vec<String> = (0..20_000).map(|n| format!("src/module{}/some/file{n}.rs", n % 100)).collect();
    let open = || store.context_index(crate::fs::Root::open(store.path()).unwrap(), store.path()).unwrap();
    let index = open();
    paths.iter().for_each(|path| index.put(path.as_bytes(), &state, [1; 32]));
    median("context index: save 20,000 files", 1, |_| assert!(index.save().unwrap()));
    median("context index: load 20,000 files", 50, |_| assert_eq!(open().len(), 20_000));
    median("context index: look 20,000 files up", 20, |_| {
        let index = open();
        assert!(paths.iter().all(|path| index.get(path.as_bytes(), &state).is_some()));
    });
}
