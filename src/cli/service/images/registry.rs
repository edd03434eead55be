//! `GET /distribution/NAME/json`, `POST /auth`: what a registry says.

use serde_json::{Map, Value, json};

use super::super::super::global::Global;
use super::super::super::{inspect_remote, login, registries};
use super::credentials;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::Reference;

/// Answers with what a name means in its registry.
///
/// # Errors
/// The name is none, or the registry does not have it.
pub fn distribution(global: &Global, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let bad = |error: crate::image::ReferenceError| ApiError::bad(error.to_string());
    let reference = Reference::parse(name).map_err(bad)?.or_latest();
    let global = global.for_client(credentials::one(request, reference.domain()))?;
    let client = registries::client(&global)?;
    let found = registries::runtime()?.block_on(inspect_remote::distribution(&client, &reference))?;
    let descriptor = json!({
        "mediaType": found.media_type, "digest": found.digest.to_string(), "size": found.size,
    });
    Ok(Answer::json(json!({ "Descriptor": descriptor, "Platforms": found.platforms })))
}

/// Proves a credential to a registry.
///
/// # Errors
/// The registry refuses it.
pub fn auth(global: &Global, mut request: Request) -> Result<Answer, ApiError> {
    let fields: Map<String, Value> = request.json()?;
    let server = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case("serveraddress"));
    let domain = login::domain(server.and_then(|(_, value)| value.as_str()))
        .map_err(|error| ApiError::bad(error.text))?;
    let credential = credentials::credential(&fields)
        .ok_or_else(|| ApiError::new(hyper::StatusCode::UNAUTHORIZED, "no credentials are given"))?;
    let global = global.for_client(std::sync::Arc::new(crate::registry::NoCredentials))?;
    let client = registries::client(&global)?;
    let proved = registries::runtime()?.block_on(client.login(&domain, &credential));
    let token = proved.map_err(|error| {
        let refused = matches!(error.status(), Some(401 | 403));
        let told = ApiError::from(login::explain(error));
        if refused { ApiError::new(hyper::StatusCode::UNAUTHORIZED, told.message) } else { told }
    })?;
    let token = token.as_ref().map_or("", |token| token.reveal());
    Ok(Answer::json(json!({ "Status": "Login Succeeded", "IdentityToken": token })))
}
