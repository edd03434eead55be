//! Words of instructions against a stage's environment.

use super::env::Env;
use super::error::{BuildError, ErrorKind};
use crate::parser::words;

/// Expands words with one escape character against one environment.
#[derive(Clone, Copy)]
pub struct Expander<'a> {
    /// `\` or a backtick.
    pub escape: char,
    /// The variables.
    pub env: &'a Env,
}

impl Expander<'_> {
    fn get(&self) -> impl Fn(&str) -> Option<String> + '_ {
        |name: &str| self.env.get(name).map(str::to_owned)
    }

    /// Expands a word into one value.
    ///
    /// # Errors
    /// It is malformed, or asks for an error by `${v:?}`.
    pub fn word(&self, word: &str) -> Result<String, BuildError> {
        // Most words hold nothing to expand; then they are what they are.
        if !word.contains(['$', '\'', '"', self.escape]) {
            return Ok(word.to_owned());
        }
        match words::expand(word, self.escape, &self.get()) {
            Ok(expanded) => Ok(expanded.value),
            Err(source) => Err(ErrorKind::Word { word: word.to_owned(), source }.into()),
        }
    }

    /// Expands an optional word.
    ///
    /// # Errors
    /// As [`Self::word`].
    pub fn option(&self, word: Option<&String>) -> Result<Option<String>, BuildError> {
        word.map(|word| self.word(word)).transpose()
    }

    /// Expands a word and splits it at blanks, those of values included.
    ///
    /// # Errors
    /// As [`Self::word`].
    pub fn list(&self, word: &str) -> Result<Vec<String>, BuildError> {
        match words::expand_list(word, self.escape, &self.get()) {
            Ok((list, _)) => Ok(list),
            Err(source) => Err(ErrorKind::Word { word: word.to_owned(), source }.into()),
        }
    }

    /// Expands the body of a heredoc.
    ///
    /// # Errors
    /// As [`Self::word`].
    pub fn heredoc(&self, body: &str) -> Result<String, BuildError> {
        match words::expand_heredoc(body, &self.get()) {
            Ok(expanded) => Ok(expanded.value),
            Err(source) => Err(ErrorKind::Word { word: body.to_owned(), source }.into()),
        }
    }
}

/// Returns a line with the values of those variables that are set, for people: all else stays as typed.
///
/// Where quotes are unbalanced the whole line stays so. `masked` are variables whose values are secret.
pub fn shown(text: &str, env: &Env, masked: &[String]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let (mut single, mut double) = (false, false);
    while let Some(at) = rest.find(['$', '\\', '\'', '"']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (taken, shown) = match rest.as_bytes()[0] {
            b'$' if !single => variable(rest, env, masked),
            b'\\' if !single => {
                let taken = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                (taken, rest[..taken].to_owned())
            }
            other => {
                match other {
                    b'\'' if !double => single = !single,
                    b'"' if !single => double = !double,
                    _ => {}
                }
                (1, rest[..1].to_owned())
            }
        };
        out.push_str(&shown);
        rest = &rest[taken..];
    }
    if single || double {
        return text.to_owned();
    }
    out.push_str(rest);
    out
}

/// Returns how many bytes a variable takes, and what to show for them.
fn variable(text: &str, env: &Env, masked: &[String]) -> (usize, String) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (name, taken) = match text[1..].strip_prefix('{') {
        Some(inner) => match inner.find('}') {
            Some(end) if inner[..end].chars().all(is_name) => (&inner[..end], end + 3),
            _ => return (1, "$".to_owned()),
        },
        None => {
            let end = text[1..].find(|c| !is_name(c)).unwrap_or(text.len() - 1);
            (&text[1..=end], end + 1)
        }
    };
    if masked.iter().any(|secret| secret == name) {
        return (taken, "****".to_owned());
    }
    let value = env.get(name).filter(|_| !name.is_empty());
    (taken, value.map_or_else(|| text[..taken].to_owned(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_with_what_is_set() {
        let mut env = Env::default();
        env.add_pairs(&["A=1", "B=x y"]);
        for (text, expected) in [
            ("RUN echo $A ${B} $C", "RUN echo 1 x y $C"),
            ("RUN echo '$A' \"$A\" \\$A", "RUN echo '$A' \"1\" \\$A"),
            ("RUN ${A:-x} $", "RUN ${A:-x} $"),
            ("RUN echo $S ${S} \"it's $A\"", "RUN echo **** **** \"it's 1\""),
            ("RUN echo it's $A", "RUN echo it's $A"),
            ("a$", "a$"),
            ("'", "'"),
            ("\\", "\\"),
            ("$é", "$é"),
        ] {
            assert_eq!(shown(text, &env, &["S".to_owned()]), expected, "{text}");
        }
    }
}
