//! Options, and entries that are not what they should be.

use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::builder::{SharedCache as _, SharedRecord};
use crate::image::{Descriptor, DiffId, Digest};
use crate::layers::Compression;
use crate::progress::{Event, Reporter};
use crate::store::{CacheKey, Store, StoreOptions};

#[test]
fn options_are_buildx_ones() {
    let kind = |text: &str, export| CacheSpec::parse(text, export).map(|spec| spec.kind);
    assert_eq!(kind("type=local,dest=/c", true).unwrap(), CacheKind::Local("/c".into()));
    assert_eq!(kind("type=local,src=/c", false).unwrap(), CacheKind::Local("/c".into()));
    assert_eq!(kind("type=inline", true).unwrap(), CacheKind::Inline);
    for text in ["type=registry,ref=reg.example/a:c", "reg.example/a:c"] {
        let CacheKind::Registry { reference, insecure: false } = kind(text, true).unwrap() else { panic!() };
        assert_eq!(reference.to_string(), "reg.example/a:c");
    }
    let spec =
        CacheSpec::parse("type=local,dest=/c,mode=max,compression=gzip,ignore-error=true", true).unwrap();
    assert_eq!((spec.mode, spec.ignore_error), (Mode::Max, true));
    assert!(matches!(spec.compression, Compression::Gzip { .. }));
    for (text, export, expected) in [
        ("type=local,src=/c", true, "dest is required"),
        ("type=local,dest=/c", false, "src is required"),
        ("dest=/c", true, "type is required"),
        ("type=gha", true, "type=gha is not supported"),
        ("type=floppy", true, "unknown type"),
        ("type=local,dest=/c,mode=some", true, "unknown mode"),
        ("type=local,dest=/c,reset=true", true, "reset is not supported"),
        ("type=inline,mode=max", true, "mode=max"),
        ("type=local,dest=/c,compression=estargz", true, "compression=estargz"),
        ("Bad=", true, "type is required"),
        ("reg.example/UPPER", false, "invalid reference"),
    ] {
        let error = CacheSpec::parse(text, export).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(text), "{text}: {error}");
    }
}

/// Keeps what is said.
#[derive(Default)]
struct Said(std::sync::Mutex<Vec<String>>);

impl Reporter for Said {
    fn report(&self, event: Event) {
        if let Event::Warning { message, .. } = event {
            self.0.lock().unwrap().push(message);
        }
    }
}

struct World {
    _dir: tempfile::TempDir,
    store: Store,
    folder: Arc<FolderCache>,
    path: std::path::PathBuf,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("store"), &StoreOptions::default()).unwrap();
    let path = dir.path().join("cache");
    let folder = Arc::new(FolderCache::create(&path).unwrap());
    World { _dir: dir, store, folder, path }
}

fn key(byte: u8) -> CacheKey {
    CacheKey::from_bytes([byte; 32])
}

fn tar(name: &str) -> (Vec<u8>, DiffId) {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, &b"abc"[..]).unwrap();
    let bytes = tar.into_inner().unwrap();
    let diff_id = DiffId::of_tar(Digest::of(&bytes));
    (bytes, diff_id)
}

/// Writes an entry whose layer is said to be `diff_id` and is `tar`.
fn put(world: &World, at: u8, tar: &[u8], diff_id: DiffId) -> Descriptor {
    let blob = world.folder.put_layer(&mut &*tar, Compression::Zstd { level: 1 }).unwrap();
    let record = SharedRecord { layers: vec![diff_id], created: Timestamp::UNIX_EPOCH, payload: "{}".into() };
    let layers = vec![EntryLayer { diff_id, blob: Some(blob.clone()) }];
    world.folder.put(&key(at), &Entry::new(&key(at), &record, layers)).unwrap();
    blob
}

fn read<'a>(world: &World, said: &'a Said) -> Shares<'a> {
    let folder = FolderCache::open(&world.path).unwrap().unwrap();
    Shares::new(&world.store, vec![Import::new(Arc::new(folder))], Vec::new(), said)
}

#[test]
fn a_layer_is_fetched_when_it_is_wanted() {
    let (world, said) = (world(), Said::default());
    let (bytes, diff_id) = tar("a");
    put(&world, 1, &bytes, diff_id);
    let shares = read(&world, &said);
    assert_eq!(shares.get(&key(2), false), None);
    assert_eq!(shares.get(&key(1), true).unwrap().layers, [diff_id]);
    assert!(world.store.layer(diff_id).unwrap().is_none());
    shares.fetch(&[diff_id]).unwrap();
    assert!(world.store.layer(diff_id).unwrap().is_some());
    assert!(said.0.lock().unwrap().is_empty());
}

#[test]
fn what_is_not_what_it_says_is_not_taken() {
    let (world, said) = (world(), Said::default());
    let ((bytes, diff_id), (_, other)) = (tar("a"), tar("b"));
    // A blob that unpacks to another layer than the entry says.
    put(&world, 1, &bytes, other);
    let shares = read(&world, &said);
    shares.get(&key(1), true).unwrap();
    let error = shares.fetch(&[other]).unwrap_err().to_string();
    assert!(error.contains("unpacks to"), "{error}");
    assert!(world.store.layer(other).unwrap().is_none());
    // A blob whose bytes were changed, cut, or lengthened.
    let blob = put(&world, 2, &bytes, diff_id);
    let file = world.path.join("blobs/sha256").join(blob.digest.hex());
    let good = std::fs::read(&file).unwrap();
    let mut long = good.clone();
    long.extend(&good);
    for bad in [&good[..good.len() - 1], b"", &long] {
        std::fs::write(&file, bad).unwrap();
        let shares = read(&world, &said);
        shares.get(&key(2), true).unwrap();
        shares.fetch(&[diff_id]).unwrap_err();
        assert!(world.store.layer(diff_id).unwrap().is_none());
    }
    // One that is gone.
    std::fs::remove_file(&file).unwrap();
    let shares = read(&world, &said);
    shares.get(&key(2), true).unwrap();
    shares.fetch(&[diff_id]).unwrap_err();
    // A layer that no entry named.
    assert!(shares.fetch(&[other]).unwrap_err().to_string().contains("in no cache"));
}

#[test]
fn a_damaged_entry_is_told_once_and_is_a_miss() {
    let (world, said) = (world(), Said::default());
    let (bytes, diff_id) = tar("a");
    put(&world, 1, &bytes, diff_id);
    let entry = |at: u8| world.path.join("entries").join(format!("{}.json", key(at).hex()));
    // An entry under another step's name.
    std::fs::copy(entry(1), entry(2)).unwrap();
    let shares = read(&world, &said);
    assert_eq!(shares.get(&key(2), false), None);
    assert_eq!(shares.get(&key(1), false), None, "a cache that lies is given up");
    let texts = said.0.lock().unwrap();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("another step's"), "{texts:?}");
    drop(texts);
    for bad in ["", "{", "[]", "{\"artifactType\":\"x\"}"] {
        std::fs::write(entry(3), bad).unwrap();
        assert_eq!(read(&world, &said).get(&key(3), false), None, "{bad}");
    }
    std::fs::write(entry(4), vec![b' '; 2 << 20]).unwrap();
    assert_eq!(read(&world, &said).get(&key(4), false), None);
}
