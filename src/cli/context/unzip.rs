//! Small zip files in memory.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::bundle::too_much;
use crate::cli::error::CliError;

/// The bits of a mode that tell a file's type, and those of a plain one.
const TYPE: u32 = 0o170_000;
const PLAIN: u32 = 0o100_000;

/// Returns the plain files of a zip under their names; `limit` is for all contents together.
///
/// # Errors
/// It is damaged, goes over the limit, or is compressed or encrypted in a way that is not known here.
pub fn files(zip: &[u8], limit: u64) -> Result<Vec<(Vec<u8>, Vec<u8>)>, CliError> {
    let mut zip = ZipArchive::new(Cursor::new(zip)).map_err(|error| refused(&error))?;
    let (mut files, mut left) = (Vec::new(), limit);
    for at in 0..zip.len() {
        let mut file = zip.by_index(at).map_err(|error| refused(&error))?;
        if !is_plain(&file) {
            continue;
        }
        let name = file.name_raw().to_vec();
        let mut content = Vec::new();
        // What is said of the size is not believed: nothing over the limit is inflated.
        let read = (&mut file).take(left + 1).read_to_end(&mut content);
        read.map_err(|error| CliError::new(format!("zip: {}: {error}", String::from_utf8_lossy(&name))))?;
        left = left.checked_sub(content.len() as u64).ok_or_else(too_much)?;
        files.push((name, content));
    }
    Ok(files)
}

fn is_plain<R: std::io::Read>(file: &ZipFile<'_, R>) -> bool {
    !file.is_dir() && file.unix_mode().is_none_or(|mode| [0, PLAIN].contains(&(mode & TYPE)))
}

/// In the words of docker's client, as far as it has some.
fn refused(error: &ZipError) -> CliError {
    match error {
        ZipError::UnsupportedArchive(why) => CliError::new(format!("zip: {why}")),
        _ => CliError::new("zip: not a valid zip file"),
    }
}
