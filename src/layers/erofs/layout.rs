use std::collections::HashMap;

use super::format::{BLOCK, BLOCK_BITS, CHUNK_INDEX, Data, INODES, Inode, MAX_CHUNK_SHIFT, SLOT, file_type};
use super::tree::{Body, Node, NodeId, ROOT};
use super::{IndexError, xattr};

/// Where everything goes.
pub(super) struct Layout {
    /// The nodes that are reachable, each once, in the order of their places.
    pub(super) order: Vec<NodeId>,
    /// For each node in `nodes`, where its inode starts in the image; 0 for those that are gone.
    pub(super) places: Vec<u32>,
    /// For each node in `order`, its inode.
    pub(super) inodes: Vec<Inode>,
    /// For each node in `nodes`, the directory that it was first met in.
    pub(super) parents: Vec<NodeId>,
    /// The image's time.
    pub(super) time: (i64, u32),
    /// The image's size in bytes.
    pub(super) size: usize,
}

/// Decides on every inode's form and place.
pub(super) fn lay_out(nodes: &[Node]) -> Result<Layout, IndexError> {
    let Walk { order, links, parents } = walk(nodes);
    let time = commonest_time(nodes, &order);
    let mut inodes: Vec<Inode> = order
        .iter()
        .enumerate()
        .map(|(number, id)| inode(&nodes[*id as usize], links[*id as usize], number as u32 + 1, time))
        .collect();
    let too_many = || IndexError::TooMany { count: order.len() };
    let mut places = vec![0; nodes.len()];
    let mut at = INODES;
    for (id, inode) in order.iter().zip(&inodes) {
        let (start, end) = place(at, inode);
        places[*id as usize] = u32::try_from(start).map_err(|_| too_many())?;
        at = end.next_multiple_of(SLOT);
    }
    let mut block = at.div_ceil(BLOCK);
    for inode in &mut inodes {
        let blocks = inode.own_blocks();
        match &mut inode.data {
            Data::Plain { block: first } | Data::Inline { block: first } if blocks > 0 => {
                *first = u32::try_from(block).map_err(|_| too_many())?;
                block += blocks;
            }
            _ => {}
        }
    }
    Ok(Layout { order, places, inodes, parents, time, size: block * BLOCK })
}

struct Walk {
    order: Vec<NodeId>,
    links: Vec<u32>,
    parents: Vec<NodeId>,
}

/// Visits what is reachable, breadth first, so that a directory's entries lie together, and counts links.
fn walk(nodes: &[Node]) -> Walk {
    let mut order = Vec::with_capacity(nodes.len());
    let mut links = vec![0; nodes.len()];
    let mut parents = vec![ROOT; nodes.len()];
    order.push(ROOT);
    links[ROOT as usize] = 2;
    let mut next = 0;
    while let Some(&directory) = order.get(next) {
        next += 1;
        let Body::Directory { children, .. } = &nodes[directory as usize].body else { continue };
        for &child in children.values() {
            let count = &mut links[child as usize];
            *count += 1;
            if *count == 1 {
                order.push(child);
                parents[child as usize] = directory;
            }
            if matches!(nodes[child as usize].body, Body::Directory { .. }) {
                *count += 1;
                links[directory as usize] += 1;
            }
        }
    }
    Walk { order, links, parents }
}

/// Returns the time that most inodes have, the earliest of several.
fn commonest_time(nodes: &[Node], order: &[NodeId]) -> (i64, u32) {
    let mut counts: HashMap<(i64, u32), usize> = HashMap::new();
    for id in order {
        let node = &nodes[*id as usize];
        if !matches!(node.body, Body::Whiteout) {
            *counts.entry((node.mtime.seconds, node.mtime.nanos)).or_default() += 1;
        }
    }
    let best = counts.into_iter().max_by_key(|(time, count)| (*count, std::cmp::Reverse(*time)));
    best.map(|(time, _)| time).unwrap_or_default()
}

fn inode(node: &Node, links: u32, number: u32, time: (i64, u32)) -> Inode {
    let own_time = (node.mtime.seconds, node.mtime.nanos);
    let (kind, _) = file_type(node);
    let mut inode = Inode {
        mode: kind | node.mode,
        uid: node.uid,
        gid: node.gid,
        links,
        size: 0,
        time: own_time,
        has_common_time: own_time == time,
        xattrs: xattr_bytes(node),
        data: Data::Plain { block: 0 },
        number,
    };
    match &node.body {
        Body::File { size: 0, .. } | Body::Fifo => {}
        Body::File { size, .. } => {
            inode.size = *size;
            inode.data = Data::Chunks { shift: chunk_shift(*size) };
        }
        Body::Directory { children, .. } => inode.set_own_data(directory_size(children.keys())),
        Body::Symlink { target } => inode.set_own_data(target.len() as u64),
        Body::CharDevice { number } | Body::BlockDevice { number } => {
            inode.data = Data::Device { number: *number }
        }
        // Nothing of a whiteout is ever seen, so it takes the least room.
        Body::Whiteout => (inode.mode, inode.uid, inode.gid, inode.has_common_time) = (kind, 0, 0, true),
    }
    inode
}

impl Inode {
    /// Sets data that live in the image: inline if, with the inode, they fit one block and spare another.
    fn set_own_data(&mut self, size: u64) {
        self.size = size;
        let tail = (size % BLOCK as u64) as usize;
        if tail > 0 && self.head() + tail <= BLOCK {
            self.data = Data::Inline { block: 0 };
        }
    }

    /// Returns the bytes of the inode and its extended attributes.
    pub(super) fn head(&self) -> usize {
        (if self.is_small() { 32 } else { 64 }) + self.xattrs
    }

    /// Returns what follows the head.
    fn tail(&self) -> usize {
        match self.data {
            Data::Inline { .. } => (self.size % BLOCK as u64) as usize,
            Data::Chunks { shift } => {
                let chunks = self.size.div_ceil(1 << (shift + BLOCK_BITS)) as usize;
                self.head().next_multiple_of(CHUNK_INDEX) - self.head() + chunks * CHUNK_INDEX
            }
            Data::Plain { .. } | Data::Device { .. } => 0,
        }
    }

    /// Returns how many blocks of the image hold data of this inode alone.
    fn own_blocks(&self) -> usize {
        match self.data {
            Data::Plain { .. } => self.size.div_ceil(BLOCK as u64) as usize,
            Data::Inline { .. } => (self.size / BLOCK as u64) as usize,
            Data::Chunks { .. } | Data::Device { .. } => 0,
        }
    }
}

/// Returns where an inode starts, not before `at`, and where it ends with what follows it.
fn place(at: usize, inode: &Inode) -> (usize, usize) {
    let fixed = if inode.is_small() { 32 } else { 64 };
    let (whole, undivided) = match inode.data {
        Data::Inline { .. } => (inode.head() + inode.tail(), inode.head() + inode.tail()),
        _ => (inode.head() + inode.tail(), fixed),
    };
    let start = if at % BLOCK + undivided > BLOCK { at.next_multiple_of(BLOCK) } else { at };
    (start, start + whole)
}

/// Returns the bytes of a node's extended attributes with their header, or 0.
fn xattr_bytes(node: &Node) -> usize {
    let mark = if is_opaque(node) { xattr::opaque().len() } else { 0 };
    match node.xattrs.len() + mark {
        0 => 0,
        bytes => xattr::HEADER + bytes,
    }
}

pub(super) fn is_opaque(node: &Node) -> bool {
    matches!(node.body, Body::Directory { opaque: true, .. })
}

/// Returns the least shift that makes a file one chunk.
fn chunk_shift(size: u64) -> u32 {
    size.div_ceil(BLOCK as u64).next_power_of_two().trailing_zeros().min(MAX_CHUNK_SHIFT)
}

/// Returns the size of a directory with these names.
fn directory_size<'a>(names: impl Iterator<Item = &'a Box<[u8]>>) -> u64 {
    let mut packer = Packer::default();
    // The places of `.` and `..` among the names matter, since they decide where blocks end.
    with_dots(names.map(|name| (&**name, ())), ()).for_each(|(name, ())| {
        packer.push(name.len());
    });
    packer.size()
}

/// Adds `.` and `..` to sorted entries, keeping them sorted.
pub(super) fn with_dots<'a, T: Copy>(
    entries: impl Iterator<Item = (&'a [u8], T)>,
    dot: T,
) -> impl Iterator<Item = (&'a [u8], T)> {
    let mut dots = [&b"."[..], &b".."[..]].into_iter().map(move |name| (name, dot)).peekable();
    let mut entries = entries.peekable();
    std::iter::from_fn(move || match (dots.peek(), entries.peek()) {
        (Some((dot, _)), Some((name, _))) if dot < name => dots.next(),
        (Some(_), None) => dots.next(),
        _ => entries.next(),
    })
}

/// Fills directory blocks in turn.
#[derive(Default)]
pub(super) struct Packer {
    full_blocks: u64,
    used: usize,
}

impl Packer {
    /// Takes a name; says whether it starts another block.
    pub(super) fn push(&mut self, name: usize) -> bool {
        let need = super::format::DIRENT + name;
        let starts = self.used + need > BLOCK;
        if starts {
            self.full_blocks += 1;
            self.used = 0;
        }
        self.used += need;
        starts
    }

    fn size(&self) -> u64 {
        self.full_blocks * BLOCK as u64 + self.used as u64
    }
}
