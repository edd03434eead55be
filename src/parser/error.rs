//! Why a Dockerfile does not parse, and where.

use super::source::Span;

/// A Dockerfile does not parse; the texts are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct ParseError {
    /// What is wrong, without the line.
    pub message: String,
    /// Where; none when it is about the file as a whole.
    pub span: Option<Span>,
}

impl ParseError {
    /// Returns an error about the lines of `span`.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span) }
    }

    /// Returns an error about the file as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None }
    }

    fn text(&self) -> String {
        match self.span {
            Some(span) => format!("dockerfile parse error on line {}: {}", span.first, self.message),
            None => self.message.clone(),
        }
    }
}

/// A word does not expand; the texts are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WordError {
    /// What is wrong.
    pub message: String,
}

impl WordError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
