//! `run` and `create`: from flags to the body of `POST /containers/create`, and with the container in the foreground.

mod api_socket;
mod body;
mod files;
pub(super) mod network;
mod resources;

use std::process::ExitCode;

use serde_json::json;

use super::attach::{Ending, connect, hand_on, warnings};
use super::session::Session;
use super::{Engine, Make, life, pull, text};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::run::args::ContainerArgs;
use crate::cli::run::attach::check;
use crate::cli::run::session::{DetachKeys, End};
use crate::cli::run::signals::Proxy;
use crate::cli::run::{Attached, CreateArgs, IdFile, RunArgs, attached, check_detached, modes, said_by};
use crate::engine::client::{ClientError, Request, segment};
use crate::image::Reference;

pub use files::mount;
pub use resources::resources;

/// Runs `create`.
pub fn create(args: &CreateArgs, make: Make<'_, '_>) -> Result<ExitCode, CliError> {
    args.container.refused.only_windows()?;
    let engine = make()?;
    let named = |error: CliError| match error.text.starts_with("Error response from daemon") {
        // What the engine refuses comes without the client's help, unlike for `run`.
        true => CliError { code: 1, ..error },
        false => said_by(error, "create", engine.global),
    };
    let streams = attached(&args.container.process).map_err(named)?;
    let made = Made::new(&args.container, &engine, streams).map_err(named)?;
    made.note.keep();
    output::line(&made.id)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `run`.
pub fn run(args: &RunArgs, make: Make<'_, '_>) -> Result<ExitCode, CliError> {
    args.container.refused.only_windows()?;
    let process = &args.container.process;
    check_detached(args)?;
    if !args.detach {
        check(process)?;
    }
    // Before any other thread; until they are handed on, signals do what they always do.
    let foreground = !args.detach && (process.tty || args.sig_proxy != Some(false));
    let proxy = if foreground { Some(Proxy::start()?) } else { None };
    let engine = make()?;
    let done = run_container(args, &engine, proxy.as_ref());
    done.map(ExitCode::from).map_err(|error| said_by(error, "run", engine.global))
}

fn run_container(args: &RunArgs, engine: &Engine<'_>, proxy: Option<&Proxy>) -> Result<u8, CliError> {
    let process = &args.container.process;
    let keys = DetachKeys::new(args.detach_keys.as_deref(), engine.global)?;
    let streams = match args.detach {
        true => Attached { stdin: false, stdout: false, stderr: false },
        false => attached(process)?,
    };
    let made = Made::new(&args.container, engine, streams)?;
    let id = made.id.as_str();
    if args.detach {
        begin(engine, id)?;
        made.note.keep();
        output::line(id)?;
        return Ok(0);
    }
    let connection = connect(engine, id, streams, args.detach_keys.as_deref())?;
    let removed = args.container.life.rm;
    let ending = Ending::ask(engine, id, if removed { "removed" } else { "next-exit" })?;
    proxy.inspect(|proxy| proxy.hold());
    if let Err(error) = begin(engine, id) {
        proxy.inspect(|proxy| proxy.release());
        if removed {
            // The engine takes it away; the command ends when it is gone.
            let _ = ending.code(engine, id);
        }
        return Err(error);
    }
    made.note.keep();
    if let Some(proxy) = proxy {
        let end = if process.tty && streams.stdin { End::Terminal } else { End::Input };
        hand_on(engine, id, process.tty, end, proxy);
    }
    let session = Session { connection, tty: process.tty, stdin: streams.stdin, keys };
    match session.run() {
        Ok(true) => Ok(0),
        Ok(false) => ending.code(engine, id),
        // The container has begun: how it was to be made is not what is wrong.
        Err(error) => {
            output::talk(&error.text);
            Ok(1)
        }
    }
}

/// Starts a container; a failure has the code that docker's client makes of its text.
fn begin(engine: &Engine<'_>, id: &str) -> Result<(), CliError> {
    engine.send(Request::post(life::path(id, "/start")?)).map(drop).map_err(|error| {
        let code = start_code(&error.text);
        error.code(code)
    })
}

/// The exit code for a start that failed.
fn start_code(text: &str) -> u8 {
    let says = |part: &str| text.contains(part);
    if says("executable file not found") || says("no such file or directory") {
        127
    } else if says("permission denied") || says("is a directory") {
        126
    } else {
        125
    }
}

/// A container that was made.
struct Made<'a> {
    id: String,
    note: IdFile<'a>,
}

impl<'a> Made<'a> {
    fn new(args: &'a ContainerArgs, engine: &Engine<'_>, streams: Attached) -> Result<Self, CliError> {
        args.refused.check()?;
        modes::check_client(&args.security)?;
        args.kept.check_client()?;
        let policy = args.process.pull.as_deref().unwrap_or("missing");
        if !["always", "missing", "never"].contains(&policy) {
            return Err(CliError::new(format!(
                "invalid pull option: '{policy}': must be one of \"always\", \"missing\" or \"never\""
            )));
        }
        IdFile::check(args)?;
        let mut body = body::body(args, streams, engine.client.version()?)?;
        let secrets = api_socket::add(args, &mut body, engine)?;
        let platform = args.process.platform.clone().filter(|text| !text.is_empty());
        let ask = || {
            let request = Request::post("/containers/create")
                .maybe("name", args.process.name.clone())
                .maybe("platform", platform.clone());
            engine.client.document(request.json(&body))
        };
        let fetch = |name: &str| -> Result<(), CliError> {
            let reference = Reference::parse(name)?.or_latest();
            pull::pull_one(engine, &reference, platform.as_deref(), args.process.quiet, pull::To::Stderr)
        };
        let mut images = vec![args.image.clone()];
        images.extend(mounted_images(args)?);
        if policy == "always" {
            images.drain(..).try_for_each(|name| fetch(&name))?;
        }
        let made = loop {
            match ask() {
                Err(ClientError::Refused { status: 404, message })
                    if policy == "missing" && !images.is_empty() && is_missing(&message) =>
                {
                    // Each is pulled once.
                    let name = images.swap_remove(which(&message, &images));
                    if !args.process.quiet {
                        let reference = Reference::parse(&name)?.or_latest();
                        output::talk(&format!("Unable to find image '{}' locally", reference.familiar()));
                    }
                    fetch(&name)?;
                }
                other => break other?,
            }
        };
        warnings(&made);
        let id = text(&made["Id"]).to_owned();
        let note = IdFile::write(args, &id)?;
        if let Some(secrets) = secrets {
            api_socket::inject(engine, &id, secrets)?;
        }
        if !engine.client.speaks("1.44")? {
            // Older engines take one network at a time.
            for (name, endpoint) in network::further(args)? {
                let path = format!("/networks/{}/connect", segment(&name));
                let body = json!({ "Container": id, "EndpointConfig": endpoint });
                engine.send(Request::post(path).json(&body))?.whole()?;
            }
        }
        Ok(Self { id, note })
    }
}

/// Whether the image is what was not found; a network or a volume may be it as well.
fn is_missing(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("no such image") || message.contains("does not match the specified platform")
}

/// Returns the names of the images that are mounted.
fn mounted_images(args: &ContainerArgs) -> Result<Vec<String>, CliError> {
    let mut names = Vec::new();
    for text in &args.files.mount {
        let mount = files::mount(text)?;
        if mount["Type"] == "image" {
            names.push(super::text(&mount["Source"]).to_owned());
        }
    }
    Ok(names)
}

/// Returns the place of the image that a refusal is about; where it names none of them, the first.
fn which(message: &str, images: &[String]) -> usize {
    let whole = |name: &str| Reference::parse(name).ok().map(|name| name.or_latest().familiar());
    let named = message.rsplit(": ").next().and_then(whole);
    images.iter().position(|name| named.is_some() && whole(name) == named).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_starts() {
        for (text, code) in [
            ("exec: \"x\": executable file not found in $PATH: unknown", 127),
            ("exec /x: no such file or directory", 127),
            ("exec: \"/etc\": permission denied", 126),
            ("exec: \"/etc\": is a directory: unknown", 126),
            ("port is already allocated", 125),
        ] {
            assert_eq!(start_code(text), code, "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_image() {
        let images = ["busybox", "busy", "tools:1"].map(str::to_owned);
        for (message, expected) in [
            ("No such image: busybox:latest", 0),
            ("No such image: busy:latest", 1),
            ("no such image: tools:1: No such image: tools:1", 2),
            ("image with reference x does not match the specified platform", 0),
        ] {
            assert_eq!(which(message, &images), expected, "{message}");
        }
    }

    #[test]
    fn only_a_missing_image_is_pulled() {
        assert!(is_missing("No such image: busybox:latest"));
        assert!(!is_missing("network x not found"));
    }
}
