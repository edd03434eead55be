//! Blobs: read whole or in part, deleted.

use hyper::header;
use hyper::{Response, StatusCode};

use super::range::{Wanted, wanted};
use super::{Ask, accepted};
use crate::registry::server::answer::{
    Answered, Body, CONTENT_DIGEST, Failure, no_body, set, status, streamed,
};
use crate::registry::server::digest::BlobDigest;
use crate::registry::server::registry::Registry;

/// `GET` and `HEAD /v2/NAME/blobs/DIGEST`
pub async fn get(registry: &Registry, ask: &Ask, name: &str, digest: &BlobDigest) -> Answered {
    let repo = registry.repo(name);
    let size = match repo.blob(digest).await? {
        Some(size) => Some(size),
        None => registry.adopt(ask, name, digest).await?,
    };
    let Some(size) = size else {
        return match registry.upstream() {
            Some(upstream) => upstream.blob(registry, ask, name, digest).await,
            None => Err(Failure::blob_unknown()),
        };
    };
    registry.keep_alive(name, digest).await;
    serve(registry, ask, digest, size).await
}

/// Answers with a blob that is there.
pub async fn serve(registry: &Registry, ask: &Ask, digest: &BlobDigest, size: u64) -> Answered {
    let etag = format!("\"{digest}\"");
    if ask.header(header::IF_NONE_MATCH).is_some_and(|known| known.contains(&etag) || known.trim() == "*") {
        let mut response = status(StatusCode::NOT_MODIFIED);
        set(&mut response, header::ETAG, &etag);
        return Ok(response);
    }
    let asked = ask.header(header::RANGE).filter(|_| {
        // A range of another version than the one at hand is none.
        ask.header(header::IF_RANGE).is_none_or(|version| version == etag)
    });
    let (code, range) = match wanted(asked, size) {
        Wanted::All => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => {
            let failure = Failure::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "SIZE_INVALID",
                format!("the blob has {size} bytes"),
            );
            return Err(failure.header(header::CONTENT_RANGE, format!("bytes */{size}")));
        }
    };
    let mut response = Response::new(no_body());
    *response.status_mut() = code;
    if code == StatusCode::PARTIAL_CONTENT {
        let last = range.end - 1;
        set(&mut response, header::CONTENT_RANGE, format!("bytes {}-{last}/{size}", range.start));
    }
    describe(&mut response, digest, range.end - range.start);
    if ask.wants_body() && !range.is_empty() {
        *response.body_mut() = streamed(registry.storage().blob(digest, range).await?);
    }
    Ok(response)
}

/// Sets the headers that every blob has.
pub fn describe(response: &mut Response<Body>, digest: &BlobDigest, length: u64) {
    set(response, header::CONTENT_LENGTH, length.to_string());
    set(response, header::CONTENT_TYPE, "application/octet-stream");
    set(response, header::ETAG, format!("\"{digest}\""));
    set(response, header::ACCEPT_RANGES, "bytes");
    set(response, header::CACHE_CONTROL, "max-age=31536000");
    set(response, CONTENT_DIGEST, digest.to_string());
}

/// `DELETE /v2/NAME/blobs/DIGEST`; the bytes go with the next garbage collection.
pub async fn delete(registry: &Registry, name: &str, digest: &BlobDigest) -> Answered {
    match registry.repo(name).remove_blob(digest).await? {
        true => Ok(accepted()),
        false => Err(Failure::blob_unknown()),
    }
}
