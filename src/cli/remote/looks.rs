//! Looking at containers: `top`, `port`, `diff`, `logs`.

use std::io::Read;

use serde_json::Value;

use super::life::path;
use super::{Engine, list, rows, text};
use crate::cli::container::ports::no_port;
use crate::cli::container::{DiffArgs, LogsArgs, PortArgs, TopArgs};
use crate::cli::error::CliError;
use crate::cli::filter::parse_time;
use crate::cli::output;
use crate::engine::client::{Request, frames};

/// Runs `top`.
pub fn top(args: &TopArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let options = (!args.options.is_empty()).then(|| args.options.join(" "));
    let found = engine.document(Request::get(path(&args.container, "/top")?).maybe("ps_args", options))?;
    let row = |cells: &Value| list(cells).iter().map(|cell| text(cell).to_owned()).collect::<Vec<_>>();
    let mut rows = vec![row(&found["Titles"])];
    rows.extend(list(&found["Processes"]).iter().map(row));
    output::data(&crate::cli::container::top::layout(&rows))
}

/// Runs `port`.
pub fn port(args: &PortArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let bindings = rows::bindings(&engine.get(&path(&args.container, "/json")?)?);
    let Some(wanted) = &args.port else {
        let line = |(inside, outside): &(String, String)| format!("{inside} -> {outside}\n");
        return output::data(&bindings.iter().map(line).collect::<String>());
    };
    let (number, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
    if number.parse::<u16>().is_err() {
        return Err(no_port(number));
    }
    let key = format!("{number}/{protocol}");
    let lines: Vec<&str> =
        bindings.iter().filter(|(inside, _)| *inside == key).map(|(_, outside)| outside.as_str()).collect();
    if lines.is_empty() {
        let text = format!("Error: No public port '{wanted}' published for {}", args.container);
        return Err(CliError::new(text));
    }
    output::line(&lines.join("\n"))
}

/// Runs `diff`.
pub fn diff(args: &DiffArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let found = engine.get(&path(&args.container, "/changes")?)?;
    let line = |change: &Value| {
        let kind = match change["Kind"].as_u64() {
            Some(0) => 'C',
            Some(1) => 'A',
            _ => 'D',
        };
        format!("{kind} {}\n", text(&change["Path"]))
    };
    output::data(&list(&found).iter().map(line).collect::<String>())
}

/// Runs `logs`.
pub fn logs(args: &LogsArgs, engine: &Engine<'_>) -> Result<(), CliError> {
    let moment = |what: &str, given: &Option<String>| {
        let Some(text) = given.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let bad = || {
            CliError::new(format!(
                "invalid value for \"{what}\": failed to parse value as time or duration: \"{text}\""
            ))
        };
        parse_time(text).map(|moment| Some(stamp(moment))).ok_or_else(bad)
    };
    let container = engine.get(&path(&args.name, "/json")?)?;
    let request = Request::get(path(&args.name, "/logs")?)
        .query("stdout", "1")
        .query("stderr", "1")
        .flag("details", args.details)
        .flag("follow", args.follow)
        .flag("timestamps", args.timestamps)
        .maybe("since", moment("since", &args.since)?)
        .maybe("until", moment("until", &args.until)?)
        .query("tail", &args.tail);
    let mut stream = engine.send(request)?;
    show(&mut stream, container["Config"]["Tty"] == true).map_err(output::unread)
}

/// A moment as the API takes it: seconds with nine digits behind the point.
pub fn stamp(moment: jiff::Timestamp) -> String {
    format!("{}.{:09}", moment.as_second(), moment.subsec_nanosecond())
}

/// Shows a stream of a container, raw or with frames; what has no end of line yet is shown as well.
pub fn show(stream: &mut dyn Read, raw: bool) -> Result<(), CliError> {
    let (mut out, mut err) = (output::Shown::Stdout, output::Shown::Stderr);
    if !raw {
        return Ok(frames::copy(stream, &mut out, &mut err)?);
    }
    let mut buffer = vec![0; 32 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => out.show(&buffer[..count])?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
