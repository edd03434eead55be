//! Which stages a stage needs, before any of them is lowered.

use super::Lowering;
use crate::builder::error::{BuildError, ErrorKind, invalid};
use crate::parser::Instruction;
use crate::parser::instruction::InstructionKind;

/// One way in which a stage names another.
pub(super) struct Need<'a> {
    pub(super) stage: usize,
    instruction: &'a Instruction,
    /// The text of `--from`, and the target of the mount if it is one.
    by: Option<(String, Option<String>)>,
}

impl<'a> Lowering<'a> {
    /// Returns the stages that one needs, itself last, in the order of the file.
    pub(super) fn closure(&self, index: usize) -> Result<Vec<usize>, BuildError> {
        let mut wanted = vec![false; self.done.len()];
        let mut open = vec![index];
        wanted[index] = true;
        while let Some(stage) = open.pop() {
            if self.done[stage].is_some() {
                continue;
            }
            for need in self.needs(stage)? {
                self.check_order(stage, &need)?;
                if !wanted[need.stage] {
                    wanted[need.stage] = true;
                    open.push(need.stage);
                }
            }
        }
        Ok((0..wanted.len()).filter(|stage| wanted[*stage]).collect())
    }

    /// Refuses names that can mean nothing, also in stages that nothing needs: their images are not looked up,
    /// but a number that no stage has, a stage that needs itself, or no image's name is a mistake anywhere.
    pub(super) fn check_names(&self) -> Result<(), BuildError> {
        for (index, stage) in self.stages.stages.iter().enumerate() {
            if self.replacement(stage).is_some() {
                continue;
            }
            if self.stages.earlier_named(&stage.base, index).is_none() {
                self.check_image(&stage.base)
                    .map_err(|error| error.at(&self.stages.source, stage.head.span))?;
            }
            for instruction in stage.body {
                self.check_sources(instruction)
                    .map_err(|error| error.at(&self.stages.source, instruction.span))?;
            }
            for need in self.needs(index)? {
                if need.stage >= index && self.reaches(need.stage, index) {
                    let circular = BuildError::from(ErrorKind::Circular(self.stages.label(index)));
                    return Err(circular.at(&self.stages.source, need.instruction.span));
                }
            }
        }
        Ok(())
    }

    /// Refuses what `--from` and the `from` of mounts name where it is neither a stage nor an image's name.
    fn check_sources(&self, instruction: &Instruction) -> Result<(), BuildError> {
        match &instruction.kind {
            InstructionKind::Copy(copy) => match &copy.from {
                Some(from) if self.stages.copied_from(checked_from(from)?)?.is_none() => {
                    self.check_image(from)
                }
                _ => Ok(()),
            },
            InstructionKind::Run(run) => {
                let named = run.mounts.iter().filter_map(|mount| mount.from.as_deref());
                named
                    .filter(|from| self.stages.last_named(from).is_none())
                    .try_for_each(|from| self.check_image(from))
            }
            _ => Ok(()),
        }
    }

    fn check_image(&self, name: &str) -> Result<(), BuildError> {
        let elsewhere = name.starts_with("oci-layout://") || name.starts_with("target:");
        if name == "scratch" || elsewhere || self.named_context(name).is_some() {
            return Ok(());
        }
        super::base::image_name(name).map(drop)
    }

    /// Returns the stages that a stage's own instructions name.
    fn needs(&self, index: usize) -> Result<Vec<Need<'a>>, BuildError> {
        let stage = &self.stages.stages[index];
        let mut needs = Vec::new();
        if self.replacement(stage).is_some() {
            return Ok(needs);
        }
        if let Some(base) = self.stages.earlier_named(&stage.base, index) {
            needs.push(Need { stage: base, instruction: stage.head, by: None });
        }
        for instruction in stage.body {
            self.instruction_needs(instruction, &mut needs)
                .map_err(|error| error.at(&self.stages.source, instruction.span))?;
        }
        Ok(needs)
    }

    pub(super) fn instruction_needs<'i>(
        &self,
        instruction: &'i Instruction,
        needs: &mut Vec<Need<'i>>,
    ) -> Result<(), BuildError> {
        match &instruction.kind {
            InstructionKind::Copy(copy) => {
                let Some(from) = &copy.from else { return Ok(()) };
                if let Some(stage) = self.stages.copied_from(checked_from(from)?)? {
                    needs.push(Need { stage, instruction, by: Some((from.clone(), None)) });
                }
            }
            InstructionKind::Run(run) => {
                for mount in run.mounts.iter().chain(&self.options.extras.mounts) {
                    let Some(from) = &mount.from else { continue };
                    if let Some(stage) = self.stages.last_named(from) {
                        let target = target_of(&mount.text).to_owned();
                        needs.push(Need { stage, instruction, by: Some((from.clone(), Some(target))) });
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Refuses a stage that comes later, or that is the stage itself.
    pub(super) fn check_order(&self, current: usize, need: &Need<'_>) -> Result<(), BuildError> {
        if need.stage < current {
            return Ok(());
        }
        let error = if self.reaches(need.stage, current) {
            ErrorKind::Circular(self.stages.label(current))
        } else {
            let (from, mounted) = need.by.clone().unwrap_or_default();
            match mounted {
                Some(target) => ErrorKind::MountFromLater { from, to: target },
                None => ErrorKind::CopyFromLater { from, to: self.stages.label(current) },
            }
        };
        Err(BuildError::from(error).at(&self.stages.source, need.instruction.span))
    }

    /// Whether a stage needs another, by whatever way.
    fn reaches(&self, from: usize, to: usize) -> bool {
        let mut seen = vec![false; self.done.len()];
        let mut open = vec![from];
        while let Some(stage) = open.pop() {
            if stage == to {
                return true;
            }
            if !std::mem::replace(&mut seen[stage], true) {
                open.extend(self.needs(stage).into_iter().flatten().map(|need| need.stage));
            }
        }
        false
    }
}

/// Returns `--from` of a `COPY` unless it wants a variable.
fn checked_from(from: &str) -> Result<&str, BuildError> {
    if from.contains('$') {
        return Err(invalid(
            "variable expansion is not supported for --from, define a new stage with FROM using ARG from \
             global scope as a workaround",
        ));
    }
    Ok(from)
}

/// Returns a mount's target as typed.
fn target_of(mount: &str) -> &str {
    let keys = ["target", "dst", "destination"];
    let mut fields = mount.split(',').filter_map(|field| field.split_once('='));
    fields.find(|(key, _)| keys.contains(&key.to_lowercase().as_str())).map_or("", |(_, value)| value)
}
