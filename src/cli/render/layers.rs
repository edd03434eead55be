//! Layers on their way from and to a registry, in docker's words: a line a state, or a live line a layer.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::human;
use crate::progress::{Event, NullReporter, Reporter, TransferId, TransferState};

/// Width of docker's bar.
const BAR: usize = 50;

/// Where the lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// Standard output, as `pull` and `push` have it.
    Stdout,
    /// Standard error, as `run` has it.
    Stderr,
}

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a registry.
    Down,
    /// To a registry.
    Up,
}

/// Returns a reporter for layers on their way; a quiet one says nothing.
pub fn layers(out: Out, way: Way, quiet: bool) -> Arc<dyn Reporter> {
    if quiet {
        return Arc::new(NullReporter);
    }
    let (terminal, target) = match out {
        Out::Stdout => (std::io::stdout().is_terminal(), ProgressDrawTarget::stdout_with_hz(10)),
        Out::Stderr => (std::io::stderr().is_terminal(), ProgressDrawTarget::stderr_with_hz(10)),
    };
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    if !terminal || dumb {
        return Arc::new(Lines(out));
    }
    let all = MultiProgress::with_draw_target(target);
    Arc::new(Live { way, all, lines: Mutex::default() })
}

/// Returns docker's word for a state; none where it says nothing.
fn words(state: &TransferState) -> String {
    match state {
        TransferState::Planned => "Pulling fs layer".to_owned(),
        TransferState::Waiting => "Waiting".to_owned(),
        TransferState::Fetched => "Download complete".to_owned(),
        TransferState::Unpacking => "Extracting".to_owned(),
        TransferState::Pulled => "Pull complete".to_owned(),
        TransferState::Exists => "Already exists".to_owned(),
        TransferState::Preparing => "Preparing".to_owned(),
        TransferState::Pushed => "Pushed".to_owned(),
        TransferState::ExistsThere => "Layer already exists".to_owned(),
        TransferState::Mounted(from) => format!("Mounted from {}", super::clean::name(from)),
    }
}

/// A line for each state.
struct Lines(Out);

impl Reporter for Lines {
    fn report(&self, event: Event) {
        let Event::TransferState { label, state, .. } = event else { return };
        // What only a bar would show of it.
        if state == TransferState::Unpacking {
            return;
        }
        let line = format!("{label}: {}\n", words(&state));
        // There is nowhere to say that this failed; the command's own output will fail as well.
        let _ = match self.0 {
            Out::Stdout => std::io::stdout().lock().write_all(line.as_bytes()),
            Out::Stderr => std::io::stderr().lock().write_all(line.as_bytes()),
        };
    }
}

/// A line for each layer, drawn over.
struct Live {
    way: Way,
    all: MultiProgress,
    lines: Mutex<HashMap<TransferId, Line>>,
}

struct Line {
    bar: ProgressBar,
    label: String,
    total: Option<u64>,
    begun: Instant,
    /// Bytes that were there when it began.
    first: Option<u64>,
}

impl Line {
    fn show(&self, text: &str) {
        self.bar.set_message(format!("{}: {text}", self.label));
    }

    fn moving(&mut self, verb: &str, done: u64) {
        let first = *self.first.get_or_insert(done);
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let speed = human::size((done.saturating_sub(first) as f64 / seconds) as u64);
        let text = match self.total.filter(|total| *total > 0) {
            Some(total) => {
                let done = done.min(total);
                let bar = bar(done, total);
                format!("{verb}  {bar}  {}/{}  {speed}/s", human::size(done), human::size(total))
            }
            None => format!("{verb}  {}  {speed}/s", human::size(done)),
        };
        self.show(&text);
    }
}

fn bar(done: u64, total: u64) -> String {
    let filled = (done as f64 / total as f64 * BAR as f64) as usize;
    let head = if filled < BAR { ">" } else { "" };
    format!("[{}{head}{}]", "=".repeat(filled), " ".repeat(BAR - filled - head.len()))
}

impl Live {
    fn with(&self, id: TransferId, label: &str, change: impl FnOnce(&mut Line)) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(id).or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template is fixed");
            let bar = self.all.add(ProgressBar::new(0).with_style(style));
            Line { bar, label: super::clean::name(label), total: None, begun: Instant::now(), first: None }
        });
        change(line);
    }
}

impl Reporter for Live {
    fn report(&self, event: Event) {
        match event {
            Event::TransferState { id, label, state } => self.with(id, &label, |line| {
                line.show(&words(&state));
            }),
            Event::TransferStarted { id, label, total } => self.with(id, &label, |line| {
                line.total = total;
                line.begun = Instant::now();
            }),
            Event::TransferProgress { id, done } => {
                let verb = if self.way == Way::Down { "Downloading" } else { "Pushing" };
                self.with(id, "", |line| line.moving(verb, done));
            }
            _ => {}
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        for line in self.lines.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            line.bar.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_wide_as_dockers() {
        assert_eq!(bar(0, 10), format!("[>{}]", " ".repeat(49)));
        assert_eq!(bar(5, 10), format!("[{}>{}]", "=".repeat(25), " ".repeat(24)));
        assert_eq!(bar(10, 10), format!("[{}]", "=".repeat(50)));
    }
}
