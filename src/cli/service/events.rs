//! `GET /events`: what happens, as it happens.

use super::super::container::{Selection, event_document};
use super::super::error::CliError;
use super::super::filter::parse_time;
use super::Service;
use super::words::as_flags;
use crate::engine::ApiError;
use crate::engine::server::{Answer, Request};

/// Answers with a stream of events.
///
/// # Errors
/// A time or a filter is none.
pub fn events(service: &Service, request: &Request) -> Result<Answer, ApiError> {
    let bound = |key: &str| match request.query.text(key) {
        None | Some("0") if key == "until" => Ok(None),
        None => Ok(None),
        Some(text) => {
            let bad = || ApiError::bad(format!("invalid value for {key}: {text:?}"));
            parse_time(text).map(Some).ok_or_else(bad)
        }
    };
    // Who has the head of the answer misses nothing that happens from then on.
    let since = bound("since")?.unwrap_or_else(jiff::Timestamp::now);
    let selection = Selection {
        since: Some(since),
        until: bound("until")?,
        filters: Selection::filters(&as_flags(&request.query.filters()?))?,
    };
    let global = service.global.again();
    Ok(Answer::stream("application/json", move |output| {
        let gone = output.gone().clone();
        let shown = selection.follow(&global, &|| gone.is_gone(), |event| {
            output.json(&event_document(event)).map_err(CliError::from)
        });
        shown.map_err(|error| std::io::Error::other(error.text))
    }))
}
