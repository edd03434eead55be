//! Walking a tree in parallel: names and stats, sorted, without following links.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;

use rayon::prelude::*;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use super::error::FsError;
use super::root::Root;
use super::stat::{FileKind, Stat};

/// A file that a walk came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Path below the root, without slashes at its ends.
    pub path: Vec<u8>,
    /// What it is.
    pub stat: Stat,
}

/// A name that a listing came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Path below the root, without slashes at its ends.
    pub path: Vec<u8>,
    /// Its type when the directory was read.
    pub kind: FileKind,
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
    collect(root, top, wanted)
}

/// As [`walk`], without looking at the files: where directories tell types, nothing else is asked.
///
/// # Errors
/// As [`walk`].
pub fn names<F>(root: &Root, top: &[u8], wanted: F) -> Result<Vec<Named>, FsError>
where
    F: Fn(&Named) -> Visit + Sync,
{
    collect(root, top, wanted)
}

type Failure = (Vec<u8>, Errno);

/// What a walk makes of a name.
trait Item: Send + Sync + Sized {
    /// Looks at a name in a directory; none if it went away since that was read.
    fn look(dir: BorrowedFd<'_>, path: Vec<u8>, name: &CStr, kind: FileType) -> Result<Option<Self>, Errno>;
    fn path(&self) -> &[u8];
    fn is_dir(&self) -> bool;
}

impl Item for Walked {
    fn look(dir: BorrowedFd<'_>, path: Vec<u8>, name: &CStr, _: FileType) -> Result<Option<Self>, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        match rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS) {
            Ok(stat) => Ok(Some(Self { path, stat: Stat::of_statx(&stat) })),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn path(&self) -> &[u8] {
        &self.path
    }

    fn is_dir(&self) -> bool {
        self.stat.is_dir()
    }
}

impl Item for Named {
    fn look(dir: BorrowedFd<'_>, path: Vec<u8>, name: &CStr, kind: FileType) -> Result<Option<Self>, Errno> {
        match FileKind::of_type(kind) {
            Some(kind) => Ok(Some(Self { path, kind })),
            // Not every file system tells (readdir(3)).
            None => {
                let walked = Walked::look(dir, path, name, kind)?;
                Ok(walked.map(|Walked { path, stat }| Self { path, kind: stat.kind }))
            }
        }
    }

    fn path(&self) -> &[u8] {
        &self.path
    }

    fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }
}

fn collect<T: Item>(root: &Root, top: &[u8], wanted: impl Fn(&T) -> Visit + Sync) -> Result<Vec<T>, FsError> {
    let dir = root.dir(OsStr::from_bytes(top))?;
    let mut found = Vec::new();
    level(dir.as_fd(), top, &wanted, &mut found)
        .map_err(|(path, e)| FsError::new("read directory", root.name().join(OsStr::from_bytes(&path)), e))?;
    Ok(found)
}

/// Directories with fewer children than this are walked on the same thread.
const PARALLEL: usize = 4;
/// Directories with more names than this are looked at by several threads.
const MANY: usize = 512;

fn level<T: Item, F>(dir: BorrowedFd<'_>, path: &[u8], wanted: &F, found: &mut Vec<T>) -> Result<(), Failure>
where
    F: Fn(&T) -> Visit + Sync,
{
    let children: Vec<T> = children(dir, path).map_err(|e| (path.to_vec(), e))?;
    let visits: Vec<Visit> = children.iter().map(wanted).collect();
    let enter = |child: &T, visit: Visit| child.is_dir() && visit != Visit::Skip;
    let directories = children.iter().zip(&visits).filter(|(child, visit)| enter(child, **visit)).count();
    let below = |child: &T| -> Result<Vec<T>, Failure> {
        let name = child.path().rsplit(|c| *c == b'/').next().unwrap_or_default();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(|e| (child.path().to_vec(), e))?;
        let mut found = Vec::new();
        level(fd.as_fd(), child.path(), wanted, &mut found)?;
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
    let inner: Vec<Vec<T>> = children
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

/// What a directory holds, sorted.
fn children<T: Item>(dir: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<T>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let look = |(name, kind): (CString, FileType)| {
        let whole =
            if path.is_empty() { name.to_bytes().to_vec() } else { [path, b"/", name.to_bytes()].concat() };
        T::look(dir, whole, &name, kind).transpose()
    };
    if names.len() < MANY {
        return names.into_iter().filter_map(look).collect();
    }
    names.into_par_iter().with_min_len(MANY / 4).filter_map(look).collect()
}
