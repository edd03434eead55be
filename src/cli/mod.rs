//! Arguments, rendering, exit codes: the only module that prints.
//!
//! One command is one file. `commands.rs` has their tree, `global.rs` what they
//! share, `usage.rs` docker's words for mistakes, `format/` the templates of
//! `--format`, `render/` what a build looks like while it runs.

mod bake;
mod build;
mod buildx;
mod changes;
mod commands;
mod completion;
mod config_file;
mod container;
mod containers;
mod context;
mod copy;
mod csv;
mod df;
mod endpoint;
mod error;
mod files;
mod filter;
mod format;
mod global;
mod help;
mod history;
mod hosts;
mod human;
mod images;
mod import;
mod info;
mod inspect;
mod inspect_remote;
mod later;
mod load;
mod login;
mod machine;
mod manifest;
mod meant;
mod namespace;
mod network;
mod output;
mod prune;
mod pull;
mod push;
mod refused;
mod registries;
mod registry;
mod remote;
mod render;
mod rmi;
mod run;
mod save;
mod search;
mod service;
mod signals;
mod table;
mod tag;
mod tags;
mod tree;
mod usage;
mod volume;
mod words;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use commands::{BuilderCommand, Cli, Command, ContainerCommand, ImageCommand, LifeCommand, SystemCommand};
use error::CliError;
use global::Global;

/// Runs the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let first = words.next().unwrap_or_default();
    let named = |name: &str| Path::new(&first).file_name() == Some(name.as_ref());
    let program = if named("docker") || named("dockerd") { "docker" } else { "skiff" };
    let mut words = text(words);
    if let Ok(words) = &mut words
        && named("dockerd")
    {
        words.insert(0, "daemon".to_owned());
    }
    if let Ok([word, rest @ ..]) = words.as_deref()
        && word == container::MONITOR
    {
        return container::monitor_main(rest);
    }
    if let Ok([word, rest @ ..]) = words.as_deref()
        && word == crate::net::HOLDER
    {
        return namespace::hold(rest);
    }
    match words.and_then(|words| dispatch(program, &words)) {
        Ok(code) => code,
        Err(error) => {
            if !error.text.is_empty() {
                output::talk(&error.text);
            }
            ExitCode::from(error.code)
        }
    }
}

/// The words as text; what is no UTF-8 would mean something else after any conversion.
fn text(words: std::env::ArgsOs) -> Result<Vec<String>, CliError> {
    words
        .map(|word| word.into_string())
        .collect::<Result<_, _>>()
        .map_err(|word| CliError::new(format!("the argument {word:?} is no valid UTF-8")).code(125))
}

fn dispatch(program: &'static str, words: &[String]) -> Result<ExitCode, CliError> {
    let tree = Cli::command().name(program);
    let words = match words::read(&tree, program, words)? {
        words::Read::Command(words) => words,
        words::Read::Help(text) => return output::data(&text).map(|()| ExitCode::SUCCESS),
    };
    let parsed = tree.try_get_matches_from(&words).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = parsed.map_err(|error| at_level(program, &words, |level| usage::report(&error, level)))?;
    carry_out(cli, program, &words).map_err(|error| {
        if error.usage { at_level(program, &words, |level| usage::explained(error, level)) } else { error }
    })
}

/// Says something about the command that words name.
fn at_level(
    program: &'static str,
    words: &[String],
    say: impl FnOnce(&words::Level<'_>) -> CliError,
) -> CliError {
    let (tree, leaf) = (Cli::command().name(program), std::cell::OnceCell::new());
    say(&words::Level::of(&command_path(words), &tree, &leaf))
}

fn carry_out(cli: Cli, program: &'static str, words: &[String]) -> Result<ExitCode, CliError> {
    if cli.version {
        output::line(&info::version_line(program))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(command) = cli.command else { return Ok(ExitCode::SUCCESS) };
    let rootless = !rustix::process::geteuid().is_root();
    let engine = if remote::is_local(&command) { None } else { endpoint::choose(&cli.global)? };
    if let Some(chosen) = engine {
        // Neither the store nor a namespace is needed.
        let global = Global::new(program.to_owned(), cli.global, rootless);
        return remote::execute(command, chosen, &global, &command_path(words));
    }
    let mut global = Global::new(program.to_owned(), cli.global, rootless);
    if rootless && needs_ids(&command) {
        // Before any thread starts: a process with threads can't enter a user namespace.
        global.mapping = Some(namespace::enter(&global.root()?, namespace::is_for_others(&command))?);
    }
    if !global.args.debug {
        return execute(command, &global);
    }
    let begun = std::time::Instant::now();
    output::debug(&format!("version {}, store {}", env!("CARGO_PKG_VERSION"), global.root()?.display()));
    let ended = execute(command, &global);
    output::debug(&format!("{} after {:?}", if ended.is_ok() { "ended" } else { "failed" }, begun.elapsed()));
    ended
}

/// The program and the names of commands among words that were read.
fn command_path(words: &[String]) -> String {
    let names = words.iter().take_while(|word| *word != "--").filter(|word| !word.starts_with("--"));
    names.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Whether a command touches files of many owners or mounts something, so that an ordinary user
/// needs a user namespace for it.
fn needs_ids(command: &Command) -> bool {
    !matches!(
        command,
        Command::Version(_)
            | Command::Completion(_)
            | Command::Tags(_)
            | Command::Context(_)
            | Command::Login(_)
            | Command::Logout(_)
            | Command::Manifest(_)
            | Command::Search(_)
            | Command::Registry(_)
            // It happens in the namespace of the container's monitor.
            | Command::Life(LifeCommand::Exec(_))
            | Command::Container(commands::Group { command: ContainerCommand::Life(LifeCommand::Exec(_)) })
    )
}

/// Carries out a command on containers that goes by the same name with and without the group.
fn life_command(command: LifeCommand, global: &Global) -> Result<ExitCode, CliError> {
    match command {
        LifeCommand::Run(args) => run::run(args.into_inner(), global),
        LifeCommand::Create(args) => run::create(&args, global),
        LifeCommand::Exec(args) => container::exec(&args, global),
        LifeCommand::Start(args) => container::start_command(&args, global),
        LifeCommand::Stop(args) => container::stop(&args, global),
        LifeCommand::Restart(args) => container::restart(&args, global),
        LifeCommand::Kill(args) => container::kill(&args, global),
        LifeCommand::Pause(args) => container::pause(&args, global),
        LifeCommand::Unpause(args) => container::unpause(&args, global),
        LifeCommand::Wait(args) => container::wait(&args, global),
        LifeCommand::Attach(args) => container::attach(&args, global),
        LifeCommand::Commit(args) => container::commit(&args, global).map(|()| ExitCode::SUCCESS),
        LifeCommand::Cp(args) => container::cp(&args, global).map(|()| ExitCode::SUCCESS),
        LifeCommand::Diff(args) => container::diff(&args, global).map(|()| ExitCode::SUCCESS),
        LifeCommand::Export(args) => container::export(&args, global).map(|()| ExitCode::SUCCESS),
        LifeCommand::Stats(args) => container::stats(&args, global).map(|()| ExitCode::SUCCESS),
        LifeCommand::Top(args) => container::top(&args, global).map(|()| ExitCode::SUCCESS),
        LifeCommand::Update(args) => container::update(&args, global),
        LifeCommand::Rename(args) => container::rename(&args, global),
        LifeCommand::Port(args) => container::port(&args, global).map(|()| ExitCode::SUCCESS),
        LifeCommand::Logs(args) => container::logs(&args, global).map(|()| ExitCode::SUCCESS),
    }
}

/// Carries out a command of the group `container`.
fn container_command(command: ContainerCommand, global: &Global) -> Result<ExitCode, CliError> {
    match command {
        ContainerCommand::Life(command) => return life_command(command, global),
        ContainerCommand::Rm(args) => return container::rm(&args, global),
        ContainerCommand::Bundle(args) => container::bundle(&args, global),
        ContainerCommand::Inspect(args) => inspect::run(&args, global, inspect::Scope::Container),
        ContainerCommand::Prune(args) => prune::container(&args, global),
        ContainerCommand::Ls(args) => container::ps(&args, global),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Carries out a command of the groups `builder` and `buildx`.
fn builder_command(command: BuilderCommand, global: &Global) -> Result<ExitCode, CliError> {
    match command {
        BuilderCommand::Build(args) => return build::run(&args, global),
        BuilderCommand::Bake(args) => return bake::run(&args, global),
        BuilderCommand::Prune(args) => prune::builder(&args, global),
        BuilderCommand::Du(args) => buildx::du(&args, global),
        BuilderCommand::Ls(args) => buildx::ls(&args, global),
        BuilderCommand::Inspect(args) => buildx::inspect(&args, global),
        BuilderCommand::Create(args) => buildx::create(&args, global),
        BuilderCommand::Use(args) => buildx::use_builder(&args, global),
        BuilderCommand::Rm(args) => buildx::rm(&args, global),
        BuilderCommand::Stop(args) => buildx::stop(&args, global),
        BuilderCommand::Version(_) => buildx::version(),
        BuilderCommand::Imagetools(group) => buildx::imagetools::run(&group.command, global),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn execute(command: Command, global: &Global) -> Result<ExitCode, CliError> {
    match command {
        Command::Build(args) => return build::run(&args, global),
        Command::Bake(args) => return bake::run(&args, global),
        Command::Image(group) => match group.command {
            ImageCommand::Build(args) => return build::run(&args, global),
            ImageCommand::Ls(args) => images::run(&args, global),
            ImageCommand::Tag(args) => tag::run(&args, global),
            ImageCommand::Rm(args) => rmi::run(&args, global),
            ImageCommand::Inspect(args) => inspect::run(&args, global, inspect::Scope::Image),
            ImageCommand::History(args) => history::run(&args, global),
            ImageCommand::Save(args) => save::run(&args, global),
            ImageCommand::Load(args) => load::run(&args, global),
            ImageCommand::Import(args) => import::run(&args, global),
            ImageCommand::Pull(args) => pull::run(&args, global),
            ImageCommand::Push(args) => push::run(&args, global),
            ImageCommand::Prune(args) => prune::image(&args, global),
        },
        Command::Builder(group) | Command::Buildx(group) => return builder_command(group.command, global),
        Command::Container(group) => return container_command(group.command, global),
        Command::Context(group) => context::run(&group.command, global),
        Command::Events(args) => container::events(&args, global),
        Command::Volume(group) => return volume::run(&group.command, global),
        Command::Life(command) => return life_command(command, global),
        Command::Rm(args) => return container::rm(&args, global),
        Command::Ps(args) => container::ps(&args, global),
        Command::Network(group) => return network::run(group.command, global),
        Command::Registry(group) => registry::run(&group.command, global),
        Command::System(group) => match group.command {
            SystemCommand::Df(args) => df::run(&args, global),
            SystemCommand::StartContainers(_) => return container::start_containers(global),
            SystemCommand::Events(args) => container::events(&args, global),
            SystemCommand::Info(args) => info::info(&args, global),
            SystemCommand::Prune(args) => prune::system(&args, global),
            SystemCommand::Service(args) => service::run(&args, global.again()),
            SystemCommand::DialStdio => service::dial_stdio(global.again()),
        },
        Command::Daemon(args) => service::run(&args, global.again()),
        Command::Images(args) => images::run(&args, global),
        Command::Tag(args) => tag::run(&args, global),
        Command::Tags(args) => tags::run(&args, global),
        Command::Copy(args) => copy::run(&args, global),
        Command::Rmi(args) => rmi::run(&args, global),
        Command::Inspect(args) => inspect::run(&args, global, inspect::Scope::Any),
        Command::History(args) => history::run(&args, global),
        Command::Save(args) => save::run(&args, global),
        Command::Search(args) => search::run(&args, global),
        Command::Load(args) => load::run(&args, global),
        Command::Push(args) => push::run(&args, global),
        Command::Pull(args) => pull::run(&args, global),
        Command::Manifest(group) => manifest::run(&group.command, global),
        Command::Login(args) => login::login(&args, global),
        Command::Logout(args) => login::logout(&args, global),
        Command::Import(args) => import::run(&args, global),
        Command::Version(args) => info::version(&args, global),
        Command::Info(args) => info::info(&args, global),
        Command::Completion(args) => completion::run(&args, global),
    }
    .map(|()| ExitCode::SUCCESS)
}
