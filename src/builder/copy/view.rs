//! The destination as a copy sees it: the parent's files with what is planned so far on top.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::error::CopyError;
use crate::builder::context::{FileKind, Node, Step, Tree, resolve_with};
use crate::layers::Metadata;
use crate::paths::{ancestors, join, show, split};

/// A path as a key of the plan: `/` sorts before every other byte, so that a directory's entries follow it at once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn new(path: &[u8]) -> Self {
        Self(path.iter().map(|b| if *b == b'/' { 0 } else { *b }).collect())
    }

    pub(super) fn path(&self) -> Vec<u8> {
        self.0.iter().map(|b| if *b == 0 { b'/' } else { *b }).collect()
    }

    fn is_below(&self, dir: &Key) -> bool {
        dir.0.is_empty() || self.0.strip_prefix(dir.0.as_slice()).is_some_and(|rest| rest.first() == Some(&0))
    }
}

/// Where a copied file or directory comes from.
#[derive(Clone)]
pub(super) struct Origin {
    /// Its tree.
    pub(super) tree: Arc<dyn Tree>,
    /// Its path there.
    pub(super) path: Vec<u8>,
    /// Its header as selected.
    pub(super) node: Node,
}

/// What will be at a path.
#[derive(Clone)]
pub(super) enum PlannedKind {
    /// A directory; its origin, if its attributes are copied.
    Directory(Option<Origin>),
    /// A file: its bytes (none is an empty one) and a number that the names of one file share.
    File(Option<Origin>, u64),
    /// A symlink.
    Symlink(Vec<u8>),
    /// A device.
    Device(FileKind, u32, u32),
    /// A named pipe.
    Fifo,
}

/// An entry of the layer in the making.
#[derive(Clone)]
pub(super) struct Planned {
    pub(super) kind: PlannedKind,
    pub(super) meta: Metadata,
}

/// What is at a path now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Missing,
    Directory,
    Link(Vec<u8>),
    Other,
}

/// How many names of one directory of the parent are looked up before it is listed as a whole.
const LOOKUPS_BEFORE_LISTING: u32 = 4;

/// What is known of a directory of the parent.
#[derive(Default)]
struct ParentDir {
    lookups: u32,
    names: HashMap<Vec<u8>, Option<Node>>,
    listed: bool,
}

/// Everything that the layer holds, and the names that it takes away.
pub(super) type Finished = (BTreeMap<Key, Planned>, Vec<Vec<u8>>);

/// The parent's files with the plan on top.
pub(super) struct View<'a> {
    parent: Option<&'a dyn Tree>,
    pub(super) entries: BTreeMap<Key, Planned>,
    /// Paths at which the parent's files are gone, with all below.
    pub(super) hidden: BTreeSet<Vec<u8>>,
    known: RefCell<HashMap<Vec<u8>, Option<ParentDir>>>,
}

impl<'a> View<'a> {
    pub(super) fn new(parent: Option<&'a dyn Tree>) -> Self {
        Self { parent, entries: BTreeMap::new(), hidden: BTreeSet::new(), known: RefCell::default() }
    }

    /// Returns what is at a path none of whose directories is a symlink.
    pub(super) fn look(&self, path: &[u8]) -> Result<Seen, CopyError> {
        if path.is_empty() {
            return Ok(Seen::Directory);
        }
        if let Some(planned) = self.entries.get(&Key::new(path)) {
            return Ok(match &planned.kind {
                PlannedKind::Directory(_) => Seen::Directory,
                PlannedKind::Symlink(target) => Seen::Link(target.clone()),
                _ => Seen::Other,
            });
        }
        let Some(node) = self.in_parent(path)? else { return Ok(Seen::Missing) };
        Ok(match (node.kind, self.parent) {
            (FileKind::Directory, _) => Seen::Directory,
            (FileKind::Symlink, Some(parent)) => Seen::Link(parent.read_link(path)?),
            _ => Seen::Other,
        })
    }

    /// Follows the symlinks of a path, the last one included.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Vec<u8>, CopyError> {
        resolve_with(path, true, |at| {
            Ok(match self.look(at)? {
                Seen::Missing => Step::Missing,
                Seen::Link(target) => Step::Link(target),
                Seen::Directory | Seen::Other => Step::There,
            })
        })
    }

    /// Returns the parent's header of a path, unless the plan took it away.
    pub(super) fn in_parent(&self, path: &[u8]) -> Result<Option<Node>, CopyError> {
        let Some(parent) = self.parent else { return Ok(None) };
        if !self.hidden.is_empty()
            && (self.hidden.contains(path) || ancestors(path).any(|dir| self.hidden.contains(dir)))
        {
            return Ok(None);
        }
        self.in_parent_raw(parent, path)
    }

    /// The same without regard to what is hidden; asks the parent once for each directory.
    fn in_parent_raw(&self, parent: &dyn Tree, path: &[u8]) -> Result<Option<Node>, CopyError> {
        if path.is_empty() {
            return Ok(parent.stat(b"")?);
        }
        let (dir, name) = split(path);
        if !self.known.borrow().contains_key(dir) {
            let exists = self.in_parent_raw(parent, dir)?.is_some_and(|node| node.is_dir());
            self.known.borrow_mut().insert(dir.to_vec(), exists.then(ParentDir::default));
        }
        let mut known = self.known.borrow_mut();
        let Some(Some(state)) = known.get_mut(dir) else { return Ok(None) };
        if let Some(answer) = state.names.get(name) {
            return Ok(answer.clone());
        }
        if state.listed {
            return Ok(None);
        }
        state.lookups += 1;
        if state.lookups <= LOOKUPS_BEFORE_LISTING {
            let node = parent.stat(path)?;
            state.names.insert(name.to_vec(), node.clone());
            return Ok(node);
        }
        state.listed = true;
        state.names.extend(parent.list(dir)?.into_iter().map(|child| (child.name, Some(child.node))));
        Ok(state.names.get(name).cloned().flatten())
    }

    /// Puts an entry into the plan, over whatever was planned there.
    pub(super) fn put(&mut self, path: &[u8], planned: Planned) {
        self.entries.insert(Key::new(path), planned);
    }

    /// Takes away what is at a path and below it, in the plan and in the parent.
    pub(super) fn remove(&mut self, path: &[u8]) -> Result<(), CopyError> {
        let key = Key::new(path);
        let doomed: Vec<Key> = self
            .entries
            .range(key.clone()..)
            .take_while(|(k, _)| **k == key || k.is_below(&key))
            .map(|(k, _)| k.clone())
            .collect();
        for key in doomed {
            self.entries.remove(&key);
        }
        if self.in_parent(path)?.is_some_and(|node| node.is_dir()) {
            self.hidden.insert(path.to_vec());
        }
        Ok(())
    }

    /// Makes a directory and those above it, each new one as `meta` says; the path holds no symlink.
    pub(super) fn make_dirs(&mut self, path: &[u8], meta: &Metadata) -> Result<(), CopyError> {
        let dirs: Vec<Vec<u8>> =
            ancestors(path).chain(Some(path).filter(|p| !p.is_empty())).map(<[u8]>::to_vec).collect();
        for dir in dirs {
            match self.look(&dir)? {
                Seen::Directory => {}
                Seen::Missing => {
                    super::plan::refuse_whiteout_name(&dir)?;
                    self.put(&dir, Planned { kind: PlannedKind::Directory(None), meta: meta.clone() });
                }
                Seen::Link(_) | Seen::Other => return Err(CopyError::NotDirectory { path: show(&dir) }),
            }
        }
        Ok(())
    }

    /// Returns the plan complete: with the parent's directories above every change, as layers carry them.
    ///
    /// Also returns what the layer must take away: children of replaced directories.
    pub(super) fn finish(mut self) -> Result<Finished, CopyError> {
        let mut above: BTreeSet<Vec<u8>> = BTreeSet::new();
        for key in self.entries.keys() {
            let path = key.path();
            for dir in ancestors(&path) {
                if !above.contains(dir) && !self.entries.contains_key(&Key::new(dir)) {
                    above.insert(dir.to_vec());
                }
            }
        }
        for dir in above {
            let node = self.in_parent(&dir)?.ok_or_else(|| CopyError::NotDirectory { path: show(&dir) })?;
            let meta = metadata(&node);
            self.put(&dir, Planned { kind: PlannedKind::Directory(None), meta });
        }
        let whiteouts = self.whiteouts()?;
        Ok((self.entries, whiteouts))
    }

    /// Names in the parent that must go: what a replaced directory held and the new one does not.
    fn whiteouts(&self) -> Result<Vec<Vec<u8>>, CopyError> {
        let mut gone = Vec::new();
        let Some(parent) = self.parent else { return Ok(gone) };
        for dir in &self.hidden {
            let replaced = self.entries.get(&Key::new(dir));
            if !replaced.is_some_and(|planned| matches!(planned.kind, PlannedKind::Directory(_))) {
                continue;
            }
            for child in parent.list(dir)? {
                let path = join(dir, &child.name);
                if !self.entries.contains_key(&Key::new(&path)) {
                    gone.push(path);
                } else if child.node.is_dir() {
                    self.whiteouts_below(parent, &path, &mut gone)?;
                }
            }
        }
        Ok(gone)
    }

    fn whiteouts_below(
        &self,
        parent: &dyn Tree,
        dir: &[u8],
        gone: &mut Vec<Vec<u8>>,
    ) -> Result<(), CopyError> {
        let planned = self.entries.get(&Key::new(dir));
        if !planned.is_some_and(|planned| matches!(planned.kind, PlannedKind::Directory(_))) {
            return Ok(());
        }
        for child in parent.list(dir)? {
            let path = join(dir, &child.name);
            if !self.entries.contains_key(&Key::new(&path)) {
                gone.push(path);
            } else if child.node.is_dir() {
                self.whiteouts_below(parent, &path, gone)?;
            }
        }
        Ok(())
    }
}

/// Returns the metadata of a header, without attributes.
pub(super) fn metadata(node: &Node) -> Metadata {
    Metadata { mode: node.mode, uid: node.uid, gid: node.gid, mtime: node.mtime, xattrs: Vec::new() }
}
