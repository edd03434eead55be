//! Directories to tars: an overlay's upper directory as a layer, a merged tree as a whole.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use rayon::prelude::*;

use super::entry::{Entry, EntryKind, Metadata, Mtime};
use super::error::LayerError;
use super::hash::HashingWriter;
use super::sink::Written;
use super::tar::TarWriter;
use crate::fs::walk::{Visit, Walked, walk};
use crate::fs::{FileKind, FsError, Root, Stat};
use crate::image::DiffId;

/// How a directory is packed.
#[derive(Debug, Clone, Copy, Default)]
pub struct PackOptions {
    /// Latest time that a file may have, in seconds since 1970; later ones are lowered to it.
    pub clamp: Option<i64>,
}

/// Whether overlayfs's own marks stand for whiteouts and opaque directories, or are ordinary files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marks {
    Overlay,
    None,
}

/// Packs an overlay upper directory as the tar of a layer.
///
/// Sorted; whiteouts and opaque directories in the form of the image spec; times
/// to the second; of extended attributes only `security.capability`; hard links
/// inside the directory kept; sockets left out, as BuildKit does.
///
/// # Errors
/// The directory can't be read, changes meanwhile, or `out` fails.
pub fn pack_upper(
    upper: &Root,
    out: &mut (dyn Write + Send),
    options: &PackOptions,
) -> Result<Written, LayerError> {
    pack(upper, out, options, Marks::Overlay)
}

/// Packs a whole tree, for export.
///
/// # Errors
/// As [`pack_upper`].
pub fn pack_tree(
    root: &Root,
    out: &mut (dyn Write + Send),
    options: &PackOptions,
) -> Result<Written, LayerError> {
    pack(root, out, options, Marks::None)
}

/// Writes a whole tree below `prefix` into a tar that may hold more; all times become `time` if there is one.
///
/// # Errors
/// As [`pack_upper`].
pub fn append_tree<W: Write + Send>(
    tar: &mut TarWriter<W>,
    root: &Root,
    prefix: &[u8],
    time: Option<i64>,
) -> Result<(), LayerError> {
    let files =
        walk(root, b"", |file| if file.stat.kind == FileKind::Socket { Visit::Skip } else { Visit::Take })?;
    let mut entries = entries_of(root, &files, &PackOptions::default(), Marks::None)?;
    let paths: Vec<Vec<u8>> = entries.iter().map(|entry| entry.path.clone()).collect();
    for (entry, file) in entries.iter_mut().zip(&files) {
        // Nearest second, as Go's tar writer has it, on which docker's exporter stands.
        let nearest = file.stat.mtime.seconds + i64::from(file.stat.mtime.nanos >= 500_000_000);
        entry.meta.mtime = Mtime { seconds: time.unwrap_or(nearest), nanos: 0 };
        entry.path = [prefix, &entry.path].concat();
        if let EntryKind::HardLink { target } = &mut entry.kind {
            *target = [prefix, target].concat();
        }
    }
    let open = |n: usize| root.open_file_nofollow(path_of(&paths[n]));
    super::ahead::write_all(&entries, open, |entry, content| match content {
        super::ahead::Content::Bytes(bytes) => tar.append_bytes(entry, bytes).map(drop),
        super::ahead::Content::File(mut file) => tar.append(entry, &mut file).map(drop),
    })
}

fn pack(
    root: &Root,
    out: &mut (dyn Write + Send),
    options: &PackOptions,
    marks: Marks,
) -> Result<Written, LayerError> {
    let files =
        walk(root, b"", |file| if file.stat.kind == FileKind::Socket { Visit::Skip } else { Visit::Take })?;
    let mut entries = entries_of(root, &files, options, marks)?;
    if marks == Marks::Overlay {
        mark_opaque(root, &mut entries)?;
    }
    let mut tar = TarWriter::new(HashingWriter::new(out));
    let open = |n: usize| root.open_file_nofollow(path_of(&entries[n].path));
    super::ahead::write_all(&entries, open, |entry, content| match content {
        super::ahead::Content::Bytes(bytes) => tar.append_bytes(entry, bytes).map(drop),
        super::ahead::Content::File(mut file) => tar.append(entry, &mut file).map(drop),
    })?;
    let count = entries.len() as u64;
    let (digest, size) = tar.finish()?.finish()?;
    Ok(Written { diff_id: DiffId::of_tar(digest), size, entries: count })
}

fn path_of(path: &[u8]) -> &std::ffi::OsStr {
    std::ffi::OsStr::from_bytes(path)
}

fn entries_of(
    root: &Root,
    files: &[Walked],
    options: &PackOptions,
    marks: Marks,
) -> Result<Vec<Entry>, LayerError> {
    let mut names: HashMap<(u64, u64), &[u8]> = HashMap::new();
    let mut links: Vec<Option<&[u8]>> = Vec::with_capacity(files.len());
    for file in files {
        let linked = file.stat.nlink > 1 && !file.stat.is_dir() && !is_whiteout(&file.stat, marks);
        links.push(match linked.then(|| names.entry((file.stat.dev, file.stat.ino))) {
            Some(std::collections::hash_map::Entry::Occupied(first)) => Some(*first.get()),
            Some(std::collections::hash_map::Entry::Vacant(free)) => {
                free.insert(&file.path);
                None
            }
            None => None,
        });
    }
    files
        .par_iter()
        .zip(links)
        .with_min_len(64)
        .map(|(file, link)| entry_of(root, file, link, options, marks))
        .collect()
}

fn is_whiteout(stat: &Stat, marks: Marks) -> bool {
    marks == Marks::Overlay && stat.kind == FileKind::CharDevice && stat.rdev == (0, 0)
}

fn entry_of(
    root: &Root,
    file: &Walked,
    link: Option<&[u8]>,
    options: &PackOptions,
    marks: Marks,
) -> Result<Entry, LayerError> {
    let (stat, path) = (&file.stat, path_of(&file.path));
    if is_whiteout(stat, marks) {
        return Ok(Entry { path: file.path.clone(), kind: EntryKind::Whiteout, meta: Metadata::default() });
    }
    let mut xattrs = Vec::new();
    let kind = match (link, stat.kind) {
        (Some(target), _) => EntryKind::HardLink { target: target.to_vec() },
        (None, FileKind::File) => {
            if marks == Marks::Overlay && stat.size == 0 && has_whiteout_xattr(root, path)? {
                return Ok(Entry {
                    path: file.path.clone(),
                    kind: EntryKind::Whiteout,
                    meta: Metadata::default(),
                });
            }
            xattrs = root.xattr(path, b"security.capability")?.into_iter().collect();
            EntryKind::File { size: stat.size }
        }
        (None, FileKind::Directory) => EntryKind::Directory,
        (None, FileKind::Symlink) => EntryKind::Symlink { target: root.read_link(path)? },
        (None, FileKind::CharDevice) => EntryKind::CharDevice { major: stat.rdev.0, minor: stat.rdev.1 },
        (None, FileKind::BlockDevice) => EntryKind::BlockDevice { major: stat.rdev.0, minor: stat.rdev.1 },
        (None, FileKind::Fifo) => EntryKind::Fifo,
        (None, FileKind::Socket) => unreachable!("the walk leaves sockets out"),
    };
    let seconds = options.clamp.map_or(stat.mtime.seconds, |clamp| stat.mtime.seconds.min(clamp));
    let meta = Metadata {
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        mtime: Mtime { seconds, nanos: 0 },
        xattrs,
    };
    Ok(Entry { path: file.path.clone(), kind, meta })
}

/// Whiteouts of overlays that can't make devices (overlayfs documentation, "whiteouts and opaque directories").
fn has_whiteout_xattr(root: &Root, path: &std::ffi::OsStr) -> Result<bool, FsError> {
    for name in [&b"trusted.overlay.whiteout"[..], b"user.overlay.whiteout"] {
        if root.xattr(path, name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds an opaque entry behind every directory that overlayfs marked so.
fn mark_opaque(root: &Root, entries: &mut Vec<Entry>) -> Result<(), LayerError> {
    let opaque: Vec<bool> = entries
        .par_iter()
        .with_min_len(64)
        .map(|entry| {
            if entry.kind != EntryKind::Directory {
                return Ok(false);
            }
            for name in [&b"trusted.overlay.opaque"[..], b"user.overlay.opaque"] {
                if root.xattr(path_of(&entry.path), name)?.is_some_and(|(_, value)| value == b"y") {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .collect::<Result<_, FsError>>()?;
    if !opaque.contains(&true) {
        return Ok(());
    }
    let mut marked = Vec::with_capacity(entries.len() + 8);
    for (entry, opaque) in entries.drain(..).zip(opaque) {
        let mark = opaque.then(|| Entry {
            path: entry.path.clone(),
            kind: EntryKind::Opaque,
            meta: Metadata::default(),
        });
        marked.push(entry);
        marked.extend(mark);
    }
    *entries = marked;
    Ok(())
}
