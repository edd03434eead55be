//! `--use-api-socket` of a container on an engine: the engine's own socket, and this user's credentials.

use std::io::Cursor;

use serde_json::{Map, Value, json};

use super::super::{Engine, life};
use crate::cli::error::CliError;
use crate::cli::run::api_socket::{FOLDER, SOCKET, VARIABLE, file, secrets, shown};
use crate::cli::run::args::ContainerArgs;
use crate::engine::client::Request;
use crate::layers::{Entry, EntryKind, Metadata, Mtime, TarWriter};

/// Adds the socket and the way to the credentials to the body, and returns those.
///
/// # Errors
/// A file of credentials means nothing.
pub fn add(
    args: &ContainerArgs,
    body: &mut Value,
    engine: &Engine<'_>,
) -> Result<Option<Map<String, Value>>, CliError> {
    if !args.kept.uses_api_socket() {
        return Ok(None);
    }
    match &mut body["HostConfig"]["Mounts"] {
        Value::Array(list) => list.push(shown(SOCKET)),
        other => *other = json!([shown(SOCKET)]),
    }
    let env: Vec<String> = body["Env"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect();
    let found = secrets(args, &env, engine.global)?;
    if let (Some(_), Value::Array(env)) = (&found, &mut body["Env"]) {
        env.push(json!(format!("{VARIABLE}={FOLDER}")));
    }
    Ok(found)
}

/// Sends the credentials into a container that was just made.
///
/// # Errors
/// The engine does not take them.
pub fn inject(engine: &Engine<'_>, id: &str, secrets: Map<String, Value>) -> Result<(), CliError> {
    let bytes = file(secrets);
    let path = format!("{}/config.json", FOLDER.trim_start_matches('/')).into_bytes();
    let mtime = Mtime { seconds: 0, nanos: 0 };
    let meta = Metadata { mode: 0o600, uid: 0, gid: 0, mtime, xattrs: Vec::new() };
    let mut tar = TarWriter::new(Vec::new());
    let entry = Entry { path, kind: EntryKind::File { size: bytes.len() as u64 }, meta };
    let failed =
        |why: String| CliError::new(format!("injecting docker config.json into container failed: {why}"));
    tar.append_bytes(&entry, &bytes).map_err(|e| failed(e.to_string()))?;
    let whole = tar.finish().map_err(|e| failed(e.to_string()))?;
    let request = Request::put(life::path(id, "/archive")?)
        .query("path", "/".to_owned())
        .query("noOverwriteDirNonDir", "true")
        .stream(Box::new(Cursor::new(whole)), "application/x-tar");
    let sent = engine.send(request).and_then(|mut answer| Ok(answer.whole()?));
    sent.map(drop).map_err(|error| failed(error.text))
}
