//! The events of several builds in one view: numbers of their own, names with the target's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::super::render::{FailedLogs, Renderer};
use crate::progress::{CheckEvent, Event, Reporter, VertexId};

/// Numbers that all builds share.
#[derive(Debug)]
pub struct Numbers {
    next: Mutex<VertexId>,
    planned: Mutex<usize>,
}

impl Numbers {
    /// Begins after the vertices that were reported already.
    pub fn after(last: VertexId) -> Self {
        Self { next: Mutex::new(last + 1), planned: Mutex::new(0) }
    }
}

/// The view of one build.
pub struct TargetReporter<'a> {
    inner: &'a dyn Renderer,
    numbers: &'a Numbers,
    /// The target's name when there are several.
    prefix: Option<String>,
    known: Mutex<HashMap<VertexId, VertexId>>,
}

impl<'a> TargetReporter<'a> {
    /// Shows a build in a shared view.
    pub fn new(inner: &'a dyn Renderer, numbers: &'a Numbers, prefix: Option<String>) -> Self {
        Self { inner, numbers, prefix, known: Mutex::default() }
    }

    fn number(&self, id: VertexId) -> VertexId {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(id).or_insert_with(|| {
            let mut next = self.numbers.next.lock().unwrap_or_else(PoisonError::into_inner);
            *next += 1;
            *next - 1
        })
    }

    /// `[stage 1/2] RUN` becomes `[target stage 1/2] RUN`.
    fn named(&self, name: String) -> String {
        match (&self.prefix, name.strip_prefix('[')) {
            (None, _) => name,
            (Some(prefix), Some(rest)) => format!("[{prefix} {rest}"),
            (Some(prefix), None) => format!("[{prefix}] {name}"),
        }
    }
}

impl Reporter for TargetReporter<'_> {
    fn report(&self, mut event: Event) {
        match &mut event {
            Event::Planned { total } => {
                let mut planned = self.numbers.planned.lock().unwrap_or_else(PoisonError::into_inner);
                *planned += *total;
                *total = *planned;
            }
            Event::VertexStarted { id, name, .. } | Event::VertexCached { id, name } => {
                *id = self.number(*id);
                *name = self.named(std::mem::take(name));
            }
            Event::VertexLog { id, .. } | Event::VertexStatus { id, .. } | Event::VertexDone { id, .. } => {
                *id = self.number(*id);
            }
            Event::Warning { vertex, .. } => *vertex = vertex.map(|id| self.number(id)),
            _ => {}
        }
        self.inner.report(event);
    }
}

impl Renderer for TargetReporter<'_> {
    /// The view ends when all builds have.
    fn finish(&self) {}

    fn checks(&self) -> Vec<CheckEvent> {
        Vec::new()
    }

    fn failed_logs(&self) -> Option<FailedLogs> {
        self.inner.failed_logs()
    }
}
