//! One build, from text to image.

use std::sync::Arc;
use std::time::SystemTime;

use super::cancel::Cancel;
use super::check::check;
use super::error::{BuildError, ErrorKind};
use super::export::{self, ImageFormat};
use super::lower::Plan;
use super::ops::Ops;
use super::options::BuildOptions;
use super::shared::SharedCache;
use super::solve::{Explain, Ids, Snapshot, SolveContext, solve};
use super::source::{ImageSource, ImageSourceError, ResolvedImage};
use crate::image::{DiffId, ImageId, ManifestDigest, Platform, Reference};
use crate::lint::Finding;
use crate::parser::{Source, excerpt};
use crate::progress::{CheckEvent, Event, Outcome, Reporter, VertexId};
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
    check(options, images).plan
}

/// A build whose steps have all been solved; nothing of it was exported yet.
#[derive(Debug)]
pub struct Solved {
    /// What was built, for one platform or several.
    pub plan: Plan,
    /// The result of each step.
    pub snapshots: Vec<Arc<Snapshot>>,
    /// The platforms that were asked for, in the order of the plan's targets; empty when none was.
    pub platforms: Vec<Platform>,
    /// What the images' configs say of the steps, where images are caches.
    pub inline: Option<serde_json::Value>,
    /// When it began.
    pub started: SystemTime,
    /// Numbers of events.
    pub(super) ids: Ids,
}

impl Solved {
    /// Returns the platform of a target: the one asked for, else the one that its config has.
    pub fn platform(&self, number: usize) -> Platform {
        let asked = self.platforms.get(number).cloned();
        asked.unwrap_or_else(|| {
            let target = self.plan.targets().nth(number);
            target.expect("there is a target of every number").image.platform()
        })
    }

    /// Returns the layers of a target, bottom first.
    pub fn layers(&self, number: usize) -> &[DiffId] {
        let target = self.plan.targets().nth(number);
        let vertex = target.and_then(|target| target.vertex);
        vertex.map_or(&[], |vertex| &self.snapshots[vertex].layers)
    }
}

/// Solves every step of a build; what becomes of the result is [`export`]'s business.
///
/// Steps that ended are kept, so that a build that failed or was stopped goes on from there.
/// Results stay while the caller holds a lease on the store.
///
/// # Errors
/// The first failure, with its lines and, if a step failed, the last of its output.
pub fn solve_build(options: &BuildOptions, env: BuildEnv<'_>) -> Result<Solved, BuildError> {
    let ids = Ids::default();
    let started = SystemTime::now();
    let result = solve_all(options, env, &ids);
    let stopped = matches!(&result, Err(error) if error.is_cancelled());
    let written = match env.shared {
        // The steps of a build that failed are worth sharing too; its own error comes first.
        Some(shared) if !stopped => finish_exports(shared, env.reporter, &ids),
        _ => Ok(()),
    };
    let (plan, snapshots) = result?;
    written?;
    let platforms = match options.platforms.is_empty() {
        true => options.platform.iter().cloned().collect(),
        false => options.platforms.clone(),
    };
    let inline = env.shared.and_then(SharedCache::inline);
    Ok(Solved { plan, snapshots, platforms, inline, started, ids })
}

/// Waits for what is still to be written to shared caches.
fn finish_exports(shared: &dyn SharedCache, reporter: &dyn Reporter, ids: &Ids) -> Result<(), BuildError> {
    let names = shared.exports();
    if names.is_empty() {
        return Ok(());
    }
    let id = ids.next();
    let name = format!("exporting cache to {}", names.join(", "));
    reporter.report(Event::VertexStarted { id, name, at: SystemTime::now() });
    let result = shared.finish();
    let outcome = match &result {
        Ok(()) => Outcome::Done,
        Err(error) => Outcome::Failed(error.to_string()),
    };
    reporter.report(Event::VertexDone { id, at: SystemTime::now(), outcome });
    Ok(result.map_err(ErrorKind::SharedExport)?)
}

/// Attempts after the first; each failure gives up one cache.
const MAX_ATTEMPTS: usize = 8;

fn solve_all(
    options: &BuildOptions,
    env: BuildEnv<'_>,
    ids: &Ids,
) -> Result<(Plan, Vec<Arc<Snapshot>>), BuildError> {
    let images = Told { images: env.images, reporter: env.reporter, ids };
    let line = format!("[internal] load build definition from {}", options.source.name());
    let id = ids.next();
    env.reporter.report(Event::VertexStarted { id, name: line, at: SystemTime::now() });
    env.reporter.report(Event::VertexDone { id, at: SystemTime::now(), outcome: Outcome::Done });
    let checked = check(options, &images);
    let text: Arc<str> = options.source.text().into();
    for finding in &checked.findings {
        env.reporter.report(checks_event(id, finding, &options.source, &text));
    }
    let plan = checked.plan?;
    for message in &plan.warnings {
        env.reporter.report(Event::Warning { vertex: None, message: message.clone() });
    }
    env.reporter.report(Event::Planned { total: plan.graph.vertices.len() + 1 });
    let source = Arc::new(options.source.clone());
    let context = SolveContext {
        source: &source,
        reporter: env.reporter,
        ids,
        cancel: env.cancel,
        jobs: options.jobs.unwrap_or_else(jobs),
        explain: env.explain,
    };
    let attempt = |strict: bool| {
        let ops = Ops::new(&plan, options, env, ids);
        let ops = if strict { ops.strict() } else { ops };
        let solved = solve(&plan.graph, &ops, context);
        ops.close();
        let solved = solved?;
        for target in plan.targets().filter_map(|target| target.vertex) {
            ops.ensure(&solved[target].layers)?;
        }
        ops.adopt()?;
        Ok(solved)
    };
    let mut solved: Result<_, BuildError> = attempt(false);
    for _ in 0..MAX_ATTEMPTS {
        // What a shared cache has lost is made here; what ended is not made again.
        let lost = match &solved {
            Err(error) if error.is_shared_lost() => error.root_cause(),
            _ => break,
        };
        let message = format!("a shared cache has lost layers, steps run again: {lost}");
        env.reporter.report(Event::Warning { vertex: None, message });
        solved = attempt(true);
    }
    let solved = solved?;
    Ok((plan, solved))
}

/// Builds an image into the store and gives it its names.
///
/// # Errors
/// As [`solve_build`], or the store can't be written.
pub fn build(options: &BuildOptions, env: BuildEnv<'_>) -> Result<BuildOutcome, BuildError> {
    let _lease = env.store.lease()?;
    let solved = solve_build(options, env)?;
    let format =
        ImageFormat { epoch: solved.plan.epoch, index: wants_index(options), ..ImageFormat::default() };
    let (documents, kept) = export::exporting(&solved, env.reporter, "exporting to image", |say| {
        say("exporting layers".to_owned());
        let images = export::compose(env.store, &solved, &format)?;
        let documents = export::index(images, Vec::new(), &format);
        let kept = export::keep(env.store, &documents, &options.tags, say)?;
        Ok::<_, BuildError>((documents, kept))
    })?;
    let image = &documents.images[0];
    Ok(BuildOutcome {
        image: image.id,
        manifest: image.digest,
        target: kept.target,
        config: image.config.clone(),
        tags: options.tags.iter().map(|tag| tag.clone().or_latest()).collect(),
        warnings: solved.plan.warnings,
    })
}

/// Whether one platform gets an index as well.
pub fn wants_index(options: &BuildOptions) -> bool {
    options.build_args.get("BUILDKIT_MULTI_PLATFORM").is_some_and(|text| super::is_true(text))
}

/// Returns what a build check found as an event of the step that read the file.
fn checks_event(vertex: VertexId, finding: &Finding, source: &Source, text: &Arc<str>) -> Event {
    Event::Check(Box::new(CheckEvent {
        vertex,
        short: finding.to_string(),
        detail: finding.rule.description.to_owned(),
        url: finding.rule.url(),
        file: source.name().to_owned(),
        text: Arc::clone(text),
        excerpt: excerpt(source, finding.span),
        lines: (finding.span.first, finding.span.last),
    }))
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
