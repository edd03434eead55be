//! A directory as a tree: the build context with its ignore file, or the merged files of a stage.
//!
//! Nothing is read ahead: a directory is listed when a selection enters it, a
//! file is opened when its content is wanted and the index does not know it.
//! What an ignore file leaves out is not there, also for a lookup by name, and
//! is never opened, so that unreadable files that are left out do no harm.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rayon::prelude::*;

use super::error::ContextError;
use super::ignore::PatternMatcher;
use super::tree::{Attributes, Child, ContentId, Fetched, Node, Tree, Wanted, keeps, with_attributes};
use crate::fs::{FileKind, Follow, FsError, Root, Stat, stat_fd};
use crate::layers::Mtime;
use crate::paths::{join, show};
use crate::store::{ContextIndex, FileState};

/// Bytes that are read at once.
const BUFFER: usize = 256 << 10;

/// A directory on disk.
#[derive(Debug)]
pub struct DirectoryTree {
    root: Root,
    label: String,
    ignore: PatternMatcher,
    index: Option<ContextIndex>,
    keep_owners: bool,
}

impl DirectoryTree {
    /// Returns a build context: files belong to root, `ignore` hides some, `index` remembers digests.
    pub fn context(root: Root, ignore: PatternMatcher, index: Option<ContextIndex>) -> Self {
        Self { root, label: "context".to_owned(), ignore, index, keep_owners: false }
    }

    /// Returns the merged files of a stage or image: owners as they are.
    pub fn stage(root: Root, label: impl Into<String>) -> Self {
        Self { root, label: label.into(), ignore: PatternMatcher::default(), index: None, keep_owners: true }
    }

    /// Returns the tree under another name for errors.
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Writes what was learnt about the files, so that the next build need not read them; failures cost only time.
    pub fn save_index(&self) {
        if let Some(index) = &self.index {
            let _ = index.save();
        }
    }

    fn lookup(&self, path: &[u8], source: FsError) -> ContextError {
        ContextError::Lookup { path: show(path), source }
    }

    fn node(&self, stat: &Stat) -> Node {
        let (uid, gid) = if self.keep_owners { (stat.uid, stat.gid) } else { (0, 0) };
        Node {
            kind: stat.kind,
            mode: stat.mode,
            uid,
            gid,
            size: stat.size,
            mtime: Mtime { seconds: stat.mtime.seconds, nanos: stat.mtime.nanos },
            device: stat.rdev,
            link_group: (stat.nlink > 1 && stat.is_file()).then_some((stat.dev, stat.ino)),
            stamp: (stat.ctime.seconds, stat.ctime.nanos, stat.ino),
        }
    }

    /// Whether the ignore file hides a path; of a directory, whether it hides all that is in it as well.
    fn is_hidden(&self, path: &[u8], is_dir: bool) -> Result<bool, ContextError> {
        if self.ignore.is_empty() || path.is_empty() || !self.ignore.verdict_of(path).is_match() {
            return Ok(false);
        }
        if !is_dir || !self.ignore.may_reinclude_below(path) {
            return Ok(true);
        }
        Ok(self.list(path)?.is_empty())
    }

    /// Opens a file and checks that it is still the one that was listed.
    fn open_version(&self, path: &[u8], node: &Node) -> Result<File, ContextError> {
        let file = match self.root.open_file_nofollow(as_path(path)) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Err(ContextError::Changed { path: show(path) }),
            Err(source) => return Err(self.lookup(path, source)),
        };
        let now = stat_fd(&file).map_err(|source| self.lookup(path, source))?;
        if !node.same_version(&self.node(&now)) {
            return Err(ContextError::Changed { path: show(path) });
        }
        Ok(file)
    }

    /// Reads a file to its end, in pieces, and checks afterwards that nobody wrote to it.
    fn read_version(
        &self,
        path: &[u8],
        node: &Node,
        file: &mut File,
        buffer: &mut Vec<u8>,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ContextError> {
        let wanted = usize::try_from(node.size.saturating_add(1)).unwrap_or(BUFFER).min(BUFFER);
        if buffer.len() < wanted {
            buffer.resize(wanted, 0);
        }
        let mut total = 0;
        loop {
            match file.read(&mut buffer[..wanted]) {
                Ok(0) => break,
                Ok(count) => {
                    total += count as u64;
                    take(&buffer[..count]);
                    // A read that did not fill the buffer met the end; the check below proves it.
                    if total == node.size && count < wanted {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ContextError::Read { path: show(path), source }),
            }
        }
        let now = stat_fd(&*file).map_err(|source| self.lookup(path, source))?;
        if total != node.size || !node.same_version(&self.node(&now)) {
            return Err(ContextError::Changed { path: show(path) });
        }
        Ok(())
    }

    fn compute_id(&self, wanted: &Wanted<'_>, buffer: &mut Vec<u8>) -> Result<ContentId, ContextError> {
        match wanted.node.kind {
            FileKind::File => {
                let mut file = self.open_version(wanted.path, wanted.node)?;
                let mut hasher = blake3::Hasher::new();
                self.read_version(wanted.path, wanted.node, &mut file, buffer, |bytes| {
                    hasher.update(bytes);
                })?;
                let attributes = self.attributes_of(wanted.path, &file)?;
                Ok(with_attributes(*hasher.finalize().as_bytes(), &attributes))
            }
            FileKind::Directory => Ok(with_attributes(EMPTY, &self.all_xattrs(wanted.path)?)),
            _ => Ok(EMPTY),
        }
    }

    fn all_xattrs(&self, path: &[u8]) -> Result<Attributes, ContextError> {
        self.root.xattrs(as_path(path)).map_err(|source| self.lookup(path, source))
    }

    /// Returns the attributes of an open file that count; most files have none, which is one call to learn.
    fn attributes_of(&self, path: &[u8], file: &File) -> Result<Attributes, ContextError> {
        match rustix::fs::flistxattr_query(file) {
            Ok(0) | Err(rustix::io::Errno::NOTSUP) => Ok(Vec::new()),
            Ok(_) => self.all_xattrs(path),
            Err(errno) => Err(ContextError::Read { path: show(path), source: errno.into() }),
        }
    }
}

/// The BLAKE3 of nothing: the content of what has none.
const EMPTY: ContentId = [
    0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49, 0x9b,
    0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
];

impl Tree for DirectoryTree {
    fn ignore(&self) -> Option<&PatternMatcher> {
        Some(&self.ignore)
    }

    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn stat(&self, path: &[u8]) -> Result<Option<Node>, ContextError> {
        let found = self.root.stat(as_path(path), Follow::No).map_err(|source| self.lookup(path, source))?;
        let Some(stat) = found else { return Ok(None) };
        if self.is_hidden(path, stat.is_dir())? { Ok(None) } else { Ok(Some(self.node(&stat))) }
    }

    fn list(&self, dir: &[u8]) -> Result<Vec<Child>, ContextError> {
        let listed = match self.root.list(as_path(dir)) {
            Ok(listed) => listed,
            Err(error) if error.is_not_found() => return Err(ContextError::Changed { path: show(dir) }),
            Err(source) => return Err(self.lookup(dir, source)),
        };
        let child = |(name, stat): (Vec<u8>, Stat)| Child { name, node: self.node(&stat) };
        if self.ignore.is_empty() {
            return Ok(listed.into_iter().map(child).collect());
        }
        let above = (!dir.is_empty()).then(|| self.ignore.verdict_of(dir));
        let mut children = Vec::with_capacity(listed.len());
        for (name, stat) in listed {
            let path = join(dir, &name);
            let hidden = self.ignore.verdict(&path, above.as_ref()).is_match();
            if !hidden || (stat.is_dir() && !self.is_hidden(&path, true)?) {
                children.push(child((name, stat)));
            }
        }
        Ok(children)
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, ContextError> {
        self.root.read_link(as_path(path)).map_err(|source| self.lookup(path, source))
    }

    fn open(&self, path: &[u8], node: &Node) -> Result<Box<dyn Read + Send + '_>, ContextError> {
        let file = self.open_version(path, node)?;
        Ok(Box::new(Versioned { tree: self, file, node: node.clone(), path: path.to_vec(), total: 0 }))
    }

    fn xattrs(&self, path: &[u8], _: &Node) -> Result<Attributes, ContextError> {
        let mut found = self.all_xattrs(path)?;
        found.retain(|(name, _)| keeps(name));
        Ok(found)
    }

    fn fetch(&self, path: &[u8], node: &Node) -> Result<Fetched, ContextError> {
        let mut file = self.open_version(path, node)?;
        let mut bytes = Vec::with_capacity(usize::try_from(node.size).unwrap_or(0));
        let mut buffer = Vec::new();
        self.read_version(path, node, &mut file, &mut buffer, |part| bytes.extend_from_slice(part))?;
        let mut attributes = self.attributes_of(path, &file)?;
        attributes.retain(|(name, _)| keeps(name));
        Ok(Fetched { bytes, attributes })
    }

    fn content_ids(&self, wanted: &[Wanted<'_>]) -> Result<Vec<ContentId>, ContextError> {
        let known = |w: &Wanted<'_>| match w.node.kind {
            FileKind::File | FileKind::Directory => self.index.as_ref()?.get(w.path, &state(w.node)),
            _ => Some(EMPTY),
        };
        // Waking the pool costs more than looking up a few files.
        let mut ids: Vec<Option<ContentId>> = match wanted.len() {
            0..256 => wanted.iter().map(known).collect(),
            _ => wanted.par_iter().with_min_len(256).map(known).collect(),
        };
        let missing: Vec<usize> = (0..ids.len()).filter(|at| ids[*at].is_none()).collect();
        let found: Vec<ContentId> = match missing.len() {
            0 => Vec::new(),
            1 => vec![self.compute_id(&wanted[missing[0]], &mut Vec::new())?],
            _ => missing
                .par_iter()
                .map_init(Vec::new, |buffer, at| self.compute_id(&wanted[*at], buffer))
                .collect::<Result<_, _>>()?,
        };
        for (at, id) in missing.into_iter().zip(found) {
            if let Some(index) = &self.index {
                index.put(wanted[at].path, &state(wanted[at].node), id);
            }
            ids[at] = Some(id);
        }
        Ok(ids.into_iter().map(|id| id.expect("every id was known or computed")).collect())
    }
}

/// A file that is read as the version that was listed, or not at all.
struct Versioned<'a> {
    tree: &'a DirectoryTree,
    file: File,
    node: Node,
    path: Vec<u8>,
    total: u64,
}

impl Read for Versioned<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.total += count as u64;
        if count == 0 && !buffer.is_empty() {
            let now = stat_fd(&self.file).map_err(io::Error::other)?;
            if self.total != self.node.size || !self.node.same_version(&self.tree.node(&now)) {
                return Err(io::Error::other(ContextError::Changed { path: show(&self.path) }));
            }
        }
        Ok(count)
    }
}

fn as_path(path: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(path))
}

/// Returns what the index compares; whoever could forge it could forge the file.
fn state(node: &Node) -> FileState {
    let kind = if node.is_dir() { 0o040_000 } else { 0o100_000 };
    FileState {
        size: node.size,
        mtime: (node.mtime.seconds, node.mtime.nanos),
        ctime: (node.stamp.0, node.stamp.1),
        ino: node.stamp.2,
        mode: kind | node.mode,
    }
}
