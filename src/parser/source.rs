//! A Dockerfile's text with the positions of its lines.

use std::ops::Range;

/// A range of physical lines, numbered from 1, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First line.
    pub first: u32,
    /// Last line.
    pub last: u32,
}

/// A Dockerfile's text under the name that errors show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    lines: Vec<Range<usize>>,
}

impl Source {
    /// Takes a text under the name that errors show, e.g. `Dockerfile`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut lines = Vec::new();
        let mut start = 0;
        for (at, _) in text.match_indices('\n') {
            lines.push(start..at);
            start = at + 1;
        }
        if start < text.len() {
            lines.push(start..text.len());
        }
        Self { name: name.into(), text, lines }
    }

    /// Returns the name that errors show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the number of lines.
    pub fn line_count(&self) -> u32 {
        u32::try_from(self.lines.len()).unwrap_or(u32::MAX)
    }

    /// Returns line `number`, counted from 1, without its end of line.
    pub fn line(&self, number: u32) -> Option<&str> {
        let range = self.lines.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        Some(&self.text[range.clone()])
    }
}
