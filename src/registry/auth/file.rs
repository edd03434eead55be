//! Credentials in files: docker's `config.json`, podman's `auth.json`, `DOCKER_AUTH_CONFIG`.
//!
//! ```text
//! {"auths": {"host[:port][/path]": {"auth": base64(user:password)}
//!                                 | {"identitytoken": ".."} | {"registrytoken": ".."}},
//!  "credHelpers": {"host": "name"}, "credsStore": "name", ...}
//! ```
//!
//! Docker's file is rewritten whole or not at all, with mode 0600; what else
//! stands in it stays. Podman's file is only read.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Credential, CredentialError, CredentialSource, Secret, helper};
use crate::fs::{FsError, Root};

/// Docker Hub's key in credential files.
pub const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Largest file that is read.
const MAX_FILE: usize = 16 << 20;

/// Where credentials are looked for, in this order: the environment, docker's file and its helpers, podman's files.
#[derive(Debug, Clone, Default)]
pub struct CredentialFiles {
    /// The text of `DOCKER_AUTH_CONFIG`.
    pub environment: Option<Secret>,
    /// Docker's `config.json`; it need not exist.
    pub docker: Option<PathBuf>,
    /// Podman's files, first match wins; they need not exist.
    pub podman: Vec<PathBuf>,
}

/// Returns the key under which a registry's credentials are kept.
pub fn key_of(registry: &str) -> &str {
    if registry == "docker.io" { HUB_KEY } else { registry }
}

impl CredentialSource for CredentialFiles {
    fn get(&self, registry: &str, repository: Option<&str>) -> Result<Option<Credential>, CredentialError> {
        if let Some(text) = &self.environment {
            let name = Path::new("DOCKER_AUTH_CONFIG");
            let value = parse(name, text.reveal().as_bytes())?;
            if let Some(found) = in_auths(&value, registry, repository, name)? {
                return Ok(Some(found));
            }
        }
        for path in self.docker.iter().chain(&self.podman) {
            let value = Value::Object(read(path)?);
            if let Some(name) = helper_of(&value, registry)
                && let Some(found) = helper::get(name, key_of(registry))?
            {
                return Ok(Some(found));
            }
            if let Some(found) = in_auths(&value, registry, repository, path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Where a credential was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In a helper of this name.
    Helper(String),
    /// In this file, readable by whoever reads the file.
    File(PathBuf),
}

impl CredentialFiles {
    /// Keeps a credential for a registry, in its helper or else in docker's file.
    ///
    /// # Errors
    /// The helper fails or the file can't be written.
    pub fn store(&self, registry: &str, credential: &Credential) -> Result<Kept, CredentialError> {
        let path = self.docker_file()?;
        let helper = helper_of(&Value::Object(read(path)?), registry).map(str::to_owned);
        if let Some(name) = &helper {
            helper::store(name, key_of(registry), credential)?;
        }
        // Beside a helper's credential stands an empty entry, as docker leaves it.
        let entry = if helper.is_some() { Value::Object(Map::new()) } else { entry_of(credential) };
        change(path, |file| {
            let auths = file.entry("auths").or_insert_with(|| Value::Object(Map::new()));
            if !auths.is_object() {
                *auths = Value::Object(Map::new());
            }
            auths.as_object_mut().expect("it was just made one").insert(key_of(registry).to_owned(), entry);
        })?;
        Ok(helper.map_or_else(|| Kept::File(path.to_owned()), Kept::Helper))
    }

    /// Forgets the credentials of a registry; tells whether any were there.
    ///
    /// # Errors
    /// The helper fails or the file can't be written.
    pub fn erase(&self, registry: &str) -> Result<bool, CredentialError> {
        let path = self.docker_file()?;
        let file = Value::Object(read(path)?);
        if let Some(name) = helper_of(&file, registry) {
            helper::erase(name, key_of(registry))?;
        }
        let known: Vec<String> = keys(&file).filter(|key| names(key, registry)).map(str::to_owned).collect();
        if known.is_empty() {
            return Ok(helper_of(&file, registry).is_some());
        }
        change(path, |file| {
            if let Some(auths) = file.get_mut("auths").and_then(Value::as_object_mut) {
                auths.retain(|key, _| !known.contains(key));
            }
        })?;
        Ok(true)
    }

    /// Returns the user's name for a registry, if one is kept.
    pub fn username(&self, registry: &str) -> Option<String> {
        match self.get(registry, None).ok()?? {
            Credential::Basic { username, .. } | Credential::Identity { username, .. } => {
                Some(username).filter(|name| !name.is_empty())
            }
            Credential::Registry { .. } => None,
        }
    }

    fn docker_file(&self) -> Result<&Path, CredentialError> {
        self.docker.as_deref().ok_or_else(|| CredentialError::Syntax {
            path: PathBuf::from("config.json"),
            what: "there is no folder for it: set HOME or DOCKER_CONFIG".to_owned(),
        })
    }
}

pub(super) fn keys(file: &Value) -> impl Iterator<Item = &str> {
    file["auths"].as_object().into_iter().flat_map(|auths| auths.keys().map(String::as_str))
}

/// Whether a key without a repository's path names the registry.
fn names(key: &str, registry: &str) -> bool {
    key == key_of(registry) || matched(key, registry, None) == Some(0)
}

fn helper_of<'a>(file: &'a Value, registry: &str) -> Option<&'a str> {
    let own = file["credHelpers"].as_object().and_then(|helpers| {
        let found = helpers.get(key_of(registry)).or_else(|| helpers.get(registry));
        found.or_else(|| helpers.iter().find(|(key, _)| names(key, registry)).map(|(_, name)| name))
    });
    own.or_else(|| file.get("credsStore")).and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// Returns how much of the repository's path a key names; none if it is another registry's.
fn matched(key: &str, registry: &str, repository: Option<&str>) -> Option<usize> {
    let url = key.contains("://");
    let bare = key.split_once("://").map_or(key, |(_, rest)| rest).trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let host = if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    if !host.eq_ignore_ascii_case(registry) {
        return None;
    }
    // The path of a URL, such as `/v1/`, says nothing; without a scheme it is podman's namespace.
    if path.is_empty() || url || matches!(path, "v1" | "v2") {
        return Some(0);
    }
    let rest = repository?.strip_prefix(path)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(path.len())
}

fn in_auths(
    file: &Value,
    registry: &str,
    repository: Option<&str>,
    path: &Path,
) -> Result<Option<Credential>, CredentialError> {
    let Some(auths) = file["auths"].as_object() else { return Ok(None) };
    let mut best: Option<(usize, Credential)> = None;
    for (key, entry) in auths {
        let Some(length) = matched(key, registry, repository) else { continue };
        let rank = 2 * length + usize::from(key == key_of(registry));
        if best.as_ref().is_some_and(|(known, _)| *known >= rank) {
            continue;
        }
        if let Some(found) = credential_of(entry).map_err(|what| CredentialError::Syntax {
            path: path.to_owned(),
            what: format!("the entry of {key} {what}"),
        })? {
            best = Some((rank, found));
        }
    }
    Ok(best.map(|(_, credential)| credential))
}

fn credential_of(entry: &Value) -> Result<Option<Credential>, &'static str> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    let (mut username, mut password) =
        (text("username").unwrap_or_default().to_owned(), text("password").unwrap_or_default().to_owned());
    if let Some(auth) = text("auth") {
        let bytes = STANDARD.decode(auth.trim()).map_err(|_| "is not valid base64")?;
        let plain = String::from_utf8(bytes).map_err(|_| "is not valid UTF-8")?;
        let (user, secret) = plain.split_once(':').ok_or("holds no user and password")?;
        (username, password) = (user.to_owned(), secret.trim_matches('\0').to_owned());
    }
    Ok(if let Some(token) = text("identitytoken") {
        Some(Credential::Identity { username, token: Secret::new(token) })
    } else if let Some(token) = text("registrytoken") {
        Some(Credential::Registry { token: Secret::new(token) })
    } else if username.is_empty() && password.is_empty() {
        None
    } else {
        Some(Credential::Basic { username, password: Secret::new(password) })
    })
}

pub(super) fn entry_of(credential: &Credential) -> Value {
    let basic = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
    match credential {
        Credential::Basic { username, password } => {
            serde_json::json!({ "auth": basic(username, password.reveal()) })
        }
        Credential::Identity { username, token } => {
            serde_json::json!({ "auth": basic(username, ""), "identitytoken": token.reveal() })
        }
        Credential::Registry { token } => serde_json::json!({ "registrytoken": token.reveal() }),
    }
}

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Value, CredentialError> {
    // The parser's words may quote a secret: only the place is told.
    serde_json::from_slice(bytes).map_err(|e| CredentialError::Syntax {
        path: path.to_owned(),
        what: format!("no valid JSON at line {}, column {}", e.line(), e.column()),
    })
}

fn split(path: &Path) -> (PathBuf, PathBuf) {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    (parent.to_owned(), PathBuf::from(path.file_name().unwrap_or_default()))
}

/// Reads a file's object; one that is not there is empty.
pub(super) fn read(path: &Path) -> Result<Map<String, Value>, CredentialError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    match crate::fs::open_for_reading(path) {
        Ok(file) => {
            let file = file.take(MAX_FILE as u64);
            { file }.read_to_end(&mut bytes).map_err(|e| FsError::new("read", path, e))?
        }
        Err(error) if error.is_not_found() => return Ok(Map::new()),
        Err(error) => return Err(error.into()),
    };
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match parse(path, &bytes)? {
        Value::Object(map) => Ok(map),
        _ => Err(CredentialError::Syntax { path: path.to_owned(), what: "no JSON object".to_owned() }),
    }
}

/// Changes the object in a JSON file that programs share; two who do so at once take turns.
///
/// # Errors
/// The file is no object, or can't be written.
pub fn change(path: &Path, edit: impl FnOnce(&mut Map<String, Value>)) -> Result<(), CredentialError> {
    // A link, as dotfile managers make it, stays; the file behind it changes.
    let path = if crate::fs::is_there(path) { crate::fs::canonical(path)? } else { path.to_owned() };
    let (parent, name) = split(&path);
    if !crate::fs::is_directory(&parent) {
        let below = if parent.is_absolute() { Path::new("/") } else { Path::new(".") };
        let relative = parent.strip_prefix("/").unwrap_or(&parent);
        Root::open(below)?.create_dir_all(relative, 0o700)?;
    }
    let dir = Root::open(&parent)?;
    rustix::fs::flock(&dir, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|e| FsError::new("lock", &parent, e))?;
    let mut file = read(&path)?;
    edit(&mut file);
    replace(&dir, &name, &pretty(&Value::Object(file)))
}

fn replace(dir: &Root, name: &Path, bytes: &[u8]) -> Result<(), CredentialError> {
    use std::io::Write as _;
    let temporary = PathBuf::from(format!(".{}.{}.tmp", name.display(), std::process::id()));
    dir.remove_tree(&temporary)?;
    let mut file = dir.create_file(&temporary, 0o600)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let result = written
        .map_err(|e| FsError::new("write", dir.name().join(name), e))
        .and_then(|()| dir.rename(&temporary, name));
    if result.is_err() {
        let _ = dir.remove_file(&temporary);
    }
    Ok(result?)
}

fn pretty(value: &Value) -> Vec<u8> {
    use serde::Serialize as _;
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, format);
    value.serialize(&mut serializer).expect("JSON serialises");
    bytes
}

#[cfg(test)]
mod tests;
