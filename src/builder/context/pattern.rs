//! One pattern of an ignore file, compiled: moby's mixture of exact, prefix, suffix and wildcard matching.
//!
//! Anchored at the root. `*` and `?` stop at `/`; `**` followed by anything is
//! "nothing, or anything that ends in `/`"; a final `**` is anything. So
//! `a**b` matches `ab` and `a/x/b`, not `axb`: what moby's regular expressions
//! do, kept because people's files rely on it.

use super::glob::{self, BadPattern, decode};
use crate::paths::clean;

/// One element of a wildcard pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// One character that is not `/`.
    One,
    /// Any run without `/`.
    Run,
    /// Anything.
    All,
    /// Start of "nothing, or anything ending in `/`"; the next token is always its body.
    MaybeDirs,
    /// Inside of it.
    DirsBody,
    /// One character of a class.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

/// How a pattern is compared, as moby classifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Matcher {
    /// The path itself.
    Exact,
    /// Everything that starts so (`dir/**`).
    Prefix(Vec<u8>),
    /// Everything that ends so (`**/name`).
    Suffix(Vec<u8>),
    /// Anything else; the literal ends reject most paths cheaply.
    Tokens { tokens: Vec<Token>, head: Vec<u8>, tail: Vec<u8> },
}

/// One compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Vec<u8>,
    exception: bool,
    matcher: Matcher,
}

impl Pattern {
    /// Compiles a cleaned pattern without its `!`.
    pub(super) fn new(text: &str, exception: bool) -> Result<Self, BadPattern> {
        glob::check(text.as_bytes())?;
        let matcher = compile(text.as_bytes())?;
        Ok(Self { text: text.as_bytes().to_vec(), exception, matcher })
    }

    /// Whether it starts with `!` and so brings paths back.
    pub fn is_exception(&self) -> bool {
        self.exception
    }

    /// Whether it leaves out all there is.
    pub fn is_everything(&self) -> bool {
        !self.exception && [&b"*"[..], b"**", b"**/*"].contains(&self.text.as_slice())
    }

    /// Whether exactly this path matches; parents are the caller's concern.
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Exact => path == self.text,
            Matcher::Prefix(prefix) => path.starts_with(prefix),
            Matcher::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix(b"/").is_some_and(|name| path == name)
            }
            Matcher::Tokens { tokens, head, tail } => {
                path.starts_with(head) && path.ends_with(tail) && run(tokens, path)
            }
        }
    }

    /// Whether something below the directory `dir` may match; errs on the side of yes.
    pub(super) fn may_match_below(&self, dir: &[u8]) -> bool {
        let literal: &[u8] = match &self.matcher {
            Matcher::Exact => &self.text,
            Matcher::Prefix(prefix) => prefix,
            Matcher::Suffix(_) => return true,
            Matcher::Tokens { head, .. } => head,
        };
        let shared = literal.len().min(dir.len());
        if literal[..shared] != dir[..shared] {
            return false;
        }
        match self.matcher {
            Matcher::Exact => literal.len() > dir.len() && literal[dir.len()] == b'/',
            _ => literal.len() <= dir.len() || literal[dir.len()] == b'/',
        }
    }
}

fn compile(text: &[u8]) -> Result<Matcher, BadPattern> {
    #[derive(PartialEq)]
    enum Kind {
        Exact,
        Prefix,
        Suffix,
        Tokens,
    }
    let mut kind = Kind::Exact;
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'*' if text.get(at + 1) == Some(&b'*') => {
                let first = at == 0;
                at += 2;
                if text.get(at) == Some(&b'/') {
                    at += 1;
                }
                if at < text.len() {
                    tokens.extend([Token::MaybeDirs, Token::DirsBody]);
                    kind = Kind::Tokens;
                } else {
                    tokens.push(Token::All);
                    kind = if kind == Kind::Exact { Kind::Prefix } else { Kind::Tokens };
                }
                if first {
                    kind = Kind::Suffix;
                }
                continue;
            }
            b'*' => tokens.push(Token::Run),
            b'?' => tokens.push(Token::One),
            b'[' => {
                let (class, rest) = compile_class(&text[at + 1..])?;
                tokens.push(class);
                kind = Kind::Tokens;
                at = text.len() - rest.len();
                continue;
            }
            b'\\' => {
                at += 1;
                tokens.push(Token::Byte(*text.get(at).ok_or(BadPattern)?));
                kind = Kind::Tokens;
                at += 1;
                continue;
            }
            byte => {
                tokens.push(Token::Byte(byte));
                at += 1;
                continue;
            }
        }
        kind = Kind::Tokens;
        at += 1;
    }
    Ok(match kind {
        Kind::Exact => Matcher::Exact,
        Kind::Prefix => Matcher::Prefix(text[..text.len() - 2].to_vec()),
        Kind::Suffix => Matcher::Suffix(text[2..].to_vec()),
        Kind::Tokens => {
            let literal = |token: &Token| if let Token::Byte(byte) = token { Some(*byte) } else { None };
            let head = tokens.iter().map_while(literal).collect();
            let mut tail: Vec<u8> = tokens.iter().rev().map_while(literal).collect();
            tail.reverse();
            Matcher::Tokens { tokens, head, tail }
        }
    })
}

/// Compiles a class after its `[`; [`glob::check`] has seen the syntax already.
fn compile_class(mut text: &[u8]) -> Result<(Token, &[u8]), BadPattern> {
    let negated = text.first() == Some(&b'^');
    if negated {
        text = &text[1..];
    }
    let mut ranges = Vec::new();
    loop {
        match text.first() {
            None => return Err(BadPattern),
            Some(b']') if !ranges.is_empty() => return Ok((Token::Class { negated, ranges }, &text[1..])),
            Some(_) => {}
        }
        let (low, rest) = class_character(text)?;
        text = rest;
        let mut high = low;
        if text.first() == Some(&b'-') {
            (high, text) = class_character(&text[1..])?;
        }
        if high < low {
            return Err(BadPattern);
        }
        ranges.push((low, high));
    }
}

fn class_character(text: &[u8]) -> Result<(char, &[u8]), BadPattern> {
    let text = text.strip_prefix(b"\\").unwrap_or(text);
    if text.is_empty() {
        return Err(BadPattern);
    }
    let (c, length) = decode(text);
    Ok((c, &text[length..]))
}

/// Runs the tokens as a set of states: one pass over the path, never more work than states times characters.
fn run(tokens: &[Token], path: &[u8]) -> bool {
    let mut states = vec![false; tokens.len() + 1];
    let mut next = vec![false; tokens.len() + 1];
    enter(tokens, &mut states, 0);
    let mut rest = path;
    while !rest.is_empty() {
        let (c, length) = decode(rest);
        next.fill(false);
        step(tokens, &states, &mut next, &rest[..length], c);
        if !next.contains(&true) {
            return false;
        }
        std::mem::swap(&mut states, &mut next);
        rest = &rest[length..];
    }
    states[tokens.len()]
}

/// Marks a state and all that it reaches without reading.
fn enter(tokens: &[Token], states: &mut [bool], at: usize) {
    if states[at] {
        return;
    }
    states[at] = true;
    match tokens.get(at) {
        Some(Token::Run | Token::All) => enter(tokens, states, at + 1),
        Some(Token::MaybeDirs) => {
            enter(tokens, states, at + 1);
            enter(tokens, states, at + 2);
        }
        _ => {}
    }
}

/// Reads one character, given decoded and as its bytes.
fn step(tokens: &[Token], states: &[bool], next: &mut [bool], bytes: &[u8], c: char) {
    for (at, token) in tokens.iter().enumerate().filter(|(at, _)| states[*at]) {
        match token {
            // A character of several bytes is as many tokens.
            Token::Byte(_) => {
                let wanted = tokens[at..].iter().zip(bytes);
                if wanted.filter(|(token, byte)| **token == Token::Byte(**byte)).count() == bytes.len() {
                    enter(tokens, next, at + bytes.len());
                }
            }
            Token::One if c != '/' => enter(tokens, next, at + 1),
            Token::Run if c != '/' => enter(tokens, next, at),
            Token::All => enter(tokens, next, at),
            Token::DirsBody => {
                enter(tokens, next, at);
                if c == '/' {
                    enter(tokens, next, at + 1);
                }
            }
            Token::Class { negated, ranges }
                if ranges.iter().any(|(low, high)| *low <= c && c <= *high) != *negated =>
            {
                enter(tokens, next, at + 1);
            }
            _ => {}
        }
    }
}

/// Returns the text of a pattern as `filepath.Clean` leaves it, with whether it began with `!`.
pub(super) fn split_exception(text: &str) -> (String, bool) {
    let cleaned = clean(text);
    match cleaned.strip_prefix('!') {
        Some(rest) => (rest.to_owned(), true),
        None => (cleaned, false),
    }
}
