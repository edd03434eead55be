//! Heredocs: openers `[fd]<<[-]WORD` in a line, and the bodies below it.

use std::ops::Range;

use nom::bytes::complete::{tag, take_while};
use nom::character::complete::{char, digit0};
use nom::combinator::opt;
use nom::{IResult, Parser};

use super::error::{ParseError, Problem};
use super::instruction::Heredoc;
use super::line::{Reader, without_end};
use super::source::Span;

/// An opener and where it stands in its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opener {
    pub(super) range: Range<usize>,
    name: String,
    expand: bool,
    chomp: bool,
    fd: Option<u32>,
}

impl Opener {
    /// Whether blanks stand behind its `<<`: a shell takes it, COPY and ADD take words, and both have the body.
    pub(super) fn is_loose(&self, line: &str) -> bool {
        let word = line[self.range.clone()].trim_start_matches(|c: char| c.is_ascii_digit());
        word.trim_start_matches('<').trim_start_matches('-').starts_with(char::is_whitespace)
    }

    /// Returns the line that ends the body.
    pub(super) fn terminator(&self) -> &str {
        &self.name
    }
}

/// A heredoc as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RawHeredoc {
    pub(super) opener: Opener,
    /// All lines with their ends and leading tabs.
    pub(super) body: String,
}

impl RawHeredoc {
    /// Returns the heredoc of an instruction.
    pub(super) fn finish(&self) -> Heredoc {
        let Opener { name, expand, chomp, fd, .. } = self.opener.clone();
        Heredoc { name, body: self.body.clone(), expand, chomp, fd }
    }

    /// Returns body and terminator, as a trigger's text holds them behind its line.
    pub(super) fn text(&self) -> String {
        format!("\n{}{}", self.body, self.opener.name)
    }
}

/// Whether a command consists of one heredoc opener alone.
pub(super) fn is_opener(command: &str) -> bool {
    let command = command.trim();
    matches!(openers(command).as_slice(), [one] if one.range == (0..command.len()))
}

/// Returns the openers among the words of `line`; none where its quotes are not balanced.
pub(super) fn openers(line: &str) -> Vec<Opener> {
    if memchr::memmem::find(line.as_bytes(), b"<<").is_none() {
        return Vec::new();
    }
    let words = raw_words(line).unwrap_or_default();
    words.into_iter().filter_map(|range| opener(line, range)).collect()
}

/// Splits at blanks, aware of quotes and backslashes, which stay; blanks behind `<<` stay too.
///
/// None where a quote is not closed.
fn raw_words(line: &str) -> Option<Vec<Range<usize>>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            words.extend(start.take().map(|start| start..at));
            continue;
        }
        start.get_or_insert(at);
        match c {
            '\\' => drop(chars.next()),
            '\'' => drop(chars.find(|(_, c)| *c == '\'')?),
            '"' => loop {
                match chars.next()?.1 {
                    '"' => break,
                    '\\' => drop(chars.next()),
                    _ => {}
                }
            },
            '<' if chars.next_if(|(_, c)| *c == '<').is_some() => {
                let _ = chars.next_if(|(_, c)| *c == '-');
                while chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\r')).is_some() {}
            }
            _ => {}
        }
    }
    words.extend(start.map(|start| start..line.len()));
    Some(words)
}

fn opener(line: &str, range: Range<usize>) -> Option<Opener> {
    let (word, (fd, chomp)) = start_of_opener(&line[range.clone()]).ok()?;
    if word.contains('<') {
        return None;
    }
    let (name, quoted) = unquoted(word);
    let fd = if fd.is_empty() { None } else { fd.parse().ok() };
    (!name.is_empty()).then_some(Opener { range, name, expand: !quoted, chomp, fd })
}

/// `[fd]<<[-]` and blanks.
fn start_of_opener(input: &str) -> IResult<&str, (&str, bool)> {
    let (rest, (fd, _, dash, _)) =
        (digit0, tag("<<"), opt(char('-')), take_while(char::is_whitespace)).parse(input)?;
    Ok((rest, (fd, dash.is_some())))
}

/// Removes quotes and backslashes; tells whether there were quotes.
fn unquoted(word: &str) -> (String, bool) {
    let (mut name, mut quoted) = (String::new(), false);
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => name.extend(chars.next()),
            '\'' => {
                quoted = true;
                name.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '"' => {
                quoted = true;
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    let escaped =
                        if c == '\\' { chars.next_if(|c| matches!(c, '"' | '$' | '\\')) } else { None };
                    name.push(escaped.unwrap_or(c));
                }
            }
            c => name.push(c),
        }
    }
    (name, quoted)
}

/// Reads the body of `opener` up to its terminator, which is consumed.
pub(super) fn read_body(
    reader: &mut Reader<'_>,
    opener: Opener,
    first: u32,
) -> Result<RawHeredoc, ParseError> {
    let mut body = String::new();
    while let Some(line) = reader.next_line()? {
        let text = without_end(line.text);
        let text = if opener.chomp { text.trim_start_matches('\t') } else { text };
        if text == opener.name {
            return Ok(RawHeredoc { opener, body });
        }
        body.push_str(line.text);
    }
    Err(ParseError::new(Problem::UnterminatedHeredoc, Span { first, last: reader.number() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openers_of_a_line() {
        for (line, expected) in [
            ("<<EOF", vec![("EOF", true, false, None)]),
            ("cat <<EOF >/x", vec![("EOF", true, false, None)]),
            ("<<-EOF", vec![("EOF", true, true, None)]),
            ("<<- EOF", vec![("EOF", true, true, None)]),
            ("<< -EOF", vec![("-EOF", true, false, None)]),
            ("<<  EOF  > foo", vec![("EOF", true, false, None)]),
            ("4<<EOF", vec![("EOF", true, false, Some(4))]),
            (
                "<<A <<'B' 3<<-\"C\"",
                vec![("A", true, false, None), ("B", false, false, None), ("C", false, true, Some(3))],
            ),
            ("<<eo'f'", vec![("eof", false, false, None)]),
            ("<<eo\\'f", vec![("eo'f", true, false, None)]),
            ("<<'e'o\\'f", vec![("eo'f", false, false, None)]),
            ("<<'one two'", vec![("one two", false, false, None)]),
            ("<<one\\ two", vec![("one two", true, false, None)]),
            ("<<$EOF", vec![("$EOF", true, false, None)]),
            ("<<\"a\\\"b\\x\"", vec![("a\"b\\x", false, false, None)]),
            ("<<file.txt /dest", vec![("file.txt", true, false, None)]),
            ("\"<<EOF\"", vec![]),
            ("'<<EOF'", vec![]),
            ("<<<EOF", vec![]),
            ("cat<<EOF", vec![]),
            ("<EOF", vec![]),
            ("<<", vec![]),
            ("<<-", vec![]),
            ("<<''", vec![]),
            ("it's <<EOF", vec![]),
            ("\\<<EOF", vec![]),
            ("$((1<<2))", vec![]),
        ] {
            let got = openers(line);
            let got: Vec<_> = got.iter().map(|o| (o.name.as_str(), o.expand, o.chomp, o.fd)).collect();
            assert_eq!(got, expected, "{line}");
        }
    }

    #[test]
    fn a_command_of_one_opener() {
        for (command, expected) in [
            ("<<EOF", true),
            (" << EOF ", true),
            ("3<<-'E F'", true),
            ("<<A <<B", false),
            ("<<A cat", false),
            ("cat", false),
            ("", false),
        ] {
            assert_eq!(is_opener(command), expected, "{command}");
        }
    }
}
