//! Reads an image archive independently of Skiff's own code: config, and the merged tree of all layers.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// An image as an archive holds it.
pub struct Archived {
    /// The config document.
    pub config: Value,
    /// The file tree with all layers applied, by path without a leading slash.
    pub tree: BTreeMap<String, Node>,
    /// Number of layers.
    pub layers: usize,
}

/// Times before this one (2017) are set by cases, later ones come from when they run.
const SET_TIMES_END: u64 = 1_500_000_000;

/// One file of a tree; hard-linked names share `content`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Type letter as `ls -l` shows it.
    pub kind: char,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u64, u64),
    /// Size and SHA-256 of a file's content.
    pub content: Option<(u64, String)>,
    /// The time of the last change, if it is one that a test set; those of a build are its own.
    pub old: Option<u64>,
    /// Target of a symbolic link, numbers of a device.
    pub target: String,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// Reads the first image of an archive made by `save`.
pub fn read(archive: &Path) -> Archived {
    let blobs = entries(archive);
    let json = |name: &str| -> Value {
        let bytes = blobs.get(name).unwrap_or_else(|| panic!("{name} is missing in {}", archive.display()));
        serde_json::from_slice(bytes).expect("documents of an archive are JSON")
    };
    let manifest = json("manifest.json");
    let image = &manifest[0];
    let config = json(image["Config"].as_str().expect("Config is a name"));
    let names = image["Layers"].as_array().expect("Layers is a list");
    let diff_ids = config["rootfs"]["diff_ids"].as_array().expect("diff_ids is a list");
    assert_eq!(names.len(), diff_ids.len(), "as many layers as diff ids");
    let mut tree = BTreeMap::new();
    for (name, diff_id) in names.iter().zip(diff_ids) {
        let bytes = &blobs[name.as_str().expect("a layer is a name")];
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(diff_id, &format!("sha256:{hex}"), "a layer's digest is its diff id");
        apply(&mut tree, bytes);
    }
    Archived { layers: names.len(), config, tree }
}

fn entries(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = std::fs::File::open(archive).unwrap_or_else(|e| panic!("{}: {e}", archive.display()));
    let mut blobs = BTreeMap::new();
    let mut links = Vec::new();
    let mut tar = tar::Archive::new(std::io::BufReader::new(file));
    for entry in tar.entries().expect("an archive is a tar") {
        let mut entry = entry.expect("an archive is a whole tar");
        let name =
            entry.path().expect("names are text").to_string_lossy().trim_start_matches("./").to_owned();
        if entry.header().entry_type().is_symlink() {
            let target = entry.link_name().expect("a link has a target").expect("a link has a target");
            links.push((name, target.to_string_lossy().trim_start_matches("../").to_owned()));
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("an archive is a whole tar");
        blobs.insert(name, bytes);
    }
    for (name, target) in links {
        if let Some(bytes) = blobs.get(&target).cloned() {
            blobs.insert(name, bytes);
        }
    }
    blobs
}

fn apply(tree: &mut BTreeMap<String, Node>, layer: &[u8]) {
    let mut upper = BTreeMap::new();
    let (mut hidden, mut opaque) = (Vec::new(), Vec::new());
    let mut tar = tar::Archive::new(layer);
    for entry in tar.entries().expect("a layer is a tar") {
        let mut entry = entry.expect("a layer is a whole tar");
        let path = String::from_utf8_lossy(&entry.path_bytes())
            .trim_start_matches("./")
            .trim_matches('/')
            .to_owned();
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let join = |name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
        if name == ".wh..wh..opq" {
            opaque.push(parent.to_owned());
        } else if let Some(name) = name.strip_prefix(".wh.") {
            hidden.push(join(name));
        } else if entry.header().entry_type().is_hard_link() {
            let target = entry.link_name_bytes().expect("a link has a target");
            let target =
                String::from_utf8_lossy(&target).trim_start_matches("./").trim_matches('/').to_owned();
            let node: &Node =
                upper.get(&target).or_else(|| tree.get(&target)).expect("a hard link's target is there");
            let node = node.clone();
            upper.insert(path, node);
        } else {
            let node = node(&mut entry);
            upper.insert(path, node);
        }
    }
    for path in hidden {
        tree.retain(|name, _| name != &path && !name.starts_with(&format!("{path}/")));
    }
    for path in opaque {
        tree.retain(|name, _| !name.starts_with(&format!("{path}/")));
    }
    for (path, node) in upper {
        let replaced = tree.get(&path).is_some_and(|old| !(old.kind == 'd' && node.kind == 'd'));
        if replaced {
            tree.retain(|name, _| !name.starts_with(&format!("{path}/")));
        }
        tree.insert(path, node);
    }
    tree.remove("");
}

fn node(entry: &mut tar::Entry<'_, &[u8]>) -> Node {
    let mut xattrs = BTreeMap::new();
    if let Ok(Some(extensions)) = entry.pax_extensions() {
        for extension in extensions.flatten() {
            if let Some(name) = extension.key().ok().and_then(|key| key.strip_prefix("SCHILY.xattr.")) {
                xattrs.insert(name.to_owned(), extension.value_bytes().to_vec());
            }
        }
    }
    let header = entry.header().clone();
    let kind = match header.entry_type() {
        tar::EntryType::Directory => 'd',
        tar::EntryType::Symlink => 'l',
        tar::EntryType::Char => 'c',
        tar::EntryType::Block => 'b',
        tar::EntryType::Fifo => 'p',
        _ => '-',
    };
    let target = match kind {
        'l' => String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned(),
        'c' | 'b' => format!("{:?}:{:?}", header.device_major().ok(), header.device_minor().ok()),
        _ => String::new(),
    };
    let owner = (header.uid().unwrap_or(0), header.gid().unwrap_or(0));
    let mode = header.mode().unwrap_or(0) & 0o7777;
    let content = (kind == '-').then(|| {
        let mut hasher = Sha256::new();
        let mut buffer = [0u8; 65536];
        let mut size = 0u64;
        loop {
            let count = entry.read(&mut buffer).expect("a layer is a whole tar");
            if count == 0 {
                break;
            }
            size += count as u64;
            hasher.update(&buffer[..count]);
        }
        let digest: [u8; 32] = hasher.finalize().into();
        (size, digest.iter().map(|b| format!("{b:02x}")).collect())
    });
    let old = header.mtime().ok().filter(|time| (1..SET_TIMES_END).contains(time));
    Node { kind, mode, owner, content, old, target, xattrs }
}
