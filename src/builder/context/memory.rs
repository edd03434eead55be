//! Files that are only text: the heredocs of `COPY` and `ADD`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use super::error::ContextError;
use super::tree::{Attributes, Child, FileKind, Node, Tree};
use crate::layers::Mtime;
use crate::paths::{below_root, show};

/// A tree of files in memory, owned by root, mode 0644.
#[derive(Debug, Default)]
pub struct MemoryTree {
    files: BTreeMap<Vec<u8>, Vec<u8>>,
    mtime: Mtime,
}

impl MemoryTree {
    /// Returns a tree without files, whose files will have this time.
    pub fn new(mtime: Mtime) -> Self {
        Self { files: BTreeMap::new(), mtime }
    }

    /// Adds a file; a later one of the same name wins.
    pub fn insert(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.files.insert(below_root(name.as_bytes()), bytes.into());
    }

    fn file(&self, size: usize) -> Node {
        Node {
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: size as u64,
            mtime: self.mtime,
            device: (0, 0),
            link_group: None,
            stamp: (0, 0, 0),
        }
    }

    fn directory(&self) -> Node {
        Node { kind: FileKind::Directory, mode: 0o755, ..self.file(0) }
    }

    /// Returns what is below `dir`, as names relative to it.
    fn below<'a>(&'a self, dir: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a Vec<u8>)> + 'a {
        self.files.iter().filter_map(move |(path, bytes)| {
            let rest = path.strip_prefix(dir)?;
            let rest = if dir.is_empty() { rest } else { rest.strip_prefix(b"/")? };
            Some((rest, bytes))
        })
    }
}

impl Tree for MemoryTree {
    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed("context")
    }

    fn stat(&self, path: &[u8]) -> Result<Option<Node>, ContextError> {
        if let Some(bytes) = self.files.get(path) {
            return Ok(Some(self.file(bytes.len())));
        }
        let is_dir = path.is_empty() || self.below(path).next().is_some();
        Ok(is_dir.then(|| self.directory()))
    }

    fn list(&self, dir: &[u8]) -> Result<Vec<Child>, ContextError> {
        let mut children: Vec<Child> = Vec::new();
        for (rest, bytes) in self.below(dir) {
            let (name, node) = match rest.iter().position(|b| *b == b'/') {
                Some(end) => (&rest[..end], self.directory()),
                None => (rest, self.file(bytes.len())),
            };
            if children.last().is_none_or(|last| last.name != name) {
                children.push(Child { name: name.to_vec(), node });
            }
        }
        children.sort_by(|a, b| a.name.cmp(&b.name));
        children.dedup_by(|a, b| a.name == b.name);
        Ok(children)
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, ContextError> {
        Err(ContextError::Changed { path: show(path) })
    }

    fn open(&self, path: &[u8], _: &Node) -> Result<Box<dyn Read + Send + '_>, ContextError> {
        let bytes = self.files.get(path).ok_or_else(|| ContextError::Changed { path: show(path) })?;
        Ok(Box::new(bytes.as_slice()))
    }

    fn xattrs(&self, _: &[u8], _: &Node) -> Result<Attributes, ContextError> {
        Ok(Vec::new())
    }
}
