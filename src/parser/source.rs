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
        Self { name: name.into(), text, lines }
    }

    /// Takes the bytes of a file.
    ///
    /// # Errors
    /// Names the line and byte that is not UTF-8; [`Source::from_bytes_lossy`]
    /// makes a source for its excerpt.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Self, ParseError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => {
                let good = &bytes[..error.valid_up_to()];
                let start = memchr::memrchr(b'\n', good).map_or(0, |at| at + 1);
                let line = memchr::memchr_iter(b'\n', good).count() + 1;
                let problem =
                    Problem::InvalidUtf8 { byte: bytes[good.len()], column: good.len() - start + 1 };
                Err(ParseError::new(problem, Span::line(u32::try_from(line).unwrap_or(u32::MAX))))
            }
        }
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
}
