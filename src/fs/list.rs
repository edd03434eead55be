//! Listing a directory with what each of its names is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{AtFlags, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::error::FsError;
use super::root::Root;
use super::stat::Stat;

/// Entries from which on their headers are read by several threads.
const PARALLEL: usize = 512;

/// Bytes of names that one system call may give.
const READ_AT_ONCE: usize = 32 << 10;

impl Root {
    /// Returns the names in a directory with their headers, sorted by bytes; links are not followed.
    ///
    /// A name that goes away meanwhile is left out.
    ///
    /// # Errors
    /// It is no directory, is reached through a link at its end, or can't be read.
    pub fn list(&self, path: impl AsRef<Path>) -> Result<Vec<(Vec<u8>, Stat)>, FsError> {
        let path = path.as_ref();
        let fail = |e: Errno| FsError::new("list", self.name().join(path), e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let fd = self.open_flags(path, flags, Mode::empty()).map_err(fail)?;
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut buffer = Vec::with_capacity(READ_AT_ONCE);
        let mut entries = RawDir::new(&fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        let stat = |name: Vec<u8>| {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            match rustix::fs::statx(&fd, OsStr::from_bytes(&name), flags, Stat::FIELDS) {
                Ok(x) => Some(Ok((name, Stat::of_statx(&x)))),
                Err(Errno::NOENT) => None,
                Err(e) => Some(Err(FsError::new(
                    "look up",
                    self.name().join(path).join(OsStr::from_bytes(&name)),
                    e,
                ))),
            }
        };
        let mut found: Vec<_> = if names.len() < PARALLEL {
            names.into_iter().filter_map(stat).collect::<Result<_, _>>()?
        } else {
            names.into_par_iter().with_min_len(64).filter_map(stat).collect::<Result<_, _>>()?
        };
        found.sort_unstable_by(|a: &(Vec<u8>, Stat), b| a.0.cmp(&b.0));
        Ok(found)
    }
}
