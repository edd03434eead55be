//! The rules of the destination: which path each selected file takes, and with what metadata.
//!
//! | source | destination | result |
//! |---|---|---|
//! | file | missing, no slash | that name |
//! | file | directory, or with a slash | inside, under its own name |
//! | file | file or link to one | replaced |
//! | directory | missing | a new directory, 0755 root (or `--chown`, octal `--chmod`), the contents in it |
//! | directory | directory | the contents in it; its mode and owner stay |
//! | directory | file | error |
//!
//! Symlinks of the destination are followed inside the root, dangling ones
//! too. Deeper in the copy a file replaces a link, and a directory must meet a
//! directory or nothing. A directory that both sides have takes the source's
//! metadata. The top directory takes the source's time alone.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::CopyError;
use super::owner::Owner;
use super::request::CopyRequest;
use super::select::{Item, Selected, Selection};
use super::view::{Key, Origin, Planned, PlannedKind, Seen, View, metadata};
use crate::builder::context::{FileKind, Node, Step, Tree, resolve_with};
use crate::layers::{Metadata, Mtime};
use crate::paths::{join, show, split};

/// Numbers of files that have several names in one source.
pub(super) type Links = HashMap<(u64, u64), u64>;

/// Builds a plan, source by source.
pub(super) struct Planner<'a> {
    request: &'a CopyRequest,
    pub(super) view: View<'a>,
    owner: Option<Owner>,
    created: Metadata,
    next_inode: u64,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        request: &'a CopyRequest,
        selection: &Selection,
        parent: Option<&'a dyn Tree>,
    ) -> Result<Self, CopyError> {
        let parent = parent.filter(|_| !request.is_linked());
        let owner = request.chown.as_deref().map(|text| Owner::look_up(text, parent)).transpose()?;
        let created = Metadata {
            mode: request.chmod.as_ref().map_or(0o755, super::chmod::Chmod::parent_mode),
            uid: owner.map_or(0, |o| o.uid),
            gid: owner.map_or(0, |o| o.gid),
            mtime: request.created.unwrap_or_else(|| newest(selection)),
            xattrs: Vec::new(),
        };
        Ok(Self { request, view: View::new(parent), owner, created, next_inode: 0 })
    }

    /// Plans one source.
    pub(super) fn add(&mut self, source: &Selected) -> Result<(), CopyError> {
        let top = source.top();
        let destination = self.prepare(top, &source.name)?;
        let mut links = HashMap::new();
        if !top.node.is_dir() {
            return self.put(&source.tree, top, &destination, &mut links);
        }
        match self.view.look(&destination)? {
            Seen::Directory => self.touch(&destination, top.node.mtime)?,
            _ => return Err(CopyError::NotDirectory { path: show(&destination) }),
        }
        for item in &source.items[1..] {
            self.put(&source.tree, item, &join(&destination, item.relative()), &mut links)?;
        }
        Ok(())
    }

    /// Makes the directories that the destination needs and returns where the source itself goes.
    fn prepare(&mut self, top: &Item, name: &[u8]) -> Result<Vec<u8>, CopyError> {
        let asked = self.request.absolute_destination();
        let (dir, _) = split(asked.as_bytes());
        self.make_dirs(&self.view.resolve(dir)?)?;
        let mut destination = self.view.resolve(asked.as_bytes())?;
        let there = self.view.look(&destination)?;
        if top.node.is_dir() {
            let missing = there == Seen::Missing;
            let needed = if missing { destination.clone() } else { split(&destination).0.to_vec() };
            self.make_dirs(&needed)?;
        } else {
            if there == Seen::Directory {
                destination = join(&destination, name);
            }
            self.make_dirs(split(&destination).0)?;
        }
        Ok(destination)
    }

    /// Returns the destination as a directory, made if it is missing: where an archive is unpacked.
    pub(super) fn archive_root(&mut self) -> Result<Vec<u8>, CopyError> {
        let root = self.view.resolve(self.request.absolute_destination().as_bytes())?;
        self.make_archive_dirs(&root)?;
        Ok(root)
    }

    pub(super) fn make_dirs(&mut self, path: &[u8]) -> Result<(), CopyError> {
        let created = self.created.clone();
        self.view.make_dirs(path, &created)
    }

    /// Makes directories for an archive's contents, for which `--chmod` does not count.
    pub(super) fn make_archive_dirs(&mut self, path: &[u8]) -> Result<(), CopyError> {
        let created = self.archive_directory();
        self.view.make_dirs(path, &created)
    }

    /// Returns the metadata of a directory that an archive needs and does not hold.
    pub(super) fn archive_directory(&self) -> Metadata {
        Metadata { mode: 0o755, ..self.created.clone() }
    }

    /// Follows the symlinks of `path` as if `root` were the root: an unpacked archive stays in its destination.
    pub(super) fn resolve_below(&self, root: &[u8], path: &[u8]) -> Result<Vec<u8>, CopyError> {
        let relative = path.strip_prefix(root).unwrap_or(path);
        let found = resolve_with(relative, true, |at| {
            Ok::<_, CopyError>(match self.view.look(&join(root, at))? {
                Seen::Missing => Step::Missing,
                Seen::Link(target) => Step::Link(target),
                Seen::Directory | Seen::Other => Step::There,
            })
        })?;
        Ok(join(root, &found))
    }

    pub(super) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    pub(super) fn inode(&mut self) -> u64 {
        self.next_inode += 1;
        self.next_inode
    }

    /// Gives the top directory its source's time and nothing else.
    fn touch(&mut self, path: &[u8], mtime: Mtime) -> Result<(), CopyError> {
        if path.is_empty() {
            return Ok(());
        }
        if let Some(planned) = self.view.entries.get_mut(&Key::new(path)) {
            planned.meta.mtime = mtime;
            return Ok(());
        }
        if let Some(node) = self.view.in_parent(path)? {
            let meta = Metadata { mtime, ..metadata(&node) };
            self.view.put(path, Planned { kind: PlannedKind::Directory(None), meta });
        }
        Ok(())
    }

    /// Plans one file or directory at its final path.
    fn put(
        &mut self,
        tree: &Arc<dyn Tree>,
        item: &Item,
        path: &[u8],
        links: &mut Links,
    ) -> Result<(), CopyError> {
        refuse_whiteout_name(path)?;
        let there = self.view.look(path)?;
        if item.node.is_dir() {
            return self.put_directory(tree, item, path, &there);
        }
        if there == Seen::Directory {
            return Err(CopyError::FileOverDirectory { path: show(path) });
        }
        let kind = self.kind_of(tree, item, links);
        let meta = self.copied(&item.node);
        self.view.put(path, Planned { kind, meta });
        Ok(())
    }

    /// Returns what an item that is no directory becomes.
    pub(super) fn kind_of(&mut self, tree: &Arc<dyn Tree>, item: &Item, links: &mut Links) -> PlannedKind {
        let node = &item.node;
        match node.kind {
            FileKind::Symlink => PlannedKind::Symlink(item.target.clone().unwrap_or_default()),
            FileKind::CharDevice | FileKind::BlockDevice => {
                PlannedKind::Device(node.kind, node.device.0, node.device.1)
            }
            FileKind::Fifo => PlannedKind::Fifo,
            FileKind::Socket | FileKind::Directory => PlannedKind::File(None, self.inode()),
            FileKind::File => {
                let inode = match node.link_group {
                    Some(group) => *links.entry(group).or_insert_with(|| self.inode()),
                    None => self.inode(),
                };
                PlannedKind::File(Some(origin(tree, item)), inode)
            }
        }
    }

    fn put_directory(
        &mut self,
        tree: &Arc<dyn Tree>,
        item: &Item,
        path: &[u8],
        there: &Seen,
    ) -> Result<(), CopyError> {
        match there {
            Seen::Link(_) | Seen::Other => Err(CopyError::NotDirectory { path: show(path) }),
            // A directory that is only on the way to something keeps all but its mode.
            Seen::Directory if item.implied => {
                let planned =
                    self.view.entries.get(&Key::new(path)).map(|p| (p.kind.clone(), p.meta.clone()));
                let (kind, meta) = match planned {
                    Some(planned) => planned,
                    None => {
                        let node = self.view.in_parent(path)?;
                        let meta = node.map_or_else(|| self.created.clone(), |node| metadata(&node));
                        (PlannedKind::Directory(None), meta)
                    }
                };
                self.view.put(path, Planned { kind, meta: Metadata { mode: item.node.mode, ..meta } });
                Ok(())
            }
            Seen::Directory | Seen::Missing => {
                let kind = PlannedKind::Directory(Some(origin(tree, item)));
                let meta = self.copied(&item.node);
                self.view.put(path, Planned { kind, meta });
                Ok(())
            }
        }
    }

    /// Returns what a copied file's metadata become under `--chown` and `--chmod`.
    fn copied(&self, node: &Node) -> Metadata {
        let mode = match &self.request.chmod {
            Some(chmod) if node.kind != FileKind::Symlink => chmod.apply(node.mode, node.is_dir()),
            _ => node.mode,
        };
        let (uid, gid) = self.owner.map_or((node.uid, node.gid), |owner| (owner.uid, owner.gid));
        Metadata { mode, uid, gid, mtime: node.mtime, xattrs: Vec::new() }
    }
}

fn origin(tree: &Arc<dyn Tree>, item: &Item) -> Origin {
    Origin { tree: Arc::clone(tree), path: item.path.clone(), node: item.node.clone() }
}

/// Refuses a name that a layer would read as a deletion: a file called so cannot be in an image.
pub(super) fn refuse_whiteout_name(path: &[u8]) -> Result<(), CopyError> {
    if split(path).1.starts_with(b".wh.") {
        return Err(CopyError::WhiteoutName { path: show(path) });
    }
    Ok(())
}

/// Returns the newest time among the sources, so that the same files make the same layer.
fn newest(selection: &Selection) -> Mtime {
    let items = selection.sources.iter().flat_map(|source| &source.items);
    items.map(|item| item.node.mtime).max().unwrap_or_default()
}
