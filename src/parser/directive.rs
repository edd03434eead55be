//! Parser directives: `# key=value` at the top of the file.

use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::char;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use super::error::Problem;
use super::instruction::Directives;
use super::source::Span;

const KNOWN: [&str; 3] = ["syntax", "escape", "check"];

/// Recognises directives line by line until the first line that is none.
pub(super) struct DirectiveReader {
    comment: &'static str,
    done: bool,
    seen: Vec<&'static str>,
}

impl DirectiveReader {
    /// Takes the characters that start a comment.
    pub(super) fn new(comment: &'static str) -> Self {
        Self { comment, done: false, seen: Vec::new() }
    }

    /// Returns key and value if `line` is a directive.
    ///
    /// Errors where the key was there before.
    pub(super) fn read<'a>(&mut self, line: &'a str) -> Result<Option<(&'static str, &'a str)>, Problem> {
        if self.done {
            return Ok(None);
        }
        let parsed = directive(self.comment, line).ok().map(|(_, found)| found);
        let known = parsed.and_then(|(key, value)| {
            let key = KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(key))?;
            Some((key, value))
        });
        match known {
            None => self.done = true,
            Some((name, _)) if self.seen.contains(&name) => {
                return Err(Problem::RepeatedDirective { name });
            }
            Some((name, _)) => self.seen.push(name),
        }
        Ok(known)
    }
}

fn blanks(input: &str) -> IResult<&str, &str> {
    take_while(char::is_whitespace).parse(input)
}

fn key(input: &str) -> IResult<&str, &str> {
    let (rest, key) = take_while1(|c: char| c.is_ascii_alphanumeric()).parse(input)?;
    if key.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Alpha)));
    }
    Ok((rest, key))
}

fn directive<'a>(comment: &'static str, line: &'a str) -> IResult<&'a str, (&'a str, &'a str)> {
    let name = preceded((tag(comment), blanks), key);
    let (value, name) = (name, delimited(blanks, char('='), blanks)).map(|(name, _)| name).parse(line)?;
    let value = value.trim_end();
    if value.is_empty() {
        return Err(nom::Err::Error(nom::error::Error::new(value, nom::error::ErrorKind::NonEmpty)));
    }
    Ok(("", (name, value)))
}

/// Returns the value of `# escape=` as a character.
pub(super) fn escape_character(value: &str) -> Result<char, Problem> {
    match value {
        "\\" => Ok('\\'),
        "`" => Ok('`'),
        token => Err(Problem::EscapeToken { token: token.to_owned() }),
    }
}

/// Returns the text of a file without a byte order mark.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns the first directive `wanted` of the section that starts the text, behind a `#!` line.
fn find(wanted: &str, comment: &'static str, text: &str) -> Option<(String, Span)> {
    let text = without_mark(text);
    let mut reader = DirectiveReader::new(comment);
    let shebang = usize::from(text.starts_with("#!"));
    for (index, line) in text.split('\n').enumerate().skip(shebang) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (key, value) = reader.read(line).ok()??;
        if key == wanted {
            return Some((value.to_owned(), Span::line(u32::try_from(index + 1).ok()?)));
        }
    }
    None
}

/// Returns the frontend that a text asks for, with its line: by `# syntax=`, by `// syntax=`, or
/// as the `syntax` key where the text is a JSON object.
///
/// Works on texts that are no Dockerfile otherwise, so it can be asked before parsing.
pub fn detect_syntax(text: &str) -> Option<(String, Span)> {
    let found = find("syntax", "#", text).or_else(|| find("syntax", "//", text));
    if found.is_some() {
        return found;
    }
    let text = without_mark(text);
    let line = if text.starts_with("#!") { 2 } else { 1 };
    let json = if line == 2 { text.split_once('\n')?.1 } else { text };
    if !json.trim_start().starts_with('{') {
        return None;
    }
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).ok()?;
    Some((object.get("syntax")?.as_str()?.to_owned(), Span::line(line)))
}

/// Returns the value of the `check` directive, with its line; it can be asked before parsing.
pub fn detect_check(text: &str) -> Option<(String, Span)> {
    find("check", "#", text)
}

/// Returns what `syntax` and `check` say; `escape` is the caller's, who reads the lines.
pub(super) fn directives(text: &str, escape: char) -> Directives {
    Directives { syntax: find("syntax", "#", text), escape, check: find("check", "#", text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_directives() {
        for (line, expected) in [
            ("# escape=`", Some(("escape", "`"))),
            ("#escape = ` ", Some(("escape", "`"))),
            ("#   SynTax=docker/dockerfile:1 \t", Some(("syntax", "docker/dockerfile:1"))),
            ("# check = skip=all;error=true", Some(("check", "skip=all;error=true"))),
            ("# check=", None),
            ("# other=x", None),
            ("# escape", None),
            ("## escape=`", None),
            ("escape=`", None),
            ("# 1escape=`", None),
        ] {
            assert_eq!(DirectiveReader::new("#").read(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn syntax_is_found_in_every_form() {
        for (text, expected) in [
            ("# syntax=a/b:1\nFROM x\n", Some(("a/b:1", 1))),
            ("#!/usr/bin/env x\n# syntax=a b c\n", Some(("a b c", 2))),
            ("\u{feff}# escape=`\r\n# syntax=a\r\n", Some(("a", 2))),
            ("// syntax=a\nwhatever", Some(("a", 1))),
            ("{\"a\": [1], \"syntax\": \"x\"}", Some(("x", 1))),
            ("#!x\n{\"syntax\": \"x\"}", Some(("x", 2))),
            ("{\"syntax\": 1}", None),
            ("# comment\n# syntax=a\n", None),
            ("\n# syntax=a\n", None),
            ("FROM x\n", None),
            ("", None),
        ] {
            let found = detect_syntax(text).map(|(value, span)| (value, span.first));
            assert_eq!(found, expected.map(|(value, line)| (value.to_owned(), line)), "{text}");
        }
    }
}
