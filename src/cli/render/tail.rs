//! Lines of steps: cut from chunks of output, the last ones remembered for a failure.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use crate::progress::{CheckEvent, Event, Outcome, Stream, VertexId};

/// Lines of a failed step that are shown again.
const KEPT: usize = 10;
/// Bytes of one step's output that are shown.
const MAX_OUTPUT: usize = 2 << 20;
/// Bytes after which an unfinished line is cut.
const MAX_LINE: usize = 64 << 10;

/// A failed step and the last of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedLogs {
    /// Its line.
    pub name: String,
    /// Seconds since its start, and the text.
    pub lines: Vec<String>,
}

/// What is known of a step.
#[derive(Debug)]
pub struct Step {
    /// Its line.
    pub name: String,
    /// When it began.
    pub started: SystemTime,
    /// How it ended, and when.
    pub ended: Option<(SystemTime, Outcome)>,
    /// Whether it was answered from the cache.
    pub cached: bool,
    partial: HashMap<Stream, Vec<u8>>,
    shown: usize,
    /// The last lines, with their times.
    pub last: VecDeque<(Duration, Vec<u8>)>,
}

impl Step {
    /// Returns a step that begins.
    pub fn new(name: &str, started: SystemTime) -> Self {
        Self {
            name: name.to_owned(),
            started,
            ended: None,
            cached: false,
            partial: HashMap::new(),
            shown: 0,
            last: VecDeque::new(),
        }
    }

    /// Returns the time that it has taken so far, or took.
    pub fn duration(&self, now: SystemTime) -> Duration {
        let end = self.ended.as_ref().map_or(now, |(at, _)| *at);
        end.duration_since(self.started).unwrap_or_default()
    }

    /// Takes output and returns the whole lines in it.
    pub fn output(&mut self, stream: Stream, data: &[u8], at: SystemTime) -> Vec<(Duration, Vec<u8>)> {
        let partial = self.partial.entry(stream).or_default();
        let mut lines = Vec::new();
        for piece in data.split_inclusive(|c| *c == b'\n') {
            partial.extend_from_slice(piece);
            if partial.last() == Some(&b'\n') {
                partial.pop();
                lines.push(std::mem::take(partial));
            }
        }
        if partial.len() > MAX_LINE {
            lines.push(std::mem::take(partial));
        }
        self.keep(lines, at)
    }

    /// Returns what is left of unfinished lines at the end.
    pub fn rest(&mut self, at: SystemTime) -> Vec<(Duration, Vec<u8>)> {
        let rest: Vec<Vec<u8>> =
            self.partial.drain().map(|(_, line)| line).filter(|line| !line.is_empty()).collect();
        self.keep(rest, at)
    }

    fn keep(&mut self, lines: Vec<Vec<u8>>, at: SystemTime) -> Vec<(Duration, Vec<u8>)> {
        let since = at.duration_since(self.started).unwrap_or_default();
        let mut shown = Vec::new();
        for line in lines {
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back((since, line.clone()));
            let before = self.shown;
            self.shown += line.len() + 1;
            if self.shown <= MAX_OUTPUT {
                shown.push((since, line));
            } else if before <= MAX_OUTPUT {
                shown.push((since, b"[output clipped, log limit 2MiB reached]".to_vec()));
            }
        }
        shown
    }

    /// Returns the last lines as they are shown after a failure.
    pub fn failed(&self) -> FailedLogs {
        let lines = self.last.iter();
        FailedLogs {
            name: self.name.clone(),
            lines: lines
                .map(|(at, line)| format!("{:.3} {}", at.as_secs_f64(), super::clean::line(line, false)))
                .collect(),
        }
    }
}

/// All steps of a build, fed by its events.
#[derive(Debug, Default)]
pub struct Steps {
    /// By number.
    pub steps: std::collections::BTreeMap<VertexId, Step>,
    /// How many there will be.
    pub total: usize,
    /// The one that failed.
    pub failed: Option<VertexId>,
    /// What build checks found.
    pub checks: Vec<CheckEvent>,
}

/// What an event changed.
#[derive(Debug, PartialEq)]
pub enum Change {
    /// A step began.
    Started(VertexId),
    /// A step was answered from the cache.
    Cached(VertexId),
    /// A step said whole lines.
    Lines(VertexId, Vec<(Duration, Vec<u8>)>),
    /// A part of a step began or ended.
    Status(VertexId, String, bool),
    /// A step ended; lines that were not finished come with it.
    Ended(VertexId, Vec<(Duration, Vec<u8>)>),
    /// A build check found something.
    Check(VertexId, String),
    /// A warning.
    Warning(Option<VertexId>, String),
    /// Nothing to show.
    Nothing,
}

impl Steps {
    /// Takes an event.
    pub fn apply(&mut self, event: Event) -> Change {
        match event {
            Event::Planned { total } => {
                self.total = total;
                Change::Nothing
            }
            Event::VertexStarted { id, name, at } => {
                self.steps.insert(id, Step::new(&name, at));
                Change::Started(id)
            }
            Event::VertexCached { id, name } => {
                let now = SystemTime::now();
                let mut step = Step::new(&name, now);
                (step.cached, step.ended) = (true, Some((now, Outcome::Done)));
                self.steps.insert(id, step);
                Change::Cached(id)
            }
            Event::VertexLog { id, stream, data, at } => match self.steps.get_mut(&id) {
                Some(step) => Change::Lines(id, step.output(stream, &data, at)),
                None => Change::Nothing,
            },
            Event::VertexStatus { id, text, done } => Change::Status(id, text, done),
            Event::VertexDone { id, at, outcome } => {
                if matches!(outcome, Outcome::Failed(_)) {
                    self.failed.get_or_insert(id);
                }
                match self.steps.get_mut(&id) {
                    Some(step) => {
                        let rest = step.rest(at);
                        step.ended = Some((at, outcome));
                        Change::Ended(id, rest)
                    }
                    None => Change::Nothing,
                }
            }
            Event::Warning { vertex, message } => Change::Warning(vertex, message),
            Event::Check(check) => {
                let change = Change::Check(check.vertex, check.short.clone());
                self.checks.push(*check);
                change
            }
            Event::TransferStarted { .. }
            | Event::TransferProgress { .. }
            | Event::TransferState { .. }
            | Event::TransferDone { .. } => Change::Nothing,
        }
    }

    /// Returns the failed step's last output.
    pub fn failed_logs(&self) -> Option<FailedLogs> {
        self.steps.get(&self.failed?).map(Step::failed)
    }
}
