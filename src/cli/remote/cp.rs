//! `cp`: files to and from a container as tars.

use std::io::IsTerminal as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Engine, life, text};
use crate::causes::chain;
use crate::cli::container::cp::{CpArgs, Side, Source, TemporaryFolder, check, local_place, side};
use crate::cli::error::CliError;
use crate::cli::{files, human, output};
use crate::engine::client::{ClientError, Request, Response};
use crate::fs::{Follow, Root};
use crate::layers::{ChownPolicy, UnpackOptions, unpack};

/// Go's bit of directories.
const DIRECTORY: u64 = 1 << 31;
/// Go's bit of symbolic links.
const LINK: u64 = 1 << 27;

/// Runs the command.
pub fn cp(args: &CpArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    check(args)?;
    let copied = match (side(&args.source), side(&args.target)) {
        (Side::Container(..), Side::Container(..)) => {
            return Err(CliError::new("copying between containers is not supported"));
        }
        (Side::Container(name, path), to) => match from(args, engine, name, path, &to)? {
            Some(bytes) => bytes,
            None => return Ok(()),
        },
        (Side::Local(local), Side::Container(name, path)) => {
            let source = local_source(local, args.follow_link)?;
            into(args, engine, source, name, path)?
        }
        (Side::Stream, Side::Container(name, path)) => {
            let found = stat(engine, name, path)?;
            if !found.is_some_and(|found| found.is(DIRECTORY)) {
                return Err(CliError::new(format!("destination \"{name}:{path}\" must be a directory")));
            }
            put(args, engine, name, path, files::open_input(None)?)?;
            return Ok(());
        }
        _ => return Err(CliError::new("must specify at least one container source")),
    };
    if !args.quiet && std::io::stderr().is_terminal() {
        output::talk(&format!("Successfully copied {} to {}", human::size(copied), args.target));
    }
    Ok(())
}

/// What an engine says of a path.
struct Found(Value);

impl Found {
    fn of(response: &Response) -> Option<Self> {
        let header = response.header("x-docker-container-path-stat")?;
        let bytes = STANDARD.decode(header).ok()?;
        serde_json::from_slice(&bytes).ok().map(Self)
    }

    fn is(&self, bit: u64) -> bool {
        self.0["mode"].as_u64().unwrap_or(0) & bit != 0
    }
}

/// Asks for a path as the container has it; none if it is not there.
fn stat(engine: &Engine<'_>, name: &str, path: &str) -> Result<Option<Found>, CliError> {
    let request = Request::head(life::path(name, "/archive")?).query("path", absolute(path));
    match engine.client.send(request) {
        Ok(response) => {
            let found = Found::of(&response);
            Ok(found)
        }
        Err(ClientError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same with a link at its end followed; the path that it leads to.
fn resolved(engine: &Engine<'_>, name: &str, path: &str) -> Result<(String, Option<Found>), CliError> {
    let found = stat(engine, name, path)?;
    match found.as_ref().filter(|found| found.is(LINK)).map(|found| text(&found.0["linkTarget"]).to_owned()) {
        Some(target) if !target.is_empty() => {
            let whole = if target.starts_with('/') { target } else { format!("{}/{target}", parent(path).0) };
            let found = stat(engine, name, &whole)?;
            Ok((whole, found))
        }
        _ => Ok((absolute(path), found)),
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

/// The folder of a path and the name in it.
fn parent(path: &str) -> (String, String) {
    let whole = absolute(path);
    let (folder, name) = whole.trim_end_matches('/').rsplit_once('/').unwrap_or(("", ""));
    (if folder.is_empty() { "/".to_owned() } else { folder.to_owned() }, name.to_owned())
}

/// Copies out of a container; none where it went to standard output.
fn from(
    args: &CpArgs,
    engine: &Engine<'_>,
    name: &str,
    path: &str,
    to: &Side<'_>,
) -> Result<Option<u64>, CliError> {
    let contents = path.ends_with("/.") || path == ".";
    let whole = if args.follow_link { resolved(engine, name, path)?.0 } else { absolute(path) };
    let mut response = engine.send(Request::get(life::path(name, "/archive")?).query("path", whole))?;
    let Side::Local(to) = to else {
        if std::io::stdout().is_terminal() {
            return Err(CliError::new("cowardly refusing to write a tar archive to a terminal"));
        }
        let copied = std::io::copy(&mut response, &mut std::io::stdout().lock());
        copied.map_err(|error| output::unread(error.into()))?;
        return Ok(None);
    };
    // The names in the tar are the source's; by which rules it gets its own is found out when it is here.
    let folder = TemporaryFolder::new()?;
    let root = folder.root()?;
    let chown = if args.archive { ChownPolicy::Exact } else { ChownPolicy::Ignore };
    let options = UnpackOptions::plain(chown);
    unpack(&mut response, &root, &options).map_err(|e| CliError::new(chain(&e)))?;
    let only = root.entries(".")?;
    let inner = match only.as_slice() {
        [one] if !contents => String::from_utf8_lossy(&one.name).into_owned(),
        [one] if Found::of(&response).is_some_and(|found| text(&found.0["name"]).as_bytes() == one.name) => {
            format!("{}/.", String::from_utf8_lossy(&one.name))
        }
        _ => ".".to_owned(),
    };
    let missing = || CliError::new(format!("the engine sent nothing of {path}"));
    let mut source = Source::find(&root, &inner, Follow::No)?.ok_or_else(missing)?;
    if args.follow_link && !contents {
        // It is known by the name of the link.
        source.name = parent(path).1.into_bytes();
    }
    let place = local_place(to, &source)?;
    source.copy(&place, chown).map(Some)
}

/// What is copied from this machine.
fn local_source(local: &str, follow: bool) -> Result<Source, CliError> {
    let root = Root::open("/".as_ref())?;
    let whole = std::path::absolute(Path::new(local))?;
    let text = match local.ends_with("/.") || local.ends_with('/') || local == "." {
        true => format!("{}/{}", whole.display(), if local.ends_with('.') { "." } else { "" }),
        false => whole.display().to_string(),
    };
    let follow = if follow { Follow::Yes } else { Follow::No };
    let missing = || CliError::new(format!("lstat {local}: no such file or directory"));
    Source::find(&root, &text, follow)?.ok_or_else(missing)
}

/// Copies into a container, by docker's rules for where it goes.
fn into(args: &CpArgs, engine: &Engine<'_>, source: Source, name: &str, path: &str) -> Result<u64, CliError> {
    let (whole, found) = resolved(engine, name, path)?;
    let directory = source.stat.is_dir();
    let content = if directory && source.contents { Vec::new() } else { source.name.clone() };
    let (folder, inner) = match found {
        Some(found) if found.is(DIRECTORY) => (whole, content),
        Some(_) if directory => return Err(CliError::new("cannot copy directory")),
        Some(_) if path.ends_with('/') => return Err(CliError::new("not a directory")),
        None if path.ends_with('/') && !directory => return Err(CliError::new("no such directory")),
        _ => {
            let (folder, name) = parent(&whole);
            (folder, name.into_bytes())
        }
    };
    let (reader, writer) = std::io::pipe()?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| source.write(writer, &inner));
        let sent = put(args, engine, name, &folder, Box::new(reader));
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent?;
        written
    })
}

fn put(
    args: &CpArgs,
    engine: &Engine<'_>,
    name: &str,
    folder: &str,
    tar: Box<dyn std::io::Read + Send>,
) -> Result<(), CliError> {
    let request = Request::put(life::path(name, "/archive")?)
        .query("path", absolute(folder))
        .query("noOverwriteDirNonDir", "true")
        .flag("copyUIDGID", args.archive)
        .stream(tar, "application/x-tar");
    engine.send(request)?.whole()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_parents() {
        for (path, folder, name) in
            [("/a/b", "/a", "b"), ("a", "/", "a"), ("/a/b/", "/a", "b"), ("/", "/", ""), ("x/y", "/x", "y")]
        {
            assert_eq!(parent(path), (folder.to_owned(), name.to_owned()), "{path}");
        }
    }
}
