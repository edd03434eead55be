//! One build, from text to image.

use std::sync::Arc;
use std::time::SystemTime;

use super::cancel::Cancel;
use super::error::BuildError;
use super::export::export;
use super::frontend;
use super::lower::{Plan, lower};
use super::ops::Ops;
use super::options::BuildOptions;
use super::shared::SharedCache;
use super::solve::{Explain, Ids, SolveContext, solve};
use super::source::{ImageSource, ImageSourceError, ResolvedImage};
use crate::image::{ImageId, ManifestDigest, Platform, Reference};
use crate::parser::parse;
use crate::progress::{Event, Outcome, Reporter};
use crate::run::Executor;
use crate::store::Store;

/// What a build works with.
#[derive(Clone, Copy)]
pub struct BuildEnv<'a> {
    /// Where results go and come from.
    pub store: &'a Store,
    /// Runs processes.
    pub executor: &'a dyn Executor,
    /// Finds base images.
    pub images: &'a dyn ImageSource,
    /// Receives what happens.
    pub reporter: &'a dyn Reporter,
    /// Stops the build.
    pub cancel: &'a Cancel,
    /// Knows results of other machines.
    pub shared: Option<&'a dyn SharedCache>,
    /// Receives why steps ran.
    pub explain: Option<Explain<'a>>,
}

/// A finished build.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildOutcome {
    /// The image's id: what `--iidfile` and `-q` give.
    pub image: ImageId,
    /// The image's manifest.
    pub manifest: ManifestDigest,
    /// What the names mean: the manifest, or an index of it.
    pub target: ManifestDigest,
    /// The config's exact bytes.
    pub config: Vec<u8>,
    /// The names that were given.
    pub tags: Vec<Reference>,
    /// What was said on the way.
    pub warnings: Vec<String>,
}

/// Returns what a build would do, without doing any of it; base images are looked up.
///
/// # Errors
/// The Dockerfile is wrong, or asks for what cannot be executed.
pub fn plan(options: &BuildOptions, images: &dyn ImageSource) -> Result<Plan, BuildError> {
    let source = Arc::new(options.source.clone());
    let dockerfile = parse(&source).map_err(|error| {
        let span = error.span;
        let error = BuildError::from(error);
        match span {
            Some(span) => error.at(&source, span),
            None => error,
        }
    })?;
    let mut warnings = frontend::check(&dockerfile, options)?;
    warnings.extend(frontend::warnings(&dockerfile, options)?);
    let mut plan = lower(&dockerfile, &source, options, images, &Platform::host())?;
    warnings.append(&mut plan.warnings);
    plan.warnings = warnings;
    Ok(plan)
}

/// Builds an image.
///
/// Steps that ended are kept, so that a build that failed or was stopped goes on from there.
///
/// # Errors
/// The first failure, with its lines and, if a step failed, the last of its output.
pub fn build(options: &BuildOptions, env: BuildEnv<'_>) -> Result<BuildOutcome, BuildError> {
    let ids = Ids::default();
    let _lease = env.store.lease()?;
    let images = Told { images: env.images, reporter: env.reporter, ids: &ids };
    let line = format!("[internal] load build definition from {}", options.source.name());
    let id = ids.next();
    env.reporter.report(Event::VertexStarted { id, name: line, at: SystemTime::now() });
    env.reporter.report(Event::VertexDone { id, at: SystemTime::now(), outcome: Outcome::Done });
    let plan = plan(options, &images)?;
    for message in &plan.warnings {
        env.reporter.report(Event::Warning { vertex: None, message: message.clone() });
    }
    env.reporter.report(Event::Planned { total: plan.graph.vertices.len() + 1 });
    let source = Arc::new(options.source.clone());
    let context = SolveContext {
        source: &source,
        reporter: env.reporter,
        ids: &ids,
        cancel: env.cancel,
        jobs: options.jobs.unwrap_or_else(jobs),
        explain: env.explain,
    };
    let attempt = |strict: bool| {
        let ops = Ops::new(&plan, options, env, &ids);
        let ops = if strict { ops.strict() } else { ops };
        let solved = solve(&plan.graph, &ops, context);
        ops.close();
        let solved = solved?;
        if let Some(target) = plan.target.vertex {
            ops.ensure(&solved[target].layers)?;
        }
        ops.adopt()?;
        Ok(solved)
    };
    let solved = match attempt(false) {
        // What a shared cache has lost is made here; what ended is not made again.
        Err(error @ BuildError { .. }) if error.is_shared_lost() => {
            let message =
                format!("the shared cache has lost layers, steps run again: {}", error.root_cause());
            env.reporter.report(Event::Warning { vertex: None, message });
            attempt(true)?
        }
        other => other?,
    };
    let exported = export(&plan, &solved, options, env, &ids)?;
    Ok(BuildOutcome {
        image: exported.image.id,
        manifest: exported.image.manifest,
        target: exported.target,
        config: exported.config,
        tags: options.tags.iter().map(|tag| tag.clone().or_latest()).collect(),
        warnings: plan.warnings,
    })
}

/// Returns how many steps run at once: they often wait, so a few more than there are processors.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(4, |count| (count.get() * 2).max(4))
}

/// Shows the look-up of every image.
struct Told<'a> {
    images: &'a dyn ImageSource,
    reporter: &'a dyn Reporter,
    ids: &'a Ids,
}

impl ImageSource for Told<'_> {
    fn resolve(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<ResolvedImage, ImageSourceError> {
        self.told(&reference.to_string(), || self.images.resolve(reference, platform, pull))
    }

    fn resolve_layout(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<ResolvedImage, ImageSourceError> {
        self.told(name, || self.images.resolve_layout(name, platform))
    }

    fn fetch(&self, image: &ResolvedImage) -> Result<(), ImageSourceError> {
        self.images.fetch(image)
    }
}

impl Told<'_> {
    fn told(
        &self,
        what: &str,
        resolve: impl FnOnce() -> Result<ResolvedImage, ImageSourceError>,
    ) -> Result<ResolvedImage, ImageSourceError> {
        let id = self.ids.next();
        let name = format!("[internal] load metadata for {what}");
        self.reporter.report(Event::VertexStarted { id, name, at: SystemTime::now() });
        let result = resolve();
        let outcome = match &result {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Failed(error.to_string()),
        };
        self.reporter.report(Event::VertexDone { id, at: SystemTime::now(), outcome });
        result
    }
}
