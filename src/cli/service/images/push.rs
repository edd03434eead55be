//! `POST /images/NAME/push`

use std::sync::Arc;

use serde_json::json;

use super::super::super::global::Global;
use super::super::super::render::Way;
use super::super::super::{pull, push as command, registries};
use super::said::{self, Failure, Said};
use super::transfers::Transfers;
use super::{change, credentials};
use crate::causes::chain;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::Reference;
use crate::registry::push::{PushOptions, push};

/// Answers the request: one tag, or all of them.
///
/// # Errors
/// The name is none, or nothing here has it.
pub fn answer(global: &Global, request: &Request, name: &str) -> Result<Answer, ApiError> {
    let reference = Reference::parse(name).map_err(|error| ApiError::bad(error.to_string()))?;
    if reference.digest().is_some() {
        return Err(ApiError::bad("cannot push a digest reference"));
    }
    let options = PushOptions { platform: super::platform(request)?, ..PushOptions::default() };
    let global = global.for_client(credentials::one(request, reference.domain()))?;
    let references = match (request.query.text("tag"), reference.tag()) {
        (Some(tag), _) => vec![change::target(&reference.repository(), Some(tag))?],
        (None, Some(_)) => vec![reference.clone()],
        (None, None) => {
            command::all_tags(&reference, &global).map_err(|error| ApiError::not_found(error.text))?
        }
    };
    said::answer(move |said| {
        said.status(format!("The push refers to repository [{}]", reference.repository()));
        let runtime = registries::runtime()?;
        let done = references.iter().try_for_each(|one| push_one(&global, &runtime, one, &options, said));
        runtime.shutdown_background();
        done
    })
}

fn push_one(
    global: &Global,
    runtime: &tokio::runtime::Runtime,
    reference: &Reference,
    options: &PushOptions,
    said: &Said,
) -> Result<(), Failure> {
    let transfers = Arc::new(Transfers::new(said.clone(), Way::Up, None));
    let transfer = pull::transfer(global, transfers)?;
    let pushed = said.wait(runtime, push(&transfer, reference, options))?;
    let pushed = pushed.map_err(|error| ApiError::internal(chain(&error)))?;
    for note in &pushed.notes {
        said.status(format!("NOTE: {note}"));
    }
    let tag = reference.tag().unwrap_or_default();
    said.status(format!("{tag}: digest: {} size: {}", pushed.digest, pushed.size));
    said.object(json!({
        "progressDetail": {},
        "aux": { "Tag": tag, "Digest": pushed.digest.to_string(), "Size": pushed.size },
    }));
    Ok(())
}
