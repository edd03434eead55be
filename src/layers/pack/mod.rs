//! Directories to tars: an overlay's upper directory as a layer, a merged tree as a whole.
//!
//! Names are listed and sorted first, without a look at the files. Several
//! threads then open, look at and read them in pieces of the list ([`read`]),
//! and one writes what they bring, in order.

mod read;

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt as _;

use self::read::{Packed, Reader};
use super::ahead::in_order;
use super::entry::{Entry, EntryKind, Metadata, Mtime};
use super::error::LayerError;
use super::hash::HashingWriter;
use super::sink::Written;
use super::tar::TarWriter;
use crate::fs::walk::{Visit, names};
use crate::fs::{FileKind, Root, Stat};
use crate::image::DiffId;

/// Files that one thread takes at once.
const PIECE: usize = 256;

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

/// What becomes of the times of files.
#[derive(Debug, Clone, Copy)]
enum Times {
    /// The whole second before, and none later than this.
    Clamped(Option<i64>),
    /// The nearest second, as Go's tar writer has it, on which docker's exporter stands.
    Nearest,
    /// This one for all.
    All(i64),
}

impl Times {
    fn of(self, stat: &Stat) -> Mtime {
        let seconds = match self {
            Self::Clamped(latest) => {
                latest.map_or(stat.mtime.seconds, |latest| stat.mtime.seconds.min(latest))
            }
            Self::Nearest => stat.mtime.seconds + i64::from(stat.mtime.nanos >= 500_000_000),
            Self::All(time) => time,
        };
        Mtime { seconds, nanos: 0 }
    }
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
    let times = time.map_or(Times::Nearest, Times::All);
    write_tree(tar, root, prefix, Marks::None, times).map(drop)
}

fn pack(
    root: &Root,
    out: &mut (dyn Write + Send),
    options: &PackOptions,
    marks: Marks,
) -> Result<Written, LayerError> {
    let mut tar = TarWriter::new(HashingWriter::new(out));
    let entries = write_tree(&mut tar, root, b"", marks, Times::Clamped(options.clamp))?;
    let (digest, size) = tar.finish()?.finish()?;
    Ok(Written { diff_id: DiffId::of_tar(digest), size, entries })
}

/// Writes all files below a root, each name after `prefix`, and returns how many entries they became.
fn write_tree<W: Write + Send>(
    tar: &mut TarWriter<W>,
    root: &Root,
    prefix: &[u8],
    marks: Marks,
    times: Times,
) -> Result<u64, LayerError> {
    let taken = |socket| if socket { Visit::Skip } else { Visit::Take };
    let files = names(root, b"", |file| taken(file.kind == FileKind::Socket))?;
    let pieces: Vec<_> = files.chunks(PIECE).collect();
    let mut output = Output { tar, root, prefix, names: HashMap::new(), entries: 0 };
    in_order(
        &pieces,
        |piece| Reader::new(root, marks, times).read(piece),
        |packed| packed?.into_iter().try_for_each(|packed| output.write(packed)),
    )?;
    Ok(output.entries)
}

/// Writes what the readers bring.
struct Output<'a, W: Write> {
    tar: &'a mut TarWriter<W>,
    root: &'a Root,
    prefix: &'a [u8],
    /// First names of files with several, as in the tar, by device and inode.
    names: HashMap<(u64, u64), Vec<u8>>,
    entries: u64,
}

impl<W: Write> Output<'_, W> {
    fn write(&mut self, packed: Packed) -> Result<(), LayerError> {
        let Packed { mut entry, mut content, stat, opaque } = packed;
        let source = std::mem::take(&mut entry.path);
        entry.path = [self.prefix, &source].concat();
        let single = matches!(entry.kind, EntryKind::Directory | EntryKind::Whiteout);
        if stat.nlink > 1 && !single {
            match self.names.entry((stat.dev, stat.ino)) {
                Slot::Occupied(first) => {
                    entry.kind = EntryKind::HardLink { target: first.get().clone() };
                    content = None;
                }
                Slot::Vacant(free) => {
                    free.insert(entry.path.clone());
                }
            }
        }
        match (content, entry.size()) {
            (Some(bytes), _) => self.tar.append_bytes(&entry, &bytes)?,
            (None, 0) => self.tar.append_bytes(&entry, b"")?,
            (None, _) => {
                self.tar.append(&entry, &mut self.root.open_file_nofollow(OsStr::from_bytes(&source))?)?
            }
        };
        self.entries += 1;
        if opaque {
            let mark = Entry { path: entry.path, kind: EntryKind::Opaque, meta: Metadata::default() };
            self.tar.append_bytes(&mark, b"")?;
            self.entries += 1;
        }
        Ok(())
    }
}
