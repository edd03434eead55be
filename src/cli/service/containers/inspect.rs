//! `GET /containers/ID/json`

use serde_json::{Value, json};

use super::super::super::container::document;
use super::super::Service;
use super::find;
use crate::containers::Container;
use crate::engine::server::{Answer, Request};
use crate::engine::{ApiError, ApiVersion};

/// Answers a request.
///
/// # Errors
/// There is no such container.
pub fn inspect(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let container = find(service, id)?;
    let sizes = request.query.flag("size").then(|| service.global.store()).transpose()?;
    let mut shown = document(&container, &container.state()?, sizes);
    adapt(&mut shown, &container, request.version);
    Ok(Answer::json(shown))
}

/// Gives the document the shape of an older version.
fn adapt(shown: &mut Value, container: &Container, version: ApiVersion) {
    let networks = shown["NetworkSettings"]["Networks"].as_object_mut();
    for (name, place) in networks.into_iter().flatten() {
        // Until 1.44 the short id was among the aliases.
        if !version.since(45) && !["bridge", "host", "none"].contains(&name.as_str()) {
            let mut aliases = place["Aliases"].as_array().cloned().unwrap_or_default();
            aliases.push(json!(container.short_id()));
            place["Aliases"] = aliases.into();
        }
        if !version.since(44)
            && let Some(place) = place.as_object_mut()
        {
            place.remove("DNSNames");
        }
    }
}
