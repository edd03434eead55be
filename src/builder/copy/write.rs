//! A plan into a layer: entries parents first, files read ahead by several threads of our own.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use super::archive;
use super::error::CopyError;
use super::plan::Planner;
use super::request::CopyRequest;
use super::select::Selection;
use super::view::{Key, Origin, Planned, PlannedKind};
use crate::builder::context::{FileKind, Tree};
use crate::fs::Root;
use crate::layers::{Entry, EntryKind, LayerSink, Metadata, in_order};
use crate::paths::show;

/// Files up to this size are read as a whole, ahead of the writer.
const WHOLE: u64 = 1 << 20;
/// Bytes of files read ahead in one go.
const BATCH_BYTES: u64 = 1 << 20;
/// Entries in one go.
const BATCH_ENTRIES: usize = 64;
/// Where entries go: a layer in the making.
pub trait EntrySink {
    /// Takes the next entry with its bytes; parents come before what is in them.
    fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<(), CopyError>;

    /// Takes the next entry, whose bytes are at hand.
    fn append_bytes(&mut self, entry: &Entry, mut data: &[u8]) -> Result<(), CopyError> {
        self.append(entry, &mut data)
    }
}

impl EntrySink for LayerSink {
    fn append(&mut self, entry: &Entry, data: &mut dyn Read) -> Result<(), CopyError> {
        Ok(LayerSink::append(self, entry, data)?)
    }

    fn append_bytes(&mut self, entry: &Entry, data: &[u8]) -> Result<(), CopyError> {
        Ok(LayerSink::append_bytes(self, entry, data)?)
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Entries, parents of what was copied included.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
}

/// Copies a selection into a layer.
///
/// `parent` is the merged tree that the layer will lie on; none for an empty one. With
/// [`CopyRequest::is_linked`] it is not looked at. `spool` is a directory for temporary files
/// (archives that `ADD` unpacks); nothing stays in it.
///
/// # Errors
/// The destination does not fit, a source changed meanwhile or can't be read, or the sink fails.
pub fn write(
    request: &CopyRequest,
    selection: &Selection,
    parent: Option<&dyn Tree>,
    spool: &Root,
    sink: &mut dyn EntrySink,
) -> Result<Written, CopyError> {
    let mut planner = Planner::new(request, selection, parent)?;
    for selected in &selection.sources {
        let unpack = request.sources.get(selected.source).is_some_and(|source| source.unpack);
        match if unpack { archive::open(selected, spool)? } else { None } {
            Some(tree) => planner.add_archive(tree)?,
            None => planner.add(selected)?,
        }
    }
    let (entries, whiteouts) = planner.view.finish()?;
    emit(entries, whiteouts, sink)
}

/// An entry whose bytes are at hand, or where they are if they are many.
struct Ready {
    entry: Entry,
    data: Data,
}

enum Data {
    Bytes(Vec<u8>),
    Stream(Origin),
}

/// Writes everything in order; one thread reads ahead while this one feeds the sink.
fn emit(
    entries: BTreeMap<Key, Planned>,
    whiteouts: Vec<Vec<u8>>,
    sink: &mut dyn EntrySink,
) -> Result<Written, CopyError> {
    let mut jobs = with_hard_links(entries);
    if !whiteouts.is_empty() {
        jobs.extend(
            whiteouts
                .into_iter()
                .map(|path| (Entry { path, kind: EntryKind::Whiteout, meta: Metadata::default() }, None)),
        );
        jobs.sort_by_cached_key(|(entry, _)| Key::new(&entry.path));
    }
    let mut written = Written::default();
    let batches = batches(&jobs);
    let prepare_all = |batch: &&[Job]| batch.iter().map(prepare).collect::<Result<Vec<_>, _>>();
    in_order(&batches, prepare_all, |batch| {
        for ready in batch? {
            feed(&ready, sink)?;
            written.entries += 1;
            written.bytes += ready.entry.size();
        }
        Ok::<_, CopyError>(())
    })?;
    Ok(written)
}

type Job = (Entry, Option<Origin>);

/// Turns the plan into entries; the first name of a file in their order carries the bytes, the others link to it.
fn with_hard_links(entries: BTreeMap<Key, Planned>) -> Vec<Job> {
    let mut first: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut jobs = Vec::with_capacity(entries.len());
    for (key, planned) in entries {
        let path = key.path();
        let (kind, origin) = match planned.kind {
            PlannedKind::Directory(origin) => (EntryKind::Directory, origin),
            PlannedKind::Symlink(target) => (EntryKind::Symlink { target }, None),
            PlannedKind::Fifo => (EntryKind::Fifo, None),
            PlannedKind::Device(FileKind::BlockDevice, major, minor) => {
                (EntryKind::BlockDevice { major, minor }, None)
            }
            PlannedKind::Device(_, major, minor) => (EntryKind::CharDevice { major, minor }, None),
            PlannedKind::File(origin, inode) => match first.get(&inode) {
                Some(target) => (EntryKind::HardLink { target: target.clone() }, None),
                None => {
                    first.insert(inode, path.clone());
                    (EntryKind::File { size: origin.as_ref().map_or(0, |o| o.node.size) }, origin)
                }
            },
        };
        jobs.push((Entry { path, kind, meta: planned.meta }, origin));
    }
    jobs
}

/// Cuts the jobs so that the files of several batches fit into memory at once.
fn batches(jobs: &[Job]) -> Vec<&[Job]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, (entry, _)) in jobs.iter().enumerate() {
        bytes += entry.size().min(WHOLE);
        if bytes >= BATCH_BYTES || at + 1 - start >= BATCH_ENTRIES {
            batches.push(&jobs[start..=at]);
            (start, bytes) = (at + 1, 0);
        }
    }
    batches.push(&jobs[start..]);
    batches
}

/// Reads what a small file holds and the attributes that an entry keeps.
fn prepare((entry, origin): &Job) -> Result<Ready, CopyError> {
    let mut entry = entry.clone();
    let Some(origin) = origin else { return Ok(Ready { entry, data: Data::Bytes(Vec::new()) }) };
    let Origin { tree, path, node } = origin;
    let is_file = node.kind == FileKind::File;
    if is_file && node.size <= WHOLE {
        let fetched = tree.fetch(path, node)?;
        entry.meta.xattrs = fetched.attributes;
        return Ok(Ready { entry, data: Data::Bytes(fetched.bytes) });
    }
    entry.meta.xattrs = tree.xattrs(path, node)?;
    let data = if is_file { Data::Stream(origin.clone()) } else { Data::Bytes(Vec::new()) };
    Ok(Ready { entry, data })
}

fn feed(ready: &Ready, sink: &mut dyn EntrySink) -> Result<(), CopyError> {
    match &ready.data {
        Data::Bytes(bytes) => sink.append_bytes(&ready.entry, bytes),
        Data::Stream(Origin { tree, path, node }) => {
            let mut reader = tree.open(path, node)?;
            sink.append(&ready.entry, &mut reader)?;
            // The end is where the tree notices that the file was written to meanwhile.
            let rest = io::copy(&mut reader, &mut io::sink());
            match rest.map_err(|source| CopyError::Read { path: show(path), source })? {
                0 => Ok(()),
                _ => Err(crate::builder::context::ContextError::Changed { path: show(path) }.into()),
            }
        }
    }
}
