//! The folders of contexts.

use std::io::Write as _;
use std::path::Path;

use crate::cli::error::CliError;
use crate::cli::files::Replacement;
use crate::fs::Root;

/// The names in a folder; none where there is no folder.
pub fn names_in(folder: &Path) -> Result<Vec<String>, CliError> {
    let dir = match Root::open(folder) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        other => other?,
    };
    let entries = dir.entries(".")?;
    Ok(entries.into_iter().filter_map(|entry| String::from_utf8(entry.name).ok()).collect())
}

/// Removes what is below a folder under a name.
pub fn remove_below(folder: &Path, name: &str) -> Result<(), CliError> {
    match Root::open(folder) {
        Err(error) if error.is_not_found() => Ok(()),
        dir => Ok(dir?.remove_tree(name)?),
    }
}

/// Writes a file that is the user's alone, and the folders above it.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !crate::fs::is_directory(folder) {
        let full = std::path::absolute(folder)?;
        let below = full.strip_prefix("/").unwrap_or(&full);
        Root::open(Path::new("/"))?.create_dir_all(below, 0o700)?;
    }
    let target = Replacement::create(path)?;
    target.file().write_all(bytes)?;
    target.commit()
}
