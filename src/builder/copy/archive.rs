//! `ADD` of an archive: its files into the destination, as `tar` would put them.
//!
//! | archive | destination | result |
//! |---|---|---|
//! | directory | directory | merged, the archive's metadata |
//! | directory it only implies | link to a directory | followed |
//! | anything | anything else | replaced, with all below |
//!
//! Owners are the archive's unless `--chown`; `--chmod` and `--exclude` do not
//! apply. Names that a layer reads as deletions are refused.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::CopyError;
use super::plan::{Planner, refuse_whiteout_name};
use super::select::{Item, Selected};
use super::view::{Planned, PlannedKind, Seen, metadata};
use crate::builder::context::{ArchiveTree, FileKind, Node, Tree};
use crate::fs::Root;
use crate::layers::Metadata;
use crate::paths::{join, split};

/// Opens a selected file as an archive; none if it is no file or no archive.
pub(super) fn open(selected: &Selected, spool: &Root) -> Result<Option<ArchiveTree>, CopyError> {
    let top = selected.top();
    if top.node.kind != FileKind::File {
        return Ok(None);
    }
    let reader = selected.tree.open(&top.path, &top.node)?;
    let label = format!("/{}", String::from_utf8_lossy(&top.path));
    Ok(ArchiveTree::detect(reader, label, spool)?.map(ArchiveTree::keeping_owners))
}

impl Planner<'_> {
    /// Plans the files of an archive.
    pub(super) fn add_archive(&mut self, archive: ArchiveTree) -> Result<(), CopyError> {
        let root = self.archive_root()?;
        let implied: Vec<Vec<u8>> = archive.implied().map(<[u8]>::to_vec).collect();
        let tree: Arc<dyn Tree> = Arc::new(archive);
        let mut links = HashMap::new();
        // Where the archive's directories really are, since the destination may have links in their place.
        let mut places: HashMap<Vec<u8>, Vec<u8>> = HashMap::from([(Vec::new(), root.clone())]);
        let mut pending = vec![Vec::new()];
        while let Some(dir) = pending.pop() {
            let place = places[&dir].clone();
            for child in tree.list(&dir)? {
                let path = join(&dir, &child.name);
                let target = join(&place, &child.name);
                refuse_whiteout_name(&target)?;
                if !child.node.is_dir() {
                    self.put_archived(&tree, &path, &child.node, &target, &mut links)?;
                    continue;
                }
                let is_implied = implied.binary_search(&path).is_ok();
                let real = self.put_archived_directory(&child.node, &target, &root, is_implied)?;
                places.insert(path.clone(), real);
                pending.push(path);
            }
        }
        Ok(())
    }

    fn put_archived(
        &mut self,
        tree: &Arc<dyn Tree>,
        path: &[u8],
        node: &Node,
        target: &[u8],
        links: &mut super::plan::Links,
    ) -> Result<(), CopyError> {
        let link = if node.kind == FileKind::Symlink { Some(tree.read_link(path)?) } else { None };
        let item = Item { path: path.to_vec(), below: 0, node: node.clone(), target: link, implied: false };
        if self.view.look(target)? != Seen::Missing {
            self.view.remove(target)?;
        }
        let kind = self.kind_of(tree, &item, links);
        let meta = self.archived(node);
        self.view.put(target, Planned { kind, meta });
        Ok(())
    }

    /// Returns where the directory is: elsewhere, if the archive only implies it and a link leads there.
    fn put_archived_directory(
        &mut self,
        node: &Node,
        target: &[u8],
        root: &[u8],
        implied: bool,
    ) -> Result<Vec<u8>, CopyError> {
        match (self.view.look(target)?, implied) {
            (Seen::Directory, true) => return Ok(target.to_vec()),
            (Seen::Link(_), true) => {
                let real = self.resolve_below(root, target)?;
                if self.view.look(&real)? == Seen::Directory {
                    return Ok(real);
                }
                self.view.remove(target)?;
            }
            (Seen::Link(_) | Seen::Other, _) => self.view.remove(target)?,
            (Seen::Directory | Seen::Missing, _) => {}
        }
        let meta = if implied { self.archive_directory() } else { self.archived(node) };
        let (parent, _) = split(target);
        self.make_archive_dirs(parent)?;
        self.view.put(target, Planned { kind: PlannedKind::Directory(None), meta });
        Ok(target.to_vec())
    }

    fn archived(&self, node: &Node) -> Metadata {
        let meta = metadata(node);
        match self.owner() {
            Some(owner) => Metadata { uid: owner.uid, gid: owner.gid, ..meta },
            None => meta,
        }
    }
}
