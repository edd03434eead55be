//! Keywords in the case of the majority; arguments before the first stage do not count.

use super::findings::Findings;
use super::rule::CONSISTENT_INSTRUCTION_CASING;
use super::text::{is_lower, is_upper};
use crate::parser::instruction::InstructionKind;
use crate::parser::{Dockerfile, Instruction};

pub(super) fn check(file: &Dockerfile, findings: &mut Findings<'_>) {
    let is_from = |instruction: &&Instruction| matches!(instruction.kind, InstructionKind::From(_));
    let staged = || file.instructions.iter().skip_while(|instruction| !is_from(instruction));
    let (mut lower, mut upper) = (0, 0);
    for instruction in staged() {
        lower += usize::from(is_lower(&instruction.keyword));
        upper += usize::from(is_upper(&instruction.keyword));
    }
    let (good, wanted): (fn(&str) -> bool, _) =
        if lower > upper { (is_lower, "lowercase") } else { (is_upper, "uppercase") };
    for instruction in staged().filter(|instruction| !good(&instruction.keyword)) {
        let typed = &instruction.keyword;
        let text = format!("Command '{typed}' should match the case of the command majority ({wanted})");
        findings.add(&CONSISTENT_INSTRUCTION_CASING, instruction, text);
    }
}
