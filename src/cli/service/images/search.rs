//! `GET /images/search`

use serde_json::json;

use super::super::super::filter::Filters;
use super::super::super::global::Global;
use super::super::super::search::{FILTERS, search};
use super::credentials;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};

/// Answers the request.
///
/// # Errors
/// The registry does not say, or a parameter is none.
pub fn answer(global: &Global, request: &Request) -> Result<Answer, ApiError> {
    let term = request.query.text("term").ok_or_else(|| ApiError::bad("no search term is given"))?;
    let limit = request.query.number("limit")?.unwrap_or(0);
    let filters = Filters::of(request.query.filters()?, FILTERS)?;
    let domain = super::super::super::search::domain(term);
    let global = global.for_client(credentials::one(request, &domain))?;
    let found = search(term, limit, &filters, &global).map_err(|error| {
        let out_of_range = error.text.contains("is outside the range");
        if out_of_range {
            ApiError::bad(error.text.replace("Error response from daemon: ", ""))
        } else {
            error.into()
        }
    })?;
    let rows = found.iter().map(|one| {
        json!({
            "star_count": one.star_count, "is_official": one.is_official, "name": one.name,
            "is_automated": one.is_automated, "description": one.description,
        })
    });
    Ok(Answer::json(rows.collect()))
}
