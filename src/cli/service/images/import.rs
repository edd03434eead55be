//! `POST /images/create?fromSrc=`: an image of a tar archive.

use super::super::super::global::Global;
use super::super::super::import::{Bytes, Wanted, import_as, is_url};
use super::{change, said};
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};
use crate::image::Platform;

/// Answers the request.
///
/// # Errors
/// The bytes can't be had or are no archive, or a parameter is none.
pub fn answer(global: &Global, request: Request, source: &str) -> Result<Answer, ApiError> {
    let query = &request.query;
    let repository = query.text("repo");
    let name = repository.map(|name| match name.rsplit('/').next().is_some_and(|last| last.contains(':')) {
        true => change::target(name, None),
        false => change::target(name, query.text("tag")),
    });
    let wanted = Wanted {
        name: name.transpose()?,
        platform: super::platform(&request)?.unwrap_or_else(Platform::host),
        changes: query.all("changes").filter(|text| !text.is_empty()).map(str::to_owned).collect(),
        message: query.text("message").map_or_else(|| format!("Imported from {source}"), str::to_owned),
    };
    let global = global.for_client(std::sync::Arc::new(crate::registry::NoCredentials))?;
    let source = source.to_owned();
    said::answer(move |said| {
        let bytes = match source.as_str() {
            "-" => Bytes::Stream(Box::new(request.body)),
            url if is_url(url) => {
                said.status(format!("Downloading from {url}"));
                Bytes::Url(url.to_owned())
            }
            // What comes without a scheme is fetched as it is by docker.
            host => {
                said.status(format!("Downloading from http://{host}"));
                Bytes::Url(format!("http://{host}"))
            }
        };
        said.status(import_as(&wanted, bytes, &global)?.id.to_string());
        Ok(())
    })
}
