//! Instructions to vertices: what the target needs, with every word expanded.
//!
//! Stages come in the order of the file, so that what one needs of another is
//! there; a stage that nothing needs is never looked at, nor is its base.

mod base;
mod command;
mod merge;
mod needs;
mod transfer;

pub use base::{context_key, context_name};

use std::collections::HashMap;
use std::sync::Arc;

use super::config;
use super::error::{BuildError, ErrorKind, invalid};
use super::expand::{Expander, shown};
use super::extras::Squash;
use super::graph::{Graph, Op, Vertex, VertexIndex, WorkdirOp};
use super::options::BuildOptions;
use super::source::{ImageSource, ResolvedImage};
use super::stages::Stages;
use super::state::StageState;
use crate::image::Platform;
use crate::parser::instruction::InstructionKind;
use crate::parser::{Dockerfile, Instruction, Source, Span};

/// Everything that is known before a step runs; prints as its graph.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The steps.
    pub graph: Graph,
    /// The target stage at its end: config, history, root; of several platforms the first's.
    pub target: StageState,
    /// The target stage for further platforms, in the order in which they were asked for.
    pub others: Vec<StageState>,
    /// What should be said.
    pub warnings: Vec<String>,
    /// Images that were resolved on the way.
    pub images: Vec<ResolvedImage>,
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub epoch: Option<i64>,
    /// Which layers of the result become one.
    pub squash: Squash,
    /// Whether the result has no history.
    pub omit_history: bool,
}

impl Plan {
    /// Returns the target stage for each platform.
    pub fn targets(&self) -> impl Iterator<Item = &StageState> {
        std::iter::once(&self.target).chain(&self.others)
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.graph.fmt(f)
    }
}

/// Turns a Dockerfile into a plan; asks `images` for the metadata of bases, nothing else is read.
///
/// # Errors
/// An instruction that the target needs is wrong or cannot be executed; the error has its lines.
pub fn lower(
    dockerfile: &Dockerfile,
    source: &Arc<Source>,
    options: &BuildOptions,
    images: &dyn ImageSource,
    host: &Platform,
) -> Result<Plan, BuildError> {
    let stages = Stages::cut(dockerfile, source, options, host)?;
    let epoch = epoch(&stages, options)?;
    let mut lowering = Lowering {
        stages: &stages,
        options,
        images,
        epoch,
        graph: Graph::default(),
        done: vec![None; stages.stages.len()],
        sources: HashMap::new(),
        resolved: Vec::new(),
        warnings: Vec::new(),
    };
    lowering.check_names()?;
    if options.all_stages {
        (0..stages.stages.len()).try_for_each(|index| lowering.ensure(index))?;
    }
    if options.extras.all_stages {
        (0..stages.target).try_for_each(|index| lowering.ensure(index))?;
    }
    lowering.ensure(stages.target)?;
    let mut target = lowering.done[stages.target].take().expect("what was ensured is there");
    target.finish();
    let unset =
        |pair: &String| options.extras.unset_env.iter().any(|name| pair.split('=').next() == Some(name));
    target.image.config.env.retain(|pair| !unset(pair));
    target.image.config.labels.extend(options.labels.iter().cloned());
    Ok(Plan {
        graph: lowering.graph,
        target,
        others: Vec::new(),
        warnings: lowering.warnings,
        images: lowering.resolved,
        epoch,
        squash: options.extras.squash,
        omit_history: options.extras.omit_history,
    })
}

/// Turns a Dockerfile into one plan for all platforms that are asked for; steps that they share are in it once.
///
/// # Errors
/// As [`lower`], for any of the platforms.
pub fn lower_all(
    dockerfile: &Dockerfile,
    source: &Arc<Source>,
    options: &BuildOptions,
    images: &dyn ImageSource,
    host: &Platform,
) -> Result<Plan, BuildError> {
    if options.platforms.is_empty() {
        return lower(dockerfile, source, options, images, host);
    }
    let mut merged: Option<Plan> = None;
    for platform in &options.platforms {
        let options = BuildOptions { platform: Some(platform.clone()), ..options.clone() };
        let plan = lower(dockerfile, source, &options, images, host)?;
        match &mut merged {
            None => merged = Some(plan),
            Some(merged) => merge::merge(merged, plan),
        }
    }
    Ok(merged.expect("there is a platform"))
}

fn epoch(stages: &Stages<'_>, options: &BuildOptions) -> Result<Option<i64>, BuildError> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let given = options.build_args.get(NAME).map(String::as_str);
    match given.or_else(|| stages.globals.get(NAME)) {
        None | Some("") => Ok(None),
        // The times of a context that is a directory say nothing.
        Some("context") => Ok(options.context_time),
        Some(text) => text.parse().map(Some).map_err(|_| invalid(format!("invalid {NAME}: {text}"))),
    }
}

struct Lowering<'a> {
    stages: &'a Stages<'a>,
    options: &'a BuildOptions,
    images: &'a dyn ImageSource,
    epoch: Option<i64>,
    graph: Graph,
    done: Vec<Option<StageState>>,
    /// Vertices of images by name and platform.
    sources: HashMap<(String, Option<Platform>), (ResolvedImage, Option<VertexIndex>)>,
    resolved: Vec<ResolvedImage>,
    warnings: Vec<String>,
}

/// What the instructions of one stage share while they are lowered.
struct Here {
    /// The stage.
    index: usize,
    /// Steps of the stage, for their names.
    total: usize,
    /// Steps named so far.
    counted: usize,
    /// Instructions seen so far.
    position: u32,
    /// Whether the instruction is a trigger.
    trigger: bool,
    /// The lines to show for it.
    span: Span,
}

impl Lowering<'_> {
    /// Lowers a stage and all that it needs.
    fn ensure(&mut self, index: usize) -> Result<(), BuildError> {
        for needed in self.closure(index)? {
            if self.done[needed].is_none() {
                let state = self.stage(needed)?;
                self.done[needed] = Some(state);
            }
        }
        Ok(())
    }

    fn stage(&mut self, index: usize) -> Result<StageState, BuildError> {
        let stage = &self.stages.stages[index];
        let source = Arc::clone(&self.stages.source);
        if let Some(input) = self.replacement(stage) {
            let (name, input) = (stage.name.clone().unwrap_or_default(), input.clone());
            let state = self.replaced(&name, &input, index);
            return state.map_err(|error| error.at(&source, stage.head.span));
        }
        let steps = stage.body.iter().filter(|one| makes_step(&one.kind)).count();
        let mut here =
            Here { index, total: steps, counted: 0, position: 0, trigger: false, span: stage.head.span };
        let (mut state, triggers) =
            self.base(&mut here).map_err(|error| error.at(&source, stage.head.span))?;
        for (name, value) in &self.options.extras.env {
            state.config_env.set(name, value);
            state.env.set(name, value);
        }
        here.trigger = true;
        for trigger in &triggers {
            self.instruction(trigger, &mut state, &mut here)
                .map_err(|error| error.at(&source, stage.head.span))?;
        }
        here.trigger = false;
        for instruction in stage.body {
            here.span = instruction.span;
            self.instruction(instruction, &mut state, &mut here)
                .map_err(|error| error.at(&source, instruction.span))?;
        }
        Ok(state)
    }

    fn instruction(
        &mut self,
        instruction: &Instruction,
        state: &mut StageState,
        here: &mut Here,
    ) -> Result<(), BuildError> {
        here.position += 1;
        if config::apply(&instruction.kind, state, self.stages, self.options)? {
            return Ok(());
        }
        match &instruction.kind {
            InstructionKind::Run(run) => self.run(run, instruction, state, here),
            InstructionKind::Copy(copy) => self.copy(copy, instruction, state, here),
            InstructionKind::Add(add) => self.add(add, instruction, state, here),
            InstructionKind::Workdir(word) => self.workdir(word, instruction, state, here),
            _ => Err(ErrorKind::Unsupported { what: instruction.keyword.clone() }.into()),
        }
    }

    fn expander<'e>(&self, state: &'e StageState) -> Expander<'e> {
        Expander { escape: self.stages.escape, env: &state.env }
    }

    fn workdir(
        &mut self,
        word: &str,
        instruction: &Instruction,
        state: &mut StageState,
        here: &mut Here,
    ) -> Result<(), BuildError> {
        let typed = self.expander(state).word(word)?;
        // A value that expands to nothing leaves the directory as it is, and is a step like others.
        let path = if typed.starts_with('/') {
            typed
        } else {
            crate::paths::clean(&format!("/{}/{typed}", state.image.config.working_dir))
        };
        state.image.config.working_dir.clone_from(&path);
        let text = format!("WORKDIR {path}");
        if path == "/" {
            state.note(text);
            return Ok(());
        }
        let op = WorkdirOp { path, user: state.image.config.user.clone(), epoch: self.epoch };
        let name = self.shown(instruction, state, here, &[], "");
        let vertex = self.vertex(name, instruction, Op::Workdir(op), state, here);
        state.layer(text, vertex);
        Ok(())
    }

    /// Adds a step on top of the stage's root.
    fn vertex(
        &mut self,
        name: String,
        instruction: &Instruction,
        op: Op,
        state: &StageState,
        here: &Here,
    ) -> VertexIndex {
        let stage = &self.stages.stages[here.index];
        let filtered =
            |filter: &String| stage.name.as_ref().is_some_and(|name| filter.eq_ignore_ascii_case(name));
        self.graph.add(Vertex {
            name,
            stage: self.stages.label(here.index),
            position: here.position,
            text: instruction.text.clone(),
            span: Some(here.span),
            parent: state.vertex,
            ignore_cache: self.options.no_cache || self.options.no_cache_filter.iter().any(filtered),
            op,
        })
    }

    /// Returns the line of an instruction's step: its place, and its text with variables expanded.
    fn shown(
        &self,
        instruction: &Instruction,
        state: &StageState,
        here: &mut Here,
        masked: &[String],
        suffix: &str,
    ) -> String {
        let (keyword, rest) = instruction.text.split_once(' ').unwrap_or((&instruction.text, ""));
        let onbuild = if here.trigger { "ONBUILD " } else { "" };
        let text = format!("{onbuild}{} {rest}{suffix}", keyword.to_uppercase());
        self.numbered(&shown(text.trim_end(), &state.env, masked), here)
    }

    /// Puts `[stage i/N]` in front of a line.
    fn numbered(&self, text: &str, here: &mut Here) -> String {
        here.counted += 1;
        let width = here.total.to_string().len();
        let stage = match self.stages.stages.len() {
            1 => String::new(),
            _ => format!("{} ", self.stages.label(here.index)),
        };
        let platform = self.platform_prefix(here.index);
        format!("[{platform}{stage}{:width$}/{}] {text}", here.counted, here.total)
    }
}

impl Lowering<'_> {
    /// Returns what tells the steps of several platforms apart, e.g. `linux/arm64 ` or `linux/amd64->arm64 `.
    fn platform_prefix(&self, index: usize) -> String {
        if self.options.platforms.is_empty() {
            return String::new();
        }
        let (on, target) = (self.stages.platform(index), &self.stages.wanted);
        if on == target {
            return format!("{on} ");
        }
        let target = match on.os == target.os {
            true => target.to_string().split_once('/').map_or(String::new(), |(_, rest)| rest.to_owned()),
            false => target.to_string(),
        };
        format!("{on}->{target} ")
    }
}

/// Whether an instruction counts among the steps of its stage.
fn makes_step(kind: &InstructionKind) -> bool {
    matches!(
        kind,
        InstructionKind::Run(_)
            | InstructionKind::Copy(_)
            | InstructionKind::Add(_)
            | InstructionKind::Workdir(_)
    )
}

#[cfg(test)]
mod tests;
