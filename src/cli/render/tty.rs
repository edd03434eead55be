//! A live view: a line per step with its time, the tail of what the running ones say.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use super::clean;
use super::tail::{Change, FailedLogs, Step, Steps};
use super::{Look, Renderer};
use crate::cli::signals;
use crate::cli::table::{ellipsis, width};
use crate::progress::{CheckEvent, Event, Outcome, Reporter};

/// Draws frames over each other.
pub struct Tty {
    state: Mutex<State>,
    over: AtomicBool,
    look: Look,
}

struct State {
    steps: Steps,
    began: SystemTime,
    /// Lines of the last frame, to be drawn over.
    drawn: usize,
    warnings: Vec<String>,
}

impl Tty {
    /// Starts drawing; a thread draws until the view is finished or forgotten.
    pub fn start(look: Look) -> Arc<Self> {
        let pause = look.frame;
        let state =
            State { steps: Steps::default(), began: SystemTime::now(), drawn: 0, warnings: Vec::new() };
        let tty = Arc::new(Self { state: Mutex::new(state), over: AtomicBool::new(false), look });
        let weak: Weak<Self> = Arc::downgrade(&tty);
        let drawing = signals::beside("progress", move || {
            while let Some(tty) = weak.upgrade() {
                if tty.over.load(Ordering::Acquire) {
                    break;
                }
                tty.draw(false);
                drop(tty);
                std::thread::sleep(pause);
            }
        });
        // Without the thread the view is drawn once, at the end.
        drop(drawing);
        tty
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self, last: bool) {
        let mut state = self.state();
        if self.over.load(Ordering::Acquire) && !last {
            return;
        }
        let (rows, columns) = console::Term::stderr().size();
        let (rows, columns) = (usize::from(rows).max(5), usize::from(columns).max(20));
        let mut lines = frame(&state, SystemTime::now(), columns, &self.look, last);
        if !last && lines.len() + 1 > rows {
            // The head and the newest lines; a terminal can't be drawn over beyond its top.
            let cut = lines.len() + 1 - rows;
            lines.drain(1..=cut);
        }
        let mut text = String::new();
        if state.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", state.drawn));
        }
        text.push_str("\x1b[?25l");
        for line in &lines {
            text.push_str(&format!("\r\x1b[2K{line}\n"));
        }
        text.push_str("\x1b[J\x1b[?25h");
        state.drawn = lines.len();
        let mut out = std::io::stderr().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// Returns the lines of a frame.
fn frame(state: &State, now: SystemTime, columns: usize, look: &Look, last: bool) -> Vec<String> {
    let steps = &state.steps.steps;
    let done = steps.values().filter(|step| step.ended.is_some()).count();
    let total = state.steps.total.max(steps.len());
    let elapsed = now.duration_since(state.began).unwrap_or_default().as_secs_f64();
    let ending = if last { " FINISHED" } else { "" };
    let mut lines = vec![format!("[+] Building {elapsed:.1}s ({done}/{total}){ending}")];
    for step in steps.values() {
        lines.push(step_line(step, now, columns, look));
        let running = step.ended.is_none();
        if running && !last {
            let tail: Vec<_> = step.last.iter().rev().take(look.tail).collect();
            for (_, line) in tail.into_iter().rev() {
                let line = format!(" => => # {}", clean::line(line, false).replace('\t', "    "));
                lines.push(painted(&ellipsis(&line, columns - 1), "2", look));
            }
        }
    }
    lines.extend(
        state.warnings.iter().map(|warning| painted(&format!("WARNING: {warning}"), &look.warning, look)),
    );
    lines
}

fn step_line(step: &Step, now: SystemTime, columns: usize, look: &Look) -> String {
    let time = format!("{:.1}s", step.duration(now).as_secs_f64());
    let (mark, colour) = match step.ended.as_ref().map(|(_, outcome)| outcome) {
        _ if step.cached => ("CACHED ", look.run.as_str()),
        None => ("", ""),
        Some(Outcome::Done) => ("", look.run.as_str()),
        Some(Outcome::Failed(_)) => ("ERROR ", look.error.as_str()),
        Some(Outcome::Canceled) => ("CANCELED ", look.cancel.as_str()),
    };
    let room = columns.saturating_sub(width(&time) + 2);
    let left = ellipsis(&format!(" => {mark}{}", clean::name(&step.name)), room);
    let gap = " ".repeat((room + 1).saturating_sub(width(&left)));
    painted(&format!("{left}{gap}{time}"), colour, look)
}

fn painted(text: &str, colour: &str, look: &Look) -> String {
    if look.colours && !colour.is_empty() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

impl Reporter for Tty {
    fn report(&self, event: Event) {
        let mut state = self.state();
        if let Change::Warning(_, message) = state.steps.apply(event) {
            state.warnings.push(clean::name(&message));
        }
    }
}

impl Renderer for Tty {
    fn finish(&self) {
        if !self.over.swap(true, Ordering::AcqRel) {
            self.draw(true);
        }
    }

    fn checks(&self) -> Vec<CheckEvent> {
        self.state().steps.checks.clone()
    }

    fn failed_logs(&self) -> Option<FailedLogs> {
        self.state().steps.failed_logs()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::progress::Stream;

    #[test]
    fn a_frame_has_a_line_a_step_and_the_tail_of_the_running_one() {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let at = |millis| began + Duration::from_millis(millis);
        let mut state =
            State { steps: Steps::default(), began, drawn: 0, warnings: vec!["careful".to_owned()] };
        let output: String = (1..=8).map(|n| format!("line {n}\x1b[2J\n")).collect();
        for event in [
            Event::Planned { total: 7 },
            Event::VertexCached { id: 1, name: "[1/3] FROM busybox".to_owned() },
            Event::VertexStarted { id: 2, name: "[2/3] RUN a\x1b[Hb".to_owned(), at: at(0) },
            Event::VertexDone { id: 2, at: at(200), outcome: Outcome::Failed("exit code: 1".to_owned()) },
            Event::VertexStarted {
                id: 3,
                name: "[3/3] RUN a very long command indeed".to_owned(),
                at: at(200),
            },
            Event::VertexLog { id: 3, stream: Stream::Stderr, data: output.into_bytes(), at: at(300) },
        ] {
            state.steps.apply(event);
        }
        let look = Look { colours: false, ..Look::default() };
        let lines = frame(&state, at(1200), 40, &look, false);
        assert_eq!(
            lines,
            [
                "[+] Building 1.2s (2/7)",
                " => CACHED [1/3] FROM busybox      0.0s",
                " => ERROR [2/3] RUN ab             0.2s",
                " => [3/3] RUN a very long command… 1.0s",
                " => => # line 3",
                " => => # line 4",
                " => => # line 5",
                " => => # line 6",
                " => => # line 7",
                " => => # line 8",
                "WARNING: careful",
            ]
        );
        let last = frame(&state, at(1200), 40, &look, true);
        assert_eq!((last[0].as_str(), last.len()), ("[+] Building 1.2s (2/7) FINISHED", 5));
    }
}
