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
    pub name: String,
    /// Show extra details provided to logs
    #[arg(long)]
    pub details: bool,
    /// Follow log output
    #[arg(short, long)]
    pub follow: bool,
    /// Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Number of lines to show from the end of the logs
    #[arg(short = 'n', long, value_name = "N", default_value = "all", allow_hyphen_values = true)]
    pub tail: String,
    /// Show timestamps
    #[arg(short, long)]
    pub timestamps: bool,
    /// Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}

/// What of a log is shown.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Nothing that is older.
    pub since: Option<Timestamp>,
    /// Nothing that is newer.
    pub until: Option<Timestamp>,
    /// So many lines of the end; none is all.
    pub tail: Option<usize>,
    /// Whether what is written from now on is shown too.
    pub follow: bool,
    /// Whether each line begins with its time.
    pub timestamps: bool,
    /// Whether each line begins with labels and variables.
    pub details: bool,
}

/// Runs the command.
///
/// # Errors
/// There is no such container, or its log can't be read.
pub fn logs(args: &LogsArgs, global: &Global) -> Result<(), CliError> {
    let container = find(&all(global)?, &args.name, global)?;
    let moment = |what: &str, text: &Option<String>| {
        let bad = |text: &String| {
            CliError::new(format!(
                "invalid value for \"{what}\": failed to parse value as time or duration: \"{text}\""
            ))
        };
        text.as_ref().map(|text| parse_time(text).ok_or_else(|| bad(text))).transpose()
    };
    let wanted = Log {
        since: moment("since", &args.since)?,
        until: moment("until", &args.until)?,
        // What is no number, or a negative one, means all.
        tail: args.tail.parse().ok(),
        follow: args.follow,
        timestamps: args.timestamps,
        details: args.details,
    };
    check_readable(&container)?;
    wanted.each(&container, &mut |lines| show(lines))
}

/// A line that is shown, and where it was written to.
pub type Line = (Stream, String);

/// Refuses a log that can't be read again.
///
/// # Errors
/// It can't.
pub fn check_readable(container: &Container) -> Result<(), CliError> {
    match is_readable(&container.config) {
        true => Ok(()),
        false => Err(CliError::new(
            "Error response from daemon: configured logging driver does not support reading",
        )),
    }
}

impl Log {
    /// Shows the lines, some at a time; while they are followed, none at all now and then.
    ///
    /// # Errors
    /// The log can't be read, or `show` says so.
    pub fn each(
        &self,
        container: &Container,
        show: &mut dyn FnMut(&[Line]) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut reader = Reader::new(container.dir(), &file_name(&container.config));
        let wanted = |entry: &Entry| {
            self.since.is_none_or(|since| entry.time >= since)
                && self.until.is_none_or(|until| entry.time <= until)
        };
        let lines = |entries: &[Entry]| entries.iter().map(|entry| self.line(entry)).collect::<Vec<_>>();
        let mut entries: Vec<Entry> = read(&mut reader)?.into_iter().filter(wanted).collect();
        if let Some(tail) = self.tail {
            let older = tail_start(&entries, tail);
            entries.drain(..older);
        }
        show(&lines(&entries))?;
        if !self.follow {
            return Ok(());
        }
        loop {
            let ended = ended(container);
            // What was written before the end is there now.
            let entries: Vec<Entry> = read(&mut reader)?.into_iter().filter(wanted).collect();
            show(&lines(&entries))?;
            if ended || self.until.is_some_and(|until| Timestamp::now() > until) {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
    }

    fn line(&self, entry: &Entry) -> Line {
        let mut line = String::new();
        if self.timestamps {
            line = format!("{:.9} ", entry.time);
        }
        if self.details {
            let details =
                entry.attributes.iter().map(|(key, value)| format!("{}={}", escaped(key), escaped(value)));
            line.push_str(&(details.collect::<Vec<_>>().join(",") + " "));
        }
        line.push_str(&entry.text);
        (entry.stream, line)
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

fn show(lines: &[Line]) -> Result<(), CliError> {
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    for (stream, line) in lines {
        let written = match stream {
            Stream::Stdout => out.write_all(line.as_bytes()),
            Stream::Stderr => err.write_all(line.as_bytes()),
        };
        if let Err(error) = written.and_then(|()| out.flush()) {
            return Err(super::super::output::unread(error.into()));
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
