//! `events`, `system events`

use std::io::{BufRead as _, BufReader, Read as _};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::looks::stamp;
use super::rows::{self, filters};
use super::{Engine, text};
use crate::cli::container::EventsArgs;
use crate::cli::error::CliError;
use crate::cli::filter::parse_time;
use crate::cli::format::{Missing, Template};
use crate::cli::output;
use crate::engine::client::Request;

/// Largest event.
const MAX_LINE: u64 = 4 << 20;

/// Runs the command.
pub fn events(args: &EventsArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let bound = |given: &Option<String>| -> Result<Option<String>, CliError> {
        let Some(text) = given.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let bad = || CliError::new(format!("failed to parse value as time or duration: {text:?}"));
        parse_time(text).map(|moment| Some(stamp(moment))).ok_or_else(bad)
    };
    let format = args.format.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let bad = |e| CliError::new(format!("Error parsing format: {e}")).code(64);
    let template = match format {
        None | Some("json") => None,
        Some(text) => Some(Template::parse(text).map_err(bad)?),
    };
    let request = Request::get("/events")
        .maybe("since", bound(&args.since)?)
        .maybe("until", bound(&args.until)?)
        .maybe("filters", filters(&args.filter, None)?);
    let mut reader = BufReader::new(engine.send(request)?);
    loop {
        let mut bytes = Vec::new();
        if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        for event in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
            let Ok(event) = event else { break };
            output::line(&match (&template, format) {
                (Some(template), _) => template.render(&event, Missing::Error).map_err(bad)?,
                (None, Some(_)) => event.to_string(),
                (None, None) => line(&event),
            })?;
        }
    }
}

fn line(event: &Value) -> String {
    let nanos = event["timeNano"].as_i64().map_or(0, i128::from);
    let moment = match Timestamp::from_nanosecond(nanos) {
        Ok(moment) if nanos != 0 => moment,
        _ => rows::seconds(&event["time"]).unwrap_or(Timestamp::UNIX_EPOCH),
    };
    let moment = moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string();
    let moment = moment.strip_suffix("+00:00").map_or(moment.clone(), |utc| format!("{utc}Z"));
    let actor = &event["Actor"];
    let attributes: Vec<String> =
        rows::labels(&actor["Attributes"]).iter().map(|(key, value)| format!("{key}={value}")).collect();
    let said = format!("{moment} {} {} {}", text(&event["Type"]), text(&event["Action"]), text(&actor["ID"]));
    if attributes.is_empty() { said } else { format!("{said} ({})", attributes.join(", ")) }
}
