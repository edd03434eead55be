//! What is happening, as plain data: one event stream from every stage to whoever renders it.
//!
//! The core never prints. It reports [`Event`]s; renderers (plain lines, a live
//! terminal, JSON lines) live in `cli`. Events own their data, so that a
//! recorded stream replays through any renderer.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::image::Digest;

/// A step of a build, or another unit of work with a line of its own; numbered from 1 in order of appearance.
pub type VertexId = u32;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The build knows its steps: `total` vertices will be reported.
    Planned {
        /// Number of vertices that may run.
        total: usize,
    },
    /// A vertex begins.
    VertexStarted {
        /// Which one.
        id: VertexId,
        /// Its line, e.g. `[build 2/3] RUN make`.
        name: String,
        /// When.
        at: SystemTime,
    },
    /// A vertex was answered from the cache; no start precedes it.
    VertexCached {
        /// Which one.
        id: VertexId,
        /// Its line.
        name: String,
    },
    /// Output of a vertex: bytes as they came, maybe not whole lines.
    VertexLog {
        /// Which one.
        id: VertexId,
        /// Where they were written.
        stream: Stream,
        /// The bytes.
        data: Vec<u8>,
        /// When.
        at: SystemTime,
    },
    /// Something inside a vertex with a duration of its own, e.g. `exporting layers`.
    VertexStatus {
        /// Which one.
        id: VertexId,
        /// Its text.
        text: String,
        /// Whether it is over.
        done: bool,
    },
    /// A vertex ended.
    VertexDone {
        /// Which one.
        id: VertexId,
        /// When.
        at: SystemTime,
        /// How.
        outcome: Outcome,
    },
    /// Something a user should know that stops nothing.
    Warning {
        /// The vertex it belongs to.
        vertex: Option<VertexId>,
        /// One sentence, docker's wording where it has one.
        message: String,
    },
    /// A build check found something.
    Check(Box<CheckEvent>),
    /// Bytes of a blob begin to move.
    TransferStarted {
        /// What moves; unique among the running transfers.
        id: TransferId,
        /// What to show, e.g. a short digest or a file name.
        label: String,
        /// Number of bytes, if known.
        total: Option<u64>,
    },
    /// Bytes of a blob have moved.
    TransferProgress {
        /// Which transfer.
        id: TransferId,
        /// Bytes moved so far.
        done: u64,
    },
    /// A transfer enters a new state; only transfers with a registry say so.
    TransferState {
        /// Which transfer.
        id: TransferId,
        /// What to show of it, e.g. a short digest.
        label: String,
        /// The state.
        state: TransferState,
    },
    /// A transfer is over.
    TransferDone {
        /// Which transfer.
        id: TransferId,
        /// Whether nothing had to move because it was there.
        skipped: bool,
    },
}

/// What a build check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckEvent {
    /// The vertex that read the file.
    pub vertex: VertexId,
    /// `RULE: MESSAGE (line N)`
    pub short: String,
    /// What the rule is about.
    pub detail: String,
    /// The page about the rule; empty where there is none.
    pub url: String,
    /// The file's name.
    pub file: String,
    /// The file's text.
    pub text: Arc<str>,
    /// The lines with their surroundings.
    pub excerpt: String,
    /// First and last line.
    pub lines: (u32, u32),
}

/// What becomes of a blob on its way from or to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferState {
    /// It will be fetched.
    Planned,
    /// It will be fetched when others are done.
    Waiting,
    /// All of it came.
    Fetched,
    /// It is being unpacked.
    Unpacking,
    /// It was fetched and is a layer now.
    Pulled,
    /// It is here already.
    Exists,
    /// It will be sent.
    Preparing,
    /// It was sent.
    Pushed,
    /// The registry has it already.
    ExistsThere,
    /// The registry took it over from another of its repositories.
    Mounted(String),
}

/// Which transfer an event speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferId {
    /// A blob.
    Blob(Digest),
    /// Something without a digest yet, numbered by the reporter's caller.
    Number(u64),
}

/// Where output was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a vertex ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should.
    Done,
    /// It failed; the text is the error's first line.
    Failed(String),
    /// It was stopped because another one failed or the user interrupted.
    Canceled,
}

/// Receives events, from any thread.
pub trait Reporter: Send + Sync {
    /// Takes one event; must not block for long.
    fn report(&self, event: Event);
}

/// Drops every event.
#[derive(Debug, Default, Clone, Copy)]
pub struct NullReporter;

impl Reporter for NullReporter {
    fn report(&self, _: Event) {}
}

/// Keeps every event, for tests and replay.
#[derive(Debug, Default)]
pub struct RecordingReporter(Mutex<Vec<Event>>);

impl RecordingReporter {
    /// Returns the events so far, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().expect("no reporter panics while it holds the lock").clone()
    }
}

impl Reporter for RecordingReporter {
    fn report(&self, event: Event) {
        self.0.lock().expect("no reporter panics while it holds the lock").push(event);
    }
}
