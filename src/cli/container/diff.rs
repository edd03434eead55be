//! `diff`

use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::error::CliError;
use super::super::global::Global;
use super::super::output;
use super::{all, find};
use crate::containers::Container;
use crate::fs::{FileKind, Follow, Root, Stat};
use crate::store::Store;

/// Inspect changes to files or directories on a container's filesystem
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Container
    #[arg(required = true, value_name = "CONTAINER")]
    pub container: String,
}

/// Directories below each other that are followed.
const MAX_DEPTH: usize = 1000;

/// Runs `diff`: the writable layer against the image.
///
/// # Errors
/// There is no such container, or its files can't be read.
pub fn diff(args: &DiffArgs, global: &Global) -> Result<(), CliError> {
    let containers = all(global)?;
    let container = find(&containers, &args.container, global)?;
    let found = changes(&container, global.store()?)?;
    let line = |(path, kind): &(PathBuf, char)| format!("{kind} /{}\n", path.display());
    output::data(&found.iter().map(line).collect::<String>())
}

/// Returns what the writable layer changes of the image: paths below the root, and `A`, `C` or `D` for each.
///
/// # Errors
/// The files can't be read.
pub fn changes(container: &Container, store: &Store) -> Result<Vec<(PathBuf, char)>, CliError> {
    let image = store.mount(&container.config.layers)?;
    let mut found = Vec::new();
    compare(&container.dir().dir("upper")?, &image, Path::new(""), true, &mut found)?;
    found.sort();
    Ok(found)
}

/// Notes what a directory of the upper layer changes; `below` tells whether the image's directory shows through.
fn compare(
    upper: &Root,
    image: &Root,
    at: &Path,
    below: bool,
    found: &mut Vec<(PathBuf, char)>,
) -> Result<bool, CliError> {
    if at.components().count() > MAX_DEPTH {
        return Err(CliError::new(format!("{} lies too deep", at.display())));
    }
    let mut any = false;
    for (name, stat) in upper.list(if at.as_os_str().is_empty() { Path::new(".") } else { at })? {
        let path = at.join(std::ffi::OsString::from_vec(name));
        let before = if below { image.stat(&path, Follow::No).unwrap_or(None) } else { None };
        if stat.kind == FileKind::CharDevice && stat.rdev == (0, 0) {
            found.push((path, 'D'));
            any = true;
            continue;
        }
        let opaque = stat.is_dir() && is_opaque(upper, &path)?;
        let own = match before {
            None => Some('A'),
            Some(before) if stat.is_dir() && !opaque && same(&before, &stat) => None,
            Some(_) => Some('C'),
        };
        let place = found.len();
        let shows = below && !opaque && before.is_some_and(|before| before.is_dir());
        let inner = stat.is_dir() && compare(upper, image, &path, shows, found)?;
        if let Some(kind) = own.or(inner.then_some('C')) {
            found.insert(place, (path, kind));
            any = true;
        }
    }
    Ok(any)
}

/// Whether a directory of the upper layer was only copied up on the way to something else.
fn same(before: &Stat, now: &Stat) -> bool {
    before.is_dir()
        && (before.mode, before.uid, before.gid) == (now.mode, now.uid, now.gid)
        && before.mtime.as_nanos() / 1_000_000_000 == now.mtime.as_nanos() / 1_000_000_000
}

fn is_opaque(upper: &Root, path: &Path) -> Result<bool, CliError> {
    for name in [&b"trusted.overlay.opaque"[..], b"user.overlay.opaque"] {
        if let Ok(Some((_, value))) = upper.xattr(path, name)
            && value == b"y"
        {
            return Ok(true);
        }
    }
    Ok(false)
}
