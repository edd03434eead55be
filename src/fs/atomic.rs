//! Writing a file so that its name means the old bytes or the new ones, never less.

use std::io::Write as _;

use super::error::FsError;
use super::root::Root;

/// Replaces `name` in `dir` by `bytes`; with `sync` the bytes are on the disk before the name moves.
///
/// # Errors
/// The file can't be written; then the old one is unchanged.
pub fn write_atomic(dir: &Root, name: &str, bytes: &[u8], sync: bool) -> Result<(), FsError> {
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| FsError::new("name a temporary file beside", dir.name().join(name), e))?;
    let temporary = format!(".{name}.{:016x}", u64::from_ne_bytes(random));
    let mut file = dir.create_file(&temporary, 0o644)?;
    let written = file.write_all(bytes).and_then(|()| if sync { file.sync_data() } else { Ok(()) });
    let result = written
        .map_err(|e| FsError::new("write", dir.name().join(name), e))
        .and_then(|()| dir.rename(&temporary, name));
    if result.is_err() {
        let _ = dir.remove_file(&temporary);
    }
    result
}
