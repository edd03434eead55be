//! A Dockerfile cut into stages: global arguments, names, targets.

use std::collections::HashMap;
use std::sync::Arc;

use super::env::Env;
use super::error::{BuildError, ErrorKind, invalid};
use super::expand::Expander;
use super::options::BuildOptions;
use crate::image::Platform;
use crate::parser::instruction::{Arg, From, InstructionKind};
use crate::parser::{Dockerfile, Instruction, Source, suggest, suggestion, words};

/// All stages of a Dockerfile.
#[derive(Debug)]
pub struct Stages<'f> {
    /// The file.
    pub source: Arc<Source>,
    /// `\` or a backtick.
    pub escape: char,
    /// What arguments declared before the first `FROM` and the platforms are.
    pub globals: Env,
    /// The stages in order.
    pub stages: Vec<Stage<'f>>,
    /// The machine.
    pub host: Platform,
    /// The platform asked for, else the machine's.
    pub wanted: Platform,
    /// Index of the stage to build.
    pub target: usize,
    /// Indexes by name, ascending.
    by_name: HashMap<&'f str, Vec<usize>>,
}

/// One stage.
#[derive(Debug)]
pub struct Stage<'f> {
    /// Its `FROM`.
    pub head: &'f Instruction,
    /// Its name, lowered.
    pub name: Option<String>,
    /// What it is built on, expanded.
    pub base: String,
    /// `--platform`, expanded.
    pub platform: Option<Platform>,
    /// What follows its `FROM`.
    pub body: &'f [Instruction],
}

impl<'f> Stages<'f> {
    /// Cuts a file into stages and finds the target.
    ///
    /// # Errors
    /// There is no stage, something stands before the first one, a `FROM` does not expand, or no
    /// stage is the target.
    pub fn cut(
        dockerfile: &'f Dockerfile,
        source: &Arc<Source>,
        options: &BuildOptions,
        host: &Platform,
    ) -> Result<Self, BuildError> {
        let is_from = |instruction: &Instruction| matches!(instruction.kind, InstructionKind::From(_));
        let all = &dockerfile.instructions;
        let first = all.iter().position(is_from);
        let (before, rest) = all.split_at(first.unwrap_or(all.len()));
        let mut stages = Self {
            source: Arc::clone(source),
            escape: dockerfile.directives.escape,
            globals: Env::default(),
            stages: Vec::new(),
            host: host.clone(),
            wanted: options.platform.clone().unwrap_or_else(|| host.clone()),
            target: 0,
            by_name: HashMap::new(),
        };
        check_before(before).map_err(|(error, at)| error.at(source, at.span))?;
        let mut bodies = Vec::new();
        let mut rest = rest;
        while let Some((head, tail)) = rest.split_first() {
            let end = tail.iter().position(is_from).unwrap_or(tail.len());
            bodies.push((head, &tail[..end]));
            rest = &tail[end..];
        }
        if bodies.is_empty() {
            return Err(ErrorKind::NoStages.into());
        }
        stages.globals = stages.global_arguments(before, &bodies, options)?;
        for (head, body) in bodies {
            let InstructionKind::From(from) = &head.kind else { continue };
            let stage =
                stages.stage(head, from, body, options).map_err(|error| error.at(source, head.span))?;
            if let Some(name) = &from.name {
                stages.by_name.entry(name).or_default().push(stages.stages.len());
            }
            stages.stages.push(stage);
        }
        stages.target = stages.find_target(options.target.as_deref())?;
        Ok(stages)
    }

    fn global_arguments(
        &self,
        before: &[Instruction],
        bodies: &[(&Instruction, &[Instruction])],
        options: &BuildOptions,
    ) -> Result<Env, BuildError> {
        let mut env = predefined(bodies.last().map(|(head, _)| *head), options, &self.host, &self.wanted);
        for instruction in before {
            let InstructionKind::Arg(items) = &instruction.kind else { continue };
            for item in items {
                let value = argument(item, options, &Expander { escape: self.escape, env: &env })
                    .map_err(|error| error.at(&self.source, instruction.span))?;
                if let Some(value) = value {
                    env.set(&item.name, &value);
                }
            }
        }
        Ok(env)
    }

    fn stage(
        &self,
        head: &'f Instruction,
        from: &'f From,
        body: &'f [Instruction],
        options: &BuildOptions,
    ) -> Result<Stage<'f>, BuildError> {
        let expander = Expander { escape: self.escape, env: &self.globals };
        let base = match options.extras.from.as_ref().filter(|_| self.stages.is_empty()) {
            Some(image) => image.clone(),
            None => expander.word(&from.image)?,
        };
        if base.is_empty() {
            return Err(invalid(format!("base name ({}) should not be blank", from.image)));
        }
        let platform = match &from.platform {
            None => None,
            Some(word) => {
                let text = expander.word(word)?;
                if text.is_empty() {
                    let meant = self.meant(word);
                    return Err(invalid(format!("empty platform value from expression {word}{meant}")));
                }
                let parsed = Platform::parse(&text);
                Some(parsed.map_err(|error| invalid(format!("failed to parse platform {text}: {error}")))?)
            }
        };
        Ok(Stage { head, name: from.name.clone(), base, platform, body })
    }

    /// Returns ` (did you mean X?)` for a variable of a word that is not set, but nearly.
    fn meant(&self, word: &str) -> String {
        let get = |name: &str| self.globals.get(name).map(str::to_owned);
        let unset = words::expand(word, self.escape, &get).map(|word| word.unset).unwrap_or_default();
        let names = || self.globals.iter().map(|(name, _)| name);
        let meant = unset.iter().find_map(|name| suggest(name, names(), true));
        meant.map(|name| format!(" (did you mean {name}?)")).unwrap_or_default()
    }

    fn find_target(&self, wanted: Option<&str>) -> Result<usize, BuildError> {
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) else {
            return Ok(self.stages.len() - 1);
        };
        self.last_named(wanted).ok_or_else(|| {
            let names = self.stages.iter().filter_map(|stage| stage.name.as_deref());
            let suggestion = suggestion(wanted, names);
            ErrorKind::UnknownTarget { name: wanted.to_owned(), suggestion }.into()
        })
    }

    /// Returns the last stage of a name in any case, as `--from` and `--target` look it up.
    pub fn last_named(&self, name: &str) -> Option<usize> {
        self.by_name.get(name.to_lowercase().as_str())?.last().copied()
    }

    /// Returns the nearest stage before `index` of exactly this name, as `FROM` looks it up.
    pub fn earlier_named(&self, name: &str, index: usize) -> Option<usize> {
        let all = self.by_name.get(name)?;
        let before = all.partition_point(|stage| *stage < index);
        before.checked_sub(1).map(|last| all[last])
    }

    /// Returns what `COPY --from` means among the stages: a name, else a number.
    ///
    /// # Errors
    /// It is a number that no stage has.
    pub fn copied_from(&self, text: &str) -> Result<Option<usize>, BuildError> {
        if let Some(index) = self.last_named(text) {
            return Ok(Some(index));
        }
        match text.parse::<i64>() {
            Err(_) => Ok(None),
            Ok(number) => match usize::try_from(number) {
                Ok(index) if index < self.stages.len() => Ok(Some(index)),
                _ => Err(invalid(format!("invalid stage index {number}"))),
            },
        }
    }

    /// Returns the platform of a stage: its own, else that of the stage that it is built on, else the wanted one.
    pub fn platform(&self, index: usize) -> &Platform {
        let stage = &self.stages[index];
        match (&stage.platform, self.earlier_named(&stage.base, index)) {
            (_, Some(parent)) => self.platform(parent),
            (Some(platform), None) => platform,
            (None, None) => &self.wanted,
        }
    }

    /// Returns what step names and errors call a stage.
    pub fn label(&self, index: usize) -> String {
        self.stages[index].name.clone().unwrap_or_else(|| format!("stage-{index}"))
    }
}

fn check_before(before: &[Instruction]) -> Result<(), (BuildError, &Instruction)> {
    match before.iter().find(|one| !matches!(one.kind, InstructionKind::Arg(_))) {
        Some(one) => Err((invalid("no build stage in current context"), one)),
        None => Ok(()),
    }
}

/// Returns the value of an `ARG` item: the command line's, else its default, which is expanded only then.
///
/// # Errors
/// The default does not expand.
pub fn argument(
    item: &Arg,
    options: &BuildOptions,
    expander: &Expander<'_>,
) -> Result<Option<String>, BuildError> {
    match options.build_args.get(&item.name) {
        Some(value) => Ok(Some(value.clone())),
        None => expander.option(item.default.as_ref()),
    }
}

/// Returns the arguments that every build has, with what the command line makes of them; `last` is the
/// last stage's `FROM`.
pub fn predefined(
    last: Option<&Instruction>,
    options: &BuildOptions,
    host: &Platform,
    wanted: &Platform,
) -> Env {
    let last = last.and_then(|head| match &head.kind {
        InstructionKind::From(from) => from.name.clone(),
        _ => None,
    });
    let target = options.target.clone().or(last).unwrap_or_else(|| "default".to_owned());
    let mut env = platform_arguments(host, wanted, &target);
    for (name, value) in env.clone().iter() {
        env.set(name, options.build_args.get(name).map_or(value, String::as_str));
    }
    env
}

/// Returns the arguments that every build has.
fn platform_arguments(host: &Platform, wanted: &Platform, target: &str) -> Env {
    let mut env = Env::default();
    for (prefix, platform) in [("BUILD", host), ("TARGET", wanted)] {
        let mut set = |name: &str, value: &str| env.set(&format!("{prefix}{name}"), value);
        set("PLATFORM", &platform.to_string());
        set("OS", &platform.os);
        set("OSVERSION", platform.os_version.as_deref().unwrap_or_default());
        set("ARCH", &platform.architecture);
        set("VARIANT", platform.variant.as_deref().unwrap_or_default());
    }
    env.set("TARGETSTAGE", target);
    env
}
