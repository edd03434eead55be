//! `--format`: Go's text/template over JSON values, as docker's users write it.

mod eval;
mod functions;
mod lex;
mod list;
mod parse;
mod print;
mod typed;

#[cfg(test)]
mod tests;

pub use eval::Missing;
pub use list::{Column, List};

use serde_json::Value;

/// A template that does not parse or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TemplateError {
    text: String,
}

impl TemplateError {
    fn at(offset: usize, reason: impl std::fmt::Display) -> Self {
        Self { text: format!("template: :1:{offset}: {reason}") }
    }

    fn executing(offset: usize, what: &str, reason: impl std::fmt::Display) -> Self {
        Self { text: format!("template: :1:{offset}: executing \"\" at <{what}>: {reason}") }
    }

    fn run(reason: impl std::fmt::Display) -> Self {
        Self { text: format!("template: {reason}") }
    }
}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template(parse::Tree);

impl Template {
    /// Parses a template; `\t` and `\n` written literally are converted.
    ///
    /// # Errors
    /// The text is no template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::parse(&text.replace("\\t", "\t").replace("\\n", "\n")).map(Self)
    }

    /// Runs the template over a value.
    ///
    /// # Errors
    /// A function fails, or something is missing that must be there.
    pub fn render(&self, data: &Value, missing: Missing) -> Result<String, TemplateError> {
        eval::run(&self.0, data, missing, None)
    }

    /// Runs the template over a row that has the method `Label`.
    ///
    /// # Errors
    /// As [`Self::render`].
    pub fn render_row(&self, row: &Value, label: &dyn Fn(&str) -> String) -> Result<String, TemplateError> {
        eval::run(&self.0, row, Missing::Error, Some(label))
    }
}
