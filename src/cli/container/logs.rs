//! `logs`

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::super::error::CliError;
use super::super::filter::parse_time;
use super::super::global::Global;
use super::{all, find};
use crate::containers::log::{Entry, Reader, Stream, file_name, is_readable};
use crate::containers::{Container, ContainerError};

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(40);

/// Fetch the logs of a container
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Container
    #[arg(value_name = "CONTAINER")]
    name: String,
    /// Show extra details provided to logs
    #[arg(long)]
    details: bool,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(short = 'n', long, value_name = "N", default_value = "all", allow_hyphen_values = true)]
    tail: String,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// There is no such container, or its log can't be read.
pub fn logs(args: &LogsArgs, global: &Global) -> Result<(), CliError> {
    let container = find(&all(global)?, &args.name, global)?;
    if !is_readable(&container.config) {
        return Err(CliError::new(
            "Error response from daemon: configured logging driver does not support reading",
        ));
    }
    let moment = |what: &str, text: &Option<String>| {
        let bad = |text: &String| {
            CliError::new(format!(
                "invalid value for \"{what}\": failed to parse value as time or duration: \"{text}\""
            ))
        };
        text.as_ref().map(|text| parse_time(text).ok_or_else(|| bad(text))).transpose()
    };
    let (since, until) = (moment("since", &args.since)?, moment("until", &args.until)?);
    let mut reader = Reader::new(container.dir(), &file_name(&container.config));
    let wanted = |entry: &Entry| {
        since.is_none_or(|since| entry.time >= since) && until.is_none_or(|until| entry.time <= until)
    };
    let mut entries: Vec<Entry> = read(&mut reader)?.into_iter().filter(wanted).collect();
    // What is no number, or a negative one, means all.
    if let Ok(tail) = args.tail.parse::<usize>() {
        let lines = tail_start(&entries, tail);
        entries.drain(..lines);
    }
    show(&entries, args)?;
    if !args.follow {
        return Ok(());
    }
    loop {
        let ended = ended(&container);
        // What was written before the end is there now.
        let entries: Vec<Entry> = read(&mut reader)?.into_iter().filter(wanted).collect();
        show(&entries, args)?;
        if ended || until.is_some_and(|until| Timestamp::now() > until) {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
}

fn read(reader: &mut Reader) -> Result<Vec<Entry>, CliError> {
    reader.read().map_err(|e: ContainerError| CliError::engine(&e))
}

/// Whether nothing more will be written.
fn ended(container: &Container) -> bool {
    container.state().map_or(true, |state| !state.status.has_monitor())
}

/// Returns where the last `count` lines begin; parts of a long line count as one.
fn tail_start(entries: &[Entry], count: usize) -> usize {
    if count == 0 {
        return entries.len();
    }
    let mut lines = 0;
    for (at, entry) in entries.iter().enumerate().rev() {
        if entry.text.ends_with('\n') || at + 1 == entries.len() {
            lines += 1;
            if lines > count {
                return at + 1;
            }
        }
    }
    0
}

/// Escapes a detail as in the query of a URL, as docker does.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

fn show(entries: &[Entry], args: &LogsArgs) -> Result<(), CliError> {
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    for entry in entries {
        let mut line = String::new();
        if args.timestamps {
            line = format!("{:.9} ", entry.time);
        }
        if args.details {
            let details =
                entry.attributes.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value)));
            line.push_str(&(details.collect::<Vec<_>>().join(",") + " "));
        }
        line.push_str(&entry.text);
        let written = match entry.stream {
            Stream::Stdout => out.write_all(line.as_bytes()),
            Stream::Stderr => err.write_all(line.as_bytes()),
        };
        if let Err(error) = written.and_then(|()| out.flush()) {
            let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
            return Err(if gone { CliError::silent(1) } else { error.into() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_counts_lines() {
        let entry = |text: &str| Entry {
            stream: Stream::Stdout,
            time: Timestamp::UNIX_EPOCH,
            text: text.to_owned(),
            attributes: Default::default(),
        };
        let entries: Vec<Entry> =
            ["a\n", "b1", "b2\n", "c\n", "rest"].iter().map(|text| entry(text)).collect();
        for (count, start) in [(0, 5), (1, 4), (2, 3), (3, 1), (4, 0), (9, 0)] {
            assert_eq!(tail_start(&entries, count), start, "{count}");
        }
    }
}
