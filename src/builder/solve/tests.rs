use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use super::*;
use crate::builder::cache_key::Fields;
use crate::builder::error::invalid;
use crate::builder::graph::{Op, Vertex, WorkdirOp};
use crate::image::Digest;
use crate::progress::RecordingReporter;

type Locked = Arc<Mutex<HashSet<[u8; 32]>>>;

/// A key's lock, free again when dropped.
struct Held(Locked, [u8; 32]);

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.0).remove(&self.1);
    }
}

/// Ops that count: keys are the step's text and its parent, results are the digest of the key.
#[derive(Default)]
struct Fake {
    texts: Vec<String>,
    known: Mutex<HashMap<[u8; 32], Made>>,
    locked: Locked,
    executed: Mutex<Vec<VertexIndex>>,
    keys: AtomicUsize,
    at_once: AtomicUsize,
    most: AtomicUsize,
    early: Mutex<Vec<VertexIndex>>,
    fails: Option<VertexIndex>,
    waits: Option<VertexIndex>,
    slow: bool,
    /// How many are waited for to run at once.
    together: usize,
}

impl Work for Fake {
    fn is_early(&self, vertex: VertexIndex) -> bool {
        self.texts[vertex].starts_with("early")
    }

    fn prepare(&self, vertex: VertexIndex) {
        lock(&self.early).push(vertex);
    }

    fn key(&self, vertex: VertexIndex, inputs: &Inputs) -> Result<Option<StepKey>, BuildError> {
        self.keys.fetch_add(1, Ordering::SeqCst);
        let mut fields = Fields::new("fake");
        fields.add("text", &self.texts[vertex]);
        for (_, input) in &inputs.all {
            fields.add("input", format!("{:?}", input.chain));
        }
        Ok(Some(fields.finish()))
    }

    fn look_up(&self, _: VertexIndex, key: &StepKey) -> Result<Option<Made>, BuildError> {
        Ok(lock(&self.known).get(key.key.as_bytes()).cloned())
    }

    fn lock(&self, key: &StepKey, _: &Cancel) -> Result<Box<dyn std::any::Any>, BuildError> {
        while !lock(&self.locked).insert(*key.key.as_bytes()) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Box::new(Held(Arc::clone(&self.locked), *key.key.as_bytes())))
    }

    fn execute(
        &self,
        vertex: VertexIndex,
        _: &Inputs,
        _: VertexId,
        cancel: &Cancel,
    ) -> Result<Vec<DiffId>, BuildError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        lock(&self.executed).push(vertex);
        if self.slow {
            std::thread::sleep(Duration::from_millis(30));
        }
        let until = Instant::now() + Duration::from_secs(30);
        while self.most.load(Ordering::SeqCst) < self.together && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.waits == Some(vertex) {
            while !cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            return Err(ErrorKind::Cancelled.into());
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        if self.fails == Some(vertex) {
            return Err(invalid("it failed"));
        }
        Ok(vec![DiffId::of_tar(Digest::of(self.texts[vertex].as_bytes()))])
    }

    fn record(&self, _: VertexIndex, key: &StepKey, layers: &[DiffId]) -> Result<Timestamp, BuildError> {
        let created = Timestamp::from_second(7).unwrap();
        lock(&self.known).insert(*key.key.as_bytes(), Made { layers: layers.to_vec(), created });
        Ok(created)
    }

    fn why(&self, _: VertexIndex, _: &StepKey) -> Result<Reason, BuildError> {
        Ok(Reason::Unknown)
    }
}

/// `(text, parent)` pairs.
fn graph(steps: &[(&str, Option<VertexIndex>)]) -> (Graph, Fake) {
    let mut graph = Graph::default();
    for (text, parent) in steps {
        let op = WorkdirOp { path: (*text).to_owned(), user: String::new(), epoch: None };
        graph.add(Vertex {
            name: (*text).to_owned(),
            stage: String::new(),
            position: 0,
            text: (*text).to_owned(),
            span: Some(crate::parser::Span { first: 3, last: 3 }),
            parent: *parent,
            ignore_cache: text.ends_with('!'),
            op: Op::Workdir(op),
        });
    }
    let texts = steps.iter().map(|(text, _)| (*text).to_owned()).collect();
    (graph, Fake { texts, ..Fake::default() })
}

struct Run {
    result: Result<Vec<Arc<Snapshot>>, BuildError>,
    events: Vec<Event>,
    told: Vec<Explanation>,
}

fn run(graph: &Graph, work: &Fake, jobs: usize, cancel: &Cancel) -> Run {
    let reporter = RecordingReporter::default();
    let told = Mutex::new(Vec::new());
    let source = Arc::new(Source::new("Dockerfile", "a\nb\nc\n"));
    let explain = |explanation| lock(&told).push(explanation);
    let context = SolveContext {
        source: &source,
        reporter: &reporter,
        ids: &Ids::default(),
        cancel,
        jobs,
        explain: Some(&explain),
    };
    let result = solve(graph, work, context);
    Run { result, events: reporter.events(), told: told.into_inner().unwrap() }
}

#[test]
fn what_is_known_does_not_run() {
    let (graph, work) = graph(&[("a", None), ("b", Some(0)), ("c", Some(1))]);
    let cancel = Cancel::new();
    let first = run(&graph, &work, 4, &cancel);
    let second = run(&graph, &work, 4, &cancel);
    assert_eq!(*lock(&work.executed), [0, 1, 2]);
    assert_eq!(work.keys.load(Ordering::SeqCst), 6, "one key a step and build");
    let (first_result, second_result) = (first.result.unwrap(), second.result.unwrap());
    assert_eq!(first_result, second_result);
    assert_eq!(first_result[2].layers.len(), 3);
    assert_eq!(first_result[2].chain, ChainId::of(&first_result[2].layers));
    let cached = |event: &&Event| matches!(event, Event::VertexCached { .. });
    assert_eq!(second.events.iter().filter(cached).count(), 3);
    assert_eq!(second.events.len(), 3);
    assert!(second.told.iter().all(|told| told.reason == Reason::Cached));
}

#[test]
fn a_step_whose_inputs_have_not_changed_is_known_though_its_text_elsewhere_has() {
    let (graph, work) = graph(&[("a", None), ("b", Some(0))]);
    let cancel = Cancel::new();
    run(&graph, &work, 1, &cancel).result.unwrap();
    let (changed, mut other) = self::graph(&[("a", None), ("x", Some(0))]);
    other.known = Mutex::new(lock(&work.known).clone());
    run(&changed, &other, 1, &cancel).result.unwrap();
    assert_eq!(*lock(&other.executed), [1]);
}

#[test]
fn independent_steps_run_at_once_within_the_bound() {
    for (jobs, most) in [(1, 1), (3, 3), (8, 5)] {
        let steps = [("a", None), ("b", None), ("c", None), ("d", None), ("e", None)];
        let (graph, mut work) = graph(&steps);
        (work.slow, work.together) = (true, most);
        run(&graph, &work, jobs, &Cancel::new()).result.unwrap();
        assert_eq!(work.most.load(Ordering::SeqCst), most, "{jobs}");
    }
}

#[test]
fn equal_steps_run_once() {
    let (graph, mut work) = graph(&[("a", None), ("a", None), ("a", None)]);
    work.slow = true;
    let ran = run(&graph, &work, 3, &Cancel::new());
    assert_eq!(ran.result.unwrap().len(), 3);
    assert_eq!(lock(&work.executed).len(), 1);
}

#[test]
fn a_failure_stops_the_others_and_is_the_error() {
    let (graph, mut work) = graph(&[("good", None), ("waits", None), ("fails", Some(0)), ("never", Some(2))]);
    (work.fails, work.waits) = (Some(2), Some(1));
    let outer = Cancel::new();
    let ran = run(&graph, &work, 4, &outer);
    let error = ran.result.unwrap_err();
    assert_eq!(error.to_string(), "it failed");
    assert_eq!(error.place.unwrap().span.first, 3);
    assert_eq!(error.step.unwrap().name, "fails");
    assert!(!outer.is_cancelled(), "the user's switch is not ours to throw");
    assert!(!lock(&work.executed).contains(&3));
    let outcomes: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            Event::VertexDone { outcome, .. } => Some(outcome.clone()),
            _ => None,
        })
        .collect();
    assert!(outcomes.contains(&Outcome::Failed("it failed".to_owned())));
    assert!(outcomes.contains(&Outcome::Canceled));
    assert_eq!(lock(&work.known).len(), 1, "what ended before is kept");
}

#[test]
fn the_user_may_stop_it() {
    let (graph, mut work) = graph(&[("waits", None), ("never", Some(0))]);
    work.waits = Some(0);
    let cancel = Cancel::new();
    let thrown = cancel.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        thrown.cancel();
    });
    let error = run(&graph, &work, 2, &cancel).result.unwrap_err();
    thread.join().unwrap();
    assert!(error.is_cancelled());
}

#[test]
fn some_steps_run_whatever_is_known() {
    let (graph, work) = graph(&[("a", None), ("b!", Some(0))]);
    let cancel = Cancel::new();
    run(&graph, &work, 1, &cancel).result.unwrap();
    let again = run(&graph, &work, 1, &cancel);
    again.result.unwrap();
    assert_eq!(*lock(&work.executed), [0, 1, 1]);
    assert_eq!(again.told[1].reason, Reason::NotAllowed);
}

#[test]
fn early_work_is_done_beside_the_rest() {
    let (graph, work) = graph(&[("a", None), ("early b", Some(0)), ("early c", Some(1))]);
    run(&graph, &work, 1, &Cancel::new()).result.unwrap();
    let mut early = lock(&work.early).clone();
    early.sort_unstable();
    assert_eq!(early, [1, 2]);
}
