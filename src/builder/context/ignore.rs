//! Ignore files and `--exclude`: which paths of a tree are left out.
//!
//! Every pattern is anchored at the root, the last one that matches wins, a
//! match covers everything below, and a later `!pattern` brings paths back,
//! also out of excluded directories. Case counts.
//!
//! Parents are matched while walking down, as moby does it: a [`Verdict`] on a
//! directory remembers which patterns matched it, and its children inherit
//! those. One consequence of moby's walk is kept on purpose: a pattern that
//! could not change the verdict on a directory is not tried on it, so with
//! `a/b` and then `!a`, `a/b` stays out.

use super::error::ContextError;
use super::pattern::{Pattern, split_exception};

/// A list of patterns.
#[derive(Debug, Clone, Default)]
pub struct PatternMatcher {
    patterns: Vec<Pattern>,
    exceptions: bool,
}

/// What the patterns say of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    excluded: bool,
    matched: Box<[bool]>,
}

impl Verdict {
    /// Whether the path is matched, that is, left out by an ignore file.
    pub fn is_match(&self) -> bool {
        self.excluded
    }
}

impl PatternMatcher {
    /// Compiles patterns, blanks around them and empty ones dropped.
    ///
    /// Fails with moby's texts on a lone `!` and on bad syntax.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, ContextError> {
        let mut matcher = Self::default();
        for text in patterns.iter().map(|p| p.as_ref().trim()).filter(|p| !p.is_empty()) {
            let (pattern, exception) = split_exception(text);
            if pattern.is_empty() {
                return Err(ContextError::LoneException);
            }
            let compiled = Pattern::new(&pattern, exception)
                .map_err(|source| ContextError::Pattern { pattern: text.to_owned(), source })?;
            matcher.exceptions |= exception;
            matcher.patterns.push(compiled);
        }
        Ok(matcher)
    }

    /// Reads an ignore file: comments only in column 0, blanks and byte order mark dropped, names cleaned.
    pub fn parse(text: &str) -> Result<Self, ContextError> {
        Self::new(&ignore_lines(text))
    }

    /// Whether there are no patterns at all.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether some pattern starts with `!`.
    pub fn has_exceptions(&self) -> bool {
        self.exceptions
    }

    /// Returns the verdict on `path`, given the one on its directory; none for a path at the root.
    ///
    /// Children of a directory must be asked with its verdict: that is how a match covers everything below.
    pub fn verdict(&self, path: &[u8], parent: Option<&Verdict>) -> Verdict {
        let mut excluded = false;
        let mut matched = vec![false; self.patterns.len()];
        for (at, pattern) in self.patterns.iter().enumerate() {
            let inherited = parent.is_some_and(|p| p.matched.get(at).copied().unwrap_or(false));
            if !inherited && pattern.is_exception() != excluded {
                continue;
            }
            matched[at] = inherited || pattern.matches(path);
            if matched[at] {
                excluded = !pattern.is_exception();
            }
        }
        Verdict { excluded, matched: matched.into() }
    }

    /// Returns the verdict on a path from the root down, as a walk would find it.
    pub fn verdict_of(&self, path: &[u8]) -> Verdict {
        let mut verdict = None;
        for dir in crate::paths::ancestors(path) {
            verdict = Some(self.verdict(dir, verdict.as_ref()));
        }
        self.verdict(path, verdict.as_ref())
    }

    /// Whether a path as `COPY` names it is left out; the root only where a pattern leaves out all that is in it.
    pub fn leaves_out(&self, path: &str) -> bool {
        match path {
            "." | "/" => self.patterns.iter().any(Pattern::is_everything),
            path => self.verdict_of(path.as_bytes()).is_match(),
        }
    }

    /// Whether a walk must enter an excluded directory, because an exception may match inside.
    pub fn may_reinclude_below(&self, dir: &[u8]) -> bool {
        self.exceptions && self.patterns.iter().any(|p| p.is_exception() && p.may_match_below(dir))
    }

    /// Whether anything below `dir` may match at all; used where patterns say what to take.
    pub fn may_match_below(&self, dir: &[u8]) -> bool {
        self.patterns.iter().any(|p| !p.is_exception() && p.may_match_below(dir))
    }
}

/// Returns the patterns of an ignore file's text.
fn ignore_lines(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim);
    lines.filter(|line| !line.is_empty()).map(clean_line).collect()
}

fn clean_line(line: &str) -> String {
    let (mark, pattern) = match line.strip_prefix('!') {
        Some(rest) => ("!", rest.trim()),
        None => ("", line),
    };
    if pattern.is_empty() {
        return mark.to_owned();
    }
    let cleaned = crate::paths::clean(pattern);
    let anchored = if cleaned.len() > 1 { cleaned.trim_start_matches('/') } else { &cleaned };
    format!("{mark}{anchored}")
}

#[cfg(test)]
#[path = "ignore_tests.rs"]
mod tests;
