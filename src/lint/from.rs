//! Every `FROM`, also of stages that are not built: its arguments and its platform.

use std::collections::BTreeSet;

use super::LintOptions;
use super::findings::Findings;
use super::rule::{
    FROM_PLATFORM_FLAG_CONST_DISALLOWED, INVALID_DEFAULT_ARG_IN_FROM, REDUNDANT_TARGET_PLATFORM,
    UNDEFINED_ARG_IN_FROM,
};
use super::stage::{Pieces, Stage, Stages, cut};
use super::variables::{Form, Seen, Variables, expand};
use crate::image::{Platform, Reference};
use crate::parser::instruction::{From, InstructionKind};
use crate::parser::{Dockerfile, Instruction, WordError, quoted, suggest};

const TARGET: &str = "TARGETPLATFORM";

/// Checks every `FROM` and returns the stages; none where one is wrong.
pub(super) fn check<'f>(
    file: &'f Dockerfile,
    options: &LintOptions<'_>,
    findings: &mut Findings<'_>,
) -> Option<Stages<'f>> {
    let escape = file.directives.escape;
    let pieces = cut(file);
    let predefined: Variables = options.predefined.iter().cloned().collect();
    defaults(&pieces, &predefined, escape, findings);
    let (globals, mut declared) = arguments(pieces.0, predefined, escape, Some(options)).ok()?;
    declared.extend(globals.names().map(str::to_owned));
    let mut stages = Stages { list: Vec::new(), globals };
    for (head, from, body) in pieces.1 {
        let stage = Heads { escape, declared: &declared, head, from }.check(body, &stages, findings)?;
        stages.list.push(stage);
    }
    Some(stages)
}

/// Returns the arguments before the first stage, and the names that they declare.
fn arguments(
    before: &[Instruction],
    mut set: Variables,
    escape: char,
    options: Option<&LintOptions<'_>>,
) -> Result<(Variables, Vec<String>), WordError> {
    let mut declared = Vec::new();
    for instruction in before {
        let InstructionKind::Arg(items) = &instruction.kind else { continue };
        for item in items {
            let given = options.and_then(|options| options.build_args.get(&item.name)).cloned();
            let value = match (given, &item.default) {
                (Some(value), _) => Some(value),
                (None, Some(word)) => Some(expand(word, Form::Word, escape, &set)?.value().to_owned()),
                (None, None) => None,
            };
            declared.push(item.name.clone());
            if let Some(value) = value {
                set.set(item.name.clone(), value);
            }
        }
    }
    Ok((set, declared))
}

/// Every base must be a good name with the defaults alone.
fn defaults(pieces: &Pieces<'_>, predefined: &Variables, escape: char, findings: &mut Findings<'_>) {
    // A mistake in a word is the build's to tell.
    let Ok((set, _)) = arguments(pieces.0, predefined.clone(), escape, None) else { return };
    for (head, from, _) in &pieces.1 {
        let Ok(seen) = expand(&from.image, Form::Word, escape, &set) else { return };
        if Reference::parse(seen.value()).is_err() {
            let text =
                format!("Default value for ARG {} results in empty or invalid base image name", from.image);
            findings.add(&INVALID_DEFAULT_ARG_IN_FROM, head, text);
        }
    }
}

/// One `FROM`.
struct Heads<'a, 'f> {
    escape: char,
    /// Names that may be used.
    declared: &'a [String],
    head: &'f Instruction,
    from: &'f From,
}

impl<'f> Heads<'_, 'f> {
    fn check(
        &self,
        body: &'f [Instruction],
        stages: &Stages<'f>,
        findings: &mut Findings<'_>,
    ) -> Option<Stage<'f>> {
        let seen = expand(&self.from.image, Form::Word, self.escape, &stages.globals);
        let seen = seen.ok()?;
        self.undefined(&seen, findings);
        let base = seen.value().to_owned();
        if base.is_empty() {
            return None;
        }
        let mut used = seen.used;
        let platform = match &self.from.platform {
            Some(word) => Some(self.platform(word, &stages.globals, &mut used, findings)?),
            None => None,
        };
        let parent = stages.list.iter().rposition(|stage| stage.from.name.as_deref() == Some(&base));
        Some(Stage { head: self.head, from: self.from, body, base, platform, parent, used })
    }

    fn undefined(&self, seen: &Seen, findings: &mut Findings<'_>) {
        for name in seen.unset.iter().filter(|name| !self.declared.contains(name)) {
            let meant = suggest(name, self.declared.iter().map(String::as_str), true);
            let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
            let text = format!("FROM argument '{name}' is not declared{meant}");
            findings.add(&UNDEFINED_ARG_IN_FROM, self.head, text);
        }
    }

    fn platform(
        &self,
        word: &str,
        set: &Variables,
        used: &mut BTreeSet<String>,
        findings: &mut Findings<'_>,
    ) -> Option<Platform> {
        let seen = expand(word, Form::Word, self.escape, set).ok()?;
        self.undefined(&seen, findings);
        let parsed = Platform::parse(seen.value()).ok();
        let redundant = seen.unset.is_empty()
            && seen.used.len() == 1
            && seen.used.contains(TARGET)
            && set.get(TARGET).map(String::as_str) == Some(seen.value());
        if redundant {
            let text = format!(
                "Setting platform to predefined {word} in FROM is redundant as this is the default behavior"
            );
            findings.add(&REDUNDANT_TARGET_PLATFORM, self.head, text);
        }
        let constant = seen.used.is_empty() && seen.unset.is_empty();
        let name = self.from.name.as_deref().unwrap_or_default();
        let named =
            |platform: &Platform| name.contains(&platform.os) || name.contains(&platform.architecture);
        if constant && parsed.as_ref().is_some_and(|platform| !named(platform)) {
            let text = format!("FROM --platform flag should not use constant value {}", quoted(seen.value()));
            findings.add(&FROM_PLATFORM_FLAG_CONST_DISALLOWED, self.head, text);
        }
        used.extend(seen.used);
        parsed
    }
}
