//! Root file systems into a directory.
//!
//! Everything is written into a hidden directory beside its place first, and
//! then renamed into it, so that a failure leaves the place as it was.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::files::{FileTimes, RootTree, check_apart};
use crate::builder::error::{BuildError, ErrorKind};
use crate::fs::walk::{Visit, Walked, walk};
use crate::fs::{FileKind, Follow, FsError, Root, Stat, Time};

/// Name of the hidden directory, before a number.
const STAGING: &str = ".skiff-output-";

/// How a directory is written.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectoryOptions {
    /// Times of the files.
    pub times: FileTimes,
    /// Whether what is there and not in the result goes.
    pub delete: bool,
}

/// Writes root file systems below `dest`, which exists; files that are there are replaced, others stay.
///
/// Files belong to the caller, as BuildKit's client leaves them; modes, times,
/// links and extended attributes stay.
///
/// # Errors
/// A file can't be read or written, or two platforms write the same path; nothing is left of it then.
pub fn write_directory(trees: &[RootTree], dest: &Root, options: DirectoryOptions) -> Result<(), BuildError> {
    check_apart(trees)?;
    let staging = Staging::new(dest)?;
    for tree in trees {
        let to = match tree.prefix.as_str() {
            "" => staging.root.clone(),
            prefix => {
                staging.root.create_dir(prefix, 0o755)?;
                staging.root.set_mode(prefix, 0o755)?;
                staging.root.dir(prefix)?
            }
        };
        if let Some(root) = &tree.root {
            copy_tree(root, &to, options.times)?;
        }
        for (name, bytes) in &tree.extra {
            let mut file = to.create_file(name, 0o600)?;
            file.write_all(bytes)
                .map_err(|source| ErrorKind::Io { action: "cannot write an attestation", source })?;
            drop(file);
            stamp(&to, name, options.times)?;
        }
        if !tree.prefix.is_empty() {
            stamp(&staging.root, &tree.prefix, options.times)?;
        }
    }
    merge(&staging.root, dest, Path::new(""), options.delete, &staging.name)?;
    Ok(())
}

/// Gives a file that no layer has the time that all files get.
fn stamp(root: &Root, name: &str, times: FileTimes) -> Result<(), FsError> {
    match times {
        Some(seconds) => root.set_times(name, Time { seconds, nanos: 0 }),
        None => Ok(()),
    }
}

/// The hidden directory; gone when dropped.
struct Staging<'a> {
    dest: &'a Root,
    name: String,
    root: Root,
}

impl<'a> Staging<'a> {
    fn new(dest: &'a Root) -> Result<Self, FsError> {
        let mut number = std::process::id();
        loop {
            let name = format!("{STAGING}{number}");
            match dest.create_dir(&name, 0o700) {
                Ok(()) => {
                    let root = dest.dir(&name)?;
                    return Ok(Self { dest, name, root });
                }
                Err(error) if error.is_exists() => number = number.wrapping_add(1),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        // What a failure leaves hidden is harmless; the failure itself is told.
        let _ = self.dest.remove_tree(&self.name);
    }
}

fn path_of(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// Copies a tree; directories get their modes and times when everything is in them.
fn copy_tree(from: &Root, to: &Root, times: FileTimes) -> Result<(), BuildError> {
    let files =
        walk(from, b"", |file| if file.stat.kind == FileKind::Socket { Visit::Skip } else { Visit::Take })?;
    let mut names: HashMap<(u64, u64), &[u8]> = HashMap::new();
    for file in &files {
        let path = path_of(&file.path);
        if !file.stat.is_dir() && file.stat.nlink > 1 {
            if let Some(first) = names.get(&(file.stat.dev, file.stat.ino)) {
                to.hard_link(path_of(first), path)?;
                continue;
            }
            names.insert((file.stat.dev, file.stat.ino), &file.path);
        }
        copy_file(from, to, file)?;
        if !file.stat.is_dir() {
            finish(from, to, path, &file.stat, times)?;
        }
    }
    for file in files.iter().rev().filter(|file| file.stat.is_dir()) {
        finish(from, to, path_of(&file.path), &file.stat, times)?;
    }
    Ok(())
}

fn copy_file(from: &Root, to: &Root, file: &Walked) -> Result<(), BuildError> {
    let path = path_of(&file.path);
    match file.stat.kind {
        FileKind::Directory => to.create_dir(path, 0o700)?,
        FileKind::Symlink => to.symlink(OsStr::from_bytes(&from.read_link(path)?), path)?,
        FileKind::File => {
            let mut source = from.open_file_nofollow(path)?;
            let mut target = to.create_file(path, 0o600)?;
            // Both are files, by which the standard library lets the kernel copy.
            std::io::copy(&mut source, &mut target)
                .map_err(|e| FsError::new("write", to.name().join(path), e))?;
        }
        kind => to.mknod(path, kind, 0o600, file.stat.rdev)?,
    }
    Ok(())
}

fn finish(from: &Root, to: &Root, path: &Path, stat: &Stat, times: FileTimes) -> Result<(), FsError> {
    if stat.kind != FileKind::Symlink {
        // What the place can't keep is left out, as BuildKit's client leaves it out.
        for (name, value) in from.xattrs(path).unwrap_or_default() {
            if !name.starts_with(b"trusted.overlay.") && !name.starts_with(b"user.overlay.") {
                let _ = to.set_xattr(path, &name, &value);
            }
        }
        to.set_mode(path, stat.mode)?;
    }
    let time = times.map_or(stat.mtime, |seconds| Time { seconds, nanos: 0 });
    to.set_times(path, time)
}

/// Moves what is in `from` to its place, directory by directory.
fn merge(from: &Root, to: &Root, at: &Path, delete: bool, staging: &str) -> Result<(), FsError> {
    let names = from.list(at)?;
    if delete {
        for (name, _) in to.list(at)? {
            let known = names.iter().any(|(kept, _)| *kept == name);
            let ours = at.as_os_str().is_empty() && name == staging.as_bytes();
            if !known && !ours {
                remove(to, &at.join(path_of(&name)))?;
            }
        }
    }
    for (name, stat) in names {
        let path: PathBuf = at.join(path_of(&name));
        let there = to.stat(&path, Follow::No)?;
        if stat.is_dir() && there.as_ref().is_some_and(Stat::is_dir) {
            merge(from, to, &path, delete, staging)?;
            for (name, value) in from.xattrs(&path).unwrap_or_default() {
                let _ = to.set_xattr(&path, &name, &value);
            }
            to.set_mode(&path, stat.mode)?;
            to.set_times(&path, stat.mtime)?;
            continue;
        }
        if there.is_some_and(|there| there.is_dir() || stat.is_dir()) {
            remove(to, &path)?;
        }
        from.rename_to(&path, to, &path)?;
    }
    Ok(())
}

fn remove(root: &Root, path: &Path) -> Result<(), FsError> {
    match root.stat(path, Follow::No)? {
        Some(stat) if stat.is_dir() => root.remove_tree(path),
        Some(_) => root.remove_file(path),
        None => Ok(()),
    }
}
