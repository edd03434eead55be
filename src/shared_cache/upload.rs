//! Entries on their way out: a queue, a few threads, blobs before the entries that name them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::entry::{Entry, EntryLayer};
use super::error::SharedCacheError;
use super::options::Mode;
use super::shares::{Export, Known, lock};
use crate::builder::{Share, SharedRecord};
use crate::image::{Descriptor, DiffId};
use crate::store::CacheKey;

/// Threads that upload; compressing has the processors' own.
const WORKERS: usize = 3;

/// A result to be shared.
#[derive(Clone)]
struct Job {
    key: CacheKey,
    record: SharedRecord,
    share: Share,
}

/// The queue and its threads.
pub(super) struct Uploads {
    shared: Arc<Shared>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    known: Arc<Known>,
    exports: Vec<Export>,
    state: Mutex<State>,
    changed: Condvar,
    /// What each export has of each layer; held while it is made, so that it is made once.
    blobs: Mutex<HashMap<(usize, DiffId), Slot>>,
}

type Slot = Arc<Mutex<Option<Descriptor>>>;

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    seen: std::collections::HashSet<CacheKey>,
    closed: bool,
    /// The first failure of each export that matters.
    error: Option<SharedCacheError>,
    /// Exports that failed are left alone.
    broken: Vec<usize>,
}

impl Uploads {
    pub(super) fn new(known: Arc<Known>, exports: Vec<Export>) -> Self {
        let shared = Shared {
            known,
            exports,
            state: Mutex::default(),
            changed: Condvar::new(),
            blobs: Mutex::default(),
        };
        Self { shared: Arc::new(shared), workers: Mutex::default() }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.shared.exports.iter().map(|export| export.backend.name().to_owned()).collect()
    }

    pub(super) fn put(&self, key: CacheKey, record: SharedRecord, share: Share) {
        let mut state = lock(&self.shared.state);
        if state.closed || !state.seen.insert(key) {
            return;
        }
        state.queue.push_back(Job { key, record, share });
        drop(state);
        self.shared.changed.notify_one();
        let mut workers = lock(&self.workers);
        if workers.len() < WORKERS {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new().name("cache".to_owned()).spawn(move || shared.work());
            // Without a thread the queue is worked off at the end.
            workers.extend(started.ok());
        }
    }

    /// Waits until everything is written and returns the first failure that is not to be ignored.
    pub(super) fn finish(&self) -> Result<(), SharedCacheError> {
        lock(&self.shared.state).closed = true;
        self.shared.changed.notify_all();
        for worker in lock(&self.workers).drain(..) {
            let _ = worker.join();
        }
        self.shared.work();
        lock(&self.shared.state).error.take().map_or(Ok(()), Err)
    }
}

impl Drop for Uploads {
    /// What is still to be written when a build was stopped is not; what is being written dies with the process.
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.closed = true;
        state.queue.clear();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Writes jobs until the queue is closed and empty.
    fn work(&self) {
        while let Some(job) = self.next() {
            for (number, export) in self.exports.iter().enumerate() {
                if lock(&self.state).broken.contains(&number) {
                    continue;
                }
                if let Err(error) = self.write(number, export, &job) {
                    let mut state = lock(&self.state);
                    state.broken.push(number);
                    if !export.ignore_error {
                        state.error.get_or_insert(error);
                    }
                }
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&self, number: usize, export: &Export, job: &Job) -> Result<(), SharedCacheError> {
        let whole = export.mode == Mode::Max || job.share == Share::Layers;
        if let Some(there) = export.backend.get(&job.key)?
            && (there.is_fetchable() || !whole)
            && there.record().layers == job.record.layers
        {
            return Ok(());
        }
        let mut layers = Vec::with_capacity(job.record.layers.len());
        for diff_id in &job.record.layers {
            let blob = if whole { Some(self.blob(number, export, *diff_id)?) } else { None };
            layers.push(EntryLayer { diff_id: *diff_id, blob });
        }
        export.backend.put(&job.key, &Entry::new(&job.key, &job.record, layers))
    }

    /// Returns a layer's blob, which is written unless it is there.
    fn blob(&self, number: usize, export: &Export, diff_id: DiffId) -> Result<Descriptor, SharedCacheError> {
        let slot = Arc::clone(lock(&self.blobs).entry((number, diff_id)).or_default());
        let mut made = lock(&slot);
        if let Some(blob) = &*made {
            return Ok(blob.clone());
        }
        self.known.fetch(diff_id)?;
        let layer = self.known.store.layer(diff_id)?.ok_or(SharedCacheError::Gone(diff_id))?;
        let blob = export.backend.put_layer(&mut *layer.tar()?, export.compression)?;
        Ok(made.insert(blob).clone())
    }
}
