//! What a file takes and offers: its stages, and the arguments, secrets and agents that a stage uses.

use std::collections::{BTreeMap, BTreeSet};

use super::LintOptions;
use super::findings::Findings;
use super::from;
use super::settings::Settings;
use super::stage::{Stages, cut};
use super::variables::{Form, Variables, expand};
use crate::parser::instruction::{Arg, InstructionKind, MountKind, Run};
use crate::parser::{Dockerfile, Instruction, Span};

/// A stage as a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name; empty where it has none.
    pub name: String,
    /// Whether it is built when no target is given.
    pub default: bool,
    /// What the comment above says about it.
    pub description: String,
    /// What it is built on, as written.
    pub base: String,
    /// `--platform`, as written.
    pub platform: String,
    /// Its `FROM`.
    pub span: Span,
}

/// An argument that a target uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What the comment above says about it.
    pub description: String,
    /// Its value.
    pub value: String,
    /// Where it is declared.
    pub span: Span,
}

/// A secret or an agent that a target uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Its id.
    pub name: String,
    /// Whether a build without it fails.
    pub required: bool,
    /// Where it is mounted.
    pub span: Span,
}

/// What a target takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The target's name; empty where it has none.
    pub name: String,
    /// What the comment above says about it.
    pub description: String,
    /// Its arguments, in the order of the file.
    pub arguments: Vec<Argument>,
    /// Its secrets, in the order of the file.
    pub secrets: Vec<Needed>,
    /// Its agents, in the order of the file.
    pub agents: Vec<Needed>,
}

/// Returns the stages of a file.
pub fn targets(file: &Dockerfile) -> Vec<Target> {
    let (_, stages) = cut(file);
    let last = stages.len().saturating_sub(1);
    let target = |(index, (head, from, _)): (usize, _)| {
        let (head, from): (&Instruction, &crate::parser::instruction::From) = (head, from);
        let name = from.name.clone().unwrap_or_default();
        Target {
            description: head.description(&name).unwrap_or_default().to_owned(),
            default: index == last,
            base: from.image.clone(),
            platform: from.platform.clone().unwrap_or_default(),
            span: head.span,
            name,
        }
    };
    stages.into_iter().enumerate().map(target).collect()
}

/// Returns what the target takes; the file is one that a build would take.
pub fn outline(file: &Dockerfile, options: &LintOptions<'_>) -> Outline {
    let settings = Settings::default();
    let mut unheard = Findings::new(&settings);
    let Some(stages) = from::check(file, options, &mut unheard) else { return Outline::default() };
    let target = options.target.and_then(|name| stages.last_named(name));
    let target = target.unwrap_or(stages.list.len().saturating_sub(1));
    let Some(stage) = stages.list.get(target) else { return Outline::default() };
    let name = stage.from.name.clone().unwrap_or_default();
    let mut uses = Uses::of(file, options);
    for (index, needed) in stages.needed_by(target).into_iter().enumerate() {
        if needed {
            uses.stage(&stages, index, options, file.directives.escape);
        }
    }
    uses.finish(name.clone(), stage.head.description(&name).unwrap_or_default().to_owned())
}

/// A declaration of an argument.
#[derive(Debug, Clone)]
struct Declared {
    argument: Argument,
    /// Arguments that its default names.
    names: BTreeSet<String>,
}

/// What the stages so far use.
#[derive(Debug, Default)]
struct Uses {
    globals: BTreeMap<String, Declared>,
    /// Variables and declarations at the end of each stage that was read.
    ends: BTreeMap<usize, (Variables, BTreeMap<String, Declared>)>,
    arguments: BTreeMap<String, Argument>,
    secrets: BTreeMap<String, Needed>,
    agents: BTreeMap<String, Needed>,
}

impl Uses {
    fn of(file: &Dockerfile, options: &LintOptions<'_>) -> Self {
        let mut uses = Self::default();
        let mut set: Variables = options.predefined.iter().cloned().collect();
        for instruction in cut(file).0 {
            let InstructionKind::Arg(items) = &instruction.kind else { continue };
            for item in items {
                let declared = declaration(item, instruction, options, file.directives.escape, &set, None);
                if item.default.is_some() || options.build_args.contains_key(&item.name) {
                    set.set(item.name.clone(), declared.argument.value.clone());
                }
                uses.globals.insert(item.name.clone(), declared);
            }
        }
        uses
    }

    fn stage(&mut self, stages: &Stages<'_>, index: usize, options: &LintOptions<'_>, escape: char) {
        let stage = &stages.list[index];
        let parent = stage.parent.and_then(|parent| self.ends.get(&parent)).cloned();
        let (mut set, mut known) = parent.unwrap_or_else(|| (Variables::default(), self.globals.clone()));
        let mut used = stage.used.clone();
        for instruction in stage.body {
            match &instruction.kind {
                InstructionKind::Arg(items) => {
                    for item in items {
                        let inherited = stages.globals.get(&item.name);
                        let given = options.build_args.contains_key(&item.name);
                        let declared = declaration(item, instruction, options, escape, &set, inherited);
                        if given || item.default.is_some() || inherited.is_some() {
                            set.set(item.name.clone(), declared.argument.value.clone());
                        }
                        if given || item.default.is_some() || inherited.is_none() {
                            known.insert(item.name.clone(), declared);
                        }
                        used.insert(item.name.clone());
                    }
                }
                InstructionKind::Env(pairs) => {
                    let before = set.clone();
                    for (name, value) in &pairs.pairs {
                        let text = |word| expand(word, Form::Word, escape, &before).unwrap_or_default();
                        set.set(text(name).value().to_owned(), text(value).value().to_owned());
                    }
                }
                InstructionKind::Run(run) => self.mounts(run, instruction, escape, &set),
                _ => {}
            }
        }
        self.take(used, &known);
        self.ends.insert(index, (set, known));
    }

    /// Takes arguments with all that their defaults name.
    fn take(&mut self, used: BTreeSet<String>, known: &BTreeMap<String, Declared>) {
        let mut open: Vec<String> = used.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let Some(declared) = known.get(&name).filter(|_| seen.insert(name.clone())) else { continue };
            open.extend(declared.names.iter().cloned());
            self.arguments.entry(name).or_insert_with(|| declared.argument.clone());
        }
    }

    fn mounts(&mut self, run: &Run, about: &Instruction, escape: char, set: &Variables) {
        for mount in &run.mounts {
            let resolved = mount.resolve(about.span, &mut |word| {
                expand(word, Form::Word, escape, set).map(|seen| seen.value().to_owned())
            });
            let Ok(mount) = resolved else { continue };
            let (into, default) = match mount.kind {
                MountKind::Secret => (&mut self.secrets, String::new()),
                MountKind::Ssh => (&mut self.agents, "default".to_owned()),
                _ => continue,
            };
            let base =
                mount.target.as_deref().and_then(|target| target.rsplit('/').next()).map(str::to_owned);
            let id =
                mount.id.or(mount.source).or_else(|| (mount.kind == MountKind::Secret).then_some(base)?);
            let name = id.unwrap_or(default);
            let required = mount.required;
            into.entry(name.clone()).or_insert(Needed { name, required, span: about.span });
        }
    }

    fn finish(self, name: String, description: String) -> Outline {
        let sorted = |map: BTreeMap<String, Needed>| {
            let mut list: Vec<Needed> = map.into_values().collect();
            list.sort_by_key(|needed| needed.span.first);
            list
        };
        let mut arguments: Vec<Argument> = self.arguments.into_values().collect();
        arguments.sort_by_key(|argument| argument.span.first);
        Outline { name, description, arguments, secrets: sorted(self.secrets), agents: sorted(self.agents) }
    }
}

fn declaration(
    item: &Arg,
    about: &Instruction,
    options: &LintOptions<'_>,
    escape: char,
    set: &Variables,
    inherited: Option<&String>,
) -> Declared {
    let (value, names) = match (options.build_args.get(&item.name), &item.default) {
        (Some(value), _) => (value.clone(), BTreeSet::new()),
        (None, Some(word)) => {
            let seen = expand(word, Form::Word, escape, set).unwrap_or_default();
            (seen.value().to_owned(), seen.used)
        }
        (None, None) => (inherited.cloned().unwrap_or_default(), BTreeSet::new()),
    };
    let description = about.description(&item.name).unwrap_or_default().to_owned();
    Declared { argument: Argument { name: item.name.clone(), description, value, span: about.span }, names }
}
