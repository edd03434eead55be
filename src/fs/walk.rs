//! Walking a tree in parallel: names and stats, sorted, without following links.

use std::os::fd::AsFd;

use rayon::prelude::*;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use super::error::FsError;
use super::root::Root;
use super::stat::Stat;

/// A file that a walk came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Path below the root, without slashes at its ends.
    pub path: Vec<u8>,
    /// What it is.
    pub stat: Stat,
}

/// Returns everything below `top` in `root`, depth first, names sorted by their bytes; `top` itself is left out.
///
/// `wanted` decides on each name before anything below it is read: whether the
/// name is returned, and for a directory whether it is entered.
///
/// # Errors
/// A directory that is entered can't be read.
pub fn walk<F>(root: &Root, top: &[u8], wanted: F) -> Result<Vec<Walked>, FsError>
where
    F: Fn(&Walked) -> Visit + Sync,
{
    use std::os::unix::ffi::OsStrExt as _;
    let dir = root.dir(std::ffi::OsStr::from_bytes(top))?;
    let mut found = Vec::new();
    level(&dir, top, &wanted, &mut found).map_err(|(path, e)| {
        FsError::new("read directory", root.name().join(std::ffi::OsStr::from_bytes(&path)), e)
    })?;
    Ok(found)
}

/// What becomes of a name on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// It is returned, and entered if it is a directory.
    Take,
    /// It is entered if it is a directory, and not returned.
    Enter,
    /// It is neither returned nor entered.
    Skip,
}

type Failure = (Vec<u8>, Errno);

/// Directories with fewer children than this are walked on the same thread.
const PARALLEL: usize = 4;

fn level<F>(dir: impl AsFd + Sync, path: &[u8], wanted: &F, found: &mut Vec<Walked>) -> Result<(), Failure>
where
    F: Fn(&Walked) -> Visit + Sync,
{
    let children = children(&dir, path).map_err(|e| (path.to_vec(), e))?;
    let visits: Vec<Visit> = children.iter().map(wanted).collect();
    let enter = |child: &Walked, visit: Visit| child.stat.is_dir() && visit != Visit::Skip;
    let directories = children.iter().zip(&visits).filter(|(child, visit)| enter(child, **visit)).count();
    let below = |child: &Walked| -> Result<Vec<Walked>, Failure> {
        let name = child.path.rsplit(|c| *c == b'/').next().unwrap_or_default();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&dir, name, flags, Mode::empty()).map_err(|e| (child.path.clone(), e))?;
        let mut found = Vec::new();
        level(fd, &child.path, wanted, &mut found)?;
        Ok(found)
    };
    if directories < PARALLEL {
        for (child, visit) in children.into_iter().zip(visits) {
            let more = if enter(&child, visit) { below(&child)? } else { Vec::new() };
            if visit == Visit::Take {
                found.push(child);
            }
            found.extend(more);
        }
        return Ok(());
    }
    let inner: Vec<Vec<Walked>> = children
        .par_iter()
        .zip(&visits)
        .map(|(child, visit)| if enter(child, *visit) { below(child) } else { Ok(Vec::new()) })
        .collect::<Result<_, _>>()?;
    for ((child, visit), more) in children.into_iter().zip(visits).zip(inner) {
        if visit == Visit::Take {
            found.push(child);
        }
        found.extend(more);
    }
    Ok(())
}

/// Names and stats of a directory, sorted.
fn children(dir: impl AsFd, path: &[u8]) -> Result<Vec<Walked>, Errno> {
    let mut children = Vec::new();
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = match rustix::fs::statx(&dir, entry.file_name(), flags, StatxFlags::BASIC_STATS) {
            Ok(stat) => Stat::of_statx(&stat),
            // It went away since the directory was read.
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(e),
        };
        let path = if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() };
        children.push(Walked { path, stat });
    }
    children.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(children)
}
