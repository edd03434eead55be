//! The commands on containers that are there; `run` and `create` make them.

mod attach;
mod boot;
mod bundle;
pub mod commit;
pub mod cp;
pub mod diff;
mod events;
pub mod exec;
mod export;
mod inspect;
pub mod life;
mod logs;
pub mod ports;
pub(super) mod ps;
mod row;
pub mod stats;
pub mod top;
pub mod update;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;

pub use attach::{AttachArgs, attach};
pub use boot::{StartContainersArgs, start_containers};
pub use bundle::{BundleArgs, bundle};
pub use commit::{CommitArgs, commit};
pub use cp::{CpArgs, cp};
pub use diff::{DiffArgs, diff};
pub use events::{EventsArgs, Selection, document as event_document, events};
pub use exec::{ExecArgs, exec};
pub use export::{ExportArgs, export};
pub use inspect::{document, mounts, places};
pub use life::{
    KillArgs, NamesArgs, RenameArgs, RestartArgs, RmArgs, StartArgs, StopArgs, ask, kill, pause, rename,
    restart, rm, start_command, stop, unpause, wait,
};
pub use logs::{Log, LogsArgs, check_readable, logs};
pub use ports::{PortArgs, port};
pub use ps::{Listing, PsArgs, ps};
pub use row::{Images, Style, command_line, fields, status};
pub use stats::{StatsArgs, stats};
pub use top::{TopArgs, top};
pub use update::{UpdateArgs, update};

use super::error::CliError;
use super::format::{Missing, Template};
use super::global::{Global, GlobalArgs};
use super::output;
use crate::causes::chain;
use crate::containers::{
    Attach, Container, ContainerError, Containers, Remote, Reply, Request, log, monitor,
};
use crate::layers::ChownPolicy;
use crate::store::{LayerForm, StoreOptions};

/// The word that makes this program a container's monitor.
pub const MONITOR: &str = "container-monitor";

/// Opens the containers of the store.
///
/// # Errors
/// The store or the directory can't be opened.
pub fn all(global: &Global) -> Result<Containers, CliError> {
    // A store of another format is refused.
    global.store()?;
    Containers::open(&global.root()?).map_err(|e| CliError::engine(&e))
}

/// Finds a container by what was typed; one that is an image is said to be that.
///
/// # Errors
/// There is none, or more than one.
pub fn find(containers: &Containers, text: &str, global: &Global) -> Result<Container, CliError> {
    containers.find(text).map_err(|error| {
        let mut failure = CliError::engine(&error);
        if let Some(hint) = super::meant::command_as_name(text) {
            failure.text.push_str(&format!("\n{hint}"));
            return failure;
        }
        if matches!(error, ContainerError::NotFound(_))
            && let Ok(image) = global.store().and_then(|store| Ok(store.find_image(text, None)?))
        {
            let id = image.id.to_string();
            let made = containers.list().unwrap_or_default();
            let of: Vec<String> = made
                .iter()
                .filter(|container| container.config.image == id)
                .map(|container| container.config.name.clone())
                .collect();
            let of = if of.is_empty() { "none".to_owned() } else { of.join(", ") };
            failure.text.push_str(&format!("\n{text} is an image; containers from it: {of}"));
        }
        failure
    })
}

/// Does something with each of several containers at once is not needed: one after the other; what was typed is
/// printed for each that worked, and what failed is said at the end.
///
/// # Errors
/// One failed.
pub fn each(
    names: &[String],
    mut act: impl FnMut(&str) -> Result<(), CliError>,
) -> Result<ExitCode, CliError> {
    let mut failures = Vec::new();
    for name in names {
        match act(name) {
            Ok(()) => output::line(name)?,
            Err(error) => failures.push(error.text),
        }
    }
    failures.iter().filter(|text| !text.is_empty()).for_each(|text| output::talk(text));
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// How long a container's name may be: it is a file's as well.
const LONGEST_NAME: usize = 255;

/// Refuses what can't name a container. Docker wants two characters; one is enough here, and a name goes before an id
/// that begins so.
///
/// # Errors
/// In docker's words: it has fewer than two characters, or others; or more than a file's name can have.
pub fn check_name(name: &str) -> Result<(), CliError> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let first = bare.starts_with(|c: char| c.is_ascii_alphanumeric());
    if bare.len() > LONGEST_NAME {
        return Err(CliError::new(format!(
            "Error response from daemon: Invalid container name ({name}): it has more than {LONGEST_NAME} characters"
        )));
    }
    if first && bare.len() > 1 && bare.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)) {
        return Ok(());
    }
    Err(CliError::new(format!(
        "Error response from daemon: Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// Reads a signal: a number, or a name with or without `SIG`.
///
/// # Errors
/// There is no such signal.
pub fn signal_number(word: &str) -> Result<i32, CliError> {
    let upper = word.to_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |base: i32, rest: &str| -> Option<i32> {
        if rest.is_empty() { Some(base) } else { rest.parse::<i32>().ok().map(|n| base + n) }
    };
    let number = match word.parse::<i32>() {
        Ok(number) => Some(number),
        Err(_) if bare.starts_with("RTMIN") => real_time(34, bare["RTMIN".len()..].trim_start_matches('+')),
        Err(_) if bare.starts_with("RTMAX") => real_time(64, &bare["RTMAX".len()..]),
        Err(_) => format!("SIG{bare}").parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32),
    };
    number
        .filter(|n| (1..=64).contains(n))
        .ok_or_else(|| CliError::new(format!("Error response from daemon: invalid signal: {word}")))
}

/// Returns a text of the client's configuration, docker's `config.json`.
pub fn client_setting(global: &Global, key: &str) -> Option<String> {
    setting(&global.args, key)
}

/// The same before anything else is known.
pub fn setting(args: &GlobalArgs, key: &str) -> Option<String> {
    client_config(args)?.get(key)?.as_str().map(str::to_owned)
}

/// Returns the headers that the client's configuration adds to every request to an engine.
pub fn headers(args: &GlobalArgs) -> Vec<(String, String)> {
    let config = client_config(args).unwrap_or_default();
    let Some(headers) = config.get("HttpHeaders").and_then(serde_json::Value::as_object) else {
        return Vec::new();
    };
    let text =
        |(name, value): (&String, &serde_json::Value)| Some((name.clone(), value.as_str()?.to_owned()));
    headers.iter().filter_map(text).collect()
}

fn client_config(args: &GlobalArgs) -> Option<serde_json::Value> {
    let dir = super::context::folder(args)?;
    let bytes = crate::fs::Root::open(&dir).ok()?.read("config.json", 16 << 20).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Starts a container: its program runs when this returns. With `attach`, the connection that shows what it does;
/// none if it ran already.
///
/// # Errors
/// It can't be started, with docker's exit code for it.
pub fn start(
    container: &Container,
    attach: Option<Attach>,
    global: &Global,
) -> Result<Option<Remote>, CliError> {
    start_telling(container, attach, global, &mut |warning| output::talk(&format!("WARNING: {warning}")))
}

/// The same; `warn` is told what the container has to do without.
///
/// # Errors
/// As [`start`].
pub fn start_telling(
    container: &Container,
    attach: Option<Attach>,
    global: &Global,
    warn: &mut dyn FnMut(&str),
) -> Result<Option<Remote>, CliError> {
    let root = global.root()?;
    let root = std::path::absolute(&root)?;
    let root = root.to_str().ok_or_else(|| CliError::new("the store's path is no valid UTF-8"))?;
    let form = match std::env::var("SKIFF_LAYER_FORM").as_deref() {
        Ok("index") => "index",
        Ok("directory") => "directory",
        _ => "any",
    };
    let chown = if super::run::chown(global) == ChownPolicy::Ignore { "ignore" } else { "exact" };
    let engine = |e: ContainerError| CliError::engine(&e);
    let tag = tag(container)?;
    let arguments = [MONITOR, root, &container.config.id, form, chown, &tag];
    let mut remote = crate::containers::spawn_monitor(&arguments).map_err(engine)?;
    remote.ask(&Request::Start { attach }).map_err(engine)?;
    loop {
        match remote.reply().map_err(engine)? {
            Some(Reply::Done) => return Ok(Some(remote)),
            Some(Reply::Warning(text)) => warn(&text),
            Some(Reply::Failed(failure)) => {
                return Err(
                    CliError::new(format!("Error response from daemon: {}", failure.text)).code(failure.code)
                );
            }
            Some(other) => return Err(CliError::new(format!("the monitor said {other:?}"))),
            None => return Err(engine(ContainerError::MonitorGone)),
        }
    }
}

/// Returns the tag of the lines in a container's log.
fn tag(container: &Container) -> Result<String, CliError> {
    let Some(text) = log::tag_template(&container.config) else { return Ok(String::new()) };
    let config = &container.config;
    let fields = serde_json::json!({
        "ID": container.short_id(), "FullID": config.id, "Name": config.name, "ImageName": config.image_name,
        "ImageID": config.image.get(..12), "ImageFullID": config.image, "DaemonName": "docker",
    });
    let rendered = Template::parse(text).and_then(|template| template.render(&fields, Missing::Error));
    rendered.map_err(|error| {
        let error = error.to_string().replace("template: :", "template: log-tag:");
        let error = error.replace("executing \"\"", "executing \"log-tag\"");
        let what = "failed to create task for container: failed to initialize logging driver";
        CliError::new(format!("Error response from daemon: {what}: {error}")).code(125)
    })
}

/// Returns the exit code of a container whose monitor is gone.
///
/// # Errors
/// Its state can't be read.
pub fn exit_code(container: &Container) -> Result<u8, CliError> {
    let state = container.state().map_err(|e| CliError::engine(&e))?;
    Ok(u8::try_from(state.exit_code).unwrap_or(255))
}

/// Is a container's monitor: the words are its root, its id, the form of layers, what becomes of owners, and its lines' tag.
pub fn monitor_main(words: &[String]) -> ExitCode {
    let [root, id, form, chown, tag] = words else { return ExitCode::FAILURE };
    let form = match form.as_str() {
        "index" => Some(LayerForm::Index),
        "directory" => Some(LayerForm::Directory),
        _ => None,
    };
    let chown = if chown == "ignore" { ChownPolicy::Ignore } else { ChownPolicy::Exact };
    let store = StoreOptions { form, chown, ..StoreOptions::default() };
    let options = monitor::Options { root: PathBuf::from(root), id: id.clone(), tag: tag.clone(), store };
    // What is made in a container is for all who are in it, whatever the user keeps for themselves out here.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let Ok(starter) = take_stdin() else { return ExitCode::FAILURE };
    match monitor::main(&options, starter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::talk(&chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Takes the connection that is this process's standard input, and leaves nothing there.
fn take_stdin() -> std::io::Result<UnixStream> {
    use std::os::fd::AsFd as _;
    let stdin = std::io::stdin();
    let copy = rustix::io::fcntl_dupfd_cloexec(stdin.as_fd(), 3)?;
    let null =
        crate::fs::open_for_reading(std::path::Path::new("/dev/null")).map_err(std::io::Error::other)?;
    nix::unistd::dup2_stdin(null)?;
    Ok(UnixStream::from(copy))
}
