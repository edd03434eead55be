//! The scheduler: vertices whose inputs are known run, several at once; what is known does not run.
//!
//! One thread walks a chain; more are started only while more than one vertex
//! is ready, so a build that is all cached starts none. RUN waits on these
//! threads, never on a pool's. The first failure throws the switch that stops
//! the others, and is the build's error.
//!
//! The solver knows neither store nor processes: [`Work`] answers for them,
//! and tests answer with counters.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::SystemTime;

use jiff::Timestamp;

use super::cache_key::StepKey;
use super::cancel::Cancel;
use super::error::{BuildError, ErrorKind, FailedStep};
use super::explain::{Explanation, Reason};
use super::graph::{Graph, VertexIndex};
use crate::image::{ChainId, DiffId};
use crate::parser::Source;
use crate::progress::{Event, Outcome, Reporter, VertexId};

/// What a step adds to its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Layers, bottom first.
    pub layers: Vec<DiffId>,
    /// When they were made.
    pub created: Timestamp,
}

/// A stack of layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The layers, bottom first.
    pub layers: Vec<DiffId>,
    /// Their identity; none for an empty stack.
    pub chain: Option<ChainId>,
    /// When the step's own layers were made.
    pub created: Timestamp,
}

impl Snapshot {
    /// Returns a parent with what a step made on top.
    pub fn extend(parent: Option<&Self>, made: &Made) -> Self {
        let mut layers = parent.map(|parent| parent.layers.clone()).unwrap_or_default();
        let mut chain = parent.and_then(|parent| parent.chain);
        for layer in &made.layers {
            layers.push(*layer);
            chain = Some(chain.map_or_else(|| ChainId::base(*layer), |chain| chain.extend(*layer)));
        }
        Self { layers, chain, created: made.created }
    }
}

/// The results that a vertex needs, by their index.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// The parent's.
    pub parent: Option<Arc<Snapshot>>,
    /// All, the parent's included.
    pub all: Vec<(VertexIndex, Arc<Snapshot>)>,
}

impl Inputs {
    /// Returns the layers of an input.
    pub fn layers(&self, vertex: VertexIndex) -> &[DiffId] {
        self.get(vertex).map_or(&[], |snapshot| &snapshot.layers)
    }

    /// Returns an input.
    pub fn get(&self, vertex: VertexIndex) -> Option<&Snapshot> {
        self.all.iter().find(|(index, _)| *index == vertex).map(|(_, snapshot)| &**snapshot)
    }

    /// Returns the parent's layers.
    pub fn parent_layers(&self) -> &[DiffId] {
        self.parent.as_ref().map_or(&[], |parent| &parent.layers)
    }

    /// Returns the parent's chain.
    pub fn parent_chain(&self) -> Option<ChainId> {
        self.parent.as_ref().and_then(|parent| parent.chain)
    }
}

/// Answers for the vertices: their keys, the cache, their execution.
pub trait Work: Sync {
    /// Whether something of a vertex can be found out before its inputs are there.
    fn is_early(&self, vertex: VertexIndex) -> bool;

    /// Finds it out; what goes wrong is found again, and told, when the vertex's turn comes.
    fn prepare(&self, vertex: VertexIndex);

    /// Returns what the vertex's result depends on; none if it is not cached.
    fn key(&self, vertex: VertexIndex, inputs: &Inputs) -> Result<Option<StepKey>, BuildError>;

    /// Returns the known result of a key.
    fn look_up(&self, vertex: VertexIndex, key: &StepKey) -> Result<Option<Made>, BuildError>;

    /// Waits until nobody else makes the key's result; others wait while the answer is held.
    fn lock(&self, key: &StepKey, cancel: &Cancel) -> Result<Box<dyn std::any::Any>, BuildError>;

    /// Makes the vertex's result.
    fn execute(
        &self,
        vertex: VertexIndex,
        inputs: &Inputs,
        id: VertexId,
        cancel: &Cancel,
    ) -> Result<Vec<DiffId>, BuildError>;

    /// Keeps a result; the time that it gets is the step's time.
    fn record(&self, vertex: VertexIndex, key: &StepKey, layers: &[DiffId]) -> Result<Timestamp, BuildError>;

    /// Returns why a key is not known.
    fn why(&self, vertex: VertexIndex, key: &StepKey) -> Result<Reason, BuildError>;
}

/// Hands out the numbers of events.
#[derive(Debug, Default)]
pub struct Ids(AtomicU32);

impl Ids {
    /// Returns the next number.
    pub fn next(&self) -> VertexId {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Receives explanations, from any thread.
pub type Explain<'a> = &'a (dyn Fn(Explanation) + Sync);

/// What solving needs besides graph and work.
#[derive(Clone, Copy)]
pub struct SolveContext<'a> {
    /// The Dockerfile, for errors.
    pub source: &'a Arc<Source>,
    /// Receives what happens.
    pub reporter: &'a dyn Reporter,
    /// Numbers of events.
    pub ids: &'a Ids,
    /// Stops everything.
    pub cancel: &'a Cancel,
    /// Vertices that may run at once.
    pub jobs: usize,
    /// Receives why steps ran.
    pub explain: Option<Explain<'a>>,
}

/// Solves every vertex and returns their results in order.
///
/// # Errors
/// The error of the first vertex that failed.
pub fn solve(
    graph: &Graph,
    work: &dyn Work,
    context: SolveContext<'_>,
) -> Result<Vec<Arc<Snapshot>>, BuildError> {
    let (cancel, _guard) = context.cancel.child();
    let solver = Solver::new(graph, work, SolveContext { cancel: &cancel, ..context });
    let early: VecDeque<VertexIndex> =
        (0..graph.vertices.len()).filter(|vertex| work.is_early(*vertex)).collect();
    let early = Mutex::new(early);
    std::thread::scope(|scope| {
        if !lock(&early).is_empty() {
            scope.spawn(|| solver.prepare_all(&early));
        }
        solver.walk(scope);
    });
    let state = solver.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.error {
        Some(error) => Err(error),
        None => Ok(state.results.into_iter().map(|r| r.expect("every vertex was solved")).collect()),
    }
}

struct Solver<'a> {
    graph: &'a Graph,
    work: &'a dyn Work,
    context: SolveContext<'a>,
    dependents: Vec<Vec<VertexIndex>>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Inputs that each vertex still waits for.
    missing: Vec<usize>,
    ready: BTreeSet<VertexIndex>,
    results: Vec<Option<Arc<Snapshot>>>,
    unsolved: usize,
    walkers: usize,
    idle: usize,
    error: Option<BuildError>,
}

impl<'a> Solver<'a> {
    fn new(graph: &'a Graph, work: &'a dyn Work, context: SolveContext<'a>) -> Self {
        let count = graph.vertices.len();
        let mut dependents = vec![Vec::new(); count];
        let mut missing = vec![0; count];
        for (index, vertex) in graph.vertices.iter().enumerate() {
            for input in vertex.inputs() {
                dependents[input].push(index);
                missing[index] += 1;
            }
        }
        let ready = (0..count).filter(|vertex| missing[*vertex] == 0).collect();
        let results = vec![None; count];
        let state = State { missing, ready, results, unsolved: count, walkers: 1, idle: 0, error: None };
        Self { graph, work, context, dependents, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn prepare_all(&self, early: &Mutex<VecDeque<VertexIndex>>) {
        loop {
            let Some(vertex) = lock(early).pop_front() else { return };
            if self.context.cancel.is_cancelled() {
                return;
            }
            self.work.prepare(vertex);
        }
    }

    /// Solves vertices until none is left or one has failed.
    fn walk<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        while let Some((vertex, inputs)) = self.take(scope) {
            let result = self.step(vertex, &inputs);
            self.finish(vertex, result);
        }
    }

    /// Waits for a vertex that is ready; starts another walker where there is more to do.
    fn take<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> Option<(VertexIndex, Inputs)> {
        let mut state = lock(&self.state);
        loop {
            if state.error.is_some() || state.unsolved == 0 {
                return None;
            }
            if let Some(vertex) = state.ready.pop_first() {
                if !state.ready.is_empty() && state.idle == 0 && state.walkers < self.context.jobs.max(1) {
                    state.walkers += 1;
                    scope.spawn(|| self.walk(scope));
                }
                let inputs = self.inputs(&state, vertex);
                return Some((vertex, inputs));
            }
            state.idle += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn inputs(&self, state: &State, vertex: VertexIndex) -> Inputs {
        let result = |index: VertexIndex| state.results[index].clone();
        let node = &self.graph.vertices[vertex];
        let all = node.inputs().into_iter();
        Inputs {
            parent: node.parent.and_then(result),
            all: all.filter_map(|index| Some((index, result(index)?))).collect(),
        }
    }

    fn finish(&self, vertex: VertexIndex, result: Result<Snapshot, BuildError>) {
        let mut state = lock(&self.state);
        match result {
            Ok(snapshot) => {
                state.results[vertex] = Some(Arc::new(snapshot));
                state.unsolved -= 1;
                for dependent in &self.dependents[vertex] {
                    state.missing[*dependent] -= 1;
                    if state.missing[*dependent] == 0 {
                        state.ready.insert(*dependent);
                    }
                }
            }
            // A stopped step says nothing about the cause.
            Err(error) => {
                if state.error.as_ref().is_none_or(|first| first.is_cancelled() && !error.is_cancelled()) {
                    state.error = Some(error);
                }
            }
        }
        let failed = state.error.is_some();
        drop(state);
        self.changed.notify_all();
        if failed {
            self.context.cancel.cancel();
        }
    }

    fn step(&self, vertex: VertexIndex, inputs: &Inputs) -> Result<Snapshot, BuildError> {
        let mut shown = None;
        let result = self.answer(vertex, inputs, &mut shown);
        let node = &self.graph.vertices[vertex];
        match result {
            Ok(made) => Ok(Snapshot::extend(inputs.parent.as_deref(), &made)),
            Err(mut error) => {
                let id = shown.unwrap_or_else(|| self.started(vertex));
                let outcome = match error.is_cancelled() || self.context.cancel.is_cancelled() {
                    true => Outcome::Canceled,
                    false => Outcome::Failed(error.to_string()),
                };
                self.report(Event::VertexDone { id, at: SystemTime::now(), outcome });
                let failed = || FailedStep { name: node.name.clone(), output: Vec::new() };
                error.step.get_or_insert_with(failed).name.clone_from(&node.name);
                Err(match node.span {
                    Some(span) => error.at(self.context.source, span),
                    None => error,
                })
            }
        }
    }

    /// Looks the vertex up, or executes it; `shown` gets its number once it is visible.
    fn answer(
        &self,
        vertex: VertexIndex,
        inputs: &Inputs,
        shown: &mut Option<VertexId>,
    ) -> Result<Made, BuildError> {
        self.check_cancel()?;
        let node = &self.graph.vertices[vertex];
        let key = self.work.key(vertex, inputs)?;
        let mut guard = None;
        if let Some(key) = key.as_ref().filter(|_| !node.ignore_cache) {
            if let Some(made) = self.known(vertex, key)? {
                return Ok(made);
            }
            guard = Some(self.work.lock(key, self.context.cancel)?);
            if let Some(made) = self.known(vertex, key)? {
                return Ok(made);
            }
        }
        self.check_cancel()?;
        if let (Some(explain), Some(key)) = (self.context.explain, &key) {
            let reason = if node.ignore_cache { Reason::NotAllowed } else { self.work.why(vertex, key)? };
            explain(self.explanation(vertex, reason));
        }
        let id = *shown.insert(self.started(vertex));
        let layers = self.work.execute(vertex, inputs, id, self.context.cancel)?;
        let created = match &key {
            Some(key) => self.work.record(vertex, key, &layers)?,
            None => Timestamp::now(),
        };
        drop(guard);
        self.report(Event::VertexDone { id, at: SystemTime::now(), outcome: Outcome::Done });
        Ok(Made { layers, created })
    }

    fn known(&self, vertex: VertexIndex, key: &StepKey) -> Result<Option<Made>, BuildError> {
        let made = self.work.look_up(vertex, key)?;
        if made.is_some() {
            let name = &self.graph.vertices[vertex].name;
            if let Some(explain) = self.context.explain {
                explain(self.explanation(vertex, Reason::Cached));
            }
            self.report(Event::VertexCached { id: self.context.ids.next(), name: name.clone() });
        }
        Ok(made)
    }

    fn explanation(&self, vertex: VertexIndex, reason: Reason) -> Explanation {
        let vertices = &self.graph.vertices;
        let parent = vertices[vertex].parent.map(|parent| vertices[parent].name.clone());
        Explanation { name: vertices[vertex].name.clone(), parent, reason }
    }

    fn check_cancel(&self) -> Result<(), BuildError> {
        match self.context.cancel.is_cancelled() {
            true => Err(ErrorKind::Cancelled.into()),
            false => Ok(()),
        }
    }

    fn started(&self, vertex: VertexIndex) -> VertexId {
        let id = self.context.ids.next();
        let name = self.graph.vertices[vertex].name.clone();
        self.report(Event::VertexStarted { id, name, at: SystemTime::now() });
        id
    }

    fn report(&self, event: Event) {
        self.context.reporter.report(event);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
