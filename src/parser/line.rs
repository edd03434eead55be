//! Physical lines to logical ones: comments, continuations, directives.

use super::directive::{DirectiveReader, escape_character, without_mark};
use super::error::{ParseError, Problem};
use super::source::Span;

/// Bytes that a physical line may have, its newline not counted.
pub(super) const MAX_LINE: usize = 65_535;

/// A physical line with its end.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) number: u32,
}

/// An instruction's line with continuations joined.
pub(super) struct Logical {
    /// The joined text, as typed but for blanks in front.
    pub(super) text: String,
    /// The physical lines.
    pub(super) span: Span,
    /// The comment lines above it, without `#`.
    pub(super) comments: Vec<String>,
    /// Whether a continuation held a blank line.
    pub(super) blank: bool,
}

/// Reads a text line by line.
pub(super) struct Reader<'a> {
    rest: &'a str,
    number: u32,
    directives: DirectiveReader,
    comments: Vec<String>,
    /// The escape character.
    pub(super) escape: char,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: without_mark(text),
            number: 0,
            directives: DirectiveReader::new("#"),
            comments: Vec::new(),
            escape: '\\',
        }
    }

    /// Returns the number of the last line read.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Returns the next physical line.
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'a>>, ParseError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let newline = memchr::memchr(b'\n', self.rest.as_bytes());
        if newline.unwrap_or(self.rest.len()) > MAX_LINE {
            return Err(ParseError::new(Problem::LineTooLong, Span::line(self.number)));
        }
        let (text, rest) = self.rest.split_at(newline.map_or(self.rest.len(), |at| at + 1));
        self.rest = rest;
        Ok(Some(Line { text, number: self.number }))
    }

    /// Returns the next instruction's line.
    pub(super) fn next_logical(&mut self) -> Result<Option<Logical>, ParseError> {
        while let Some(line) = self.next_line()? {
            let text = without_end(line.text).trim_start();
            if let Some(comment) = text.strip_prefix('#') {
                self.comment(text, comment, line.number)?;
                continue;
            }
            self.directives.read(text).expect("only comments repeat directives");
            let (text, continues) = self.continued(text);
            if !continues && text.is_empty() {
                continue;
            }
            return self.joined(text, continues, line.number).map(Some);
        }
        Ok(None)
    }

    fn comment(&mut self, line: &str, comment: &str, number: u32) -> Result<(), ParseError> {
        let at = |problem| ParseError::new(problem, Span::line(number));
        match self.directives.read(line).map_err(at)? {
            Some(("escape", value)) => self.escape = escape_character(value).map_err(at)?,
            Some(_) => {}
            None if comment.trim().is_empty() => self.comments.clear(),
            None => self.comments.push(comment.trim().to_owned()),
        }
        Ok(())
    }

    /// Joins the lines that continue the one given.
    fn joined(&mut self, start: &str, mut continues: bool, first: u32) -> Result<Logical, ParseError> {
        let mut text = start.to_owned();
        let mut blank = false;
        while continues {
            let Some(line) = self.next_line()? else { break };
            let line = without_end(line.text);
            let trimmed = line.trim_start();
            if trimmed.starts_with('#') {
                continue;
            }
            if trimmed.is_empty() {
                blank = true;
                continue;
            }
            let (part, more) = self.continued(line);
            text.push_str(part);
            continues = more;
        }
        let span = Span { first, last: self.number };
        Ok(Logical { text, span, comments: std::mem::take(&mut self.comments), blank })
    }

    /// Splits off an escape character that continues the line.
    fn continued<'t>(&self, line: &'t str) -> (&'t str, bool) {
        let trimmed = line.trim_end_matches([' ', '\t']);
        match trimmed.strip_suffix(self.escape) {
            Some(text) if !text.ends_with(self.escape) => (text, true),
            _ => (line, false),
        }
    }
}

/// Returns a line without its end.
pub(super) fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logical(text: &str) -> Vec<(String, u32, u32)> {
        let mut reader = Reader::new(text);
        let mut all = Vec::new();
        while let Some(line) = reader.next_logical().expect("good lines") {
            all.push((line.text, line.span.first, line.span.last));
        }
        all
    }

    #[test]
    fn joins_continuations() {
        for (text, expected) in [
            ("RUN a\nRUN b", vec![("RUN a", 1, 1), ("RUN b", 2, 2)]),
            ("  RUN a \\\n   b\n", vec![("RUN a    b", 1, 2)]),
            ("RUN a \\ \t\n b", vec![("RUN a  b", 1, 2)]),
            ("RUN a \\\r\n b\r\n", vec![("RUN a  b", 1, 2)]),
            ("RUN a \\\n# gone\n  # gone\n b # stays\n", vec![("RUN a  b # stays", 1, 4)]),
            ("RUN a \\\n\n   \n b\n", vec![("RUN a  b", 1, 4)]),
            ("RUN a \\\\\nRUN b", vec![("RUN a \\\\", 1, 1), ("RUN b", 2, 2)]),
            ("RUN a \\\n\\\nb", vec![("RUN a b", 1, 3)]),
            ("RUN a \\", vec![("RUN a ", 1, 1)]),
            ("# escape=`\nRUN a `\nb\\\n", vec![("RUN a b\\", 2, 3)]),
            ("\u{feff}RUN a\n\n\n", vec![("RUN a", 1, 1)]),
            ("\n# c\n", vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(t, a, b)| (t.to_owned(), a, b)).collect();
            assert_eq!(logical(text), expected, "{text:?}");
        }
    }

    #[test]
    fn comments_belong_to_the_next_instruction() {
        for (text, expected) in [
            ("# a\n# b\nRUN", vec!["a", "b"]),
            ("# a\n\n  #  b \nRUN", vec!["a", "b"]),
            ("# a\n#\n# b\nRUN", vec!["b"]),
            ("# escape=`\n# a\nRUN", vec!["a"]),
            ("# syntax=x\nRUN", vec![]),
            ("# a\n# syntax=x\nRUN", vec!["a", "syntax=x"]),
        ] {
            let line = Reader::new(text).next_logical().expect("good lines").expect("one line");
            assert_eq!(line.comments, expected, "{text:?}");
        }
    }

    #[test]
    fn long_lines_are_refused_with_their_number() {
        let limit = "x".repeat(MAX_LINE);
        assert_eq!(logical(&format!("{limit}\n{limit}")).len(), 2);
        let error = Reader::new(&format!("a\n{limit}y\nb")).next_logical().map(drop);
        assert!(error.is_ok());
        let text = format!("a\\\n{limit}y\nb");
        let error = Reader::new(&text).next_logical().map(drop).expect_err("a long line");
        assert_eq!(error, ParseError::new(Problem::LineTooLong, Span::line(2)));
    }
}
