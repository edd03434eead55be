//! `--explain`: what each step's cache look-up said.

use crate::builder::BuildOutcome;

/// Returns a line for each step, and below a miss the fields that differ from the nearest earlier record.
pub fn text(outcome: &BuildOutcome) -> String {
    outcome.explanations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
