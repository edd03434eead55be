//! `build`

mod annotations;
mod args;
mod attest;
mod cache;
mod call;
mod check;
mod contexts;
mod explain;
mod exports;
mod failure;
mod habit_outputs;
mod habits;
mod images;
mod layouts;
mod metadata;
mod network;
mod on_failure;
mod options;
mod outline;
mod output_run;
mod outputs;
mod platforms;
mod proxies;
mod push;
mod refused;
mod resources;
mod secrets;
mod subrequest;
mod vcs;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

pub use annotations::flags as annotation_flags;
pub use args::BuildArgs;
use attest::{Attest, AttestOptions};
use call::Method;
pub use call::{Call, parse as parse_call};
use exports::Exports;
pub use habits::HabitArgs;
pub use metadata::build_reference;
use on_failure::FailureShell;
use options::Given;
use output_run::{Exported, Exporter};
pub use platforms::parse as platforms_of;

use super::error::CliError;
use super::global::Global;
use super::render::{self, Mode, Renderer};
use super::{bake, files, output};
use crate::builder::context::{ContextOptions, ContextSource, DockerfileSource, open_context};
use crate::builder::{
    self, BuildEnv, BuildOptions, Cancel, ImageSource, ResolvedImage, Solved, is_true, solve_build,
};
use crate::image::Platform;
use crate::lint::targets;
use crate::parser::{Source, parse};
use crate::progress::CheckEvent;
use crate::run::NamespaceExecutor;

/// Runs the command.
pub fn run(args: &BuildArgs, global: &Global) -> Result<ExitCode, CliError> {
    args.refused.check()?;
    resources::check_docker_buildkit()?;
    let call = call::parse(args)?;
    let mode = progress_mode(args)?;
    if let Some(path) = &args.iidfile {
        files::remove(path)?;
    }
    let renderer = render::choose(mode);
    let cancel = Cancel::new();
    let begin = || stop_on_signals(&cancel);
    let session = Session {
        renderer: &*renderer,
        own: Some(renderer.clone()),
        mode,
        cancel: &cancel,
        begin: &begin,
        dockerfile: None,
        context: Mutex::default(),
        on_source: &|_| {},
        results: None,
    };
    match run_in(args, call, global, &session)? {
        Ended::Answered(code) => Ok(ExitCode::from(code)),
        Ended::Built(built) => {
            if let Some(id) = built.id.filter(|_| args.quiet) {
                output::line(&id)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What a build has from outside: alone its own, in a bake what it shares with others.
pub struct Session<'a> {
    /// Where its events go.
    pub renderer: &'a dyn Renderer,
    /// The renderer when no other build draws with it: a shell may then take the terminal.
    pub own: Option<Arc<dyn Renderer>>,
    /// What the renderer shows.
    pub mode: Mode,
    /// Stops it.
    pub cancel: &'a Cancel,
    /// Called before steps run.
    pub begin: &'a dyn Fn() -> Result<(), CliError>,
    /// The Dockerfile's text, in place of a file.
    pub dockerfile: Option<String>,
    /// What `-` as the context means in place of standard input; taken by the build.
    pub context: Mutex<Option<Box<dyn std::io::Read + Send>>>,
    /// Told the Dockerfile once it is read.
    pub on_source: &'a dyn Fn(&Source),
    /// Results of other builds, which `--build-context NAME=target:OTHER` names.
    pub results: Option<&'a bake::Results>,
}

/// How a build ended that did not fail.
pub enum Ended {
    /// It answered what was asked instead of a build, with this exit code.
    Answered(u8),
    /// It was built.
    Built(Box<Built>),
}

/// What is known of a build afterwards.
pub struct Built {
    /// What `-q` prints; none when there is no image or standard output has the result.
    pub id: Option<String>,
    /// The document of `--metadata-file`.
    pub metadata: String,
    /// What other builds of a bake may begin with, for each platform.
    pub images: Vec<(Option<Platform>, ResolvedImage)>,
}

/// Runs a build, or answers a call.
///
/// # Errors
/// With all that is to be said about it.
pub fn run_in(
    args: &BuildArgs,
    call: Option<Call>,
    global: &Global,
    session: &Session<'_>,
) -> Result<Ended, CliError> {
    let renderer = session.renderer;
    let exports = Exports::of(args)?;
    let tags = options::tags(args)?;
    let secrets = secrets::secrets(&args.secret)?;
    let store = global.store()?;
    let lease = store.lease()?;
    let spool = store.begin_layer()?;
    let agents = secrets::ssh(&args.ssh, spool.root())?;
    let look_up = |id: &str| secrets::secret_bytes(secrets.get(id)?);
    let build_args = options::build_args(args, global)?;
    let context_options = ContextOptions {
        store: Some(store),
        spool: spool.root(),
        secret: &look_up,
        reporter: renderer,
        keep_git_dir: build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR").is_some_and(|text| is_true(text)),
        ssh: agents.by_id.get("default").map(|agent| agent.socket.clone()),
        ignore_file: args.ignorefile.clone(),
        cancel: Some(session.cancel),
    };
    let dockerfile = match &session.dockerfile {
        Some(text) => DockerfileSource::Stdin(Box::new(std::io::Cursor::new(text.clone().into_bytes()))),
        None => contexts::dockerfile(args),
    };
    let given = session.context.lock().unwrap_or_else(PoisonError::into_inner).take();
    let source = match given {
        Some(stream) => ContextSource::Stdin(stream),
        None => contexts::context(args)?,
    };
    // While a stream is read that nothing here can break off, signals end the process as usual.
    let fetched = source.is_remote() || dockerfile.is_remote();
    if fetched {
        (session.begin)()?;
    }
    let context =
        open_context(source, dockerfile, &context_options).map_err(|error| failure::of_context(&error))?;
    let source = options::source(&context).map_err(|error| failure::unreadable(&context, &error))?;
    (session.on_source)(&source);
    let mut options = options::build_options(
        args,
        source,
        &context,
        Given { tags, build_args, secrets, ssh: agents.by_id.clone() },
        store,
    )?;
    options.extras.networks = network::networks(args.network.as_deref(), global)?;
    let attested = AttestOptions::of(args, &options.build_args)?;
    let client = super::registries::client(global).map_err(|error| error.text);
    let images = images::StoredImages::new(store, client);
    let images = layouts::WithLayouts::new(&images, store, renderer);
    let images = bake::WithTargets::new(&images, session.results);
    if let Some(call) = call {
        let code = answer(call, options, &images, &context.shown(&args.context))?;
        return Ok(Ended::Answered(code));
    }
    let shell = args.on_failure.as_deref().zip(session.own.clone());
    let shell = shell.map(|(value, renderer)| Arc::new(FailureShell::new(value, renderer)));
    options.on_failure = shell.clone().map(|shell| shell as Arc<dyn builder::OnFailure>);
    if !fetched {
        (session.begin)()?;
    }
    let executor = NamespaceExecutor::new();
    let reporter = renderer;
    let shares = cache::open(args, options.inline_cache(), global, reporter)?;
    let explained = Mutex::new(Vec::new());
    let explain = |explanation| explained.lock().unwrap_or_else(PoisonError::into_inner).push(explanation);
    let env = BuildEnv {
        store,
        executor: &executor,
        images: &images,
        reporter,
        cancel: session.cancel,
        shared: shares.as_ref().map(|shares| shares as &dyn crate::builder::SharedCache),
        explain: (args.explain.is_some() || args.explain_format.is_some()).then_some(&explain),
    };
    if explain::asks_for_prediction(args) {
        let prediction = explain::predict(args, &options, env, &context.shown(&args.context))?;
        output::data(&prediction)?;
        return Ok(Ended::Answered(0));
    }
    let result = solve_build(&options, env);
    let reference = metadata::build_reference();
    let attest = Attest {
        wanted: &attested,
        args,
        options: &options,
        store,
        reference: &reference,
        reproducible: args.reproducible,
    };
    let exported = result.as_ref().ok().map(|solved| {
        let exporter = Exporter {
            store,
            solved,
            options: &options,
            exports: &exports,
            global,
            attest: &attest,
            reporter,
        };
        let checks = renderer.checks();
        exporter.run().and_then(|exported| succeed(args, &exported, solved, &attest, &checks))
    });
    renderer.finish();
    for explanation in explained.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        match args.explain_format.as_deref() {
            Some("json") => output::line(&explain::object(explanation).to_string())?,
            _ => output::talk(&explain::text(explanation)),
        }
    }
    context.save_index();
    drop(lease);
    let findings = match session.mode {
        Mode::Quiet | Mode::RawJson => String::new(),
        _ => check::summary(&renderer.checks(), global.args.debug, render::warning_colour().as_deref()),
    };
    match result {
        Ok(solved) => {
            if !findings.is_empty() {
                output::talk(&findings);
            }
            let mut built = exported.expect("a solved build was exported")?;
            built.id = built.id.filter(|_| !exports.use_stdout());
            if let Some(results) = session.results {
                built.images = results.of(&solved, store)?;
            }
            Ok(Ended::Built(Box::new(built)))
        }
        Err(error) if error.is_cancelled() => Err(failure::cancelled()),
        Err(error) => {
            let kept = shell.map(|shell| shell.said(&global.program)).unwrap_or_default();
            let text = format!("{}{kept}", failure::text(&error, renderer.failed_logs(), &findings));
            Err(CliError::new(text).code(failure::code(&error)))
        }
    }
}

/// Looks at what can be looked at before anything runs: names, secrets, outputs.
///
/// # Errors
/// A name is none, a secret is not there, an output is unknown.
pub fn check_inputs(args: &BuildArgs) -> Result<(), CliError> {
    options::tags(args)?;
    Exports::of(args)?;
    secrets::secrets(&args.secret).map(drop)
}

/// Returns what is drawn: `-q` draws nothing, and `BUILDKIT_PROGRESS` counts where nothing is asked for.
fn progress_mode(args: &BuildArgs) -> Result<Mode, CliError> {
    match args.progress.as_deref().unwrap_or_default() {
        "" | "auto" if args.quiet => Ok(Mode::Quiet),
        "quiet" if args.quiet => Ok(Mode::Quiet),
        other if args.quiet => {
            Err(CliError::new(format!("ERROR: progress={other} and quiet cannot be used together")))
        }
        "" | "auto" => Mode::parse(&std::env::var("BUILDKIT_PROGRESS").unwrap_or_default()),
        given => Mode::parse(given),
    }
}

/// Answers what is asked of the file instead of a build, and returns the exit code.
fn answer(
    call: Call,
    mut options: BuildOptions,
    images: &dyn ImageSource,
    shown: &str,
) -> Result<u8, CliError> {
    let text = options.source.text().to_owned();
    let printed = match call.method {
        Method::Describe => outline::describe(call.json),
        Method::Targets => {
            let file = parse(&options.source).map_err(|error| failure::unparsed(&options.source, &error))?;
            match call.json {
                true => outline::targets_json(targets(&file), &text),
                false => outline::targets_text(&targets(&file)),
            }
        }
        Method::Check => {
            // Without a target, every stage counts.
            options.all_stages = options.target.as_deref().is_none_or(str::is_empty);
            let checked = builder::check(&options, images);
            return check::print(&checked, &Source::new(shown, text), call);
        }
        Method::Outline => {
            let checked = builder::check(&options, images);
            if let Err(error) = &checked.plan {
                return Err(CliError::new(failure::text(error, None, "")));
            }
            match call.json {
                true => outline::outline_json(checked.outline, &text),
                false => outline::outline_text(&checked.outline),
            }
        }
    };
    output::data(&printed)?;
    Ok(0)
}

/// Writes what scripts read, and returns the image's id, if there is an image.
fn succeed(
    args: &BuildArgs,
    exported: &Exported,
    solved: &Solved,
    attest: &Attest<'_>,
    checks: &[CheckEvent],
) -> Result<Built, CliError> {
    let id = metadata::image_id(exported);
    if let (Some(path), Some(id)) = (&args.iidfile, &id) {
        files::write(path, id.as_bytes())?;
    }
    if let (Some(path), Some(id)) = (&args.habits.iidfile_raw, &id) {
        files::write(path, id.rsplit(':').next().unwrap_or(id).as_bytes())?;
    }
    if let (Some(path), Some(descriptor)) = (&args.habits.digest_file, &exported.descriptor) {
        files::write(path, descriptor.digest.to_string().as_bytes())?;
    }
    let warnings = std::env::var("BUILDX_METADATA_WARNINGS").is_ok_and(|text| is_true(&text));
    let warnings = warnings.then_some(checks);
    let text = metadata::document(exported, attest.reference, attest.for_metadata(solved), warnings);
    if let Some(path) = &args.metadata_file {
        files::write(path, text.as_bytes())?;
    }
    Ok(Built { id, metadata: text, images: Vec::new() })
}

/// The first SIGINT, SIGTERM or SIGHUP stops the build, a second one ends the process at once.
fn stop_on_signals(cancel: &Cancel) -> Result<(), CliError> {
    let cancel = cancel.clone();
    super::signals::on_first(move || cancel.cancel())
}
