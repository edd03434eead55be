//! The records of the format, encoded.

use super::tree::{Body, Node};

pub(super) const BLOCK_BITS: u32 = 9;
pub(super) const BLOCK: usize = 1 << BLOCK_BITS;
/// The granularity of inodes' places.
pub(super) const SLOT: usize = 32;
pub(super) const SUPER: usize = 1024;
pub(super) const DEVICE_SLOT: usize = 128;
/// Where the first inode may be: after the superblock and one device slot.
pub(super) const INODES: usize = SUPER + 128 + DEVICE_SLOT;
pub(super) const DIRENT: usize = 12;
pub(super) const CHUNK_INDEX: usize = 8;
/// The most that a chunk's size is shifted beyond a block's.
pub(super) const MAX_CHUNK_SHIFT: u32 = 31;

const COMPAT_SB_CHECKSUM: u32 = 1;
const COMPAT_MTIME: u32 = 2;
const INCOMPAT_CHUNKED_FILE: u32 = 4;
const INCOMPAT_DEVICE_TABLE: u32 = 8;
const CHUNK_WITH_INDEXES: u16 = 0x20;

/// How an inode's data are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Data {
    /// In blocks of the image, from this one on.
    Plain { block: u32 },
    /// The last, partial block follows the inode, any before it are in the image from this one on.
    Inline { block: u32 },
    /// In the tar, in chunks of 2^shift blocks.
    Chunks { shift: u32 },
    /// None, but a device's number.
    Device { number: u32 },
}

/// An inode's fixed part.
pub(super) struct Inode {
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) size: u64,
    pub(super) time: (i64, u32),
    /// Whether that is the image's own time, or of no interest.
    pub(super) has_common_time: bool,
    /// The bytes of extended attributes that follow, with their header.
    pub(super) xattrs: usize,
    pub(super) data: Data,
    pub(super) number: u32,
}

impl Inode {
    /// Says whether the small form holds it.
    pub(super) fn is_small(&self) -> bool {
        self.has_common_time
            && self.uid <= 0xffff
            && self.gid <= 0xffff
            && self.links <= 0xffff
            && self.size <= u64::from(u32::MAX)
    }

    pub(super) fn encode(&self, out: &mut [u8]) {
        let (layout, data) = match self.data {
            Data::Plain { block } => (0, block),
            Data::Inline { block } => (2, block),
            Data::Chunks { shift } => (4, u32::from(CHUNK_WITH_INDEXES) | shift),
            Data::Device { number } => (0, number),
        };
        let small = self.is_small();
        let xattr_units = match self.xattrs {
            0 => 0,
            bytes => (bytes - super::xattr::HEADER) / 4 + 1,
        };
        put(out, 0, &(layout << 1 | u16::from(!small)).to_le_bytes());
        put(out, 2, &(xattr_units as u16).to_le_bytes());
        put(out, 4, &self.mode.to_le_bytes());
        put(out, 16, &data.to_le_bytes());
        put(out, 20, &self.number.to_le_bytes());
        if small {
            put(out, 6, &(self.links as u16).to_le_bytes());
            put(out, 8, &(self.size as u32).to_le_bytes());
            put(out, 24, &(self.uid as u16).to_le_bytes());
            put(out, 26, &(self.gid as u16).to_le_bytes());
        } else {
            let (seconds, nanos) = self.time;
            put(out, 8, &self.size.to_le_bytes());
            put(out, 24, &self.uid.to_le_bytes());
            put(out, 28, &self.gid.to_le_bytes());
            put(out, 32, &seconds.to_le_bytes());
            put(out, 40, &nanos.to_le_bytes());
            put(out, 44, &self.links.to_le_bytes());
        }
    }
}

/// Returns a node's file type as `st_mode` has it, and as a directory entry has it.
pub(super) fn file_type(node: &Node) -> (u16, u8) {
    match node.body {
        Body::File { .. } => (0o100000, 1),
        Body::Directory { .. } => (0o040000, 2),
        Body::CharDevice { .. } | Body::Whiteout => (0o020000, 3),
        Body::BlockDevice { .. } => (0o060000, 4),
        Body::Fifo => (0o010000, 5),
        Body::Symlink { .. } => (0o120000, 7),
    }
}

/// Writes one index of a chunk whose first block in the tar, which is device 1, is `block`.
pub(super) fn put_chunk_index(out: &mut [u8], at: usize, block: u32) {
    put(out, at, &[0, 0, 1, 0]);
    put(out, at + 4, &block.to_le_bytes());
}

/// What the superblock tells of the image.
pub(super) struct Super {
    /// Where the root directory's inode is.
    pub(super) root: u32,
    pub(super) inodes: u64,
    pub(super) blocks: u32,
    pub(super) device_blocks: u32,
    pub(super) time: (i64, u32),
}

impl Super {
    /// Writes superblock and device slot into an otherwise finished image, whose hash becomes the volume's UUID.
    pub(super) fn encode(&self, image: &mut [u8]) {
        let head = &mut image[SUPER..];
        put(head, 0, &0xE0F5_E1E2_u32.to_le_bytes());
        put(head, 8, &(COMPAT_SB_CHECKSUM | COMPAT_MTIME).to_le_bytes());
        put(head, 12, &[BLOCK_BITS as u8]);
        put(head, 14, &((self.root / SLOT as u32) as u16).to_le_bytes());
        put(head, 16, &self.inodes.to_le_bytes());
        put(head, 24, &self.time.0.to_le_bytes());
        put(head, 32, &self.time.1.to_le_bytes());
        put(head, 36, &self.blocks.to_le_bytes());
        put(head, 80, &(INCOMPAT_CHUNKED_FILE | INCOMPAT_DEVICE_TABLE).to_le_bytes());
        put(head, 86, &1_u16.to_le_bytes());
        put(head, 88, &(((SUPER + 128) / DEVICE_SLOT) as u16).to_le_bytes());
        put(head, 128, b"layer.tar");
        put(head, 128 + 64, &self.device_blocks.to_le_bytes());
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&blake3::hash(image).as_bytes()[..16]);
        uuid[6] = uuid[6] & 0x0f | 0x80;
        uuid[8] = uuid[8] & 0x3f | 0x80;
        let head = &mut image[SUPER..SUPER + BLOCK];
        put(head, 48, &uuid);
        let checksum = crc32c(head);
        put(head, 4, &checksum.to_le_bytes());
    }
}

/// Returns CRC-32C as the superblock wants it: from all ones, not inverted at the end.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 & (crc & 1).wrapping_neg()))
    })
}

pub(super) fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}
