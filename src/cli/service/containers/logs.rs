//! `GET /containers/ID/logs`

use std::io;

use jiff::Timestamp;

use super::super::super::container::{Log, check_readable};
use super::super::super::error::CliError;
use super::super::super::filter::parse_time;
use super::super::Service;
use super::find;
use crate::containers::log::Stream;
use crate::engine::frame::{self, FrameStream};
use crate::engine::server::{Answer, MULTIPLEXED, Output, Query, RAW, Request};
use crate::engine::{ApiError, ApiVersion};

/// Answers a request.
///
/// # Errors
/// There is no such container, its log can't be read, or nothing is asked for.
pub fn logs(service: &Service, id: &str, request: &Request) -> Result<Answer, ApiError> {
    let query = &request.query;
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::bad("Bad parameters: you must choose at least one stream"));
    }
    let log = options(query)?;
    let container = find(service, id)?;
    check_readable(&container)?;
    let tty = container.config.tty;
    Ok(Answer::stream(content_type(tty, request.version), move |output| {
        let gone = output.gone().clone();
        let shown = log.each(&container, &mut |lines| {
            if gone.is_gone() {
                return Err(CliError::silent(1));
            }
            for (stream, text) in lines {
                match stream {
                    Stream::Stdout if stdout => give(output, tty, FrameStream::Stdout, text)?,
                    Stream::Stderr if stderr => give(output, tty, FrameStream::Stderr, text)?,
                    _ => {}
                }
            }
            Ok(())
        });
        shown.map_err(|error| io::Error::other(error.text))
    }))
}

/// The type of a stream that is not the connection itself.
pub fn content_type(tty: bool, version: ApiVersion) -> &'static str {
    if tty || !version.since(42) { RAW } else { MULTIPLEXED }
}

/// Writes a line: framed, unless it is a terminal's.
pub fn give(output: &mut Output, tty: bool, stream: FrameStream, text: &str) -> io::Result<()> {
    match tty {
        true => io::Write::write_all(output, text.as_bytes()),
        false => frame::write(output, stream, text.as_bytes()),
    }
}

/// Reads the parameters.
pub fn options(query: &Query) -> Result<Log, ApiError> {
    let moment = |key: &str| match query.text(key) {
        None | Some("0") => Ok(None),
        Some(text) => {
            time(text).map(Some).ok_or_else(|| ApiError::bad(format!("invalid value for {key:?}: {text:?}")))
        }
    };
    Ok(Log {
        since: moment("since")?,
        until: moment("until")?,
        // What is no number, or a negative one, means all.
        tail: query.text("tail").and_then(|text| text.parse().ok()),
        follow: query.flag("follow"),
        timestamps: query.flag("timestamps"),
        details: query.flag("details"),
    })
}

/// Reads Unix seconds, with nanoseconds behind a dot, or what people type.
fn time(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds.trim_start_matches('-')) || !digits(fraction) {
        return parse_time(text);
    }
    let nanos: i32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_nanoseconds() {
        for (text, expected) in [
            ("1700000000", Some((1_700_000_000, 0))),
            ("1700000000.5", Some((1_700_000_000, 500_000_000))),
            ("1700000000.000000001", Some((1_700_000_000, 1))),
            ("2023-11-14T22:13:20Z", Some((1_700_000_000, 0))),
            ("soon", None),
        ] {
            let found = time(text).map(|at| (at.as_second(), at.subsec_nanosecond()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
