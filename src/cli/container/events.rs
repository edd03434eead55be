//! `events`, `system events`

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::error::CliError;
use super::super::filter::{Filters, has_label, parse_time};
use super::super::format::{Missing, Template};
use super::super::global::Global;
use super::super::output;
use crate::containers::{Event, EventReader};

/// How often it is looked whether somebody still waits for events.
const LOOK: Duration = Duration::from_millis(500);
/// Events of the past that are shown at most.
const PAST: usize = 256;

/// Get real time events from the store
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Format output: json, or a template
    #[arg(long, value_name = "STRING")]
    pub format: Option<String>,
    /// Show all events created since timestamp
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Stream events until this timestamp
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

const FILTERS: &[&str] =
    &["container", "image", "volume", "network", "daemon", "plugin", "type", "event", "label", "scope"];

/// Runs `events`.
///
/// # Errors
/// The journal can't be read, or a time, a filter or a template is none.
pub fn events(args: &EventsArgs, global: &Global) -> Result<(), CliError> {
    let filters = Selection::filters(&args.filter)?;
    let bound = |text: &Option<String>| -> Result<Option<Timestamp>, CliError> {
        let Some(text) = text.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let bad = || CliError::new(format!("failed to parse value as time or duration: {text:?}"));
        parse_time(text).map(Some).ok_or_else(bad)
    };
    let (since, until) = (bound(&args.since)?, bound(&args.until)?);
    let format = args.format.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let template = match format {
        None | Some("json") => None,
        Some(text) => Some(
            Template::parse(text)
                .map_err(|e| CliError::new(format!("Error parsing format: {e}")).code(64))?,
        ),
    };
    let selection = Selection { since, until, filters };
    selection.follow(global, &|| false, |event| {
        output::line(&match (&template, format) {
            (Some(template), _) => template
                .render(&document(event), Missing::Error)
                .map_err(|e| CliError::new(format!("Error parsing format: {e}")).code(64))?,
            (None, Some(_)) => document(event).to_string(),
            (None, None) => line(event),
        })
    })
}

/// Which events are wanted.
pub struct Selection {
    /// Those of the past since then, the last [`PAST`] at most; without it none.
    pub since: Option<Timestamp>,
    /// None after that; without it there is no end.
    pub until: Option<Timestamp>,
    /// See [`Selection::filters`].
    pub filters: Filters,
}

impl Selection {
    /// Reads filters.
    ///
    /// # Errors
    /// One is not known.
    pub fn filters(given: &[String]) -> Result<Filters, CliError> {
        Filters::parse(given, FILTERS)
    }

    /// Shows the events one after the other, until the last moment is over or `stop` says so.
    ///
    /// # Errors
    /// The journal can't be read, or `show` fails.
    pub fn follow(
        &self,
        global: &Global,
        stop: &dyn Fn() -> bool,
        mut show: impl FnMut(&Event) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        // The journal lies in the store's directory, which this makes where it is not there.
        let containers = super::all(global)?;
        let mut reader = EventReader::new(containers.store());
        let begun = Timestamp::now();
        let wanted =
            |event: &Event| self.until.is_none_or(|until| event.time <= until) && keeps(&self.filters, event);
        let since = |event: &Event| self.since.is_some_and(|since| event.time >= since);
        let past: Vec<Event> = reader.read()?.into_iter().filter(since).collect();
        for event in past[past.len().saturating_sub(PAST)..].iter().filter(|event| wanted(event)) {
            show(event)?;
        }
        // One may be written down a moment after its time.
        let from = self.since.unwrap_or(begun);
        while self.until.is_none_or(|until| Timestamp::now() < until) && !stop() {
            let left = self.until.and_then(|until| Duration::try_from(until - Timestamp::now()).ok());
            reader.wait(left.unwrap_or(LOOK).min(LOOK));
            for event in reader.read()? {
                if event.time >= from && wanted(&event) {
                    show(&event)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether an event fits: one value of each key.
fn keeps(filters: &Filters, event: &Event) -> bool {
    let any = |key: &str, fits: &dyn Fn(&str) -> bool| {
        let values = filters.values(key);
        values.is_empty() || values.iter().any(|value| fits(value))
    };
    let attribute = |key: &str| event.attributes.get(key).map_or("", String::as_str);
    let of = |kind: &str| {
        any(kind, &|value| {
            let by_id = value.len() > 3 && event.id.starts_with(value);
            (event.kind == kind && (event.id == value || by_id || attribute("name") == value))
                || (kind == "image" && event.kind == "container" && attribute("image") == value)
                || (kind == "container" && attribute("container").starts_with(value))
        })
    };
    any("type", &|kind| event.kind == kind)
        // What follows the colon is only said.
        && any("event", &|action| event.action == action || event.action.starts_with(&format!("{action}:")))
        && any("scope", &|scope| scope == "local")
        && filters.values("label").iter().all(|label| has_label(&event.attributes, label))
        && ["container", "image", "volume", "network", "daemon", "plugin"].into_iter().all(of)
}

fn line(event: &Event) -> String {
    let moment = event.time.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string();
    let moment = moment.strip_suffix("+00:00").map_or(moment.clone(), |utc| format!("{utc}Z"));
    let attributes: Vec<String> =
        event.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{moment} {} {} {} ({})", event.kind, event.action, event.id, attributes.join(", "))
}

/// Returns an event as docker's API shows it.
pub fn document(event: &Event) -> Value {
    let mut shown = json!({});
    if matches!(event.kind.as_str(), "container" | "image") {
        shown["status"] = json!(event.action);
        shown["id"] = json!(event.id);
    }
    if let Some(image) = event.attributes.get("image").filter(|_| event.kind == "container") {
        shown["from"] = json!(image);
    }
    shown["Type"] = json!(event.kind);
    shown["Action"] = json!(event.action);
    shown["Actor"] = json!({ "ID": event.id, "Attributes": event.attributes });
    shown["scope"] = json!("local");
    shown["time"] = json!(event.time.as_second());
    shown["timeNano"] = json!(i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX));
    shown
}
