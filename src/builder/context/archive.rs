//! A tar, plain or compressed, as a tree: a context from standard input or a URL, or what `ADD` unpacks.
//!
//! The decompressed bytes pass once into a temporary file that has no name any
//! more; its entries are indexed, none is unpacked. They are applied in order
//! as `tar` would: later ones replace earlier ones, directories merge, parents
//! that are links are followed inside the archive, names with `..` have been
//! refused by the reader. Names such as `.wh.x` are ordinary files here.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;

use rayon::prelude::*;

use super::error::ContextError;
use super::spool;
use super::tree::{
    Attributes, Child, ContentId, FileKind, Node, Step, Tree, Wanted, content_id, keeps, resolve_with,
};
use crate::fs::Root;
use crate::layers::{Entry, EntryKind, Format, TarReader, copy_with_holes, decompress};
use crate::paths::{ancestors, join, show, split};

/// Bytes that a stream shows of itself before it is taken for an archive.
pub const HEAD: usize = 1024;

/// The entries of a tar and where their bytes are.
#[derive(Debug)]
pub struct ArchiveTree {
    label: String,
    keep_owners: bool,
    nodes: HashMap<Vec<u8>, Member>,
    children: HashMap<Vec<u8>, Vec<Vec<u8>>>,
    implied: Vec<Vec<u8>>,
    /// The tar itself, and the bytes of files that it stores with holes.
    data: [Option<File>; 2],
}

/// A file of the archive.
#[derive(Debug, Clone)]
struct Member {
    node: Node,
    target: Vec<u8>,
    /// Which file has the bytes, and where.
    place: (usize, u64),
    xattrs: Attributes,
    implied: bool,
}

/// Whether a stream that begins with these bytes is an archive: compressed, or a tar by its check sum.
pub fn is_archive(head: &[u8]) -> bool {
    Format::of(head) != Format::Plain || is_tar(head) || is_empty_tar(head)
}

/// Whether an archive without entries ends here. As a context it is one; what `ADD` finds is a file of zeros.
fn is_empty_tar(head: &[u8]) -> bool {
    head.get(..512).is_some_and(|header| header.iter().all(|byte| *byte == 0))
}

/// Whether a tar's first header stands here: the sum of its bytes, its own field taken as blanks (tar(5)).
fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    let field = String::from_utf8_lossy(&header[148..156]);
    let Ok(wanted) = i64::from_str_radix(field.trim_matches(['\0', ' ']), 8) else { return false };
    let others = || header[..148].iter().chain(&header[156..]);
    let unsigned: i64 = others().map(|byte| i64::from(*byte)).sum();
    // Ancient ones summed signed bytes.
    let signed: i64 = others().map(|byte| i64::from(byte.cast_signed())).sum();
    wanted == unsigned + 8 * 32 || wanted == signed + 8 * 32
}

impl ArchiveTree {
    /// Reads an archive to its end; `spool` is where the temporary file is made.
    ///
    /// # Errors
    /// The stream is no tar, ends early, has an entry that fits nowhere, or the disk is full.
    pub fn read(
        source: impl Read + Send,
        label: impl Into<String>,
        spool: &Root,
    ) -> Result<Self, ContextError> {
        let label = label.into();
        let empty = Self::empty(label.clone());
        // Without detection there is always a tree; an archive may hold nothing.
        Ok(Self::load(source, label, spool, false)?.unwrap_or(empty))
    }

    /// Reads an archive if the stream is one by content; none if not even its first entry is there.
    ///
    /// # Errors
    /// It begins as an archive but fails later.
    pub fn detect(
        source: impl Read + Send,
        label: impl Into<String>,
        spool: &Root,
    ) -> Result<Option<Self>, ContextError> {
        Self::load(source, label.into(), spool, true)
    }

    /// Makes the tree show owners as the archive has them, not root.
    pub fn keeping_owners(mut self) -> Self {
        self.keep_owners = true;
        self
    }

    /// Returns the directories that are only named by what is in them, sorted.
    pub fn implied(&self) -> impl Iterator<Item = &[u8]> {
        self.implied.iter().map(Vec::as_slice)
    }

    /// Returns the time of the file that was changed last; none in an empty archive.
    pub fn newest(&self) -> Option<i64> {
        let own = self.nodes.values().filter(|member| !member.implied);
        own.map(|member| member.node.mtime.seconds).max()
    }

    fn empty(label: String) -> Self {
        let mut tree = Self {
            label,
            keep_owners: false,
            nodes: HashMap::new(),
            children: HashMap::new(),
            implied: Vec::new(),
            data: [None, None],
        };
        tree.nodes.insert(Vec::new(), Member::directory());
        tree
    }

    fn load(
        source: impl Read + Send,
        label: String,
        spool: &Root,
        detect: bool,
    ) -> Result<Option<Self>, ContextError> {
        let fail = |source| ContextError::Archive { label: label.clone(), source };
        let (_, mut plain) = decompress(source).map_err(fail)?;
        if detect {
            let mut head = Vec::with_capacity(512);
            let read = (&mut plain).take(512).read_to_end(&mut head);
            if read.is_err() || !is_tar(&head) {
                return Ok(None);
            }
            plain = Box::new(io::Cursor::new(head).chain(plain));
        }
        let mut tee = Tee { source: plain, copy: spool::unnamed(spool)? };
        let mut holes: Option<File> = None;
        let mut holes_at = 0;
        let mut tree = Self::empty(label.clone());
        {
            let mut reader = TarReader::new(&mut tee).raw_whiteouts();
            while let Some((entry, offset)) = reader.next_entry().map_err(fail)? {
                let mut place = (0, offset);
                if reader.is_sparse() {
                    if holes.is_none() {
                        holes = Some(spool::unnamed(spool)?);
                    }
                    let out = holes.as_mut().expect("made above");
                    place = (1, holes_at);
                    let read = |source| ContextError::Read { path: show(&entry.path), source };
                    holes_at += copy_with_holes(&mut reader, out).map_err(read)?;
                }
                tree.apply(entry, place)?;
            }
        }
        tree.data = [Some(tee.copy), holes];
        tree.index();
        Ok(Some(tree))
    }

    /// Puts one entry where `tar` would.
    fn apply(&mut self, entry: Entry, place: (usize, u64)) -> Result<(), ContextError> {
        if entry.path.is_empty() {
            return Ok(());
        }
        let (dir, name) = split(&entry.path);
        let dir = self.real(dir)?;
        let path = join(&dir, name);
        let member = match &entry.kind {
            EntryKind::HardLink { target } => {
                let (target_dir, target_name) = split(target);
                let target = join(&self.real(target_dir)?, target_name);
                if target == path {
                    return Ok(());
                }
                self.linked(&target, &entry)?
            }
            _ => Member::of(&entry, place),
        };
        let merges = member.node.is_dir() && self.nodes.get(&path).is_some_and(|old| old.node.is_dir());
        if !merges && self.nodes.remove(&path).is_some_and(|old| old.node.is_dir()) {
            let below = join(&path, b"x");
            let below = &below[..below.len() - 1];
            self.nodes.retain(|other, _| !other.starts_with(below));
        }
        let parents: Vec<Vec<u8>> = ancestors(&path).map(<[u8]>::to_vec).collect();
        for parent in parents {
            let there = self.nodes.entry(parent.clone()).or_insert_with(Member::directory);
            if !there.node.is_dir() {
                return Err(self.misfit(&entry, "is below something that is no directory"));
            }
        }
        self.nodes.insert(path, member);
        Ok(())
    }

    fn misfit(&self, entry: &Entry, reason: &'static str) -> ContextError {
        ContextError::Misfit { label: self.label.clone(), path: show(&entry.path), reason }
    }

    /// Follows the links of a directory's path inside the archive.
    fn real(&self, dir: &[u8]) -> Result<Vec<u8>, ContextError> {
        resolve_with(dir, true, |at| {
            Ok(match self.nodes.get(at) {
                None => Step::Missing,
                Some(member) if member.node.kind == FileKind::Symlink => Step::Link(member.target.clone()),
                Some(_) => Step::There,
            })
        })
    }

    /// Returns another name for a member.
    fn linked(&mut self, target: &[u8], entry: &Entry) -> Result<Member, ContextError> {
        let Some(member) = self.nodes.get_mut(target).filter(|member| !member.node.is_dir()) else {
            return Err(self.misfit(entry, "is a hard link to a file that is not in the archive"));
        };
        if member.node.kind == FileKind::File {
            let (file, offset) = member.place;
            member.node.link_group.get_or_insert((file as u64, offset));
        }
        Ok(member.clone())
    }

    /// Sorts the names of every directory.
    fn index(&mut self) {
        let mut children: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (path, member) in &self.nodes {
            if member.implied && !path.is_empty() {
                self.implied.push(path.clone());
            }
            if !path.is_empty() {
                let (dir, name) = split(path);
                children.entry(dir.to_vec()).or_default().push(name.to_vec());
            }
        }
        self.implied.sort();
        for names in children.values_mut() {
            names.sort();
        }
        self.children = children.into_iter().collect();
    }

    fn shown(&self, member: &Member) -> Node {
        let mut node = member.node.clone();
        if !self.keep_owners {
            (node.uid, node.gid) = (0, 0);
        }
        node
    }
}

impl Member {
    fn directory() -> Self {
        let node = Node {
            kind: FileKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: crate::layers::Mtime::default(),
            device: (0, 0),
            link_group: None,
            stamp: (0, 0, 0),
        };
        Self { node, target: Vec::new(), place: (0, 0), xattrs: Vec::new(), implied: true }
    }

    fn of(entry: &Entry, place: (usize, u64)) -> Self {
        let (kind, device, target) = match &entry.kind {
            EntryKind::Directory | EntryKind::Opaque => (FileKind::Directory, (0, 0), Vec::new()),
            EntryKind::Symlink { target } => (FileKind::Symlink, (0, 0), target.clone()),
            EntryKind::CharDevice { major, minor } => (FileKind::CharDevice, (*major, *minor), Vec::new()),
            EntryKind::BlockDevice { major, minor } => (FileKind::BlockDevice, (*major, *minor), Vec::new()),
            EntryKind::Fifo => (FileKind::Fifo, (0, 0), Vec::new()),
            EntryKind::File { .. } | EntryKind::HardLink { .. } | EntryKind::Whiteout => {
                (FileKind::File, (0, 0), Vec::new())
            }
        };
        let meta = &entry.meta;
        let node = Node {
            kind,
            mode: if kind == FileKind::Symlink { 0o777 } else { meta.mode },
            uid: meta.uid,
            gid: meta.gid,
            size: entry.size(),
            mtime: meta.mtime,
            device,
            link_group: None,
            stamp: (0, 0, 0),
        };
        Self { node, target, place, xattrs: meta.xattrs.clone(), implied: false }
    }
}

impl Tree for ArchiveTree {
    fn label(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.label)
    }

    fn stat(&self, path: &[u8]) -> Result<Option<Node>, ContextError> {
        Ok(self.nodes.get(path).map(|member| self.shown(member)))
    }

    fn list(&self, dir: &[u8]) -> Result<Vec<Child>, ContextError> {
        let names = self.children.get(dir).map_or(&[][..], Vec::as_slice);
        let child =
            |name: &Vec<u8>| Child { name: name.clone(), node: self.shown(&self.nodes[&join(dir, name)]) };
        Ok(names.iter().map(child).collect())
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>, ContextError> {
        let member = self.nodes.get(path).ok_or_else(|| ContextError::Changed { path: show(path) })?;
        Ok(member.target.clone())
    }

    fn open(&self, path: &[u8], _: &Node) -> Result<Box<dyn Read + Send + '_>, ContextError> {
        let gone = || ContextError::Changed { path: show(path) };
        let member = self.nodes.get(path).ok_or_else(gone)?;
        let (file, at) = member.place;
        let file = self.data[file].as_ref().ok_or_else(gone)?;
        Ok(Box::new(Slice { file, at, left: member.node.size }))
    }

    fn xattrs(&self, path: &[u8], _: &Node) -> Result<Attributes, ContextError> {
        let found = self.nodes.get(path).map(|member| member.xattrs.clone()).unwrap_or_default();
        Ok(found.into_iter().filter(|(name, _)| keeps(name)).collect())
    }

    fn content_ids(&self, wanted: &[Wanted<'_>]) -> Result<Vec<ContentId>, ContextError> {
        wanted.par_iter().map(|w| content_id(self, w.path, w.node)).collect()
    }
}

/// A stretch of a file, read without moving its position.
struct Slice<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Keeps what is read through it.
struct Tee<R> {
    source: R,
    copy: File,
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.copy.write_all(&buffer[..count])?;
        Ok(count)
    }
}
