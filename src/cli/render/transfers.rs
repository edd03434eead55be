//! Bars where bytes move.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::{Event, NullReporter, Reporter, TransferId};

/// Returns a reporter that draws a bar for each transfer on a terminal, and nothing elsewhere or for an empty verb.
pub fn transfers(verb: &str) -> Box<dyn Reporter> {
    if verb.is_empty() || !std::io::stderr().is_terminal() {
        return Box::new(NullReporter);
    }
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    Box::new(Bars { verb: verb.to_owned(), all, bars: Mutex::default() })
}

struct Bars {
    verb: String,
    all: MultiProgress,
    bars: Mutex<HashMap<TransferId, ProgressBar>>,
}

impl Reporter for Bars {
    fn report(&self, event: Event) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::TransferStarted { id, label, total } => {
                let style =
                    ProgressStyle::with_template("{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}")
                        .expect("the template is fixed");
                let bar = self.all.add(ProgressBar::new(total.unwrap_or(0)).with_style(style));
                bar.set_prefix(format!("{} {}", self.verb, super::clean::name(&label)));
                bars.insert(id, bar);
            }
            Event::TransferProgress { id, done } => {
                if let Some(bar) = bars.get(&id) {
                    bar.set_position(done);
                }
            }
            Event::TransferDone { id, .. } => {
                if let Some(bar) = bars.remove(&id) {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}
