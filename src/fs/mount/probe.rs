use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{MemfdFlags, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::context::proc_path;
use super::erofs;
use super::overlay::{OverlayOptions, Passing, overlay, overlay_by};

/// What this kernel, this user and this file system can do, with the reason where they cannot.
#[derive(Clone, Debug)]
pub struct Support {
    /// A file-backed EROFS mount, and an overlay on top of it.
    pub erofs: Result<(), String>,
    /// An overlay whose directories are on the file system that was probed.
    pub overlay: Result<(), String>,
    /// Whether overlay directories are passed by descriptor rather than by path.
    pub overlay_by_fd: bool,
    /// Whether overlays must keep their marks in `user.overlay.*`, `trusted.overlay.*` being out of reach.
    pub userxattr: bool,
}

/// Tries what works, with upper and work directories below `dir`; nothing stays there.
///
/// It takes about a millisecond, so a caller keeps the answer.
pub fn probe(dir: impl AsFd) -> Support {
    match Scratch::new(dir.as_fd()) {
        Ok(scratch) => scratch.probe(),
        Err(errno) => {
            let reason = format!("cannot make a directory to try it in: {errno}");
            Support {
                erofs: Err(reason.clone()),
                overlay: Err(reason),
                overlay_by_fd: false,
                userxattr: false,
            }
        }
    }
}

/// A directory with `lower`, `upper` and `work` that is removed when dropped.
struct Scratch<'a> {
    parent: BorrowedFd<'a>,
    name: String,
    lower: OwnedFd,
    upper: OwnedFd,
    work: OwnedFd,
}

impl Scratch<'_> {
    fn new(parent: BorrowedFd<'_>) -> Result<Scratch<'_>, Errno> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let process = rustix::process::getpid().as_raw_nonzero();
        // A killed process of the same number may have left such a directory.
        let (name, root) = loop {
            let name = format!(".probe-{process}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            match make_dir(parent, &name) {
                Err(Errno::EXIST) => {}
                made => break (name, made?),
            }
        };
        let (lower, upper, work) =
            (make_dir(&root, "lower")?, make_dir(&root, "upper")?, make_dir(&root, "work")?);
        Ok(Scratch { parent, name, lower, upper, work })
    }

    fn probe(&self) -> Support {
        let mut userxattr = false;
        let overlay = self.marks().and_then(|user| {
            userxattr = user;
            self.try_overlay(self.lower.as_fd(), user)
        });
        let erofs = overlay.clone().and_then(|()| self.try_erofs(userxattr));
        let overlay_by_fd = overlay.is_ok() && self.by_descriptor(userxattr);
        Support { erofs, overlay, overlay_by_fd, userxattr }
    }

    /// Says whether overlay's marks can only be kept as `user.*`.
    fn marks(&self) -> Result<bool, String> {
        let set = |name| rustix::fs::fsetxattr(&self.upper, name, b"y", XattrFlags::empty());
        if set("trusted.overlay.opaque").is_ok() {
            return Ok(false);
        }
        set("user.overlay.opaque")
            .map(|()| true)
            .map_err(|errno| format!("the file system keeps no extended attributes: {errno}"))
    }

    fn try_overlay(&self, lower: BorrowedFd<'_>, userxattr: bool) -> Result<(), String> {
        let lowers = [lower];
        let upper = Some((self.upper.as_fd(), self.work.as_fd()));
        // Volatile, because tearing down any other overlay with an upper directory syncs the file system.
        let options = OverlayOptions { lowers: &lowers, upper, volatile: true, userxattr };
        let result = overlay(&options).map(drop).map_err(|error| error.explain());
        // A volatile overlay marks its work directory so that none other is made of it.
        let _ = std::fs::remove_dir_all(format!("{}/work", proc_path(&self.work)));
        result
    }

    fn try_erofs(&self, userxattr: bool) -> Result<(), String> {
        let image =
            self.empty_image().map_err(|errno| format!("cannot write a file to try it with: {errno}"))?;
        let mount = erofs(image.as_fd(), &[]).map_err(|error| error.explain())?;
        self.try_overlay(mount.as_fd(), userxattr)
            .map_err(|why| format!("an overlay cannot stand on it: {why}"))
    }

    fn by_descriptor(&self, userxattr: bool) -> bool {
        let lowers = [self.lower.as_fd(), self.upper.as_fd()];
        let options = OverlayOptions { lowers: &lowers, userxattr, ..OverlayOptions::default() };
        overlay_by(&options, Passing::Descriptor).is_ok()
    }

    /// Returns a nameless file on the file system that is probed, holding the smallest EROFS image.
    fn empty_image(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.lower, ".", flags, Mode::RUSR)
            .or_else(|_| rustix::fs::memfd_create("probe", MemfdFlags::CLOEXEC))?;
        let image = empty_erofs();
        match rustix::io::write(&file, &image)? {
            written if written == image.len() => Ok(file),
            _ => Err(Errno::NOSPC),
        }
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(format!("{}/{}", proc_path(self.parent), self.name));
    }
}

fn make_dir(parent: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::mkdirat(&parent, name, Mode::RWXU)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&parent, name, flags, Mode::empty())
}

/// Returns an EROFS image with blocks of 512 bytes that holds an empty root directory.
fn empty_erofs() -> Vec<u8> {
    const BLOCK_BITS: u8 = 9;
    const ROOT: usize = 1152;
    let mut image = vec![0; 1536];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(1024, &0xE0F5_E1E2_u32.to_le_bytes()); // magic
    put(1024 + 12, &[BLOCK_BITS]);
    put(1024 + 14, &((ROOT / 32) as u16).to_le_bytes()); // root_nid
    put(1024 + 16, &1_u64.to_le_bytes()); // inos
    put(1024 + 36, &3_u32.to_le_bytes()); // blocks
    put(ROOT, &(2_u16 << 1).to_le_bytes()); // compact, flat inline
    put(ROOT + 4, &0o40755_u16.to_le_bytes()); // mode
    put(ROOT + 6, &2_u16.to_le_bytes()); // nlink
    put(ROOT + 8, &27_u32.to_le_bytes()); // size
    for (number, name_at) in [(0, 24_u16), (1, 25)] {
        let entry = ROOT + 32 + number * 12;
        put(entry, &((ROOT / 32) as u64).to_le_bytes());
        put(entry + 8, &name_at.to_le_bytes());
        put(entry + 10, &[2]); // a directory
    }
    put(ROOT + 32 + 24, b"...");
    image
}
