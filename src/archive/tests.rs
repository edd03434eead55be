//! Images out to archives and back, and archives that lie.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, Write as _};

use super::*;
use crate::image::manifest::media_type;
use crate::image::{ContainerConfig, Descriptor, Digest, ImageConfig, Index, Platform, Reference};
use crate::layers::{Entry, EntryKind, Metadata, TarWriter};
use crate::progress::NullReporter;
use crate::store::{LayerForm, Store, StoreOptions};

fn store(dir: &tempfile::TempDir, form: Option<LayerForm>) -> Store {
    Store::open(&dir.path().join("store"), &StoreOptions { form, ..StoreOptions::default() }).unwrap()
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for (path, content) in files {
        let kind = EntryKind::File { size: content.len() as u64 };
        let entry = Entry {
            path: path.as_bytes().to_vec(),
            kind,
            meta: Metadata { mode: 0o644, ..Metadata::default() },
        };
        tar.append_bytes(&entry, content).unwrap();
    }
    tar.finish().unwrap()
}

fn imported(store: &Store, content: &[u8]) -> crate::store::ImageRecord {
    let options = ImportOptions {
        platform: Platform::host(),
        config: ContainerConfig { cmd: Some(vec!["x".to_owned()]), ..ContainerConfig::default() },
        message: "Imported from -".to_owned(),
        created: "2020-01-01T00:00:00Z".to_owned(),
    };
    let tar = tar_of(&[("hello", content), ("etc/passwd", b"root:x:0:0::/:/bin/sh\n")]);
    import(store, &tar[..], &options).unwrap()
}

fn loaded(store: &Store, archive: &[u8]) -> Result<Vec<Loaded>, ArchiveError> {
    load(store, archive, None, &NullReporter)
}

fn saved(store: &Store, items: &[SaveItem]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    save(store, items, &file, &NullReporter).unwrap();
    file.rewind().unwrap();
    let mut out = Vec::new();
    file.read_to_end(&mut out).unwrap();
    out
}

fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap().or_latest()
}

#[test]
fn images_go_out_and_come_back_under_the_same_id() {
    for form in [Some(LayerForm::Directory), None] {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (store(&one, form), store(&two, form));
        let first = imported(&from, b"first");
        let second = imported(&from, b"second");
        let items = [
            SaveItem { image: first.id, index: None, names: vec![name("a:1"), name("localhost:5000/a")] },
            SaveItem { image: second.id, index: None, names: vec![] },
        ];
        let archive = saved(&from, &items);
        assert_eq!(archive, saved(&from, &items), "the same images give the same bytes");
        let images = loaded(&to, &archive).unwrap();
        let names: Vec<_> =
            images.iter().map(|i| (i.image, i.name.as_ref().map(Reference::familiar))).collect();
        assert_eq!(
            names,
            [
                (first.id, Some("a:1".to_owned())),
                (first.id, Some("localhost:5000/a:latest".to_owned())),
                (second.id, None)
            ]
        );
        let back = to.find_image("a:1", None).unwrap();
        assert_eq!((back.manifest, back.id, back.layers.clone()), (first.manifest, first.id, first.layers));
        let root = to.mount(&back.layers).unwrap();
        assert_eq!(root.read("hello", 10).unwrap(), b"first");
        // A name that moves says what it meant before.
        let moved = saved(&from, &[SaveItem { image: second.id, index: None, names: vec![name("a:1")] }]);
        assert_eq!(loaded(&to, &moved).unwrap()[0].replaced, Some(first.id));
        assert_eq!(loaded(&to, &moved).unwrap()[0].replaced, None);
    }
}

/// The parts of a valid archive, to be changed and put together again.
fn parts(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut parts = BTreeMap::new();
    for entry in ::tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        std::io::copy(&mut entry, &mut bytes).unwrap();
        if entry.header().entry_type().is_file() {
            parts.insert(entry.path().unwrap().to_string_lossy().into_owned(), bytes);
        }
    }
    parts
}

fn together(parts: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    tar_of(&files)
}

#[test]
fn lies_are_found_and_nothing_is_recorded() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (store(&one, None), store(&two, None));
    let image = imported(&from, b"content");
    let good = parts(&saved(&from, &[SaveItem { image: image.id, index: None, names: vec![name("a")] }]));
    let layer = format!("blobs/sha256/{}", image.layers[0].hex());
    let config = format!("blobs/sha256/{}", image.id.hex());
    let change = |what: &dyn Fn(&mut BTreeMap<String, Vec<u8>>)| {
        let mut parts = good.clone();
        what(&mut parts);
        let error = loaded(&to, &together(&parts)).unwrap_err().to_string();
        assert!(to.images().unwrap().is_empty() && to.refs().unwrap().is_empty(), "{error}");
        error
    };
    let error = change(&|p| p.get_mut(&layer).unwrap()[600] ^= 1);
    assert!(error.contains("has digest") || error.contains("lacks layer"), "{error}");
    assert!(change(&|p| drop(p.remove(&layer))).contains("lacks layer"));
    assert!(change(&|p| drop(p.remove(&config))).contains("lacks blobs/sha256/"));
    assert!(change(&|p| p.get_mut(&config).unwrap()[3] ^= 1).contains("has digest"));
    assert!(
        change(&|p| drop(p.insert("index.json".to_owned(), b"{".to_vec()))).contains("invalid index.json")
    );
    assert!(
        change(&|p| {
            p.remove("oci-layout");
            p.remove("manifest.json");
        })
        .contains("docker before 1.10")
    );
    assert!(change(&|p| p.retain(|name, _| name.starts_with("blobs"))).contains("unrecognized image format"));
    // A config that names another layer than the manifest's.
    let error = change(&|p| {
        p.remove("oci-layout");
        let text = String::from_utf8(p[&config].clone()).unwrap();
        let other = text.replace(&image.layers[0].hex(), &Digest::of(b"other").hex());
        p.insert("config.json".to_owned(), other.into_bytes());
        let list = String::from_utf8(p["manifest.json"].clone()).unwrap();
        p.insert("manifest.json".to_owned(), list.replace(&config, "config.json").into_bytes());
    });
    assert!(error.contains("invalid diffID for layer 0: expected"), "{error}");
    let error = change(&|p| {
        p.remove("oci-layout");
        let list = String::from_utf8(p["manifest.json"].clone()).unwrap();
        p.insert("manifest.json".to_owned(), list.replace(&format!("\"{layer}\""), "").into_bytes());
    });
    assert!(error.contains("layers length mismatch: expected 1, got 0"), "{error}");
    assert_eq!(loaded(&to, &together(&good)).unwrap().len(), 1, "the untouched archive loads");
}

#[test]
fn old_docker_archives_with_linked_layers_load() {
    let dir = tempfile::tempdir().unwrap();
    let to = store(&dir, None);
    let layer = tar_of(&[("f", b"1")]);
    let mut packed = Vec::new();
    let mut gzip = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
    gzip.write_all(&layer).unwrap();
    gzip.finish().unwrap();
    let mut config = ImageConfig::scratch(&Platform::host());
    let diff_id = crate::image::DiffId::of_tar(Digest::of(&layer));
    config.rootfs.diff_ids = vec![diff_id, diff_id];
    let config = config.to_json();
    let list = br#"[{"Config":"c.json","RepoTags":["old:1"],"Layers":["one/layer.tar","two/layer.tar"]}]"#;
    let mut tar = TarWriter::new(Vec::new());
    let mut add = |path: &str, kind: EntryKind, content: &[u8]| {
        let entry = Entry { path: path.as_bytes().to_vec(), kind, meta: Metadata::default() };
        tar.append_bytes(&entry, content).unwrap();
    };
    // The link comes before what it points to, the list before all that it names.
    add("manifest.json", EntryKind::File { size: list.len() as u64 }, list);
    add("two/layer.tar", EntryKind::Symlink { target: b"../one/layer.tar".to_vec() }, b"");
    add("one/layer.tar", EntryKind::File { size: packed.len() as u64 }, &packed);
    add("c.json", EntryKind::File { size: config.len() as u64 }, &config);
    let archive = tar.finish().unwrap();
    let images = loaded(&to, &archive).unwrap();
    assert_eq!(images[0].name.as_ref().unwrap().familiar(), "old:1");
    assert_eq!(to.mount(&[diff_id]).unwrap().read("f", 9).unwrap(), b"1");
}

/// Stores an image of one layer for a platform, and returns its manifest as an index names it.
fn for_platform(store: &Store, platform: &str) -> Descriptor {
    let platform = Platform::parse(platform).unwrap();
    let options = ImportOptions {
        platform: platform.clone(),
        config: ContainerConfig::default(),
        message: String::new(),
        created: "2020-01-01T00:00:00Z".to_owned(),
    };
    let tar = tar_of(&[("arch", platform.architecture.as_bytes())]);
    let record = import(store, &tar[..], &options).unwrap();
    let (_, bytes) = store.document(record.manifest).unwrap();
    let descriptor = Descriptor::new(media_type::OCI_MANIFEST, Digest::of(&bytes), bytes.len() as u64);
    Descriptor { platform: Some(platform), ..descriptor }
}

#[test]
fn all_platforms_of_an_index_travel_together() {
    let (one, two, three) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to, third) = (store(&one, None), store(&two, None), store(&three, None));
    let mut children = vec![for_platform(&from, "linux/s390x"), for_platform(&from, "linux/arm64")];
    children.push(for_platform(&from, &Platform::host().to_string()));
    // A platform that is not there, and an attestation.
    let missing = Descriptor::new(media_type::OCI_MANIFEST, Digest::of(b"missing"), 7);
    children.push(Descriptor { platform: Some(Platform::parse("linux/386").unwrap()), ..missing.clone() });
    let about = BTreeMap::from([("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned())]);
    children.push(Descriptor { annotations: Some(about), ..missing });
    let index = from.put_index(&serde_json::to_vec(&Index::oci(children)).unwrap()).unwrap();
    from.tag(&name("multi"), index).unwrap();
    let native = from.find_image("multi", None).unwrap();
    let item = SaveItem { image: native.id, index: Some(index), names: vec![name("multi")] };
    let archive = saved(&from, &[item]);
    let images = loaded(&to, &archive).unwrap();
    assert_eq!((images.len(), images[0].image), (1, native.id));
    assert_eq!(to.images().unwrap().len(), 3);
    assert_eq!(to.find("multi").unwrap().target, index, "the index is the same");
    let platform = Platform::parse("linux/s390x").unwrap();
    let other = to.find_image("multi", Some(&platform)).unwrap();
    assert_eq!(to.mount(&other.layers).unwrap().read("arch", 10).unwrap(), b"s390x");
    // One platform alone.
    let images = load(&third, &archive[..], Some(&platform), &NullReporter).unwrap();
    assert_eq!((images[0].image, third.images().unwrap().len()), (other.id, 1));
    let none = Platform::parse("linux/riscv64").unwrap();
    let error = load(&third, &archive[..], Some(&none), &NullReporter).unwrap_err();
    assert!(matches!(error, ArchiveError::Platform { .. }), "{error}");
}

#[test]
fn an_index_whose_layers_were_compressed_names_the_images_as_they_are_kept() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (store(&one, None), store(&two, None));
    let mut parts = BTreeMap::new();
    let mut children = Vec::new();
    for platform in ["linux/s390x", "linux/arm64"] {
        let child = for_platform(&from, platform);
        let (document, _) =
            from.document(crate::image::ManifestDigest::from_bytes(*child.digest.as_bytes())).unwrap();
        let crate::image::Document::Manifest(mut manifest) = document else { panic!("an image") };
        let diff_id = crate::image::DiffId::of_tar(manifest.layers[0].digest);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::copy(&mut from.layer(diff_id).unwrap().unwrap().tar().unwrap(), &mut packed).unwrap();
        let packed = packed.finish().unwrap();
        manifest.layers[0] =
            Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::of(&packed), packed.len() as u64);
        let config = from.read_blob(manifest.config.digest, 1 << 20).unwrap();
        let (bytes, digest) = manifest.to_json();
        let digest = digest.as_digest();
        children.push(Descriptor { digest, size: bytes.len() as u64, ..child });
        for bytes in [packed, config, bytes] {
            parts.insert(super::format::blob_path(Digest::of(&bytes)), bytes);
        }
    }
    let index = serde_json::to_vec(&Index::oci(children)).unwrap();
    let mut entry = Descriptor::new(media_type::OCI_INDEX, Digest::of(&index), index.len() as u64);
    entry.annotations = Some(BTreeMap::from([("io.containerd.image.name".to_owned(), "two:1".to_owned())]));
    parts.insert(super::format::blob_path(Digest::of(&index)), index);
    parts.insert("index.json".to_owned(), serde_json::to_vec(&Index::oci(vec![entry])).unwrap());
    parts.insert("oci-layout".to_owned(), super::format::oci_layout());
    let images = loaded(&to, &together(&parts)).unwrap();
    assert_eq!(images.len(), 1);
    for platform in ["linux/s390x", "linux/arm64"] {
        let platform = Platform::parse(platform).unwrap();
        let image = to.find_image("two:1", Some(&platform)).unwrap();
        let read = to.mount(&image.layers).unwrap().read("arch", 10).unwrap();
        assert_eq!(read, platform.architecture.as_bytes());
    }
}

#[test]
fn a_layout_in_a_directory_loads() {
    let (one, two, three) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (store(&one, None), store(&two, None));
    let image = imported(&from, b"in a directory");
    let archive = saved(&from, &[SaveItem { image: image.id, index: None, names: vec![name("dir:1")] }]);
    let dir = crate::fs::Root::open(three.path()).unwrap();
    let error = load_directory(&to, &dir, None, &NullReporter).unwrap_err();
    assert!(matches!(error, ArchiveError::Unrecognized), "{error}");
    ::tar::Archive::new(&archive[..]).unpack(three.path()).unwrap();
    // What a link leads to outside is not read.
    std::os::unix::fs::symlink("/etc/passwd", three.path().join("blobs/outside")).unwrap();
    let images = load_directory(&to, &dir, None, &NullReporter).unwrap();
    assert_eq!(
        (images[0].image, images[0].name.as_ref().unwrap().familiar()),
        (image.id, "dir:1".to_owned())
    );
    // A second time nothing moves.
    let events = crate::progress::RecordingReporter::default();
    load_directory(&to, &dir, None, &events).unwrap();
    let skipped = |event: &crate::progress::Event| matches!(event, crate::progress::Event::TransferDone { skipped, .. } if !skipped);
    assert!(!events.events().iter().any(skipped));
}
