//! `attach` and `start -a`

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;

use super::session::{Session, Signals, tell_size};
use super::{Engine, Make, life, list, text};
use crate::cli::container::{AttachArgs, StartArgs};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::run::Attached;
use crate::cli::run::attach::check_terminal;
use crate::cli::run::session::{DetachKeys, End, Sender};
use crate::cli::run::signals::Proxy;
use crate::engine::client::{Connection, Request, Response};

/// Connects to a container's streams.
///
/// # Errors
/// The engine refuses it.
pub fn connect(
    engine: &Engine<'_>,
    id: &str,
    streams: Attached,
    keys: Option<&str>,
) -> Result<Connection, CliError> {
    let request = Request::post(life::path(id, "/attach")?)
        .query("stream", "1")
        .flag("stdin", streams.stdin)
        .flag("stdout", streams.stdout)
        .flag("stderr", streams.stderr)
        .maybe("detachKeys", keys);
    Ok(engine.client.hijack(request)?)
}

/// The code of a container that ends, asked for before it starts.
pub struct Ending(Option<Response>);

impl Ending {
    /// Asks; engines before 1.30 answer only at the end, and are asked then.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn ask(engine: &Engine<'_>, id: &str, condition: &str) -> Result<Self, CliError> {
        if !engine.client.speaks("1.30")? {
            return Ok(Self(None));
        }
        let request = Request::post(life::path(id, "/wait")?).query("condition", condition);
        Ok(Self(Some(engine.send(request)?)))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The engine is gone, or says that the container could not be waited for.
    pub fn code(self, engine: &Engine<'_>, id: &str) -> Result<u8, CliError> {
        let ended = match self.0 {
            Some(response) => response.json()?,
            None => engine.document(Request::post(life::path(id, "/wait")?))?,
        };
        let failure = text(&ended["Error"]["Message"]);
        if !failure.is_empty() {
            return Err(CliError::new(failure).code(125));
        }
        Ok(u8::try_from(ended["StatusCode"].as_i64().unwrap_or(125) & 0xff).unwrap_or(255))
    }
}

/// Hands this process's signals and its window's size on to a container.
pub fn hand_on(engine: &Engine<'_>, id: &str, tty: bool, end: End, proxy: &Proxy) {
    let signals = Signals { client: Arc::clone(&engine.client), id: id.to_owned() };
    proxy.begin(Sender::new(Arc::new(signals)), tty, end);
}

/// Runs `attach`.
pub fn attach(args: &AttachArgs, make: Make<'_, '_>) -> Result<ExitCode, CliError> {
    // Before any other thread; until they are handed on, signals do what they always do.
    let proxy = Proxy::start()?;
    let engine = make()?;
    let keys = DetachKeys::new(args.detach_keys.as_deref(), engine.global)?;
    let container = engine.get(&life::path(&args.container, "/json")?)?;
    let refuse = |what: &str| Err(CliError::new(format!("You cannot attach to a {what}")));
    let state = &container["State"];
    if state["Running"] != true {
        return refuse("stopped container, start it first");
    }
    if state["Paused"] == true {
        return refuse("paused container, unpause it first");
    }
    if state["Restarting"] == true {
        return refuse("restarting container, wait until it is running");
    }
    let tty = container["Config"]["Tty"] == true;
    let stdin = !args.no_stdin && container["Config"]["OpenStdin"] == true;
    check_terminal(tty, stdin)?;
    let id = text(&container["Id"]).to_owned();
    let ending = Ending::ask(&engine, &id, "")?;
    let streams = Attached { stdin, stdout: true, stderr: true };
    let connection = connect(&engine, &id, streams, args.detach_keys.as_deref())?;
    if tty && let Some((rows, columns)) = console::Term::stdout().size_checked() {
        // Only a change makes the program at the other end draw again.
        tell_size(&engine.client, &life::path(&id, "/resize")?, (rows.saturating_add(1), columns));
    }
    if tty || args.sig_proxy != Some(false) {
        let end = if tty && stdin { End::Attachment } else { End::Input };
        hand_on(&engine, &id, tty, end, &proxy);
    }
    if (Session { connection, tty, stdin, keys }).run()? {
        output::talk("read escape sequence");
        return Ok(ExitCode::from(1));
    }
    ending.code(&engine, &id).map(ExitCode::from)
}

/// Runs `start`.
pub fn start(args: &StartArgs, make: Make<'_, '_>) -> Result<ExitCode, CliError> {
    if !args.attach && !args.interactive {
        return life::start(&args.names, &make()?);
    }
    let [name] = args.names.as_slice() else {
        return Err(CliError::new("you cannot start and attach multiple containers at once"));
    };
    let proxy = Proxy::start()?;
    let engine = make()?;
    let keys = DetachKeys::new(args.detach_keys.as_deref(), engine.global)?;
    let container = engine.get(&life::path(name, "/json")?)?;
    let tty = container["Config"]["Tty"] == true;
    let stdin = args.interactive && container["Config"]["OpenStdin"] == true;
    let id = text(&container["Id"]).to_owned();
    let streams = Attached { stdin, stdout: true, stderr: true };
    let connection = connect(&engine, &id, streams, args.detach_keys.as_deref())?;
    let ending = Ending::ask(&engine, &id, condition(&container))?;
    proxy.hold();
    if let Err(error) = engine.send(Request::post(life::path(&id, "/start")?)) {
        proxy.release();
        let text = format!("{}\nError: failed to start containers: {name}", error.text);
        return Err(CliError { text, ..error });
    }
    hand_on(&engine, &id, tty, if tty && stdin { End::Terminal } else { End::Input }, &proxy);
    if (Session { connection, tty, stdin, keys }).run()? {
        return Ok(ExitCode::SUCCESS);
    }
    ending.code(&engine, &id).map(ExitCode::from)
}

/// What is waited for before a container starts.
fn condition(container: &Value) -> &'static str {
    if container["HostConfig"]["AutoRemove"] == true { "removed" } else { "next-exit" }
}

/// Says what the engine warned of.
pub fn warnings(said: &Value) {
    for warning in list(&said["Warnings"]) {
        output::talk(&format!("WARNING: {}", text(warning)));
    }
}
