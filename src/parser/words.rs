//! Expansion of variables, quotes and escapes in words and in heredoc bodies.
//!
//! One scanner reads a word once from left to right. Substitutions nest, so it
//! calls itself, to a fixed depth; a result is bounded in size, since a variable
//! may hold what earlier expansions made.

use std::collections::HashSet;

use super::pattern::Pattern;

/// Nesting of `${…}` beyond which a word is refused.
const MAX_DEPTH: usize = 50;

/// Bytes beyond which a result is refused; no program could get such a variable.
const MAX_RESULT: usize = 16 << 20;

/// A word after expansion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expanded {
    /// The text, quotes and escapes removed.
    pub value: String,
    /// Variables that were looked up and not set, in order of appearance, each once.
    pub unset: Vec<String>,
}

/// Why a word cannot be expanded; whoever reports it names the word.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// `${v`
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    /// `${v/p}`
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    /// `${}`, `${{`, `${:`
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    /// `${v^}` and the like.
    #[error("unsupported modifier ({modifier}) in substitution")]
    UnsupportedModifier {
        /// The modifier.
        modifier: String,
    },
    /// A quote that is not closed.
    #[error("unexpected end of statement while looking for matching {quote}")]
    Unbalanced {
        /// `single-quote` or `double-quote`.
        quote: &'static str,
    },
    /// `${v:?w}` where `v` has no value.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// `w`, or docker's words.
        message: String,
    },
    /// An escape in a pattern that means nothing.
    #[error("invalid pattern ({pattern}) in substitution: invalid escape '\\{}'", escaped.unwrap_or('\u{fffd}'))]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What was escaped.
        escaped: Option<char>,
    },
    /// Too many levels of `${…}`.
    #[error("substitutions are nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A result beyond all use.
    #[error("the result would be larger than {MAX_RESULT} bytes")]
    TooLarge,
}

/// How variables are looked up; none is unset.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands a word: variables, then quotes and escapes removed.
///
/// # Errors
/// Fails on unbalanced quotes, bad substitutions and `${v:?}`, in docker's words.
pub fn expand(word: &str, escape: char, env: Lookup<'_>) -> Result<Expanded, WordError> {
    let (out, unset) = run(Scanner::new(word, Some(escape), true, env), false)?;
    Ok(Expanded { value: out.text, unset })
}

/// Expands a word and splits the result at blanks that are not quoted, as `EXPOSE` needs it.
///
/// # Errors
/// As [`expand`].
pub fn expand_list(
    word: &str,
    escape: char,
    env: Lookup<'_>,
) -> Result<(Vec<String>, Vec<String>), WordError> {
    let (out, unset) = run(Scanner::new(word, Some(escape), true, env), true)?;
    Ok((out.finish(), unset))
}

/// Expands the body of an unquoted heredoc of `COPY` or `ADD`: quotes stay, and a backslash is
/// removed and keeps the next character, whatever the file's escape character is.
///
/// # Errors
/// As [`expand`].
pub fn expand_heredoc(body: &str, env: Lookup<'_>) -> Result<Expanded, WordError> {
    let (out, unset) = run(Scanner::new(body, Some('\\'), false, env), false)?;
    Ok(Expanded { value: out.text, unset })
}

fn run(mut scanner: Scanner<'_>, split: bool) -> Result<(Output, Vec<String>), WordError> {
    let mut out = Output { split, ..Output::default() };
    scanner.until(None, false, &mut out)?;
    Ok((out, scanner.unset))
}

/// The result so far, as one text or as words.
#[derive(Default)]
struct Output {
    text: String,
    split: bool,
    words: Vec<String>,
}

impl Output {
    /// Adds text whose blanks split words.
    fn push_split(&mut self, text: &str) {
        if !self.split {
            self.text.push_str(text);
            return;
        }
        for c in text.chars() {
            if !c.is_whitespace() {
                self.text.push(c);
            } else if !self.text.is_empty() {
                self.words.push(std::mem::take(&mut self.text));
            }
        }
    }

    /// Returns the words.
    fn finish(mut self) -> Vec<String> {
        if !self.text.is_empty() {
            self.words.push(self.text);
        }
        self.words
    }
}

struct Scanner<'a> {
    rest: &'a str,
    escape: Option<char>,
    quotes: bool,
    env: Lookup<'a>,
    unset: Vec<String>,
    seen: HashSet<String>,
    depth: usize,
    made: usize,
}

impl<'a> Scanner<'a> {
    fn new(rest: &'a str, escape: Option<char>, quotes: bool, env: Lookup<'a>) -> Self {
        Self { rest, escape, quotes, env, unset: Vec::new(), seen: HashSet::new(), depth: 0, made: 0 }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Returns what stands before the next character that `stops`, and goes there.
    fn take_until(&mut self, stops: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(stops).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        text
    }

    /// Counts bytes that did not come from the word itself.
    fn grow(&mut self, bytes: usize) -> Result<(), WordError> {
        self.made = self.made.saturating_add(bytes);
        if self.made > MAX_RESULT { Err(WordError::TooLarge) } else { Ok(()) }
    }

    /// Reads to the end, or beyond `stop`. With `raw` an escape stays in front of what it escapes.
    fn until(&mut self, stop: Option<char>, raw: bool, out: &mut Output) -> Result<(), WordError> {
        let (escape, quotes) = (self.escape, self.quotes);
        loop {
            let plain = self.take_until(|c| {
                c == '$' || Some(c) == stop || Some(c) == escape || (quotes && matches!(c, '\'' | '"'))
            });
            out.push_split(plain);
            let Some(c) = self.peek() else { break };
            if Some(c) == stop {
                self.next();
                return Ok(());
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    out.push_split(&value);
                }
                '\'' if quotes => self.single_quote(&mut out.text)?,
                '"' if quotes => self.double_quote(raw, &mut out.text)?,
                _ => {
                    self.next();
                    if raw {
                        out.text.push(c);
                    }
                    out.text.extend(self.next());
                }
            }
        }
        // The callers know which mistake an end without `stop` is.
        if stop.is_some() { Err(WordError::MissingBrace) } else { Ok(()) }
    }

    fn single_quote(&mut self, out: &mut String) -> Result<(), WordError> {
        self.next();
        out.push_str(self.take_until(|c| c == '\''));
        self.next().map(drop).ok_or(WordError::Unbalanced { quote: "single-quote" })
    }

    fn double_quote(&mut self, raw: bool, out: &mut String) -> Result<(), WordError> {
        self.next();
        let escape = self.escape;
        loop {
            out.push_str(self.take_until(|c| matches!(c, '"' | '$') || Some(c) == escape));
            match self.peek() {
                None => return Err(WordError::Unbalanced { quote: "double-quote" }),
                Some('"') => {
                    self.next();
                    return Ok(());
                }
                Some('$') => out.push_str(&self.dollar()?),
                Some(escape) => {
                    self.next();
                    if raw {
                        out.push(escape);
                    }
                    match self.peek() {
                        None => {}
                        Some(c) if c == '"' || c == '$' || c == escape => out.extend(self.next()),
                        Some(_) => out.push(escape),
                    }
                }
            }
        }
    }

    /// Reads `$name` or `${…}` and returns its value.
    fn dollar(&mut self) -> Result<String, WordError> {
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            return if name.is_empty() { Ok("$".into()) } else { self.value_of(name) };
        }
        self.next();
        match self.peek() {
            None => return Err(WordError::MissingBrace),
            Some('{' | '}' | ':') => return Err(WordError::BadSubstitution),
            Some(_) => {}
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(WordError::TooDeep);
        }
        let name = self.name();
        let value = match self.next() {
            None => Err(WordError::MissingBrace),
            Some('}') => self.value_of(name),
            Some('/') => self.replaced(name),
            Some(modifier) => self.modified(name, modifier),
        };
        self.depth -= 1;
        value
    }

    /// Reads a name: letters, digits and `_`; or digits alone; or one special parameter.
    fn name(&mut self) -> &'a str {
        let mut chars = self.rest.chars();
        let end = match chars.next() {
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!' | '0') if !self.rest.starts_with('0') => 1,
            Some(c) if c.is_numeric() => self.rest.find(|c: char| !c.is_numeric()).unwrap_or(self.rest.len()),
            _ => self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len()),
        };
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name
    }

    fn lookup(&mut self, name: &str) -> Result<Option<String>, WordError> {
        let value = (self.env)(name);
        match &value {
            Some(value) => self.grow(value.len())?,
            None if !self.seen.insert(name.to_owned()) => {}
            None => self.unset.push(name.to_owned()),
        }
        Ok(value)
    }

    fn value_of(&mut self, name: &str) -> Result<String, WordError> {
        Ok(self.lookup(name)?.unwrap_or_default())
    }

    /// Reads to `stop`; any mistake that reaches the end of the word is the missing `stop`.
    fn word(&mut self, stop: char, raw: bool) -> Result<String, WordError> {
        let mut out = Output::default();
        match self.until(Some(stop), raw, &mut out) {
            Ok(()) => Ok(out.text),
            Err(error @ (WordError::TooDeep | WordError::TooLarge)) => Err(error),
            Err(_) if self.rest.is_empty() && stop == '/' => Err(WordError::MissingSlash),
            Err(_) if self.rest.is_empty() => Err(WordError::MissingBrace),
            Err(error) => Err(error),
        }
    }

    /// `${name-w}` and its kin, behind the modifier.
    fn modified(&mut self, name: &str, modifier: char) -> Result<String, WordError> {
        let unsupported = |modifier: String| Err(WordError::UnsupportedModifier { modifier });
        let colon = modifier == ':';
        let modifier = if colon { self.next().unwrap_or('\u{fffd}') } else { modifier };
        match modifier {
            '#' | '%' if colon => unsupported(format!(":{modifier}")),
            '#' | '%' => self.trimmed(name, modifier),
            '+' | '-' | '?' => {
                let word = self.word('}', false)?;
                let value = self.lookup(name)?;
                let set = value.as_ref().is_some_and(|value| !(colon && value.is_empty()));
                match modifier {
                    '-' => Ok(if set { value.unwrap_or_default() } else { word }),
                    '+' => Ok(if set { word } else { String::new() }),
                    _ if set => Ok(value.unwrap_or_default()),
                    _ => Err(required(name, word, value.is_some())),
                }
            }
            _ if colon => {
                // Docker reads on to the brace first, and misses that before the modifier.
                self.word('}', false)?;
                unsupported(format!(":{modifier}"))
            }
            _ => unsupported(modifier.into()),
        }
    }

    /// `${name#p}`, `${name##p}`, `${name%p}` and `${name%%p}`.
    fn trimmed(&mut self, name: &str, side: char) -> Result<String, WordError> {
        let word = self.word('}', true)?;
        let (longest, pattern) = match word.strip_prefix(side) {
            Some(pattern) => (true, pattern),
            None => (false, word.as_str()),
        };
        let value = self.value_of(name)?;
        let pattern = pattern_of(pattern, &value)?;
        Ok(if side == '#' { pattern.trim_start(&value, longest) } else { pattern.trim_end(&value, longest) })
    }

    /// `${name/p/r}` and `${name//p/r}`.
    fn replaced(&mut self, name: &str) -> Result<String, WordError> {
        let all = self.peek() == Some('/');
        if all {
            self.next();
        }
        let pattern = self.word('/', true)?;
        let with = self.word('}', true)?;
        let value = self.value_of(name)?;
        let pattern = pattern_of(&pattern, &value)?;
        let result = pattern.replace(&value, &with, all, MAX_RESULT).ok_or(WordError::TooLarge)?;
        self.grow(result.len())?;
        Ok(result)
    }
}

fn required(name: &str, word: String, set: bool) -> WordError {
    let message = match (word.is_empty(), set) {
        (false, _) => word,
        (true, false) => "is not allowed to be unset".into(),
        (true, true) => "is not allowed to be empty".into(),
    };
    WordError::Required { name: name.into(), message }
}

fn pattern_of(text: &str, value: &str) -> Result<Pattern, WordError> {
    let pattern =
        Pattern::parse(text).map_err(|escaped| WordError::Pattern { pattern: text.into(), escaped })?;
    if pattern.is_too_much(value.len()) { Err(WordError::TooLarge) } else { Ok(pattern) }
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
