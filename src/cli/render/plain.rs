//! BuildKit-like lines: `#N NAME`, `#N 0.123 output`, `#N CACHED`, `#N DONE 0.1s`.

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clean;
use super::tail::{Change, FailedLogs, Steps};
use super::{Look, Renderer};
use crate::progress::{CheckEvent, Event, Outcome, Reporter, VertexId};

/// Writes lines.
pub struct Plain<W: Write + Send> {
    state: Mutex<State<W>>,
}

struct State<W> {
    out: W,
    steps: Steps,
    /// The step whose block is being written.
    current: Option<VertexId>,
    warnings: usize,
    look: Look,
}

impl<W: Write + Send> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W, look: Look) -> Self {
        Self { state: Mutex::new(State { out, steps: Steps::default(), current: None, warnings: 0, look }) }
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> W {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).out
    }
}

impl<W: Write> State<W> {
    /// Writes a step's lines; output that switches between steps says so.
    fn block(&mut self, id: VertexId, lines: &[String], ends: bool) {
        let mut text = String::new();
        if let Some(other) = self.current.filter(|other| *other != id) {
            text.push_str(&format!("#{other} ...\n\n"));
        }
        if self.current != Some(id)
            && let Some(step) = self.steps.steps.get(&id)
        {
            text.push_str(&format!("#{id} {}\n", self.look.name(&clean::name(&step.name))));
        }
        for line in lines {
            text.push_str(&format!("#{id} {line}\n"));
        }
        if ends {
            text.push('\n');
        }
        self.current = (!ends).then_some(id);
        // There is nowhere to say that standard error is gone.
        let _ = self.out.write_all(text.as_bytes());
    }

    fn change(&mut self, change: Change) {
        match change {
            // Beside another step's output a step is announced with what it says first, or with its end.
            Change::Started(id) if self.current.is_none() => self.block(id, &[], false),
            Change::Cached(id) => self.block(id, &["CACHED".to_owned()], true),
            Change::Lines(id, lines) if !lines.is_empty() => self.block(id, &logged(&lines), false),
            Change::Status(id, text, true) => {
                self.block(id, &[format!("{} done", clean::name(&text))], false)
            }
            Change::Ended(id, rest) => {
                let mut lines = logged(&rest);
                if let Some((step, (_, outcome))) =
                    self.steps.steps.get(&id).and_then(|step| step.ended.as_ref().map(|end| (step, end)))
                {
                    let seconds = step.duration(step.started).as_secs_f64();
                    lines.push(match outcome {
                        Outcome::Done => format!("DONE {seconds:.1}s"),
                        Outcome::Failed(why) => format!("ERROR: {}", clean::name(why)),
                        Outcome::Canceled => "CANCELED".to_owned(),
                    });
                }
                self.block(id, &lines, true);
            }
            Change::Check(id, short) => {
                self.block(id, &[format!("WARN: {}", clean::name(&short))], false);
            }
            Change::Warning(id, message) => {
                self.warnings += 1;
                match id {
                    Some(id) => self.block(id, &[format!("WARN: {}", clean::name(&message))], false),
                    None => {
                        let _ = writeln!(self.out, "WARNING: {}", clean::name(&message));
                    }
                }
            }
            _ => {}
        }
    }
}

fn logged(lines: &[(Duration, Vec<u8>)]) -> Vec<String> {
    lines.iter().map(|(at, line)| format!("{:.3} {}", at.as_secs_f64(), clean::line(line, false))).collect()
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn report(&self, event: Event) {
        let mut state = self.state();
        let change = state.steps.apply(event);
        state.change(change);
    }
}

impl<W: Write + Send> Renderer for Plain<W> {
    fn finish(&self) {
        let mut state = self.state();
        if state.current.take().is_some() {
            let _ = state.out.write_all(b"\n");
        }
        let _ = state.out.flush();
    }

    fn checks(&self) -> Vec<CheckEvent> {
        self.state().steps.checks.clone()
    }

    fn failed_logs(&self) -> Option<FailedLogs> {
        self.state().steps.failed_logs()
    }
}
