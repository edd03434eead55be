//! Files that the user names on the command line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::CliError;
use crate::fs::Root;

/// A file that replaces the one of its name only when it is whole.
#[derive(Debug)]
pub struct Replacement {
    dir: Root,
    name: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    /// A pipe or device is written directly: there is nothing to replace.
    direct: bool,
}

impl Replacement {
    /// Begins a file beside `path`.
    ///
    /// # Errors
    /// The folder is not there or can't be written.
    pub fn create(path: &Path) -> Result<Self, CliError> {
        Self::with_mode(path, 0o600)
    }

    /// Begins a file beside `path` that others may read as far as the umask lets them.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn shared(path: &Path) -> Result<Self, CliError> {
        Self::with_mode(path, 0o666)
    }

    fn with_mode(path: &Path, mode: u32) -> Result<Self, CliError> {
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name =
            path.file_name().ok_or_else(|| CliError::new(format!("{} names no file", path.display())))?;
        let name = PathBuf::from(name);
        let dir = Root::open(parent)?;
        if crate::fs::is_special(path) {
            let file = crate::fs::open_for_writing(path)?;
            return Ok(Self { dir, temporary: name.clone(), name, file: Some(file), direct: true });
        }
        let temporary = PathBuf::from(format!(".{}.{}.tmp", name.display(), std::process::id()));
        dir.remove_tree(&temporary)?;
        let file = dir.create_file(&temporary, mode)?;
        Ok(Self { dir, name, temporary, file: Some(file), direct: false })
    }

    /// Returns the file to write to.
    pub fn file(&self) -> &File {
        self.file.as_ref().expect("the file is there until it is committed")
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// The name can't be replaced.
    pub fn commit(mut self) -> Result<(), CliError> {
        self.file = None;
        if !self.direct {
            self.dir.rename(&self.temporary, &self.name)?;
        }
        Ok(())
    }

    /// Gives the file its name unless that is taken; says whether it did.
    ///
    /// # Errors
    /// The name can't be given.
    pub fn commit_new(mut self) -> Result<bool, CliError> {
        let given = self.dir.rename_new(&self.temporary, &self.dir, &self.name);
        match given {
            Err(error) if error.is_exists() => Ok(false),
            Err(error) => Err(error.into()),
            Ok(()) => {
                self.file = None;
                Ok(true)
            }
        }
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.file.take().is_some() && !self.direct {
            let _ = self.dir.remove_file(&self.temporary);
        }
    }
}

/// Opens a file that the user named, or standard input for none.
///
/// # Errors
/// The file can't be opened.
pub fn open_input(path: Option<&Path>) -> Result<Box<dyn Read + Send>, CliError> {
    match path {
        Some(path) => match crate::fs::open_for_reading(path) {
            Err(error) if error.is_not_found() => {
                Err(CliError::new(format!("open {}: no such file or directory", path.display())))
            }
            other => Ok(Box::new(other?)),
        },
        None => Ok(Box::new(std::io::stdin())),
    }
}

/// Writes a small file that the user named, whole or not at all.
///
/// # Errors
/// It can't be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    use std::io::Write as _;
    let target = Replacement::create(path)?;
    target.file().write_all(bytes)?;
    target.commit()
}

/// Removes a file that the user named; one that is not there is no error.
///
/// # Errors
/// It can't be removed.
pub fn remove(path: &Path) -> Result<(), CliError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = path.file_name() else { return Ok(()) };
    match Root::open(parent)?.remove_file(name) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}
