//! Cutting a template into text and actions, and actions into tokens (Go text/template, "Actions").

use super::TemplateError;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Text, trimmed already.
    Text(String),
    /// The tokens between `{{` and `}}`, each with its offset in the template.
    Action(Vec<(usize, Token)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `.Name`, or `.` alone with an empty name; `true` when it follows the last token without a blank.
    Field(String, bool),
    /// `$name`, with an empty name for `$`.
    Variable(String),
    Identifier(String),
    String(String),
    Number(serde_json::Number),
    Pipe,
    Open,
    Close,
    Comma,
    Assign,
    Declare,
}

/// Cuts a template.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let Some(open) = text[at..].find("{{").map(|n| at + n) else {
            push_text(&mut found, &text[at..], trim_next, false);
            return Ok(found);
        };
        let trims =
            text[open + 2..].starts_with('-') && text[open + 3..].starts_with([' ', '\t', '\n', '\r']);
        push_text(&mut found, &text[at..open], trim_next, trims);
        let start = open + 2 + if trims { 1 } else { 0 };
        let inner = text[start..].trim_start();
        if let Some(comment) = inner.strip_prefix("/*") {
            let end = comment.find("*/").ok_or_else(|| TemplateError::at(open, "unclosed comment"))?;
            let rest = comment[end + 2..].trim_start();
            let (trim, rest) = match rest.strip_prefix("-}}") {
                Some(rest) => (true, rest),
                None => match rest.strip_prefix("}}") {
                    Some(rest) => (false, rest),
                    None => return Err(TemplateError::at(open, "comment ends before closing delimiter")),
                },
            };
            (trim_next, at) = (trim, text.len() - rest.len());
            continue;
        }
        let (tokens, end, trim) = action(text, start)?;
        found.push(Piece::Action(tokens));
        (trim_next, at) = (trim, end);
    }
}

fn push_text(found: &mut Vec<Piece>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        found.push(Piece::Text(text.to_owned()));
    }
}

/// Reads tokens up to the closing delimiter; returns them, where the text goes on, and whether it is trimmed.
fn action(text: &str, start: usize) -> Result<(Vec<(usize, Token)>, usize, bool), TemplateError> {
    let mut tokens = Vec::new();
    let mut at = start;
    let mut blank = true;
    loop {
        let rest = &text[at..];
        let Some(c) = rest.chars().next() else { return Err(TemplateError::at(start, "unclosed action")) };
        if rest.starts_with("}}") {
            return Ok((tokens, at + 2, false));
        }
        if blank && rest.starts_with("-}}") {
            return Ok((tokens, at + 3, true));
        }
        if c.is_whitespace() {
            at += c.len_utf8();
            blank = true;
            continue;
        }
        let (token, length) = token(rest, at, blank)?;
        tokens.push((at, token));
        at += length;
        blank = false;
    }
}

fn token(rest: &str, at: usize, blank: bool) -> Result<(Token, usize), TemplateError> {
    let bytes = rest.as_bytes();
    let word = |from: usize| {
        let end =
            rest[from..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(rest.len(), |n| from + n);
        rest[from..end].to_owned()
    };
    Ok(match bytes[0] {
        b'|' => (Token::Pipe, 1),
        b'(' => (Token::Open, 1),
        b')' => (Token::Close, 1),
        b',' => (Token::Comma, 1),
        b'=' => (Token::Assign, 1),
        b':' if bytes.get(1) == Some(&b'=') => (Token::Declare, 2),
        b'"' => quoted(rest, at)?,
        b'`' => {
            let end =
                rest[1..].find('`').ok_or_else(|| TemplateError::at(at, "unterminated raw quoted string"))?;
            (Token::String(rest[1..=end].to_owned()), end + 2)
        }
        b'\'' => {
            let end = rest[1..]
                .find('\'')
                .ok_or_else(|| TemplateError::at(at, "unterminated character constant"))?;
            let c = rest[1..=end]
                .chars()
                .next()
                .ok_or_else(|| TemplateError::at(at, "empty character constant"))?;
            (Token::Number(u32::from(c).into()), end + 2)
        }
        b'$' => {
            let name = word(1);
            let length = name.len() + 1;
            (Token::Variable(name), length)
        }
        b'.' if !bytes.get(1).is_some_and(u8::is_ascii_digit) => {
            let name = word(1);
            let length = name.len() + 1;
            (Token::Field(name, !blank), length)
        }
        b'0'..=b'9' | b'-' | b'+' | b'.' => number(rest, at)?,
        _ => {
            let name = word(0);
            if name.is_empty() {
                let c = rest.chars().next().unwrap_or(' ');
                return Err(TemplateError::at(at, format!("unexpected {c:?} in command")));
            }
            let length = name.len();
            (Token::Identifier(name), length)
        }
    })
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), TemplateError> {
    let end = rest
        .char_indices()
        .skip(1)
        .find(|(_, c)| !c.is_ascii_alphanumeric() && *c != '.' && *c != '_')
        .map_or(rest.len(), |(n, _)| n);
    let text = rest[..end].replace('_', "");
    let bad = || TemplateError::at(at, format!("bad number syntax: {:?}", &rest[..end]));
    let plain = text.trim_start_matches('+');
    let (sign, digits) = plain.strip_prefix('-').map_or((1, plain), |digits| (-1, digits));
    let radix = match digits.get(..2) {
        Some("0x" | "0X") => Some(16),
        Some("0b" | "0B") => Some(2),
        Some("0o" | "0O") => Some(8),
        _ => None,
    };
    let number = match radix {
        Some(radix) => (sign * i64::from_str_radix(&digits[2..], radix).map_err(|_| bad())?).into(),
        None => match plain.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => {
                let value: f64 = plain.parse().map_err(|_| bad())?;
                serde_json::Number::from_f64(value).ok_or_else(bad)?
            }
        },
    };
    Ok((Token::Number(number), end))
}

/// Reads a string with Go's escapes.
fn quoted(rest: &str, at: usize) -> Result<(Token, usize), TemplateError> {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    let bad = || TemplateError::at(at, "unterminated quoted string");
    while let Some((n, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::String(out), n + 1)),
            '\n' => return Err(bad()),
            '\\' => {
                let (_, escaped) = chars.next().ok_or_else(bad)?;
                let mut hex = |count: usize| {
                    let digits: String = chars.by_ref().take(count).map(|(_, c)| c).collect();
                    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
                };
                out.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'v' => '\x0b',
                    '\\' | '"' | '\'' => escaped,
                    'x' => hex(2).ok_or_else(bad)?,
                    'u' => hex(4).ok_or_else(bad)?,
                    'U' => hex(8).ok_or_else(bad)?,
                    _ => return Err(TemplateError::at(at, "unknown escape sequence in string")),
                });
            }
            c => out.push(c),
        }
    }
    Err(bad())
}
