//! Layers on their way from and to a registry, in docker's words: a line a state, or a live line a layer.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::super::human;
use crate::progress::{Event, NullReporter, Reporter, TransferId, TransferState};

/// Widths of docker's bar: the usual one, and the least that is worth its place.
const BAR: usize = 50;
const LEAST_BAR: usize = 8;

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
    let term = match out {
        Out::Stdout => console::Term::stdout(),
        Out::Stderr => console::Term::stderr(),
    };
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    if !term.is_term() || dumb {
        return Arc::new(Lines(out));
    }
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::term(term.clone(), 10));
    Arc::new(Live { way, term, all, lines: Mutex::default() })
}

/// Returns docker's word for a state.
pub fn state_words(state: &TransferState) -> String {
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
        let line = format!("{label}: {}\n", state_words(&state));
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
    term: console::Term,
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
    /// Shows as much as fits: a line that became two would leave its first one behind.
    fn show(&self, text: &str, width: usize) {
        let whole = format!("{}: {text}", self.label);
        self.bar.set_message(whole.chars().take(width.saturating_sub(1)).collect::<String>());
    }

    fn moving(&mut self, verb: &str, done: u64, width: usize) {
        let first = *self.first.get_or_insert(done);
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let speed = (done.saturating_sub(first) as f64 / seconds) as u64;
        let room = width.saturating_sub(self.label.len() + 3);
        self.show(&moved(verb, done, self.total, speed, room), width);
    }
}

/// What is said of a layer on its way: as much of it as there is room for.
fn moved(verb: &str, done: u64, total: Option<u64>, speed: u64, room: usize) -> String {
    let speed = format!("{}/s", human::transferred(speed));
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{verb}  {}  {speed}", human::transferred(done));
    };
    let done = done.min(total);
    let numbers = format!("{}/{}", human::transferred(done), human::transferred(total));
    let rest = verb.len() + 2 + 2 + 2 + numbers.len() + 2 + speed.len();
    match room.saturating_sub(rest).min(BAR) {
        width @ LEAST_BAR.. => format!("{verb}  {}  {numbers}  {speed}", bar(done, total, width)),
        _ => format!("{verb}  {numbers}  {speed}"),
    }
}

/// Returns what docker's service says of bytes that move, for clients that draw nothing themselves.
pub fn progress_bar(done: u64, total: u64) -> String {
    if total == 0 {
        return human::transferred(done);
    }
    let done = done.min(total);
    let numbers = format!("{}/{}", human::transferred(done), human::transferred(total));
    format!("{}  {numbers}", bar(done, total, BAR))
}

fn bar(done: u64, total: u64, width: usize) -> String {
    let filled = (done as f64 / total as f64 * width as f64) as usize;
    let head = if filled < width { ">" } else { "" };
    format!("[{}{head}{}]", "=".repeat(filled), " ".repeat(width - filled - head.len()))
}

impl Live {
    fn width(&self) -> usize {
        usize::from(self.term.size().1)
    }

    /// Changes a line that is there: what has no state, such as an image's config, has none.
    fn with(&self, id: TransferId, change: impl FnOnce(&mut Line)) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&id) {
            change(line);
        }
    }

    fn state(&self, id: TransferId, label: &str, state: &TransferState) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(id).or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg}").expect("the template is fixed");
            let bar = self.all.add(ProgressBar::new(0).with_style(style));
            Line { bar, label: super::clean::name(label), total: None, begun: Instant::now(), first: None }
        });
        line.show(&state_words(state), self.width());
    }
}

impl Reporter for Live {
    fn report(&self, event: Event) {
        match event {
            Event::TransferState { id, label, state } => self.state(id, &label, &state),
            Event::TransferStarted { id, total, .. } => self.with(id, |line| {
                line.total = total;
                line.begun = Instant::now();
                line.first = None;
            }),
            Event::TransferProgress { id, done } => {
                let verb = if self.way == Way::Down { "Downloading" } else { "Pushing" };
                let width = self.width();
                self.with(id, |line| line.moving(verb, done, width));
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
        assert_eq!(bar(0, 10, BAR), format!("[>{}]", " ".repeat(49)));
        assert_eq!(bar(5, 10, BAR), format!("[{}>{}]", "=".repeat(25), " ".repeat(24)));
        assert_eq!(bar(10, 10, BAR), format!("[{}]", "=".repeat(50)));
    }

    #[test]
    fn a_line_fits_its_terminal() {
        let text = |room| moved("Downloading", 8_608_000, Some(26_690_000), 12_340_000, room);
        let numbers = "8.608MB/26.69MB  12.34MB/s";
        assert_eq!(text(200), format!("Downloading  [{}>{}]  {numbers}", "=".repeat(16), " ".repeat(33)));
        assert_eq!(text(60), format!("Downloading  [{}>{}]  {numbers}", "=".repeat(5), " ".repeat(11)));
        assert_eq!(text(60).len(), 60);
        assert_eq!(text(50), format!("Downloading  {numbers}"));
        assert_eq!(moved("Pushing", 5, None, 1, 200), "Pushing  5B  1B/s");
    }
}
