use std::io;

use thiserror::Error;

/// Why a mount could not be made, moved or changed.
#[derive(Debug, Error)]
pub enum MountError {
    /// The kernel refused a step; `said` carries what it wrote into the context's log, and what its number means.
    #[error("cannot {action}{said}")]
    Refused { action: String, said: String, source: io::Error },
    /// An overlay of too little, which the kernel refuses with a number only.
    #[error("an overlay needs an upper directory or two lower ones, not {count} lower one")]
    TooFewLayers { count: usize },
    /// An overlay of more directories than the kernel stacks.
    #[error("cannot stack {count} layers: this kernel takes {limit} at most; squash some of them")]
    TooManyLayers { count: usize, limit: usize },
}

impl MountError {
    /// Returns an error for `action`, explaining the kernel's answer where its number alone misleads.
    pub(super) fn new(action: impl Into<String>, log: &[String], source: impl Into<io::Error>) -> MountError {
        let (action, source) = (action.into(), source.into());
        let mut said = String::new();
        for line in log {
            said.push_str(": ");
            said.push_str(line);
        }
        if let Some(hint) = hint(&action, &source) {
            said.push_str(" (");
            said.push_str(hint);
            said.push(')');
        }
        MountError::Refused { action, said, source }
    }

    /// Returns the kernel's error number, if a system call failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            MountError::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Returns the whole chain as one line, for a report that is no error, such as why a feature is not used.
    pub fn explain(&self) -> String {
        match self {
            MountError::Refused { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

fn hint(action: &str, source: &io::Error) -> Option<&'static str> {
    match source.raw_os_error()? {
        libc::ENODEV => Some("this kernel lacks the file system"),
        libc::ENOSYS => Some("this kernel, or a seccomp filter, lacks the mount interface of Linux 5.12"),
        libc::EPERM if action.contains("erofs") => Some("only the initial user namespace may mount it"),
        libc::EPERM => Some("mounting needs CAP_SYS_ADMIN in the mount namespace's user namespace"),
        libc::ENOTBLK if action.contains("erofs") => Some("mounting from a file needs Linux 6.12"),
        _ => None,
    }
}
