//! Parser directives: `# key=value` lines at the very top.

use nom::Parser as _;
use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::{char, space0};
use nom::combinator::rest;

use super::error::ParseError;
use super::instruction::Directives;
use super::source::{Source, Span};

/// Reads the directives; the first line that is none ends the section.
pub(super) fn parse(source: &Source) -> Result<Directives, ParseError> {
    let mut found = Directives::default();
    let mut escape_seen = false;
    for number in 1..=source.line_count() {
        let mut line = source.line(number).unwrap_or_default();
        if number == 1 {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
            // A script's interpreter line may stand before `syntax` and `check`.
            if line.starts_with("#!") {
                continue;
            }
        }
        let Some((key, value)) = key_value(line) else { break };
        let span = Span { first: number, last: number };
        let again = |key: &str| ParseError::at(span, format!("only one {key} parser directive can be used"));
        match key.to_lowercase().as_str() {
            "syntax" if found.syntax.is_some() => return Err(again("syntax")),
            "syntax" => found.syntax = Some((value.to_owned(), span)),
            "check" if found.check.is_some() => return Err(again("check")),
            "check" => found.check = Some((value.to_owned(), span)),
            "escape" if escape_seen => return Err(again("escape")),
            "escape" => {
                escape_seen = true;
                found.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => {
                        let message = format!("invalid escape token '{other}' does not match ` or \\");
                        return Err(ParseError::at(span, message));
                    }
                };
            }
            _ => break,
        }
    }
    if found.syntax.is_none() {
        found.syntax = slashes(source);
    }
    Ok(found)
}

/// `// syntax=...` on the first line, as other languages' comments have it.
fn slashes(source: &Source) -> Option<(String, Span)> {
    let line = source.line(1)?.trim_start().strip_prefix("//")?;
    let (key, value) = line.split_once('=')?;
    (key.trim().eq_ignore_ascii_case("syntax")).then(|| (value.trim().to_owned(), Span { first: 1, last: 1 }))
}

fn key_value(line: &str) -> Option<(&str, &str)> {
    let key = take_while1::<_, _, nom::error::Error<&str>>(|c: char| c.is_ascii_alphanumeric());
    let blanks = || take_while(|c: char| c == ' ' || c == '\t');
    let (_, (_, _, _, key, _, _, value)) =
        (space0, char('#'), blanks(), key, blanks(), char('='), rest).parse(line).ok()?;
    let value: &str = value;
    Some((key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directives(text: &str) -> Result<Directives, String> {
        parse(&Source::new("f", text)).map_err(|e| e.to_string())
    }

    #[test]
    fn the_section_ends_at_the_first_other_line() {
        let found = directives("# Syntax = a/b:1 x \n#escape=`\n# check=skip=all\nFROM x\n").unwrap();
        assert_eq!(found.syntax.unwrap().0, "a/b:1 x");
        assert_eq!((found.escape, found.check.unwrap().0.as_str()), ('`', "skip=all"));
        for text in [
            "\n# escape=`\n",
            "# a comment\n# escape=`\n",
            "# unknown=1\n# escape=`\n",
            "FROM x\n# escape=`\n",
        ] {
            assert_eq!(directives(text).unwrap().escape, '\\', "{text:?}");
        }
        assert_eq!(directives("\u{feff}# escape=`\n").unwrap().escape, '`');
        assert_eq!(directives("#!/bin/x\n# syntax=y\n").unwrap().syntax.unwrap().0, "y");
        assert_eq!(directives("// syntax=y\n").unwrap().syntax.unwrap().0, "y");
    }

    #[test]
    fn bad_directives() {
        assert!(directives("# escape=x\n").unwrap_err().contains("invalid escape token"));
        let twice = directives("# escape=`\n# escape=`\n").unwrap_err();
        assert!(twice.contains("only one escape parser directive can be used"), "{twice}");
    }
}
