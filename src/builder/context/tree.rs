//! Where `COPY` and `ADD` take files from: one trait over directories, archives, stages and text.
//!
//! Paths are bytes relative to the tree's root, without `.` or `..`, without a
//! slash at either end; the empty path is the root. No method follows a
//! symlink, neither the last component nor one before it: links are resolved
//! by [`resolve`], inside the root, the same way for every kind of tree.

use std::borrow::Cow;
use std::io::Read;

use super::error::ContextError;
use super::ignore::PatternMatcher;
pub use crate::fs::FileKind;
use crate::layers::Mtime;
use crate::paths::{join, show};

/// The header of one file of a tree, as a copy would see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits with setuid, setgid and sticky (`07777`).
    pub mode: u32,
    /// Owner; always 0 in contexts.
    pub uid: u32,
    /// Group; always 0 in contexts.
    pub gid: u32,
    /// Bytes of a file.
    pub size: u64,
    /// Time of the last change.
    pub mtime: Mtime,
    /// Numbers of a device.
    pub device: (u32, u32),
    /// Equal for two names of one file, where it has several.
    pub link_group: Option<(u64, u64)>,
    /// Tells versions of one file apart: (ctime seconds, nanoseconds, inode); zero where content cannot change.
    pub stamp: (i64, u32, u64),
}

impl Node {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether `self` and `later` may be the same version of the same file.
    pub fn same_version(&self, later: &Node) -> bool {
        (self.kind, self.size, self.mtime, self.stamp) == (later.kind, later.size, later.mtime, later.stamp)
    }
}

/// A directory's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its name in the directory.
    pub name: Vec<u8>,
    /// Its header.
    pub node: Node,
}

/// A file whose content identity is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// Its header as listed.
    pub node: &'a Node,
}

/// Extended attributes: names with values, sorted.
pub type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The BLAKE3 of a file's bytes and of those extended attributes that count (see [`counts`]).
pub type ContentId = [u8; 32];

/// A read-only tree of files.
pub trait Tree: Send + Sync {
    /// Returns what errors call this tree, e.g. `context` or a stage's name.
    fn label(&self) -> Cow<'_, str>;

    /// Returns what the ignore file says, where the tree has one.
    fn ignore(&self) -> Option<&PatternMatcher> {
        None
    }

    /// Returns the header of a path, or none where there is nothing (or nothing that may be seen).
    fn stat(&self, path: &[u8]) -> Result<Option<Node>, ContextError>;

    /// Returns a directory's entries, sorted by the bytes of their names.
    fn list(&self, dir: &[u8]) -> Result<Vec<Child>, ContextError>;

    /// Returns a symlink's target.
    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, ContextError>;

    /// Opens a file that was seen as `node`; reading fails where it is no longer that version.
    fn open(&self, path: &[u8], node: &Node) -> Result<Box<dyn Read + Send + '_>, ContextError>;

    /// Returns the extended attributes that a copy keeps, sorted.
    fn xattrs(&self, path: &[u8], node: &Node) -> Result<Attributes, ContextError>;

    /// Reads a whole file with the attributes that a copy keeps.
    fn fetch(&self, path: &[u8], node: &Node) -> Result<Fetched, ContextError> {
        let mut bytes = Vec::with_capacity(usize::try_from(node.size).unwrap_or(0));
        let read = self.open(path, node)?.read_to_end(&mut bytes);
        read.map_err(|source| ContextError::Read { path: show(path), source })?;
        if bytes.len() as u64 != node.size {
            return Err(ContextError::Changed { path: show(path) });
        }
        Ok(Fetched { bytes, attributes: self.xattrs(path, node)? })
    }

    /// Returns the content ids of many files and directories, in order; known ones without reading.
    ///
    /// Of a directory only its attributes count, of anything but files and directories nothing does.
    fn content_ids(&self, wanted: &[Wanted<'_>]) -> Result<Vec<ContentId>, ContextError> {
        wanted.iter().map(|w| content_id(self, w.path, w.node)).collect()
    }
}

/// A file read as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its attributes that a layer keeps, sorted.
    pub attributes: Attributes,
}

/// Whether an extended attribute goes into a layer: capabilities alone do, as docker's layers have them.
pub fn keeps(name: &[u8]) -> bool {
    name == b"security.capability"
}

/// Whether an extended attribute is part of a file's identity: all but `security.*` and `system.*`, capabilities included.
pub fn counts(name: &[u8]) -> bool {
    name == b"security.capability" || !(name.starts_with(b"security.") || name.starts_with(b"system."))
}

/// Computes a content id by reading; what [`Tree::content_ids`] returns when nothing is remembered.
pub fn content_id<T: Tree + ?Sized>(tree: &T, path: &[u8], node: &Node) -> Result<ContentId, ContextError> {
    let mut hasher = blake3::Hasher::new();
    if node.kind == FileKind::File {
        let mut reader = tree.open(path, node)?;
        let mut buffer = vec![0; usize::try_from(node.size.clamp(1, 256 << 10)).unwrap_or(256 << 10)];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ContextError::Read { path: show(path), source }),
            };
        }
    }
    let attributes = match node.kind {
        FileKind::File | FileKind::Directory => tree.xattrs(path, node)?,
        _ => Vec::new(),
    };
    Ok(with_attributes(*hasher.finalize().as_bytes(), &attributes))
}

/// Combines the digest of bytes with attributes; without any it stays what it is.
pub(super) fn with_attributes(bytes: ContentId, attributes: &[(Vec<u8>, Vec<u8>)]) -> ContentId {
    let counted: Vec<_> = attributes.iter().filter(|(name, _)| counts(name)).collect();
    if counted.is_empty() {
        return bytes;
    }
    let mut hasher = blake3::Hasher::new_derive_key("skiff 2026 file content with extended attributes");
    hasher.update(&bytes);
    for (name, value) in counted {
        for field in [name, value] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
    }
    *hasher.finalize().as_bytes()
}

/// Symlinks that one lookup may follow, as in the kernel's `ELOOP`, with room for deep trees.
const LINK_LIMIT: usize = 255;

/// What one step of a lookup finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Missing,
    /// A symlink with this target.
    Link(Vec<u8>),
    /// Anything else.
    There,
}

/// Follows every symlink of a path inside the root, the last component's only if `follow_last`.
///
/// Returns where the path really leads and what is there; a missing tail is kept as text.
pub fn resolve(
    tree: &dyn Tree,
    path: &[u8],
    follow_last: bool,
) -> Result<(Vec<u8>, Option<Node>), ContextError> {
    let mut found = None;
    let resolved = resolve_with(path, follow_last, |at| {
        let Some(node) = tree.stat(at)? else {
            found = None;
            return Ok(Step::Missing);
        };
        let step = if node.kind == FileKind::Symlink { Step::Link(tree.read_link(at)?) } else { Step::There };
        found = Some((at.to_vec(), node));
        Ok(step)
    })?;
    match found {
        Some((at, node)) if at == resolved => Ok((resolved, Some(node))),
        _ => {
            let node = tree.stat(&resolved)?;
            Ok((resolved, node))
        }
    }
}

/// Follows the symlinks of a path as [`resolve`] does, in any tree that `look` sees.
pub fn resolve_with<E: From<ContextError>>(
    path: &[u8],
    follow_last: bool,
    mut look: impl FnMut(&[u8]) -> Result<Step, E>,
) -> Result<Vec<u8>, E> {
    let mut pending = components(path);
    pending.reverse();
    let mut at: Vec<u8> = Vec::new();
    let mut links = 0;
    while let Some(name) = pending.pop() {
        if name == b".." {
            at.truncate(at.iter().rposition(|b| *b == b'/').unwrap_or(0));
            continue;
        }
        let next = join(&at, &name);
        match look(&next)? {
            Step::Missing => {
                let rest = pending.into_iter().rev().fold(next, |path, part| join(&path, &part));
                return Ok(crate::paths::below_root(&rest));
            }
            Step::Link(target) if !pending.is_empty() || follow_last => {
                links += 1;
                if links > LINK_LIMIT {
                    return Err(ContextError::Loop { path: show(path) }.into());
                }
                if target.starts_with(b"/") {
                    at.clear();
                }
                pending.extend(components(&target).into_iter().rev());
            }
            Step::Link(_) | Step::There => at = next,
        }
    }
    Ok(at)
}

fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|b| *b == b'/');
    parts.filter(|part| !part.is_empty() && *part != b".").map(<[u8]>::to_vec).collect()
}
