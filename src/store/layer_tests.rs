//! Tests of layers in both forms, with real tars, mounts and crashes.

use std::io::Read as _;

use super::tests::{add_image, name};
use super::*;
use crate::fs::Follow;
use crate::image::Digest;
use crate::layers::{Entry, EntryKind, LayerSink, Metadata, PackOptions, SinkOptions, pack_upper};

fn open(path: &Path, form: Option<LayerForm>, boot: &str) -> Store {
    Store::open(path, &StoreOptions { form, boot_id: Some(boot.to_owned()), ..StoreOptions::default() })
        .unwrap()
}

/// A store for each form that this machine can show, each in a directory of its own.
fn stores() -> Vec<(tempfile::TempDir, Store)> {
    [LayerForm::Index, LayerForm::Directory]
        .into_iter()
        .filter_map(|form| {
            let dir = tempfile::tempdir().unwrap();
            let store = open(&dir.path().join("store"), Some(form), "boot");
            let support = store.support().unwrap();
            let able = match form {
                LayerForm::Index => &support.erofs,
                LayerForm::Directory => &support.overlay,
            };
            if let Err(reason) = able {
                use std::io::Write as _;
                let _ = writeln!(std::io::stderr(), "skipped {form:?}: {reason}");
                return None;
            }
            Some((dir, store))
        })
        .collect()
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    let mode = if kind == EntryKind::Directory { 0o755 } else { 0o644 };
    Entry { path: path.into(), kind, meta: Metadata { mode, ..Metadata::default() } }
}

/// Stores a layer of directories (`a/`), files (`a/b=content`), whiteouts (`-a/b`) and opaque directories (`!a`).
fn layer(store: &Store, index: bool, items: &[&str]) -> DiffId {
    let draft = store.begin_layer().unwrap();
    let mut sink = LayerSink::create(draft.root(), SinkOptions { index }).unwrap();
    for item in items {
        if let Some(path) = item.strip_suffix('/') {
            sink.append_bytes(&entry(path, EntryKind::Directory), b"").unwrap();
        } else if let Some((path, content)) = item.split_once('=') {
            let kind = EntryKind::File { size: content.len() as u64 };
            sink.append_bytes(&entry(path, kind), content.as_bytes()).unwrap();
        } else if let Some(path) = item.strip_prefix('-') {
            sink.append_bytes(&entry(path, EntryKind::Whiteout), b"").unwrap();
        } else if let Some(path) = item.strip_prefix('!') {
            sink.append_bytes(&entry(path, EntryKind::Opaque), b"").unwrap();
        }
    }
    let written = sink.finish().unwrap();
    draft.commit(written.diff_id, written.size).unwrap().diff_id()
}

/// Lists the files of a tree as `path=content`.
fn files(root: &Root, at: &str) -> Vec<String> {
    let mut out = Vec::new();
    for entry in root.entries(at).unwrap() {
        let path = format!("{at}/{}", String::from_utf8(entry.name).unwrap());
        let path = path.trim_start_matches('/');
        // Overlayfs lists a whiteout in a directory that no other layer has, though it is not there.
        let Some(stat) = root.stat(path, Follow::No).unwrap() else { continue };
        match stat {
            stat if stat.is_dir() => out.extend(files(root, path)),
            _ => {
                out.push(format!("{path}={}", String::from_utf8(root.read(path, 1 << 20).unwrap()).unwrap()))
            }
        }
    }
    out
}

fn tar_of(layer: &Layer) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    layer.tar().unwrap().read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn layers_stack_the_same_in_both_forms() {
    for (_dir, store) in stores() {
        for index in [true, false] {
            let n = if index { "1" } else { "2" };
            let base = layer(&store, index, &["d/", "d/a=1", "d/b=2", "e/", "e/c=3", &format!("n={n}")]);
            let top = layer(&store, index, &["d/", "-d/a", "d/z=9", "e/", "!e", "e/d=4", &format!("m={n}")]);
            let view = store.mount(&[base, top]).unwrap();
            let all = [
                "d/b=2".to_owned(),
                "d/z=9".to_owned(),
                "e/d=4".to_owned(),
                format!("m={n}"),
                format!("n={n}"),
            ];
            assert_eq!(files(&view, ""), all, "{store:?}");
            let single = store.mount(&[base]).unwrap();
            assert_eq!(files(&single, "e"), ["e/c=3"]);
            // Whiteouts of a bottom layer hide nothing and are not seen.
            assert_eq!(files(&store.mount(&[top]).unwrap(), "d"), ["d/z=9"]);
            assert!(files(&store.mount(&[]).unwrap(), "").is_empty());
            let forms = store.layer(base).unwrap().unwrap().form().unwrap();
            assert_eq!(Some(forms), store.inner.options.form);
            // The view outlives the layers' files.
            let lease = store.lease().unwrap();
            drop(lease);
            assert_eq!(files(&view, "").len(), 5);
        }
        assert_eq!(std::fs::read_dir(store.path().join("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn an_opaque_root_hides_all_below() {
    for (_dir, store) in stores() {
        let base = layer(&store, true, &["a=1"]);
        let top = layer(&store, true, &["!", "b=2"]);
        assert_eq!(files(&store.mount(&[base, top]).unwrap(), ""), ["b=2"], "{:?}", store.form());
    }
}

#[test]
fn a_step_s_result_is_its_upper_directory() {
    for (_dir, store) in stores() {
        let base = layer(&store, true, &["a=1", "b=2"]);
        let mut draft = store.begin_layer().unwrap();
        draft.root().create_dir("fs", 0o755).unwrap();
        draft.root().create_dir("work", 0o755).unwrap();
        let (upper, work) = (draft.root().dir("fs").unwrap(), draft.root().dir("work").unwrap());
        {
            use std::os::fd::AsFd as _;
            let lowers = store.trees(&[base]).unwrap();
            let lowers: Vec<_> = lowers.iter().map(|fd| fd.as_fd()).collect();
            let merged = crate::fs::mount::overlay(&crate::fs::mount::OverlayOptions {
                lowers: &lowers,
                upper: Some((upper.as_fd(), work.as_fd())),
                volatile: true,
                userxattr: store.userxattr().unwrap(),
            });
            let merged = Root::from_fd(merged.unwrap());
            merged.remove_file("a").unwrap();
            merged.create_file("c", 0o644).unwrap();
        }
        draft.root().remove_tree("work").unwrap();
        let clamp = Some(1_000_000);
        let written = pack_upper(&upper, &mut std::io::sink(), &PackOptions { clamp }).unwrap();
        draft.set_clamp(clamp);
        let made = draft.commit(written.diff_id, written.size).unwrap();
        assert_eq!(made.form().unwrap(), LayerForm::Directory);
        assert_eq!(files(&store.mount(&[base, made.diff_id()]).unwrap(), ""), ["b=2", "c="]);
        let tar = tar_of(&made).unwrap();
        assert_eq!((DiffId::of_tar(Digest::of(&tar)), tar.len() as u64), (made.diff_id(), made.size()));
        // After another boot it is checked, and is what it was.
        let path = store.path().to_owned();
        drop((made, store));
        let later = open(&path, None, "later");
        assert!(later.layer(written.diff_id).unwrap().is_some());
        let state =
            layer::State::read(&later.inner.root.dir(layer::layer_name(written.diff_id)).unwrap()).unwrap();
        assert_eq!((state.boot.as_str(), state.clamp), (layer::DURABLE, clamp));
        std::fs::write(path.join(layer::layer_name(written.diff_id)).join("fs/c"), "changed").unwrap();
        let mut packed = later.layer(written.diff_id).unwrap().unwrap().tar().unwrap();
        assert!(std::io::copy(&mut packed, &mut std::io::sink()).is_err());
    }
}

#[test]
fn after_a_crash_a_damaged_layer_is_missing() {
    for (_dir, store) in stores() {
        let path = store.path().to_owned();
        let form = store.inner.options.form;
        let items: &[&str] = &["d/", "d/a=12345"];
        let id = layer(&store, true, items);
        let expected = tar_of(&store.layer(id).unwrap().unwrap()).unwrap();
        assert_eq!(files(&store.mount(&[id]).unwrap(), ""), ["d/a=12345"]);
        let place = path.join(layer::layer_name(id));
        drop(store);
        // The tar is sound; the rest was lost.
        for file in ["state", "index.erofs", "fs/d/a"] {
            let _ = std::fs::write(place.join(file), "").map_err(|_| std::fs::remove_file(place.join(file)));
        }
        let store = open(&path, form, "later");
        assert_eq!(files(&store.mount(&[id]).unwrap(), ""), ["d/a=12345"]);
        assert_eq!(store.layer(id).unwrap().unwrap().size(), expected.len() as u64);
        assert_eq!(tar_of(&store.layer(id).unwrap().unwrap()).unwrap(), expected);
        drop(store);
        // Seen in a third boot: the index form is durable now, an unpacked tree is not.
        assert_eq!(files(&open(&path, form, "third").mount(&[id]).unwrap(), ""), ["d/a=12345"]);
        for (boot, damage) in [("fourth", &expected[..600]), ("fifth", b""), ("sixth", &[0; 2048])] {
            let store = open(&path, form, boot);
            std::fs::write(place.join("layer.tar"), damage).unwrap();
            std::fs::write(place.join("state"), "size 7\nboot x\nmarks trusted\nend\n").unwrap();
            assert!(store.layer(id).unwrap().is_none(), "{boot}");
            assert!(!place.exists());
            assert_eq!(layer(&store, true, items), id);
        }
    }
}

#[test]
fn a_commit_replaces_a_layer_that_a_crash_damaged() {
    for (_dir, store) in stores() {
        let path = store.path().to_owned();
        let id = layer(&store, true, &["a=1"]);
        std::fs::write(path.join(layer::layer_name(id)).join("layer.tar"), "").unwrap();
        drop(store);
        let store = open(&path, None, "later");
        assert_eq!(layer(&store, true, &["a=1"]), id);
        assert_eq!(files(&store.mount(&[id]).unwrap(), ""), ["a=1"]);
    }
}

#[test]
fn many_unpack_one_layer_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let items: Vec<String> = (0..200).map(|n| format!("f{n}={n}")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let id = layer(&open(&path, None, "boot"), true, &items);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let store = open(&path, Some(LayerForm::Directory), "boot");
                let tree = Root::from_fd(store.layer(id).unwrap().unwrap().tree().unwrap());
                assert_eq!(tree.entries("").unwrap().len(), 200);
            });
        }
    });
    assert_eq!(std::fs::read_dir(path.join("tmp")).unwrap().count(), 0);
}

#[test]
fn hostile_layers_stay_inside_their_directory() {
    for (dir, store) in stores() {
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "untouched").unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: tar::EntryType, link: &str, data: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(0o777);
            header.set_size(data.len() as u64);
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_cksum();
            builder.append(&header, data).unwrap();
        };
        add("link", tar::EntryType::Symlink, "../../..", b"");
        add("link/outside", tar::EntryType::Regular, "", b"escaped");
        let bytes = builder.into_inner().unwrap();
        let draft = store.begin_layer().unwrap();
        let written =
            crate::layers::store_tar(draft.root(), &mut &bytes[..], SinkOptions { index: true }).unwrap();
        let made = draft.commit(written.diff_id, written.size).unwrap();
        let _ = made.tree();
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "untouched");
        for place in [store.path().to_owned(), dir.path().to_owned()] {
            assert!(!place.join("outside").exists() || place == dir.path(), "{place:?}");
        }
    }
}

#[test]
fn drafts_that_are_dropped_or_empty_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"), None, "boot");
    drop(store.begin_layer().unwrap());
    let empty = store.begin_layer().unwrap();
    assert!(matches!(empty.commit(DiffId::from_bytes([1; 32]), 0), Err(StoreError::Damaged { .. })));
    for place in ["tmp", "layers"] {
        assert_eq!(std::fs::read_dir(store.path().join(place)).unwrap().count(), 0);
    }
    let image = add_image(&store, "a", &[b"not a tar"]);
    store.tag(&name("a"), image.manifest).unwrap();
    assert!(store.mount(&image.layers).is_err(), "bytes that are no tar can't be shown");
    assert_eq!(std::fs::read_dir(store.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn names_in_images_can_be_anything() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"), None, "boot");
    for text in
        ["'; DROP TABLE image; --", "../../etc", "%s%n", "\u{0}", "a b", "☃", "sha256:", "@", ":", "-"]
    {
        assert!(store.find(text).is_err(), "{text:?}");
    }
    let image = add_image(&store, "'; DROP TABLE image; --\u{7}", &[]);
    assert_eq!(store.images().unwrap(), [image]);
    let fill = |_: &Root| Ok::<(), StoreError>(());
    for id in ["../../../escape", "/etc", "", "a/b\u{0}c"] {
        store.cache_mount(id, Sharing::Shared, fill).unwrap();
    }
    assert_eq!(std::fs::read_dir(store.path().join("cachemounts")).unwrap().count(), 4);
}

#[test]
fn the_form_is_told_without_a_trial_and_rightly() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("store"), None, "boot");
    let support = store.support().unwrap();
    assert_eq!(
        store.form().unwrap().0 == LayerForm::Index,
        support.erofs.is_ok(),
        "{:?} {support:?}",
        store.form()
    );
    if support.overlay.is_ok() {
        assert_eq!(store.userxattr().unwrap(), support.userxattr);
    }
}
