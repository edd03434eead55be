//! What the selected files are, as one digest for a cache key and as a list that explains a difference.
//!
//! Per file: name below the source, type, mode, owner, group, size, link
//! target, device numbers, attributes that count, bytes. No times, no inode,
//! nothing of how the tree came to be. The header of a copied directory itself
//! stays out, since only its contents are copied; the name of a copied file is
//! in, and the names that a wildcard matched.

use std::fmt;

use rayon::prelude::*;

use super::error::CopyError;
use super::select::{Item, Selected, Selection};
use crate::builder::context::{ContentId, FileKind, Wanted};
use crate::image::id::to_hex;

/// Files whose facts one thread writes down at a time; they are hashed in order, at the hash's full speed.
const FACTS_AT_ONCE: usize = 1024;

/// The identity of everything that a request copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentDigest {
    /// BLAKE3 over all facts, in order.
    pub digest: [u8; 32],
    /// What each file holds, in order.
    contents: Vec<ContentId>,
}

impl ContentDigest {
    /// Returns the digest alone, where nobody looked at the files.
    pub fn remembered(digest: [u8; 32]) -> Self {
        Self { digest, contents: Vec::new() }
    }

    /// Returns one fact a file, in order; `selection` is the one whose digest this is.
    pub fn facts<'a>(&'a self, selection: &'a Selection) -> impl Iterator<Item = Fact<'a>> {
        let files =
            selection.sources.iter().flat_map(|source| copied(source).map(move |item| (source, item)));
        files.zip(&self.contents).map(|((source, item), content)| fact(source, item, *content))
    }
}

/// What counts about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact<'a> {
    /// Its name: below a copied directory, or its own.
    pub name: &'a [u8],
    /// What it is.
    pub kind: FileKind,
    /// Mode bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Bytes of a file.
    pub size: u64,
    /// Link target.
    pub target: &'a [u8],
    /// Numbers of a device.
    pub device: (u32, u32),
    /// Bytes and attributes.
    pub content: ContentId,
}

impl Fact<'_> {
    /// Returns what differs from an earlier fact of the same name, in words; none if nothing does.
    pub fn difference(&self, earlier: &Fact<'_>) -> Option<&'static str> {
        if self.kind != earlier.kind {
            Some("type")
        } else if self.mode != earlier.mode {
            Some("mode")
        } else if self.owner != earlier.owner {
            Some("owner")
        } else if self.target != earlier.target {
            Some("link target")
        } else if self.size != earlier.size {
            Some("size")
        } else if self.content != earlier.content || self.device != earlier.device {
            Some("content")
        } else {
            None
        }
    }

    /// Returns everything but the name for a cache record: type, mode, owner, size, and the beginning of the
    /// content's identity, or a link's target or a device's numbers.
    pub fn shown(&self) -> String {
        let kind = match self.kind {
            FileKind::File => "file",
            FileKind::Directory => "directory",
            FileKind::Symlink => "link",
            FileKind::CharDevice | FileKind::BlockDevice => "device",
            FileKind::Fifo => "fifo",
            FileKind::Socket => "socket",
        };
        let content = match self.kind {
            FileKind::Symlink => String::from_utf8_lossy(self.target).into_owned(),
            FileKind::CharDevice | FileKind::BlockDevice => format!("{}:{}", self.device.0, self.device.1),
            _ => to_hex(&self.content[..8]),
        };
        let (uid, gid) = self.owner;
        format!("{kind} {:04o} {uid}:{gid} {} {content}", self.mode, self.size)
    }
}

impl fmt::Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (uid, gid) = self.owner;
        write!(f, "{} {:?} {:04o} {uid}:{gid}", String::from_utf8_lossy(self.name), self.kind, self.mode)
    }
}

/// Computes the identity of a selection; files that the tree does not remember are read, in parallel.
pub fn content_digest(selection: &Selection) -> Result<ContentDigest, CopyError> {
    let mut contents = Vec::with_capacity(selection.len());
    let mut hasher = blake3::Hasher::new_derive_key("skiff 2026 content of a copy");
    for source in &selection.sources {
        let items: Vec<&Item> = copied(source).collect();
        let wanted: Vec<Wanted<'_>> =
            items.iter().map(|item| Wanted { path: &item.path, node: &item.node }).collect();
        let found = source.tree.content_ids(&wanted)?;
        let mut frames = Frames::default();
        frames.number(source.source as u64);
        frames.field(if source.matched { &source.name } else { b"" });
        frames.number(found.len() as u64);
        hasher.update(&frames.bytes);
        let written = |(items, ids): (&[&Item], &[ContentId])| facts(source, items, ids).bytes;
        if items.len() <= FACTS_AT_ONCE {
            hasher.update(&written((&items, &found)));
        } else {
            let pieces = items.par_chunks(FACTS_AT_ONCE).zip(found.par_chunks(FACTS_AT_ONCE));
            for piece in pieces.map(written).collect::<Vec<_>>() {
                hasher.update(&piece);
            }
        }
        contents.extend(found);
    }
    Ok(ContentDigest { digest: *hasher.finalize().as_bytes(), contents })
}

/// Writes down what counts about some files of a source.
fn facts(source: &Selected, items: &[&Item], ids: &[ContentId]) -> Frames {
    let mut frames = Frames { bytes: Vec::with_capacity(items.len() * 128) };
    for (item, content) in items.iter().zip(ids) {
        let fact = fact(source, item, *content);
        frames.field(fact.name);
        frames.header(&fact);
    }
    frames
}

/// Returns what of a source is copied: of a directory only its contents.
fn copied(source: &Selected) -> impl Iterator<Item = &Item> {
    source.items.iter().skip(usize::from(source.top().node.is_dir()))
}

fn fact<'a>(source: &'a Selected, item: &'a Item, content: ContentId) -> Fact<'a> {
    let node = &item.node;
    let size = if node.kind == FileKind::File { node.size } else { 0 };
    let device = match node.kind {
        FileKind::CharDevice | FileKind::BlockDevice => node.device,
        _ => (0, 0),
    };
    Fact {
        name: if item.relative().is_empty() { &source.name } else { item.relative() },
        kind: node.kind,
        mode: node.mode,
        owner: (node.uid, node.gid),
        size,
        target: item.target.as_deref().unwrap_or_default(),
        device,
        content,
    }
}

/// Fields with their lengths, so that no two lists of fields have the same bytes.
#[derive(Default)]
struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    fn number(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn field(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    fn header(&mut self, fact: &Fact<'_>) {
        let kind = match fact.kind {
            FileKind::File => 0_u8,
            FileKind::Directory => 1,
            FileKind::Symlink => 2,
            FileKind::CharDevice => 3,
            FileKind::BlockDevice => 4,
            FileKind::Fifo => 5,
            FileKind::Socket => 6,
        };
        self.bytes.push(kind);
        for number in [fact.mode, fact.owner.0, fact.owner.1, fact.device.0, fact.device.1] {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.number(fact.size);
        self.field(fact.target);
        self.bytes.extend_from_slice(&fact.content);
    }
}
