//! `--use-api-socket`: a container that speaks to the engine, with its user's credentials for registries.
//!
//! There is no engine but who runs a service (`system service`): its socket is shown, which has to be there.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::super::error::CliError;
use super::super::global::Global;
use super::super::registries::credentials;
use super::super::service::default_socket;
use super::args::ContainerArgs;
use super::mount_flags::{Source, Wanted};
use crate::containers::{CREDENTIALS, Config};
use crate::fs::Root;
use crate::run::Propagation;

/// Where an engine's socket is, for whoever asks it, and in containers.
pub const SOCKET: &str = "/var/run/docker.sock";
/// Where the credentials are in the container.
pub const FOLDER: &str = "/run/secrets/docker";
/// The variable that leads there.
pub const VARIABLE: &str = "DOCKER_CONFIG";

/// Returns the credentials for the container: none if the flag is not given, nothing is known, or the user says where
/// the container's are.
///
/// # Errors
/// A file of credentials means nothing.
pub fn secrets(
    args: &ContainerArgs,
    env: &[String],
    global: &Global,
) -> Result<Option<Map<String, Value>>, CliError> {
    let named = |text: &String| text.split('=').next() == Some(VARIABLE);
    if !args.kept.uses_api_socket() || env.iter().any(named) {
        return Ok(None);
    }
    let all = credentials(global).all();
    let all = all.map_err(|e| CliError::new(format!("resolving credentials failed: {e}")))?;
    Ok(Some(all).filter(|all| !all.is_empty()))
}

/// Returns the text of the file with the credentials.
pub fn file(secrets: Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec_pretty(&json!({ "auths": secrets })).expect("JSON serialises")
}

/// Returns the mount as docker shows it.
pub fn shown(source: &str) -> Value {
    json!({ "Type": "bind", "Source": source, "Target": SOCKET, "BindOptions": {} })
}

/// Adds the socket to the mounts, and the variable to the environment if there are credentials.
///
/// # Errors
/// Nobody listens there.
pub fn add(
    config: &mut Config,
    wanted: &mut Vec<Wanted>,
    secrets: bool,
    global: &Global,
) -> Result<(), CliError> {
    let path = default_socket(global)?;
    let text = path.display().to_string();
    if std::os::unix::net::UnixStream::connect(&path).is_err() {
        return Err(CliError::new(format!(
            "Error response from daemon: nobody listens at {text} for --use-api-socket: there is no daemon here, start \
             a service (skiff system service)"
        )));
    }
    let source = Source::Bind { path: text.clone(), create: false, recursive: true, writable_below: false };
    let target = PathBuf::from(SOCKET);
    if wanted.iter().any(|other| other.target == target) {
        return Err(CliError::new(format!("Error response from daemon: Duplicate mount point: {SOCKET}")));
    }
    wanted.push(Wanted { source, target, read_only: false, propagation: Propagation::Private });
    config.shown_host.change(|host| match &mut host["Mounts"] {
        Value::Array(list) => list.push(shown(&text)),
        other => *other = json!([shown(&text)]),
    });
    if secrets {
        config.credentials = true;
        config.env.push((VARIABLE.to_owned(), FOLDER.to_owned()));
        config.shown_config.change(|shown| {
            if let Value::Array(env) = &mut shown["Env"] {
                env.push(json!(format!("{VARIABLE}={FOLDER}")));
            }
        });
    }
    Ok(())
}

/// Writes the credentials into the directory of a container that is being made.
///
/// # Errors
/// They can't be written.
pub fn inject(dir: &Root, secrets: Map<String, Value>) -> Result<(), CliError> {
    let failed =
        |why: String| CliError::new(format!("injecting docker config.json into container failed: {why}"));
    let mut made = dir.create_file(CREDENTIALS.0, 0o600).map_err(|e| failed(e.to_string()))?;
    made.write_all(&file(secrets)).map_err(|e| failed(e.to_string()))
}
