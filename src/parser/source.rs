//! A Dockerfile's text with the positions of its lines.

use std::ops::Range;

use super::error::{ParseError, Problem};

/// A range of physical lines, numbered from 1, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First line.
    pub first: u32,
    /// Last line.
    pub last: u32,
}

impl Span {
    /// Returns the span of one line.
    pub fn line(number: u32) -> Self {
        Self { first: number, last: number }
    }
}

/// A Dockerfile's text under the name that errors show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    lines: Vec<Range<usize>>,
    /// Lines that looked like comments and were not UTF-8, each with what would be said of it.
    mended: Vec<ParseError>,
}

impl Source {
    /// Takes a text under the name that errors show, e.g. `Dockerfile`.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let mut lines = Vec::new();
        let mut start = 0;
        for at in memchr::memchr_iter(b'\n', text.as_bytes()) {
            lines.push(start..at);
            start = at + 1;
        }
        if start < text.len() {
            lines.push(start..text.len());
        }
        Self { name: name.into(), text, lines, mended: Vec::new() }
    }

    /// Takes the bytes of a file. Comments may be in any encoding; what is not UTF-8 in them is replaced.
    ///
    /// # Errors
    /// Names the line and byte that is not UTF-8; [`Source::from_bytes_lossy`]
    /// makes a source for its excerpt.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Self, ParseError> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Ok(Self::new(name, text));
        }
        let mut mended = Vec::new();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let Err(error) = std::str::from_utf8(line) else { continue };
            let at = error.valid_up_to();
            let problem = Problem::InvalidUtf8 { byte: line[at], column: at + 1 };
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let error = ParseError::new(problem, Span::line(number));
            if !line.trim_ascii_start().starts_with(b"#") {
                return Err(error);
            }
            mended.push(error);
        }
        Ok(Self { mended, ..Self::from_bytes_lossy(name, bytes) })
    }

    /// Returns the mistake of the first mended line in `span`, which is no comment there.
    pub(super) fn mended_in(&self, span: Span) -> Option<ParseError> {
        let inside =
            |error: &&ParseError| error.span.is_some_and(|at| span.first <= at.first && at.last <= span.last);
        self.mended.iter().find(inside).cloned()
    }

    /// Takes the bytes of a file for showing, with what is not UTF-8 replaced.
    pub fn from_bytes_lossy(name: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(name, String::from_utf8_lossy(bytes))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_byte_is_placed() {
        for (bytes, line, byte, column) in [
            (&b"\xff"[..], 1, 0xff, 1),
            (b"FROM a\nRUN \xc3(\n", 2, 0xc3, 5),
            (b"a\n\nb\xed\xa0\x80", 3, 0xed, 2),
            (b"a\n\xe2\x82", 2, 0xe2, 1),
        ] {
            let error = Source::from_bytes("Dockerfile", bytes).expect_err("bad bytes");
            assert_eq!(error.span, Some(Span::line(line)));
            assert_eq!(error.problem, Problem::InvalidUtf8 { byte, column });
        }
        assert!(Source::from_bytes("Dockerfile", "é".as_bytes()).is_ok());
    }

    #[test]
    fn comments_are_in_any_encoding() {
        let source = Source::from_bytes("Dockerfile", b"FROM a\n  # Aur\xe9lien\nRUN a \\\n# \xff\n b\n")
            .expect("read");
        let file = crate::parser::parse(&source).expect("two instructions");
        assert_eq!(file.instructions.len(), 2);
        for body in [&b"FROM a\nCOPY <<E /x\n# \xe9\nE\n"[..], b"FROM a\nONBUILD RUN <<E\n#\xff\nE\n"] {
            let source = Source::from_bytes("Dockerfile", body).expect("it looks like a comment");
            let error = crate::parser::parse(&source).expect_err("a heredoc's line is no comment");
            assert_eq!(error.span, Some(Span::line(3)));
        }
    }
}
