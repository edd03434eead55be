//! Running the builds of a bake: at once, but each after those whose results it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::super::build::{Ended, Session, run_in};
use super::super::error::CliError;
use super::super::global::Global;
use super::super::render::{Mode, Renderer};
use super::super::{files, signals};
use super::args::BakeArgs;
use super::command::TargetBuild;
use super::reporter::{Numbers, TargetReporter};
use super::results::Results;
use super::{DEFINITIONS, json};
use crate::builder::Cancel;

/// Builds that run at once; each runs as many steps at once as the machine bears.
const MAX_AT_ONCE: usize = 8;

/// What the builds share.
struct Bake<'a> {
    global: &'a Global,
    mode: Mode,
    renderer: &'a dyn Renderer,
    numbers: Numbers,
    cancel: Cancel,
    results: Results,
    prefixes: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<TargetBuild>,
    done: BTreeSet<String>,
    running: usize,
    failed: Option<CliError>,
    code: u8,
    metadata: BTreeMap<String, serde_json::Value>,
}

/// Runs the builds and returns the exit code.
pub fn run(
    builds: Vec<TargetBuild>,
    args: &BakeArgs,
    mode: Mode,
    renderer: Arc<dyn Renderer>,
    global: &Global,
) -> Result<ExitCode, CliError> {
    if let Some(path) = &args.metadata_file {
        files::remove(path)?;
    }
    let store = global.store()?;
    let lease = store.lease()?;
    let cancel = Cancel::new();
    let stop = cancel.clone();
    signals::on_first(move || stop.cancel())?;
    let count = builds.len();
    let bake = Bake {
        global,
        mode,
        renderer: &*renderer,
        numbers: Numbers::after(DEFINITIONS),
        cancel,
        results: Results::default(),
        prefixes: count > 1,
        state: Mutex::new(State { waiting: builds, ..State::default() }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..count.min(MAX_AT_ONCE) {
            scope.spawn(|| bake.work());
        }
    });
    renderer.finish();
    drop(lease);
    let state = bake.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = state.failed {
        return Err(error);
    }
    if let Some(path) = &args.metadata_file {
        write_metadata(path, state.metadata)?;
    }
    Ok(ExitCode::from(state.code))
}

impl Bake<'_> {
    /// Takes builds that are ready until none is left.
    fn work(&self) {
        while let Some(build) = self.next() {
            let ended = self.build(&build);
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.running -= 1;
            match ended {
                Ok(Ended::Answered(code)) => state.code = state.code.max(code),
                Ok(Ended::Built(built)) => {
                    let document = serde_json::from_str(&built.metadata).unwrap_or_default();
                    state.metadata.insert(build.name.clone(), document);
                    self.results.add(&build.name, built.images);
                }
                Err(error) => {
                    // What is stopped because of it says nothing new.
                    if state.failed.is_none() {
                        state.failed = Some(named(error, &build.name));
                    }
                    self.cancel.cancel();
                }
            }
            state.done.insert(build.name);
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<TargetBuild> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.failed.is_some() || state.waiting.is_empty() {
                return None;
            }
            let ready = state
                .waiting
                .iter()
                .position(|build| build.needs.iter().all(|other| state.done.contains(other)));
            match ready {
                Some(index) => {
                    state.running += 1;
                    return Some(state.waiting.remove(index));
                }
                // The plan has no cycles, so what it waits for runs.
                None if state.running == 0 => return None,
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn build(&self, build: &TargetBuild) -> Result<Ended, CliError> {
        let prefix = self.prefixes.then(|| build.name.clone());
        let reporter = TargetReporter::new(self.renderer, &self.numbers, prefix);
        let session = Session {
            renderer: &reporter,
            own: None,
            mode: self.mode,
            cancel: &self.cancel,
            begin: &|| Ok(()),
            dockerfile: build.dockerfile.clone(),
            context: Mutex::default(),
            on_source: &|_| {},
            results: Some(&self.results),
        };
        run_in(&build.args, build.call, self.global, &session)
    }
}

/// The error with its target, in docker's words.
fn named(error: CliError, target: &str) -> CliError {
    let text = match error.text.rfind("ERROR: ") {
        Some(at) => {
            let (lines, message) = error.text.split_at(at);
            let message = message.trim_start_matches("ERROR: ").trim_start_matches("failed to build: ");
            format!("{lines}ERROR: target {target}: {message}")
        }
        None => format!("ERROR: target {target}: {}", error.text),
    };
    CliError { text, ..error }
}

fn write_metadata(path: &Path, targets: BTreeMap<String, serde_json::Value>) -> Result<(), CliError> {
    let all: serde_json::Map<_, _> = targets.into_iter().collect();
    files::write(path, json::pretty(&serde_json::Value::Object(all)).as_bytes())
}
