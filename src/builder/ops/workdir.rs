//! WORKDIR: a directory and its parents, where they are missing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Ops;
use crate::builder::cache_key::{Fields, StepKey};
use crate::builder::context::{DirectoryTree, Tree};
use crate::builder::copy::Owner;
use crate::builder::error::{BuildError, invalid};
use crate::builder::graph::WorkdirOp;
use crate::builder::solve::Inputs;
use crate::fs::{Follow, Root};
use crate::image::DiffId;
use crate::layers::{Entry, EntryKind, LayerSink, Metadata, Mtime};
use crate::paths::below_root;

/// Returns what a WORKDIR depends on.
pub(super) fn key(op: &WorkdirOp, inputs: &Inputs) -> StepKey {
    let mut fields = Fields::new("workdir");
    fields.add("path", &op.path);
    fields.add("user", &op.user);
    fields.add_option("epoch", op.epoch.map(|epoch| epoch.to_string()));
    fields.add_parent(inputs.parent_chain());
    fields.finish()
}

impl Ops<'_> {
    pub(super) fn workdir(&self, op: &WorkdirOp, inputs: &Inputs) -> Result<Vec<DiffId>, BuildError> {
        let view = self.view(inputs.parent_layers())?;
        let entries = entries(op, view.as_ref())?;
        let draft = self.env.store.begin_layer()?;
        let mut sink = LayerSink::create(draft.root(), self.sink_options()?)?;
        for entry in &entries {
            sink.append_bytes(entry, b"")?;
        }
        let written = sink.finish()?;
        draft.commit(written.diff_id, written.size)?;
        Ok(vec![written.diff_id])
    }
}

/// Returns the directories of a path, those that are there with what they are; nothing if all are.
fn entries(op: &WorkdirOp, view: Option<&Root>) -> Result<Vec<Entry>, BuildError> {
    let path = match view {
        Some(root) => root.resolve(&op.path)?,
        None => PathBuf::from(&op.path),
    };
    let path = below_root(path.as_os_str().as_bytes());
    let mut made = None;
    let mut entries = Vec::new();
    let mut at = PathBuf::new();
    for part in path.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
        at.push(OsStr::from_bytes(part));
        let there = match view {
            Some(root) if made.is_none() => root.stat(&at, Follow::No)?,
            _ => None,
        };
        let meta = match there {
            Some(stat) if stat.is_dir() => Metadata {
                mode: stat.mode,
                uid: stat.uid,
                gid: stat.gid,
                mtime: Mtime { seconds: stat.mtime.seconds, nanos: stat.mtime.nanos },
                xattrs: Vec::new(),
            },
            Some(_) => return Err(invalid(format!("mkdir {}: not a directory", shown(&at)))),
            None => match &made {
                Some(meta) => Metadata::clone(meta),
                None => made.insert(new_directory(op, view)?).clone(),
            },
        };
        entries.push(Entry { path: at.as_os_str().as_bytes().to_vec(), kind: EntryKind::Directory, meta });
    }
    if made.is_none() {
        entries.clear();
    }
    Ok(entries)
}

fn shown(path: &Path) -> String {
    format!("/{}", path.display())
}

fn new_directory(op: &WorkdirOp, view: Option<&Root>) -> Result<Metadata, BuildError> {
    let (uid, gid) = match op.user.as_str() {
        "" => (0, 0),
        user => {
            let tree = match view {
                Some(root) => Some(DirectoryTree::stage(root.try_clone()?, "parent")),
                None => None,
            };
            let owner = Owner::look_up(user, tree.as_ref().map(|tree| tree as &dyn Tree))?;
            (owner.uid, owner.gid)
        }
    };
    let seconds = op.epoch.unwrap_or_else(|| jiff::Timestamp::now().as_second());
    Ok(Metadata { mode: 0o755, uid, gid, mtime: Mtime { seconds, nanos: 0 }, xattrs: Vec::new() })
}
