//! The commands as a client of an engine (`-H`, `DOCKER_HOST`, contexts): the local store is not touched.
//!
//! One command or family is one file. Flags, tables and templates are those of
//! the commands on the local store; `rows` turns the engine's documents into
//! their fields, `progress` shows its streams.

mod archives;
mod attach;
mod auth;
mod build;
mod cp;
mod create;
mod df;
mod events;
mod exec;
mod images;
mod inspect;
mod life;
mod looks;
mod networks;
mod progress;
mod prune;
mod ps;
mod pull;
mod rows;
mod session;
mod stats;
mod versions;
mod volumes;

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;

pub use create::mount;

use super::commands::{
    BuilderCommand, Command, ContainerCommand, Group, ImageCommand, LifeCommand, SystemCommand,
};
use super::endpoint::{self, Chosen};
use super::error::CliError;
use super::global::Global;
use super::inspect::Scope;
use crate::causes::chain;
use crate::engine::client::{Client, ClientError, Options, Request, Response};

/// What every command knows.
pub struct Engine<'a> {
    /// The program's options; its store is never opened.
    pub global: &'a Global,
    /// The name of the context in use.
    pub context: String,
    /// The engine.
    pub client: Arc<Client>,
}

impl<'a> Engine<'a> {
    /// Makes the client of a chosen engine. Threads start here.
    fn new(chosen: Chosen, global: &'a Global) -> Result<Self, CliError> {
        let options = Options {
            version: endpoint::variable("DOCKER_API_VERSION")
                .map(|version| version.trim_start_matches('v').to_owned()),
            agent: format!("Skiff/{} (linux)", env!("CARGO_PKG_VERSION")),
            headers: super::container::headers(&global.args),
        };
        let client = Arc::new(Client::new(chosen.endpoint, options)?);
        Ok(Self { global, context: chosen.context, client })
    }

    /// Reads a document.
    fn get(&self, path: &str) -> Result<Value, CliError> {
        self.document(Request::get(path))
    }

    /// Sends a request and reads the document that answers it.
    fn document(&self, request: Request) -> Result<Value, CliError> {
        Ok(self.client.document(request)?)
    }

    /// Refuses a flag that engines know only since a version of their API.
    fn needs(&self, flag: &str, least: &str) -> Result<(), CliError> {
        if self.client.speaks(least)? {
            return Ok(());
        }
        let spoken = self.client.version()?;
        Err(CliError::new(format!(
            "\"{flag}\" requires API version {least}, but the Docker daemon API version is {spoken}"
        )))
    }

    /// Sends a request.
    fn send(&self, request: Request) -> Result<Response, CliError> {
        Ok(self.client.send(request)?)
    }
}

/// A text of a document; what is none is empty.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A list of a document; what is none is empty.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused { message, .. } => {
                Self::new(format!("Error response from daemon: {message}"))
            }
            _ => Self::new(chain(&error)),
        }
    }
}

/// Runs a command on an engine.
///
/// # Errors
/// The engine is not there or refuses it, or the command can't be done through one.
pub fn execute(command: Command, chosen: Chosen, global: &Global, path: &str) -> Result<ExitCode, CliError> {
    // Signals are taken by a thread of their own where they are handed on; it comes before all others.
    let url = chosen.endpoint.url();
    let engine = || Engine::new(chosen.clone(), global);
    let refused = || {
        Err(CliError::new(format!(
            "-H {url}: `{path}` can't be done through an engine in this version; without an engine it works on the local store"
        )))
    };
    let done = match command {
        Command::Build(args) => return build::build(&args, &engine()?),
        Command::Version(args) => versions::version(&args, &engine()?),
        Command::Info(args) => versions::info(&args, &engine()?),
        Command::Ps(args) => ps::ps(&args, &engine()?),
        Command::Rm(args) => return life::rm(&args, &engine()?),
        Command::Life(command) => return life_command(command, &engine),
        Command::Container(group) => match group.command {
            ContainerCommand::Ls(args) => ps::ps(&args, &engine()?),
            ContainerCommand::Rm(args) => return life::rm(&args, &engine()?),
            ContainerCommand::Prune(args) => prune::container(&args, &engine()?),
            ContainerCommand::Inspect(args) => inspect::inspect(&args, &engine()?, Scope::Container),
            ContainerCommand::Life(command) => return life_command(command, &engine),
            _ => refused(),
        },
        Command::Image(group) => match group.command {
            ImageCommand::Build(args) => return build::build(&args, &engine()?),
            ImageCommand::Ls(args) => images::images(&args, &engine()?),
            ImageCommand::Tag(args) => images::tag(&args, &engine()?),
            ImageCommand::Rm(args) => images::rmi(&args, &engine()?),
            ImageCommand::History(args) => images::history(&args, &engine()?),
            ImageCommand::Save(args) => archives::save(&args, &engine()?),
            ImageCommand::Load(args) => archives::load(&args, &engine()?),
            ImageCommand::Import(args) => archives::import(&args, &engine()?),
            ImageCommand::Pull(args) => pull::pull(&args, &engine()?),
            ImageCommand::Push(args) => pull::push(&args, &engine()?),
            ImageCommand::Prune(args) => prune::image(&args, &engine()?),
            ImageCommand::Inspect(args) => inspect::inspect(&args, &engine()?, Scope::Image),
        },
        Command::System(group) => match group.command {
            SystemCommand::Df(args) => df::df(&args, &engine()?),
            SystemCommand::Events(args) => events::events(&args, &engine()?),
            SystemCommand::Info(args) => versions::info(&args, &engine()?),
            SystemCommand::Prune(args) => prune::system(&args, &engine()?),
            // Over there the same question would be asked again, without end.
            SystemCommand::DialStdio if url.starts_with("ssh://") => {
                return Err(CliError::new(format!("{url}: `system dial-stdio` can't go on over ssh")));
            }
            SystemCommand::DialStdio => engine()?.client.carry_stdio().map_err(CliError::from),
            _ => refused(),
        },
        Command::Network(group) => return networks::run(&group.command, &engine()?),
        Command::Volume(group) => return volumes::run(&group.command, &engine()?),
        Command::Builder(group) | Command::Buildx(group) => match group.command {
            BuilderCommand::Build(args) => return build::build(&args, &engine()?),
            BuilderCommand::Prune(args) => prune::builder(&args, &engine()?),
            _ => refused(),
        },
        Command::Images(args) => images::images(&args, &engine()?),
        Command::Tag(args) => images::tag(&args, &engine()?),
        Command::Rmi(args) => images::rmi(&args, &engine()?),
        Command::History(args) => images::history(&args, &engine()?),
        Command::Events(args) => events::events(&args, &engine()?),
        Command::Search(args) => df::search(&args, &engine()?),
        Command::Save(args) => archives::save(&args, &engine()?),
        Command::Load(args) => archives::load(&args, &engine()?),
        Command::Import(args) => archives::import(&args, &engine()?),
        Command::Pull(args) => pull::pull(&args, &engine()?),
        Command::Push(args) => pull::push(&args, &engine()?),
        Command::Login(args) => auth::login(&args, &engine()?),
        Command::Inspect(args) => inspect::inspect(&args, &engine()?, Scope::Any),
        _ => refused(),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// Makes the client; after what has to come before its threads.
type Make<'a, 'b> = &'b dyn Fn() -> Result<Engine<'a>, CliError>;

/// Runs a command on containers.
fn life_command(command: LifeCommand, engine: Make<'_, '_>) -> Result<ExitCode, CliError> {
    let plain = |done: Result<(), CliError>| done.map(|()| ExitCode::SUCCESS);
    match command {
        LifeCommand::Run(args) => create::run(&args, engine),
        LifeCommand::Create(args) => create::create(&args, engine),
        LifeCommand::Cp(args) => plain(cp::cp(&args, &engine()?)),
        LifeCommand::Stats(args) => plain(stats::stats(&args, &engine()?)),
        LifeCommand::Commit(args) => plain(archives::commit(&args, &engine()?)),
        LifeCommand::Export(args) => plain(archives::export(&args, &engine()?)),
        LifeCommand::Start(args) => attach::start(&args, engine),
        LifeCommand::Attach(args) => attach::attach(&args, engine),
        LifeCommand::Exec(args) => exec::exec(&args, engine),
        LifeCommand::Stop(args) => life::stop(&args, &engine()?),
        LifeCommand::Restart(args) => life::restart(&args.stop, &engine()?),
        LifeCommand::Kill(args) => life::kill(&args, &engine()?),
        LifeCommand::Pause(args) => life::named("/pause", &args, &engine()?),
        LifeCommand::Unpause(args) => life::named("/unpause", &args, &engine()?),
        LifeCommand::Wait(args) => life::wait(&args, &engine()?),
        LifeCommand::Update(args) => life::update(&args, &engine()?),
        LifeCommand::Rename(args) => life::rename(&args, &engine()?),
        LifeCommand::Top(args) => plain(looks::top(&args, &engine()?)),
        LifeCommand::Port(args) => plain(looks::port(&args, &engine()?)),
        LifeCommand::Diff(args) => plain(looks::diff(&args, &engine()?)),
        LifeCommand::Logs(args) => plain(looks::logs(&args, &engine()?)),
    }
}

/// Whether a command has nothing to do with any engine, so that it does the same with one.
pub fn is_local(command: &Command) -> bool {
    matches!(
        command,
        Command::System(Group { command: SystemCommand::Service(_) })
            | Command::Daemon(_)
            | Command::Completion(_)
            | Command::Context(_)
            | Command::Logout(_)
            | Command::Manifest(_)
            | Command::Registry(_)
            | Command::Tags(_)
    )
}
