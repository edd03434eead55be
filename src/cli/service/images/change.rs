//! `POST /images/NAME/tag`, `DELETE /images/NAME`

use hyper::StatusCode;
use serde_json::{Value, json};

use super::super::super::global::Global;
use super::super::super::{containers, rmi, tag as command};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::Reference;
use crate::store::StoreError;

/// Gives an image one more name.
///
/// # Errors
/// There is no such image, or the name is none.
pub fn tag(global: &Global, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let target = target(request.query.text("repo").unwrap_or_default(), request.query.text("tag"))?;
    command::tag(global, name, &target).map_err(|error| match error.text.starts_with("refusing") {
        true => ApiError::bad(error.text),
        false => error.into(),
    })?;
    Ok(Answer::Empty(StatusCode::CREATED))
}

/// Puts a name together of its repository and its tag.
///
/// # Errors
/// They are none.
pub fn target(repository: &str, tag: Option<&str>) -> Result<Reference, ApiError> {
    let bad = |error: crate::image::ReferenceError| ApiError::bad(error.to_string());
    let name = Reference::parse(repository).map_err(bad)?;
    match tag {
        None => Ok(name.or_latest()),
        Some(tag) => name.with_tag(tag).map_err(|_| ApiError::bad("invalid tag format")),
    }
}

/// Removes a name, and the image with its last one; or only some platforms of the image.
///
/// # Errors
/// There is no such image, or something needs it.
pub fn remove(global: &Global, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let platforms = request.query.all("platforms").map(super::one_platform).collect::<Result<Vec<_>, _>>()?;
    let force = request.query.flag("force");
    if !platforms.is_empty() && !force {
        return Err(ApiError::bad(rmi::NEEDS_FORCE));
    }
    let uses = containers::image_uses(global)?;
    let removed = match rmi::remove(global, name, force, &platforms, &uses)? {
        Err(error @ StoreError::Conflict(_)) => return Err(ApiError::conflict(error.to_string())),
        other => other?,
    };
    let untagged = removed.untagged.iter().map(|name| json!({ "Untagged": name }));
    let deleted = removed.deleted.iter().map(|id| json!({ "Deleted": id }));
    Ok(Answer::json(untagged.chain(deleted).collect::<Value>()))
}
