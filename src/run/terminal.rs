//! Terminals: a devpts of the container's own, and the two ends of one terminal in it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use super::assemble::Standard;
use super::error::RunError;
use super::root::duplicate;
use crate::fs::Root;

/// The group of terminals on most systems, as in docker's mount options.
pub(super) const TTY_GROUP: u32 = 5;

/// Mounts a devpts that is attached nowhere; `group` owns its terminals.
pub(super) fn devpts(group: Option<u32>) -> Result<OwnedFd, RunError> {
    let make = || {
        let context = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", "devpts")?;
        fsconfig_set_flag(&context, "newinstance")?;
        fsconfig_set_string(&context, "ptmxmode", "0666")?;
        fsconfig_set_string(&context, "mode", "0620")?;
        if let Some(group) = group {
            fsconfig_set_string(&context, "gid", group.to_string())?;
        }
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().map_err(|e: rustix::io::Errno| RunError::setup("mount devpts", e))
}

/// A terminal: the end for us, and the end for the process.
pub(super) struct Terminal {
    pub ours: OwnedFd,
    pub theirs: OwnedFd,
}

impl Terminal {
    /// Makes the first terminal of a devpts, which the container sees as `/dev/pts/0`.
    pub fn new(devpts: &OwnedFd, rows: u16, columns: u16) -> Result<Self, RunError> {
        let failed = |e: rustix::io::Errno| RunError::setup("make a terminal", e);
        let ours: OwnedFd = Root::from_fd(duplicate(devpts)?).open_rw("ptmx", false)?.into();
        rustix::pty::unlockpt(&ours).map_err(failed)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, flags).map_err(failed)?;
        resize(&ours, rows, columns)?;
        Ok(Self { ours, theirs })
    }

    /// Returns the standard descriptors of a process on it, our end, and the process's.
    pub fn standard(self) -> Result<Standard, RunError> {
        let theirs = || duplicate(&self.theirs);
        Ok(([theirs()?, theirs()?, theirs()?], Some(self.ours), Some(self.theirs)))
    }
}

/// Sets the size that programs on a terminal see; 0 by 0 is unknown.
///
/// # Errors
/// It is no terminal.
pub fn resize(terminal: impl AsFd, rows: u16, columns: u16) -> Result<(), RunError> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).map_err(|e| RunError::setup("resize the terminal", e))
}
