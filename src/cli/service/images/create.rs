//! `POST /images/create`: pull, and import.

use std::sync::Arc;

use serde_json::json;

use super::super::super::error::CliError;
use super::super::super::global::Global;
use super::super::super::render::Way;
use super::super::super::{pull as command, registries};
use super::credentials;
use super::said::{self, Failure, Said};
use super::transfers::Transfers;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::Reference;
use crate::registry::pull::{PullOptions, pull};

/// Answers the request.
///
/// # Errors
/// The image can't be had, or the parameters are none.
pub fn answer(global: &Global, request: Request) -> Result<Answer, ApiError> {
    if let Some(name) = request.query.text("fromImage") {
        return pull_image(global, &request, name);
    }
    if let Some(source) = request.query.text("fromSrc").map(str::to_owned) {
        return super::import::answer(global, request, &source);
    }
    Err(ApiError::bad("neither fromImage nor fromSrc is given"))
}

fn pull_image(global: &Global, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let name = Reference::parse(name).map_err(|error| ApiError::bad(error.to_string()))?;
    let tag = request.query.text("tag");
    let reference = match tag {
        // A digest comes in the place of a tag.
        Some(digest) if digest.contains(':') => {
            let whole = format!("{}@{digest}", name.repository());
            Some(Reference::parse(&whole).map_err(|error| ApiError::bad(error.to_string()))?)
        }
        Some(tag) => Some(name.with_tag(tag).map_err(|_| ApiError::bad("invalid tag format"))?),
        None => (name.tag().is_some() || name.digest().is_some()).then(|| name.clone()),
    };
    let options = PullOptions { platform: super::platform(request)? };
    let global = global.for_client(credentials::one(request, name.domain()))?;
    said::answer(move |said| {
        let runtime = registries::runtime()?;
        let references = match reference {
            Some(reference) => vec![reference],
            None => {
                let tags = command::all_tags(&global, &runtime, &name)?;
                tags.iter().map(|tag| name.with_tag(tag)).collect::<Result<_, _>>()?
            }
        };
        let done = references.iter().try_for_each(|one| pull_one(&global, &runtime, one, &options, said));
        // What still unpacks for a client that is gone ends by itself.
        runtime.shutdown_background();
        done
    })
}

fn pull_one(
    global: &Global,
    runtime: &tokio::runtime::Runtime,
    reference: &Reference,
    options: &PullOptions,
    said: &Said,
) -> Result<(), Failure> {
    let what = match reference.digest() {
        Some(_) => reference.to_string(),
        None => reference.tag().unwrap_or_default().to_owned(),
    };
    let opening = json!({ "status": format!("Pulling from {}", reference.path()), "id": what });
    let transfers = Arc::new(Transfers::new(said.clone(), Way::Down, Some(opening)));
    let transfer = command::transfer(global, transfers.clone())?;
    let pulled = said.wait(runtime, pull(&transfer, reference, options))?;
    let pulled = pulled.map_err(|error| ApiError::from(CliError::engine(&error)))?;
    transfers.begin();
    said.status(format!("Digest: {}", pulled.digest));
    said.status(command::status(&pulled, &reference.familiar()));
    Ok(())
}
