//! Credential helpers: `docker-credential-NAME get|store|erase|list`, secrets on pipes only.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{Credential, CredentialError, Secret};

/// Largest answer of a helper.
const MAX_ANSWER: u64 = 1 << 20;
/// What helpers say when they have nothing.
const NOTHING: &str = "credentials not found in native keychain";
/// The user name that marks an identity token.
const TOKEN_USER: &str = "<token>";

/// Asks a helper for a registry's credential.
///
/// # Errors
/// The helper does not start, fails, or answers nonsense.
pub fn get(helper: &str, key: &str) -> Result<Option<Credential>, CredentialError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        #[serde(default)]
        username: String,
        #[serde(default)]
        secret: String,
    }
    let Some(bytes) = run(helper, "get", key)? else { return Ok(None) };
    let answer: Answer =
        serde_json::from_slice(&bytes).map_err(|_| fail(helper, "get", "the answer does not parse"))?;
    let secret = Secret::new(answer.secret);
    Ok(match answer.username {
        name if name == TOKEN_USER => Some(Credential::Identity { username: String::new(), token: secret }),
        name if name.is_empty() && secret.is_empty() => None,
        username => Some(Credential::Basic { username, password: secret }),
    })
}

/// Gives a helper a registry's credential.
///
/// # Errors
/// The helper does not start or fails.
pub fn store(helper: &str, key: &str, credential: &Credential) -> Result<(), CredentialError> {
    let (user, secret) = match credential {
        Credential::Basic { username, password } => (username.as_str(), password),
        Credential::Identity { token, .. } => (TOKEN_USER, token),
        Credential::Registry { .. } => {
            return Err(fail(helper, "store", "a registry token can't be kept in a helper"));
        }
    };
    let text = serde_json::json!({ "ServerURL": key, "Username": user, "Secret": secret.reveal() });
    run(helper, "store", &text.to_string()).map(drop)
}

/// Makes a helper forget a registry's credential; one that is not there is no error.
///
/// # Errors
/// The helper does not start or fails.
pub fn erase(helper: &str, key: &str) -> Result<(), CredentialError> {
    run(helper, "erase", key).map(drop)
}

/// Returns the registries that a helper knows, with their user names.
///
/// # Errors
/// The helper does not start, fails, or answers nonsense.
pub fn list(helper: &str) -> Result<BTreeMap<String, String>, CredentialError> {
    let bytes = run(helper, "list", "unused")?.unwrap_or_else(|| b"{}".to_vec());
    serde_json::from_slice(&bytes).map_err(|_| fail(helper, "list", "the answer does not parse"))
}

fn fail(helper: &str, verb: &'static str, what: impl Into<String>) -> CredentialError {
    CredentialError::Helper { helper: helper.to_owned(), verb, what: what.into() }
}

/// Runs a helper; none if it says that it has nothing.
fn run(helper: &str, verb: &'static str, input: &str) -> Result<Option<Vec<u8>>, CredentialError> {
    if helper.contains('/') {
        return Err(fail(helper, verb, "a helper is named, not given by a path"));
    }
    let error = |e: std::io::Error| fail(helper, verb, e.to_string());
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => fail(helper, verb, "executable file not found in $PATH"),
            _ => error(e),
        })?;
    // A helper that reads nothing closes the pipe; its exit code says whether that is a failure.
    let mut pipe = child.stdin.take().expect("the pipe was asked for");
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let mut answer = Vec::new();
    let output = child.stdout.take().expect("the pipe was asked for");
    let read = output.take(MAX_ANSWER + 1).read_to_end(&mut answer);
    if answer.len() as u64 > MAX_ANSWER {
        let _ = child.kill();
        let _ = child.wait();
        return Err(fail(helper, verb, "the answer is longer than 1 MiB"));
    }
    let status = child.wait().map_err(error)?;
    read.map_err(error)?;
    if status.success() {
        return Ok(Some(answer));
    }
    let said = String::from_utf8_lossy(&answer).trim().to_owned();
    if said == NOTHING {
        return Ok(None);
    }
    // One line of what it said; helpers write errors, not credentials, where docker shows them too.
    let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
    Err(fail(helper, verb, if said.is_empty() { status.to_string() } else { said }))
}
