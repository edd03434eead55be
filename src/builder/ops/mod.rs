//! What the steps are to the solver: keys, look-ups, execution; one file an op.

mod agent;
mod copy;
mod failed;
mod foreign;
mod mount;
mod process;
mod remote;
mod run;
mod workdir;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::build::BuildEnv;
use super::cache_key::StepKey;
use super::cancel::Cancel;
use super::context::{DirectoryTree, MemoryTree, Tree};
use super::error::{BuildError, ErrorKind};
use super::explain::{Reason, differences};
use super::graph::{CopySourceOp, Graph, Op, Place, Vertex, VertexIndex};
use super::lower::Plan;
use super::options::{BuildOptions, SecretValue};
use super::shared::{Borrowed, SharedRecord, steps_of_images};
use super::solve::{Ids, Inputs, Made, Work};
use crate::fs::Root;
use crate::image::DiffId;
use crate::layers::SinkOptions;
use crate::progress::{Event, Outcome, VertexId};
use crate::store::{CacheKey, CacheRecord, LayerDraft, LayerForm, StepId};
use copy::Digested;
use remote::Opened;

/// Most bytes of a secret.
const MAX_SECRET: usize = 500 << 10;
/// How long to wait before a key that another build makes is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The steps of one build with all that they work on.
pub struct Ops<'a> {
    graph: &'a Graph,
    pub(super) plan: &'a Plan,
    options: &'a BuildOptions,
    pub(super) env: BuildEnv<'a>,
    /// What is known of each copy's files.
    digests: Vec<Mutex<Option<Arc<Digested>>>>,
    /// Files of mounts, as records name them.
    mounted: Mutex<HashMap<(Place, String), Vec<(String, String)>>>,
    /// A directory for temporary files, made on first use.
    spool: OnceLock<LayerDraft>,
    context: ContextLine,
    transfers: AtomicUsize,
    /// Named contexts that are opened when a step wants them.
    named: HashMap<String, Opened>,
    /// What came from a shared cache.
    pub(super) borrowed: Borrowed,
    /// The steps whose layers are the image's.
    pub(super) in_image: HashSet<VertexIndex>,
}

/// The line that shows the reading of the context.
struct ContextLine {
    id: Option<VertexId>,
    open: AtomicUsize,
}

impl<'a> Ops<'a> {
    /// Returns the steps of a plan.
    pub fn new(plan: &'a Plan, options: &'a BuildOptions, env: BuildEnv<'a>, ids: &Ids) -> Self {
        let graph = &plan.graph;
        let readers = graph.vertices.iter().filter(|vertex| copies_context(vertex)).count();
        let id = (readers > 0).then(|| ids.next());
        if let Some(id) = id {
            let name = "[internal] load build context".to_owned();
            env.reporter.report(Event::VertexStarted { id, name, at: SystemTime::now() });
        }
        Self {
            graph,
            plan,
            options,
            env,
            digests: graph.vertices.iter().map(|_| Mutex::default()).collect(),
            mounted: Mutex::default(),
            spool: OnceLock::new(),
            context: ContextLine { id, open: AtomicUsize::new(readers) },
            transfers: AtomicUsize::new(0),
            borrowed: Borrowed::default(),
            in_image: steps_of_images(graph, plan.targets().filter_map(|target| target.vertex)),
            named: options.named_contexts.keys().map(|name| (name.clone(), Opened::default())).collect(),
        }
    }

    /// Returns the same steps for another attempt, after layers of a shared cache were gone.
    pub fn strict(mut self) -> Self {
        self.borrowed.strict = true;
        self
    }

    /// Ends the context's line if a failure left it open.
    pub fn close(&self) {
        if self.context.open.swap(0, Ordering::SeqCst) > 0 {
            self.report_context(Outcome::Canceled);
        }
    }

    fn context_read(&self) {
        if self.context.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.report_context(Outcome::Done);
        }
    }

    fn report_context(&self, outcome: Outcome) {
        if let Some(id) = self.context.id {
            self.env.reporter.report(Event::VertexDone { id, at: SystemTime::now(), outcome });
        }
    }

    /// Returns a directory for temporary files.
    fn spool(&self) -> Result<&Root, BuildError> {
        if let Some(draft) = self.spool.get() {
            return Ok(draft.root());
        }
        let draft = self.env.store.begin_layer()?;
        Ok(self.spool.get_or_init(|| draft).root())
    }

    fn sink_options(&self) -> Result<SinkOptions, BuildError> {
        Ok(SinkOptions { index: self.env.store.form()?.0 == LayerForm::Index })
    }

    /// Returns the merged files of a stack of layers; none for an empty one.
    fn view(&self, layers: &[DiffId]) -> Result<Option<Root>, BuildError> {
        if layers.is_empty() {
            return Ok(None);
        }
        self.ensure(layers)?;
        Ok(Some(self.env.store.mount(layers)?))
    }

    /// Returns the files of a place.
    fn tree(&self, place: &Place, inputs: &Inputs) -> Result<Arc<dyn Tree>, BuildError> {
        match place {
            Place::Context => Ok(Arc::clone(&self.options.context)),
            Place::Scratch => Ok(Arc::new(MemoryTree::default())),
            Place::Named(name) => self.named_tree(name),
            Place::Vertex(vertex) => match self.view(inputs.layers(*vertex))? {
                Some(root) => Ok(Arc::new(DirectoryTree::stage(root, self.label(*vertex)))),
                None => Ok(Arc::new(MemoryTree::default())),
            },
        }
    }

    fn label(&self, vertex: VertexIndex) -> String {
        self.graph.vertices[vertex].stage.clone()
    }

    /// Returns a secret's value; none if there is no such secret.
    fn secret(&self, id: &str) -> Result<Option<Vec<u8>>, BuildError> {
        let Some(secret) = self.options.secrets.get(id) else { return Ok(None) };
        let bytes = match &secret.value {
            SecretValue::Bytes(bytes) => bytes.clone(),
            SecretValue::File(path) => {
                let slash = std::path::Path::new("/");
                Root::open(slash)?.read(path, MAX_SECRET + 1).map_err(|error| match error.kind() {
                    std::io::ErrorKind::FileTooLarge => ErrorKind::SecretTooLarge(id.to_owned()).into(),
                    _ => BuildError::from(error),
                })?
            }
        };
        if bytes.len() > MAX_SECRET {
            return Err(ErrorKind::SecretTooLarge(id.to_owned()).into());
        }
        Ok(Some(bytes))
    }

    fn step_id(&self, vertex: &Vertex) -> StepId {
        StepId {
            scope: self.options.scope.clone(),
            stage: vertex.stage.clone(),
            position: vertex.position,
            text: vertex.text.clone(),
        }
    }

    /// Returns the fields of a key with those of files, which the key holds as one digest.
    fn all_fields(&self, vertex: VertexIndex, key: &StepKey) -> Vec<(String, String)> {
        let mut fields = key.fields.clone();
        let known = self.digests[vertex].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digested) = &*known {
            fields.extend(digested.fields());
        }
        if let Op::Run(run) = &self.graph.vertices[vertex].op {
            fields.extend(self.mounted_files(run));
        }
        fields
    }

    /// Writes the record of a step's result.
    pub(super) fn keep(
        &self,
        vertex: VertexIndex,
        key: &StepKey,
        layers: &[DiffId],
        created: Timestamp,
    ) -> Result<SharedRecord, BuildError> {
        let node = &self.graph.vertices[vertex];
        let mut size = 0;
        for layer in layers {
            size += self.env.store.layer(*layer)?.map_or(0, |layer| layer.size());
        }
        let mut record =
            CacheRecord::new(key.key, "{}".to_owned(), layers.to_vec(), size, self.step_id(node));
        record.created = created;
        record.description.clone_from(&node.name);
        record.fields = self.all_fields(vertex, key);
        self.env.store.cache_put(&record)?;
        Ok(SharedRecord { layers: record.layers, created, payload: record.payload })
    }

    fn cached(&self, key: &CacheKey) -> Result<Option<CacheRecord>, BuildError> {
        Ok(self.env.store.cache_get(key)?)
    }
}

/// Whether a vertex is a copy that takes files from the main context.
fn copies_context(vertex: &Vertex) -> bool {
    let from_context =
        |source: &CopySourceOp| matches!(source, CopySourceOp::Path { place: Place::Context, .. });
    matches!(&vertex.op, Op::Copy(copy) if copy.sources.iter().any(from_context))
}

impl Work for Ops<'_> {
    fn is_early(&self, vertex: VertexIndex) -> bool {
        match &self.graph.vertices[vertex].op {
            Op::Copy(copy) => !copy
                .sources
                .iter()
                .any(|source| matches!(source, CopySourceOp::Path { place: Place::Vertex(_), .. })),
            _ => false,
        }
    }

    fn prepare(&self, vertex: VertexIndex) {
        if let Op::Copy(copy) = &self.graph.vertices[vertex].op {
            // An error shows again when the step's turn comes, and only if it comes.
            let _ = self.digested(vertex, copy, &Inputs::default());
        }
    }

    fn key(&self, vertex: VertexIndex, inputs: &Inputs) -> Result<Option<StepKey>, BuildError> {
        match &self.graph.vertices[vertex].op {
            Op::Source(_) => Ok(None),
            Op::Run(run) => self.run_key(run, inputs).map(Some),
            Op::Copy(copy) => self.copy_key(vertex, copy, inputs).map(Some),
            Op::Workdir(workdir) => Ok(Some(workdir::key(workdir, inputs))),
        }
    }

    fn look_up(&self, vertex: VertexIndex, key: &StepKey) -> Result<Option<Made>, BuildError> {
        let ttl = self.options.extras.cache_ttl;
        let is_fresh = |record: &CacheRecord| {
            let age = Timestamp::now().duration_since(record.created);
            ttl.is_none_or(|ttl| age.unsigned_abs() < ttl)
        };
        let record = match self.cached(&key.key)?.filter(is_fresh) {
            Some(CacheRecord { layers, created, payload, .. }) => {
                let record = SharedRecord { layers, created, payload };
                self.share(Some(vertex), &key.key, &record);
                Some(record)
            }
            None => self.borrow_record(vertex, key),
        };
        Ok(record.map(|record| Made { layers: record.layers, created: record.created }))
    }

    fn lock(&self, key: &StepKey, cancel: &Cancel) -> Result<Box<dyn std::any::Any>, BuildError> {
        loop {
            if let Some(lock) = self.env.store.try_key_lock(&key.key)? {
                return Ok(Box::new(lock));
            }
            if cancel.is_cancelled() {
                return Err(ErrorKind::Cancelled.into());
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    fn execute(
        &self,
        vertex: VertexIndex,
        inputs: &Inputs,
        id: VertexId,
        cancel: &Cancel,
    ) -> Result<Vec<DiffId>, BuildError> {
        match &self.graph.vertices[vertex].op {
            Op::Source(source) => {
                let image = self.plan.images.iter().find(|image| image.manifest == source.manifest);
                let image = image.expect("every source was resolved");
                // With a shared cache nothing may ever read the base; whoever does brings it.
                if self.env.shared.is_none() {
                    self.fetch_image(image)?;
                }
                Ok(source.diff_ids.clone())
            }
            Op::Run(run) => self.run((vertex, run), inputs, id, cancel),
            Op::Copy(copy) => self.copy(vertex, copy, inputs),
            Op::Workdir(workdir) => self.workdir(workdir, inputs),
        }
    }

    fn record(&self, vertex: VertexIndex, key: &StepKey, layers: &[DiffId]) -> Result<Timestamp, BuildError> {
        let record = self.keep(vertex, key, layers, Timestamp::now())?;
        self.share(Some(vertex), &key.key, &record);
        Ok(record.created)
    }

    fn why(&self, vertex: VertexIndex, key: &StepKey) -> Result<Reason, BuildError> {
        let step = self.step_id(&self.graph.vertices[vertex]);
        let now = self.all_fields(vertex, key);
        let earlier = self.env.store.nearest(&step)?;
        let found = earlier.iter().map(|record| differences(&record.fields, &now)).min_by_key(Vec::len);
        Ok(match found {
            None => Reason::Unknown,
            Some(found) if found.is_empty() => Reason::Lost,
            Some(found) => Reason::Differs(found),
        })
    }
}
