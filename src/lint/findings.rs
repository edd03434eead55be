//! What was found.

use super::rule::Rule;
use super::settings::Settings;
use crate::parser::{Instruction, Span};

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// What it says of these lines.
    pub message: String,
    /// The lines.
    pub span: Span,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} (line {})", self.rule.name, self.message, self.span.first)
    }
}

/// The findings so far, and which rules are on.
pub(super) struct Findings<'a> {
    settings: &'a Settings,
    pub(super) list: Vec<Finding>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, list: Vec::new() }
    }

    /// Adds something about an instruction, unless the rule is off there.
    pub(super) fn add(&mut self, rule: &'static Rule, about: &Instruction, message: String) {
        self.add_at(rule, about, about.span, message);
    }

    /// Adds something about an instruction that is shown at other lines.
    pub(super) fn add_at(&mut self, rule: &'static Rule, about: &Instruction, span: Span, message: String) {
        if self.settings.allows(rule, &about.comments) {
            self.list.push(Finding { rule, message, span });
        }
    }
}
