//! Tests of context indexes.

use proptest::prelude::*;

use super::super::{Store, StoreOptions};
use super::format::{HEADER, SUM};
use super::loaded::Loaded;
use super::*;

fn open(store: &Store, dir: &Path) -> ContextIndex {
    store
        .context_index(
            rustix::fs::open(dir, rustix::fs::OFlags::DIRECTORY, rustix::fs::Mode::empty()).unwrap(),
            dir,
        )
        .unwrap()
}

fn state(n: u64) -> FileState {
    FileState { size: n, mtime: (1_000, 1), ctime: (1_000_000_000, 1), ino: n, mode: 0o100_644 }
}

#[test]
fn what_was_saved_is_found_and_only_for_the_same_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
    let index = open(&store, dir.path());
    assert!(!index.save().unwrap());
    index.put(b"a/b", &state(1), [1; 32]);
    assert_eq!(index.get(b"a/b", &state(1)), Some([1; 32]));
    assert!(index.save().unwrap());
    let index = open(&store, dir.path());
    assert_eq!((index.len(), index.get(b"a/b", &state(1))), (1, Some([1; 32])));
    for other in [
        FileState { size: 2, ..state(1) },
        FileState { mtime: (1_000, 2), ..state(1) },
        FileState { ctime: (1_000_000_000, 2), ..state(1) },
        FileState { ino: 9, ..state(1) },
        FileState { mode: 0o100_755, ..state(1) },
    ] {
        assert_eq!(index.get(b"a/b", &other), None, "{other:?}");
    }
    index.put(b"a/b", &state(1), [1; 32]);
    assert!(!index.save().unwrap(), "nothing has changed");
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(open(&store, elsewhere.path()).is_empty());
}

#[test]
fn a_file_that_changed_just_now_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
    let at = |age: i64, nanos: Option<u32>| {
        let time = now() - age;
        let (s, n) = (time.div_euclid(1_000_000_000), time.rem_euclid(1_000_000_000) as u32);
        FileState { ctime: (s, nanos.unwrap_or(n)), ..state(1) }
    };
    for (name, state, kept) in [
        ("future", at(-1_000_000_000, None), false),
        ("now", at(0, None), false),
        ("settled", at(100_000_000, None), true),
        ("coarse", at(500_000_000, Some(0)), false),
        ("old and coarse", at(5_000_000_000, Some(0)), true),
        ("future mtime", FileState { mtime: (99_000_000_000, 0), ..at(100_000_000, None) }, true),
    ] {
        let index = open(&store, dir.path());
        index.put(name.as_bytes(), &state, [1; 32]);
        assert_eq!(index.get(name.as_bytes(), &state), Some([1; 32]), "{name}: within one build");
        index.save().unwrap();
        let found = open(&store, dir.path()).get(name.as_bytes(), &state);
        assert_eq!(found.is_some(), kept, "{name}");
    }
}

#[test]
fn a_damaged_file_is_no_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
    let index = open(&store, dir.path());
    index.put(b"a", &state(1), [1; 32]);
    index.save().unwrap();
    let path = dir.path().join("s").join(&index.name);
    let good = std::fs::read(&path).unwrap();
    for cut in [0, 1, HEADER, good.len() - 1] {
        std::fs::write(&path, &good[..cut]).unwrap();
        assert!(open(&store, dir.path()).is_empty());
    }
    for at in [0, SUM, SUM + 9, HEADER + 60, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, bad).unwrap();
        assert!(open(&store, dir.path()).is_empty(), "byte {at}");
    }
}

#[test]
fn unused_entries_go_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
    let index = open(&store, dir.path());
    index.put(b"gone", &state(1), [1; 32]);
    index.put(b"used", &state(1), [1; 32]);
    index.save().unwrap();
    for n in 0..=u64::from(MAX_AGE) {
        let index = open(&store, dir.path());
        assert!(index.get(b"used", &state(1)).is_some());
        index.put(b"changing", &state(n), [2; 32]);
        index.save().unwrap();
    }
    let index = open(&store, dir.path());
    assert_eq!(index.get(b"gone", &state(1)), None);
    assert!(index.get(b"used", &state(1)).is_some());
}

#[test]
fn many_entries_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s"), &StoreOptions::default()).unwrap();
    let index = open(&store, dir.path());
    let paths: Vec<String> = (0..20_000).map(|n| format!("src/module{}/some/file{n}.rs", n % 100)).collect();
    for path in &paths {
        index.put(path.as_bytes(), &state(1), [3; 32]);
    }
    index.save().unwrap();
    let index = open(&store, dir.path());
    for path in &paths {
        assert!(index.get(path.as_bytes(), &state(1)).is_some());
    }
    assert_eq!(index.len(), paths.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn any_set_of_paths_reads_back(paths in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..40), any::<u64>(), 0..200)) {
        let entries: BTreeMap<&[u8], Entry<'_>> = paths.iter().map(|(path, n)| {
            let entry = Entry { path, state: state(*n), age: 0, digest: [*n as u8; 32] };
            (path.as_slice(), entry)
        }).collect();
        let bytes = encode(&entries).unwrap();
        let index = Loaded::of(bytes);
        for (path, n) in &paths {
            let entry = index.find(path).and_then(|number| index.entry(number));
            prop_assert_eq!(entry.map(|entry| (entry.state, entry.digest)), Some((state(*n), [*n as u8; 32])));
            prop_assert_eq!(index.search(path), index.find(path));
        }
        prop_assert_eq!(index.find(b"no such path that is longer than forty bytes"), None);
    }
}
