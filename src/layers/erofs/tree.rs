use std::collections::BTreeMap;
use std::io::Write;

use super::{IndexError, image, xattr};
use crate::layers::{Entry, EntryKind, Metadata, Mtime};

/// The offset of a file whose data are not in the tar as one piece, such as a sparse one.
pub const NO_DATA: u64 = u64::MAX;

/// The longest path that system calls take.
const MAX_PATH: usize = 4095;

/// What overlayfs takes for a whiteout: a character device with this number.
const WHITEOUT: u32 = 0;

pub(super) type NodeId = u32;

pub(super) const ROOT: NodeId = 0;

pub(super) enum Body {
    File { offset: u64, size: u64 },
    Directory { children: BTreeMap<Box<[u8]>, NodeId>, opaque: bool },
    Symlink { target: Box<[u8]> },
    CharDevice { number: u32 },
    BlockDevice { number: u32 },
    Fifo,
    Whiteout,
}

/// An inode to be. Those that were replaced stay in the list, reachable from nowhere.
pub(super) struct Node {
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Mtime,
    pub(super) xattrs: Box<[u8]>,
    pub(super) body: Body,
}

/// Collects the entries of a layer and writes the index over its tar.
///
/// Entries replace earlier ones of the same name as they do when a tar is unpacked: a directory keeps what it holds and
/// takes the new attributes, anything else makes way with all below it. Directories that are named only as
/// parents get mode 0755, owner 0 and the time 0. A whiteout hides what lower layers have, never this one's entries.
pub struct IndexBuilder {
    nodes: Vec<Node>,
    /// The directory of the last entry, since tars keep those of a directory together.
    last_parent: Option<(Box<[u8]>, NodeId)>,
}

impl Default for IndexBuilder {
    fn default() -> IndexBuilder {
        IndexBuilder::new()
    }
}

impl IndexBuilder {
    /// Returns a builder that knows of an empty root directory only.
    pub fn new() -> IndexBuilder {
        IndexBuilder { nodes: vec![implicit_directory(false)], last_parent: None }
    }

    /// Takes the next entry; `data_offset` is where its data start in the tar, of use for files that have some.
    ///
    /// # Errors
    ///
    /// [`IndexError::Entry`] for what an index cannot show; the builder is of no use then.
    pub fn add(&mut self, entry: &Entry, data_offset: u64) -> Result<(), IndexError> {
        let path = entry.path.as_slice();
        if path.is_empty() {
            return self.add_root(entry);
        }
        // Nobody could name it, and each of its parts would cost a directory.
        if path.len() > MAX_PATH {
            return Err(IndexError::entry(&path[..64], "its name is longer than 4095 bytes"));
        }
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        check_name(path, name)?;
        match &entry.kind {
            EntryKind::Opaque => return self.mark_opaque(path),
            EntryKind::HardLink { target } => return self.add_link(path, parent, name, target),
            _ => {}
        }
        let node = node(entry, data_offset)?;
        let parent = self.parent(path, parent)?;
        match self.child(parent, name) {
            None => self.insert(parent, name, node).map(drop),
            Some(old) => self.replace(parent, name, old, node),
        }
    }

    /// Writes the index of a tar of `tar_size` bytes.
    ///
    /// # Errors
    ///
    /// [`IndexError::Truncated`] if a file's data lie outside the tar, [`IndexError::TooMany`], [`IndexError::Write`].
    pub fn finish(self, out: &mut dyn Write, tar_size: u64) -> Result<(), IndexError> {
        let image = image::build(&self.nodes, tar_size)?;
        out.write_all(&image).map_err(IndexError::Write)
    }

    fn add_root(&mut self, entry: &Entry) -> Result<(), IndexError> {
        match entry.kind {
            EntryKind::Directory => {
                let node = node(entry, 0)?;
                self.update(ROOT, node);
                Ok(())
            }
            EntryKind::Opaque => self.mark_opaque(b""),
            _ => Err(IndexError::entry(b"/", "the root is not a directory")),
        }
    }

    fn mark_opaque(&mut self, path: &[u8]) -> Result<(), IndexError> {
        let directory = self.parent(path, path)?;
        if let Body::Directory { opaque, .. } = &mut self.nodes[directory as usize].body {
            *opaque = true;
        }
        Ok(())
    }

    fn add_link(&mut self, path: &[u8], parent: &[u8], name: &[u8], target: &[u8]) -> Result<(), IndexError> {
        let linked = self
            .find(target)
            .ok_or_else(|| IndexError::entry(path, "a hard link to a file that this layer lacks"))?;
        match self.nodes[linked as usize].body {
            Body::Directory { .. } => return Err(IndexError::entry(path, "a hard link to a directory")),
            Body::Whiteout => return Err(IndexError::entry(path, "a hard link to a removed file")),
            _ => {}
        }
        let parent = self.parent(path, parent)?;
        self.last_parent = None;
        self.children(parent).insert(name.into(), linked);
        Ok(())
    }

    /// Finds what the layer has under a name, following no symlink.
    fn find(&self, path: &[u8]) -> Option<NodeId> {
        path.split(|byte| *byte == b'/').try_fold(ROOT, |directory, name| self.child(directory, name))
    }

    fn child(&self, directory: NodeId, name: &[u8]) -> Option<NodeId> {
        match &self.nodes[directory as usize].body {
            Body::Directory { children, .. } => children.get(name).copied(),
            _ => None,
        }
    }

    fn children(&mut self, directory: NodeId) -> &mut BTreeMap<Box<[u8]>, NodeId> {
        match &mut self.nodes[directory as usize].body {
            Body::Directory { children, .. } => children,
            _ => unreachable!("only directories are walked into"),
        }
    }

    /// Returns the directory `parent` of the entry `path`, made if it is missing.
    fn parent(&mut self, path: &[u8], parent: &[u8]) -> Result<NodeId, IndexError> {
        match &self.last_parent {
            Some((known, node)) if **known == *parent => return Ok(*node),
            _ => {}
        }
        let mut directory = ROOT;
        for name in parent.split(|byte| *byte == b'/').filter(|_| !parent.is_empty()) {
            directory = self.enter(path, directory, name)?;
        }
        self.last_parent = Some((parent.into(), directory));
        Ok(directory)
    }

    fn enter(&mut self, path: &[u8], directory: NodeId, name: &[u8]) -> Result<NodeId, IndexError> {
        let Some(node) = self.child(directory, name) else {
            check_name(path, name)?;
            return self.insert(directory, name, implicit_directory(false));
        };
        match self.nodes[node as usize].body {
            Body::Directory { .. } => Ok(node),
            Body::Whiteout => self.insert(directory, name, implicit_directory(true)),
            Body::Symlink { .. } => Err(IndexError::entry(path, "it lies below a symlink of its layer")),
            _ => Err(IndexError::entry(path, "it lies below something that is no directory")),
        }
    }

    fn insert(&mut self, directory: NodeId, name: &[u8], node: Node) -> Result<NodeId, IndexError> {
        let id = NodeId::try_from(self.nodes.len())
            .map_err(|_| IndexError::TooMany { count: self.nodes.len() })?;
        self.nodes.push(node);
        self.children(directory).insert(name.into(), id);
        Ok(id)
    }

    fn replace(
        &mut self,
        directory: NodeId,
        name: &[u8],
        old: NodeId,
        mut node: Node,
    ) -> Result<(), IndexError> {
        match (&mut self.nodes[old as usize].body, &mut node.body) {
            (Body::Directory { opaque, .. }, Body::Whiteout) => *opaque = true,
            (_, Body::Whiteout) => {}
            (Body::Directory { .. }, Body::Directory { .. }) => self.update(old, node),
            (former, body) => {
                if let (Body::Whiteout, Body::Directory { opaque, .. }) = (former, body) {
                    *opaque = true;
                }
                self.last_parent = None;
                self.insert(directory, name, node)?;
            }
        }
        Ok(())
    }

    /// Gives a directory the attributes of another, and keeps what it holds.
    fn update(&mut self, directory: NodeId, from: Node) {
        let node = &mut self.nodes[directory as usize];
        (node.mode, node.uid, node.gid) = (from.mode, from.uid, from.gid);
        (node.mtime, node.xattrs) = (from.mtime, from.xattrs);
    }
}

fn check_name(path: &[u8], name: &[u8]) -> Result<(), IndexError> {
    match name {
        b"" | b"." | b".." => Err(IndexError::entry(path, "its name has an empty or dotted part")),
        _ if name.len() > 255 => Err(IndexError::entry(path, "a part of its name is longer than 255 bytes")),
        _ if name.contains(&0) => Err(IndexError::entry(path, "its name has a zero byte")),
        _ => Ok(()),
    }
}

fn implicit_directory(opaque: bool) -> Node {
    Node {
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Mtime { seconds: 0, nanos: 0 },
        xattrs: Box::default(),
        body: Body::Directory { children: BTreeMap::new(), opaque },
    }
}

fn node(entry: &Entry, data_offset: u64) -> Result<Node, IndexError> {
    let path = entry.path.as_slice();
    let body = match &entry.kind {
        EntryKind::File { size: 0 } => Body::File { offset: 0, size: 0 },
        EntryKind::File { size } => file(path, *size, data_offset)?,
        EntryKind::Directory => Body::Directory { children: BTreeMap::new(), opaque: false },
        EntryKind::Symlink { target }
            if target.is_empty() || target.len() > MAX_PATH || target.contains(&0) =>
        {
            return Err(IndexError::entry(
                path,
                "a symlink whose target is empty, too long or has a zero byte",
            ));
        }
        EntryKind::Symlink { target } => Body::Symlink { target: target.as_slice().into() },
        EntryKind::CharDevice { major, minor } => match device(path, *major, *minor)? {
            WHITEOUT => Body::Whiteout,
            number => Body::CharDevice { number },
        },
        EntryKind::BlockDevice { major, minor } => {
            Body::BlockDevice { number: device(path, *major, *minor)? }
        }
        EntryKind::Fifo => Body::Fifo,
        EntryKind::Whiteout => Body::Whiteout,
        EntryKind::HardLink { .. } | EntryKind::Opaque => unreachable!("these make no node of their own"),
    };
    let Metadata { mode, uid, gid, mtime, xattrs } = &entry.meta;
    let xattrs = match body {
        Body::Whiteout => Box::default(),
        _ => xattr::encode(path, xattrs)?,
    };
    if mtime.nanos >= 1_000_000_000 {
        return Err(IndexError::entry(path, "its time has more than a second of nanoseconds"));
    }
    // A symlink's mode is for nobody to choose.
    let mode = if matches!(body, Body::Symlink { .. }) { 0o777 } else { (mode & 0o7777) as u16 };
    Ok(Node { mode, uid: *uid, gid: *gid, mtime: *mtime, xattrs, body })
}

fn file(path: &[u8], size: u64, offset: u64) -> Result<Body, IndexError> {
    if offset == NO_DATA {
        return Err(IndexError::entry(path, "its data are not in the tar as one piece"));
    }
    if !offset.is_multiple_of(512) {
        return Err(IndexError::entry(path, "its data start within a block"));
    }
    // The last 32-bit address means a hole.
    let end = offset.checked_add(size).map(|end| end.div_ceil(512));
    if end.is_none_or(|end| end >= u64::from(u32::MAX)) {
        return Err(IndexError::entry(path, "its data lie more than 2 TiB into the tar"));
    }
    Ok(Body::File { offset, size })
}

/// Returns a device number as the kernel encodes it: 12 bits of major around 20 of minor.
fn device(path: &[u8], major: u32, minor: u32) -> Result<u32, IndexError> {
    if major >= 1 << 12 || minor >= 1 << 20 {
        return Err(IndexError::entry(path, "a device number that Linux has no room for"));
    }
    Ok((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}
