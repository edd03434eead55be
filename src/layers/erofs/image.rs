use super::format::{BLOCK, BLOCK_BITS, DIRENT, Data, Inode, SLOT, Super, file_type, put, put_chunk_index};
use super::layout::{Layout, Packer, is_opaque, lay_out, with_dots};
use super::tree::{Body, Node, NodeId};
use super::{IndexError, xattr};

/// Returns the whole image of a tree over a tar of `tar_size` bytes.
pub(super) fn build(nodes: &[Node], tar_size: u64) -> Result<Vec<u8>, IndexError> {
    let layout = lay_out(nodes)?;
    check_data(nodes, &layout, tar_size)?;
    let mut writer = Writer { nodes, layout: &layout, image: vec![0; layout.size], block: Vec::new() };
    for (id, inode) in layout.order.iter().zip(&layout.inodes) {
        writer.write(*id, inode);
    }
    let mut image = writer.image;
    Super {
        root: layout.places[super::tree::ROOT as usize],
        inodes: layout.order.len() as u64,
        blocks: (layout.size >> BLOCK_BITS) as u32,
        device_blocks: tar_size.div_ceil(BLOCK as u64).min(u64::from(u32::MAX)) as u32,
        time: layout.time,
    }
    .encode(&mut image);
    Ok(image)
}

/// Refuses data beyond the tar; the kernel reads whole blocks, and fails where the last one is not whole.
fn check_data(nodes: &[Node], layout: &Layout, tar_size: u64) -> Result<(), IndexError> {
    for &id in &layout.order {
        let Body::File { offset, size } = nodes[id as usize].body else { continue };
        let end = offset + size.next_multiple_of(BLOCK as u64);
        if end > tar_size {
            return Err(IndexError::Truncated { path: path_of(nodes, layout, id), end, size: tar_size });
        }
    }
    Ok(())
}

/// Returns a name of a node, for a message.
fn path_of(nodes: &[Node], layout: &Layout, mut id: NodeId) -> String {
    let mut parts = Vec::new();
    while id != super::tree::ROOT {
        let parent = layout.parents[id as usize];
        if let Body::Directory { children, .. } = &nodes[parent as usize].body {
            let name = children.iter().find(|(_, child)| **child == id).map(|(name, _)| name);
            parts.extend(name.map(|name| String::from_utf8_lossy(name).into_owned()));
        }
        id = parent;
    }
    parts.reverse();
    parts.join("/")
}

struct Writer<'a> {
    nodes: &'a [Node],
    layout: &'a Layout,
    image: Vec<u8>,
    /// The directory block being filled: (entry, name) pairs.
    block: Vec<(&'a [u8], NodeId)>,
}

impl<'a> Writer<'a> {
    fn write(&mut self, id: NodeId, inode: &Inode) {
        let node = &self.nodes[id as usize];
        let at = self.layout.places[id as usize] as usize;
        inode.encode(&mut self.image[at..]);
        if inode.xattrs > 0 {
            let mut place = at + inode.head() - inode.xattrs + xattr::HEADER;
            put(&mut self.image, place, &node.xattrs);
            place += node.xattrs.len();
            if is_opaque(node) {
                put(&mut self.image, place, &xattr::opaque());
            }
        }
        let tail = at + inode.head();
        match (&node.body, inode.data) {
            (Body::File { offset, size }, Data::Chunks { shift }) => self.chunks(tail, *offset, *size, shift),
            (Body::Directory { .. }, _) => self.directory(id, inode, tail),
            (Body::Symlink { target }, Data::Inline { .. }) if target.len() < BLOCK => {
                put(&mut self.image, tail, target);
            }
            (Body::Symlink { target }, data) => self.long_symlink(target, data, tail),
            _ => {}
        }
    }

    fn chunks(&mut self, tail: usize, offset: u64, size: u64, shift: u32) {
        let mut at = tail.next_multiple_of(super::format::CHUNK_INDEX);
        let first = offset >> BLOCK_BITS;
        for block in (first..first + size.div_ceil(BLOCK as u64)).step_by(1 << shift) {
            put_chunk_index(&mut self.image, at, block as u32);
            at += super::format::CHUNK_INDEX;
        }
    }

    fn long_symlink(&mut self, target: &[u8], data: Data, tail: usize) {
        match data {
            Data::Plain { block } => put(&mut self.image, block as usize * BLOCK, target),
            Data::Inline { block } => {
                let (blocks, rest) = target.split_at(target.len() / BLOCK * BLOCK);
                put(&mut self.image, block as usize * BLOCK, blocks);
                put(&mut self.image, tail, rest);
            }
            Data::Chunks { .. } | Data::Device { .. } => unreachable!("a symlink's data are its own"),
        }
    }

    fn directory(&mut self, id: NodeId, inode: &Inode, tail: usize) {
        let Body::Directory { children, .. } = &self.nodes[id as usize].body else {
            unreachable!("the caller looked")
        };
        let (Data::Plain { block } | Data::Inline { block }) = inode.data else {
            unreachable!("a directory's data are its own")
        };
        let mut at = block as usize * BLOCK;
        let mut packer = Packer::default();
        let entries = with_dots(children.iter().map(|(name, child)| (&**name, *child)), id);
        for (name, child) in entries {
            if packer.push(name.len()) {
                self.flush(at);
                at += BLOCK;
            }
            // A directory is entered once only, so its parent is the one that it was met in.
            let child = if name == b".." { self.layout.parents[id as usize] } else { child };
            self.block.push((name, child));
        }
        self.flush(if matches!(inode.data, Data::Inline { .. }) { tail } else { at });
    }

    fn flush(&mut self, at: usize) {
        let mut name_at = self.block.len() * DIRENT;
        for (number, (name, child)) in self.block.drain(..).enumerate() {
            let entry = at + number * DIRENT;
            let nid = u64::from(self.layout.places[child as usize]) / SLOT as u64;
            put(&mut self.image, entry, &nid.to_le_bytes());
            put(&mut self.image, entry + 8, &(name_at as u16).to_le_bytes());
            put(&mut self.image, entry + 10, &[file_type(&self.nodes[child as usize]).1]);
            put(&mut self.image, at + name_at, name);
            name_at += name.len();
        }
    }
}
