//! Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*` and `?`, neither matching an end of line.

use super::error::WordError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Literal(char),
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// Reads a pattern; `\*`, `\?`, `\\`, `\/` and `\}` stand for the characters themselves.
    pub(super) fn parse(text: &str) -> Result<Self, WordError> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '/' | '}')) => Token::Literal(c),
                    Some(c) => return Err(WordError::new(format!("invalid escape '\\{c}'"))),
                    None => return Err(WordError::new("invalid escape at the end of a pattern")),
                },
                c => Token::Literal(c),
            });
        }
        Ok(Self(tokens))
    }

    pub(super) fn without_prefix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let cut = match_from(&self.0, &chars, longest).unwrap_or(0);
        chars[cut..].iter().collect()
    }

    pub(super) fn without_suffix(&self, value: &str, longest: bool) -> String {
        let chars: Vec<char> = value.chars().rev().collect();
        let tokens: Vec<Token> = self.0.iter().rev().copied().collect();
        let cut = match_from(&tokens, &chars, longest).unwrap_or(0);
        chars[cut..].iter().rev().collect()
    }

    /// Replaces the first match, or all; matches are as long as possible and never empty.
    pub(super) fn replace(&self, value: &str, replacement: &str, all: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let starts = self.starts(&chars);
        let mut out = String::with_capacity(value.len());
        let mut at = 0;
        let mut done = false;
        while at < chars.len() {
            let length = if starts[at] && !done { match_from(&self.0, &chars[at..], true) } else { None };
            match length {
                Some(length) if length > 0 => {
                    out.push_str(replacement);
                    at += length;
                    done = !all;
                }
                _ => {
                    out.push(chars[at]);
                    at += 1;
                }
            }
        }
        out
    }

    /// For each position whether some match begins there: one pass from the end, in pattern times text.
    fn starts(&self, chars: &[char]) -> Vec<bool> {
        let tokens = &self.0;
        let mut next = vec![false; tokens.len() + 1];
        let mut starts = vec![false; chars.len() + 1];
        for at in (0..=chars.len()).rev() {
            let mut row = vec![false; tokens.len() + 1];
            row[tokens.len()] = true;
            for (n, token) in tokens.iter().enumerate().rev() {
                let here = chars.get(at).copied();
                row[n] = match token {
                    Token::Any => row[n + 1] || (here.is_some_and(|c| c != '\n') && next[n]),
                    Token::One => here.is_some_and(|c| c != '\n') && next[n + 1],
                    Token::Literal(l) => here == Some(*l) && next[n + 1],
                };
            }
            starts[at] = row[0];
            next = row;
        }
        starts
    }
}

/// Returns how many characters from the start match: the fewest, or the most.
fn match_from(tokens: &[Token], chars: &[char], longest: bool) -> Option<usize> {
    let mut states = vec![false; tokens.len() + 1];
    states[0] = true;
    let mut found = None;
    for at in 0..=chars.len() {
        for n in 0..tokens.len() {
            if states[n] && tokens[n] == Token::Any {
                states[n + 1] = true;
            }
        }
        if states[tokens.len()] {
            found = Some(at);
            if !longest {
                return found;
            }
        }
        let Some(c) = chars.get(at) else { break };
        let mut next = vec![false; tokens.len() + 1];
        for (n, token) in tokens.iter().enumerate().filter(|(n, _)| states[*n]) {
            match token {
                Token::Any if *c != '\n' => next[n] = true,
                Token::One if *c != '\n' => next[n + 1] = true,
                Token::Literal(l) if l == c => next[n + 1] = true,
                _ => {}
            }
        }
        if !next.contains(&true) {
            break;
        }
        states = next;
    }
    found
}
