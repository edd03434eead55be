//! Decisions as a BPF program: architecture, then a binary search over ranges of numbers.

#[cfg(test)]
use std::collections::HashMap;

use super::super::error::RunError;
use super::super::sys::Instruction;
use super::profile::{Action, Comparison, Condition, Decision, Decisions};
use super::table::{Arch, X32_BIT};

/// The most instructions that the kernel takes (BPF_MAXINSNS).
const MAX_INSTRUCTIONS: usize = 4096;

// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;

type Code = Vec<Instruction>;

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// Numbers from `first` up to the next range's, decided alike.
struct Range<'a> {
    first: u32,
    decision: Option<&'a Decision>,
}

/// Returns the program.
///
/// # Errors
/// It has more instructions than the kernel takes.
pub(super) fn emit(decisions: &Decisions) -> Result<Code, RunError> {
    let mut code = vec![instruction(LOAD, 0, 0, ARCH)];
    // x32 has the same architecture as x86_64, and greater numbers.
    let find = |arch| decisions.arches.iter().find(|(a, _)| *a == arch).map(|(_, d)| d);
    let x86 = find(Arch::X86).map(|d| ranges(d.iter()));
    let wide = find(Arch::X86_64).map(|d| {
        let mut all = ranges(d.iter());
        match find(Arch::X32) {
            Some(x32) => all.extend(ranges(x32.iter()).into_iter().skip_while(|r| r.first < X32_BIT)),
            None => all.push(Range { first: X32_BIT, decision: None }),
        }
        all
    });
    for (arch, ranges) in [(Arch::X86_64, wide), (Arch::X86, x86)] {
        let Some(ranges) = ranges else { continue };
        let mut body = vec![instruction(LOAD, 0, 0, NUMBER)];
        body.extend(search(&ranges, decisions.default));
        code.push(instruction(EQUAL, 1, 0, arch.audit()));
        code.push(instruction(JUMP, 0, 0, body.len() as u32));
        code.extend(body);
    }
    // Calls of any other architecture are none that the profile knows.
    code.push(instruction(RETURN, 0, 0, unknown_arch(decisions.default)));
    match code.len() {
        length if length > MAX_INSTRUCTIONS => Err(RunError::Seccomp(format!(
            "it needs {length} instructions, the kernel takes {MAX_INSTRUCTIONS}"
        ))),
        _ => Ok(code),
    }
}

/// As libseccomp's default: a foreign architecture ends the process, unless the profile allows all.
fn unknown_arch(default: Action) -> Action {
    if default == libc::SECCOMP_RET_ALLOW { default } else { libc::SECCOMP_RET_KILL_THREAD }
}

/// Joins neighbours that are decided alike; gaps are decided by the default.
fn ranges<'a>(decisions: impl Iterator<Item = (&'a u32, &'a Decision)>) -> Vec<Range<'a>> {
    let mut all: Vec<Range<'a>> = vec![Range { first: 0, decision: None }];
    let mut next = 0;
    for (number, decision) in decisions {
        if *number > next && all.last().is_some_and(|last| last.decision.is_some()) {
            all.push(Range { first: next, decision: None });
        }
        let last = all.last_mut().expect("there is always a range");
        if last.decision != Some(decision) {
            if last.first == *number {
                last.decision = Some(decision);
            } else {
                all.push(Range { first: *number, decision: Some(decision) });
            }
        }
        next = number + 1;
    }
    all.push(Range { first: next, decision: None });
    all
}

/// Returns code that finds the range of the loaded number and does what it says.
fn search(ranges: &[Range<'_>], default: Action) -> Code {
    if let [only] = ranges {
        return decide(only.decision, default);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (low_code, high_code) = (search(low, default), search(high, default));
    let mut code = Vec::with_capacity(low_code.len() + high_code.len() + 2);
    match u8::try_from(low_code.len()) {
        Ok(distance) => code.push(instruction(AT_LEAST, distance, 0, high[0].first)),
        // A conditional jump reaches 255 instructions; a plain one any.
        Err(_) => {
            code.push(instruction(AT_LEAST, 0, 1, high[0].first));
            code.push(instruction(JUMP, 0, 0, low_code.len() as u32));
        }
    }
    code.extend(low_code);
    code.extend(high_code);
    code
}

fn decide(decision: Option<&Decision>, default: Action) -> Code {
    let Some(decision) = decision else { return vec![instruction(RETURN, 0, 0, default)] };
    if let Some(code) = decide_by_set(decision) {
        return code;
    }
    let mut code = Code::new();
    for (conditions, action) in &decision.alternatives {
        // Each condition falls through when it holds and leaves for the next alternative when not.
        let mut alternative = vec![instruction(RETURN, 0, 0, *action)];
        for condition in conditions.iter().rev() {
            let test = test(condition, alternative.len());
            alternative.splice(0..0, test);
        }
        code.extend(alternative);
    }
    code.push(instruction(RETURN, 0, 0, decision.otherwise));
    code
}

/// Returns shorter code for alternatives that are small values of one argument with one action, such as socket families:
/// a binary search over the values.
fn decide_by_set(decision: &Decision) -> Option<Code> {
    let (first, action) = decision.alternatives.first()?;
    let index = first.first()?.index;
    let mut values: Vec<(u32, u32)> = Vec::new();
    for (conditions, other) in &decision.alternatives {
        let [condition] = conditions.as_slice() else { return None };
        let value = u32::try_from(condition.value).ok()?;
        if condition.index != index || other != action {
            return None;
        }
        match condition.comparison {
            Comparison::Equal => values.push((value, value)),
            Comparison::Less => values.push((0, value.checked_sub(1)?)),
            Comparison::LessOrEqual => values.push((0, value)),
            _ => return None,
        }
    }
    values.sort_unstable();
    let taken = Decision { alternatives: Vec::new(), otherwise: *action };
    let mut ranges = vec![Range { first: 0, decision: None }];
    let mut next = Some(0);
    for (low, high) in values {
        match next {
            Some(next) if low > next => {
                if ranges.last().is_some_and(|r| r.decision.is_some()) {
                    ranges.push(Range { first: next, decision: None });
                }
                ranges.push(Range { first: low, decision: Some(&taken) });
            }
            // The range goes on.
            Some(_) if ranges.last().is_some_and(|r| r.decision.is_some()) => {}
            Some(next) => match ranges.last_mut() {
                Some(last) if last.first == next => last.decision = Some(&taken),
                _ => ranges.push(Range { first: next, decision: Some(&taken) }),
            },
            None => break,
        }
        next = next.and_then(|next| high.max(next.saturating_sub(1)).checked_add(1));
    }
    ranges.extend(next.map(|first| Range { first, decision: None }));
    let low_at = ARGUMENTS + index * 8;
    let mut code = vec![
        instruction(LOAD, 0, 0, low_at + 4),
        instruction(EQUAL, 1, 0, 0),
        instruction(RETURN, 0, 0, decision.otherwise),
        instruction(LOAD, 0, 0, low_at),
    ];
    code.extend(search(&ranges, decision.otherwise));
    Some(code)
}

/// Returns code that goes on when the condition holds and skips `body` further instructions when not.
///
/// BPF's words have 32 bits, so each half of the argument is looked at (little-endian).
fn test(condition: &Condition, body: usize) -> Code {
    let low_at = ARGUMENTS + condition.index * 8;
    let (low, high) = (condition.value as u32, (condition.value >> 32) as u32);
    let load_low = instruction(LOAD, 0, 0, low_at);
    let load_high = instruction(LOAD, 0, 0, low_at + 4);
    let skip = |after: usize| u8::try_from(body + after).unwrap_or(u8::MAX);
    match condition.comparison {
        Comparison::Equal => vec![
            load_high,
            instruction(EQUAL, 0, skip(2), high),
            load_low,
            instruction(EQUAL, 0, skip(0), low),
        ],
        Comparison::NotEqual => {
            vec![load_high, instruction(EQUAL, 0, 2, high), load_low, instruction(EQUAL, skip(0), 0, low)]
        }
        Comparison::Masked(mask) => vec![
            load_high,
            instruction(AND, 0, 0, (mask >> 32) as u32),
            instruction(EQUAL, 0, skip(3), high),
            load_low,
            instruction(AND, 0, 0, mask as u32),
            instruction(EQUAL, 0, skip(0), low),
        ],
        // The greater half decides, unless it is equal.
        Comparison::Greater | Comparison::GreaterOrEqual => {
            let code = if condition.comparison == Comparison::Greater { GREATER } else { AT_LEAST };
            vec![
                load_high,
                instruction(GREATER, 3, 0, high),
                instruction(EQUAL, 0, skip(2), high),
                load_low,
                instruction(code, 0, skip(0), low),
            ]
        }
        Comparison::Less | Comparison::LessOrEqual => {
            let code = if condition.comparison == Comparison::Less { AT_LEAST } else { GREATER };
            vec![
                load_high,
                instruction(GREATER, skip(3), 0, high),
                instruction(EQUAL, 0, 2, high),
                load_low,
                instruction(code, skip(0), 0, low),
            ]
        }
    }
}

/// Runs a program as the kernel would, for tests.
#[cfg(test)]
pub(super) fn interpret(code: &[Instruction], data: &HashMap<u32, u32>) -> (Action, usize) {
    let (mut at, mut accumulator, mut count) = (0, 0u32, 0);
    loop {
        let i = &code[at];
        count += 1;
        at += 1;
        let mut branch = |taken: bool| at += usize::from(if taken { i.jt } else { i.jf });
        match i.code {
            LOAD => accumulator = data.get(&i.k).copied().unwrap_or(0),
            AND => accumulator &= i.k,
            EQUAL => branch(accumulator == i.k),
            GREATER => branch(accumulator > i.k),
            AT_LEAST => branch(accumulator >= i.k),
            JUMP => at += i.k as usize,
            RETURN => return (i.k, count),
            other => panic!("unknown instruction {other}"),
        }
    }
}
