//! A file cut into stages.

use std::collections::BTreeSet;

use crate::image::Platform;
use crate::parser::instruction::{From, InstructionKind};
use crate::parser::{Dockerfile, Instruction};

use super::variables::Variables;

/// One stage, its `FROM` expanded.
#[derive(Debug)]
pub(super) struct Stage<'f> {
    pub(super) head: &'f Instruction,
    pub(super) from: &'f From,
    pub(super) body: &'f [Instruction],
    /// What it is built on, expanded.
    pub(super) base: String,
    /// `--platform`, expanded.
    pub(super) platform: Option<Platform>,
    /// The stage that it is built on.
    pub(super) parent: Option<usize>,
    /// Arguments that its `FROM` names.
    pub(super) used: BTreeSet<String>,
}

/// All stages, and the arguments that stand before them.
#[derive(Debug)]
pub(super) struct Stages<'f> {
    pub(super) list: Vec<Stage<'f>>,
    pub(super) globals: Variables,
}

/// The arguments before the first `FROM`, and each `FROM` with what follows it.
pub(super) type Pieces<'f> = (&'f [Instruction], Vec<(&'f Instruction, &'f From, &'f [Instruction])>);

/// Cuts a file.
pub(super) fn cut(file: &Dockerfile) -> Pieces<'_> {
    let is_from = |instruction: &Instruction| matches!(instruction.kind, InstructionKind::From(_));
    let all = file.instructions.as_slice();
    let (before, mut rest) = all.split_at(all.iter().position(is_from).unwrap_or(all.len()));
    let mut stages = Vec::new();
    while let Some((head, tail)) = rest.split_first() {
        let end = tail.iter().position(is_from).unwrap_or(tail.len());
        if let InstructionKind::From(from) = &head.kind {
            stages.push((head, from, &tail[..end]));
        }
        rest = &tail[end..];
    }
    (before, stages)
}

impl Stages<'_> {
    /// Returns the last stage of a name in any case, as `--from` looks it up.
    pub(super) fn last_named(&self, name: &str) -> Option<usize> {
        let name = name.to_lowercase();
        self.list.iter().rposition(|stage| stage.from.name.as_deref() == Some(&name))
    }

    /// Returns which stages one needs, itself included.
    pub(super) fn needed_by(&self, target: usize) -> Vec<bool> {
        let mut needed = vec![false; self.list.len()];
        let mut open = vec![target];
        while let Some(index) = open.pop() {
            if index < needed.len() && !std::mem::replace(&mut needed[index], true) {
                open.extend(self.needs(index));
            }
        }
        needed
    }

    fn needs(&self, index: usize) -> Vec<usize> {
        let stage = &self.list[index];
        let mut needs: Vec<usize> = stage.parent.into_iter().collect();
        for instruction in stage.body {
            match &instruction.kind {
                InstructionKind::Copy(copy) => needs.extend(copy.from.as_deref().and_then(|from| {
                    let number = || from.parse().ok().filter(|number| *number < self.list.len());
                    self.last_named(from).or_else(number)
                })),
                InstructionKind::Run(run) => {
                    let from = run.mounts.iter().filter_map(|mount| mount.from.as_deref());
                    needs.extend(from.filter_map(|from| self.last_named(from)));
                }
                _ => {}
            }
        }
        needs
    }
}
