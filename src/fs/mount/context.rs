use std::borrow::Cow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use super::MountError;

/// A mount being configured: `fsopen` to `fsmount`.
pub(super) struct Context {
    fd: OwnedFd,
    kind: Cow<'static, str>,
}

impl Context {
    /// Opens a context for the file system `kind`.
    pub(super) fn open(kind: impl Into<Cow<'static, str>>) -> Result<Context, MountError> {
        let kind = kind.into();
        match fsopen(&*kind, FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(fd) => Ok(Context { fd, kind }),
            Err(errno) => Err(MountError::new(format!("mount {kind}"), &[], errno)),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Result<(), MountError> {
        fsconfig_set_flag(&self.fd, key).map_err(|errno| self.refused(key, errno))
    }

    pub(super) fn string(&self, key: &str, value: &str) -> Result<(), MountError> {
        fsconfig_set_string(&self.fd, key, value)
            .map_err(|errno| self.refused(&format!("{key}={value}"), errno))
    }

    /// Sets an option that newer kernels know and whose absence on older ones changes nothing that matters.
    pub(super) fn string_if_known(&self, key: &str, value: &str) {
        if fsconfig_set_string(&self.fd, key, value).is_err() {
            self.log();
        }
    }

    pub(super) fn descriptor(&self, key: &str, value: BorrowedFd<'_>) -> Result<(), MountError> {
        fsconfig_set_fd(&self.fd, key, value).map_err(|errno| self.refused(key, errno))
    }

    /// Passes a descriptor as a path, for options that take no descriptor.
    pub(super) fn proc_path(&self, key: &str, value: BorrowedFd<'_>) -> Result<(), MountError> {
        self.string(key, &proc_path(value))
    }

    /// Makes the super block and a mount of it that is attached nowhere.
    pub(super) fn mount(self, attributes: MountAttrFlags) -> Result<OwnedFd, MountError> {
        fsconfig_create(&self.fd).map_err(|errno| self.refused("", errno))?;
        fsmount(&self.fd, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map_err(|errno| self.refused("fsmount", errno))
    }

    fn refused(&self, step: &str, errno: Errno) -> MountError {
        let action = match step {
            "" => format!("mount {}", self.kind),
            step => format!("mount {} with {step}", self.kind),
        };
        MountError::new(action, &self.log(), errno)
    }

    /// Drains the kernel's log of this context, one message a read, each led by a letter for its level.
    fn log(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0_u8; 512];
        while let Ok(length @ 1..) = rustix::io::read(&self.fd, &mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..length]);
            let line = line.trim_end();
            lines.push(line.get(2..).unwrap_or(line).to_owned());
        }
        lines
    }
}

/// Returns the path under which the kernel finds a descriptor of this process.
pub(super) fn proc_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
