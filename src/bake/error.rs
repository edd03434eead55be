//! What is wrong with a bake file.

use super::source::{Place, SourceFile};

/// Bake files that can't be read, evaluated or resolved.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BakeError {
    /// A place in a file is wrong; printed as `file:line,from-to: summary; detail`.
    #[error("{place}: {summary}; {detail}")]
    At {
        /// Where.
        place: Box<Place>,
        /// The kind of mistake.
        summary: String,
        /// What is wrong here.
        detail: String,
    },
    /// Something is wrong without one place.
    #[error("{0}")]
    Plain(String),
}

impl BakeError {
    /// An error without a place.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::Plain(text.into())
    }

    /// An error at bytes of a file.
    pub fn at(
        file: &SourceFile,
        span: std::ops::Range<usize>,
        summary: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let place = Box::new(file.place(span));
        Self::At { place, summary: summary.into(), detail: detail.into() }
    }

    /// Returns the lines of the file around the place, as docker shows them; empty without a place.
    pub fn excerpt(&self) -> String {
        match self {
            Self::At { place, .. } => place.excerpt(),
            Self::Plain(_) => String::new(),
        }
    }
}
