//! `--secret` and `--ssh`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::error::CliError;
use crate::builder::{Secret, SecretValue, SshAgent};

/// Returns the secrets by id.
pub fn secrets(given: &[String]) -> Result<BTreeMap<String, Secret>, CliError> {
    let mut secrets = BTreeMap::new();
    for text in given {
        let bad = |why: &str| CliError::new(format!("ERROR: invalid secret {text:?}: {why}"));
        let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
        for field in text.split(',') {
            let (key, value) = field.split_once('=').ok_or_else(|| bad("expected key=value"))?;
            match key.trim().to_lowercase().as_str() {
                "id" => id = Some(value.to_owned()),
                "src" | "source" => file = Some(PathBuf::from(value)),
                "env" => variable = Some(value.to_owned()),
                "type" if value == "file" || value == "env" => kind = Some(value.to_owned()),
                "type" => return Err(bad("type must be file or env")),
                key => return Err(bad(&format!("unexpected key '{key}'"))),
            }
        }
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| bad("id is missing"))?;
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
                    return Err(bad(&format!(
                        "failed to stat {}: no such file or directory",
                        path.display()
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

/// Returns the agents by id: `ID[=SOCKET]`; without a socket the agent of the environment.
pub fn ssh(given: &[String]) -> Result<BTreeMap<String, SshAgent>, CliError> {
    let mut agents = BTreeMap::new();
    for text in given {
        let (id, socket) = text.split_once('=').map_or((text.as_str(), None), |(id, s)| (id, Some(s)));
        let socket = match socket {
            Some(socket) => PathBuf::from(socket),
            None => std::env::var_os("SSH_AUTH_SOCK")
                .filter(|s| !s.is_empty())
                .map(PathBuf::from)
                .ok_or_else(|| {
                    CliError::new(format!(
                        "ERROR: invalid empty ssh agent socket for {id:?}: make sure SSH_AUTH_SOCK is set"
                    ))
                })?,
        };
        if !crate::fs::is_special(&socket) {
            return Err(CliError::new(format!(
                "ERROR: --ssh {text}: {} is no socket; keys are not read in this version, add them to an agent",
                socket.display()
            )));
        }
        agents.insert(id.to_owned(), SshAgent { socket });
    }
    Ok(agents)
}
