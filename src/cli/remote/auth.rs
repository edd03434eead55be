//! Credentials of this machine's user, as engines take them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Map, Value, json};

use super::{Engine, text};
use crate::causes::chain;
use crate::cli::error::CliError;
use crate::cli::global::Global;
use crate::cli::login::{self, LoginArgs};
use crate::cli::registries;
use crate::engine::client::Request;
use crate::image::Reference;
use crate::registry::auth::file::key_of;
use crate::registry::auth::{CredentialError, CredentialSource as _};
use crate::registry::{Credential, Secret};

fn failed(error: &CredentialError) -> CliError {
    CliError::new(format!("error getting credentials - err: {}", chain(error)))
}

/// A credential as an object.
fn document(domain: &str, credential: Option<&Credential>) -> Value {
    let server = key_of(domain);
    match credential {
        None => json!({}),
        Some(Credential::Basic { username, password }) => {
            json!({ "username": username, "password": password.reveal(), "serveraddress": server })
        }
        Some(Credential::Identity { username, token }) => {
            json!({ "username": username, "identitytoken": token.reveal(), "serveraddress": server })
        }
        Some(Credential::Registry { token }) => {
            json!({ "registrytoken": token.reveal(), "serveraddress": server })
        }
    }
}

/// Returns the header `X-Registry-Auth` for an image.
///
/// # Errors
/// The credentials can't be read.
pub fn header(global: &Global, reference: &Reference) -> Result<String, CliError> {
    let domain = reference.domain();
    let credential = registries::credentials(global).get(domain, None).map_err(|e| failed(&e))?;
    Ok(URL_SAFE.encode(document(domain, credential.as_ref()).to_string()))
}

/// Returns the header `X-Registry-Config` for a build that needs images of these registries.
///
/// # Errors
/// The credentials can't be read.
pub fn config_header(global: &Global, domains: &[String]) -> Result<String, CliError> {
    let files = registries::credentials(global);
    let mut all = Map::new();
    for domain in domains {
        if let Some(credential) = files.get(domain, None).map_err(|e| failed(&e))? {
            all.insert(key_of(domain).to_owned(), document(domain, Some(&credential)));
        }
    }
    Ok(URL_SAFE.encode(Value::Object(all).to_string()))
}

/// Runs `login`: the engine asks the registry, and the credential is kept on this machine.
///
/// # Errors
/// The registry refuses it, or it can't be kept.
pub fn login(args: &LoginArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    login::login_with(args, engine.global, &|domain, credential| {
        let request = Request::post("/auth").json(&document(domain, Some(credential)));
        let said = engine.document(request)?;
        let token = text(&said["IdentityToken"]);
        Ok((!token.is_empty()).then(|| Secret::new(token)))
    })
}
