//! `--explain`: what each step's cache look-up said.

use crate::builder::{Difference, Explanation, Reason};

/// Values longer than this are cut.
const LONG: usize = 120;

/// Returns a line for a step, and below a miss the fields that differ from the nearest earlier record.
pub fn text(explanation: &Explanation) -> String {
    let name = explanation.name.replace('\n', " ");
    match &explanation.reason {
        Reason::Cached => format!("hit   {name}"),
        Reason::NotAllowed => format!("miss  {name}\n        it was to run whatever is known (--no-cache)"),
        Reason::Unknown => format!("miss  {name}\n        nothing like it was built before"),
        Reason::Lost => format!("miss  {name}\n        its result was known, but is gone"),
        Reason::Differs(fields) => {
            let lines: Vec<String> = fields.iter().map(difference).collect();
            format!("miss  {name}\n{}", lines.join("\n"))
        }
    }
}

fn difference(field: &Difference) -> String {
    let shown = |value: &Option<String>| match value {
        None => "absent".to_owned(),
        Some(text) if text.chars().count() > LONG => {
            format!("{:?}…", text.chars().take(LONG).collect::<String>())
        }
        Some(text) => format!("{text:?}"),
    };
    format!("        {}: was {}, is {}", field.field, shown(&field.before), shown(&field.now))
}
