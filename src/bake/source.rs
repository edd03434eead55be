//! A file's text, and places in it as error messages name them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A bake file that was read.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The name as given.
    pub name: String,
    /// The text.
    pub text: Arc<str>,
}

/// Lines and columns in a file, counted from one.
#[derive(Debug, Clone)]
pub struct Place {
    file: SourceFile,
    start: (usize, usize),
    end: (usize, usize),
}

/// Lines that are shown before and after the ones that are wrong.
const AROUND: usize = 2;

impl SourceFile {
    /// Returns where bytes of the text are.
    pub fn place(&self, span: Range<usize>) -> Place {
        let position = |offset: usize| {
            let mut offset = offset.min(self.text.len());
            while !self.text.is_char_boundary(offset) {
                offset -= 1;
            }
            let before = &self.text[..offset];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
        };
        Place { file: self.clone(), start: position(span.start), end: position(span.end) }
    }
}

impl Place {
    /// Returns the lines around the place with `>>>` before those that are wrong.
    pub fn excerpt(&self) -> String {
        const RULE: &str = "--------------------\n";
        let lines: Vec<&str> = self.file.text.split('\n').collect();
        let (first, last) = (self.start.0, self.end.0.max(self.start.0));
        let mut text = format!("{}:{first}\n{RULE}", self.file.name);
        for (number, line) in lines.iter().enumerate().map(|(index, line)| (index + 1, line)) {
            if number + AROUND < first || number > last + AROUND {
                continue;
            }
            let mark = if (first..=last).contains(&number) { ">>>" } else { "   " };
            text.push_str(&format!("{number:4} | {mark} {line}\n"));
        }
        text + RULE
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, (line, column), (end_line, end_column)) = (&self.file.name, self.start, self.end);
        if line == end_line {
            write!(f, "{file}:{line},{column}-{end_column}")
        } else {
            write!(f, "{file}:{line},{column}-{end_line},{end_column}")
        }
    }
}
