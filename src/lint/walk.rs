//! The stages that are built, instruction by instruction, with their variables as a build would have them.

use std::collections::BTreeSet;

use super::LintOptions;
use super::findings::Findings;
use super::rule::{
    INVALID_BASE_IMAGE_PLATFORM, JSON_ARGS_RECOMMENDED, LEGACY_KEY_VALUE_FORMAT,
    MULTIPLE_INSTRUCTIONS_DISALLOWED, SECRETS_USED_IN_ARG_OR_ENV, UNDEFINED_VAR, WORKDIR_RELATIVE_PATH,
};
use super::stage::Stages;
use super::variables::{Form, Variables, expand};
use super::{copy, expose};
use crate::image::{ImageConfig, Platform};
use crate::parser::instruction::{Arg, Command, InstructionKind, KeyValues, Run};
use crate::parser::{Instruction, Span, WordError, parse_trigger, quoted, suggest};

/// `PATH` is set in every stage.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Words of a variable's name that tell a secret, and those that say it is none.
const SECRET: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
const NO_SECRET: [&str; 3] = ["public", "file", "version"];

/// Checks the stages that are built, in the order of the file.
pub(super) fn check(
    stages: &Stages<'_>,
    escape: char,
    options: &LintOptions<'_>,
    findings: &mut Findings<'_>,
) {
    let wanted = if options.all {
        vec![true; stages.list.len()]
    } else {
        let target = options.target.and_then(|name| stages.last_named(name));
        stages.needed_by(target.unwrap_or(stages.list.len().saturating_sub(1)))
    };
    let bases: Vec<Option<ImageConfig>> =
        (0..wanted.len()).map(|index| wanted[index].then(|| base(stages, index, options))?).collect();
    // Nothing is read of stages on images that are not there.
    let lacks = |index: usize| wanted[index] && bases[index].is_none() && stages.list[index].parent.is_none();
    if (0..wanted.len()).any(lacks) {
        return;
    }
    for (index, config) in bases.iter().enumerate() {
        if let Some(config) = config {
            platform(stages, index, config, options, findings);
        }
    }
    let mut done: Vec<Option<State>> = Vec::new();
    for (index, stage) in stages.list.iter().enumerate() {
        let name = stage.from.name.as_deref().unwrap_or_default();
        let parent = stage.parent.and_then(|parent| done.get(parent)?.as_ref());
        let state = match (parent, &bases[index]) {
            _ if !wanted[index] => None,
            (Some(parent), _) => Some(parent.child()),
            (None, Some(config)) => Some(State::of(config)),
            (None, None) => None,
        };
        let Some(mut state) = state.filter(|_| !(options.replaced)(name)) else {
            done.push(bases[index].as_ref().map(State::of));
            continue;
        };
        let mut walk = Walk { escape, options, globals: &stages.globals, findings };
        if !walk.stage(stage.head, stage.body, &mut state) {
            return;
        }
        done.push(Some(state));
    }
}

/// Returns what a stage is built on, where that is no other stage.
fn base(stages: &Stages<'_>, index: usize, options: &LintOptions<'_>) -> Option<ImageConfig> {
    let stage = &stages.list[index];
    let name = stage.from.name.as_deref().filter(|name| (options.replaced)(name));
    let platform = stage.platform.as_ref().or(options.platform);
    match (name, stage.parent) {
        (Some(name), _) => (options.base)(name, platform),
        (None, Some(_)) => None,
        (None, None) if stage.base == "scratch" => Some(ImageConfig::default()),
        (None, None) => (options.base)(&stage.base, platform),
    }
}

/// An image of another platform than the one asked for; without asking, one that the machine runs is adopted.
fn platform(
    stages: &Stages<'_>,
    index: usize,
    config: &ImageConfig,
    options: &LintOptions<'_>,
    findings: &mut Findings<'_>,
) {
    let stage = &stages.list[index];
    let has = config.platform();
    let fits = |wanted: &Platform| wanted.os == has.os && wanted.architecture == has.architecture;
    let wanted = match stage.platform.as_ref().or(options.platform) {
        Some(wanted) => wanted,
        None if options.runnable.iter().any(fits) => return,
        None => match options.runnable.first() {
            Some(host) => host,
            None => return,
        },
    };
    let replaced = stage.from.name.as_deref().is_some_and(|name| (options.replaced)(name));
    if replaced || stage.base == "scratch" || config.rootfs.diff_ids.is_empty() || fits(wanted) {
        return;
    }
    let text = format!(
        "Base image {} was pulled with platform \"{has}\", expected \"{wanted}\" for current build",
        stage.base
    );
    findings.add(&INVALID_BASE_IMAGE_PLATFORM, stage.head, text);
}

/// What is known of a stage at one of its instructions.
#[derive(Debug, Clone, Default)]
struct State {
    set: Variables,
    /// Names that `ARG` declared, with and without value.
    declared: BTreeSet<String>,
    shell: bool,
    workdir: bool,
    triggers: Vec<String>,
    /// This stage's last `CMD`, `ENTRYPOINT` and `HEALTHCHECK`.
    last: [Option<Span>; 3],
}

impl State {
    fn of(config: &ImageConfig) -> Self {
        let pairs = config.config.env.iter().map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut set: Variables = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if config.os != "windows" {
            let path = set.get("PATH").map_or(PATH, String::as_str).to_owned();
            set.set("PATH".to_owned(), path);
        }
        let shell = config.config.shell.as_ref().is_some_and(|shell| !shell.is_empty());
        Self { set, shell, triggers: config.config.on_build.clone(), ..Self::default() }
    }

    fn child(&self) -> Self {
        Self { last: Default::default(), ..self.clone() }
    }
}

/// One stage's walk.
struct Walk<'a, 'o, 's, 'f> {
    escape: char,
    options: &'a LintOptions<'o>,
    globals: &'a Variables,
    findings: &'f mut Findings<'s>,
}

impl Walk<'_, '_, '_, '_> {
    /// Walks a stage with the triggers of its base; false where a build would stop.
    fn stage(&mut self, head: &Instruction, body: &[Instruction], state: &mut State) -> bool {
        for text in std::mem::take(&mut state.triggers) {
            let Ok(mut trigger) = parse_trigger(&text) else { return false };
            trigger.span = head.span;
            if self.instruction(&trigger, state).is_err() {
                return false;
            }
        }
        body.iter().all(|instruction| {
            self.instruction(instruction, state).is_ok() && self.options.stop != Some(instruction.span)
        })
    }

    fn instruction(&mut self, about: &Instruction, state: &mut State) -> Result<(), WordError> {
        match &about.kind {
            InstructionKind::Env(pairs) => self.env(pairs, about, state),
            InstructionKind::Label(pairs) => {
                self.pairs(pairs, about, state)?;
                self.legacy(pairs, about);
                Ok(())
            }
            InstructionKind::Arg(items) => items.iter().try_for_each(|item| self.arg(item, about, state)),
            InstructionKind::Run(run) => self.mounts(run, about, state),
            InstructionKind::Copy(copy) => {
                let sources =
                    copy::sources(&copy.transfer, None, |word, form| self.word(word, form, about, state))?;
                if copy.from.is_none() {
                    copy::ignored("Copy", &sources, about, self.options, self.findings);
                }
                Ok(())
            }
            InstructionKind::Add(add) => {
                let checksum = add.checksum.as_deref();
                let sources =
                    copy::sources(&add.transfer, checksum, |word, form| self.word(word, form, about, state))?;
                copy::ignored("Add", &sources, about, self.options, self.findings);
                Ok(())
            }
            InstructionKind::Workdir(word) => self.workdir(word, about, state),
            InstructionKind::User(word) | InstructionKind::StopSignal(word) => {
                self.word(word, Form::Word, about, state).map(drop)
            }
            InstructionKind::Volume(words) => {
                words.iter().try_for_each(|word| self.word(word, Form::Word, about, state).map(drop))
            }
            InstructionKind::Expose(words) => {
                let mut ports = Vec::new();
                let mut words: Vec<&String> = words.iter().collect();
                words.sort();
                for word in words {
                    // BuildKit says nothing of variables here.
                    ports.extend(expand(word, Form::List, self.escape, &state.set)?.values);
                }
                expose::check(&ports, about, self.findings);
                Ok(())
            }
            InstructionKind::Cmd(command) => {
                self.once(0, about, state);
                self.json(command, about, state);
                Ok(())
            }
            InstructionKind::Entrypoint(command) => {
                self.once(1, about, state);
                self.json(command, about, state);
                Ok(())
            }
            InstructionKind::Healthcheck(_) => {
                self.once(2, about, state);
                Ok(())
            }
            InstructionKind::Shell(words) => {
                state.shell = !words.is_empty();
                Ok(())
            }
            InstructionKind::Onbuild(text) => {
                state.triggers.push(text.clone());
                Ok(())
            }
            InstructionKind::Maintainer(_) | InstructionKind::From(_) => Ok(()),
        }
    }

    /// Expands a word and says which variables it misses.
    fn word(
        &mut self,
        word: &str,
        form: Form,
        about: &Instruction,
        state: &State,
    ) -> Result<Vec<String>, WordError> {
        let (unset, expanded) = match expand(word, form, self.escape, &state.set) {
            Ok(seen) => (seen.unset, Ok(seen.values)),
            // What must be set is missed as well.
            Err(WordError::Required { name, message }) => {
                let unset = Some(name.clone()).filter(|name| !state.set.has(name));
                (unset.into_iter().collect(), Err(WordError::Required { name, message }))
            }
            Err(error) => return Err(error),
        };
        for name in unset.iter().filter(|name| !state.declared.contains(*name)) {
            let meant = suggest(name, state.set.names(), true);
            let meant = meant.map(|meant| format!(" (did you mean ${meant}?)")).unwrap_or_default();
            let text = format!("Usage of undefined variable '${name}'{meant}");
            self.findings.add(&UNDEFINED_VAR, about, text);
        }
        expanded
    }

    fn one(&mut self, word: &str, about: &Instruction, state: &State) -> Result<String, WordError> {
        Ok(self.word(word, Form::Word, about, state)?.pop().unwrap_or_default())
    }

    fn pairs(
        &mut self,
        pairs: &KeyValues,
        about: &Instruction,
        state: &State,
    ) -> Result<Vec<(String, String)>, WordError> {
        let one = |(key, value): &(String, String)| {
            Ok((self.one(key, about, state)?, self.one(value, about, state)?))
        };
        pairs.pairs.iter().map(one).collect()
    }

    fn env(&mut self, pairs: &KeyValues, about: &Instruction, state: &mut State) -> Result<(), WordError> {
        let expanded = self.pairs(pairs, about, state)?;
        self.legacy(pairs, about);
        for (name, value) in expanded {
            self.secret(&name, "ENV", about);
            state.set.set(name, value);
        }
        Ok(())
    }

    /// `ARG`: the command line's value, else the default, else the global one; each item sees those before it.
    fn arg(&mut self, item: &Arg, about: &Instruction, state: &mut State) -> Result<(), WordError> {
        self.secret(&item.name, "ARG", about);
        let value = match (self.options.build_args.get(&item.name), &item.default) {
            (Some(value), _) => Some(value.clone()),
            (None, Some(word)) => Some(self.one(word, about, state)?),
            (None, None) => self.globals.get(&item.name).cloned(),
        };
        state.declared.insert(item.name.clone());
        if let Some(value) = value {
            state.set.set(item.name.clone(), value);
        }
        Ok(())
    }

    fn mounts(&mut self, run: &Run, about: &Instruction, state: &State) -> Result<(), WordError> {
        let mut failed = None;
        for mount in &run.mounts {
            // What a mount's fields may be is the build's to tell.
            let _ = mount.resolve(about.span, &mut |word| {
                let expanded = self.one(word, about, state);
                if let Err(error) = &expanded {
                    failed = Some(error.clone());
                }
                expanded
            });
        }
        failed.map_or(Ok(()), Err)
    }

    fn workdir(&mut self, word: &str, about: &Instruction, state: &mut State) -> Result<(), WordError> {
        let path = self.one(word, about, state)?;
        if !state.workdir && !path.starts_with('/') {
            let text = format!(
                "Relative workdir {} can have unexpected results if the base image changes",
                quoted(&path)
            );
            self.findings.add(&WORKDIR_RELATIVE_PATH, about, text);
        }
        state.workdir = true;
        Ok(())
    }

    fn once(&mut self, slot: usize, about: &Instruction, state: &mut State) {
        if let Some(span) = state.last[slot].replace(about.span) {
            let text = format!(
                "Multiple {} instructions should not be used in the same stage because only the last one will be used",
                about.keyword
            );
            self.findings.add_at(&MULTIPLE_INSTRUCTIONS_DISALLOWED, about, span, text);
        }
    }

    fn json(&mut self, command: &Command, about: &Instruction, state: &State) {
        if matches!(command, Command::Shell(_)) && !state.shell {
            let text = format!(
                "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                about.keyword
            );
            self.findings.add(&JSON_ARGS_RECOMMENDED, about, text);
        }
    }

    fn legacy(&mut self, pairs: &KeyValues, about: &Instruction) {
        if pairs.legacy {
            let name = &about.keyword;
            let text =
                format!("\"{name} key=value\" should be used instead of legacy \"{name} key value\" format");
            self.findings.add(&LEGACY_KEY_VALUE_FORMAT, about, text);
        }
    }

    fn secret(&mut self, name: &str, keyword: &str, about: &Instruction) {
        let lower = name.to_lowercase();
        let has = |words: &[&str]| lower.split('_').any(|word| words.contains(&word));
        if has(&SECRET) && !has(&NO_SECRET) {
            let text =
                format!("Do not use ARG or ENV instructions for sensitive data ({keyword} {})", quoted(name));
            self.findings.add(&SECRETS_USED_IN_ARG_OR_ENV, about, text);
        }
    }
}
