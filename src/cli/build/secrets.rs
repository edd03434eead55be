//! `--secret` and `--ssh`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::error::CliError;
use crate::builder::{Key, KeyAgent, Secret, SecretValue, SshAgent};
use crate::causes::chain;
use crate::fs::Root;

/// Most bytes of a private key.
const MAX_KEY: u64 = 100 << 10;

/// Returns the secrets by id.
pub fn secrets(given: &[String]) -> Result<BTreeMap<String, Secret>, CliError> {
    let mut secrets = BTreeMap::new();
    for text in given {
        let bad = |why: String| CliError::new(format!("ERROR: {why}"));
        let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
        for field in text.split(',') {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| bad(format!("invalid field '{field}' must be a key=value pair")))?;
            match key.trim().to_lowercase().as_str() {
                "id" => id = Some(value.to_owned()),
                "src" | "source" => file = Some(PathBuf::from(value)),
                "env" => variable = Some(value.to_owned()),
                "type" if value == "file" || value == "env" => kind = Some(value.to_owned()),
                "type" => return Err(bad(format!("unsupported secret type {value:?}: use file or env"))),
                key => return Err(bad(format!("unexpected key '{key}' in '{field}'"))),
            }
        }
        let id = id
            .filter(|id| !id.is_empty())
            .ok_or_else(|| bad(format!("invalid secret {text:?}: id is missing")))?;
        if kind.as_deref() == Some("env") && variable.is_none() {
            variable = file.take().map(|name| name.display().to_string());
        }
        let variable = variable.or_else(|| {
            // Without a source, a variable of the secret's name serves, else a file of that name.
            (file.is_none() && kind.as_deref() != Some("file") && std::env::var_os(&id).is_some())
                .then(|| id.clone())
        });
        let value = match (variable, file) {
            (Some(name), _) => {
                let value = std::env::var_os(&name).unwrap_or_default();
                SecretValue::Bytes(value.as_encoded_bytes().to_vec())
            }
            (None, file) => {
                let path = file.unwrap_or_else(|| PathBuf::from(&id));
                if !path.exists() {
                    let path = path.display();
                    return Err(bad(format!(
                        "failed to build: failed to stat {path}: stat {path}: no such file or directory"
                    )));
                }
                SecretValue::File(absolute(&path)?)
            }
        };
        secrets.insert(id, Secret { value });
    }
    Ok(secrets)
}

/// The builder knows no working directory.
fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    Ok(std::env::current_dir()?.join(path))
}

/// Returns a secret's bytes.
pub fn secret_bytes(secret: &Secret) -> Option<Vec<u8>> {
    match &secret.value {
        SecretValue::Bytes(bytes) => Some(bytes.clone()),
        SecretValue::File(path) => {
            use std::io::Read as _;
            let mut bytes = Vec::new();
            crate::fs::open_for_reading(path).ok()?.take(500 << 10).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        }
    }
}

/// The agents of a build, with those that this process itself is as long as they live.
pub struct Agents {
    /// The agents' sockets by id.
    pub by_id: BTreeMap<String, SshAgent>,
    _own: Vec<KeyAgent>,
}

/// Reads `default|ID[=SOCKET|KEY[,KEY]]`; without a value the agent of the environment. Sockets of
/// this process go into `dir`.
pub fn ssh(given: &[String], dir: &Root) -> Result<Agents, CliError> {
    let (mut by_id, mut own) = (BTreeMap::new(), Vec::new());
    for text in given {
        let (id, paths) = text.split_once('=').unwrap_or((text, ""));
        let bad = |why: String| {
            CliError::new(format!(
                "ERROR: failed to build: failed to convert agent config for ID: {id:?}: {why}"
            ))
        };
        if id.is_empty() {
            return Err(bad("id is missing".to_owned()));
        }
        let paths: Vec<PathBuf> =
            paths.split(',').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
        let socket = match paths.as_slice() {
            [] => std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty()).map(PathBuf::from).ok_or_else(
                || bad("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set".to_owned()),
            )?,
            [socket] if crate::fs::is_special(socket) => absolute(socket)?,
            keys => {
                if keys.iter().any(|path| crate::fs::is_special(path)) {
                    return Err(bad("a socket stands alone: give it an id of its own".to_owned()));
                }
                let keys = keys.iter().map(|path| key(path).map_err(bad));
                let keys = keys.collect::<Result<Vec<_>, _>>()?;
                let agent = KeyAgent::start(dir, &format!("agent.{}", own.len()), keys)?;
                let path = agent.path().to_owned();
                own.push(agent);
                path
            }
        };
        by_id.insert(id.to_owned(), SshAgent { socket });
    }
    Ok(Agents { by_id, _own: own })
}

/// Reads a private key; no error holds any of its text.
fn key(path: &Path) -> Result<Key, String> {
    use std::io::Read as _;
    let fail = |why: &dyn std::error::Error| format!("{}: {}", path.display(), chain(why));
    let mut text = String::new();
    let file = crate::fs::open_for_reading(path).map_err(|e| fail(&e))?;
    file.take(MAX_KEY).read_to_string(&mut text).map_err(|e| fail(&e))?;
    Key::read(&text, &path.display().to_string()).map_err(|e| fail(&e))
}
