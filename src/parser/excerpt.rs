//! The lines around a span as docker shows them below an error.

use std::fmt::Write;

use super::source::{Source, Span};

const RULE: &str = "--------------------";

/// Characters of a line that are shown; a file may hold a line of any length.
const SHOWN: usize = 1000;

/// Returns the excerpt of `source` around `span`: `FILE:LINE`, a rule, the lines with their
/// numbers and `>>>` at those of the span, and a closing rule, each ended by a newline.
///
/// Empty where the span lies outside the file.
pub fn excerpt(source: &Source, span: Span) -> String {
    // As docker splits the text, a final newline is followed by one more, empty line.
    let count = source.line_count() + u32::from(source.text().is_empty() || source.text().ends_with('\n'));
    if span.first < 1 || span.first > count {
        return String::new();
    }
    let last = span.last.clamp(span.first, count);
    let (from, to) = padded(span.first, last, count);
    let mut out = format!("{}:{}\n{RULE}\n", source.name(), span.first);
    for number in from..=to {
        let mark = if (span.first..=last).contains(&number) { ">>>" } else { "   " };
        let line = source.line(number).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let end = line.char_indices().nth(SHOWN).map_or(line.len(), |(at, _)| at);
        let more = if end < line.len() { " ..." } else { "" };
        writeln!(out, " {number:3} | {mark} {}{more}", &line[..end]).expect("a string takes every write");
    }
    out.push_str(RULE);
    out.push('\n');
    out
}

/// Returns the lines to show: four more around one line, two around several, shared by both sides.
fn padded(first: u32, last: u32, count: u32) -> (u32, u32) {
    let pad = if first == last { 4 } else { 2 };
    let (mut from, mut to, mut added) = (first, last, 0);
    while added < pad {
        if from > 1 {
            from -= 1;
            added += 1;
        }
        if to < count {
            to += 1;
            added += 1;
        }
        added += 1;
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(count: usize) -> Source {
        Source::new("d/Dockerfile", (1..=count).map(|n| format!("l{n}\n")).collect::<String>())
    }

    #[test]
    fn shows_the_lines_around() {
        let shown = excerpt(&numbered(9), Span::line(5));
        let expected = "d/Dockerfile:5\n--------------------\n   3 |     l3\n   4 |     l4\n   5 | >>> l5\n   6 |     l6\n   7 |     l7\n--------------------\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn pads_within_the_file() {
        for (count, first, last, expected) in
            [(9, 1, 1, 1..=3), (1, 1, 1, 1..=2), (9, 4, 6, 3..=7), (9, 10, 10, 8..=10), (2, 1, 99, 1..=3)]
        {
            let shown = excerpt(&numbered(count), Span { first, last });
            let numbers: Vec<u32> =
                shown.lines().filter_map(|line| line.split_once(" | ")?.0.trim().parse().ok()).collect();
            assert_eq!(numbers, expected.collect::<Vec<_>>(), "{count} {first} {last}");
        }
        assert_eq!(excerpt(&numbered(3), Span::line(9)), "");
        assert_eq!(excerpt(&numbered(3), Span::line(0)), "");
    }

    #[test]
    fn cuts_endless_lines_and_carriage_returns() {
        let source = Source::new("f", format!("a\r\n{}\n", "é".repeat(1 << 20)));
        let shown = excerpt(&source, Span::line(1));
        assert!(shown.contains("| >>> a\n") && shown.len() < 3000, "{}", shown.len());
    }
}
