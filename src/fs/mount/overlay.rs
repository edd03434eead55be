use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::mount::MountAttrFlags;
use rustix::thread::{UnshareFlags, unshare_unsafe};

use super::context::Context;
use super::kernel::{LOWER_BY_LOWER, OVERLAY_BY_DESCRIPTOR, STACKS_ON_DETACHED, running_kernel};
use super::{Attributes, MountError, clone_tree, set_attributes, tmpfs};

/// The most lower directories that overlayfs stacks (`OVL_MAX_STACK`).
pub const MAX_LAYERS: usize = 500;

/// The longest value that `fsconfig` takes for a string.
const MAX_STRING: usize = 255;

/// What an overlay is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct OverlayOptions<'a> {
    /// Lower directories, topmost first. With no upper at least two.
    pub lowers: &'a [BorrowedFd<'a>],
    /// The upper and the work directory, both on one writable file system.
    pub upper: Option<(BorrowedFd<'a>, BorrowedFd<'a>)>,
    /// Whether to leave out every sync; the upper directory is worthless after a crash.
    pub volatile: bool,
    /// Whether marks live in `user.overlay.*`, as inside a user namespace, rather than in `trusted.overlay.*`.
    pub userxattr: bool,
}

/// How directories are named to the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Passing {
    /// `lowerdir+` by descriptor, since Linux 6.13.
    Descriptor,
    /// `lowerdir+` by path, since Linux 6.7.
    Path,
    /// All in one `lowerdir=`, of which `fsconfig` takes 255 bytes.
    Joined,
}

const STYLES: [Passing; 3] = [Passing::Descriptor, Passing::Path, Passing::Joined];

/// The number of the first of `STYLES` that may work on this kernel, once it is known.
static FIRST_STYLE: OnceLock<AtomicU8> = OnceLock::new();

fn first_style() -> &'static AtomicU8 {
    FIRST_STYLE.get_or_init(|| {
        AtomicU8::new(match running_kernel() {
            kernel if kernel >= OVERLAY_BY_DESCRIPTOR => 0,
            kernel if kernel >= LOWER_BY_LOWER => 1,
            _ => 2,
        })
    })
}

/// Mounts an overlay that is attached nowhere and vanishes with its descriptor.
///
/// Redirects, metadata-only copies and inode indexes are off, so that an upper directory is a plain change set, and a
/// lower one that came from outside cannot point anywhere. Inode numbers are those of the layers (`xino=off`), since the
/// extended ones break 32-bit programs; so files of layers on several file systems have several device numbers,
/// which `tar --one-file-system` heeds. With neither upper nor a second lower directory
/// the kernel refuses; [`read_only_view`] copes with any number.
///
/// # Errors
///
/// [`MountError::TooManyLayers`] beyond 500 layers (about 60 on kernels before 6.7),
/// [`MountError::TooFewLayers`] as above, else what the kernel said.
pub fn overlay(options: &OverlayOptions<'_>) -> Result<OwnedFd, MountError> {
    let count = options.lowers.len();
    if count > MAX_LAYERS {
        return Err(MountError::TooManyLayers { count, limit: MAX_LAYERS });
    }
    if count + usize::from(options.upper.is_some()) < 2 {
        return Err(MountError::TooFewLayers { count });
    }
    let first = usize::from(first_style().load(Ordering::Relaxed));
    let mut refusal = None;
    for (number, style) in STYLES.iter().enumerate().skip(first) {
        match overlay_by(options, *style) {
            Ok(mount) => {
                if number > first {
                    first_style().fetch_max(number as u8, Ordering::Relaxed);
                }
                return Ok(mount);
            }
            Err(error @ MountError::TooManyLayers { .. }) => return Err(error),
            // The first answer is about what was asked for; those to the older ways only add noise.
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    Err(refusal.expect("a way was tried and it failed"))
}

pub(super) fn overlay_by(options: &OverlayOptions<'_>, style: Passing) -> Result<OwnedFd, MountError> {
    if style != Passing::Joined {
        return mount(options, style);
    }
    // Names relative to the directory of descriptors are the shortest; a thread of its own may stand there.
    std::thread::scope(|scope| {
        let work = || {
            // SAFETY: this thread gives up sharing its working directory, root and umask; no descriptor is concerned.
            unsafe { unshare_unsafe(UnshareFlags::FS) }
                .and_then(|()| rustix::process::chdir("/proc/self/fd"))
                .map_err(|errno| MountError::new("mount overlay from a thread of its own", &[], errno))?;
            mount(options, style)
        };
        scope.spawn(work).join().expect("mounting does not panic")
    })
}

fn mount(options: &OverlayOptions<'_>, style: Passing) -> Result<OwnedFd, MountError> {
    let context = Context::open("overlay")?;
    context.string("source", "skiff")?;
    if options.userxattr {
        context.flag("userxattr")?;
    }
    for (key, value) in [("redirect_dir", "nofollow"), ("metacopy", "off"), ("index", "off"), ("xino", "off")]
    {
        context.string(key, value)?;
    }
    if style != Passing::Joined {
        // Else a new upper directory is given an attribute with a random UUID. Since Linux 6.6; where the options are
        // one text it would be refused only with all of them.
        context.string_if_known("uuid", "null");
    }
    lowers(&context, options.lowers, style)?;
    if let Some((upper, work)) = options.upper {
        directory(&context, "upperdir", upper, style)?;
        directory(&context, "workdir", work, style)?;
        if options.volatile {
            context.flag("volatile")?;
        }
    }
    let attributes = match options.upper {
        Some(_) => MountAttrFlags::empty(),
        None => MountAttrFlags::MOUNT_ATTR_RDONLY,
    };
    context.mount(attributes)
}

fn lowers(context: &Context, lowers: &[BorrowedFd<'_>], style: Passing) -> Result<(), MountError> {
    if style != Passing::Joined {
        return lowers.iter().try_for_each(|lower| directory(context, "lowerdir+", *lower, style));
    }
    let joined = lowers.iter().map(|fd| fd.as_raw_fd().to_string()).collect::<Vec<_>>().join(":");
    if joined.len() > MAX_STRING {
        let limit = joined[..=MAX_STRING].matches(':').count();
        return Err(MountError::TooManyLayers { count: lowers.len(), limit });
    }
    context.string("lowerdir", &joined)
}

fn directory(context: &Context, key: &str, fd: BorrowedFd<'_>, style: Passing) -> Result<(), MountError> {
    match style {
        Passing::Descriptor => context.descriptor(key, fd),
        Passing::Path => context.proc_path(key, fd),
        Passing::Joined => context.string(key, &fd.as_raw_fd().to_string()),
    }
}

/// Mounts a read-only view of any number of layers, topmost first.
///
/// No layer gives an empty tree. A single one is stacked on an empty tree, so that its whiteouts and marks are read
/// as such; where the kernel cannot stack on a detached mount (before 6.15), it is shown as it is.
///
/// # Errors
///
/// As [`overlay`].
pub fn read_only_view(lowers: &[BorrowedFd<'_>], userxattr: bool) -> Result<OwnedFd, MountError> {
    match lowers {
        [] => read_only(tmpfs(None, 0o755)?),
        [only] if running_kernel() < STACKS_ON_DETACHED => read_only(clone_tree(*only, false)?),
        [only] => {
            let empty = tmpfs(None, 0o755)?;
            let padded = [*only, empty.as_fd()];
            let options = OverlayOptions { lowers: &padded, userxattr, ..OverlayOptions::default() };
            overlay(&options).or_else(|_| read_only(clone_tree(*only, false)?))
        }
        lowers => overlay(&OverlayOptions { lowers, userxattr, ..OverlayOptions::default() }),
    }
}

fn read_only(mount: OwnedFd) -> Result<OwnedFd, MountError> {
    set_attributes(&mount, Attributes { read_only: true, ..Attributes::default() }, false)?;
    Ok(mount)
}
