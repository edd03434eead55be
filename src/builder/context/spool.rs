//! Temporary files without a name: gone when closed, also by death.

use std::fs::File;

use super::error::ContextError;
use crate::fs::Root;

/// Makes a file in `dir` and takes its name away at once.
pub(super) fn unnamed(dir: &Root) -> Result<File, ContextError> {
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| ContextError::Spool(errno.into()))?;
    let name = format!("spool.{:016x}", u64::from_ne_bytes(random));
    let fail = |source: crate::fs::FsError| ContextError::Spool(std::io::Error::other(source));
    let file = dir.create_file(&name, 0o600).map_err(fail)?;
    dir.remove_file(&name).map_err(fail)?;
    Ok(file)
}
