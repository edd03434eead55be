//! What the answers of `--call` share: JSON as BuildKit writes it, places, tables.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::parser::Span;

/// Lines, as BuildKit's messages have them.
#[derive(Debug, Default, Serialize)]
pub struct Location {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ranges: Vec<Range>,
}

/// First and last line.
#[derive(Debug, Serialize)]
pub struct Range {
    start: Line,
    end: Line,
}

#[derive(Debug, Serialize)]
struct Line {
    line: u32,
}

impl Location {
    /// The lines of something, a range each as BuildKit has them; nowhere is an empty object.
    pub fn of(span: Option<Span>) -> Self {
        let lines = span.into_iter().flat_map(|span| span.first..=span.last);
        Self { ranges: lines.map(|line| Range { start: Line { line }, end: Line { line } }).collect() }
    }
}

/// Returns a value as indented JSON with what HTML would take for markup escaped, as Go writes it.
pub fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("plain data serialises");
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('\n');
    out
}

/// Returns a text in base64, as Go writes bytes.
pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// Returns rows with their columns aligned, all but the last filled up to `gap` blanks behind the longest.
pub fn table(rows: &[Vec<String>], gap: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0) + gap;
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if at + 1 < row.len() {
                out.extend(std::iter::repeat_n(' ', widths[at] - cell.chars().count()));
            }
        }
        out.push('\n');
    }
    out
}
