//! COPY and ADD: the files' digest, which may come before the parent is there, and the layer.

use std::sync::{Arc, PoisonError};

use super::remote::{Pin, add_pin};
use super::{Ops, copies_context};
use crate::builder::cache_key::{Fields, StepKey, chain_text};
use crate::builder::context::{DirectoryTree, MemoryTree, Tree, url_file_name};
use crate::builder::copy::{
    ContentDigest, CopyRequest, CopySource, Selection, content_digest, select, write,
};
use crate::builder::error::BuildError;
use crate::builder::graph::{CopyOp, CopySourceOp, Place, VertexIndex};
use crate::builder::solve::Inputs;
use crate::image::DiffId;
use crate::image::id::{from_hex, to_hex};
use crate::layers::{LayerSink, Mtime};
use crate::store::{CacheRecord, StepId};

/// Files whose names a record keeps; beyond that only their common digest is known.
pub(super) const MAX_NAMED: usize = 50_000;

/// What is known of a copy's files.
pub(super) struct Digested {
    request: CopyRequest,
    /// The files; none where an unchanged stage spared looking.
    selection: Option<Selection>,
    content: ContentDigest,
    /// When downloads were changed last, as their servers say.
    modified: Vec<Mtime>,
}

impl Digested {
    /// Returns a field for each file, so that a miss can name it.
    pub(super) fn fields(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let named = self.selection.as_ref().filter(|selection| selection.len() <= MAX_NAMED);
        let facts = named.into_iter().flat_map(|selection| self.content.facts(selection));
        facts.map(|fact| (format!("file {}", String::from_utf8_lossy(fact.name)), fact.shown()))
    }
}

impl Ops<'_> {
    pub(super) fn copy_key(
        &self,
        vertex: VertexIndex,
        op: &CopyOp,
        inputs: &Inputs,
    ) -> Result<StepKey, BuildError> {
        let digested = self.digested(vertex, op, inputs)?;
        let mut fields = Fields::new("copy");
        for (name, value) in digested.request.key_fields() {
            fields.add(name, value);
        }
        fields.add("content", to_hex(&digested.content.digest));
        for modified in &digested.modified {
            fields.add("modified", modified.seconds.to_string());
        }
        fields.add_option("epoch", op.epoch.map(|epoch| epoch.to_string()));
        if !op.is_linked() {
            fields.add_parent(inputs.parent_chain());
        }
        Ok(fields.finish())
    }

    /// Finds out what is copied, once; a second asker waits for the first.
    pub(super) fn digested(
        &self,
        vertex: VertexIndex,
        op: &CopyOp,
        inputs: &Inputs,
    ) -> Result<Arc<Digested>, BuildError> {
        let mut slot = self.digests[vertex].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digested) = &*slot {
            return Ok(Arc::clone(digested));
        }
        let pins = self.pins(op)?;
        let digested = match self.remembered(op, inputs, &pins)? {
            Some(digested) => digested,
            None => self.digest(op, inputs, &pins)?,
        };
        if copies_context(&self.graph.vertices[vertex]) {
            self.context_read();
        }
        Ok(Arc::clone(slot.insert(Arc::new(digested))))
    }

    fn digest(&self, op: &CopyOp, inputs: &Inputs, pins: &[Pin]) -> Result<Digested, BuildError> {
        let mut modified = Vec::new();
        let request = self.request(op, inputs, pins, &mut modified)?;
        let selection = select(&request)?;
        let content = content_digest(&selection)?;
        if let Some(memo) = memo_key(op, inputs, pins) {
            let payload = payload(&content.digest, &modified);
            let mut record = CacheRecord::new(memo.key, payload, Vec::new(), 0, StepId::default());
            record.kind = "internal".to_owned();
            "content of unchanging files".clone_into(&mut record.description);
            self.env.store.cache_put(&record)?;
            self.share_memo(&record);
        }
        Ok(Digested { request, selection: Some(selection), content, modified })
    }

    /// Returns what an earlier build found in the same stages and downloads, without looking at their files.
    fn remembered(&self, op: &CopyOp, inputs: &Inputs, pins: &[Pin]) -> Result<Option<Digested>, BuildError> {
        let Some(memo) = memo_key(op, inputs, pins) else { return Ok(None) };
        let payload = match self.cached(&memo.key)? {
            Some(record) => {
                self.share_memo(&record);
                record.payload
            }
            None => match self.borrow_memo(&memo.key) {
                Some(payload) => payload,
                None => return Ok(None),
            },
        };
        let Some((digest, modified)) = read_payload(&payload) else { return Ok(None) };
        let nothing: Arc<dyn Tree> = Arc::new(MemoryTree::default());
        let sources = op.sources.iter().map(|source| CopySource {
            tree: Arc::clone(&nothing),
            path: String::new(),
            wildcards: false,
            unpack: unpacks(source),
        });
        let request = fill(CopyRequest::new(sources.collect(), &op.destination), op)?;
        Ok(Some(Digested { request, selection: None, content: ContentDigest::remembered(digest), modified }))
    }

    fn request(
        &self,
        op: &CopyOp,
        inputs: &Inputs,
        pins: &[Pin],
        modified: &mut Vec<Mtime>,
    ) -> Result<CopyRequest, BuildError> {
        let all = op.sources.iter().enumerate();
        let sources: Vec<CopySource> = all
            .map(|(number, source)| self.source((source, pins.get(number)), op, inputs, modified))
            .collect::<Result<_, _>>()?;
        fill(CopyRequest::new(sources, &op.destination), op)
    }

    fn source(
        &self,
        (source, pin): (&CopySourceOp, Option<&Pin>),
        op: &CopyOp,
        inputs: &Inputs,
        modified: &mut Vec<Mtime>,
    ) -> Result<CopySource, BuildError> {
        let unpack = unpacks(source);
        Ok(match source {
            CopySourceOp::Path { place, path, .. } => {
                CopySource { tree: self.tree(place, inputs)?, path: path.clone(), wildcards: true, unpack }
            }
            CopySourceOp::Heredoc { name, body } => {
                let seconds = op.epoch.unwrap_or_else(|| jiff::Timestamp::now().as_second());
                let mut tree = MemoryTree::new(Mtime { seconds, nanos: 0 });
                tree.insert(name, body.as_bytes());
                CopySource { tree: Arc::new(tree), path: name.clone(), wildcards: false, unpack }
            }
            CopySourceOp::Url { url, checksum, .. } => {
                let tree = self.downloaded(url, checksum.as_ref(), pin)?;
                modified.push(tree.modified());
                CopySource { tree, path: url_file_name(url), wildcards: false, unpack }
            }
            CopySourceOp::Git { .. } => {
                let tree = self.checked_out(source, pin)?;
                CopySource { tree, path: "/".to_owned(), wildcards: false, unpack }
            }
        })
    }

    pub(super) fn copy(
        &self,
        vertex: VertexIndex,
        op: &CopyOp,
        inputs: &Inputs,
    ) -> Result<Vec<DiffId>, BuildError> {
        let mut digested = self.digested(vertex, op, inputs)?;
        if digested.selection.is_none() {
            digested = Arc::new(self.digest(op, inputs, &self.pins(op)?)?);
        }
        let selection = digested.selection.as_ref().expect("a digest that was computed has its files");
        let parent = match op.is_linked() {
            true => None,
            false => self.view(inputs.parent_layers())?.map(|root| DirectoryTree::stage(root, "parent")),
        };
        let parent = parent.as_ref().map(|tree| tree as &dyn Tree);
        self.write_layer(&digested.request, selection, parent).map(|layer| vec![layer])
    }

    /// Writes a copy into a layer of the store.
    pub(super) fn write_layer(
        &self,
        request: &CopyRequest,
        selection: &Selection,
        parent: Option<&dyn Tree>,
    ) -> Result<DiffId, BuildError> {
        let draft = self.env.store.begin_layer()?;
        let mut sink = LayerSink::create(draft.root(), self.sink_options()?)?;
        write(request, selection, parent, draft.root(), &mut sink)?;
        let written = sink.finish()?;
        draft.commit(written.diff_id, written.size)?;
        Ok(written.diff_id)
    }
}

fn unpacks(source: &CopySourceOp) -> bool {
    match source {
        CopySourceOp::Path { unpack, .. } | CopySourceOp::Url { unpack, .. } => *unpack,
        CopySourceOp::Heredoc { .. } | CopySourceOp::Git { .. } => false,
    }
}

/// Puts an instruction's flags into its request.
fn fill(mut request: CopyRequest, op: &CopyOp) -> Result<CopyRequest, BuildError> {
    request.workdir.clone_from(&op.workdir);
    request.chown.clone_from(&op.chown);
    request.link = op.link;
    request.parents = op.parents;
    request.excludes.clone_from(&op.excludes);
    request.created = op.epoch.map(|seconds| Mtime { seconds, nanos: 0 });
    Ok(match &op.chmod {
        Some(chmod) => request.with_chmod(chmod)?,
        None => request,
    })
}

/// Returns what a memo keeps: the digest, and the seconds of what downloads' servers said.
fn payload(digest: &[u8; 32], modified: &[Mtime]) -> String {
    modified.iter().fold(to_hex(digest), |text, time| format!("{text} {}", time.seconds))
}

fn read_payload(text: &str) -> Option<([u8; 32], Vec<Mtime>)> {
    let mut words = text.split(' ');
    let digest = from_hex(words.next()?)?;
    let time = |word: &str| Some(Mtime { seconds: word.parse().ok()?, nanos: 0 });
    Some((digest, words.map(time).collect::<Option<_>>()?))
}

/// Returns the key under which the digest of files that cannot change is remembered: those of steps, and
/// downloads and repositories that are pinned. None where something can, or where all is at hand anyway.
fn memo_key(op: &CopyOp, inputs: &Inputs, pins: &[Pin]) -> Option<StepKey> {
    let mut fields = Fields::new("content of unchanging files");
    for (number, source) in op.sources.iter().enumerate() {
        match source {
            CopySourceOp::Path { place: Place::Vertex(vertex), path, unpack } => {
                fields.add("stage", chain_text(inputs.get(*vertex).and_then(|snapshot| snapshot.chain)));
                fields.add("path", path);
                fields.add("unpack", unpack.to_string());
            }
            CopySourceOp::Heredoc { name, body } => {
                fields.add("heredoc", name);
                fields.add("body", body);
            }
            CopySourceOp::Url { url, checksum: Some(checksum), unpack } => {
                fields.add("url", url);
                fields.add("checksum", checksum.to_string());
                fields.add("unpack", unpack.to_string());
            }
            source if add_pin(&mut fields, source, pins.get(number)) => {}
            _ => return None,
        }
    }
    fields.add("parents", op.parents.to_string());
    fields.add_list("exclude", &op.excludes);
    let at_hand = |source: &CopySourceOp| matches!(source, CopySourceOp::Heredoc { .. });
    (!op.sources.iter().all(at_hand)).then(|| fields.finish())
}
