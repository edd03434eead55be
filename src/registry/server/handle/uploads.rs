//! Uploads: begun, mounted, appended to, asked about, finished, cancelled.

use hyper::header;
use hyper::{Response, StatusCode};

use super::Ask;
use super::range::sent;
use crate::registry::server::answer::{Answered, Body, CONTENT_DIGEST, Failure, UPLOAD_ID, set, status};
use crate::registry::server::digest::{Algorithm, BlobDigest};
use crate::registry::server::names::is_repository;
use crate::registry::server::registry::Registry;
use crate::registry::server::source::Source;

/// `POST /v2/NAME/blobs/uploads/`
pub async fn begin(registry: &Registry, mut ask: Ask, name: &str) -> Answered {
    if let Some(digest) = ask.query.get("mount") {
        let digest: BlobDigest = parse(digest)?;
        let from = ask.query.get("from").filter(|from| !from.is_empty());
        if registry.mount(&ask, name, from.filter(|from| is_repository(from)), &digest).await? {
            return Ok(created(name, &digest));
        }
    }
    let digest: Option<BlobDigest> = ask.query.get("digest").map(parse).transpose()?;
    let algorithm = match (ask.query.get("digest-algorithm"), &digest) {
        (Some(text), _) => text.parse::<Algorithm>().map_err(|e| Failure::digest_invalid(e.to_string()))?,
        (None, Some(digest)) => digest.algorithm(),
        (None, None) => Algorithm::Sha256,
    };
    let id = registry.storage().begin(name, algorithm).await?;
    let whole = digest.filter(|digest| {
        // A request without bytes only begins, unless it is the blob without bytes.
        !ask.is_empty || *digest == BlobDigest::of(digest.algorithm(), b"")
    });
    let Some(digest) = whole else { return Ok(progress(name, &id, 0, StatusCode::ACCEPTED)) };
    let source = std::mem::replace(&mut ask.body, Source::bytes(bytes::Bytes::new()));
    let received = registry.receive(&id, Some(0), source).await;
    let finished = match received {
        Ok(_) => registry.finish(name, &id, &digest).await,
        Err(error) => Err(error),
    };
    if let Err(failure) = finished {
        // Nobody knows the id.
        let _ = registry.storage().cancel(&id).await;
        return Err(failure);
    }
    Ok(created(name, &digest))
}

/// `GET /v2/NAME/blobs/uploads/ID`
pub async fn state(registry: &Registry, name: &str, id: &str) -> Answered {
    let size = size_of(registry, name, id).await?;
    Ok(progress(name, id, size, StatusCode::NO_CONTENT))
}

/// `PATCH /v2/NAME/blobs/uploads/ID`
pub async fn patch(registry: &Registry, ask: Ask, name: &str, id: &str) -> Answered {
    let size = append(registry, ask, name, id).await?;
    Ok(progress(name, id, size, StatusCode::ACCEPTED))
}

/// `PUT /v2/NAME/blobs/uploads/ID?digest=DIGEST`
pub async fn put(registry: &Registry, ask: Ask, name: &str, id: &str) -> Answered {
    let digest: BlobDigest = parse(ask.query.get("digest").unwrap_or_default())?;
    if ask.is_empty {
        size_of(registry, name, id).await?;
    } else {
        append(registry, ask, name, id).await?;
    }
    registry.finish(name, id, &digest).await?;
    Ok(created(name, &digest))
}

/// `DELETE /v2/NAME/blobs/uploads/ID`
pub async fn cancel(registry: &Registry, name: &str, id: &str) -> Answered {
    size_of(registry, name, id).await?;
    registry.cancel(id).await?;
    Ok(status(StatusCode::NO_CONTENT))
}

/// Returns what a session of this repository has.
async fn size_of(registry: &Registry, name: &str, id: &str) -> Result<u64, Failure> {
    let session = registry.storage().session(id).await?;
    if session.repository == name { Ok(session.size) } else { Err(Failure::upload_unknown()) }
}

/// Appends a request's body where it says it belongs.
async fn append(registry: &Registry, ask: Ask, name: &str, id: &str) -> Result<u64, Failure> {
    size_of(registry, name, id).await?;
    let said = match ask.header(header::CONTENT_RANGE) {
        None => None,
        Some(text) => Some(sent(text).ok_or_else(|| {
            Failure::new(
                StatusCode::BAD_REQUEST,
                "BLOB_UPLOAD_INVALID",
                format!("invalid Content-Range: {text}"),
            )
        })?),
    };
    if let Some((_, count)) = said
        && let Some(length) = ask.length().filter(|length| *length != count)
    {
        let text = format!("Content-Range has {count} bytes and Content-Length is {length}");
        return Err(Failure::new(StatusCode::BAD_REQUEST, "SIZE_INVALID", text));
    }
    let at = said.map(|(first, _)| first);
    match registry.receive(id, at, ask.body).await {
        Err(failure) if failure.status == StatusCode::RANGE_NOT_SATISFIABLE => {
            let size = size_of(registry, name, id).await?;
            Err(failure.header(header::LOCATION, location(name, id)).header(header::RANGE, range(size)))
        }
        other => other,
    }
}

fn parse(text: &str) -> Result<BlobDigest, Failure> {
    text.parse()
        .map_err(|e: crate::registry::server::digest::BadDigest| Failure::digest_invalid(e.to_string()))
}

fn location(name: &str, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// Docker's way to say how much is there: the last byte, and 0-0 also for nothing.
fn range(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

fn progress(name: &str, id: &str, size: u64, code: StatusCode) -> Response<Body> {
    let mut response = status(code);
    set(&mut response, header::LOCATION, location(name, id));
    set(&mut response, header::RANGE, range(size));
    set(&mut response, UPLOAD_ID, id);
    response
}

fn created(name: &str, digest: &BlobDigest) -> Response<Body> {
    let mut response = status(StatusCode::CREATED);
    set(&mut response, header::LOCATION, format!("/v2/{name}/blobs/{digest}"));
    set(&mut response, CONTENT_DIGEST, digest.to_string());
    response
}
