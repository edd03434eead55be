//! Build checks: what a Dockerfile says that stops nothing but should be known.
//!
//! Owns BuildKit's rules with their names, words and order, and the directives that
//! switch them (`# check=`, the comment above an instruction, the build argument), and
//! what a file offers and takes (`--call targets`, `--call outline`).
//! It is pure: what base images are, what an ignore file matches and what the command
//! line says comes in with [`LintOptions`]; what was found goes out as [`Finding`]s.
//!
//! ```text
//! text (as lines are read) -> names -> casing -> from (every FROM) -> walk (stages that are built)
//! ```
//!
//! The passes are BuildKit's, since what is found comes in that order and ends where
//! a build would: a pass that a mistake of the file stops finds nothing behind it.
//!
//! Left out: `InvalidBaseImagePlatform` asks `base` for what an image is; where it
//! does not know, nothing is said of that stage.

mod casing;
mod copy;
mod expose;
mod findings;
mod from;
mod names;
mod outline;
mod rule;
mod settings;
mod stage;
mod text;
mod variables;
mod walk;

use std::collections::BTreeMap;

pub use findings::Finding;
pub use outline::{Argument, Needed, Outline, Target, outline, targets};
pub use rule::{RULES, Rule};
pub use settings::{Settings, SettingsError};

use findings::Findings;

use crate::image::{ImageConfig, Platform};
use crate::parser::{Dockerfile, Span};

/// What an image, or a context in its place, is to the stages on it; none where it is not known.
pub type Base<'a> = &'a dyn Fn(&str, Option<&Platform>) -> Option<ImageConfig>;

/// What the rules depend on besides the text.
pub struct LintOptions<'a> {
    /// Which rules are on.
    pub settings: &'a Settings,
    /// `--build-arg`
    pub build_args: &'a BTreeMap<String, String>,
    /// The arguments that every build has, such as `TARGETPLATFORM`.
    pub predefined: &'a [(String, String)],
    /// Whether every stage counts, not only what the target needs.
    pub all: bool,
    /// `--target`; none is the last stage.
    pub target: Option<&'a str>,
    /// `--platform`
    pub platform: Option<&'a Platform>,
    /// Platforms that the machine runs, its own first.
    pub runnable: &'a [Platform],
    /// What the bases of stages are.
    pub base: Base<'a>,
    /// Whether a named context stands for the stage of this name.
    pub replaced: &'a dyn Fn(&str) -> bool,
    /// Whether the ignore file leaves a path out; none where it has exceptions or does not exist.
    pub ignored: Option<&'a dyn Fn(&str) -> bool>,
    /// Whether the build gets as far as the stages' instructions.
    pub walk: bool,
    /// Where the build fails: no instruction behind these lines is looked at.
    pub stop: Option<Span>,
}

/// Returns what the rules find, in the order in which BuildKit reports it.
pub fn lint(file: &Dockerfile, options: &LintOptions<'_>) -> Vec<Finding> {
    let mut findings = Findings::new(options.settings);
    text::check(file, &mut findings);
    names::check(file, &mut findings);
    casing::check(file, &mut findings);
    let stages = from::check(file, options, &mut findings).filter(|_| options.walk);
    if let Some(stages) = stages {
        walk::check(&stages, file.directives.escape, options, &mut findings);
    }
    findings.list
}

/// Returns what can be said of a file of which only a part is understood: what is found while lines are read.
pub fn lint_text(file: &Dockerfile, settings: &Settings) -> Vec<Finding> {
    let mut findings = Findings::new(settings);
    text::check(file, &mut findings);
    findings.list
}
