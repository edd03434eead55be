//! The lines around an error, as BuildKit prints them.

use std::fmt::Write as _;

use super::source::{Source, Span};

/// Lines shown around a place that is one line long.
const PADDING: u32 = 4;
/// Longest line that is shown whole, in characters.
const WIDTH: usize = 500;

/// Returns the block that shows `span` in its surroundings: `FILE:LINE`, a rule, the lines, a rule.
pub fn excerpt(source: &Source, span: Span) -> String {
    let padding = if span.last > span.first { 2 } else { PADDING };
    let first = span.first.saturating_sub(padding).max(1);
    let last = span.last.saturating_add(padding).min(source.line_count().max(span.first));
    let mut text = format!("{}:{}\n--------------------\n", source.name(), span.first);
    for number in first..=last {
        // A very long instruction is shown by its ends.
        if span.last - span.first > 40 && number > span.first + 10 && number < span.last - 10 {
            if number == span.first + 11 {
                text.push_str("     | ... \n");
            }
            continue;
        }
        let mark = if (span.first..=span.last).contains(&number) { ">>>" } else { "   " };
        let line = source.line(number).unwrap_or_default().trim_end_matches('\r');
        let shown: String = line.chars().take(WIDTH).collect();
        let cut = if shown.len() < line.len() { "…" } else { "" };
        let _ = writeln!(text, "{number:4} | {mark} {shown}{cut}");
    }
    text.push_str("--------------------\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_marked() {
        let source = Source::new("Dockerfile", "FROM a\nRUN b\nRUN c\n");
        assert_eq!(
            excerpt(&source, Span { first: 2, last: 2 }),
            "Dockerfile:2\n--------------------\n   1 |     FROM a\n   2 | >>> RUN b\n   3 |     RUN c\n--------------------\n"
        );
    }
}
