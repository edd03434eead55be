//! Names of stages: each once, and none that means something else.

use std::collections::BTreeSet;

use super::findings::Findings;
use super::rule::{DUPLICATE_STAGE_NAME, RESERVED_STAGE_NAME};
use crate::parser::instruction::InstructionKind;
use crate::parser::{Dockerfile, quoted};

/// Names that are no stage's to take.
const RESERVED: [&str; 2] = ["context", "scratch"];

pub(super) fn check(file: &Dockerfile, findings: &mut Findings<'_>) {
    let mut names = BTreeSet::new();
    for instruction in &file.instructions {
        let InstructionKind::From(from) = &instruction.kind else { continue };
        let Some(name) = &from.name else { continue };
        if RESERVED.contains(&name.as_str()) {
            let text = format!("Stage name should not use the same name as reserved stage {}", quoted(name));
            findings.add(&RESERVED_STAGE_NAME, instruction, text);
        }
        if !names.insert(name) {
            let text = format!("Duplicate stage name {}, stage names should be unique", quoted(name));
            findings.add(&DUPLICATE_STAGE_NAME, instruction, text);
        }
    }
}
