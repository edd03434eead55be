//! What becomes of the steps, told in their order: output of one that runs before its turn waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::super::super::render::{FailedLogs, Renderer};
use super::super::said::Said;
use super::steps::{State, Steps};
use crate::progress::{CheckEvent, Event, Outcome, Reporter, VertexId};
use crate::store::Store;

/// Tells a client; or nobody, where only the image's id was asked for.
pub struct Told {
    store: Store,
    said: Option<Said>,
    state: Mutex<Telling>,
}

#[derive(Default)]
struct Telling {
    steps: Steps,
    /// Whose turn it is.
    turn: usize,
    /// Whether its line was told.
    opened: bool,
    vertices: HashMap<VertexId, usize>,
    /// What FROM steps begin with.
    bases: HashMap<usize, String>,
}

impl Told {
    /// Takes whom to tell.
    pub fn new(store: Store, said: Option<Said>) -> Self {
        Self { store, said, state: Mutex::default() }
    }

    /// Takes the steps, and tells the first ones.
    pub fn plan(&self, steps: Steps) {
        let mut state = self.state();
        state.steps = steps;
        self.go_on(&mut state);
        // Base images may take their time.
        self.open(&mut state);
    }

    /// Tells what is left once nothing happens any more; steps of which nothing was heard are not.
    pub fn end(&self) {
        let mut state = self.state();
        while state.turn < state.steps.all.len() {
            let step = &state.steps.all[state.turn];
            if step.works && step.state == State::Waiting {
                state.turn += 1;
                state.opened = false;
                continue;
            }
            self.finish_turn(&mut state);
        }
    }

    fn state(&self) -> MutexGuard<'_, Telling> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, text: String) {
        if let Some(said) = self.said.as_ref().filter(|_| !text.is_empty()) {
            said.stream(text);
        }
    }

    /// Tells steps as far as they are over.
    fn go_on(&self, state: &mut Telling) {
        while let Some(step) = state.steps.all.get(state.turn) {
            match step.state {
                State::Waiting if step.works => return,
                State::Running => return self.open(state),
                _ => self.finish_turn(state),
            }
        }
    }

    /// Tells the line of the step whose turn it is, and what it has said so far.
    fn open(&self, state: &mut Telling) {
        let (turn, total) = (state.turn, state.steps.all.len());
        let Some(step) = state.steps.all.get_mut(turn) else { return };
        if !state.opened {
            self.tell(format!("Step {}/{total} : {}\n", turn + 1, step.text));
            state.opened = true;
        }
        self.tell(text(&mut step.pending));
    }

    fn finish_turn(&self, state: &mut Telling) {
        self.open(state);
        let step = &mut state.steps.all[state.turn];
        // What is no text to its end is told as far as it is.
        self.tell(String::from_utf8_lossy(&std::mem::take(&mut step.pending)).into_owned());
        if step.state == State::Cached {
            self.tell(" ---> Using cache\n".to_owned());
        }
        let base = state.bases.get(&state.turn);
        if let Some(image) = base.and_then(|name| self.store.find_image(name, None).ok()) {
            self.tell(format!(" ---> {}\n", image.id.short()));
        }
        state.turn += 1;
        state.opened = false;
    }

    /// Notes which step a vertex is.
    fn meet(&self, id: VertexId, name: &str, now: State) {
        let mut state = self.state();
        let Some(at) = state.steps.find(name) else { return };
        state.vertices.insert(id, at);
        if let Some((_, base)) = name.split_once("] FROM ") {
            state.bases.insert(at, base.trim().to_owned());
        }
        // A step of several vertices is as the last one of them.
        state.steps.all[at].state = now;
        self.go_on(&mut state);
    }
}

impl Reporter for Told {
    fn report(&self, event: Event) {
        match event {
            Event::VertexStarted { id, name, .. } => self.meet(id, &name, State::Running),
            Event::VertexCached { id, name } => self.meet(id, &name, State::Cached),
            Event::VertexLog { id, data, .. } => {
                let mut state = self.state();
                let Some(at) = state.vertices.get(&id).copied() else { return };
                state.steps.all[at].pending.extend(data);
                if at == state.turn {
                    self.open(&mut state);
                }
            }
            Event::VertexDone { id, outcome: Outcome::Done, .. } => {
                let mut state = self.state();
                let Some(at) = state.vertices.get(&id).copied() else { return };
                state.steps.all[at].state = State::Done;
                self.go_on(&mut state);
            }
            Event::Warning { message, .. } => self.tell(format!("[Warning] {message}\n")),
            _ => {}
        }
    }
}

impl Renderer for Told {
    fn finish(&self) {}

    fn checks(&self) -> Vec<CheckEvent> {
        Vec::new()
    }

    fn failed_logs(&self) -> Option<FailedLogs> {
        None
    }
}

/// Takes what is text; the beginning of a character waits for its end.
fn text(bytes: &mut Vec<u8>) -> String {
    let end = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(_) => bytes.len(),
    };
    let rest = bytes.split_off(end);
    String::from_utf8_lossy(&std::mem::replace(bytes, rest)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut() {
        let mut bytes = "a\u{e9}".as_bytes()[..2].to_vec();
        assert_eq!((text(&mut bytes).as_str(), bytes.len()), ("a", 1));
        bytes.push(0xa9);
        assert_eq!((text(&mut bytes).as_str(), bytes.len()), ("\u{e9}", 0));
        let mut broken = b"\xffx".to_vec();
        assert_eq!((text(&mut broken).as_str(), broken.len()), ("\u{fffd}x", 0));
    }
}
