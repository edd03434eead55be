//! Build checks that need the text alone; those that need values or images are the builder's.

use std::collections::BTreeSet;

use super::instruction::{From, Instruction, InstructionKind, KeyValues, Warning};
use super::quote::quoted;
use super::source::Span;

/// Names that are no stage's to take.
const RESERVED: [&str; 2] = ["context", "scratch"];

/// Words of a variable's name that tell a secret, and those that say it is none.
const SECRET: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
const NO_SECRET: [&str; 3] = ["public", "file", "version"];

/// Collects the warnings about instructions, in their order.
///
/// `blanks` tells of each instruction the line where a continuation with a blank line ended.
pub(super) fn warnings(instructions: &[Instruction], blanks: &[Option<u32>]) -> Vec<Warning> {
    let mut lint = Lint { majority_is_lower: majority_is_lower(instructions), ..Lint::default() };
    for (index, (instruction, blank)) in instructions.iter().zip(blanks).enumerate() {
        if let Some(line) = blank {
            let text = "Empty continuation line".to_owned();
            lint.add_at(instruction, Span::line(*line), "NoEmptyContinuation", text);
        }
        lint.casing(instruction);
        lint.instruction(instructions, index);
    }
    lint.found.sort_by_key(|warning| warning.span);
    lint.found
}

#[derive(Default)]
struct Lint {
    found: Vec<Warning>,
    names: BTreeSet<String>,
    in_stage: bool,
    majority_is_lower: bool,
    /// Places of this stage's last `CMD`, `ENTRYPOINT` and `HEALTHCHECK`.
    last: [Option<usize>; 3],
}

impl Lint {
    fn add(&mut self, about: &Instruction, rule: &'static str, message: String) {
        self.add_at(about, about.span, rule, message);
    }

    fn add_at(&mut self, about: &Instruction, span: Span, rule: &'static str, message: String) {
        if !about.skips_check(rule) {
            self.found.push(Warning { rule, message, span });
        }
    }

    fn instruction(&mut self, all: &[Instruction], index: usize) {
        let instruction = &all[index];
        match &instruction.kind {
            InstructionKind::From(from) => {
                self.last = [None; 3];
                self.stage(instruction, from);
            }
            InstructionKind::Maintainer(_) => {
                let text = "Maintainer instruction is deprecated in favor of using label";
                self.add(instruction, "MaintainerDeprecated", text.into());
            }
            InstructionKind::Cmd(_) => self.once(all, index, 0, "CMD"),
            InstructionKind::Entrypoint(_) => self.once(all, index, 1, "ENTRYPOINT"),
            InstructionKind::Healthcheck(_) => self.once(all, index, 2, "HEALTHCHECK"),
            InstructionKind::Env(pairs) => {
                self.legacy(instruction, pairs, "ENV");
                for (key, _) in &pairs.pairs {
                    self.secret(instruction, "ENV", key);
                }
            }
            InstructionKind::Label(pairs) => self.legacy(instruction, pairs, "LABEL"),
            // Global arguments reach no image.
            InstructionKind::Arg(items) if self.in_stage => {
                for item in items {
                    self.secret(instruction, "ARG", &item.name);
                }
            }
            _ => {}
        }
    }

    /// The keyword against the majority; global arguments do not count.
    fn casing(&mut self, instruction: &Instruction) {
        self.in_stage |= matches!(instruction.kind, InstructionKind::From(_));
        let typed = &instruction.keyword;
        let (good, wanted) = if self.majority_is_lower {
            (is_lower(typed), "lowercase")
        } else {
            (is_upper(typed), "uppercase")
        };
        if self.in_stage && !good {
            let text = format!("Command '{typed}' should match the case of the command majority ({wanted})");
            self.add(instruction, "ConsistentInstructionCasing", text);
        }
    }

    fn stage(&mut self, instruction: &Instruction, from: &From) {
        self.platform(instruction, from);
        let (Some(name), Some(typed)) = (&from.name, &from.typed_name) else { return };
        if name != typed {
            let text = format!("Stage name '{typed}' should be lowercase");
            self.add(instruction, "StageNameCasing", text);
        }
        let keyword = &instruction.keyword;
        let used = as_keyword(instruction);
        let matches = if is_lower(keyword) { is_lower(used) } else { !is_upper(keyword) || is_upper(used) };
        if !matches {
            let text = format!("'{used}' and '{keyword}' keywords' casing do not match");
            self.add(instruction, "FromAsCasing", text);
        }
        if RESERVED.contains(&name.as_str()) {
            let text = format!("Stage name should not use the same name as reserved stage {}", quoted(name));
            self.add(instruction, "ReservedStageName", text);
        }
        if !self.names.insert(name.clone()) {
            let text = format!("Duplicate stage name {}, stage names should be unique", quoted(name));
            self.add(instruction, "DuplicateStageName", text);
        }
    }

    fn platform(&mut self, instruction: &Instruction, from: &From) {
        let Some(platform) = &from.platform else { return };
        if ["$TARGETPLATFORM", "${TARGETPLATFORM}"].contains(&platform.as_str()) {
            let text = format!(
                "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
            );
            self.add(instruction, "RedundantTargetPlatform", text);
        }
        let name = from.name.as_deref().unwrap_or_default();
        let in_name = platform.split('/').take(2).any(|part| !part.is_empty() && name.contains(part));
        if !platform.contains('$') && !in_name {
            let text = format!("FROM --platform flag should not use constant value {}", quoted(platform));
            self.add(instruction, "FromPlatformFlagConstDisallowed", text);
        }
    }

    fn once(&mut self, all: &[Instruction], index: usize, slot: usize, name: &str) {
        if let Some(earlier) = self.last[slot].replace(index) {
            let text = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
            );
            self.add(&all[earlier], "MultipleInstructionsDisallowed", text);
        }
    }

    fn legacy(&mut self, instruction: &Instruction, pairs: &KeyValues, name: &str) {
        if pairs.legacy {
            let text =
                format!("\"{name} key=value\" should be used instead of legacy \"{name} key value\" format");
            self.add(instruction, "LegacyKeyValueFormat", text);
        }
    }

    fn secret(&mut self, instruction: &Instruction, keyword: &str, name: &str) {
        let lower = name.to_lowercase();
        let has = |words: &[&str]| lower.split('_').any(|word| words.contains(&word));
        if has(&SECRET) && !has(&NO_SECRET) {
            let text =
                format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {})", quoted(name));
            self.add(instruction, "SecretsUsedInArgOrEnv", text);
        }
    }
}

fn is_lower(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_uppercase())
}

fn is_upper(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_lowercase())
}

/// Whether more keywords are all lower than all upper case.
fn majority_is_lower(instructions: &[Instruction]) -> bool {
    let is_from = |instruction: &&Instruction| matches!(instruction.kind, InstructionKind::From(_));
    let staged = instructions.iter().skip_while(|instruction| !is_from(instruction));
    let (mut lower, mut upper) = (0, 0);
    for instruction in staged {
        lower += usize::from(is_lower(&instruction.keyword));
        upper += usize::from(is_upper(&instruction.keyword));
    }
    lower > upper
}

/// Returns the `AS` of a `FROM` that has a name, as typed.
fn as_keyword(instruction: &Instruction) -> &str {
    let mut words = instruction.text.split_whitespace().rev();
    words.nth(1).unwrap_or_default()
}

impl Instruction {
    /// Returns what the comment above says about `name`, a stage or an argument: `# NAME text`.
    pub fn description(&self, name: &str) -> Option<&str> {
        self.comments.iter().find_map(|comment| comment.strip_prefix(name)?.strip_prefix(' '))
    }

    /// Whether the comment above holds `check=skip=RULE` for this build check.
    pub fn skips_check(&self, rule: &str) -> bool {
        self.comments.iter().any(|comment| {
            let first = comment.split_whitespace().next().unwrap_or_default();
            let Some(options) = first.strip_prefix("check=") else { return false };
            let lists = options.split(';').filter_map(|option| option.trim().strip_prefix("skip="));
            lists
                .flat_map(|list| list.split(','))
                .any(|name| name.eq_ignore_ascii_case(rule) || name == "all")
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::parser::{Source, parse};

    fn rules(text: &str) -> Vec<(&'static str, u32)> {
        let file = parse(&Source::new("Dockerfile", text)).expect("a good file");
        file.warnings.iter().map(|warning| (warning.rule, warning.span.first)).collect()
    }

    #[test]
    fn warns() {
        for (text, expected) in [
            ("FROM a\nRUN x\n", vec![]),
            ("FROM a AS Up\n", vec![("StageNameCasing", 1)]),
            ("FROM a as up\n", vec![("FromAsCasing", 1)]),
            ("FROM a AS x\nFROM b AS x\n", vec![("DuplicateStageName", 2)]),
            ("FROM a AS scratch\n", vec![("ReservedStageName", 1)]),
            ("FROM a\nrun x\n", vec![("ConsistentInstructionCasing", 2)]),
            ("from a\nrun x\nRUN y\n", vec![("ConsistentInstructionCasing", 3)]),
            ("arg X\nFROM a\n", vec![]),
            ("FROM a\nMAINTAINER x\n", vec![("MaintainerDeprecated", 2)]),
            ("FROM a\nCMD x\nCMD y\nFROM b\nCMD z\n", vec![("MultipleInstructionsDisallowed", 2)]),
            ("FROM a\nENV A b\nLABEL a b\n", vec![("LegacyKeyValueFormat", 2), ("LegacyKeyValueFormat", 3)]),
            ("FROM --platform=$TARGETPLATFORM a\n", vec![("RedundantTargetPlatform", 1)]),
            ("FROM --platform=linux/arm64 a AS build-arm64\n", vec![]),
            ("FROM --platform=linux/arm64 a\n", vec![("FromPlatformFlagConstDisallowed", 1)]),
            (
                "ARG TOKEN\nFROM a\nARG API_TOKEN\nENV MY_PASSWORD=x\n",
                vec![("SecretsUsedInArgOrEnv", 3), ("SecretsUsedInArgOrEnv", 4)],
            ),
            ("FROM a\nENV PUBLIC_KEY=x TOKEN_FILE=y TOKENS=z\n", vec![]),
            ("FROM a\nRUN x \\\n\n y\n", vec![("NoEmptyContinuation", 4)]),
            ("\n# check=skip=StageNameCasing it is fine\nFROM a AS Up\n", vec![]),
            ("FROM a\n# check=skip=all\nENV A b\n", vec![]),
        ] {
            assert_eq!(rules(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_describe() {
        let text = "# build makes it\n# A is first\nARG A B\nFROM x\n";
        let file = parse(&Source::new("Dockerfile", text)).expect("a good file");
        let arg = &file.instructions[0];
        assert_eq!((arg.description("A"), arg.description("B")), (Some("is first"), None));
    }
}
