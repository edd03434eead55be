//! Nothing but warnings; what is needed after a failure is remembered.

use std::sync::{Mutex, PoisonError};

use super::Renderer;
use super::clean;
use super::tail::{Change, FailedLogs, Steps};
use crate::cli::output;
use crate::progress::{CheckEvent, Event, Reporter};

/// Draws nothing.
#[derive(Debug, Default)]
pub struct Quiet(Mutex<Steps>);

impl Reporter for Quiet {
    fn report(&self, event: Event) {
        let change = self.0.lock().unwrap_or_else(PoisonError::into_inner).apply(event);
        if let Change::Warning(_, message) = change {
            output::talk(&format!("WARNING: {}", clean::name(&message)));
        }
    }
}

impl Renderer for Quiet {
    fn finish(&self) {}

    fn checks(&self) -> Vec<CheckEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).checks.clone()
    }

    fn failed_logs(&self) -> Option<FailedLogs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed_logs()
    }
}
