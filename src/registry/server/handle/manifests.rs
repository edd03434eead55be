//! Manifests and tags: read, put, deleted.

use hyper::header;
use hyper::{Response, StatusCode};

use super::{Ask, accepted};
use crate::registry::server::answer::{
    Answered, Body, CONTENT_DIGEST, Failure, SUBJECT, TAG, full, no_body, set, status,
};
use crate::registry::server::digest::{Algorithm, BlobDigest};
use crate::registry::server::document::{Document, MAX_MANIFEST};
use crate::registry::server::names::is_tag;
use crate::registry::server::registry::Registry;
use crate::registry::server::route::Named;

/// `GET` and `HEAD /v2/NAME/manifests/REFERENCE`
pub async fn get(registry: &Registry, ask: &Ask, name: &str, what: Named) -> Answered {
    if let Some(upstream) = registry.upstream() {
        upstream.refresh(registry, name, &what).await?;
    }
    let repo = registry.repo(name);
    let digest = match &what {
        Named::Digest(digest) => digest.clone(),
        Named::Tag(tag) => match repo.tag(tag).await? {
            Some(digest) => digest,
            None if repo.is_known().await? => {
                return Err(Failure::manifest_unknown(format_args!("unknown tag={tag}")));
            }
            None => return Err(Failure::name_unknown(name)),
        },
    };
    let unknown =
        || Failure::manifest_unknown(format_args!("unknown manifest name={name} revision={digest}"));
    let media_type = repo.manifest_type(&digest).await?.ok_or_else(unknown)?;
    if matches!(what, Named::Tag(_)) {
        check_accepted(ask, &media_type)?;
    }
    let etag = format!("\"{digest}\"");
    if ask.header(header::IF_NONE_MATCH).is_some_and(|known| known.contains(&etag)) {
        let mut response = status(StatusCode::NOT_MODIFIED);
        set(&mut response, header::ETAG, &etag);
        return Ok(response);
    }
    let mut response = Response::new(no_body());
    set(&mut response, header::CONTENT_TYPE, &media_type);
    set(&mut response, header::ETAG, &etag);
    set(&mut response, CONTENT_DIGEST, digest.to_string());
    let size = if ask.wants_body() {
        let bytes = repo.manifest_bytes(&digest).await?.ok_or_else(unknown)?;
        let size = bytes.len() as u64;
        *response.body_mut() = full(bytes);
        size
    } else {
        registry.storage().blob_size(&digest).await?.ok_or_else(unknown)?
    };
    set(&mut response, header::CONTENT_LENGTH, size.to_string());
    Ok(response)
}

/// A client that names the manifest types it knows gets no other one for a tag.
fn check_accepted(ask: &Ask, media_type: &str) -> Result<(), Failure> {
    let accept: Vec<&str> =
        ask.headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    let types: Vec<&str> = accept
        .iter()
        .flat_map(|line| line.split(','))
        .map(|part| part.split(';').next().unwrap_or_default().trim())
        .collect();
    let names_manifests = types.iter().any(|t| t.starts_with("application/vnd."));
    let fits = types.iter().any(|t| *t == media_type || *t == "*/*" || *t == "application/*");
    if !names_manifests || fits {
        return Ok(());
    }
    Err(Failure::manifest_unknown(format_args!(
        "the manifest is of type {media_type}, which the client does not accept"
    )))
}

/// `PUT /v2/NAME/manifests/REFERENCE`
pub async fn put(registry: &Registry, mut ask: Ask, name: &str, what: Named) -> Answered {
    let too_large = || {
        let text = format!("a manifest may have {MAX_MANIFEST} bytes");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", text)
    };
    if ask.length().is_some_and(|length| length > MAX_MANIFEST as u64) {
        return Err(too_large());
    }
    let read = ask.body.read_all(MAX_MANIFEST).await;
    let bytes = read.map_err(|e| Failure::manifest_invalid(e.to_string()))?.ok_or_else(too_large)?;
    let (digest, tags) = names_of(&ask, &what, &bytes)?;
    let said = ask.header(header::CONTENT_TYPE).map(|text| text.split(';').next().unwrap_or_default().trim());
    let document = Document::parse(&bytes, said).map_err(Failure::manifest_invalid)?;
    {
        let _shared = registry.storage().share().await?;
        registry.check_references(&ask, name, &document).await?;
        registry.store_manifest(name, &digest, bytes, &document, &tags).await?;
    }
    Ok(put_answer(name, &what, &digest, &document, ask.query.all("tag").next().map(|_| &tags[..])))
}

/// The digest of a manifest and the tags that it gets.
fn names_of(ask: &Ask, what: &Named, bytes: &[u8]) -> Result<(BlobDigest, Vec<String>), Failure> {
    let more: Vec<String> = ask.query.all("tag").map(str::to_owned).collect();
    if let Some(bad) = more.iter().find(|tag| !is_tag(tag)) {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "TAG_INVALID", format!("invalid tag name {bad}")));
    }
    match what {
        Named::Tag(tag) => {
            let mut tags = vec![tag.clone()];
            tags.extend(more);
            Ok((BlobDigest::of(Algorithm::Sha256, bytes), tags))
        }
        Named::Digest(digest) => {
            let got = BlobDigest::of(digest.algorithm(), bytes);
            if got != *digest {
                return Err(Failure::digest_invalid(format!("the manifest has the digest {got}")));
            }
            Ok((got, more))
        }
    }
}

fn put_answer(
    name: &str,
    what: &Named,
    digest: &BlobDigest,
    document: &Document,
    tags: Option<&[String]>,
) -> Response<Body> {
    let mut response = status(StatusCode::CREATED);
    let reference = match what {
        Named::Tag(tag) => tag.clone(),
        Named::Digest(digest) => digest.to_string(),
    };
    set(&mut response, header::LOCATION, format!("/v2/{name}/manifests/{reference}"));
    set(&mut response, CONTENT_DIGEST, digest.to_string());
    if let Some(subject) = &document.subject {
        set(&mut response, SUBJECT, subject.to_string());
    }
    for tag in tags.unwrap_or_default() {
        if let Ok(value) = header::HeaderValue::from_str(tag) {
            response.headers_mut().append(TAG, value);
        }
    }
    response
}

/// `DELETE /v2/NAME/manifests/REFERENCE`: a tag alone, or a manifest with the tags that name it.
pub async fn delete(registry: &Registry, name: &str, what: Named) -> Answered {
    let repo = registry.repo(name);
    let gone = match &what {
        Named::Tag(tag) => repo.remove_tag(tag).await?,
        Named::Digest(digest) => registry.remove_manifest(name, digest).await?,
    };
    match gone {
        true => Ok(accepted()),
        false if repo.is_known().await? => Err(Failure::manifest_unknown("nothing to delete")),
        false => Err(Failure::name_unknown(name)),
    }
}
