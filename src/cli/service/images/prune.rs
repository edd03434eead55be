//! `POST /images/prune`, `POST /build/prune`

use serde_json::{Value, json};

use super::super::super::buildx::CacheFilter;
use super::super::super::filter::Filters;
use super::super::super::global::Global;
use super::super::super::prune::{Space, cache_step, image_step};
use super::super::words::as_flags;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};

/// Removes images that nobody uses.
///
/// # Errors
/// A filter is none, or the store can't be written.
pub fn images(global: &Global, request: &Request) -> Result<Answer, ApiError> {
    let filters = Filters::of(request.query.filters()?, &["until", "label", "label!", "dangling"])?;
    let all = filters.boolean("dangling")? == Some(false);
    let removed = image_step(global, all, &filters, false)?;
    let untagged = removed.untagged.iter().map(|name| json!({ "Untagged": name }));
    let deleted = removed.deleted.iter().map(|id| json!({ "Deleted": id }));
    let gone: Value = untagged.chain(deleted).collect();
    Ok(Answer::json(json!({ "ImagesDeleted": gone, "SpaceReclaimed": removed.bytes })))
}

/// Removes build cache.
///
/// # Errors
/// A filter or a number is none, or the store can't be written.
pub fn cache(global: &Global, request: &Request) -> Result<Answer, ApiError> {
    let query = &request.query;
    let bad = |error: super::super::super::error::CliError| ApiError::bad(error.text);
    // Keys that are yes or no alone come with an empty value.
    let words = as_flags(&query.filters()?);
    let words: Vec<String> =
        words.iter().map(|word| word.strip_suffix('=').unwrap_or(word).to_owned()).collect();
    let filter = CacheFilter::parse(&words).map_err(bad)?;
    let bytes = |key: &str| query.number::<u64>(key).map(|bytes| bytes.filter(|bytes| *bytes > 0));
    let space = Space {
        most: bytes("max-used-space")?,
        reserved: bytes("reserved-space")?.or(bytes("keep-storage")?),
        free: bytes("min-free-space")?,
    };
    let (gone, freed) = cache_step(global, query.flag("all"), &filter, space, false)?;
    let ids: Value = gone.iter().map(|entry| entry.id.as_str()).collect();
    Ok(Answer::json(json!({ "CachesDeleted": ids, "SpaceReclaimed": freed })))
}
