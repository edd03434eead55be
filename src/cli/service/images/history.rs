//! `GET /images/NAME/history`

use serde_json::{Value, json};

use super::super::super::global::Global;
use super::super::super::history::entries;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::Reference;

/// Answers the request.
///
/// # Errors
/// There is no such image, or the store can't be read.
pub fn answer(global: &Global, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let store = global.store()?;
    let image = store.find_image(name, super::platform(request)?.as_ref())?;
    let names = store.refs_of(image.manifest)?;
    let tags: Vec<String> = names.iter().map(|name| Reference::familiar(&name.reference)).collect();
    let rows = entries(store, &image)?.into_iter().map(|entry| {
        let id = if entry.last { image.id.to_string() } else { "<missing>".to_owned() };
        json!({
            "Id": id,
            "Created": entry.created.map_or(0, |created| created.as_second()),
            "CreatedBy": entry.created_by,
            "Tags": if entry.last && !tags.is_empty() { json!(tags) } else { Value::Null },
            "Size": entry.size,
            "Comment": entry.comment,
        })
    });
    Ok(Answer::json(rows.collect()))
}
