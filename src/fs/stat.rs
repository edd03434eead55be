//! What a name is: type, permissions, owner, times.

use rustix::fs::{FileType, Statx, StatxFlags};

/// Type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileKind {
    /// Returns the type that the format bits of a mode stand for (inode(7)).
    pub fn of_mode(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            _ => Self::File,
        }
    }

    /// Returns the type that a directory gives a name; none where the file system does not tell.
    pub(super) fn of_type(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::CharacterDevice => Self::CharDevice,
            FileType::BlockDevice => Self::BlockDevice,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::Unknown => return None,
        })
    }
}

/// A time in seconds and nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds on top.
    pub nanos: u32,
}

impl Time {
    /// Returns the time in nanoseconds since 1970, which reaches from 1677 to 2262.
    pub fn as_nanos(&self) -> i64 {
        self.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(self.nanos))
    }
}

/// What `statx` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Type.
    pub kind: FileKind,
    /// Permission bits, 07777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of content.
    pub mtime: Time,
    /// Time of the last change of anything.
    pub ctime: Time,
    /// Inode number.
    pub ino: u64,
    /// Number of the file system's device.
    pub dev: u64,
    /// Number of names.
    pub nlink: u32,
    /// Major and minor number of a device file.
    pub rdev: (u32, u32),
    /// Space taken, in units of 512 bytes.
    pub blocks: u64,
}

impl Stat {
    /// The fields of `statx` that a [`Stat`] is made of.
    pub const FIELDS: StatxFlags = StatxFlags::BASIC_STATS;

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == FileKind::File
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind == FileKind::Symlink
    }

    pub(super) fn of_statx(x: &Statx) -> Self {
        let time = |t: &rustix::fs::StatxTimestamp| Time { seconds: t.tv_sec, nanos: t.tv_nsec };
        Self {
            kind: FileKind::of_mode(u32::from(x.stx_mode)),
            mode: u32::from(x.stx_mode) & 0o7777,
            uid: x.stx_uid,
            gid: x.stx_gid,
            size: x.stx_size,
            mtime: time(&x.stx_mtime),
            ctime: time(&x.stx_ctime),
            ino: x.stx_ino,
            dev: rustix::fs::makedev(x.stx_dev_major, x.stx_dev_minor),
            nlink: x.stx_nlink,
            rdev: (x.stx_rdev_major, x.stx_rdev_minor),
            blocks: x.stx_blocks,
        }
    }
}
