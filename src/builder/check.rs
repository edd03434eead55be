//! What a build would do and what there is to say about its text, without doing any of it.

use std::sync::{Arc, Mutex, PoisonError};

use super::error::{BuildError, ErrorKind, invalid};
use super::frontend;
use super::lower::{Plan, context_key, lower_all};
use super::options::{BuildOptions, Input};
use super::source::{ImageSource, ImageSourceError, ResolvedImage};
use super::stages::predefined;
use crate::image::{ImageConfig, Platform, Reference};
use crate::lint::{Finding, LintOptions, Outline, Settings, lint, lint_text, outline};
use crate::parser::instruction::InstructionKind;
use crate::parser::{Dockerfile, Instruction, ParseError, Source, parse_partly};

/// A build that was looked at.
#[derive(Debug)]
pub struct Checked {
    /// What the build checks found, in BuildKit's order.
    pub findings: Vec<Finding>,
    /// What the target takes.
    pub outline: Outline,
    /// What would be done, or why it can't be.
    pub plan: Result<Plan, BuildError>,
}

/// Looks at a build: its mistakes, what the build checks find, what it would do; base images are looked up.
pub fn check(options: &BuildOptions, images: &dyn ImageSource) -> Checked {
    let settings = match settings(options) {
        Ok(settings) => settings,
        Err(error) => return Checked { findings: Vec::new(), outline: Outline::default(), plan: Err(error) },
    };
    let source = Arc::new(options.source.clone());
    let (file, error) = parse_partly(&source);
    if let Some(error) = error {
        let findings = lint_text(&file, &settings);
        return Checked { findings, outline: Outline::default(), plan: Err(parse_error(error, &source)) };
    }
    let seen = Seen { images, found: Mutex::new(Vec::new()) };
    let planned = frontend::check(&file, options).and_then(|mut notes| {
        let mut plan = lower_all(&file, &source, options, &seen, &Platform::host())?;
        notes.append(&mut plan.warnings);
        plan.warnings = notes;
        Ok(plan)
    });
    let findings =
        with_options(&file, options, &settings, &seen, planned.as_ref().err(), |with| lint(&file, with));
    let plan = planned.and_then(|plan| match (settings.error, findings.is_empty()) {
        (true, false) => Err(violations(&findings)),
        _ => Ok(plan),
    });
    let outline = with_options(&file, options, &settings, &seen, None, |lint| outline(&file, lint));
    Checked { findings, outline, plan }
}

/// Returns which rules are on: the build argument's choice, else the directive's.
fn settings(options: &BuildOptions) -> Result<Settings, BuildError> {
    let argument = options.build_args.get("BUILDKIT_DOCKERFILE_CHECK").cloned();
    let text = argument.or_else(|| crate::parser::detect_check(options.source.text()).map(|(text, _)| text));
    Settings::parse(text.as_deref().unwrap_or_default())
        .map_err(|error| invalid(format!("failed to parse check options: {error}")))
}

fn parse_error(error: ParseError, source: &Arc<Source>) -> BuildError {
    let span = error.span;
    let error = BuildError::from(error);
    match span {
        Some(span) => error.at(source, span),
        None => error,
    }
}

fn violations(findings: &[Finding]) -> BuildError {
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule.name).collect();
    rules.sort_unstable();
    rules.dedup();
    invalid(format!("lint violation found for rules: {}", rules.join(", ")))
}

/// Puts together what the checks need to know.
fn with_options<T>(
    file: &Dockerfile,
    options: &BuildOptions,
    settings: &Settings,
    seen: &Seen<'_>,
    error: Option<&BuildError>,
    then: impl FnOnce(&LintOptions<'_>) -> T,
) -> T {
    let host = Platform::host();
    let asked = options.platforms.first().or(options.platform.as_ref());
    let wanted = asked.cloned().unwrap_or_else(|| host.clone());
    let is_from = |one: &&Instruction| matches!(one.kind, InstructionKind::From(_));
    let predefined = predefined(file.instructions.iter().rfind(is_from), options, &host, &wanted);
    let named = |name: &str| {
        let key = context_key(&options.named_contexts, name, &wanted)?;
        options.named_contexts.get(key)
    };
    let base = |name: &str, platform: Option<&Platform>| match named(name) {
        Some(Input::Image(image)) => seen.config(image, platform),
        Some(_) => Some(ImageConfig::default()),
        None => seen.config(name, platform),
    };
    let replaced = |name: &str| name != "context" && named(name).is_some();
    let ignore =
        options.context.ignore().filter(|patterns| !patterns.is_empty() && !patterns.has_exceptions());
    let ignored = |path: &str| ignore.is_some_and(|patterns| patterns.leaves_out(path));
    let unreached =
        |error: &BuildError| matches!(*error.kind, ErrorKind::UnknownTarget { .. } | ErrorKind::Circular(_));
    then(&LintOptions {
        settings,
        build_args: &options.build_args,
        predefined: predefined.pairs(),
        all: options.all_stages,
        target: options.target.as_deref().filter(|target| !target.is_empty()),
        platform: asked,
        runnable: &[host],
        base: &base,
        replaced: &replaced,
        ignored: ignore.is_some().then_some(&ignored as &dyn Fn(&str) -> bool),
        walk: !error.is_some_and(unreached),
        stop: error.and_then(|error| error.place.as_ref()).map(|place| place.span),
    })
}

/// Remembers every image that was looked up.
struct Seen<'a> {
    images: &'a dyn ImageSource,
    found: Mutex<Vec<(Reference, Option<Platform>, ImageConfig)>>,
}

impl Seen<'_> {
    fn config(&self, name: &str, platform: Option<&Platform>) -> Option<ImageConfig> {
        if name == "scratch" {
            return Some(ImageConfig::default());
        }
        let reference = Reference::parse(name).ok()?.or_latest();
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |entry: &&(Reference, Option<Platform>, ImageConfig)| entry.0 == reference;
        let exact = found.iter().filter(same).find(|(_, given, _)| given.as_ref() == platform);
        exact.or_else(|| found.iter().find(same)).map(|(_, _, config)| config.clone())
    }
}

impl ImageSource for Seen<'_> {
    fn resolve(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<ResolvedImage, ImageSourceError> {
        let image = self.images.resolve(reference, platform, pull)?;
        let entry = (reference.clone(), platform.cloned(), image.config.clone());
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        Ok(image)
    }

    fn resolve_layout(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<ResolvedImage, ImageSourceError> {
        self.images.resolve_layout(name, platform)
    }

    fn fetch(&self, image: &ResolvedImage) -> Result<(), ImageSourceError> {
        self.images.fetch(image)
    }
}
