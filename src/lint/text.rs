//! What is found while instructions are read one after the other.

use super::findings::Findings;
use super::rule::{
    FROM_AS_CASING, INVALID_DEFINITION_DESCRIPTION, MAINTAINER_DEPRECATED, NO_EMPTY_CONTINUATION,
    STAGE_NAME_CASING,
};
use crate::parser::instruction::{From, InstructionKind};
use crate::parser::{Dockerfile, Instruction};

pub(super) fn check(file: &Dockerfile, findings: &mut Findings<'_>) {
    for (at, span) in &file.blank_continuations {
        let text = "Empty continuation line".to_owned();
        if let Some(about) = file.instructions.get(*at) {
            findings.add_at(&NO_EMPTY_CONTINUATION, about, *span, text);
        }
    }
    for instruction in &file.instructions {
        match &instruction.kind {
            InstructionKind::Maintainer(_) => {
                let text = "Maintainer instruction is deprecated in favor of using label";
                findings.add(&MAINTAINER_DEPRECATED, instruction, text.to_owned());
            }
            InstructionKind::From(from) => stage(instruction, from, findings),
            InstructionKind::Arg(items) => {
                let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
                description(instruction, "ARG", &names, findings);
            }
            _ => {}
        }
    }
}

fn stage(instruction: &Instruction, from: &From, findings: &mut Findings<'_>) {
    let (Some(name), Some(typed)) = (&from.name, &from.typed_name) else { return };
    if name != typed {
        let text = format!("Stage name '{typed}' should be lowercase");
        findings.add(&STAGE_NAME_CASING, instruction, text);
    }
    let (keyword, used) = (&instruction.keyword, as_keyword(instruction));
    // A keyword of mixed case is another rule's.
    let matches = match (is_lower(keyword), is_upper(keyword)) {
        (true, _) => is_lower(used),
        (_, true) => is_upper(used),
        _ => true,
    };
    if !matches {
        let text = format!("'{used}' and '{keyword}' keywords' casing do not match");
        findings.add(&FROM_AS_CASING, instruction, text);
    }
    description(instruction, "FROM", &[name], findings);
}

/// The nearest comment above a definition begins with the name that it defines.
fn description(instruction: &Instruction, keyword: &str, names: &[&str], findings: &mut Findings<'_>) {
    let (Some(comment), Some(name)) = (instruction.comments.last(), names.first()) else { return };
    if names.contains(&comment.split(' ').next().unwrap_or_default()) {
        return;
    }
    let example = if names.len() > 1 { "<arg_key>" } else { name };
    let text = format!("Comment for {keyword} should follow the format: `# {example} <description>`");
    findings.add(&INVALID_DEFINITION_DESCRIPTION, instruction, text);
}

/// Returns the `AS` of a `FROM` that has a name, as typed.
fn as_keyword(instruction: &Instruction) -> &str {
    let mut words = instruction.text.split_whitespace().rev();
    words.nth(1).unwrap_or_default()
}

pub(super) fn is_lower(text: &str) -> bool {
    !text.contains(char::is_uppercase)
}

pub(super) fn is_upper(text: &str) -> bool {
    !text.contains(char::is_lowercase)
}
